//! Where rows come from.

use kernels::{KernelError, Matrix};
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

    /// The first rows, and those after them.
    ///
    /// # Errors
    /// [`Sizes`](crate::DictionariesError::Sizes) for fewer rows, or another number of targets.
    ///
    /// # Examples
    ///
    /// ```
    /// use dictionaries::Rows;
    /// use kernels::Matrix;
    ///
    /// let inputs = Matrix::from_rows(3, 1, vec![1.0, 2.0, 3.0])?;
    /// let (first, last) = Rows { inputs, targets: None }.split_at(2)?;
    /// assert_eq!((first.inputs.values(), last.inputs.values()), (&[1.0, 2.0][..], &[3.0][..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn split_at(self, n_rows: usize) -> Result<(Self, Self)> {
        let n = self.inputs.n_rows();
        let split = |matrix: Matrix| -> Result<(Matrix, Matrix)> {
            KernelError::check("rows of inputs and targets", n, matrix.n_rows())?;
            let few = KernelError::Size { what: "rows", expected: n_rows, got: n };
            let n_last = n.checked_sub(n_rows).ok_or(few)?;
            let width = matrix.n_columns();
            let mut first = matrix.into_values();
            let last = first.split_off(n_rows * width);
            let last = Matrix::from_rows(n_last, width, last)?;
            Ok((Matrix::from_rows(n_rows, width, first)?, last))
        };
        let (inputs, last) = split(self.inputs)?;
        let (targets, last_targets) = self.targets.map(split).transpose()?.unzip();
        Ok((Self { inputs, targets }, Self { inputs: last, targets: last_targets }))
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
