//! The point of which all rows are near.

use kernels::Matrix;

use crate::dictionary::{LEAVE_OUT, finite};
use crate::error::{Result, SaeError};

/// The geometric median: the point whose distances to all rows have the least sum, by Weiszfeld's iteration, until it
/// moves by less than 1e-6 of the mean distance or 100 times. Unlike the mean it does not follow a few long rows.
///
/// # Errors
/// [`SaeError::Empty`] without rows, [`SaeError::NotFinite`] for a number that is not finite.
///
/// # Examples
///
/// ```
/// use kernels::Matrix;
///
/// let rows = Matrix::from_rows(4, 1, vec![0.0, 1.0, 1.0, 1000.0])?;
/// assert!((sae::geometric_median(&rows)?[0] - 1.0).abs() < 1e-3);
/// # Ok::<(), sae::SaeError>(())
/// ```
pub fn geometric_median(rows: &Matrix) -> Result<Vec<f32>> {
    if rows.n_rows() == 0 {
        return Err(SaeError::Empty { what: "the sample of activations" });
    }
    finite("the sample of activations", rows.values(), rows.n_columns(), LEAVE_OUT)?;
    let mut weights = vec![1.0 / rows.n_rows() as f64; rows.n_rows()];
    let mut median = weighted(rows, &weights);
    for _ in 0..100 {
        let distances: Vec<f64> = rows.rows().map(|row| distance(row, &median)).collect();
        let mean = distances.iter().sum::<f64>() / distances.len() as f64;
        // A row at the median itself would weigh infinitely.
        let least = (mean * 1e-6).max(f64::MIN_POSITIVE);
        let total: f64 = distances.iter().map(|distance| 1.0 / distance.max(least)).sum();
        for (weight, distance) in weights.iter_mut().zip(&distances) {
            *weight = 1.0 / distance.max(least) / total;
        }
        let next = weighted(rows, &weights);
        let moved = next.iter().zip(&median).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
        median = next;
        if moved <= mean * 1e-6 {
            break;
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "biases are single precision")]
    Ok(median.into_iter().map(|number| number as f32).collect())
}

fn weighted(rows: &Matrix, weights: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; rows.n_columns()];
    for (row, weight) in rows.rows().zip(weights) {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * f64::from(*x));
    }
    sum
}

fn distance(row: &[f32], from: &[f64]) -> f64 {
    let squares =
        row.iter().zip(from).map(|(x, from)| (f64::from(*x) - from) * (f64::from(*x) - from));
    squares.sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_corners_of_a_square_it_is_the_middle() {
        let rows = Matrix::from_rows(4, 2, vec![0.0, 0.0, 2.0, 0.0, 0.0, 2.0, 2.0, 2.0]).unwrap();
        assert_eq!(geometric_median(&rows).unwrap(), [1.0, 1.0]);
    }

    #[test]
    fn no_rows_and_broken_rows_are_refused() {
        assert!(geometric_median(&Matrix::zeros(0, 2)).is_err());
        let broken = Matrix::from_rows(1, 2, vec![0.0, f32::INFINITY]).unwrap();
        assert!(geometric_median(&broken).unwrap_err().to_string().contains("number 1 of row 0"));
    }
}
