//! HDF5 stores of corpora and activations, and a shuffle in bounded memory; the only crate that
//! knows HDF5.
//!
//! - [`ActivationWriter`] takes rows of one or several hooks as a model computes them, with token,
//!   position and document of each; [`ActivationReader`] gives them back, to one who states the same
//!   model, tokenizer, text, rule of the first token, type and normalization.
//! - [`CorpusWriter`] and [`CorpusReader`] do the same for documents whose tokens have sets of
//!   concepts.
//! - [`Shuffle`] deals the rows of an epoch in random order, out of two pools in memory;
//!   [`broadcast`] gives one stream of batches to several dictionaries.
//!
//! A writer streams: it holds one chunk of each data set. It may be killed at any moment; its
//! successor goes on after the last complete shard and ends with the same bytes. Damage of any kind
//! is an [`Error`] that names the file, and nothing that lies there is destroyed. The crate reads no
//! environment and has no clock; the order of rows is a function of seeds and sizes, for any number
//! of threads. The format on disk is described in [`mod@format`].
//!
//! ```
//! use store::{
//!     ActivationReader, ActivationWriter, BosRule, Capture, Dtype, Error, Hook, NewRows, NonFinite,
//!     Normalization, RowLayout, Rows,
//! };
//!
//! let folder = tempfile::tempdir()?;
//! let capture = Capture {
//!     model_sha256: "a".repeat(64),
//!     tokenizer_sha256: "b".repeat(64),
//!     text_sha256: "c".repeat(64),
//!     bos: BosRule::Absent,
//!     dtype: Dtype::F16,
//!     hooks: vec![Hook {
//!         name: "blocks.1.resid_post".to_owned(),
//!         width: 2,
//!         normalization: Normalization::Raw,
//!     }],
//! };
//! let layout = RowLayout::for_width(2, Dtype::F16);
//! let mut writer = ActivationWriter::create(folder.path(), &capture, layout, NonFinite::Refuse)?;
//! writer.append(NewRows {
//!     tokens: &[7, 8],
//!     positions: &[0, 1],
//!     documents: &[0, 0],
//!     hooks: &[&[1.0, 2.0, 3.0, 4.0]],
//! })?;
//! writer.finish()?;
//!
//! let mut rows = Rows::default();
//! ActivationReader::open(folder.path(), &capture)?.read(1..2, &mut rows)?;
//! assert_eq!((&rows.tokens[..], &rows.hooks[0][..]), (&[8][..], &[3.0, 4.0][..]));
//!
//! let other = Capture { dtype: Dtype::F32, ..capture };
//! let refused = ActivationReader::open(folder.path(), &other);
//! assert!(matches!(refused, Err(Error::Mismatch { field, .. }) if field == "dtype"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod activations;
mod broadcast;
mod corpus;
mod error;
mod folder;
mod layout;
mod schema;
mod shard;
mod shuffle;
mod sink;
mod source;

#[doc = include_str!("format.md")]
pub mod format {}

pub use activations::{
    ActivationReader, ActivationWriter, BosRule, Capture, Description, Dtype, Hook, NewRows,
    NonFinite, Normalization, RowLayout, Rows,
};
pub use broadcast::{Subscriber, broadcast};
pub use corpus::{
    CorpusDescription, CorpusInfo, CorpusLayout, CorpusReader, CorpusWriter, Document,
    DocumentEntry, LabelledDocument, Names,
};
pub use error::{Error, Result};
pub use shuffle::{Place, Shuffle, ShuffleConfig};
