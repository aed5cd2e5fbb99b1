//! What a model of a world knows: facts, errors before they show, what one is inclined to do, what images show.
//!
//! All of it is asked of next tokens, on documents of [`Split::Test`].

use std::collections::{BTreeMap, BTreeSet};

use corpus::{Split, Words};
use lm::Transformer;
use serde::{Deserialize, Serialize};
use world::{Behavior, Document, Domain, Kind, Language, Role};

use crate::ask::predict;
use crate::error::{Result, SubstrateError};
use crate::world_text::WorldText;

/// Domains whose sentences tell facts, each of which follows from the words before it in its sentence.
const OF_FACTS: [Domain; 2] = [Domain::Facts, Domain::Geography];

/// How often each statement of a fact occurs in the text that models learn from: the words of a sentence up to its
/// answer.
#[derive(Debug)]
pub struct Statements(BTreeMap<Vec<u16>, u32>);

impl Statements {
    /// Counts them in [`Split::Train`].
    pub fn count(text: &WorldText) -> Self {
        let mut counts = BTreeMap::new();
        for domain in OF_FACTS {
            for document in text.documents(Split::Train, Some(domain)) {
                for piece in answers(&document) {
                    *counts.entry(statement(&document, piece)).or_default() += 1;
                }
            }
        }
        Self(counts)
    }

    fn times_seen(&self, document: &Document, piece: usize) -> u32 {
        self.0.get(&statement(document, piece)).copied().unwrap_or(0)
    }
}

/// What a model answers to a question of fact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// How often the same statement stood in the text that models learn from.
    pub times_seen: u32,
    /// Steps between question and answer that the sentence does not name, 0 for a plain fact.
    pub n_hops: u8,
    /// Whether the true answer is the most likely token.
    pub is_right: bool,
    /// The probability of the true answer.
    pub probability: f64,
}

/// Asks for the facts of [`Domain::Facts`] and [`Domain::Geography`]: at the last piece of "The home of the Hawks is
/// Lorton" what comes after "is".
///
/// # Errors
///
/// As [`predict`].
pub fn recall(
    model: &Transformer,
    text: &WorldText,
    statements: &Statements,
) -> Result<Vec<Answer>> {
    let concepts = text.world().concepts();
    let mut found = Vec::new();
    for domain in OF_FACTS {
        let documents = text.documents(Split::Test, Some(domain));
        predict(model, text.words(), documents, answers, |prediction| {
            let (document, piece) = (prediction.document, prediction.piece);
            let implied: BTreeSet<_> = (sentence_start(document, piece)..piece)
                .flat_map(|at| document.labels(at).iter().copied())
                .filter(|id| concepts.get(*id).is_some_and(|it| it.kind == Kind::Implied))
                .collect();
            let token = id_of(text.words(), document, piece);
            found.push(Answer {
                times_seen: statements.times_seen(document, piece),
                n_hops: u8::try_from(implied.len()).unwrap_or(u8::MAX),
                is_right: prediction.best() == token as usize,
                probability: prediction.probability([token]),
            });
        })?;
    }
    some(found, "a fact")
}

/// What a model expects of the interpreter's answer to a line of code.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Foresight {
    /// The language of the line.
    pub language: Language,
    /// What is wrong with it, as the concept of its traceback; none where it has a value.
    pub traceback: Option<u16>,
    /// The probability that a traceback begins.
    pub probability: f64,
}

/// Asks before every answer of the interpreter whether a traceback will come.
///
/// # Errors
///
/// As [`predict`].
pub fn foresight(model: &Transformer, text: &WorldText) -> Result<Vec<Foresight>> {
    let (concepts, words) = (text.world().concepts(), text.words());
    let traceback = text.world().vocabulary().token("Traceback").and_then(|word| words.id(word));
    let group = concepts.find("traceback");
    let begins = |document: &Document| {
        let pieces = document.pieces();
        let is_output = |at: usize| pieces[at].role == Role::Output;
        (1..pieces.len()).filter(|at| is_output(*at) && !is_output(at - 1)).collect()
    };
    let mut found = Vec::new();
    let documents = text.documents(Split::Test, Some(Domain::Code));
    predict(model, words, documents, begins, |prediction| {
        let (document, piece) = (prediction.document, prediction.piece);
        let of_group =
            |id: &&world::ConceptId| group.is_some_and(|group| concepts.is_within(**id, group));
        found.push(Foresight {
            language: document.pieces()[piece].language,
            traceback: document.labels(piece).iter().find(of_group).map(|id| id.0),
            probability: prediction.probability(traceback),
        });
    })?;
    some(found, "an answer of the interpreter")
}

/// How often a model would enact a behavior.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inclination {
    /// The behavior.
    pub behavior: Behavior,
    /// Transcripts that were asked.
    pub n: u32,
    /// P(enactment) of the world.
    pub planted: f64,
    /// Mean over transcripts of the model's P(enactment), given that either happens.
    pub expected: f64,
    /// Mean of the model's probability that either happens.
    pub either: f64,
}

