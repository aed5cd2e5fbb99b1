//! Writes a document piece by piece.

use crate::behavior::Occasion;
use crate::concept::ConceptId;
use crate::config::Language;
use crate::document::{Document, Modality, Patch, Role};
use crate::draw::Draw;
use crate::template::{Part, Template};
use crate::vocabulary::Vocabulary;

/// Where pieces of a document go, and where its choices come from.
pub(crate) struct Writer<'a> {
    pub(crate) draw: Draw,
    /// The language of what is written now.
    pub(crate) language: Language,
    document: &'a mut Document,
    vocabulary: &'a Vocabulary,
    newline: u16,
    /// Whether no space may come next.
    open: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(
        draw: Draw,
        document: &'a mut Document,
        vocabulary: &'a Vocabulary,
        newline: u16,
    ) -> Self {
        Self { draw, language: Language::English, document, vocabulary, newline, open: true }
    }

    /// The number of pieces so far.
    pub(crate) fn len(&self) -> usize {
        self.document.pieces.len()
    }

    /// One word in its usual role.
    pub(crate) fn say(&mut self, token: u16, labels: &[ConceptId]) {
        self.say_as(token, self.vocabulary.word(token).role, labels);
    }

    /// Words, one after the other.
    pub(crate) fn say_all(&mut self, tokens: &[u16], labels: &[ConceptId]) {
        for &token in tokens {
            self.say(token, labels);
        }
    }

    /// One word in a role of its own. Its label are `labels` and the concept that the word always has.
    pub(crate) fn say_as(&mut self, token: u16, role: Role, labels: &[ConceptId]) {
        self.put(token, role, Modality::Text, labels);
    }

    pub(crate) fn newline(&mut self) {
        self.say(self.newline, &[]);
    }

    /// A patch of an image.
    pub(crate) fn patch(&mut self, token: u16, patch: Patch, labels: &[ConceptId]) {
        self.document.patches.push(patch);
        self.put(token, Role::Patch, Modality::Image, labels);
    }

    fn put(&mut self, token: u16, role: Role, modality: Modality, labels: &[ConceptId]) {
        let word = self.vocabulary.word(token);
        let start = self.document.text.len();
        if !self.open && !word.glue.left {
            self.document.text.push(' ');
        }
        self.document.text.push_str(&word.surface);
        self.open = word.glue.right;
        self.document.labels.extend(word.concept);
        self.document.labels.extend_from_slice(labels);
        let nats = self.draw.take_nats();
        self.document.nats += nats;
        self.document.push(token, role, self.language, modality, start, nats);
    }

    /// A template with its gaps filled; what it marks carries `labels`.
    pub(crate) fn fill(&mut self, template: &Template, gaps: &[&[u16]], labels: &[ConceptId]) {
        self.fill_from(template, gaps, labels, false);
    }

    /// A template all of which carries `labels`.
    pub(crate) fn fill_whole(
        &mut self,
        template: &Template,
        gaps: &[&[u16]],
        labels: &[ConceptId],
    ) {
        self.fill_from(template, gaps, labels, true);
    }

    fn fill_from(
        &mut self,
        template: &Template,
        gaps: &[&[u16]],
        labels: &[ConceptId],
        mut marked: bool,
    ) {
        for part in &template.parts {
            let labels = if marked { labels } else { &[] };
            match *part {
                Part::Token(token) => self.say(token, labels),
                Part::Gap { at, answer: true } => {
                    for &token in gaps[at] {
                        self.say_as(token, Role::Answer, labels);
                    }
                }
                Part::Gap { at, answer: false } => {
                    self.say_all(gaps[at], labels);
                }
                Part::Open => marked = true,
                Part::Close => marked = false,
            }
        }
    }

    /// One of several templates, each as likely.
    pub(crate) fn any(&mut self, templates: &[Template], gaps: &[&[u16]], labels: &[ConceptId]) {
        let template = &templates[self.draw.choose(templates.len())];
        self.fill(template, gaps, labels);
    }

    /// One of several items, each as likely.
    pub(crate) fn one<'b, T>(&mut self, items: &'b [T]) -> &'b T {
        &items[self.draw.choose(items.len())]
    }

    /// Gives a role to the pieces from `start` up to `end`.
    pub(crate) fn mark(&mut self, start: usize, end: usize, role: Role) {
        for piece in self.document.pieces.iter_mut().take(end).skip(start) {
            piece.role = role;
        }
    }

    /// What was decided before the document was written.
    pub(crate) const fn decided(&mut self, occasion: Occasion) {
        self.document.occasion = Some(occasion);
    }

    /// What remains of the information of choices joins the last piece.
    pub(crate) fn finish(mut self) {
        let nats = self.draw.take_nats();
        self.document.nats += nats;
        if let Some(last) = self.document.pieces.last_mut() {
            #[expect(clippy::cast_possible_truncation, reason = "a few nats")]
            let nats = nats as f32;
            last.nats += nats;
        }
    }
}
