//! Documents of a world to a corpus on disk.

use std::path::Path;

use serde::Serialize;
use store::{CorpusInfo, CorpusLayout, CorpusWriter, LabelledDocument, Names};
use world::{Document, Domain, Language, Modality, Patch, Role, World, WorldConfig};

use crate::error::{CorpusError, Result};
use crate::split::{Split, Splits};
use crate::tokenizer::{WorldTokenizer, sha256};

/// A part of a world's endless corpus: documents from `first` on, until there are `n_tokens`.
#[derive(Clone, Copy)]
pub struct WorldCorpus<'a> {
    /// Where documents come from.
    pub world: &'a World,
    /// How they become tokens.
    pub tokenizer: &'a WorldTokenizer,
    /// What each serves.
    pub splits: Splits,
    /// The number of the first.
    pub first: u64,
    /// The document that reaches so many tokens is the last.
    pub n_tokens: u64,
}

/// How far a corpus is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Documents.
    pub n_documents: u64,
    /// Tokens.
    pub n_tokens: u64,
}

/// What decides every document of a corpus.
#[derive(Serialize)]
struct Source<'a> {
    world: &'a WorldConfig,
    splits: Splits,
    first: u64,
    n_tokens: u64,
}

impl WorldCorpus<'_> {
    /// What the corpus is, for the store and its readers. Concepts have the world's numbers.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Range`] for splits or a size that cannot be.
    pub fn info(&self) -> Result<CorpusInfo> {
        self.splits.check()?;
        if self.n_tokens == 0 {
            return Err(CorpusError::Range { what: "n_tokens", got: 0.0, interval: "[1, ∞)" });
        }
        let (splits, first, n_tokens) = (self.splits, self.first, self.n_tokens);
        let source = Source { world: self.world.config(), splits, first, n_tokens };
        Ok(CorpusInfo {
            source_sha256: sha256(word(&source).as_bytes()),
            tokenizer_sha256: self.tokenizer.sha256().to_owned(),
            vocab_size: self.tokenizer.vocab_size(),
            patch_len: u32::try_from(Patch::default().len()).unwrap_or(u32::MAX),
            names: Names {
                languages: Language::ALL.iter().map(word).collect(),
                modalities: Modality::ALL.iter().map(word).collect(),
                roles: Role::ALL.iter().map(word).collect(),
                splits: Split::ALL.iter().map(|split| split.as_str().to_owned()).collect(),
                domains: Domain::ALL.iter().map(word).collect(),
                concepts: self.world.concepts().iter().map(|(_, it)| it.name.clone()).collect(),
            },
        })
    }
}

/// A value as serde writes it, without quotes where it is a word.
fn word<T: Serialize>(value: &T) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    text.trim_matches('"').to_owned()
}

/// Writes a corpus, or goes on with one whose writer was killed; it then has the same bytes as one that
/// was written at a stretch. One document is held at a time.
///
/// # Errors
///
/// [`CorpusError::Range`] for settings that cannot be, [`CorpusError::Unknown`] for a word that the
/// tokenizer leaves out, [`CorpusError::Store`] if the folder holds another corpus, or a finished one, or
/// cannot be written.
///
/// # Examples
///
/// ```
/// use corpus::{Splits, Words, WorldCorpus, WorldTokenizer, write_world};
/// use store::{CorpusLayout, CorpusReader};
/// use world::{World, WorldConfig};
///
/// let folder = tempfile::tempdir()?;
/// let world = World::new(&WorldConfig::default())?;
/// let tokenizer = WorldTokenizer::Words(Words::all(&world));
/// let splits = Splits { dictionary: 0.3, test: 0.1, seed: 0 };
/// let corpus =
///     WorldCorpus { world: &world, tokenizer: &tokenizer, splits, first: 0, n_tokens: 1000 };
/// let written = write_world(folder.path(), &corpus, CorpusLayout::DEFAULT, &mut |_| {})?;
/// assert!(written.n_tokens >= 1000);
/// assert_eq!(CorpusReader::open(folder.path(), &corpus.info()?)?.n_tokens(), written.n_tokens);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_world(
    folder: &Path,
    corpus: &WorldCorpus,
    layout: CorpusLayout,
    on_progress: &mut dyn FnMut(Written),
) -> Result<Written> {
    let mut writer = CorpusWriter::resume(folder, &corpus.info()?, layout)?;
    let (mut document, mut labelled) = (Document::default(), LabelledDocument::default());
    while writer.n_tokens() < corpus.n_tokens {
        let index = corpus.first + writer.n_documents();
        corpus.world.write(index, &mut document);
        corpus.tokenizer.label(&document, corpus.splits.of(index), &mut labelled)?;
        writer.append(&labelled)?;
        on_progress(written(&writer));
    }
    let written = written(&writer);
    writer.finish()?;
    Ok(written)
}

pub(crate) fn written(writer: &CorpusWriter) -> Written {
    Written { n_documents: writer.n_documents(), n_tokens: writer.n_tokens() }
}