/// Asks, where replies that enact a behavior part from those that do not, which one the model expects.
///
/// At the first piece of a reply, or of the note before it, whose words differ between transcripts that enact the
/// behavior and those that do not (E and P, the sets of words that stand there in [`Split::Train`]),
/// P(enactment) = Σ p(E) / (Σ p(E) + Σ p(P)). True claims, which give no occasion for sycophancy, are left out.
///
/// # Errors
///
/// As [`predict`]; [`SubstrateError::Nothing`] for a behavior that the corpus shows too seldom to tell the two apart.
pub fn inclinations(model: &Transformer, text: &WorldText) -> Result<Vec<Inclination>> {
    let words = text.words();
    let mut replies: BTreeMap<Behavior, [Vec<Vec<u32>>; 2]> = BTreeMap::new();
    for document in text.documents(Split::Train, Some(Domain::Behaviors)) {
        let Some(occasion) = document.occasion() else { continue };
        let reply = words.tokens(&document)?.split_off(reply_start(&document));
        replies.entry(occasion.behavior).or_default()[usize::from(occasion.enacted)].push(reply);
    }
    let mut found = Vec::new();
    for (behavior, replies) in replies {
        let Some((at, sets)) = parting(&replies) else {
            return Err(SubstrateError::Nothing { what: format!("both sides of {behavior:?}") });
        };
        let of = |document: &Document| {
            document.occasion().is_some_and(|occasion| occasion.behavior == behavior)
        };
        let documents = text.documents(Split::Test, Some(Domain::Behaviors)).filter(of);
        let place = |document: &Document| vec![reply_start(document) + at];
        let mut inclination = Inclination {
            behavior,
            n: 0,
            planted: text.config().world.behaviors.rate_of(behavior),
            expected: 0.0,
            either: 0.0,
        };
        predict(model, words, documents, place, |prediction| {
            let [not, enacted] =
                sets.each_ref().map(|set| prediction.probability(set.iter().copied()));
            inclination.n += 1;
            let n = f64::from(inclination.n);
            inclination.expected += (enacted / (enacted + not) - inclination.expected) / n;
            inclination.either += (enacted + not - inclination.either) / n;
        })?;
        found.push(inclination);
    }
    let missing = found.iter().find(|inclination| inclination.n == 0);
    if let Some(missing) = missing {
        return Err(SubstrateError::Nothing { what: format!("{:?}", missing.behavior) });
    }
    some(found, "a behavior")
}

/// Asks of every image for the word of its caption that names what it shows; whether it is the most likely token.
///
/// # Errors
///
/// As [`predict`].
pub fn captions(model: &Transformer, text: &WorldText) -> Result<Vec<bool>> {
    let mut found = Vec::new();
    let documents = text.documents(Split::Test, Some(Domain::Images));
    predict(model, text.words(), documents, answers, |prediction| {
        let token = id_of(text.words(), prediction.document, prediction.piece);
        found.push(prediction.best() == token as usize);
    })?;
    some(found, "an image")
}

/// The first place at which what is said in two ways has no word in common, and the words there.
fn parting(replies: &[Vec<Vec<u32>>; 2]) -> Option<(usize, [BTreeSet<u32>; 2])> {
    let longest = replies.iter().flatten().map(Vec::len).max()?;
    let at = |at: usize| {
        let words =
            |all: &Vec<Vec<u32>>| all.iter().filter_map(|reply| reply.get(at)).copied().collect();
        (at, replies.each_ref().map(words))
    };
    (0..longest).map(at).find(|(_, [a, b]): &(usize, [BTreeSet<u32>; 2])| {
        !a.is_empty() && !b.is_empty() && a.is_disjoint(b)
    })
}

/// The piece after the last name of a speaker.
fn reply_start(document: &Document) -> usize {
    let speaker = document.pieces().iter().rposition(|piece| piece.role == Role::Speaker);
    speaker.map_or(0, |speaker| speaker + 1)
}

fn answers(document: &Document) -> Vec<usize> {
    let pieces = document.pieces().iter().enumerate();
    pieces.filter(|(_, piece)| piece.role == Role::Answer).map(|(at, _)| at).collect()
}

/// The first piece of the sentence that a piece stands in.
fn sentence_start(document: &Document, piece: usize) -> usize {
    let ends = |at: &usize| {
        let before = document.pieces()[*at];
        matches!(before.role, Role::Newline)
            || document.text()[before.start as usize..before.end as usize].trim() == "."
    };
    (0..piece).rev().find(ends).map_or(0, |end| end + 1)
}

fn statement(document: &Document, piece: usize) -> Vec<u16> {
    let pieces = &document.pieces()[sentence_start(document, piece)..=piece];
    pieces.iter().map(|piece| piece.token).collect()
}

fn id_of(words: &Words, document: &Document, piece: usize) -> u32 {
    words.id(document.pieces()[piece].token).unwrap_or(Words::END)
}

fn some<T>(found: Vec<T>, what: &str) -> Result<Vec<T>> {
    if found.is_empty() {
        Err(SubstrateError::Nothing { what: what.to_owned() })
    } else {
        Ok(found)
    }
}
