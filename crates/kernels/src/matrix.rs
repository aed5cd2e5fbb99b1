//! Dense 32-bit matrices and their products.

use std::mem::MaybeUninit;

use gemm::{Parallelism, gemm};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::KernelError;

/// Rows that one task multiplies. Fixed, so that results do not depend on the number of threads.
const TASK_ROWS: usize = 64;
/// Rows that are transposed together.
const BLOCK: usize = 16;

/// A dense matrix of 32-bit floats, row after row.
///
/// # Examples
///
/// ```
/// use kernels::{Matrix, product, product_transposed};
///
/// let a = Matrix::from_rows(2, 2, vec![1.0, 2.0, 3.0, 4.0])?;
/// let b = Matrix::from_rows(2, 2, vec![0.0, 1.0, 1.0, 0.0])?;
/// assert_eq!(product(&a, &b)?.values(), [2.0, 1.0, 4.0, 3.0]);
/// assert_eq!(product_transposed(&a, &a)?.values(), [5.0, 11.0, 11.0, 25.0]);
/// # Ok::<(), kernels::KernelError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Matrix {
    n_rows: usize,
    n_columns: usize,
    values: Vec<f32>,
}

/// A matrix as it was stored.
#[derive(Deserialize)]
struct Unchecked {
    n_rows: usize,
    n_columns: usize,
    values: Vec<f32>,
}

impl TryFrom<Unchecked> for Matrix {
    type Error = KernelError;

    fn try_from(stored: Unchecked) -> Result<Self, KernelError> {
        Self::from_rows(stored.n_rows, stored.n_columns, stored.values)
    }
}

impl Matrix {
    /// A matrix of zeros.
    pub fn zeros(n_rows: usize, n_columns: usize) -> Self {
        Self { n_rows, n_columns, values: vec![0.0; n_rows * n_columns] }
    }

    /// The square matrix with ones on its diagonal.
    pub fn identity(n: usize) -> Self {
        let mut identity = Self::zeros(n, n);
        identity.values.iter_mut().step_by(n + 1).for_each(|value| *value = 1.0);
        identity
    }

    /// A matrix from its values, row after row.
    ///
    /// # Errors
    /// [`KernelError::Size`] unless there are rows times columns values.
    pub fn from_rows(
        n_rows: usize,
        n_columns: usize,
        values: Vec<f32>,
    ) -> Result<Self, KernelError> {
        KernelError::check("values of a matrix", n_rows * n_columns, values.len())?;
        Ok(Self { n_rows, n_columns, values })
    }

