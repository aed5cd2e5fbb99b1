//! What can go wrong while activations are taken.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An error of this crate: where, what was expected, what came, what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The operating system refused a file operation.
    #[error("cannot {op} {}: {source}", path.display())]
    Io {
        /// The operation.
        op: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A setting outside of its interval.
    #[error("{what} is {got}, but must lie in {interval}")]
    Range {
        /// What it is.
        what: &'static str,
        /// The value.
        got: usize,
        /// The interval.
        interval: String,
    },
    /// What flows at a hook has no fixed width, so that it makes no rows.
    #[error("hook {hook} has no rows: it has a number for each pair of tokens")]
    NoRows {
        /// The hook.
        hook: lm::Hook,
    },
    /// A folder was begun with other settings.
    #[error(
        "{} was begun with {field} {found}, and this run has {expected}: \
         take the same settings to resume it, or choose another folder", path.display()
    )]
    Settings {
        /// The file that says so.
        path: PathBuf,
        /// The setting.
        field: String,
        /// The value of this run.
        expected: String,
        /// The value it was begun with.
        found: String,
    },
    /// The file of settings cannot be read.
    #[error("{} does not say how the store was begun ({problem}): choose another folder", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's message.
        problem: String,
    },
    /// A folder holds more rows than the text has.
    #[error(
        "{} holds {found} rows, but the text ends after {expected}: is it another text?", path.display()
    )]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// Rows of the text.
        expected: u64,
        /// Rows in the folder.
        found: u64,
    },
    /// The text could not be read.
    #[error("{0}")]
    Text(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The model failed.
    #[error(transparent)]
    Lm(#[from] lm::LmError),
    /// The device cannot hand activations back.
    #[error("the device failed to return {hook}: {problem}")]
    Device {
        /// The hook.
        hook: lm::Hook,
        /// The tensor library's message.
        problem: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, CaptureError>;

impl CaptureError {
    /// Wraps an [`io::Error`] with the operation and the path.
    pub(crate) fn io(op: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { op, path, source }
    }
}
