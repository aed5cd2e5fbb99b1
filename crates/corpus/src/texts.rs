//! Texts to a corpus on disk.

use std::path::Path;

use lm::Tokenizer;
use store::{CorpusInfo, CorpusLayout, CorpusWriter, Document, LabelledDocument, Names};

use crate::error::{CorpusError, Result};
use crate::split::{Split, Splits};
use crate::text_files::TextDocument;
use crate::tokenizer::sha256;
use crate::world_corpus::{Written, written};

/// The domains of texts, by the end of the file's name.
const DOMAINS: [(&str, Option<&str>); 3] =
    [("text", None), ("rust", Some("rs")), ("documentation", Some("md"))];

/// A corpus of texts, without concepts.
#[derive(Clone, Copy, Debug)]
pub struct TextCorpus<'a> {
    /// What identifies the texts and their order: [`crate::TextFiles::sha256`], for instance.
    pub source_sha256: &'a str,
    /// How they become tokens.
    pub tokenizer: &'a Tokenizer,
    /// What each document serves.
    pub splits: Splits,
}

impl TextCorpus<'_> {
    /// What the corpus is, for the store and its readers.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Range`] for splits that cannot be, [`CorpusError::Lm`] if the tokenizer fails.
    pub fn info(&self) -> Result<CorpusInfo> {
        self.splits.check()?;
        let Splits { dictionary, test, seed } = self.splits;
        let source = format!("{} {dictionary:?} {test:?} {seed}", self.source_sha256);
        let one = |name: &str| vec![name.to_owned()];
        Ok(CorpusInfo {
            source_sha256: sha256(source.as_bytes()),
            tokenizer_sha256: sha256(self.tokenizer.to_json()?.as_bytes()),
            vocab_size: u32::try_from(self.tokenizer.vocab_size()).unwrap_or(u32::MAX),
            patch_len: 0,
            names: Names {
                languages: one("unknown"),
                modalities: one("text"),
                roles: one("text"),
                splits: Split::ALL.iter().map(|split| split.as_str().to_owned()).collect(),
                domains: DOMAINS.iter().map(|(name, _)| (*name).to_owned()).collect(),
                concepts: Vec::new(),
            },
        })
    }
}

/// Writes a corpus of texts, or goes on with one whose writer was killed; it then has the same bytes as
/// one that was written at a stretch. One document is held at a time. The group of a document is the
/// first document of its file.
///
/// # Errors
///
/// Those of the documents; [`CorpusError::NoText`] for a document without a token,
/// [`CorpusError::Store`] if the folder holds another corpus, or a finished one, or cannot be written.
pub fn write_texts(
    folder: &Path,
    corpus: &TextCorpus,
    documents: impl Iterator<Item = Result<TextDocument>>,
    layout: CorpusLayout,
    on_progress: &mut dyn FnMut(Written),
) -> Result<Written> {
    let mut writer = CorpusWriter::resume(folder, &corpus.info()?, layout)?;
    let mut labelled = LabelledDocument::default();
    let n_there = writer.n_documents();
    let mut group = 0;
    for (id, document) in (0..).zip(documents) {
        let TextDocument { path, start, text } = document?;
        if start == 0 {
            group = id;
        }
        if id < n_there {
            continue;
        }
        let suffix = path.extension().and_then(|suffix| suffix.to_str());
        let domain = DOMAINS.iter().position(|(_, of)| of.is_some() && *of == suffix).unwrap_or(0);
        labelled.begin(Document {
            id,
            group,
            domain: u16::try_from(domain).unwrap_or(0),
            language: 0,
            modality: 0,
            split: corpus.splits.of(id).code(),
        });
        for token in corpus.tokenizer.encode(&text)? {
            labelled.push(token.id, 0, 0, 0, &[]);
        }
        if labelled.tokens.is_empty() {
            return Err(CorpusError::NoText { path, expected: "text that has a token" });
        }
        writer.append(&labelled)?;
        on_progress(written(&writer));
    }
    let written = written(&writer);
    writer.finish()?;
    Ok(written)
}
