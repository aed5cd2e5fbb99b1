//! Rows that are drawn one by one.

use kernels::Matrix;
use rayon::prelude::*;

use crate::error::{DictionariesError, Result};
use crate::source::{Rows, Source};

/// Rows each of which is a function of its number: those of a toy model, of which there is no end.
///
/// A sample has the numbers from 2⁶³ on, so that none of it is learned.
///
/// # Examples
///
/// ```
/// use dictionaries::{DrawnRows, Source};
///
/// let mut rows = DrawnRows::new(1, 3, |number, row| row[0] = number as f32);
/// rows.next()?;
/// assert_eq!(rows.next()?.inputs.values(), [3.0, 4.0, 5.0]);
/// assert_eq!(rows.place(), "6");
/// # Ok::<(), dictionaries::DictionariesError>(())
/// ```
pub struct DrawnRows<F> {
    width: usize,
    batch_rows: usize,
    next: u64,
    draw: F,
}

impl<F: Fn(u64, &mut [f32]) + Sync> DrawnRows<F> {
    /// `draw` gets a number and a row of zeros to write to.
    pub fn new(width: usize, batch_rows: usize, draw: F) -> Self {
        Self { width, batch_rows, next: 0, draw }
    }

    /// Rows from a number on.
    ///
    /// # Determinism
    /// The same bits for any number of threads.
    pub fn rows(&self, from: u64, n_rows: usize) -> Matrix {
        let mut rows = Matrix::zeros(n_rows, self.width);
        let each = rows.values_mut().par_chunks_mut(self.width.max(1)).with_min_len(64).enumerate();
        each.for_each(|(at, row)| (self.draw)(from + at as u64, row));
        rows
    }
}

impl<F: Fn(u64, &mut [f32]) + Sync> Source for DrawnRows<F> {
    fn sample(&mut self, n_rows: usize) -> Result<Rows> {
        Ok(Rows { inputs: self.rows(1 << 63, n_rows), targets: None })
    }

    fn next(&mut self) -> Result<Rows> {
        let inputs = self.rows(self.next, self.batch_rows);
        self.next += self.batch_rows as u64;
        Ok(Rows { inputs, targets: None })
    }

    fn place(&self) -> String {
        self.next.to_string()
    }

    fn go_to(&mut self, place: &str) -> Result<()> {
        self.next =
            place.parse().map_err(|_| DictionariesError::Place { place: place.to_owned() })?;
        Ok(())
    }
}
