//! The content words that languages share, and rare words without a meaning of their own.

use crate::build::Builder;
use crate::concept::{ConceptId, Kind};
use crate::config::Domain;
use crate::draw::Categorical;
use crate::template::Template;
use crate::writer::Writer;

const NOUNS: &str = "farmer river house garden girl teacher bridge letter market doctor forest window \
    sailor mountain book lamp baker road table king bird stone tree door soldier village chair queen boat \
    horse tower field painter island wall clock singer cloud ship key pirate valley basket mirror hunter \
    harbor wheel candle miller lake carpet drum pilot meadow crate coin weaver cave spoon bell";
const VERBS: &str = "see find carry paint watch follow love build visit open guard hear want help clean \
    call hold push move know fear thank sell mend";
const ADJECTIVES: &str = "old small green quiet tall bright young heavy cold empty golden strange long poor \
    soft dark clever proud narrow wet round broken sweet slow";

/// Words of one class, the most frequent first.
pub(crate) struct Class {
    /// The English tokens; those after the meanings are rare words.
    pub(crate) tokens: Vec<u16>,
    /// The concepts of the first of them.
    pub(crate) meanings: Vec<ConceptId>,
    /// Zipf's law over `tokens`.
    pub(crate) often: Categorical,
    /// Zipf's law over `meanings`.
    pub(crate) often_known: Categorical,
}

impl Class {
    fn new(b: &mut Builder, name: &str, words: &str, rare: usize) -> Self {
        let group = b.group(name, Domain::Languages);
        let (mut tokens, mut meanings) = (Vec::new(), Vec::new());
        for word in words.split_whitespace() {
            let (token, meaning) = b.meaning(group, word, Kind::Meaning);
            tokens.push(token);
            meanings.push(meaning);
        }
        for _ in 0..rare {
            let word = b.invent(2, "");
            tokens.push(b.word(&word));
        }
        let often = Categorical::zipf(tokens.len());
        let often_known = Categorical::zipf(meanings.len());
        Self { tokens, meanings, often, often_known }
    }
}

/// The words of English that carry meaning.
pub(crate) struct Lexicon {
    pub(crate) nouns: Class,
    pub(crate) verbs: Class,
    pub(crate) adjectives: Class,
}

impl Lexicon {
    pub(crate) fn new(b: &mut Builder) -> Self {
        Self {
            nouns: Class::new(b, "noun", NOUNS, 240),
            verbs: Class::new(b, "verb", VERBS, 0),
            adjectives: Class::new(b, "adjective", ADJECTIVES, 60),
        }
    }
}

impl Lexicon {
    /// An adjective and two nouns for the gaps `from`, `from + 1`, and `from + 2` of a template, drawn only where the
    /// template has the gap. `known` leaves rare words out.
    pub(crate) fn words(
        &self,
        template: &Template,
        from: usize,
        known: bool,
        w: &mut Writer,
    ) -> [u16; 3] {
        let classes = [&self.adjectives, &self.nouns, &self.nouns];
        let mut words = [0; 3];
        for (at, class) in classes.into_iter().enumerate() {
            if template.has_gap(from + at) {
                let often = if known { &class.often_known } else { &class.often };
                words[at] = class.tokens[w.draw.pick(often)];
            }
        }
        words
    }
}
