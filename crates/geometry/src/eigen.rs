//! Eigenvalues of symmetric matrices.

use crate::GeometryError;

/// Sweeps after which rounding is all that is left; a dozen are enough for hundreds of dimensions.
const SWEEPS: usize = 60;

/// The eigenvalues of a symmetric matrix with their unit vectors, A = Σ λᵢ·vᵢ·vᵢᵀ.
#[derive(Clone, Debug, PartialEq)]
pub struct SymmetricEigen {
    /// From the largest to the smallest.
    pub values: Vec<f64>,
    /// For each value its vector of length 1, orthogonal to the others; its largest component is positive.
    pub vectors: Vec<Vec<f64>>,
}

/// Diagonalizes a symmetric matrix, given row by row, by cyclic Jacobi rotations.
///
/// Of a covariance the vectors are the principal components and the values their variances.
///
/// # Determinism
///
/// The same bits on every platform.
///
/// # Errors
///
/// [`GeometryError::Dimension`] for an empty matrix or one that is not square, [`GeometryError::Range`] for a number
/// that is not finite or a matrix that is not symmetric to 1e-9 of its largest number.
///
/// # Examples
///
/// Stretched by 3 along (1, 1) and by 1 along (1, −1):
///
/// ```
/// let eigen = geometry::symmetric_eigen(&[2.0, 1.0, 1.0, 2.0])?;
/// assert!((eigen.values[0] - 3.0).abs() < 1e-12 && (eigen.values[1] - 1.0).abs() < 1e-12);
/// assert!((eigen.vectors[0][0] - 0.5_f64.sqrt()).abs() < 1e-12);
/// # Ok::<(), geometry::GeometryError>(())
/// ```
pub fn symmetric_eigen(matrix: &[f64]) -> Result<SymmetricEigen, GeometryError> {
    let n = matrix.len().isqrt();
    if n == 0 || n * n != matrix.len() {
        let minimum = (n + 1) * (n + 1);
        return Err(GeometryError::Dimension { got: matrix.len(), minimum });
    }
    let largest = matrix.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let bad = |what, got| Err(GeometryError::Range { what, got, interval: "(-∞, ∞)" });
    if let Some(value) = matrix.iter().find(|value| !value.is_finite()) {
        return bad("a number of the matrix", *value);
    }
    for row in 0..n {
        for column in 0..row {
            let gap = (matrix[row * n + column] - matrix[column * n + row]).abs();
            if gap > 1e-9 * largest {
                return Err(GeometryError::Range {
                    what: "the asymmetry of the matrix",
                    got: gap,
                    interval: "[0, 1e-9 of its largest number]",
                });
            }
        }
    }
    let mut a = matrix.to_vec();
    // Rows are the vectors.
    let mut v = vec![0.0; n * n];
    (0..n).for_each(|at| v[at * n + at] = 1.0);
    for _ in 0..SWEEPS {
        let off: f64 =
            (0..n).flat_map(|p| (0..p).map(move |q| (p, q))).map(|(p, q)| a[p * n + q].abs()).sum();
        if off <= f64::EPSILON * 1e-3 * largest {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, n, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|i, j| a[j * n + j].total_cmp(&a[i * n + i]));
    let vector = |at: &usize| {
        let row = &v[at * n..][..n];
        let top =
            row.iter().copied().fold(0.0_f64, |top, x| if x.abs() > top.abs() { x } else { top });
        row.iter().map(|x| if top < 0.0 { -x } else { *x }).collect()
    };
    Ok(SymmetricEigen {
        values: order.iter().map(|at| a[at * n + at]).collect(),
        vectors: order.iter().map(vector).collect(),
    })
}

/// Rotates the plane of two axes so that their element becomes 0.
fn rotate(a: &mut [f64], v: &mut [f64], n: usize, p: usize, q: usize) {
    let apq = a[p * n + q];
    if apq == 0.0 {
        return;
    }
    // t = tan θ of the smaller angle, from cot 2θ.
    let cot = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
    let t = cot.signum() / (cot.abs() + (cot * cot + 1.0).sqrt());
    let t = if cot == 0.0 { 1.0 } else { t };
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for k in 0..n {
        let (x, y) = (a[k * n + p], a[k * n + q]);
        a[k * n + p] = c * x - s * y;
        a[k * n + q] = s * x + c * y;
    }
    for matrix in [a, v] {
        for k in 0..n {
            let (x, y) = (matrix[p * n + k], matrix[q * n + k]);
            matrix[p * n + k] = c * x - s * y;
            matrix[q * n + k] = s * x + c * y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_parts_add_up_and_are_orthonormal(n in 1_usize..12, numbers in prop::collection::vec(-3.0..3.0_f64, 144)) {
            let mut matrix = vec![0.0; n * n];
            for row in 0..n {
                for column in 0..=row {
                    let value = numbers[row * 12 + column];
                    matrix[row * n + column] = value;
                    matrix[column * n + row] = value;
                }
            }
            let eigen = symmetric_eigen(&matrix).unwrap();
            prop_assert!(eigen.values.windows(2).all(|pair| pair[0] >= pair[1]));
            for row in 0..n {
                for column in 0..n {
                    let sum: f64 = (0..n)
                        .map(|at| eigen.values[at] * eigen.vectors[at][row] * eigen.vectors[at][column])
                        .sum();
                    prop_assert!((sum - matrix[row * n + column]).abs() < 1e-11);
                    let dot: f64 = (0..n).map(|k| eigen.vectors[row][k] * eigen.vectors[column][k]).sum();
                    prop_assert!((dot - f64::from(u8::from(row == column))).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn a_diagonal_is_sorted_and_a_path_has_its_cosines() {
        let eigen = symmetric_eigen(&[1.0, 0.0, 0.0, 5.0]).unwrap();
        assert_eq!(
            (eigen.values, eigen.vectors),
            (vec![5.0, 1.0], vec![vec![0.0, 1.0], vec![1.0, 0.0]])
        );
        // The adjacency of a path of n nodes has eigenvalues 2·cos(πk/(n+1)).
        let n = 60;
        let mut path = vec![0.0; n * n];
        for at in 1..n {
            path[at * n + at - 1] = 1.0;
            path[(at - 1) * n + at] = 1.0;
        }
        let eigen = symmetric_eigen(&path).unwrap();
        for (k, value) in eigen.values.iter().enumerate() {
            let expected = 2.0 * libm::cos(std::f64::consts::PI * (k + 1) as f64 / (n + 1) as f64);
            assert!((value - expected).abs() < 1e-12, "{k}");
        }
    }

    #[test]
    fn what_is_no_symmetric_matrix_is_an_error() {
        assert!(symmetric_eigen(&[]).is_err());
        assert!(symmetric_eigen(&[1.0, 2.0]).is_err());
        assert!(symmetric_eigen(&[1.0, 2.0, 3.0, 4.0]).is_err());
        assert!(symmetric_eigen(&[f64::NAN]).is_err());
    }
}
