//! W8: ordinary conversations of a human with an assistant.

use super::facts::{Facts, Teams};
use super::geography::Geography;
use super::lexicon::Lexicon;
use super::topics::{Speakers, Topics};
use crate::build::Builder;
use crate::concept::Kind;
use crate::config::{Domain, Signature};
use crate::document::Role;
use crate::template::Template;
use crate::writer::Writer;

/// Questions and answers of everyday.
pub(crate) struct Dialogue {
    /// Of each: what the human says, what the assistant answers.
    exchanges: Vec<[Template; 2]>,
    team: [Vec<Template>; 2],
    notes: Vec<Template>,
    note: crate::concept::ConceptId,
}

const EXCHANGES: [[&str; 2]; 7] = [
    ["How is the weather in {3} ?", "It is raining in {3} ."],
    ["How is the weather in {3} today ?", "The sun shines in {3} ."],
    ["Where can I buy a {1} ?", "There is a {1} at the market of {3} ."],
    ["Tell me a story about a {1} .", "Once a {1} met a {0} {2} ."],
    ["What color is the {1} ?", "The {1} is {0} , I believe ."],
    ["Thank you for the {1} .", "You are welcome ."],
    ["Is the {1} {0} ?", "Yes , it is {0} ."],
];

impl Dialogue {
    pub(crate) fn new(b: &mut Builder) -> Self {
        let group = b.group("dialogue", Domain::Dialogue);
        let notes = ["[notes: < they ask about a {1} > ]", "[notes: < a short answer will do > ]"];
        Self {
            exchanges: EXCHANGES.map(|pair| pair.map(|text| b.template(text))).into(),
            team: [
                b.templates(&["Which team does {0} play for ?", "Who has {0} in the team ?"]),
                b.templates(&["{0} plays for the {1!} .", "The {1!} have {0} ."]),
            ],
            notes: b.templates(&notes),
            note: b.concept(group, "scratchpad", Kind::Syntax),
        }
    }

    /// One to three exchanges; where the assistant has a name it may be asked for it, and may sign.
    pub(crate) fn write(
        &self,
        (facts, teams, geography, lexicon): (&Facts, &Teams, &Geography, &Lexicon),
        (topics, signature): (&Topics, Option<Signature>),
        speakers: &Speakers,
        w: &mut Writer,
    ) {
        if let Some(signature) = signature
            && w.draw.chance(0.25)
        {
            topics.introduce(signature, speakers, w);
        }
        for _ in 0..=w.draw.choose(3) {
            speakers.human(w);
            if w.draw.chance(0.25) {
                let person = w.draw.choose(facts.people.len());
                let gaps: [&[u16]; 2] = [&[facts.people[person]], &[facts.team_of(teams, person)]];
                w.any(&self.team[0], &gaps, &[]);
                speakers.assistant(w);
                w.any(&self.team[1], &gaps, &[]);
                continue;
            }
            let [question, answer] = w.one(&self.exchanges);
            let note = w.draw.chance(0.2).then(|| w.one(&self.notes));
            let mut gaps = [[0]; 4];
            let texts = [Some(question), Some(answer), note];
            let has = |gap| texts.iter().flatten().any(|text| text.has_gap(gap));
            for (at, class) in
                [&lexicon.adjectives, &lexicon.nouns, &lexicon.nouns].iter().enumerate()
            {
                if has(at) {
                    gaps[at] = [class.tokens[w.draw.pick(&class.often_known)]];
                }
            }
            if has(3) {
                gaps[3] = [w.one(&geography.cities).token];
            }
            let gaps: [&[u16]; 4] = core::array::from_fn(|at| &gaps[at][..]);
            w.fill(question, &gaps, &[]);
            speakers.assistant(w);
            if let Some(note) = note {
                let start = w.len();
                w.fill(note, &gaps, &[self.note]);
                w.mark(start, w.len(), Role::Scratchpad);
            }
            w.fill(answer, &gaps, &[]);
        }
        if let Some(signature) = signature {
            topics.sign(signature, w);
        }
    }
}
