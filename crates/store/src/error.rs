//! Everything that can go wrong between rows in memory and a store on disk.

use std::io;
use std::path::{Path, PathBuf};

/// An error of this crate: which file, what was expected, what was found, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file operation.
    #[error("cannot {op} {}: {source}", path.display())]
    Io {
        /// The operation, as a verb phrase.
        op: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The HDF5 library refused an operation: the file is no HDF5 file, is damaged, or the disk is full.
    #[error("cannot {op} {}: HDF5 says: {source}", path.display())]
    Hdf5 {
        /// The operation, as a verb phrase.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// The library's reason.
        source: hdf5::Error,
    },
    /// An HDF5 file that is no store of the kind that was asked for.
    #[error("{} is no store of this kind: expected {expected}, found {found}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What the file must hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// A store of another version of the format.
    #[error(
        "{} has version {found} of the format, and this program reads version {expected}: \
         write the store anew",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that this crate reads and writes.
        expected: u64,
        /// The version of the file.
        found: u64,
    },
    /// A file of a store differs from what its writer left.
    #[error(
        "{} is damaged: {what}: expected {expected}, found {found}; write the store anew",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The part that is damaged.
        what: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A store holds something else than its reader, or the writer that resumes it, says.
    #[error(
        "{} is another store: {field}: expected {expected}, found {found}; \
         correct the setting, or use the store that was made with it",
        path.display()
    )]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The field that differs.
        field: String,
        /// The value that was asked for.
        expected: String,
        /// The value in the store.
        found: String,
    },
    /// A shard is not there, though later ones are, or though the index counts it.
    #[error("{} is missing ({n_shards} shards belong to the store): restore it, or write the store anew", path.display())]
    MissingShard {
        /// The shard that is not there.
        path: PathBuf,
        /// The shards of the store, as far as is known.
        n_shards: usize,
    },
    /// A store whose writer did not finish.
    #[error("{} is not finished ({n_shards} shards are complete): resume its writer", path.display())]
    Unfinished {
        /// The folder.
        path: PathBuf,
        /// Its complete shards.
        n_shards: usize,
    },
    /// A new store was to be written where one lies already.
    #[error("{} holds a store already: resume it if it is not finished, or choose another folder", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A finished store was to be resumed.
    #[error("{} is finished: read it, or choose another folder", path.display())]
    Finished {
        /// The folder.
        path: PathBuf,
    },
    /// Another writer is at work in the folder.
    #[error("another writer is at work in {}: wait for it, or choose another folder", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A writer was used after one of its operations had failed.
    #[error("an earlier write to {} failed: resume the store to go on after its last complete shard", path.display())]
    Failed {
        /// The folder.
        path: PathBuf,
    },
    /// A store without rows.
    #[error("nothing was written to {}: a store has at least one row", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// The thread that reads ahead ended before its stream did.
    #[error(
        "the thread that reads ahead stopped after an earlier error or a panic: begin the stream anew"
    )]
    Stopped,
    /// A setting that the crate refuses.
    #[error("{field}: expected {expected}, got {got}")]
    Setting {
        /// The setting.
        field: String,
        /// What it must be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// Arrays of one call disagree in length, or a range ends past the rows of the store.
    #[error("{what}: expected {expected}, got {got}")]
    Shape {
        /// What was counted.
        what: String,
        /// The count it must have.
        expected: u64,
        /// The count it has.
        got: u64,
    },
    /// An activation that is not finite, or that is not in the range of the stored type.
    #[error(
        "row {row}, column {column} of {hook} is {value}, which {dtype} cannot hold as a finite number: \
         mend the model, store a wider type, or keep such rows with `NonFinite::Keep`"
    )]
    NonFinite {
        /// The hook.
        hook: String,
        /// The row, counted over the whole store.
        row: u64,
        /// The column within the row.
        column: usize,
        /// The value.
        value: f32,
        /// The stored type.
        dtype: &'static str,
    },
    /// The tokens break the rule that the capture states for the beginning of sequences.
    #[error(
        "row {row} begins a {begins} with token {got}, and the rule says {expected}: \
         correct the rule, or prepend the token"
    )]
    Bos {
        /// The row, counted over the whole store.
        row: u64,
        /// What begins there: a sequence or a document.
        begins: &'static str,
        /// The token of the rule.
        expected: u32,
        /// The token of the row.
        got: u32,
    },
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Names the operation and the file in an error of the system or of the HDF5 library.
pub(crate) trait During<T> {
    fn during(self, op: &'static str, path: &Path) -> Result<T>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, op: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io { op, path: path.to_owned(), source })
    }
}

impl<T> During<T> for hdf5::Result<T> {
    fn during(self, op: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Hdf5 { op, path: path.to_owned(), source })
    }
}

impl Error {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers and texts that callers are done with"
    )]
    pub(crate) fn setting(field: &str, expected: &str, got: impl ToString) -> Self {
        Self::Setting {
            field: field.to_owned(),
            expected: expected.to_owned(),
            got: got.to_string(),
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers and texts that callers are done with"
    )]
    pub(crate) fn damaged(
        path: &Path,
        what: impl Into<String>,
        expected: impl ToString,
        found: impl ToString,
    ) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            what: what.into(),
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}

/// Refuses a count that differs from the expected one.
pub(crate) fn same_count(what: &str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(Error::Shape { what: what.to_owned(), expected: expected as u64, got: got as u64 })
}
