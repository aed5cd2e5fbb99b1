//! Rows to train on, and passes over them.

use kernels::dictionary::Codes;
use kernels::{KernelError, Matrix};
use rayon::prelude::*;

use crate::dictionary::{LEAVE_OUT, finite};
use crate::error::{Result, SaeError};

/// Activations, and what a dictionary makes of them: the same, or for a transcoder those of another place, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// What is encoded, `[row, d]`.
    pub inputs: &'a Matrix,
    /// What is decoded, `[row, d′]`.
    pub targets: &'a Matrix,
}

impl<'a> Batch<'a> {
    /// Activations that are to be reconstructed.
    pub fn of(rows: &'a Matrix) -> Self {
        Self { inputs: rows, targets: rows }
    }

    /// Refuses rows that cannot be learned from.
    pub(crate) fn check(&self) -> Result<()> {
        let Self { inputs, targets } = self;
        if inputs.n_rows() == 0 {
            return Err(SaeError::Empty { what: "the batch" });
        }
        finite("the activations", inputs.values(), inputs.n_columns(), LEAVE_OUT)?;
        if !std::ptr::eq(*inputs, *targets) {
            KernelError::check("rows of the targets", inputs.n_rows(), targets.n_rows())?;
            finite("the targets", targets.values(), targets.n_columns(), LEAVE_OUT)?;
        }
        Ok(())
    }

    /// Refuses targets of their own, where an architecture has no use for them.
    pub(crate) fn reconstructs(&self) -> Result<()> {
        if std::ptr::eq(self.inputs, self.targets) { Ok(()) } else { Err(SaeError::Targets) }
    }
}

/// Numbers that one task takes; sums add up tasks in order.
const TASK: usize = 1 << 14;

/// Σ of squares.
pub(crate) fn squared(rows: &Matrix) -> f64 {
    let of_task = |numbers: &[f32]| -> f64 {
        numbers.iter().map(|number| f64::from(*number) * f64::from(*number)).sum()
    };
    rows.values().par_chunks(TASK).map(of_task).collect::<Vec<f64>>().into_iter().sum()
}

/// Σ of squared distances from the mean row.
pub(crate) fn squared_from_mean(rows: &Matrix) -> f64 {
    let width = rows.n_columns().max(1);
    let task = TASK.next_multiple_of(width);
    let sums = rows.values().par_chunks(task).map(|rows| {
        let mut sum = vec![0.0_f64; width];
        for row in rows.chunks_exact(width) {
            sum.iter_mut().zip(row).for_each(|(sum, number)| *sum += f64::from(*number));
        }
        sum
    });
    let mut mean = vec![0.0; width];
    for sum in sums.collect::<Vec<_>>() {
        mean.iter_mut().zip(sum).for_each(|(mean, sum)| *mean += sum / rows.n_rows() as f64);
    }
    let squares = rows.values().par_chunks(task).map(|rows| {
        let of_row = |row: &[f32]| -> f64 {
            let gaps = row.iter().zip(&mean).map(|(number, mean)| f64::from(*number) - mean);
            gaps.map(|gap| gap * gap).sum()
        };
        rows.chunks_exact(width).map(of_row).sum::<f64>()
    });
    squares.collect::<Vec<f64>>().into_iter().sum()
}

/// In the place of each number, what it lacks to that of other rows.
pub(crate) fn lacking(rows: &mut Matrix, of: &Matrix) {
    both(rows, of, |number, of| of - number);
}

/// Adds `by` times other rows.
pub(crate) fn add_scaled(rows: &mut Matrix, of: &Matrix, by: f32) {
    both(rows, of, |number, of| number + by * of);
}

fn both(rows: &mut Matrix, of: &Matrix, value: impl Fn(f32, f32) -> f32 + Sync) {
    let tasks = rows.values_mut().par_chunks_mut(TASK).zip(of.values().par_chunks(TASK));
    tasks.for_each(|(rows, of)| {
        rows.iter_mut().zip(of).for_each(|(number, of)| *number = value(*number, *of));
    });
}

/// Rows times a number.
#[expect(clippy::cast_possible_truncation, reason = "gradients are single precision")]
pub(crate) fn scaled(rows: &Matrix, by: f64) -> Matrix {
    let mut rows = rows.clone();
    rows.values_mut().par_chunks_mut(TASK).for_each(|numbers| {
        for number in numbers {
            *number = (f64::from(*number) * by) as f32;
        }
    });
    rows
}

/// Σ of numbers of active latents, for each latent.
pub(crate) fn sums_by_latent(codes: &Codes, numbers: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0; codes.n_latents()];
    for (latent, number) in codes.latents().iter().zip(numbers) {
        sums[*latent as usize] += number;
    }
    sums
}
