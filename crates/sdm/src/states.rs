//! What memories read and answer: rows of bits or of numbers.

use kernels::{BitMatrix, Matrix, product_transposed};

use crate::SdmError;

/// States of queries, one a row.
pub trait States: Clone + Sync {
    /// The number of rows.
    fn n_rows(&self) -> usize;

    /// The rows at these places.
    #[must_use]
    fn select(&self, rows: &[usize]) -> Self;

    /// Replaces the rows at these places.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] if the sizes do not fit.
    fn put(&mut self, rows: &[usize], from: &Self) -> Result<(), SdmError>;

    /// Whether a row differs from another's by at most ε in each coordinate.
    fn is_near(&self, row: usize, other: &Self, other_row: usize, epsilon: f32) -> bool;

    /// The cosine between a row and another's: of bits, 1 − 2·distance/n; of a row of zeros, 0.
    fn cosine(&self, row: usize, other: &Self, other_row: usize) -> f64;

    /// For each row whether the target with the same place in `targets` is nearer to it than every other
    /// row of `stored`, which have length 1.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] if the widths differ.
    fn identify(&self, stored: &Self, targets: &[usize]) -> Result<Vec<bool>, SdmError>;
}

impl States for BitMatrix {
    fn n_rows(&self) -> usize {
        self.n_rows()
    }

    fn select(&self, rows: &[usize]) -> Self {
        self.select(rows)
    }

    fn put(&mut self, rows: &[usize], from: &Self) -> Result<(), SdmError> {
        Ok(self.put(rows, from)?)
    }

    fn is_near(&self, row: usize, other: &Self, other_row: usize, _: f32) -> bool {
        self.row(row) == other.row(other_row)
    }

    fn cosine(&self, row: usize, other: &Self, other_row: usize) -> f64 {
        let distance = f64::from(self.distance(row, other, other_row));
        geometry::cosine_from_hamming(self.n_bits(), distance)
    }

    fn identify(&self, stored: &Self, targets: &[usize]) -> Result<Vec<bool>, SdmError> {
        let rows = (0..self.n_rows()).zip(targets);
        rows.map(|(row, target)| {
            let distances = stored.distances(self.row(row))?;
            Ok(is_single(&distances, *target, |own, other| own < other))
        })
        .collect()
    }
}

/// Whether the target is better than every other.
fn is_single<T: Copy>(all: &[T], target: usize, better: impl Fn(T, T) -> bool) -> bool {
    all.iter().enumerate().all(|(at, other)| at == target || better(all[target], *other))
}

impl States for Matrix {
    fn n_rows(&self) -> usize {
        self.n_rows()
    }

    fn select(&self, rows: &[usize]) -> Self {
        self.select(rows)
    }

    fn put(&mut self, rows: &[usize], from: &Self) -> Result<(), SdmError> {
        Ok(self.put(rows, from)?)
    }

    fn is_near(&self, row: usize, other: &Self, other_row: usize, epsilon: f32) -> bool {
        let pairs = self.row(row).iter().zip(other.row(other_row));
        pairs.into_iter().all(|(a, b)| (a - b).abs() <= epsilon)
    }

    fn cosine(&self, row: usize, other: &Self, other_row: usize) -> f64 {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let (a, b) = (self.row(row), other.row(other_row));
        let norms = (dot(a, a) * dot(b, b)).sqrt();
        if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
    }

    fn identify(&self, stored: &Self, targets: &[usize]) -> Result<Vec<bool>, SdmError> {
        let dots = product_transposed(self, stored)?;
        let rows = dots.rows().zip(targets);
        Ok(rows.map(|(dots, target)| is_single(dots, *target, |own, other| own > other)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_alone_is_identified() {
        let vectors = Matrix::from_rows(3, 2, vec![1.0, 0.0, 0.0, 1.0, 0.0, 1.0]).unwrap();
        let ends = Matrix::from_rows(3, 2, vec![0.9, 0.1, 0.1, 0.9, 0.9, 0.1]).unwrap();
        // The second is as near to the third, the third nearer to the first.
        assert_eq!(ends.identify(&vectors, &[0, 1, 2]).unwrap(), [true, false, false]);
        let bits = BitMatrix::from_fn(2, 3, |row, _| row == 1);
        let ends = BitMatrix::from_fn(2, 3, |_, bit| bit == 0);
        assert_eq!(ends.identify(&bits, &[0, 1]).unwrap(), [true, false]);
    }
}
