//! Texts to tokens with labels: documents of the world, text files, sources of the dependencies; and
//! batches of them to train on.
//!
//! - [`WorldTokenizer`]: a document of the world as tokens, by whole words or by byte-pair encoding, the
//!   concepts of its pieces carried over;
//! - [`write_world`], [`write_texts`]: documents to a `store`, as they come, split by [`Splits`];
//! - [`TextFiles`] and [`CrateFiles`]: real text, from files of the user's own and from the sources of
//!   crates;
//! - [`TrainingText`] and [`Batches`]: a split of a corpus packed into contexts, in an order that is a
//!   function of seed and step.
//!
//! It prints nothing and reads no environment: who calls says which files.

mod batches;
mod crate_files;
mod error;
mod split;
mod text_files;
mod texts;
mod tokenizer;
mod words;
mod world_corpus;

pub use batches::{Batch, Batches, BatchesConfig, TrainingText};
pub use crate_files::{CrateFiles, CrateFolder};
pub use error::{CorpusError, Result};
pub use split::{Split, Splits};
pub use text_files::{TextDocument, TextFiles};
pub use texts::{TextCorpus, write_texts};
pub use tokenizer::{Bpe, END, PATCH, WorldTokenizer};
pub use words::Words;
pub use world_corpus::{WorldCorpus, Written, write_world};
