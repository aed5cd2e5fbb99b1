//! Why a statistic does not exist.

use thiserror::Error;

/// Data from which a statistic cannot be computed.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum StatsError {
    /// Fewer values than the statistic needs.
    #[error("{op} needs at least {expected} values, got {got}")]
    TooFew {
        /// The statistic.
        op: &'static str,
        /// The least number of values.
        expected: usize,
        /// The number of values passed.
        got: usize,
    },
    /// Paired data of unequal lengths.
    #[error("{op} needs as many y as x, got {x} x and {y} y")]
    Length {
        /// The statistic.
        op: &'static str,
        /// The number of x values.
        x: usize,
        /// The number of y values.
        y: usize,
    },
    /// NaN or an infinity among the values.
    #[error("{op} needs finite values, but the value at index {index} is {got}")]
    NotFinite {
        /// The statistic.
        op: &'static str,
        /// Where the value stands.
        index: usize,
        /// The value.
        got: f64,
    },
    /// All x are equal, so that there is no slope.
    #[error("{op} needs x values that differ, but all are equal")]
    ZeroVariance {
        /// The statistic.
        op: &'static str,
    },
    /// A parameter outside of its interval.
    #[error("{op}: {what} is {got}, but must lie in {interval}")]
    Range {
        /// The statistic.
        op: &'static str,
        /// The parameter.
        what: &'static str,
        /// The value passed.
        got: f64,
        /// The interval, as text.
        interval: &'static str,
    },
}

/// Checks that there are at least `expected` values, all finite.
pub(crate) fn check(op: &'static str, expected: usize, values: &[f64]) -> Result<(), StatsError> {
    if values.len() < expected {
        return Err(StatsError::TooFew { op, expected, got: values.len() });
    }
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(StatsError::NotFinite { op, index, got: values[index] }),
        None => Ok(()),
    }
}
