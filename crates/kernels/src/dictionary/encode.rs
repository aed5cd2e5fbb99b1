//! What is active, found block by block of a dictionary.

use rayon::prelude::*;

use super::Codes;
use crate::matrix::{Factor, multiply_into};
use crate::{KernelError, Matrix};

/// Rows of a batch that one task encodes.
const TASK_ROWS: usize = 512;
/// Latents whose pre-activations are looked at together: those of a task stay in the cache of a core.
const BLOCK: usize = 128;
/// Pre-activations that are compared together before any is looked at alone.
const CHUNK: usize = 32;

/// The k largest positive pre-activations of each row: z = max(0, top-k(W·x + b)).
///
/// Rows with fewer positive pre-activations have fewer active latents. Of equal ones the earlier latent counts; one that
/// is NaN is never active.
///
/// # Shapes
/// `x` `[row, d]`, `encoder` `[n_latents, d]`, `bias` `[n_latents]`.
///
/// # Memory
/// A block of pre-activations and about 2·k candidates for each row of a task, a task for each thread.
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
    encoded(x, encoder, bias, || Largest { k, bound: 0.0, found: Vec::new() })
}

/// All pre-activations above a threshold of their latent: z = π where π > θ, π = W·x + b.
///
/// # Shapes
/// As [`top_k_codes`]; `thresholds` `[n_latents]`.
///
/// # Memory
/// A block of pre-activations for each row of a task, a task for each thread, and what is found.
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
    encoded(x, encoder, bias, || Above { thresholds, found: Vec::new() })
}

/// What is kept of the pre-activations of a row.
trait Keep: Send {
    /// Looks at those of a block, W·x without b; `first` is its first latent.
    fn look(&mut self, products: &[f32], bias: &[f32], first: u32);

    /// By ascending latent.
    fn done(self) -> Vec<(u32, f32)>;
}

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
    let tasks = x.values().par_chunks(TASK_ROWS * width).map(|x| {
        let n_rows = x.len() / width;
        let mut kept: Vec<K> = (0..n_rows).map(|_| keep()).collect();
        let mut products = vec![0.0; n_rows * BLOCK.min(n_latents)];
        let blocks = encoder.values().chunks(BLOCK * width).zip(bias.chunks(BLOCK));
        for (first, (weights, bias)) in (0..).step_by(BLOCK).zip(blocks) {
            let n = bias.len();
            let products = &mut products[..n_rows * n];
            let (a, b) = (Factor::rows(x, width), Factor::rows(weights, width).turned());
            multiply_into(products, n, false, a, b, [n_rows, width, n]);
            for (products, kept) in products.chunks_exact(n).zip(&mut kept) {
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || kept.look(products, bias, first),
                );
            }
        }
        kept.into_iter().map(K::done).collect::<Vec<_>>()
    });
    let rows: Vec<Vec<(u32, f32)>> = tasks.collect::<Vec<_>>().into_iter().flatten().collect();
    Ok(Codes::collect(n_latents, &rows))
}

/// The k largest that are positive.
struct Largest {
    k: usize,
    /// Only what is larger can be among them.
    bound: f32,
    found: Vec<(u32, f32)>,
}

impl Largest {
    /// Leaves the k largest. What comes later is of a later latent, so that it has to be larger than all of these.
    fn select(&mut self) {
        if self.k == 0 {
            self.found.clear();
            self.bound = f32::INFINITY;
        } else if self.found.len() >= self.k {
            let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
            let (_, last, _) = self.found.select_nth_unstable_by(self.k - 1, order);
            self.bound = last.1;
            self.found.truncate(self.k);
        }
    }
}

impl Keep for Largest {
    #[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
    #[inline(always)]
    fn look(&mut self, products: &[f32], bias: &[f32], first: u32) {
        let chunks = products.chunks(CHUNK).zip(bias.chunks(CHUNK));
        for (first, (products, bias)) in (first..).step_by(CHUNK).zip(chunks) {
            let bound = self.bound;
            let pairs = products.iter().zip(bias);
            // Without a branch for each, so that they are compared side by side.
            if pairs.clone().fold(0, |any, (product, bias)| any | u8::from(product + bias > bound))
                == 0
            {
                continue;
            }
            for (latent, (product, bias)) in (first..).zip(pairs) {
                if product + bias > bound {
                    self.found.push((latent, product + bias));
                }
            }
            if self.found.len() >= 2 * self.k + CHUNK {
                self.select();
            }
        }
    }

    fn done(mut self) -> Vec<(u32, f32)> {
        self.select();
        self.found.sort_unstable_by_key(|(latent, _)| *latent);
        self.found
    }
}

/// All above thresholds.
struct Above<'a> {
    thresholds: &'a [f32],
    found: Vec<(u32, f32)>,
}

impl Keep for Above<'_> {
    #[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
    #[inline(always)]
    fn look(&mut self, products: &[f32], bias: &[f32], first: u32) {
        let thresholds = self.thresholds[first as usize..].chunks(CHUNK);
        let chunks = products.chunks(CHUNK).zip(bias.chunks(CHUNK)).zip(thresholds);
        for (first, ((products, bias), thresholds)) in (first..).step_by(CHUNK).zip(chunks) {
            let each = products.iter().zip(bias).zip(thresholds);
            let is_above = |((product, bias), bound): ((&f32, &f32), &f32)| product + bias > *bound;
            if each.clone().fold(0, |any, each| any | u8::from(is_above(each))) == 0 {
                continue;
            }
            for (latent, ((product, bias), bound)) in (first..).zip(each) {
                if product + bias > *bound {
                    self.found.push((latent, product + bias));
                }
            }
        }
    }

    fn done(self) -> Vec<(u32, f32)> {
        self.found
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

    #[test]
    fn threads_change_no_bit() {
        let (x, encoder) = (matrix(1100, 33, "x"), matrix(300, 33, "encoder"));
        let bias = vec![0.1; 300];
        let with = |n_threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| top_k_codes(&x, &encoder, &bias, 7).unwrap())
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(4));
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
