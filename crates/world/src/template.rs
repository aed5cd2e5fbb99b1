//! Sentences with gaps.

use crate::build::Builder;
use crate::document::Role;
use crate::error::WorldError;
use crate::vocabulary::Glue;

/// A part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A word.
    Token(u16),
    /// The gap of this number, and whether what fills it is an answer.
    Gap { at: usize, answer: bool },
    /// Here begins what carries the labels that come with the filling.
    Open,
    /// Here it ends.
    Close,
}

/// Words with gaps, read once.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) parts: Vec<Part>,
}

impl Template {
    /// Reads a template: words and punctuation with spaces between them; `{name}` a gap, of those in `gaps`, and
    /// `{name!}` one whose filling is an answer; `< … >` what carries labels; `/` a line break; `+s` a suffix.
    pub(crate) fn read(
        builder: &mut Builder,
        template: &str,
        gaps: &[&str],
    ) -> Result<Self, WorldError> {
        let fail =
            |problem: String| WorldError::Template { template: template.to_owned(), problem };
        let mut parts = Vec::new();
        let mut open = false;
        for item in template.split_whitespace() {
            parts.push(match item {
                "<" | ">" => {
                    if open == (item == "<") {
                        return Err(fail("each `<` needs one `>` after it".to_owned()));
                    }
                    open = !open;
                    if open { Part::Open } else { Part::Close }
                }
                "/" => Part::Token(builder.newline),
                _ => match item.strip_prefix('{').and_then(|gap| gap.strip_suffix('}')) {
                    Some(gap) => {
                        let name = gap.trim_end_matches('!');
                        let at = gaps.iter().position(|known| *known == name).ok_or_else(|| {
                            fail(format!("no gap is named {{{name}}}; choose from {gaps:?}"))
                        })?;
                        Part::Gap { at, answer: gap.ends_with('!') }
                    }
                    None => Part::Token(builder.word(item)),
                },
            });
        }
        if open {
            return Err(fail("each `<` needs one `>` after it".to_owned()));
        }
        if parts.is_empty() {
            return Err(fail("it says nothing; write at least a word".to_owned()));
        }
        Ok(Self { parts })
    }

    /// Whether it has the gap of this number.
    pub(crate) fn has_gap(&self, number: usize) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Gap { at, .. } if *at == number))
    }

    /// The number of tokens where each gap is filled by `gap_len` of them.
    pub(crate) fn len(&self, gap_len: f64) -> f64 {
        let lens = self.parts.iter().map(|part| match part {
            Part::Token(_) => 1.0,
            Part::Gap { .. } => gap_len,
            Part::Open | Part::Close => 0.0,
        });
        lens.sum()
    }
}

/// How a word of a template is spaced, and what it does.
pub(crate) fn manner(word: &str) -> (&str, Glue, Role) {
    match word {
        "." | "," | "?" | "!" | ":" | ";" | ")" | "]" | "”" | "…" => {
            (word, Glue::LEFT, Role::Punctuation)
        }
        "(" | "“" => (word, Glue::RIGHT, Role::Punctuation),
        "'s" => (word, Glue::LEFT, Role::Affix),
        _ => match word.strip_prefix('+') {
            Some(suffix) if !suffix.is_empty() => (suffix, Glue::LEFT, Role::Affix),
            _ => (word, Glue::NONE, Role::Word),
        },
    }
}
