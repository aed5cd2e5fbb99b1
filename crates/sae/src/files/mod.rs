//! Files of dictionaries, as other libraries write and read them.
//!
//! | format | folder | read | written |
//! |---|---|---|---|
//! | [`sae_lens`] 6, the native one | cfg.json, `sae_weights.safetensors` | all that a [`Dictionary`] can be | all |
//! | [`dictionary_learning`] | config.json, ae.safetensors or ae.pt | its seven classes | ae.safetensors |
//! | [`sparsify`] | cfg.json, sae.safetensors | k largest, with a skip connection or without | the same |
//! | [`gemma_scope`] | params.npz | thresholds | the same |
//!
//! The measure is what a dictionary computes, not what is stored: values of latents and reconstructions are those of the
//! library that wrote the file, and the library gets them back from what is written here, within single precision.
//! `just test-interchange` compares both ways with the libraries themselves. So a part that a format lacks is folded into
//! others where that changes no value (a scale into the weights, a center into a bias), and refused where it would:
//! nothing is left out without a word.
//!
//! Every field of a config is honored, known to change nothing and kept in [`About`], or an error that names file and
//! field. Files may be hostile: a claim is checked against the bytes that are there before anything of its size is
//! allocated, and what is read takes about the file's length in memory, in single precision, and its largest tensor again.
//!
//! # Examples
//!
//! A dictionary written in one format and read again by its files:
//!
//! ```
//! use kernels::Matrix;
//! use sae::files::{self, About, Format};
//! use sae::{Activation, Dictionary, Parts, Scaling};
//!
//! let dictionary = Dictionary::new(Parts {
//!     encoder: Matrix::identity(2),
//!     decoder: Matrix::identity(2),
//!     encoder_bias: vec![0.5, -0.5],
//!     decoder_bias: vec![1.0, 0.0],
//!     activation: Activation::TopK { k: 1 },
//!     centers: true,
//!     skip: None,
//!     scaling: Scaling::None,
//! })?;
//! let about = About { model: Some("tiny".to_owned()), ..About::default() };
//! let home = tempfile::tempdir()?;
//! let folder = home.path().join("dictionary");
//! files::write(&folder, Format::SaeLens, &dictionary, &about)?;
//! let read = files::read(&folder)?;
//! assert_eq!(read.dictionary, dictionary);
//! assert_eq!(read.about.model.as_deref(), Some("tiny"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod dictionary_learning;
mod error;
mod fields;
mod fit;
pub mod gemma_scope;
mod matrix;
pub mod sae_lens;
pub mod sparsify;
mod tensors;

pub use error::FileError;
pub use matrix::read_matrix;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Dictionary;

/// A format of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// See [`sae_lens`].
    SaeLens,
    /// See [`dictionary_learning`].
    DictionaryLearning,
    /// See [`sparsify`].
    Sparsify,
    /// See [`gemma_scope`].
    GemmaScope,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::SaeLens, Self::DictionaryLearning, Self::Sparsify, Self::GemmaScope];

    /// Files that a folder of no other format has.
    const fn marks(self) -> &'static [&'static str] {
        match self {
            Self::SaeLens => &[sae_lens::WEIGHTS],
            Self::DictionaryLearning => {
                &[dictionary_learning::WEIGHTS, dictionary_learning::CHECKPOINT]
            }
            Self::Sparsify => &[sparsify::WEIGHTS],
            Self::GemmaScope => &[gemma_scope::WEIGHTS],
        }
    }

    /// The format of a folder, by the names of its files.
    ///
    /// # Errors
    /// [`FileError::Unrecognized`] if it has files of none, or of several.
    pub fn of(folder: &Path) -> Result<Self, FileError> {
        let is_there = |format: &Self| format.marks().iter().any(|name| folder.join(name).exists());
        let found: Vec<Self> = Self::ALL.into_iter().filter(is_there).collect();
        let problem = match found[..] {
            [format] => return Ok(format),
            [] => {
                let names = Self::ALL.iter().flat_map(|format| format.marks());
                let names: Vec<&str> = names.copied().collect();
                format!("no file of a dictionary is here; looked for {}", names.join(", "))
            }
            _ => format!("files of several formats, {found:?}: name the one that is meant"),
        };
        Err(FileError::Unrecognized { folder: folder.display().to_string(), problem })
    }
}

