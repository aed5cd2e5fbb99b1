//! Stores of activations: rows of hooks, beside them tokens, positions and documents.

mod capture;
mod reader;
mod rows;
mod scatter;
mod writer;

pub(crate) use capture::check_hash;
pub use capture::{BosRule, Capture, Dtype, Hook, Normalization, RowLayout};
pub(crate) use reader::RowChunk;
pub use reader::{ActivationReader, Description};
pub use rows::Rows;
pub(crate) use scatter::{Places, READ_BYTES};
pub use writer::{ActivationWriter, NewRows, NonFinite};
