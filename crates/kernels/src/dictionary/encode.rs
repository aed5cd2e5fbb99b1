//! What is active, found tile by tile of pre-activations.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::Codes;
use super::keep::{Above, Keep, Largest};
use super::panels::{Aligned, lay, tile};
use crate::{KernelError, Matrix};

/// Rows of a batch that one task encodes.
const TASK_ROWS: usize = 128;
/// Rows of a batch that are encoded together at most.
const MOST_ROWS: usize = 1 << 13;
/// Numbers that are laid in panels together, of the batch and of the encoder each.
const STORE: usize = 1 << 22;
/// The same of the encoder for each row.
const ROW_STORE: usize = 1 << 10;
/// Numbers of a row that are multiplied before those of the next: a panel of rows stays in the nearest cache.
const DEPTH: usize = 512;
/// Numbers of the encoder that all rows of a task are multiplied with before the next: they stay in the cache of a core.
const BLOCK: usize = 480 * 256;
/// The rows of the widest panel at most.
const MOST_LANES: usize = 64;

/// The k largest positive pre-activations of each row: z = max(0, top-k(W·x + b)).
///
/// Rows with fewer positive pre-activations have fewer active latents. Of equal ones the earlier latent counts; one that
/// is NaN is never active.
///
/// # Shapes
/// `x` `[row, d]`, `encoder` `[n_latents, d]`, `bias` `[n_latents]`.
///
/// # Determinism
/// Products are summed number after number, with fused multiply-adds where there are any: the same bits for any number of
/// threads and in any batch.
///
/// # Memory
/// Some 2²² numbers each of the batch and of the encoder as they are laid out for products, and about 2·k candidates for each
/// of these rows, 2¹³ at most.
///
/// # Errors
/// [`KernelError::Size`] if the sizes do not fit.
///
/// # Examples
///
/// ```
/// use kernels::Matrix;
/// use kernels::dictionary::{Codes, top_k_codes};
///
/// let x = Matrix::from_rows(1, 2, vec![3.0, -1.0])?;
/// let encoder = Matrix::from_rows(3, 2, vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0])?;
/// let codes = top_k_codes(&x, &encoder, &[0.0, 0.0, 0.5], 2)?;
/// assert_eq!(codes, Codes::from_rows(3, &[vec![(0, 3.0), (2, 2.5)]])?);
/// # Ok::<(), kernels::KernelError>(())
/// ```
pub fn top_k_codes(
    x: &Matrix,
    encoder: &Matrix,
    bias: &[f32],
    k: usize,
) -> Result<Codes, KernelError> {
    let k = k.min(encoder.n_rows());
    encoded(x, encoder, bias, || Largest::new(k))
}

/// All pre-activations above a threshold of their latent: z = π where π > θ, π = W·x + b.
///
/// # Shapes
/// As [`top_k_codes`]; `thresholds` `[n_latents]`.
///
/// # Determinism
/// As [`top_k_codes`].
///
/// # Memory
/// As [`top_k_codes`], but for candidates, and what is found.
///
/// # Errors
/// [`KernelError::Size`] if the sizes do not fit.
///
/// # Examples
///
/// ```
/// use kernels::Matrix;
/// use kernels::dictionary::{Codes, codes_above};
///
/// let x = Matrix::from_rows(1, 2, vec![3.0, -1.0])?;
/// let encoder = Matrix::from_rows(3, 2, vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0])?;
/// let codes = codes_above(&x, &encoder, &[0.0, 0.0, 0.5], &[3.0, -2.0, 0.0])?;
/// assert_eq!(codes, Codes::from_rows(3, &[vec![(1, -1.0), (2, 2.5)]])?);
/// # Ok::<(), kernels::KernelError>(())
/// ```
pub fn codes_above(
    x: &Matrix,
    encoder: &Matrix,
    bias: &[f32],
    thresholds: &[f32],
) -> Result<Codes, KernelError> {
    KernelError::check("thresholds", encoder.n_rows(), thresholds.len())?;
    let thresholds = &padded(thresholds, f32::INFINITY);
    encoded(x, encoder, bias, || Above::new(thresholds))
}

