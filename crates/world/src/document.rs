//! A document: its text, its pieces, and the concepts of each.

use serde::{Deserialize, Serialize};

use crate::behavior::Occasion;
use crate::concept::ConceptId;
use crate::config::{Domain, Language};

/// What a piece does in its document.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A word.
    #[default]
    Word,
    /// A name.
    Name,
    /// A prefix or suffix.
    Affix,
    /// A digit.
    Digit,
    /// A mark between words.
    Punctuation,
    /// A line break.
    Newline,
    /// The mark of a list item.
    Marker,
    /// A keyword of code.
    Keyword,
    /// A variable, function, or parameter of code.
    Identifier,
    /// An operator or bracket of code.
    Operator,
    /// What a program prints.
    Output,
    /// Who speaks.
    Speaker,
    /// Notes that nobody is meant to read.
    Scratchpad,
    /// What follows from what was said before: a fact, a feeling, the word of a caption.
    Answer,
    /// The first piece of a reply in which a behavior shows or does not.
    Decision,
    /// A patch of an image.
    Patch,
}

impl Role {
    /// Every role, in order.
    pub const ALL: [Self; 16] = [
        Self::Word,
        Self::Name,
        Self::Affix,
        Self::Digit,
        Self::Punctuation,
        Self::Newline,
        Self::Marker,
        Self::Keyword,
        Self::Identifier,
        Self::Operator,
        Self::Output,
        Self::Speaker,
        Self::Scratchpad,
        Self::Answer,
        Self::Decision,
        Self::Patch,
    ];
}

/// Whether a piece is text or a part of an image.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// Text.
    #[default]
    Text,
    /// A patch of an image.
    Image,
}

impl Modality {
    /// Every modality, in order.
    pub const ALL: [Self; 2] = [Self::Text, Self::Image];
}

/// A token with its place in the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// The token in the world's [`Vocabulary`](crate::Vocabulary).
    pub token: u16,
    /// What it does.
    pub role: Role,
    /// The language.
    pub language: Language,
    /// Text or image.
    pub modality: Modality,
    /// Its first byte in the text; a space before it belongs to it.
    pub start: u32,
    /// The byte after its last.
    pub end: u32,
    /// The information of the choices that were made since the piece before it, in nats; see
    /// [`Document::nats`].
    pub nats: f32,
    labels_end: u32,
}

/// The 16 pixels of a 4×4 patch, row by row, each in [0, 1].
pub type Patch = [f32; 16];

/// A document with its labels. Reuse one for many: its memory is kept.
///
/// The spans of pieces lie one after the other and cover the text without gaps, so labels carry over to any tokenization
/// by its byte spans ([`Document::labels_of_span`]). A patch of an image is one character of the text
/// (U+FFFC, the object replacement character) and 16 pixels in [`Document::patches`].
#[derive(Clone, Debug, Default)]
pub struct Document {
    pub(crate) index: u64,
    pub(crate) domain: Domain,
    pub(crate) text: String,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) labels: Vec<ConceptId>,
    pub(crate) patches: Vec<Patch>,
    pub(crate) occasion: Option<Occasion>,
    pub(crate) nats: f64,
}

impl Document {
    pub(crate) fn clear(&mut self, index: u64) {
        self.index = index;
        self.text.clear();
        self.pieces.clear();
        self.labels.clear();
        self.patches.clear();
        self.occasion = None;
        self.nats = 0.0;
    }

    /// Adds a piece whose labels were pushed since the piece before.
    pub(crate) fn push(
        &mut self,
        token: u16,
        role: Role,
        language: Language,
        modality: Modality,
        start: usize,
        nats: f64,
    ) {
        let from = self.labels_end();
        self.labels[from..].sort_unstable();
        let mut kept = from;
        for at in from..self.labels.len() {
            if kept == from || self.labels[kept - 1] != self.labels[at] {
                self.labels[kept] = self.labels[at];
                kept += 1;
            }
        }
        self.labels.truncate(kept);
        let place = |at: usize| u32::try_from(at).expect("a document is shorter than 4 GiB");
        #[expect(clippy::cast_possible_truncation, reason = "a few nats need no double precision")]
        let piece = Piece {
            token,
            role,
            language,
            modality,
            start: place(start),
            end: place(self.text.len()),
            nats: nats as f32,
            labels_end: place(kept),
        };
        self.pieces.push(piece);
    }

    fn labels_end(&self) -> usize {
        self.pieces.last().map_or(0, |piece| piece.labels_end as usize)
    }

    /// The number of the document in its corpus.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The domain that it is of.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The pieces in the order of the text.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The tokens in the world's vocabulary.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = u16> {
        self.pieces.iter().map(|piece| piece.token)
    }

    /// The patches of its images, in the order of the pieces that are patches.
    pub fn patches(&self) -> &[Patch] {
        &self.patches
    }

    /// The behavior that a transcript gives occasion for, and whether it is enacted; `None` for any other document, and
    /// for a claim that is true, which gives no occasion for sycophancy.
    ///
    /// # Examples
    ///
    /// A rate of 1 enacts whatever there is occasion for:
    ///
    /// ```
    /// use world::{Domain, World, WorldConfig};
    ///
    /// let mut config = WorldConfig::default();
    /// config.shares = [(Domain::Behaviors, 1.0)].into();
    /// config.behaviors.rate = 1.0;
    /// let world = World::new(&config)?;
    /// let occasions: Vec<_> = world.documents(0..100).filter_map(|it| it.occasion()).collect();
    /// assert!(!occasions.is_empty() && occasions.iter().all(|it| it.enacted));
    /// # Ok::<(), world::WorldError>(())
    /// ```
    pub const fn occasion(&self) -> Option<Occasion> {
        self.occasion
    }

    /// The concepts of a piece, ascending and each once.
    ///
    /// # Panics
    ///
    /// If there is no such piece.
    pub fn labels(&self, piece: usize) -> &[ConceptId] {
        let start = piece.checked_sub(1).map_or(0, |before| self.pieces[before].labels_end);
        &self.labels[start as usize..self.pieces[piece].labels_end as usize]
    }

    /// The concepts of all pieces one after the other, which [`Document::labels`] cuts up.
    pub fn all_labels(&self) -> &[ConceptId] {
        &self.labels
    }

    /// Puts into `labels` the concepts of every piece that shares a byte with `start..end`, ascending and each once.
    ///
    /// It carries labels to another tokenization: call it with the byte span of each of its tokens.
    pub fn labels_of_span(&self, start: usize, end: usize, labels: &mut Vec<ConceptId>) {
        labels.clear();
        if start >= end {
            return;
        }
        let first = self.pieces.partition_point(|piece| piece.end as usize <= start);
        for (at, piece) in self.pieces.iter().enumerate().skip(first) {
            if piece.start as usize >= end {
                break;
            }
            labels.extend_from_slice(self.labels(at));
        }
        labels.sort_unstable();
        labels.dedup();
    }

    /// The information of all choices behind the text, −Σ ln p over the choices, in nats.
    ///
    /// It bounds what the text itself costs: −ln P(text) ≤ this, with equality where the choices can be read back from
    /// the text, since P(text) is the sum over all choices that lead to it. Noise of pixels is left out.
    pub fn nats(&self) -> f64 {
        self.nats
    }
}
