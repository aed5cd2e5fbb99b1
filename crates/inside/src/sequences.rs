//! Texts as a model reads them.

use corpus::{Split, Words};
use interp::ConceptSets;
use kernels::dictionary::Codes;
use substrate::WorldText;
use world::Domain;

use crate::error::{InsideError, Result};

/// What dictionaries of the world's models learn from, and are measured on. Paper C's learned no dialogues and no images; documents
/// about behaviors are left out too, since most are transcripts.
pub const DOMAINS: [Domain; 7] = [
    Domain::Entities,
    Domain::Geography,
    Domain::Languages,
    Domain::Code,
    Domain::Facts,
    Domain::Emotions,
    Domain::Lists,
];

/// Texts cut to what a model reads at once, and the concepts of their tokens.
///
/// # Examples
///
/// ```
/// use inside::Sequences;
///
/// let texts = [vec![5, 6, 7], vec![], vec![8]];
/// let sequences = Sequences::cut(texts, 0, 3)?;
/// assert_eq!(sequences.tokens(), [vec![0, 5, 6], vec![0, 7], vec![0, 8]]);
/// assert_eq!(sequences.n_rows(), 4);
/// assert_eq!(sequences.words(9)?.row(2), (&[7][..], &[1.0][..]));
/// // Whole sequences, until there are so many rows.
/// let (first, rest) = sequences.split_at(3);
/// assert_eq!((first.n_rows(), rest.tokens()), (3, &[vec![0, 8]][..]));
/// # Ok::<(), inside::InsideError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequences {
    tokens: Vec<Vec<u32>>,
    /// Of each row, ascending; none without labels.
    concepts: Option<Vec<Vec<u32>>>,
}

impl Sequences {
    /// Texts, each cut into sequences of at most `n_positions` tokens, the one that begins them included.
    ///
    /// # Errors
    /// [`InsideError::Positions`] for fewer than two positions.
    pub fn cut(
        texts: impl IntoIterator<Item = Vec<u32>>,
        begin: u32,
        n_positions: usize,
    ) -> Result<Self> {
        if n_positions < 2 {
            return Err(InsideError::Positions { what: "texts cut", got: n_positions });
        }
        let mut tokens = Vec::new();
        for text in texts {
            tokens.extend(text.chunks(n_positions - 1).map(|part| [&[begin], part].concat()));
        }
        Ok(Self { tokens, concepts: None })
    }

    /// Documents of a split of the world, of [`DOMAINS`], in the order of their numbers, until there are `n_rows` rows; with the
    /// concepts of every token, the most specific only.
    ///
    /// # Errors
    /// As [`Self::cut`]; [`corpus::CorpusError::Unknown`] for words that the vocabulary lacks.
    pub fn of_world(
        text: &WorldText,
        split: Split,
        n_positions: usize,
        n_rows: usize,
    ) -> Result<Self> {
        let mut all = Self { tokens: Vec::new(), concepts: Some(Vec::new()) };
        let mut found = 0;
        let documents = text.documents(split, None);
        for document in documents.filter(|document| DOMAINS.contains(&document.domain())) {
            if found >= n_rows {
                break;
            }
            let tokens = text.words().tokens(&document)?;
            found += tokens.len();
            let labels = (0..tokens.len()).map(|piece| {
                let mut labels: Vec<u32> =
                    document.labels(piece).iter().map(|concept| u32::from(concept.0)).collect();
                labels.sort_unstable();
                labels.dedup();
                labels
            });
            if let Some(concepts) = &mut all.concepts {
                concepts.extend(labels);
            }
            all.tokens.extend(Self::cut([tokens], Words::END, n_positions)?.tokens);
        }
        Ok(all)
    }

    /// The tokens of each sequence, the one that begins it first.
    pub fn tokens(&self) -> &[Vec<u32>] {
        &self.tokens
    }

    /// Tokens behind the first of each sequence: rows of [`activations`](crate::activations).
    pub fn n_rows(&self) -> usize {
        self.tokens.iter().map(|sequence| sequence.len() - 1).sum()
    }

    /// The concepts of each row, of so many that there are; none without labels.
    ///
    /// # Errors
    /// As [`ConceptSets::from_rows`].
    pub fn concepts(&self, n_concepts: usize) -> Result<Option<ConceptSets>> {
        let of = |rows: &Vec<Vec<u32>>| ConceptSets::from_rows(n_concepts, rows);
        Ok(self.concepts.as_ref().map(of).transpose()?)
    }

    /// What single words tell: a latent for each of `n_tokens` tokens, active at 1 in the rows of that token.
    ///
    /// # Errors
    /// A token beyond them.
    pub fn words(&self, n_tokens: usize) -> Result<Codes> {
        let tokens = self.tokens.iter().flat_map(|sequence| &sequence[1..]);
        let rows: Vec<Vec<(u32, f32)>> = tokens.map(|token| vec![(*token, 1.0)]).collect();
        Ok(Codes::from_rows(n_tokens, &rows)?)
    }

    /// The first sequences, until they have `n_rows` rows, and the rest.
    #[must_use]
    pub fn split_at(mut self, n_rows: usize) -> (Self, Self) {
        let mut found = 0;
        let is_before = |sequence: &&Vec<u32>| {
            let before = found < n_rows;
            found += if before { sequence.len() - 1 } else { 0 };
            before
        };
        let n_first = self.tokens.iter().take_while(is_before).count();
        let tokens = self.tokens.split_off(n_first);
        let concepts = self.concepts.as_mut().map(|rows| rows.split_off(found));
        (self, Self { tokens, concepts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_position_is_no_sequence() {
        assert!(Sequences::cut([vec![1]], 0, 1).is_err());
    }
}