/// What a file says of its dictionary that does not change what it computes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// The language model.
    pub model: Option<String>,
    /// Where in the model activations come from.
    pub hook: Option<String>,
    /// Tokens that the model read at once.
    pub context: Option<usize>,
    /// Everything else, by the names of the format: settings of the training, data sets, versions. A format writes what it
    /// has a place for.
    pub rest: BTreeMap<String, Value>,
}

/// A dictionary from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What computes.
    pub dictionary: Dictionary,
    /// What it is said to be.
    pub about: About,
    /// Where both come from.
    pub format: Format,
}

/// Reads a folder, or one of the files in it that make it a dictionary, in whichever format it is.
///
/// # Errors
/// [`FileError::Unrecognized`] for a folder of none or several formats, and those of the format's own `read`.
pub fn read(path: &Path) -> Result<Loaded, FileError> {
    if path.is_dir() {
        return read_as(path, Format::of(path)?);
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let format = Format::ALL.into_iter().find(|format| format.marks().contains(&name));
    match (format, path.parent()) {
        (Some(format), Some(folder)) => read_as(folder, format),
        _ if path.extension().is_some_and(|extension| extension == "npz") => {
            gemma_scope::read_file(path)
        }
        (_, Some(folder)) if path.exists() => read_as(folder, Format::of(folder)?),
        _ => {
            let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
            Err(FileError::io("open", path)(missing))
        }
    }
}

/// Reads a folder of a known format.
///
/// # Errors
/// Those of the format's own `read`.
pub fn read_as(folder: &Path, format: Format) -> Result<Loaded, FileError> {
    match format {
        Format::SaeLens => sae_lens::read(folder),
        Format::DictionaryLearning => dictionary_learning::read(folder),
        Format::Sparsify => sparsify::read(folder),
        Format::GemmaScope => gemma_scope::read(folder),
    }
}

/// Writes a folder, which must not exist yet and appears when it is complete.
///
/// # Errors
/// [`FileError::Io`] if the folder exists or cannot be written, [`FileError::Unwritable`] if the format has no place for
/// the dictionary.
pub fn write(
    folder: &Path,
    format: Format,
    dictionary: &Dictionary,
    about: &About,
) -> Result<(), FileError> {
    match format {
        Format::SaeLens => sae_lens::write(folder, dictionary, about),
        Format::DictionaryLearning => dictionary_learning::write(folder, dictionary, about),
        Format::Sparsify => sparsify::write(folder, dictionary, about),
        Format::GemmaScope => gemma_scope::write(folder, dictionary),
    }
}

/// Fills a draft beside the folder, which takes its name when it is complete.
fn complete(
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<(), FileError>,
) -> Result<(), FileError> {
    if folder.exists() {
        let exists = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(FileError::io("save a dictionary over", folder)(exists));
    }
    let mut draft = folder.as_os_str().to_owned();
    draft.push(".draft");
    let draft = PathBuf::from(draft);
    if draft.exists() {
        std::fs::remove_dir_all(&draft).map_err(FileError::io("clear", &draft))?;
    }
    std::fs::create_dir_all(&draft).map_err(FileError::io("create", &draft))?;
    fill(&draft)?;
    std::fs::rename(&draft, folder).map_err(FileError::io("complete", folder))
}

/// Writes a config.
fn write_json(path: &Path, config: &Value) -> Result<(), FileError> {
    std::fs::write(path, format!("{config:#}\n")).map_err(FileError::io("write", path))
}