/// The batch by tasks of rows, or, where these are too few for all threads, of rows and parts of the latents. What is kept
/// depends on neither.
fn encoded<K: Keep>(
    x: &Matrix,
    encoder: &Matrix,
    bias: &[f32],
    keep: impl Fn() -> K + Sync,
) -> Result<Codes, KernelError> {
    let (n_latents, width) = (encoder.n_rows(), encoder.n_columns());
    KernelError::check("columns of the batch", width, x.n_columns())?;
    KernelError::check("numbers of the bias", n_latents, bias.len())?;
    assert!(u32::try_from(n_latents).is_ok(), "less than 2^32 latents");
    if width == 0 || n_latents == 0 {
        return Ok(Codes::collect(n_latents, &vec![Vec::new(); x.n_rows()]));
    }
    // What is no number is above nothing.
    let bias = &padded(bias, f32::NAN);
    let rows = Arch::new().dispatch(Encode { x, encoder, bias, keep });
    Ok(Codes::collect(n_latents, &rows))
}

/// Numbers with others behind them, as many as the widest panel has rows.
fn padded(numbers: &[f32], with: f32) -> Vec<f32> {
    [numbers, &[with; MOST_LANES]].concat()
}

/// Active latents of each row, with their values.
type Rows = Vec<Vec<(u32, f32)>>;

/// A batch, and how to begin with what is kept of a row.
struct Encode<'a, F> {
    x: &'a Matrix,
    encoder: &'a Matrix,
    bias: &'a [f32],
    keep: F,
}

impl<K: Keep, F: Fn() -> K + Sync> WithSimd for Encode<'_, F> {
    type Output = Rows;

    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        // As many sums as registers hold beside a vector for each column of the tile and a number of a row.
        if S::F32_LANES == 1 {
            self.by::<S, 4, 8>(simd)
        } else if S::REGISTER_COUNT < 32 {
            self.by::<S, 6, 2>(simd)
        } else {
            self.by::<S, 8, 3>(simd)
        }
    }
}

impl<K: Keep, F: Fn() -> K + Sync> Encode<'_, F> {
    /// By tiles of M rows and N vectors of latents.
    fn by<S: Simd, const M: usize, const N: usize>(self, simd: S) -> Rows {
        let lanes = N * S::F32_LANES;
        assert!(lanes <= MOST_LANES, "the widest panel");
        let depth = self.encoder.n_columns();
        let n_rows = (STORE / depth).clamp(TASK_ROWS, MOST_ROWS).min(self.x.n_rows());
        let n_tasks = n_rows.div_ceil(TASK_ROWS);
        let n_parts = (2 * rayon::current_num_threads() / n_tasks.max(1)).max(1);
        // A part has a block at least, and few rows do not repay memory that was not touched yet.
        let n_numbers = (n_rows * ROW_STORE).max(n_parts * BLOCK).min(STORE);
        let n_panels =
            self.encoder.n_rows().div_ceil(lanes).min((n_numbers / (lanes * depth)).max(1));
        let part = n_panels.div_ceil(n_parts) * lanes * depth;
        let n_parts = (n_panels * lanes * depth).div_ceil(part);
        let mut panels = Aligned::zeros(n_panels * lanes * depth);
        let mut rows = Aligned::zeros(n_rows.next_multiple_of(M) * depth);
        let mut all = Vec::with_capacity(self.x.n_rows());
        for x in self.x.values().chunks(n_rows.max(1) * depth) {
            let n_rows = x.len() / depth;
            let rows = &mut rows.numbers_mut()[..n_rows.next_multiple_of(M) * depth];
            lay_all(simd, rows, x, depth, M);
            // Those of a task follow each other.
            let task = TASK_ROWS.next_multiple_of(M);
            let mut kept: Vec<Vec<K>> = (0..n_rows.div_ceil(task) * n_parts)
                .map(|at| task.min(n_rows - at / n_parts * task))
                .map(|n| (0..n).map(|_| (self.keep)()).collect())
                .collect();
            let all_weights = self.encoder.values().chunks(n_panels * lanes * depth);
            for (first, weights) in (0..).step_by(n_panels * lanes).zip(all_weights) {
                let n = weights.len().next_multiple_of(lanes * depth);
                let panels = &mut panels.numbers_mut()[..n];
                lay_all(simd, panels, weights, depth, lanes);
                let (rows, panels) = (&*rows, &*panels);
                kept.par_iter_mut().enumerate().for_each(|(at, kept)| {
                    let rows = &rows[at / n_parts * task * depth..];
                    let rows = &rows[..rows.len().min(task * depth)];
                    let begin = at % n_parts * part;
                    if begin < n {
                        let panels = &panels[begin..n.min(begin + part)];
                        let first = first + begin / depth;
                        let bias = self.bias;
                        let task = Task::<K, M, N> { rows, depth, panels, first, bias, kept };
                        simd.vectorize(task);
                    }
                });
            }
            let mut kept = kept.into_iter();
            while let Some(mut task) = kept.next() {
                for more in kept.by_ref().take(n_parts - 1) {
                    task.iter_mut().zip(more).for_each(|(kept, more)| kept.join(more));
                }
                all.push(task);
            }
        }
        let rows =
            all.into_par_iter().map(|task| task.into_iter().map(K::done).collect::<Vec<_>>());
        rows.collect::<Vec<_>>().into_iter().flatten().collect()
    }
}

