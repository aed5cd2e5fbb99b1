//! Sums of few rows of many.

use crate::Matrix;

/// Columns that are summed together: as many as registers hold.
const BLOCK: usize = 64;

/// Σ weight · row over the picked rows, in their order: a product with a sparse vector.
///
/// # Shapes
/// `rows` `[row, column]`; `sum` has a value for each column and is overwritten.
///
/// # Determinism
/// The same bits on every machine: a column is summed in the order of the picks, without fused operations.
///
/// # Panics
/// If `sum` is not as wide as a row, or a row does not exist.
///
/// # Examples
///
/// ```
/// let rows = kernels::Matrix::from_rows(3, 2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// let mut sum = [0.0; 2];
/// kernels::sum_of_rows(&rows, &[(0, 1.0), (2, -2.0)], &mut sum);
/// assert_eq!(sum, [-9.0, -10.0]);
/// # Ok::<(), kernels::KernelError>(())
/// ```
pub fn sum_of_rows(rows: &Matrix, picks: &[(u32, f32)], sum: &mut [f32]) {
    assert_eq!(sum.len(), rows.n_columns(), "a sum has a value for each column");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has these features.
        return unsafe { with_avx2(rows, picks, sum) };
    }
    plain(rows, picks, sum);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2(rows: &Matrix, picks: &[(u32, f32)], sum: &mut [f32]) {
    plain(rows, picks, sum);
}

#[expect(
    clippy::inline_always,
    reason = "a loop gets the instructions of its caller only where it is inlined there"
)]
#[inline(always)]
fn plain(rows: &Matrix, picks: &[(u32, f32)], sum: &mut [f32]) {
    let width = rows.n_columns();
    let values = rows.values();
    let (blocks, _) = sum.as_chunks_mut::<BLOCK>();
    let mut first = 0;
    for block in blocks {
        let mut sums = [0.0_f32; BLOCK];
        for (row, weight) in picks {
            let begin = *row as usize * width + first;
            let Some(row) = values[begin..].first_chunk::<BLOCK>() else { continue };
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += weight * value;
            }
        }
        *block = sums;
        first += BLOCK;
    }
    for (column, sum) in sum.iter_mut().enumerate().skip(first) {
        *sum = picks
            .iter()
            .fold(0.0, |sum, (row, weight)| sum + weight * values[*row as usize * width + column]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_level_sums_what_a_plain_loop_sums(
            n_rows in 1_usize..40, width in 1_usize..200, n_picks in 0_usize..30,
        ) {
            let mut rng = seed::Seed::new(4).stream("sparse", "rows");
            let values = (0..n_rows * width).map(|_| f32::from(u8::try_from(rng.below(200)).unwrap()) / 7.0).collect();
            let rows = Matrix::from_rows(n_rows, width, values).unwrap();
            let picks: Vec<(u32, f32)> =
                (0..n_picks).map(|at| (u32::try_from(rng.below(n_rows)).unwrap(), 0.3 - at as f32)).collect();
            let mut expected = vec![0.0_f32; width];
            for (row, weight) in &picks {
                for (sum, value) in expected.iter_mut().zip(rows.row(*row as usize)) {
                    *sum += weight * value;
                }
            }
            let mut sum = vec![7.0; width];
            sum_of_rows(&rows, &picks, &mut sum);
            prop_assert_eq!(&sum, &expected);
            plain(&rows, &picks, &mut sum);
            prop_assert_eq!(&sum, &expected);
        }
    }
}
