//! What can be wrong with an argument.

use thiserror::Error;

/// An argument outside of the domain of a function of this crate.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum GeometryError {
    /// The dimension of a space is too small.
    #[error("the dimension is {got}, but must be at least {minimum}")]
    Dimension {
        /// The dimension passed.
        got: usize,
        /// The smallest dimension that makes sense here.
        minimum: usize,
    },
    /// No two points of the space lie so far apart.
    #[error("the Hamming distance is {got}, but the space has only {dimension} dimensions")]
    Distance {
        /// The distance passed.
        got: usize,
        /// The dimension of the space.
        dimension: usize,
    },
    /// A number outside of its interval, or NaN.
    #[error("{what} is {got}, but must lie in {interval}")]
    Range {
        /// What the number stands for.
        what: &'static str,
        /// The number passed.
        got: f64,
        /// The interval, as text.
        interval: &'static str,
    },
}
