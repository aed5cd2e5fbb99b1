//! Means, variances and covariances.

use kernels::Matrix;
use rayon::prelude::*;

use crate::error::{Result, finite, some};
use crate::fidelity::ratio;

/// Rows of a covariance that one task sums. Fixed, so that results do not depend on the number of threads.
const TASK_ROWS: usize = 8;

/// The mean and the sum of squares about it of a latent's values, silent rows included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    about_mean: f64,
    n: f64,
}

impl Spread {
    /// Of the values of active rows, among n rows.
    pub(crate) fn of(values: impl Iterator<Item = f32> + Clone, n: u64) -> Self {
        let n_active = values.clone().count() as u64;
        let silent = n - n_active;
        let range =
            values.clone().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        let is_constant = n_active == 0 || (silent == 0 && range.0 >= range.1);
        let n = n as f64;
        let values = values.map(f64::from);
        let mean = values.clone().sum::<f64>() / n;
        let squares: f64 = values.map(|value| (value - mean) * (value - mean)).sum();
        let about_mean = if is_constant { 0.0 } else { squares + silent as f64 * mean * mean };
        Self { mean, about_mean, n }
    }

    /// Of 1 in some of n rows and 0 in the others.
    pub(crate) fn of_rows(positive: u64, n: u64) -> Self {
        let (positive, n) = (positive as f64, n as f64);
        Self { mean: positive / n, about_mean: positive * (n - positive) / n, n }
    }

    /// The correlation with another, given the sum of products; `None` if either is the same in all rows.
    pub(crate) fn correlation(&self, products: f64, other: &Self) -> Option<f64> {
        let top = products - self.n * self.mean * other.mean;
        let found = ratio(top, self.about_mean.sqrt() * other.about_mean.sqrt())?;
        Some(found.clamp(-1.0, 1.0))
    }
}

/// The mean of the rows, and their covariance over n, row by row.
///
/// Sums are in the order of the rows: the same bits for any number of threads, and on every platform.
pub(crate) fn covariance(x: &Matrix) -> Result<(Vec<f64>, Vec<f64>)> {
    some("rows of activations", x.n_rows())?;
    some("columns of activations", x.n_columns())?;
    finite("the activations", x)?;
    let (n, d) = (x.n_rows() as f64, x.n_columns());
    let mean = mean(x);
    let mut covariance = vec![0.0; d * d];
    covariance.par_chunks_mut(TASK_ROWS * d).enumerate().for_each(|(task, rows)| {
        let first = task * TASK_ROWS;
        let mut centered = vec![0.0; d];
        for row in x.rows() {
            for ((to, x), mean) in centered.iter_mut().zip(row).zip(&mean) {
                *to = f64::from(*x) - mean;
            }
            for (at, sums) in rows.chunks_exact_mut(d).enumerate() {
                let at = first + at;
                let factor = centered[at];
                // The part from the diagonal on; the other follows.
                for (sum, x) in sums[at..].iter_mut().zip(&centered[at..]) {
                    *sum += factor * x;
                }
            }
        }
    });
    for sum in &mut covariance {
        *sum /= n;
    }
    for row in 0..d {
        for column in 0..row {
            covariance[row * d + column] = covariance[column * d + row];
        }
    }
    Ok((mean, covariance))
}

/// The mean of each column.
pub(crate) fn mean(x: &Matrix) -> Vec<f64> {
    let mut mean = vec![0.0; x.n_columns()];
    for row in x.rows() {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    for sum in &mut mean {
        *sum /= x.n_rows() as f64;
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_covariance() {
        let x = Matrix::from_rows(4, 2, vec![1., 5., 3., 5., 1., 9., 3., 9.]).unwrap();
        assert_eq!(covariance(&x).unwrap(), (vec![2.0, 7.0], vec![1.0, 0.0, 0.0, 4.0]));
        let x = Matrix::from_rows(2, 2, vec![0., 0., 2., 4.]).unwrap();
        assert_eq!(covariance(&x).unwrap().1, [1.0, 2.0, 2.0, 4.0]);
        assert!(covariance(&Matrix::zeros(0, 2)).is_err());
    }

    #[test]
    fn a_constant_has_no_correlation() {
        let constant = Spread::of([0.1_f32; 7].into_iter(), 7);
        assert_eq!(constant.correlation(0.3, &Spread::of_rows(3, 7)), None);
        let silent = Spread::of([].into_iter(), 7);
        assert_eq!(silent.correlation(0.0, &Spread::of_rows(3, 7)), None);
    }
}
