//! Documents of the world as tokens with labels, by whole words or by byte-pair encoding.

use std::fmt::Write as _;

use lm::{Token, Tokenizer};
use seed::Seed;
use sha2::{Digest, Sha256};
use store::LabelledDocument;
use world::{Document, Language, Modality, Piece};

use crate::error::{CorpusError, Result};
use crate::split::Split;
use crate::words::Words;

/// The token that a byte-pair encoding has between documents.
pub const END: &str = "<|end|>";
/// The text of a patch of an image: the object replacement character, a token in every tokenizer of the
/// world.
pub const PATCH: &str = "\u{fffc}";

/// How documents of a world become tokens.
#[derive(Clone, Debug)]
pub enum WorldTokenizer {
    /// Each word is a token: no tokenizer confounds the frequency of a concept.
    Words(Words),
    /// Byte-level byte-pair encoding: any text has tokens, and Hugging Face reads it.
    Bpe(Box<Bpe>),
}

/// A byte-pair encoding that knows the end of documents and patches.
#[derive(Clone, Debug)]
pub struct Bpe {
    tokenizer: Tokenizer,
    vocab_size: u32,
    end: u32,
    sha256: String,
}

impl WorldTokenizer {
    /// Trains a byte-level BPE of `vocab_size` tokens, [`END`] and [`PATCH`] among them, on a share of
    /// documents, each drawn by its place and the seed.
    ///
    /// A function of texts, size, share and seed. All texts drawn are held in memory.
    ///
    /// # Errors
    ///
    /// Those of the documents, and of [`Tokenizer::train`]; [`CorpusError::Range`] for a share that is
    /// none, or that draws no document.
    ///
    /// # Examples
    ///
    /// ```
    /// use corpus::WorldTokenizer;
    /// use world::{World, WorldConfig};
    ///
    /// let world = World::new(&WorldConfig::default())?;
    /// let texts = world.documents(0..20).map(|document| Ok(document.text().to_owned()));
    /// let tokenizer = WorldTokenizer::train_bpe(texts, 1.0, 300, 0)?;
    /// assert_eq!(tokenizer.vocab_size(), 300);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn train_bpe(
        texts: impl Iterator<Item = Result<String>>,
        share: f64,
        vocab_size: usize,
        seed: u64,
    ) -> Result<Self> {
        let range = |interval| CorpusError::Range { what: "the share", got: share, interval };
        if !(0.0..=1.0).contains(&share) {
            return Err(range("[0, 1]"));
        }
        let mut drawn = Vec::new();
        for (at, text) in texts.enumerate() {
            let mut rng = Seed::new(seed).stream("corpus tokenizer", &at.to_string());
            let (text, is_drawn) = (text?, rng.uniform() < share);
            if is_drawn {
                drawn.push(text);
            }
        }
        if drawn.is_empty() {
            return Err(range("what draws a document or more"));
        }
        Self::bpe(Tokenizer::train(&drawn, vocab_size, &[END, PATCH])?)
    }

    /// A byte-pair encoding that was trained so before.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Unknown`] if it has no [`END`] or no [`PATCH`].
    pub fn bpe(tokenizer: Tokenizer) -> Result<Self> {
        let id = |token: &str| {
            tokenizer.id(token).ok_or_else(|| CorpusError::Unknown {
                tokenizer: "this byte-pair encoding",
                what: format!("the special token {token:?}"),
                remedy: "take one of `WorldTokenizer::train_bpe`",
            })
        };
        let end = id(END)?;
        id(PATCH)?;
        let vocab_size = u32::try_from(tokenizer.vocab_size()).unwrap_or(u32::MAX);
        let sha256 = sha256(tokenizer.to_json()?.as_bytes());
        Ok(Self::Bpe(Box::new(Bpe { tokenizer, vocab_size, end, sha256 })))
    }

    /// Tokens are below it.
    pub fn vocab_size(&self) -> u32 {
        match self {
            Self::Words(words) => words.vocab_size(),
            Self::Bpe(bpe) => bpe.vocab_size,
        }
    }

    /// The token between documents.
    pub const fn end(&self) -> u32 {
        match self {
            Self::Words(_) => Words::END,
            Self::Bpe(bpe) => bpe.end,
        }
    }

    /// What identifies it: SHA-256 of tokenizer.json, or of the list of words.
    pub fn sha256(&self) -> &str {
        match self {
            Self::Words(words) => words.sha256(),
            Self::Bpe(bpe) => &bpe.sha256,
        }
    }

    /// The tokenizer of a byte-pair encoding, to save it beside a model.
    pub const fn tokenizer(&self) -> Option<&Tokenizer> {
        match self {
            Self::Words(_) => None,
            Self::Bpe(bpe) => Some(&bpe.tokenizer),
        }
    }

    /// The tokens of a document with their byte spans.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Unknown`] for a word that is left out, [`CorpusError::Lm`] if the tokenizer fails.
    pub fn tokens(&self, document: &Document) -> Result<Vec<Token>> {
        match self {
            Self::Words(words) => {
                let spans = document.pieces().iter().map(|p| p.start as usize..p.end as usize);
                let ids = words.tokens(document)?.into_iter();
                Ok(ids.zip(spans).map(|(id, span)| Token { id, span }).collect())
            }
            Self::Bpe(bpe) => Ok(bpe.tokenizer.encode(document.text())?),
        }
    }

    /// Makes `into` the document as the store keeps it: tokens, and for each the concepts of every piece
    /// that it shares a byte with; language, modality and role are those of the first such piece.
    ///
    /// So for each concept the bytes of the tokens that carry it contain the bytes of the pieces that
    /// do, and every such token has at least one of these bytes.
    ///
    /// # Errors
    ///
    /// As for [`WorldTokenizer::tokens`].
    pub fn label(
        &self,
        document: &Document,
        split: Split,
        into: &mut LabelledDocument,
    ) -> Result<()> {
        let most = |counts: &[usize]| {
            let best = counts.iter().enumerate().rev().max_by_key(|(_, count)| **count);
            best.map_or(0, |(code, _)| u8::try_from(code).unwrap_or(u8::MAX))
        };
        let mut languages = [0; Language::ALL.len()];
        let mut modalities = [0; Modality::ALL.len()];
        for piece in document.pieces() {
            languages[piece.language as usize] += 1;
            modalities[piece.modality as usize] += 1;
        }
        into.begin(store::Document {
            id: document.index(),
            group: document.index(),
            domain: document.domain() as u16,
            language: most(&languages),
            modality: most(&modalities),
            split: split.code(),
        });
        let (mut labels, mut concepts) = (Vec::new(), Vec::new());
        for Token { id, span } in self.tokens(document)? {
            document.labels_of_span(span.start, span.end, &mut labels);
            concepts.clear();
            concepts.extend(labels.iter().map(|concept| u32::from(concept.0)));
            let Some(Piece { language, modality, role, .. }) = piece_at(document, span.start)
            else {
                continue;
            };
            into.push(id, *language as u8, *modality as u8, *role as u8, &concepts);
        }
        into.patches.extend(document.patches().iter().flatten());
        Ok(())
    }
}

/// The piece that has this byte.
fn piece_at(document: &Document, byte: usize) -> Option<&Piece> {
    let at = document.pieces().partition_point(|piece| piece.end as usize <= byte);
    document.pieces().get(at)
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
