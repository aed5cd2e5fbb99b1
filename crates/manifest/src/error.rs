//! Everything that can go wrong between a name and its decoded data.

use std::io;
use std::path::PathBuf;

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
    /// A manifest is not TOML, or has a field that is missing, unknown or of the wrong type.
    #[error("{file}: not a manifest: {problem}")]
    Syntax {
        /// The manifest.
        file: String,
        /// The parser's message, with line and column.
        problem: String,
    },
    /// A field of a manifest has a value that the crate refuses.
    #[error("{file}: {field}: expected {expected}, got {got}")]
    Invalid {
        /// The manifest.
        file: String,
        /// The field, with the row it stands in.
        field: String,
        /// What the field must hold.
        expected: &'static str,
        /// What it holds.
        got: String,
    },
    /// A name that no manifest lists.
    #[error("no manifest lists {name:?}; the manifests are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The data sets, or the files of the data set, that exist.
        known: String,
    },
    /// A listed file is neither in the cache nor in the mirror.
    #[error("{name} is not here (looked in {looked_in}): {remedy}")]
    Missing {
        /// `data-set/path`.
        name: String,
        /// The folders searched.
        looked_in: String,
        /// The command that fetches the data set.
        command: String,
        /// What to do, in words; contains the command where it can help.
        remedy: String,
    },
    /// The folder of data that the environment names is not there.
    #[error(
        "ENGRAM_DATA_MIRROR names {}, which is no folder (a relative name starts at the root of the \
         project): correct it, or unset it to do without a mirror",
        path.display()
    )]
    NoMirror {
        /// The folder.
        path: PathBuf,
    },
    /// A file differs from its manifest row; it is never used.
    #[error("{} does not match its manifest and is not used: expected {expected}, got {got}; {remedy}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The property and its recorded value.
        expected: String,
        /// The property's value as found.
        got: String,
        /// What to do.
        remedy: String,
    },
    /// A path leads out of the folder it must stay in, for example through a symbolic link.
    #[error("{} leads out of {}: remove the link or copy the file there", path.display(), root.display())]
    Outside {
        /// The path.
        path: PathBuf,
        /// The folder it must stay in.
        root: PathBuf,
    },
    /// A file that no URL yields was to be downloaded.
    #[error(
        "{name} cannot be fetched: {reason}; point ENGRAM_DATA_MIRROR at a folder that holds it"
    )]
    NotFetchable {
        /// `data-set/path`.
        name: String,
        /// Why, in the words of the manifest.
        reason: String,
    },
    /// The server could not be reached, did not answer in time or broke off.
    #[error("{url}: {problem}; run the same command again to go on from where it stopped")]
    Network {
        /// The URL.
        url: String,
        /// The transport's message.
        problem: String,
    },
    /// The server answered with a status that is not success.
    #[error("{url}: the server answered with status {status}")]
    Status {
        /// The URL.
        url: String,
        /// The HTTP status code.
        status: u16,
    },
    /// The server sends more than the manifest row allows.
    #[error("{url}: expected at most {limit} bytes, got more; nothing was kept")]
    TooLong {
        /// The URL.
        url: String,
        /// The bound that follows from the row.
        limit: u64,
    },
    /// Another process is downloading the same file.
    #[error("{} is being written by another process: wait for it to end", path.display())]
    Busy {
        /// The partial file.
        path: PathBuf,
    },
    /// A file's content is not what its format demands.
    #[error("{file}: not a valid {format} file: expected {expected}, got {got}")]
    Decode {
        /// The file.
        file: String,
        /// The format it was read as.
        format: &'static str,
        /// What the format demands.
        expected: String,
        /// What the file holds.
        got: String,
    },
    /// A pickle names a callable that is not on the short list of tensor constructors.
    #[error(
        "{file}: refused: the pickle names {callable}, which is not among the tensor constructors; nothing was run"
    )]
    Callable {
        /// The file.
        file: String,
        /// The module and name in the pickle.
        callable: String,
    },
    /// The network that a recipe embeds images with refused them or its weights.
    #[error("{name} cannot be made: {source}")]
    Extract {
        /// `data-set/path` of the file to be made.
        name: String,
        /// The network's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A value is NaN or infinite where only finite ones are allowed.
    #[error("{file}: expected finite values, got {value} at index {index}")]
    NotFinite {
        /// The file.
        file: String,
        /// The flat index of the first such value.
        index: usize,
        /// The value.
        value: f64,
    },
    /// The sources of the locked dependencies cannot be located.
    #[error("{}: cannot locate the dependencies: {problem}; `cargo fetch --locked` gets them", root.display())]
    Dependencies {
        /// The workspace.
        root: PathBuf,
        /// What cargo or Cargo.lock lacks.
        problem: String,
    },
}

impl Error {
    pub(crate) fn io(op: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { op, path, source }
    }

    pub(crate) fn decode(
        file: &str,
        format: &'static str,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Self::Decode { file: file.to_owned(), format, expected: expected.into(), got: got.into() }
    }
}
