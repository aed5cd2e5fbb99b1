//! Activations of a language model on texts, to a `store`: several hooks in one pass, resumable.
//!
//! [`Run::begin`] makes or resumes a store of what [`Settings`] ask for; [`Run::write`] takes documents
//! of tokens, cuts them into sequences of the context's length, and appends a row for each token.
//! [`hash_model`] and [`hash_file`] give the hashes that a store keeps of what it comes from.
//!
//! ```
//! use capture::{Document, Origin, Run, Settings};
//! use lm::{Config, Hook, Site, Transformer};
//! use store::{ActivationReader, BosRule, Dtype};
//!
//! # let text = br#"{"model_type": "gpt2", "vocab_size": 11, "n_positions": 8, "n_embd": 6,
//! #     "n_layer": 2, "n_head": 2}"#;
//! # let config = Config::from_json("config.json", text)?;
//! # let device = device::DeviceName::Flex.open()?;
//! # let folder = tempfile::tempdir()?;
//! let model = Transformer::random(config, seed::Seed::new(1), &device)?;
//! let settings = Settings {
//!     hooks: vec![Hook::Block(0, Site::ResidPost), Hook::Block(1, Site::MlpOut)],
//!     dtype: Dtype::F32,
//!     bos: BosRule::EachSequence { token: 0 },
//!     context: 4,
//!     batch: 2,
//!     most_rows: None,
//!     shard_rows: None,
//!     device: "flex".to_owned(),
//! };
//! let hash = |digit: &str| digit.repeat(64);
//! let origin = Origin {
//!     model_sha256: hash("a"),
//!     tokenizer_sha256: hash("b"),
//!     text_sha256: hash("c"),
//! };
//! let documents = [Document { id: 7, tokens: vec![1, 2, 3, 4, 5] }];
//! let run = Run::begin(&model, &origin, &settings, folder.path())?;
//! let documents = documents.into_iter().map(Ok::<_, std::convert::Infallible>);
//! let n_rows = run.write(documents, &mut |_| {})?;
//!
//! // Three tokens behind the first, then the two that are left.
//! assert_eq!(n_rows, 7);
//! let capture = settings.capture(model.config(), &origin)?;
//! assert_eq!(ActivationReader::open(folder.path(), &capture)?.n_rows(), 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod hash;
mod run;
mod sequences;
mod settings;

pub use error::{CaptureError, Result};
pub use hash::{hash_file, hash_model};
pub use run::{Progress, Run};
pub use sequences::Document;
pub use settings::{Origin, Settings};
