//! Data manifests: find, fetch, verify, decode; the only crate that locates or downloads data.
//!
//! A [`Manifest`] lists the files of one data set: what each is, its license, where it comes from,
//! its length and hash. A [`Store`] finds a file by its name `data-set/path` in the cache folder,
//! then in the mirror that `ENGRAM_DATA_MIRROR` names, and hands it out only if it matches.
//! [`Store::fetch`] downloads, or makes a derived file by its recipe; nothing else uses the
//! network. [`decode`] turns bytes into plain arrays; [`dependencies()`] says where the sources of the
//! locked dependencies lie, which are text wherever the project builds.
//!
//! Input of any kind may be hostile: it yields an [`Error`] that names the file, never a panic,
//! and destroys nothing.
//!
//! ```no_run
//! use manifest::{Store, decode::idx};
//!
//! let store = Store::from_env(".".as_ref())?;
//! let name = "mnist/t10k-labels-idx1-ubyte.gz";
//! let labels = idx::decode(name, &store.read(name)?)?;
//! assert_eq!(labels.shape, [10_000]);
//! # Ok::<(), manifest::Error>(())
//! ```

mod archive;
pub mod decode;
mod dependencies;
mod error;
mod fetch;
mod hugging_face;
mod manifest;
mod pin;
mod recipe;
mod row;
mod store;
mod verify;

pub use dependencies::{Dependency, dependencies};
pub use error::Error;
pub use fetch::{FetchReport, Outcome, Progress, Timeouts};
pub use manifest::{
    FileRow, Kind, Manifest, Origin, Packing, Paper, Program, Recipe, Redistribution, Size,
};
pub use store::{Extractor, Located, State, Status, Store};
pub use verify::sha256;
