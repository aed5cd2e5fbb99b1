use std::io;
use std::path::PathBuf;

/// What can go wrong with a record, a cache key or a results folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {path}", path = path.display())]
    Io {
        /// What was tried: "read", "write", "rename" …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A stored result is not whole, so that it does not count.
    #[error("no whole result: {complaint}")]
    NotWhole {
        /// Which file is missing, cut or edited.
        complaint: String,
    },
    /// An artefact's name cannot be that of a folder everywhere.
    #[error("{name:?} names no artefact; take letters, digits, `_` and `-`")]
    ArtefactName {
        /// The name.
        name: String,
    },
    /// A file is not the JSON it should be.
    #[error("{path} is not a valid {expected}; delete it and run the experiment again", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// The parser's complaint.
        #[source]
        source: serde_json::Error,
    },
    /// A value has no JSON form.
    #[error("{what} cannot be written as JSON")]
    NotJson {
        /// What was being written.
        what: String,
        /// The serializer's complaint.
        #[source]
        source: serde_json::Error,
    },
    /// A number in a record is not finite.
    #[error("{name} is {value}: every number in a record must be finite")]
    NotFinite {
        /// The number's or claim's name.
        name: String,
        /// What it is instead.
        value: f64,
    },
    /// A record breaks the schema.
    #[error("{what} breaks the record schema at {pointer}: {complaint}")]
    Schema {
        /// Which record.
        what: String,
        /// JSON pointer of the offending value.
        pointer: String,
        /// What is wrong with it.
        complaint: String,
    },
    /// A claim contradicts itself, for instance an interval that excludes its own value.
    #[error("claim {id}: {complaint}")]
    Claim {
        /// The claim's id.
        id: String,
        /// What is wrong with it.
        complaint: String,
    },
    /// `cargo metadata` or `rustc --version` failed.
    #[error("`{command}` failed: {complaint}")]
    Toolchain {
        /// The command line.
        command: &'static str,
        /// What it said.
        complaint: String,
    },
    /// No workspace around the current folder.
    #[error("no Cargo workspace with a paper/index.toml in {start} or above; run inside the repository", start = start.display())]
    NoWorkspace {
        /// Where the search began.
        start: PathBuf,
    },
    /// The workspace has no binary of that name under experiments/.
    #[error(
        "no experiment binary named {id}; expected experiments/<letter>-<slug>/src/bin/{id}.rs"
    )]
    NoBinary {
        /// The id asked for.
        id: String,
    },
}

impl Error {
    /// Wraps an I/O error with what was tried and where.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
