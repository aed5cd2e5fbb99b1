//! Stores of activations: rows of hooks, beside them tokens, positions and documents.

mod capture;
mod reader;
mod rows;
mod writer;

pub(crate) use capture::check_hash;
pub use capture::{BosRule, Capture, Dtype, Hook, Normalization, RowLayout};
pub use reader::{ActivationReader, Description};
pub(crate) use reader::{RowChunk, StoredRows};
pub use rows::Rows;
pub use writer::{ActivationWriter, NewRows, NonFinite};
