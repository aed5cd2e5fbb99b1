//! W7: lists with bullets or numbers, and lines that only begin like one.

use super::lexicon::Lexicon;
use crate::build::Builder;
use crate::concept::{ConceptId, Kind};
use crate::config::Domain;
use crate::document::Role;
use crate::template::Template;
use crate::vocabulary::Glue;
use crate::writer::Writer;

const LONGEST: usize = 8;

/// Lists of up to eight items.
pub(crate) struct Lists {
    position: [ConceptId; LONGEST],
    bullet: ConceptId,
    number: ConceptId,
    marks: [u16; 2],
    numbers: [u16; LONGEST],
    items: Vec<Template>,
    intros: Vec<Template>,
    after: Vec<Template>,
}

impl Lists {
    pub(crate) fn new(b: &mut Builder) -> Self {
        let group = b.group("list", Domain::Lists);
        let position = core::array::from_fn(|at| {
            b.concept(group, &format!("position_{}", at + 1), Kind::Position)
        });
        let numbers = core::array::from_fn(|at| {
            b.vocabulary.intern(&format!("{}.", at + 1), Glue::NONE, Role::Marker)
        });
        Self {
            position,
            bullet: b.concept(group, "bullet", Kind::Syntax),
            number: b.concept(group, "number", Kind::Syntax),
            marks: ["-", "*"].map(|mark| b.vocabulary.intern(mark, Glue::NONE, Role::Marker)),
            numbers,
            items: b.templates(&["< {0} {1} >", "< a {0} {1} >", "< the {1} >", "< {1} and {2} >"]),
            intros: b.templates(&["What we need :", "Bring these things :", "For the {1} :"]),
            after: b.templates(&["The {0} {1} was gone .", "Nobody spoke of the {1} again ."]),
        }
    }

    /// A list, or a line that begins like one and is followed by prose. Up to the second line the two look the same.
    pub(crate) fn write(&self, lexicon: &Lexicon, w: &mut Writer) {
        let line = |templates: &[Template], labels: &[ConceptId], w: &mut Writer| {
            let template = w.one(templates);
            let [a, n, m] = lexicon.words(template, 0, true, w);
            w.fill(template, &[&[a], &[n], &[m]], labels);
        };
        if w.draw.chance(0.3) {
            line(&self.intros, &[], w);
            w.newline();
        }
        let numbered = w.draw.chance(0.5);
        let mark = if numbered { 0 } else { *w.one(&self.marks) };
        let is_list = w.draw.chance(0.6);
        let n_items = if is_list { 2 + w.draw.choose(LONGEST - 1) } else { 1 };
        for at in 0..n_items {
            let style = if numbered { self.number } else { self.bullet };
            let marker = if numbered { self.numbers[at] } else { mark };
            let both = [self.position[at], style];
            let labels = if is_list { &both[..] } else { &[] };
            w.say_as(marker, Role::Marker, labels);
            line(&self.items, labels, w);
            w.newline();
        }
        if !is_list {
            for _ in 0..=w.draw.choose(2) {
                line(&self.after, &[], w);
            }
        }
    }
}
