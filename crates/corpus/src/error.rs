//! What can be wrong with texts, and with settings of a corpus.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An error of this crate: which file, what was expected, what came, what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CorpusError {
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
    /// A file is not UTF-8.
    #[error(
        "{} is not UTF-8 at byte {at}: convert it (`iconv -f <its encoding> -t UTF-8`), or leave it out",
        path.display()
    )]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The first byte that is wrong.
        at: u64,
    },
    /// A file is empty.
    #[error("{} is empty: fill it, or leave it out", path.display())]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing to read.
    #[error("{} holds no text: expected {expected}", path.display())]
    NoText {
        /// The folder or file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
    /// A file changed while it was in use.
    #[error("{} changed while it was read: begin anew", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A setting outside of its interval.
    #[error("{what} is {got}, but must lie in {interval}")]
    Range {
        /// What it is.
        what: &'static str,
        /// The value.
        got: f64,
        /// The interval.
        interval: &'static str,
    },
    /// A text that the tokenizer cannot spell.
    #[error("{tokenizer} cannot spell {what}: {remedy}")]
    Unknown {
        /// The tokenizer.
        tokenizer: &'static str,
        /// The text.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A split has fewer tokens than were asked for.
    #[error("the split {split:?} has {got} tokens, but {needed} are needed: {remedy}")]
    TooSmall {
        /// The split.
        split: String,
        /// Its tokens, separators included.
        got: u64,
        /// The least.
        needed: u64,
        /// What to do.
        remedy: &'static str,
    },
    /// A language-model part failed.
    #[error(transparent)]
    Lm(#[from] lm::LmError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, CorpusError>;

impl CorpusError {
    /// Wraps an [`io::Error`] with the operation and the path.
    pub(crate) fn io(op: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { op, path, source }
    }
}
