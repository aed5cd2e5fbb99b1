//! What a world is built with: words, names, and concepts, in an order that no option changes.

use seed::{Rng, Seed};

use crate::concept::{ConceptId, Concepts, Kind};
use crate::config::Domain;
use crate::document::Role;
use crate::template::{Template, manner};
use crate::vocabulary::{Glue, Vocabulary};

/// Gives out words, names, and concepts.
pub(crate) struct Builder {
    pub(crate) concepts: Concepts,
    pub(crate) vocabulary: Vocabulary,
    /// The token of a line break.
    pub(crate) newline: u16,
    names: Rng,
}

impl Builder {
    pub(crate) fn new() -> Self {
        let mut vocabulary = Vocabulary::default();
        let newline = vocabulary.intern("\n", Glue::BOTH, Role::Newline);
        // Names are the same in every world, so their stream has a seed of its own.
        let names = Seed::new(0).stream("world", "names");
        Self { concepts: Concepts::default(), vocabulary, newline, names }
    }

    /// The token of a word of prose.
    pub(crate) fn word(&mut self, word: &str) -> u16 {
        let (surface, glue, role) = manner(word);
        self.vocabulary.intern(surface, glue, role)
    }

    /// The tokens of words with spaces between them.
    pub(crate) fn words(&mut self, words: &str) -> Vec<u16> {
        words.split_whitespace().map(|word| self.word(word)).collect()
    }

    /// A template of the world itself, whose gaps are `{0}` to `{7}`.
    pub(crate) fn template(&mut self, template: &str) -> Template {
        const GAPS: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];
        Template::read(self, template, &GAPS).expect("the world's own templates can be read")
    }

    pub(crate) fn templates(&mut self, templates: &[&str]) -> Vec<Template> {
        templates.iter().map(|template| self.template(template)).collect()
    }

    /// A concept that groups others.
    pub(crate) fn group(&mut self, name: &str, domain: Domain) -> ConceptId {
        self.concepts.add(name.to_owned(), None, domain, Kind::Group)
    }

    /// A concept below `parent`, named by the parent's path and `name`.
    pub(crate) fn concept(&mut self, parent: ConceptId, name: &str, kind: Kind) -> ConceptId {
        let above = self.concepts.get(parent).expect("parents come first");
        let (path, domain) = (format!("{}/{name}", above.name), above.domain);
        self.concepts.add(path, Some(parent), domain, kind)
    }

    /// A word that always stands for a new concept.
    pub(crate) fn meaning(
        &mut self,
        parent: ConceptId,
        word: &str,
        kind: Kind,
    ) -> (u16, ConceptId) {
        let concept = self.concept(parent, &word.to_lowercase(), kind);
        let token = self.word(word);
        self.vocabulary.mean(token, concept);
        (token, concept)
    }

    /// A new name that stands for a new concept.
    pub(crate) fn named(
        &mut self,
        parent: ConceptId,
        kind: Kind,
        syllables: usize,
        end: &str,
    ) -> (u16, ConceptId) {
        let name = self.name(syllables, end);
        let concept = self.concept(parent, &name.to_lowercase(), kind);
        let token = self.vocabulary.intern(&name, Glue::NONE, Role::Name);
        self.vocabulary.mean(token, concept);
        (token, concept)
    }

    /// A capitalized name that no word has yet.
    pub(crate) fn name(&mut self, syllables: usize, end: &str) -> String {
        let name = self.invent(syllables, end);
        let (first, rest) = name.split_at(1);
        first.to_uppercase() + rest
    }

    /// A word of that many syllables and an ending that no word, capitalized or not, is yet.
    pub(crate) fn invent(&mut self, syllables: usize, end: &str) -> String {
        const STARTS: [&str; 20] = [
            "b", "br", "d", "dr", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t",
            "tr", "v", "w", "z",
        ];
        const VOWELS: [&str; 7] = ["a", "e", "i", "o", "u", "ea", "ou"];
        const CLOSES: [&str; 8] = ["", "", "", "l", "n", "r", "s", "m"];
        loop {
            let mut word = String::new();
            for _ in 0..syllables {
                for set in [&STARTS[..], &VOWELS, &CLOSES] {
                    word.push_str(set[self.names.below(set.len())]);
                }
            }
            word.push_str(end);
            let capitalized = word[..1].to_uppercase() + &word[1..];
            if !self.vocabulary.has_surface(&word) && !self.vocabulary.has_surface(&capitalized) {
                return word;
            }
        }
    }
}
