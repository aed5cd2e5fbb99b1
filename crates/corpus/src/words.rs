//! Whole words as tokens, so that no tokenizer stands between a concept and its frequency.

use std::fmt::Write as _;
use std::ops::Range;

use world::{Document, World};

use crate::error::{CorpusError, Result};
use crate::tokenizer::sha256;

/// The words of a world as tokens: [`Words::END`] is 0, and the words follow in the order of the world's
/// vocabulary, all of them or those that occur in some documents.
///
/// # Examples
///
/// ```
/// use corpus::Words;
/// use world::{World, WorldConfig};
///
/// let world = World::new(&WorldConfig::default())?;
/// let all = Words::all(&world);
/// assert_eq!(all.vocab_size() as usize, world.vocabulary().len() + 1);
///
/// // One document has few words, and every one of them once.
/// let few = Words::seen(&world, 0..1);
/// let document = world.documents(0..1).next().unwrap();
/// let tokens = few.tokens(&document)?;
/// assert_eq!(tokens.len(), document.pieces().len());
/// assert!(few.vocab_size() as usize <= tokens.len() + 1);
/// assert_eq!(few.decode(&world, &tokens)?, document.text());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The id of each word of the world; none where it is left out.
    ids: Vec<Option<u32>>,
    /// The word of each id above 0.
    of_id: Vec<u16>,
    sha256: String,
}

impl Words {
    /// The token between documents.
    pub const END: u32 = 0;

    /// All words.
    pub fn all(world: &World) -> Self {
        Self::of(world, &vec![true; world.vocabulary().len()])
    }

    /// The words that occur in these documents. It generates them all, at millions of tokens a second.
    ///
    /// A corpus of these documents needs no more, and a model with fewer tokens trains faster. Another
    /// document may have a word that is left out, which is an error.
    pub fn seen(world: &World, documents: Range<u64>) -> Self {
        let mut is_seen = vec![false; world.vocabulary().len()];
        let mut document = Document::default();
        for index in documents {
            world.write(index, &mut document);
            document.tokens().for_each(|token| is_seen[usize::from(token)] = true);
        }
        Self::of(world, &is_seen)
    }

    fn of(world: &World, is_in: &[bool]) -> Self {
        let (mut ids, mut words, mut listing) = (Vec::new(), Vec::new(), String::new());
        for (word, is_in) in (0_u16..).zip(is_in) {
            if *is_in {
                words.push(word);
            }
            // A word is a u16.
            ids.push(is_in.then_some(u32::try_from(words.len()).unwrap_or(u32::MAX)));
            if *is_in {
                let surface = world.vocabulary().surface(word).unwrap_or_default();
                // Writing to a string cannot fail.
                let _ = writeln!(listing, "{word} {surface}");
            }
        }
        Self { ids, of_id: words, sha256: sha256(listing.as_bytes()) }
    }

    /// How many tokens there are.
    pub fn vocab_size(&self) -> u32 {
        u32::try_from(self.of_id.len() + 1).unwrap_or(u32::MAX)
    }

    /// SHA-256 of the numbered list of words.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The token of a word of the world; `None` where it is left out.
    pub fn id(&self, word: u16) -> Option<u32> {
        self.ids.get(usize::from(word)).copied().flatten()
    }

    /// The tokens of a document, one for each of its pieces.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Unknown`] for a word that is left out.
    pub fn tokens(&self, document: &Document) -> Result<Vec<u32>> {
        let ids = document.pieces().iter().map(|piece| {
            self.id(piece.token).ok_or_else(|| {
                let word = &document.text()[piece.start as usize..piece.end as usize];
                unknown(format!("{word:?} of document {}", document.index()))
            })
        });
        ids.collect()
    }

    /// The tokens of a text, a prompt for instance; see [`world::Vocabulary::encode`].
    ///
    /// # Errors
    ///
    /// [`CorpusError::Unknown`] for a text that is not made of these words.
    pub fn encode(&self, world: &World, text: &str) -> Result<Vec<u32>> {
        let words = world.vocabulary().encode(text);
        let ids = words.and_then(|words| words.into_iter().map(|word| self.id(word)).collect());
        ids.ok_or_else(|| unknown(format!("{text:?}")))
    }

    /// The text of tokens, [`Words::END`] left out.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Unknown`] for an id that is no token.
    pub fn decode(&self, world: &World, tokens: &[u32]) -> Result<String> {
        let word = |id: &u32| {
            let word = (*id as usize).checked_sub(1).and_then(|at| self.of_id.get(at)).copied();
            word.ok_or_else(|| unknown(format!("the token {id}")))
        };
        let words = tokens.iter().filter(|id| **id != Self::END).map(word);
        let words = words.collect::<Result<Vec<_>>>()?;
        world
            .vocabulary()
            .decode(&words)
            .ok_or_else(|| unknown("tokens of another world".to_owned()))
    }
}

fn unknown(what: String) -> CorpusError {
    CorpusError::Unknown {
        tokenizer: "this vocabulary of words",
        what,
        remedy: "take `Words::all`, or let `Words::seen` see the documents that are used",
    }
}
