//! What can go wrong in a run.

use sae::SaeError;
use thiserror::Error;

/// The result of what can fail here.
pub type Result<T> = std::result::Result<T, DictionariesError>;

/// A source that has no rows to give, or a training that failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DictionariesError {
    /// Fewer rows than a batch takes.
    #[error(
        "{what} has {got} rows, fewer than the {batch} of a batch: capture more, or take smaller batches"
    )]
    TooFew {
        /// Where they are.
        what: String,
        /// Rows there.
        got: u64,
        /// Rows of a batch.
        batch: usize,
    },
    /// Several hooks, and none named.
    #[error("the store has the hooks {}: name one", has.join(", "))]
    Unnamed {
        /// What there is.
        has: Vec<String>,
    },
    /// A hook that a store does not have.
    #[error("the store has no hook '{hook}'; it has {}", has.join(", "))]
    Hook {
        /// What was asked for.
        hook: String,
        /// What there is.
        has: Vec<String>,
    },
    /// A number that is not finite.
    #[error(
        "{what}: number {column} of row {row} is {value}; leave such rows out, a dictionary cannot learn from them"
    )]
    NotFinite {
        /// Whose rows.
        what: String,
        /// The row, from 0.
        row: u64,
        /// The number's place in it, from 0.
        column: usize,
        /// The number.
        value: f32,
    },
    /// A place that is none of this source.
    #[error(
        "'{place}' is no place of these rows: the checkpoint is of another run, remove it to begin anew"
    )]
    Place {
        /// What the checkpoint says.
        place: String,
    },
    /// What the store says.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// What the dictionaries say.
    #[error(transparent)]
    Sae(#[from] SaeError),
    /// What a matrix says.
    #[error(transparent)]
    Sizes(#[from] kernels::KernelError),
}
