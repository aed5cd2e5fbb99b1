//! Stores of corpora: tokens with labels, in documents.

mod document;
mod info;
mod reader;
mod writer;

pub use document::{Document, LabelledDocument};
pub use info::{CorpusInfo, CorpusLayout, Names};
pub use reader::{CorpusDescription, CorpusReader, DocumentEntry};
pub use writer::CorpusWriter;
