//! What can be wrong with what is measured.

use kernels::dictionary::Codes;
use kernels::{KernelError, Matrix};
use thiserror::Error;

/// The result of what can fail here.
pub type Result<T> = std::result::Result<T, InterpError>;

/// Data from which a metric cannot be computed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InterpError {
    /// Nothing to measure.
    #[error("{what}: there is none; pass at least one")]
    Empty {
        /// What there is none of.
        what: &'static str,
    },
    /// A number that is not finite.
    #[error(
        "{what}: number {column} of row {row} is {value}; leave the row out, or look at where it came from"
    )]
    NotFinite {
        /// Whose numbers.
        what: &'static str,
        /// The row, from 0.
        row: usize,
        /// The number's place in it, from 0.
        column: usize,
        /// The number.
        value: f64,
    },
    /// A number out of its interval.
    #[error("{what} is {got}; it has to lie in {interval}")]
    Range {
        /// What the number stands for.
        what: &'static str,
        /// What it is.
        got: f64,
        /// What it can be.
        interval: &'static str,
    },
    /// Sizes that do not fit.
    #[error(transparent)]
    Sizes(#[from] KernelError),
    /// A dictionary that cannot be made or used.
    #[error(transparent)]
    Dictionary(#[from] sae::SaeError),
    /// A matrix without the eigenvectors that are needed.
    #[error(transparent)]
    Geometry(#[from] geometry::GeometryError),
    /// A statistic that does not exist.
    #[error(transparent)]
    Statistic(#[from] stats::StatsError),
}

/// Refuses none.
pub(crate) fn some(what: &'static str, n: usize) -> Result<()> {
    if n == 0 { Err(InterpError::Empty { what }) } else { Ok(()) }
}

/// Refuses numbers that are not finite.
pub(crate) fn finite(what: &'static str, rows: &Matrix) -> Result<()> {
    match rows.values().iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(place) => {
            let (row, column) = (place / rows.n_columns(), place % rows.n_columns());
            Err(InterpError::NotFinite {
                what,
                row,
                column,
                value: f64::from(rows.values()[place]),
            })
        }
    }
}

/// Refuses numbers of a list that are not finite.
pub(crate) fn finite_list(what: &'static str, values: &[f64]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(column) => Err(InterpError::NotFinite { what, row: 0, column, value: values[column] }),
    }
}

/// Refuses a number outside of an interval, and NaN.
pub(crate) fn within(
    what: &'static str,
    got: f64,
    is_in: bool,
    interval: &'static str,
) -> Result<()> {
    if is_in { Ok(()) } else { Err(InterpError::Range { what, got, interval }) }
}

/// Refuses values of active latents that are not finite and positive: what is 0 is not active.
pub(crate) fn active_values(codes: &Codes) -> Result<()> {
    let wrong = codes.values().iter().find(|value| !(value.is_finite() && **value > 0.0));
    wrong.map_or(Ok(()), |value| {
        within("the value of an active latent", f64::from(*value), false, "(0, ∞)")
    })
}

/// A number to 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
pub(crate) fn narrowed(value: f64) -> f32 {
    value as f32
}

/// A place as 32 bits, which the callers have checked it to fit.
pub(crate) fn small(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
