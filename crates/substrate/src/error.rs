//! What can be wrong with the substrate.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// An error of this crate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SubstrateError {
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
    /// A file that says what a corpus is, and is no such file.
    #[error("{} cannot be read: {source}; make the corpus again", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The training that was begun in a folder is another one.
    #[error("{} holds the losses of {got} steps where its checkpoint has made {expected}: remove the folder", path.display())]
    Losses {
        /// The folder.
        path: PathBuf,
        /// Steps of the checkpoint.
        expected: u64,
        /// Losses that were found.
        got: u64,
    },
    /// Not enough documents to ask about.
    #[error("no document of the split shows {what}: write a larger corpus")]
    Nothing {
        /// What was looked for.
        what: String,
    },
    /// The world cannot be made.
    #[error(transparent)]
    World(#[from] world::WorldError),
    /// The corpus cannot be written or read.
    #[error(transparent)]
    Corpus(#[from] corpus::CorpusError),
    /// A store cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The model fails.
    #[error(transparent)]
    Lm(#[from] lm::LmError),
}

/// What this crate returns.
pub type Result<T> = std::result::Result<T, SubstrateError>;

pub(crate) fn io_error<'a>(
    op: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> SubstrateError + 'a {
    move |source| SubstrateError::Io { op, path: path.to_owned(), source }
}
