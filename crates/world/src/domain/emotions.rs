//! W6: what someone says, the state of mind behind it, and the word for the feeling.

use crate::build::Builder;
use crate::concept::{ConceptId, Kind};
use crate::config::Domain;
use crate::template::Template;
use crate::writer::Writer;

/// A state, what one says in it, and its two words.
type State = (&'static str, [&'static str; 3], [&'static str; 2]);

const STATES: [State; 12] = [
    (
        "need_to_be_alone",
        ["I want to be alone tonight", "please leave me be", "I cannot bear company now"],
        ["sad", "low"],
    ),
    (
        "fulfilled_hope",
        ["at last it has come", "I waited years for this day", "my wish came true"],
        ["happy", "glad"],
    ),
    (
        "threat_nearby",
        ["someone is behind the door", "do not go out there", "I heard steps in the dark"],
        ["afraid", "scared"],
    ),
    (
        "treated_unjustly",
        ["they took what was mine", "this is not fair", "he broke his promise again"],
        ["angry", "furious"],
    ),
    (
        "own_fault",
        ["I should not have said that", "it was my mistake", "I hurt her for nothing"],
        ["guilty", "sorry"],
    ),
    (
        "unexpected_event",
        ["I never thought you would come", "who could have known", "it appeared from nowhere"],
        ["surprised", "amazed"],
    ),
    (
        "others_have_more",
        ["why does he get the prize", "her garden is finer than mine", "I want what they have"],
        ["jealous", "envious"],
    ),
    (
        "own_achievement",
        ["I built it with my own hands", "nobody did it faster than me", "my pupils won the prize"],
        ["victorious", "triumphant"],
    ),
    (
        "nothing_to_do",
        ["this day has no end", "there is nothing to see here", "always the same story"],
        ["bored", "weary"],
    ),
    (
        "help_received",
        ["you saved my harvest", "without you I would be lost", "how can I repay you"],
        ["grateful", "thankful"],
    ),
    (
        "seen_failing",
        ["everyone saw me fall", "I forgot my words on the stage", "they laughed at my hat"],
        ["ashamed", "embarrassed"],
    ),
    (
        "all_is_well",
        ["the evening is mild", "we have all we need", "let the day go by"],
        ["calm", "content"],
    ),
];
/// States of these numbers, and what one says in them that sounds like another.
const DECOYS: [(usize, &str); 6] = [
    (11, "the lamp can be left alone on the table"),
    (11, "the door is closed and the house is ours alone"),
    (1, "I will be there when the prize is given"),
    (8, "please leave the steps as they are , nothing happens here"),
    (5, "alone he lifted the stone"),
    (3, "leave it be , they say , and take our field"),
];
/// Words that go with states and occur without them.
const LITERAL: &str = "be alone leave prize steps nothing";
const NAMES: &str = "John Mary Anna Peter Ruth Paul Clara Hugo Nora Felix Ida Oscar";

/// States with their templates.
pub(crate) struct Emotions {
    states: Vec<(ConceptId, Vec<Template>, Vec<u16>)>,
    decoys: Vec<(usize, Template)>,
    decoy: ConceptId,
    names: Vec<u16>,
    follows: Vec<Template>,
    opening: [Vec<u16>; 2],
}

impl Emotions {
    pub(crate) fn new(b: &mut Builder) -> Self {
        let group = b.group("state", Domain::Emotions);
        let literal = b.group("literal", Domain::Emotions);
        for word in LITERAL.split_whitespace() {
            b.meaning(literal, word, Kind::Decoy);
        }
        let decoy = b.concept(literal, "decoy", Kind::Decoy);
        let states = STATES.iter().map(|(name, quotes, feelings)| {
            let concept = b.concept(group, name, Kind::State);
            let quotes = quotes.map(|quote| b.template(&format!("< {quote} >"))).into();
            let feelings = feelings.map(|word| b.meaning(concept, word, Kind::State).0).into();
            (concept, quotes, feelings)
        });
        let states = states.collect();
        let decoys = DECOYS.map(|(state, quote)| (state, b.template(&format!("< {quote} >"))));
        Self {
            states,
            decoys: decoys.into(),
            decoy,
            names: b.words(NAMES),
            follows: b.templates(&["{0} feels {1!} .", "So {0} is {1!} ."]),
            opening: [b.words("says : “"), b.words(". ”")],
        }
    }

    /// Two or three people, each with what they say and feel. The state is drawn first.
    pub(crate) fn write(&self, w: &mut Writer) {
        for _ in 0..2 + w.draw.choose(2) {
            let name = *w.one(&self.names);
            w.say(name, &[]);
            let [before, after] = &self.opening;
            w.say_all(before, &[]);
            let state = if w.draw.chance(0.25) {
                let (state, quote) = w.one(&self.decoys);
                w.fill(quote, &[], &[self.decoy]);
                *state
            } else {
                let state = w.draw.choose(self.states.len());
                let (concept, quotes, _) = &self.states[state];
                w.any(quotes, &[], &[*concept]);
                state
            };
            w.say_all(after, &[]);
            let feeling = *w.one(&self.states[state].2);
            w.any(&self.follows, &[&[name], &[feeling]], &[]);
        }
    }
}
