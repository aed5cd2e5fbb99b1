//! Where rows come from.

use kernels::Matrix;
use sae::Batch;

use crate::error::Result;

/// Rows of a batch, in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// What is encoded, `[row, d]`.
    pub inputs: Matrix,
    /// What is to be predicted, `[row, d′]`; none for what is encoded.
    pub targets: Option<Matrix>,
}

impl Rows {
    /// As dictionaries take them.
    pub fn batch(&self) -> Batch<'_> {
        match &self.targets {
            Some(targets) => Batch { inputs: &self.inputs, targets },
            None => Batch::of(&self.inputs),
        }
    }
}

/// A stream of batches that can be taken up at a place.
pub trait Source {
    /// Rows that tell where dictionaries begin: at most so many, in random order, the same each time.
    ///
    /// # Errors
    /// What the source says.
    fn sample(&mut self, n_rows: usize) -> Result<Rows>;

    /// The next batch. There is always one more.
    ///
    /// # Errors
    /// What the source says.
    fn next(&mut self) -> Result<Rows>;

    /// Where the next batch begins.
    fn place(&self) -> String;

    /// Goes on at a place.
    ///
    /// # Errors
    /// [`Place`](crate::DictionariesError::Place) for words that are none.
    fn go_to(&mut self, place: &str) -> Result<()>;
}
