//! What can be wrong with a file of a dictionary.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::SaeError;

/// A file that holds no dictionary, or a dictionary that a format has no place for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
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
    /// A folder in which no format is recognized, or more than one.
    #[error("{folder}: {problem}")]
    Unrecognized {
        /// The folder.
        folder: String,
        /// What is there, and what was looked for.
        problem: String,
    },
    /// A file that is not what its name says.
    #[error("{file}: not {what}: {problem}")]
    Syntax {
        /// The file.
        file: String,
        /// What it should be, with its article.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A field of a config that is missing, or cannot be honored.
    #[error("{file}: {field}: expected {expected}, got {got}")]
    Field {
        /// The config.
        file: String,
        /// The field.
        field: String,
        /// What can be honored, or what to do.
        expected: String,
        /// What it says.
        got: String,
    },
    /// A field that this crate does not know, so that it cannot tell what it would change.
    #[error(
        "{file}: unknown field {field} (value {value}): remove it if it does not change what the \
         dictionary computes; every field that is accepted here is honored"
    )]
    UnknownField {
        /// The config.
        file: String,
        /// The field.
        field: String,
        /// Its value, as JSON.
        value: String,
    },
    /// A tensor that is missing, left over, or not of the shape and type that it must have.
    #[error("{file}: tensor {tensor}: expected {expected}, got {got}")]
    Tensor {
        /// The file.
        file: String,
        /// The tensor's name.
        tensor: String,
        /// What it must be.
        expected: String,
        /// What is there.
        got: String,
    },
    /// A file whose numbers make no dictionary.
    #[error("{file}: {source}")]
    Dictionary {
        /// The file.
        file: String,
        /// Why not.
        source: SaeError,
    },
    /// An array or a checkpoint that cannot be decoded.
    #[error("{source}{remedy}")]
    Decode {
        /// Which, and why not.
        source: Box<manifest::Error>,
        /// What to do, after a semicolon; empty where there is nothing.
        remedy: &'static str,
    },
    /// A dictionary that a format has no place for.
    #[error("the dictionary cannot be written as {format}: {why}")]
    Unwritable {
        /// The format.
        format: &'static str,
        /// What the format lacks, and what to do.
        why: &'static str,
    },
}

impl FileError {
    pub(super) fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { op, path, source }
    }

    pub(super) fn dictionary(file: &str) -> impl FnOnce(SaeError) -> Self {
        let file = file.to_owned();
        move |source| Self::Dictionary { file, source }
    }

    pub(super) fn field(file: &str, field: &str, expected: &str, got: impl Into<String>) -> Self {
        let (file, field, expected) = (file.to_owned(), field.to_owned(), expected.to_owned());
        Self::Field { file, field, expected, got: got.into() }
    }

    pub(super) fn tensor(file: &str, tensor: &str, expected: &str, got: impl Into<String>) -> Self {
        let (file, tensor, expected) = (file.to_owned(), tensor.to_owned(), expected.to_owned());
        Self::Tensor { file, tensor, expected, got: got.into() }
    }
}