    /// The number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The number of columns.
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, row after row, without the matrix.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// All values, row after row, to be changed.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// One row.
    ///
    /// # Panics
    /// Beyond the last row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.n_columns..(row + 1) * self.n_columns]
    }

    /// One row, to be changed.
    ///
    /// # Panics
    /// Beyond the last row.
    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.n_columns..(row + 1) * self.n_columns]
    }

    /// The rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        (0..self.n_rows).map(|row| self.row(row))
    }

    /// The rows at these places, in this order; a row may come more than once.
    ///
    /// # Panics
    /// Beyond the last row.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let mut values = Vec::with_capacity(rows.len() * self.n_columns);
        for row in rows {
            values.extend_from_slice(self.row(*row));
        }
        Self { n_rows: rows.len(), n_columns: self.n_columns, values }
    }

    /// The matrix with rows and columns exchanged.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut result = Self::zeros(self.n_columns, self.n_rows);
        // In blocks, so that both sides stay in the cache.
        for first in (0..self.n_rows).step_by(BLOCK) {
            let rows = first..(first + BLOCK).min(self.n_rows);
            for column in 0..self.n_columns {
                let line = column * self.n_rows;
                for row in rows.clone() {
                    result.values[line + row] = self.values[row * self.n_columns + column];
                }
            }
        }
        result
    }

    /// Replaces the rows at these places by those of another matrix.
    ///
    /// # Errors
    /// [`KernelError::Size`] if the other matrix has another width or another number of rows.
    ///
    /// # Panics
    /// Beyond the last row.
    pub fn put(&mut self, rows: &[usize], from: &Self) -> Result<(), KernelError> {
        KernelError::check("columns", self.n_columns, from.n_columns)?;
        KernelError::check("rows", rows.len(), from.n_rows)?;
        for (at, row) in rows.iter().enumerate() {
            self.row_mut(*row).copy_from_slice(from.row(at));
        }
        Ok(())
    }

    /// The rows of this matrix, and below them those of another.
    ///
    /// # Errors
    /// [`KernelError::Size`] if the other matrix has another width.
    pub fn below(mut self, other: &Self) -> Result<Self, KernelError> {
        KernelError::check("columns", self.n_columns, other.n_columns)?;
        self.values.extend_from_slice(&other.values);
        self.n_rows += other.n_rows;
        Ok(self)
    }

    /// Scales each row to length 1; a row of zeros stays.
    pub fn normalize_rows(&mut self) {
        let n_columns = self.n_columns.max(1);
        self.values.par_chunks_mut(n_columns).for_each(|row| {
            let square: f64 = row.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
            if square > 0.0 {
                let scale = 1.0 / square.sqrt();
                for value in row {
                    *value = narrowed(f64::from(*value) * scale);
                }
            }
        });
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
fn narrowed(value: f64) -> f32 {
    value as f32
}

/// A·B.
///
/// # Shapes
/// `a` `[m, k]`, `b` `[k, n]`; the result is `[m, n]`.
///
/// # Determinism
/// The same bits for any number of threads; the last bits depend on the CPU class.
///
/// # Errors
/// [`KernelError::Size`] if the inner sizes differ.
pub fn product(a: &Matrix, b: &Matrix) -> Result<Matrix, KernelError> {
    KernelError::check("rows of the right factor", a.n_columns, b.n_rows)?;
    Ok(multiply(Factor::plain(a), Factor::plain(b), (a.n_rows, a.n_columns, b.n_columns)))
}

/// A·Bᵀ.
///
/// # Shapes
/// `a` `[m, k]`, `b` `[n, k]`; the result is `[m, n]`.
///
/// # Determinism
/// The same bits for any number of threads; the last bits depend on the CPU class.
///
/// # Errors
/// [`KernelError::Size`] if the inner sizes differ.
pub fn product_transposed(a: &Matrix, b: &Matrix) -> Result<Matrix, KernelError> {
    KernelError::check("columns of the right factor", a.n_columns, b.n_columns)?;
    Ok(multiply(Factor::plain(a), Factor::transposed(b), (a.n_rows, a.n_columns, b.n_rows)))
}

/// Aᵀ·B.
///
/// # Shapes
/// `a` `[k, m]`, `b` `[k, n]`; the result is `[m, n]`.
///
/// # Determinism
/// The same bits for any number of threads; the last bits depend on the CPU class.
///
/// # Errors
/// [`KernelError::Size`] if the outer sizes differ.
pub fn transposed_product(a: &Matrix, b: &Matrix) -> Result<Matrix, KernelError> {
    KernelError::check("rows of the right factor", a.n_rows, b.n_rows)?;
    Ok(multiply(Factor::transposed(a), Factor::plain(b), (a.n_columns, a.n_rows, b.n_columns)))
}

/// A factor of a product: its values, and how far apart two of a row and of a column are.
#[derive(Clone, Copy)]
pub(crate) struct Factor<'a> {
    values: &'a [f32],
    next_in_row: usize,
    next_in_column: usize,
}

impl<'a> Factor<'a> {
    /// Rows that begin `stride` numbers after each other.
    pub(crate) fn rows(values: &'a [f32], stride: usize) -> Self {
        Self { values, next_in_row: 1, next_in_column: stride }
    }

    /// Rows become columns.
    pub(crate) fn turned(self) -> Self {
        Self {
            values: self.values,
            next_in_row: self.next_in_column,
            next_in_column: self.next_in_row,
        }
    }

    fn plain(matrix: &'a Matrix) -> Self {
        Self { values: &matrix.values, next_in_row: 1, next_in_column: matrix.n_columns }
    }

