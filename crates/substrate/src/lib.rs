//! What papers C, D and E stand on: a corpus of the world on disk, models that learn it, and what they know of it.
//!
//! - [`WorldText`]: a corpus with everything that decides it, made once and opened by whoever needs it;
//! - [`learn`]: a training that a killed run goes on with;
//! - [`predict`]: what a model expects of single pieces of documents;
//! - [`recall`], [`foresight`], [`inclinations`], [`captions`]: what a model knows, asked on documents that it did not
//!   learn from.
//!
//! It prints nothing and reads no environment.

mod ask;
mod error;
mod knows;
mod learn;
mod world_text;

pub use ask::{Prediction, predict};
pub use error::{Result, SubstrateError};
pub use knows::{
    Answer, Foresight, Inclination, Statements, captions, foresight, inclinations, recall,
};
pub use learn::{LearnConfig, Learned, batch, learn};
pub use world_text::{WorldText, WorldTextConfig};