/// Rows of `depth` numbers in panels of so many.
fn lay_all<S: Simd>(simd: S, panels: &mut [f32], rows: &[f32], depth: usize, lanes: usize) {
    let rows = rows.par_chunks(lanes * depth);
    panels.par_chunks_mut(lanes * depth).zip(rows).for_each(|(panel, rows)| {
        simd.vectorize(
            #[inline(always)]
            || lay(panel, rows, depth, lanes),
        );
    });
}

/// Rows of a batch by panels of latents.
struct Task<'a, K, const M: usize, const N: usize> {
    rows: &'a [f32],
    depth: usize,
    panels: &'a [f32],
    first: usize,
    bias: &'a [f32],
    kept: &'a mut [K],
}

impl<K: Keep, const M: usize, const N: usize> WithSimd for Task<'_, K, M, N> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, depth, panels, first, bias, kept } = self;
        let lanes = N * S::F32_LANES;
        let n_rows = kept.len().div_ceil(M);
        let step = depth.div_ceil(depth.div_ceil(DEPTH));
        let block = (BLOCK / (lanes * step)).max(1);
        // Sums of a part of the depth are kept until the next part.
        let n_tiles = if step == depth { 1 } else { n_rows * block };
        let mut sums = Aligned::zeros(n_tiles * M * lanes);
        let blocks = panels.chunks(block * lanes * depth);
        for (first, panels) in (first..).step_by(block * lanes).zip(blocks) {
            for begin in (0..depth).step_by(step) {
                let end = depth.min(begin + step);
                for (row, rows) in rows.chunks_exact(M * depth).enumerate() {
                    let rows = &rows[begin * M..end * M];
                    let panels = panels.chunks_exact(lanes * depth).enumerate();
                    for (at, panel) in panels {
                        let place = if step == depth { 0 } else { row * block + at };
                        let sums = &mut sums.numbers_mut()[place * M * lanes..][..M * lanes];
                        let panel = &panel[begin * lanes..end * lanes];
                        tile::<S, M, N>(simd, sums, begin > 0, rows, panel);
                        if end < depth {
                            continue;
                        }
                        let first = first + at * lanes;
                        let bias = &bias[first..first + lanes];
                        let kept = &mut kept[row * M..];
                        for (products, kept) in sums.chunks_exact(lanes).zip(kept) {
                            kept.look::<S, N>(simd, products, bias, first);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::codes::tests::matrix;
    use super::*;
    use crate::product_transposed;
    use proptest::prelude::*;

    /// Pre-activations, all of them.
    fn dense(x: &Matrix, encoder: &Matrix, bias: &[f32]) -> Matrix {
        let mut all = product_transposed(x, encoder).unwrap();
        for row in 0..x.n_rows() {
            all.row_mut(row).iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
        }
        all
    }

    fn check(codes: &Codes, all: &Matrix, wanted: impl Fn(&[f32]) -> Vec<u32>) {
        for row in 0..all.n_rows() {
            let (latents, values) = codes.row(row);
            assert_eq!(latents, wanted(all.row(row)), "row {row}");
            for (latent, value) in latents.iter().zip(values) {
                let expected = all.row(row)[*latent as usize];
                assert!((value - expected).abs() <= 1e-5 * (1.0 + expected.abs()));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn blocks_find_what_sorting_finds(
            n_rows in 0_usize..40, n_latents in 1_usize..700, width in 1_usize..20, k in 0_usize..50,
        ) {
            // Whole numbers: products are exact, and there are many equal ones.
            let whole = |matrix: &Matrix| {
                let values = matrix.values().iter().map(|value| (value * 2.0).round()).collect();
                Matrix::from_rows(matrix.n_rows(), matrix.n_columns(), values).unwrap()
            };
            let x = whole(&matrix(n_rows, width, "x"));
            let encoder = whole(&matrix(n_latents, width, "encoder"));
            let bias: Vec<f32> = whole(&matrix(1, n_latents, "bias")).into_values();
            let thresholds: Vec<f32> = whole(&matrix(1, n_latents, "thresholds")).into_values();
            let all = dense(&x, &encoder, &bias);
            let codes = top_k_codes(&x, &encoder, &bias, k).unwrap();
            check(&codes, &all, |row| {
                let mut latents: Vec<u32> = crate::top_k(row, k)
                    .into_iter().filter(|(_, value)| *value > 0.0).map(|(latent, _)| latent).collect();
                latents.sort_unstable();
                latents
            });
            let codes = codes_above(&x, &encoder, &bias, &thresholds).unwrap();
            check(&codes, &all, |row| {
                let above = row.iter().zip(&thresholds).zip(0..).filter(|((value, bound), _)| value > bound);
                above.map(|(_, latent)| latent).collect()
            });
        }
    }

    /// What each instruction set of this machine finds, and whether it fuses multiplication and addition.
    fn by_each<K: Keep>(
        x: &Matrix,
        encoder: &Matrix,
        bias: &[f32],
        keep: impl Fn() -> K + Copy + Sync,
    ) -> Vec<(bool, Rows)> {
        let bias = &padded(bias, f32::NAN);
        let encode = || Encode { x, encoder, bias, keep };
        let mut found = vec![(false, encode().with_simd(pulp::Scalar))];
        #[cfg(target_arch = "x86_64")]
        {
            let v3 = pulp::x86::V3::try_new();
            found.extend(v3.map(|simd| (true, Simd::vectorize(simd, encode()))));
            let v4 = pulp::x86::V4::try_new();
            found.extend(v4.map(|simd| (true, Simd::vectorize(simd, encode()))));
        }
        found
    }

    /// To the last bit, for sizes that fill no tile, task, block or part of the depth.
    #[test]
    fn every_instruction_set_finds_what_a_plain_loop_finds() {
        for (n_rows, n_latents, width, k) in [
            (1, 1, 1, 1),
            (7, 50, 3, 4),
            (9, 97, 1100, 5),
            (3, 1500, 513, 130),
            (150, 333, 17, 20),
            (300, 49, 8, 60),
        ] {
            let (x, encoder) = (matrix(n_rows, width, "x"), matrix(n_latents, width, "encoder"));
            let bias = matrix(1, n_latents, "bias").into_values();
            let thresholds = matrix(1, n_latents, "thresholds").into_values();
            let plain = |fused: bool, row: usize, latent: usize| {
                let pairs = x.row(row).iter().zip(encoder.row(latent));
                let sum = pairs.fold(
                    0.0_f32,
                    |sum, (a, b)| {
                        if fused { a.mul_add(*b, sum) } else { sum + a * b }
                    },
                );
                sum + bias[latent]
            };
            let largest = by_each(&x, &encoder, &bias, || Largest::new(k));
            let padded = &padded(&thresholds, 0.0);
            let above = by_each(&x, &encoder, &bias, || Above::new(padded));
            for ((fused, largest), (_, above)) in largest.iter().zip(&above) {
                assert_eq!((largest.len(), above.len()), (n_rows, n_rows));
                for (row, (largest, above)) in largest.iter().zip(above).enumerate() {
                    let mut all: Vec<(u32, f32)> = (0..n_latents)
                        .map(|latent| (u32::try_from(latent).unwrap(), plain(*fused, row, latent)))
                        .collect();
                    let expected =
                        all.iter().filter(|(at, value)| *value > thresholds[*at as usize]);
                    assert_eq!(*above, expected.copied().collect::<Vec<_>>());
                    all.retain(|(_, value)| *value > 0.0);
                    all.sort_by(|a, b| b.1.total_cmp(&a.1));
                    all.truncate(k);
                    all.sort_by_key(|(latent, _)| *latent);
                    assert_eq!(*largest, all);
                }
            }
        }
    }

    #[test]
    fn threads_and_the_rest_of_the_batch_change_no_bit() {
        for (n_rows, n_latents, width) in [(1100, 300, 33), (3, 4000, 520), (40, 100, 7)] {
            let (x, encoder) = (matrix(n_rows, width, "x"), matrix(n_latents, width, "encoder"));
            let (bias, thresholds) = (vec![0.1; n_latents], vec![0.7; n_latents]);
            let with = |n_threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
                pool.install(|| {
                    let largest = top_k_codes(&x, &encoder, &bias, 7).unwrap();
                    (largest, codes_above(&x, &encoder, &bias, &thresholds).unwrap())
                })
            };
            let one = with(1);
            assert_eq!(one, with(2));
            assert_eq!(one, with(4));
            let row = top_k_codes(&x.select(&[n_rows - 1]), &encoder, &bias, 7).unwrap();
            assert_eq!(row.row(0), one.0.row(n_rows - 1));
        }
    }

    #[test]
    fn no_rows_no_latents_and_no_columns() {
        let codes = |n_rows, n_latents, width| {
            let (x, encoder) = (Matrix::zeros(n_rows, width), Matrix::zeros(n_latents, width));
            top_k_codes(&x, &encoder, &vec![1.0; n_latents], 3).unwrap()
        };
        assert_eq!(codes(0, 5, 2).n_rows(), 0);
        assert_eq!(codes(2, 0, 2).n_rows(), 2);
        assert_eq!(codes(2, 5, 2).values(), [1.0; 6]);
    }

    #[test]
    fn numbers_that_are_none_are_never_active() {
        let x = Matrix::from_rows(1, 1, vec![f32::NAN]).unwrap();
        let encoder = Matrix::from_rows(2, 1, vec![1.0, -1.0]).unwrap();
        assert!(top_k_codes(&x, &encoder, &[0.0; 2], 2).unwrap().values().is_empty());
        assert!(codes_above(&x, &encoder, &[0.0; 2], &[0.0; 2]).unwrap().values().is_empty());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (x, encoder) = (Matrix::zeros(2, 3), Matrix::zeros(4, 3));
        assert!(top_k_codes(&Matrix::zeros(2, 2), &encoder, &[0.0; 4], 1).is_err());
        assert!(top_k_codes(&x, &encoder, &[0.0; 3], 1).is_err());
        assert!(codes_above(&x, &encoder, &[0.0; 4], &[0.0; 3]).is_err());
    }
}
