//! The fixed vocabulary of a world: its words as tokens, and how they are spaced.

use std::collections::{BTreeMap, BTreeSet};

use crate::concept::ConceptId;
use crate::document::Role;
use crate::error::WorldError;

/// Where a word stands without a space beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Glue {
    pub(crate) left: bool,
    pub(crate) right: bool,
}

impl Glue {
    pub(crate) const NONE: Self = Self { left: false, right: false };
    pub(crate) const LEFT: Self = Self { left: true, right: false };
    pub(crate) const RIGHT: Self = Self { left: false, right: true };
    pub(crate) const BOTH: Self = Self { left: true, right: true };
}

/// A word of the vocabulary.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) surface: String,
    pub(crate) glue: Glue,
    pub(crate) role: Role,
    /// The concept that the word stands for wherever it is said.
    pub(crate) concept: Option<ConceptId>,
}

/// The words that a world's text is made of, each a token.
///
/// Text follows from tokens: between two words stands a space, unless the first sticks to what follows (an opening
/// bracket) or the second to what precedes (a comma, a suffix, a further digit). Two tokens may look the same and
/// differ in that. A name is one token, so no tokenizer stands between a concept and its frequency.
///
/// Tokens do not depend on options: words of plants are appended.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    words: Vec<Word>,
    by_surface: BTreeMap<(String, Glue), u16>,
    /// Bytes of the longest word.
    longest: usize,
}

impl Vocabulary {
    /// The token of a word, which is made where it is new.
    pub(crate) fn intern(&mut self, surface: &str, glue: Glue, role: Role) -> u16 {
        let key = (surface.to_owned(), glue);
        if let Some(&token) = self.by_surface.get(&key) {
            return token;
        }
        let token = u16::try_from(self.words.len()).unwrap_or(u16::MAX);
        self.longest = self.longest.max(surface.len());
        self.words.push(Word { surface: surface.to_owned(), glue, role, concept: None });
        self.by_surface.insert(key, token);
        token
    }

    /// `Ok` where every word has a token of its own.
    pub(crate) fn check(&self) -> Result<(), WorldError> {
        let got = self.words.len();
        if got > usize::from(u16::MAX) { Err(WorldError::Vocabulary { got }) } else { Ok(()) }
    }

    pub(crate) fn mean(&mut self, token: u16, concept: ConceptId) {
        let word = &mut self.words[usize::from(token)];
        assert!(word.concept.is_none_or(|old| old == concept), "{} means two", word.surface);
        word.concept = Some(concept);
    }

    pub(crate) fn word(&self, token: u16) -> &Word {
        &self.words[usize::from(token)]
    }

    /// Whether a word looks like this, however it is spaced.
    pub(crate) fn has_surface(&self, surface: &str) -> bool {
        let from = (surface.to_owned(), Glue::NONE);
        self.by_surface.range(from..).next().is_some_and(|((found, _), _)| found == surface)
    }

    /// The number of words; tokens are 0 to this number.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// How the word of a token looks, without spaces around it; `None` for no token of this vocabulary.
    pub fn surface(&self, token: u16) -> Option<&str> {
        self.words.get(usize::from(token)).map(|word| word.surface.as_str())
    }

    /// The token of the word that looks like this, the one with spaces around it where there are several.
    ///
    /// # Examples
    ///
    /// ```
    /// let world = world::World::new(&world::WorldConfig::default())?;
    /// let words = world.vocabulary();
    /// let token = words.token("capital").unwrap();
    /// assert_eq!(words.surface(token), Some("capital"));
    /// # Ok::<(), world::WorldError>(())
    /// ```
    pub fn token(&self, surface: &str) -> Option<u16> {
        let from = (surface.to_owned(), Glue::NONE);
        let ((found, _), &token) = self.by_surface.range(from..).next()?;
        (found == surface).then_some(token)
    }

    /// The text of tokens; `None` where one is no token of this vocabulary.
    ///
    /// It is the text of the document that the tokens came from.
    pub fn decode(&self, tokens: &[u16]) -> Option<String> {
        let mut text = String::new();
        let mut open = true;
        for &token in tokens {
            let word = self.words.get(usize::from(token))?;
            if !open && !word.glue.left {
                text.push(' ');
            }
            text.push_str(&word.surface);
            open = word.glue.right;
        }
        Some(text)
    }

    /// Tokens whose text is this; `None` where the vocabulary cannot spell it.
    ///
    /// Words are taken from left to right, each as long as the rest allows. Of two that look the same, the one with
    /// a space before it is taken where both would do. [`Vocabulary::decode`] gives the text back, byte for byte.
    ///
    /// # Examples
    ///
    /// ```
    /// let world = world::World::new(&world::WorldConfig::default())?;
    /// let words = world.vocabulary();
    /// let tokens = words.encode("the capital").unwrap();
    /// assert_eq!(tokens.len(), 2);
    /// assert_eq!(words.decode(&tokens).unwrap(), "the capital");
    /// assert_eq!(words.encode("the  capital"), None);
    /// # Ok::<(), world::WorldError>(())
    /// ```
    pub fn encode(&self, text: &str) -> Option<Vec<u16>> {
        let mut taken: Vec<u16> = Vec::new();
        // What may come at each place that is still open, the best last.
        let mut places = vec![self.words_at(text, 0, true)];
        let mut visited = BTreeSet::new();
        if text.is_empty() {
            return Some(taken);
        }
        while let Some(candidates) = places.last_mut() {
            let Some((token, end)) = candidates.pop() else {
                places.pop();
                taken.pop();
                continue;
            };
            let open = self.word(token).glue.right;
            if end == text.len() {
                taken.push(token);
                return Some(taken);
            }
            // What was tried from here before has failed.
            if visited.insert((end, open)) {
                taken.push(token);
                places.push(self.words_at(text, end, open));
            }
        }
        None
    }

    /// The words that the text can go on with at a byte, and the byte after each; the best last.
    fn words_at(&self, text: &str, at: usize, open: bool) -> Vec<(u16, usize)> {
        let has_space = !open && text[at..].starts_with(' ');
        let start = at + usize::from(has_space);
        let mut found = Vec::new();
        let ends = text[start..].char_indices().map(|(place, c)| start + place + c.len_utf8());
        for end in ends.take_while(|end| end - start <= self.longest) {
            let from = (text[start..end].to_owned(), Glue::NONE);
            let same = self.by_surface.range(from..);
            let same = same.take_while(|((surface, _), _)| *surface == text[start..end]);
            let fitting = same.filter(|((_, glue), _)| open || glue.left != has_space);
            let fitting: Vec<u16> = fitting.map(|(_, token)| *token).collect();
            found.extend(fitting.into_iter().rev().map(|token| (token, end)));
        }
        found
    }
}