    fn transposed(matrix: &'a Matrix) -> Self {
        Self { values: &matrix.values, next_in_row: matrix.n_columns, next_in_column: 1 }
    }
}

/// The product of a factor of m rows of k values and one of k rows of n, put into rows of `result` that begin `stride`
/// numbers after each other, or added to what is there.
pub(crate) fn multiply_into(
    result: &mut [f32],
    stride: usize,
    add: bool,
    a: Factor<'_>,
    b: Factor<'_>,
    size: [usize; 3],
) {
    let [m, _, n] = size;
    assert!(
        n <= stride && (m.max(1) - 1) * stride + n <= result.len(),
        "the result holds what is written"
    );
    // SAFETY: the result holds all rows (asserted above), and it is initialized.
    unsafe {
        multiply_at(result.as_mut_ptr(), stride, add, a, b, size, Parallelism::None);
    }
}

/// The same by all threads, into rows that follow each other; what is added to has been written before.
///
/// The threads share out tiles of the result, whose bounds and sums do not depend on how many there are.
///
/// # Safety
/// With `add`, all of `result` is initialized.
pub(crate) unsafe fn multiply_by_all(
    result: &mut [MaybeUninit<f32>],
    add: bool,
    a: Factor<'_>,
    b: Factor<'_>,
    size: [usize; 3],
) {
    let [m, _, n] = size;
    assert_eq!(result.len(), m * n, "the result holds what is written, and no more");
    // SAFETY: the result holds all rows (asserted above); the caller says that it is initialized if it is read.
    unsafe {
        multiply_at(result.as_mut_ptr().cast(), n, add, a, b, size, Parallelism::Rayon(0));
    }
}

