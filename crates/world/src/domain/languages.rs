//! W3: the same meanings in four languages.

use super::lexicon::Lexicon;
use crate::build::Builder;
use crate::concept::{ConceptId, Kind};
use crate::config::{Domain, Language, LanguageOptions};
use crate::document::Role;
use crate::vocabulary::Glue;
use crate::writer::Writer;

/// A thing in a sentence, by the numbers of its words.
#[derive(Clone, Copy)]
struct Thing {
    noun: usize,
    adjective: Option<usize>,
    plural: bool,
}

/// What a sentence says, in no language.
#[derive(Clone, Copy)]
struct Meaning {
    subject: Thing,
    verb: usize,
    modal: usize,
    object: Thing,
}

/// Parts of a sentence.
#[derive(Clone, Copy)]
enum Part {
    Subject,
    Verb,
    Object,
}

/// The words of a language and its grammar.
struct Tongue {
    nouns: Vec<u16>,
    verbs: Vec<u16>,
    adjectives: Vec<u16>,
    article: Option<u16>,
    plural: u16,
    modals: [u16; 3],
    /// The suffix of the object.
    object: Option<u16>,
    order: [Part; 3],
    adjective_follows: bool,
    /// Whether marks of number and mood stand before their word.
    prefixes: bool,
}

/// The four languages.
pub(crate) struct Languages {
    tongues: [Tongue; 4],
    period: u16,
    capital_article: u16,
}

const MODALS: [&str; 3] = ["will", "can", "must"];

impl Languages {
    pub(crate) fn new(b: &mut Builder, lexicon: &Lexicon) -> Self {
        let grammar = b.group("grammar", Domain::Languages);
        let plural = b.concept(grammar, "plural", Kind::Meaning);
        let object = b.concept(grammar, "object", Kind::Meaning);
        let modals = MODALS.map(|modal| b.concept(grammar, modal, Kind::Meaning));
        let english = Tongue {
            nouns: lexicon.nouns.tokens[..lexicon.nouns.meanings.len()].to_vec(),
            verbs: lexicon.verbs.tokens.clone(),
            adjectives: lexicon.adjectives.tokens[..lexicon.adjectives.meanings.len()].to_vec(),
            article: Some(b.word("the")),
            plural: affix(b, "s", Glue::LEFT, plural),
            modals: core::array::from_fn(|at| {
                let token = b.word(MODALS[at]);
                b.vocabulary.mean(token, modals[at]);
                token
            }),
            object: None,
            order: [Part::Subject, Part::Verb, Part::Object],
            adjective_follows: false,
            prefixes: true,
        };
        let mut tongue = |end: &str, order, glue: Glue, article: bool, marked: bool| {
            let translate = |b: &mut Builder, meanings: &[ConceptId]| {
                let words = meanings.iter().map(|&meaning| {
                    let word = b.invent(1, end);
                    let token = b.word(&word);
                    b.vocabulary.mean(token, meaning);
                    token
                });
                words.collect::<Vec<_>>()
            };
            let nouns = translate(b, &lexicon.nouns.meanings);
            let verbs = translate(b, &lexicon.verbs.meanings);
            let adjectives = translate(b, &lexicon.adjectives.meanings);
            let mark = |b: &mut Builder, glue, concept| {
                let surface = b.invent(1, "");
                affix(b, &surface, glue, concept)
            };
            let article_word = article.then(|| b.invent(1, "l"));
            Tongue {
                nouns,
                verbs,
                adjectives,
                article: article_word.map(|word| b.word(&word)),
                plural: mark(b, glue, plural),
                modals: modals.map(|modal| mark(b, glue, modal)),
                object: marked.then(|| mark(b, Glue::LEFT, object)),
                order,
                adjective_follows: article,
                prefixes: glue == Glue::RIGHT,
            }
        };
        let kelu =
            tongue("ku", [Part::Subject, Part::Object, Part::Verb], Glue::RIGHT, false, false);
        let marn =
            tongue("arn", [Part::Verb, Part::Subject, Part::Object], Glue::LEFT, true, false);
        let tovi =
            tongue("ovi", [Part::Object, Part::Verb, Part::Subject], Glue::LEFT, false, true);
        Self {
            tongues: [english, kelu, marn, tovi],
            period: b.word("."),
            capital_article: b.word("The"),
        }
    }

    /// Three to five sentences, in one language or line by line in two.
    pub(crate) fn write(&self, options: &LanguageOptions, lexicon: &Lexicon, w: &mut Writer) {
        let spoken = &options.spoken;
        let first = w.draw.choose(spoken.len());
        let second = if spoken.len() > 1 && w.draw.chance(options.parallel) {
            Some((first + 1 + w.draw.choose(spoken.len() - 1)) % spoken.len())
        } else {
            None
        };
        for _ in 0..3 + w.draw.choose(3) {
            let meaning = Meaning {
                subject: thing(lexicon, w),
                verb: w.draw.pick(&lexicon.verbs.often_known),
                modal: w.draw.choose(3),
                object: thing(lexicon, w),
            };
            for language in [Some(first), second].into_iter().flatten() {
                self.sentence(spoken[language], &meaning, w);
                if second.is_some() {
                    w.newline();
                }
            }
        }
        w.language = Language::English;
    }

    fn sentence(&self, language: Language, meaning: &Meaning, w: &mut Writer) {
        w.language = language;
        let tongue = &self.tongues[language as usize];
        for (at, part) in tongue.order.into_iter().enumerate() {
            match part {
                Part::Verb => {
                    let modal = tongue.modals[meaning.modal];
                    say_with(tongue.prefixes, modal, tongue.verbs[meaning.verb], w);
                }
                Part::Subject => self.thing(tongue, &meaning.subject, None, at == 0, w),
                Part::Object => self.thing(tongue, &meaning.object, tongue.object, at == 0, w),
            }
        }
        w.say(self.period, &[]);
    }

    fn thing(
        &self,
        tongue: &Tongue,
        thing: &Thing,
        case: Option<u16>,
        first: bool,
        w: &mut Writer,
    ) {
        let english = w.language == Language::English;
        if let Some(article) = tongue.article {
            w.say(if english && first { self.capital_article } else { article }, &[]);
        }
        let adjective = thing.adjective.map(|at| tongue.adjectives[at]);
        if let Some(adjective) = adjective.filter(|_| !tongue.adjective_follows) {
            w.say(adjective, &[]);
        }
        let noun = tongue.nouns[thing.noun];
        if thing.plural {
            say_with(tongue.prefixes && !english, tongue.plural, noun, w);
        } else {
            w.say(noun, &[]);
        }
        if let Some(case) = case {
            w.say(case, &[]);
        }
        if let Some(adjective) = adjective.filter(|_| tongue.adjective_follows) {
            w.say(adjective, &[]);
        }
    }
}

/// A word with its mark before or after it.
fn say_with(before: bool, mark: u16, word: u16, w: &mut Writer) {
    for token in if before { [mark, word] } else { [word, mark] } {
        w.say(token, &[]);
    }
}

fn thing(lexicon: &Lexicon, w: &mut Writer) -> Thing {
    let noun = w.draw.pick(&lexicon.nouns.often_known);
    let described = w.draw.chance(0.5);
    Thing {
        noun,
        adjective: described.then(|| w.draw.pick(&lexicon.adjectives.often_known)),
        plural: w.draw.chance(0.4),
    }
}

fn affix(b: &mut Builder, surface: &str, glue: Glue, concept: ConceptId) -> u16 {
    let token = b.vocabulary.intern(surface, glue, Role::Affix);
    b.vocabulary.mean(token, concept);
    token
}
