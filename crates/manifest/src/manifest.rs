//! One data set's manifest: the typed form that the rest of the crate trusts.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Error;
use crate::decode::cifar;
use crate::row::RawManifest;

/// A paper that a data set serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Paper {
    /// Attention Approximates Sparse Distributed Memory.
    A,
    /// Sparse Distributed Memory is a Continual Learner.
    B,
    /// Scaling Monosemanticity.
    C,
    /// Auditing Language Models for Hidden Objectives.
    D,
    /// Cross-Architecture Model Diffing with Crosscoders.
    E,
}

/// Whether the data may be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redistribution {
    /// Free of conditions.
    Free,
    /// With the credit line and the license text.
    WithCredit,
    /// With the credit line, and changed copies under the same license.
    ShareAlike,
    /// Never: the owners state no license.
    Never,
}

/// How a file comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The original URL yields these bytes.
    Official,
    /// Made from official files by the manifest's recipe.
    Derived,
    /// No public URL yields these bytes.
    MirrorOnly,
}

/// How the content is wrapped on disk and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packing {
    /// The file is the content.
    #[default]
    None,
    /// The file is a gzip stream; size and hash are those of the inflated content.
    Gzip,
}

/// What is known of the content's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Exactly this many bytes.
    Exact(u64),
    /// Not known; more than this is refused.
    AtMost(u64),
}

impl Size {
    /// The largest content accepted, in bytes.
    pub fn limit(self) -> u64 {
        match self {
            Self::Exact(bytes) | Self::AtMost(bytes) => bytes,
        }
    }
}

/// Where a file's bytes can be had from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This URL.
    Url(String),
    /// No URL is known or exists, for the reason given.
    NoUrl(String),
    /// The manifest's recipe makes it.
    Recipe,
}

/// One file of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Path below the data set's folder: relative, `/` between components, no `..`.
    pub path: String,
    /// How the file comes about.
    pub kind: Kind,
    /// How the content is wrapped.
    pub packing: Packing,
    /// Length of the content.
    pub size: Size,
    /// SHA-256 of the content in lower-case hexadecimal; `None` where it is not known.
    pub sha256: Option<String>,
    /// Where the bytes can be had from.
    pub origin: Origin,
    /// Why the recipe may make other bytes than those recorded, where it may: such a file is pinned like a
    /// first download, with a warning, and only counts where the recorded one is not at hand.
    pub made_differs: Option<String>,
}

impl FileRow {
    /// Why a content with this hash stands for the row though another is recorded; none if it is the one.
    pub(crate) fn differs(&self, sha256: &str) -> Option<&str> {
        self.made_differs.as_deref().filter(|_| self.sha256.as_deref() != Some(sha256))
    }
}

/// How derived files are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The recipe in words.
    pub text: String,
    /// What the project itself does of it.
    pub program: Program,
}

/// The part of a recipe that the project carries out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// Selects records of the official CIFAR-10 python archive.
    Cifar10Subset {
        /// The official archive.
        archive: FileRow,
        /// Indices into the 50,000 official training records, ascending.
        train: Vec<u32>,
        /// Indices into the 10,000 official test records, ascending.
        test: Vec<u32>,
    },
    /// Embeds the images of an official CIFAR archive, python version, with the network that the store was
    /// given ([`crate::Store::with_extractor`]): `train_x.npy` and `test_x.npy`, `[image, number]` in half
    /// precision, and the labels, `train_y.npy` and `test_y.npy`, in the official order.
    Embedding {
        /// The official archive.
        archive: FileRow,
        /// What it holds.
        images: cifar::Set,
        /// The network's weights, `data-set/path`.
        weights: String,
    },
    /// Rewrites a model of llama2.c's legacy layout as a Hugging Face folder: `config.json`,
    /// `model.safetensors`, `tokenizer.json`.
    HuggingFace {
        /// The model, `data-set/path`.
        model: String,
        /// Its tokenizer, `data-set/path`.
        tokenizer: String,
    },
}

/// A validated manifest of one data set.
///
/// # Errors
///
/// Loading fails with [`Error::Syntax`] for a field that is missing, unknown or mistyped, and
/// with [`Error::Invalid`] for a value out of its domain: a path that is absolute or climbs, a
/// hash that is not 64 hexadecimal digits, two rows for one path, an `official` row that names
/// neither a URL nor why there is none, a `derived` row without recipe or hash.
///
/// # Examples
///
/// ```
/// let text = r#"
/// name = "digits"
/// title = "ten digits"
/// serves = ["a"]
/// kind = "official"
/// license = "CC0"
/// redistribution = "free"
/// credit = "nobody"
/// origin = "https://example.org/"
///
/// [[file]]
/// path = "digits.txt"
/// bytes = 10
/// sha256 = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"
/// url = "https://example.org/digits.txt"
/// "#;
/// let digits = manifest::Manifest::parse("digits.toml", text.as_bytes())?;
/// assert_eq!(digits.files[0].size, manifest::Size::Exact(10));
///
/// let climbing = text.replace("path = \"digits.txt\"", "path = \"../digits.txt\"");
/// assert!(manifest::Manifest::parse("digits.toml", climbing.as_bytes()).is_err());
/// # Ok::<(), manifest::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The data set's name: the manifest's file stem and the folder's name.
    pub name: String,
    /// What it is.
    pub title: String,
    /// The papers it serves.
    pub serves: Vec<Paper>,
    /// The license, in its usual short form.
    pub license: String,
    /// Whether the data may be passed on.
    pub redistribution: Redistribution,
    /// Whom to credit.
    pub credit: String,
    /// Where the data comes from, for a reader.
    pub origin: String,
    /// The commit at `origin`, where it is one.
    pub commit: Option<String>,
    /// What else a reader must know.
    pub note: Option<String>,
    /// The files.
    pub files: Vec<FileRow>,
    /// How derived files are made.
    pub recipe: Option<Recipe>,
}

impl Manifest {
    /// Parses and validates the text of a manifest; `file` names it in errors.
    ///
    /// # Errors
    ///
    /// See [`Manifest`].
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, Error> {
        let syntax = |problem: String| Error::Syntax { file: file.to_owned(), problem };
        let text = std::str::from_utf8(text).map_err(|e| syntax(format!("not UTF-8: {e}")))?;
        let raw: RawManifest = toml::from_str(text).map_err(|e| syntax(e.to_string()))?;
        raw.validate(file)
    }

    /// Loads `<name>.toml`; the file's stem must be the manifest's name.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the file cannot be read, else as for [`Manifest`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let file = path.display().to_string();
        let text = std::fs::read(path).map_err(Error::io("read", path))?;
        let manifest = Self::parse(&file, &text)?;
        if path.file_stem().and_then(|s| s.to_str()) != Some(manifest.name.as_str()) {
            return Err(Error::Invalid {
                file,
                field: "name".to_owned(),
                expected: "the file's own stem",
                got: manifest.name,
            });
        }
        Ok(manifest)
    }

    /// Loads every `*.toml` of a folder, by name.
    ///
    /// # Errors
    ///
    /// The first error of [`Manifest::load`], in the order of the file names.
    pub fn load_all(folder: &Path) -> Result<BTreeMap<String, Self>, Error> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
            let path = entry.map_err(Error::io("list", folder))?.path();
            if path.extension().is_some_and(|e| e == "toml") {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| Self::load(path).map(|m| (m.name.clone(), m))).collect()
    }

    /// The row of a path.
    pub fn file(&self, path: &str) -> Option<&FileRow> {
        self.files.iter().find(|row| row.path == path)
    }
}