/// # Safety
/// `result` points to m rows of n numbers, `stride` numbers after each other, that this call alone uses; with `add`
/// they are initialized.
unsafe fn multiply_at(
    result: *mut f32,
    stride: usize,
    add: bool,
    a: Factor<'_>,
    b: Factor<'_>,
    [m, k, n]: [usize; 3],
    parallelism: Parallelism,
) {
    let last = |factor: Factor<'_>, rows: usize, columns: usize| {
        (rows - 1) * factor.next_in_column + (columns - 1) * factor.next_in_row
    };
    assert!(
        m == 0
            || n == 0
            || k == 0
            || (last(a, m, k) < a.values.len() && last(b, k, n) < b.values.len()),
        "factors hold what is read"
    );
    #[expect(clippy::cast_possible_wrap, reason = "strides are below the size of a buffer")]
    let step = |step: usize| step as isize;
    // SAFETY: the caller answers for the result; the factors hold all that is read of them (asserted above), and
    // none of them is changed or freed during the call.
    unsafe {
        gemm(
            m,
            n,
            k,
            result,
            1,
            step(stride),
            add,
            a.values.as_ptr(),
            step(a.next_in_row),
            step(a.next_in_column),
            b.values.as_ptr(),
            step(b.next_in_row),
            step(b.next_in_column),
            1.0_f32,
            1.0_f32,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// The product of a factor of m rows of k values and one of k rows of n.
fn multiply(a: Factor<'_>, b: Factor<'_>, (m, k, n): (usize, usize, usize)) -> Matrix {
    let mut result = Matrix::zeros(m, n);
    if m == 0 || n == 0 || k == 0 {
        return result;
    }
    let last = |factor: Factor<'_>, rows: usize, columns: usize| {
        (rows - 1) * factor.next_in_column + (columns - 1) * factor.next_in_row
    };
    assert!(
        last(a, m, k) < a.values.len() && last(b, k, n) < b.values.len(),
        "factors hold what is read"
    );
    result.values.par_chunks_mut(TASK_ROWS * n).enumerate().for_each(|(task, result)| {
        let rows = result.len() / n;
        let a_values = &a.values[task * TASK_ROWS * a.next_in_column..];
        #[expect(clippy::cast_possible_wrap, reason = "strides are below the size of a buffer")]
        let stride = |step: usize| step as isize;
        // SAFETY: `result` holds rows·n values in rows of n and belongs to this task alone; the factors hold
        // all that is read of them, up to their last row and column (asserted above; this task begins at its
        // own rows). None of them is changed or freed during the call.
        unsafe {
            gemm(
                rows,
                n,
                k,
                result.as_mut_ptr(),
                1,
                stride(n),
                false,
                a_values.as_ptr(),
                stride(a.next_in_row),
                stride(a.next_in_column),
                b.values.as_ptr(),
                stride(b.next_in_row),
                stride(b.next_in_column),
                0.0_f32,
                1.0_f32,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    });
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn random(n_rows: usize, n_columns: usize, purpose: &str) -> Matrix {
        let mut rng = seed::Seed::new(3).stream("matrix", purpose);
        let values = (0..n_rows * n_columns).map(|_| narrowed(rng.normal())).collect();
        Matrix::from_rows(n_rows, n_columns, values).unwrap()
    }

    fn oracle(a: &Matrix, b: impl Fn(usize, usize) -> f32, n: usize) -> Vec<f64> {
        let entry = |row: usize, column: usize| -> f64 {
            let terms = a.row(row).iter().enumerate();
            terms.map(|(k, value)| f64::from(*value) * f64::from(b(k, column))).sum()
        };
        (0..a.n_rows())
            .flat_map(|row| (0..n).map(move |column| (row, column)))
            .map(|(r, c)| entry(r, c))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn products_agree_with_a_plain_loop(m in 1_usize..150, k in 1_usize..90, n in 1_usize..70) {
            let (a, b, c) = (random(m, k, "a"), random(k, n, "b"), random(n, k, "c"));
            let bound = 1e-5 * (k as f64).sqrt();
            let plain = product(&a, &b).unwrap();
            for (got, want) in plain.values().iter().zip(oracle(&a, |i, j| b.row(i)[j], n)) {
                prop_assert!((f64::from(*got) - want).abs() < bound);
            }
            let transposed = product_transposed(&a, &c).unwrap();
            for (got, want) in transposed.values().iter().zip(oracle(&a, |i, j| c.row(j)[i], n)) {
                prop_assert!((f64::from(*got) - want).abs() < bound);
            }
            let columns = transposed_product(&a.transposed(), &b).unwrap();
            for (got, want) in columns.values().iter().zip(plain.values()) {
                prop_assert!(f64::from((got - want).abs()) < bound);
            }
        }
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads() {
        let (a, b) = (random(333, 200, "a"), random(200, 177, "b"));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| product(&a, &b).unwrap())
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(4));
    }

    #[test]
    fn shapes_are_checked() {
        let (a, b) = (Matrix::zeros(2, 3), Matrix::zeros(2, 3));
        assert!(product(&a, &b).is_err());
        assert!(product_transposed(&a, &Matrix::zeros(2, 4)).is_err());
        assert!(Matrix::from_rows(2, 2, vec![0.0; 3]).is_err());
        assert_eq!(
            product(&Matrix::zeros(2, 0), &Matrix::zeros(0, 3)).unwrap(),
            Matrix::zeros(2, 3)
        );
        assert_eq!(product(&Matrix::zeros(0, 2), &Matrix::zeros(2, 3)).unwrap().n_rows(), 0);
    }

    #[test]
    fn rows_and_columns_exchange_places() {
        let a = random(37, 50, "a");
        let b = a.transposed();
        assert_eq!((b.n_rows(), b.n_columns()), (50, 37));
        assert!((0..37).all(|row| (0..50).all(|column| a.row(row)[column] == b.row(column)[row])));
        assert_eq!(b.transposed(), a);
        assert_eq!(product(&a, &Matrix::identity(50)).unwrap(), a);
    }

    #[test]
    fn rows_become_unit_vectors_and_zeros_stay() {
        let mut a = Matrix::from_rows(2, 2, vec![3.0, 4.0, 0.0, 0.0]).unwrap();
        a.normalize_rows();
        assert_eq!(a.values(), [0.6, 0.8, 0.0, 0.0]);
    }
}
