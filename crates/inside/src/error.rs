//! What can go wrong inside a model.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An error of this crate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InsideError {
    /// A model reads sequences of two tokens at least: one that begins, and one that follows.
    #[error(
        "{what}: {got}; a sequence takes 2 positions at least, and as many as the model has at most"
    )]
    Positions {
        /// What was cut.
        what: &'static str,
        /// Positions asked for.
        got: usize,
    },
    /// There is no row to look at.
    #[error("{what} have no token behind the first one of each: give longer texts, or more")]
    Empty {
        /// Which texts.
        what: &'static str,
    },
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
    /// A file that says what a folder has, and is no such file.
    #[error("{} cannot be read: {source}; train the dictionaries again", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Activations cannot be taken.
    #[error(transparent)]
    Capture(#[from] capture::CaptureError),
    /// Dictionaries cannot be trained.
    #[error(transparent)]
    Dictionaries(#[from] dictionaries::DictionariesError),
    /// A dictionary's files cannot be written or read.
    #[error(transparent)]
    File(#[from] sae::files::FileError),
    /// A dictionary of another width than the hook.
    #[error(transparent)]
    Kernel(#[from] kernels::KernelError),
    /// The model fails.
    #[error(transparent)]
    Lm(#[from] lm::LmError),
    /// The world's corpus fails.
    #[error(transparent)]
    Corpus(#[from] corpus::CorpusError),
    /// A dictionary fails.
    #[error(transparent)]
    Sae(#[from] sae::SaeError),
    /// A metric cannot be had.
    #[error(transparent)]
    Interp(#[from] interp::InterpError),
}

/// What this crate returns.
pub type Result<T> = std::result::Result<T, InsideError>;
