//! What can be wrong with options of a world or of a toy model.

use thiserror::Error;

/// Options that make no world, or a document that does not fit one.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum WorldError {
    /// A number outside of its interval.
    #[error("{option} is {got}, but must lie in {interval}")]
    Range {
        /// The option.
        option: &'static str,
        /// The value that came.
        got: f64,
        /// Where it must lie.
        interval: &'static str,
    },
    /// A list that must hold something is empty.
    #[error("{option} is empty; name at least one")]
    Empty {
        /// The option.
        option: &'static str,
    },
    /// Something is named twice.
    #[error("{option} names {item} twice; keep one of the two")]
    Twice {
        /// The option.
        option: &'static str,
        /// What is named twice.
        item: String,
    },
    /// A language of code stands among those of prose, or the other way round.
    #[error("{option} names {got}; choose from {known}")]
    Language {
        /// The option.
        option: &'static str,
        /// The language.
        got: String,
        /// What there is.
        known: String,
    },
    /// A template cannot be read.
    #[error("template \"{template}\": {problem}")]
    Template {
        /// The template as it came.
        template: String,
        /// What is wrong, and what to write in its place.
        problem: String,
    },
    /// Entity names would fill more of the text than sentences leave room for.
    #[error(
        "the frequencies of entities add up to {sum:.3} of all tokens, but their sentences hold at most {most:.3}; lower `highest`"
    )]
    Crowded {
        /// The sum of all frequencies.
        sum: f64,
        /// The largest sum that sentences can hold.
        most: f64,
    },
    /// A line of a transcript cannot be run.
    #[error("line {line}: {problem}")]
    Code {
        /// The line, from 1.
        line: usize,
        /// What was expected and what came.
        problem: String,
    },
    /// The words of a plant do not fit into the vocabulary.
    #[error("the vocabulary would hold {got} words, but a token is a u16; plant fewer new words")]
    Vocabulary {
        /// The number of words.
        got: usize,
    },
}

/// `Ok` where `got` lies within `range`, else which option must lie in `interval`.
pub(crate) fn within(
    option: &'static str,
    got: f64,
    range: core::ops::RangeInclusive<f64>,
    interval: &'static str,
) -> Result<(), WorldError> {
    if range.contains(&got) { Ok(()) } else { Err(WorldError::Range { option, got, interval }) }
}
