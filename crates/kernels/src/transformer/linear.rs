//! Products with weights, forward and backward.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::TASK_ROWS;
use super::fresh::written;
use crate::matrix::{Factor, multiply_by_all};

/// How the weight of a linear map lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Inputs.
    pub n_in: usize,
    /// Outputs.
    pub n_out: usize,
    /// `[n_out, n_in]` in place of `[n_in, n_out]`.
    pub turned: bool,
}

impl Weight {
    /// Its numbers as the factor `[n_in, n_out]`.
    fn factor(self, values: &[f32]) -> Factor<'_> {
        assert_eq!(values.len(), self.n_in * self.n_out, "the numbers of the weight");
        if self.turned {
            Factor::rows(values, self.n_in).turned()
        } else {
            Factor::rows(values, self.n_out)
        }
    }
}

/// y = x·W + b.
///
/// # Shapes
/// `x` `[row, n_in]`, `w` as `shape` says, `bias` `[n_out]` or none; the result is `[row, n_out]`.
///
/// # Determinism
/// The same bits for any number of threads; the last bits depend on the CPU class.
///
/// # Panics
/// If the sizes do not fit.
///
/// # Examples
/// ```
/// use kernels::transformer::{Weight, linear};
///
/// let shape = Weight { n_in: 2, n_out: 1, turned: false };
/// assert_eq!(linear(&[1.0, 2.0, 3.0, 4.0], shape, &[1.0, 10.0], Some(&[0.5])), [21.5, 43.5]);
/// ```
pub fn linear(x: &[f32], shape: Weight, w: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let Weight { n_in, n_out, .. } = shape;
    let n_rows = rows(x, n_in);
    assert!(bias.is_none_or(|bias| bias.len() == n_out), "a bias for each output");
    let write = |y: &mut [MaybeUninit<f32>]| {
        if let Some(bias) = bias {
            y.par_chunks_mut(TASK_ROWS * n_out.max(1)).for_each(|y| {
                for row in y.chunks_exact_mut(n_out) {
                    row.write_copy_of_slice(bias);
                }
            });
        }
        let size = [n_rows, n_in, n_out];
        // SAFETY: what is added to was written above.
        unsafe {
            multiply_by_all(y, bias.is_some(), Factor::rows(x, n_in), shape.factor(w), size);
        }
    };
    // SAFETY: the product writes every number.
    unsafe { written(n_rows * n_out, write) }
}

/// The gradient of [`linear`] by its input: ∂x = ∂y·Wᵀ.
///
/// # Shapes
/// `dy` `[row, n_out]`; the result is `[row, n_in]`.
///
/// # Determinism
/// The same bits for any number of threads; the last bits depend on the CPU class.
///
/// # Panics
/// If the sizes do not fit.
pub fn linear_backward(dy: &[f32], shape: Weight, w: &[f32]) -> Vec<f32> {
    let Weight { n_in, n_out, turned } = shape;
    // Wᵀ is the weight of a map from outputs to inputs.
    linear(dy, Weight { n_in: n_out, n_out: n_in, turned: !turned }, w, None)
}

/// The gradient of [`linear`] by its weight: ∂W = xᵀ·∂y, laid out as the weight is.
///
/// # Shapes
/// `x` `[row, n_in]`, `dy` `[row, n_out]`; the result is as `shape` says.
///
/// # Determinism
/// The same bits for any number of threads; the last bits depend on the CPU class.
///
/// # Panics
/// If the sizes do not fit.
pub fn weight_gradient(x: &[f32], dy: &[f32], shape: Weight) -> Vec<f32> {
    let Weight { n_in, n_out, turned } = shape;
    if turned {
        return weight_gradient(dy, x, Weight { n_in: n_out, n_out: n_in, turned: false });
    }
    let n_rows = rows(if n_in == 0 { dy } else { x }, if n_in == 0 { n_out } else { n_in });
    assert_eq!((x.len(), dy.len()), (n_rows * n_in, n_rows * n_out), "as many rows of each");
    let write = |dw: &mut [MaybeUninit<f32>]| {
        let size = [n_in, n_rows, n_out];
        let (x, dy) = (Factor::rows(x, n_in).turned(), Factor::rows(dy, n_out));
        // SAFETY: nothing is added to.
        unsafe { multiply_by_all(dw, false, x, dy, size) };
    };
    // SAFETY: the product writes every number.
    unsafe { written(n_in * n_out, write) }
}

/// The sum of all rows: the gradient of [`linear`] by its bias.
///
/// # Shapes
/// `x` `[row, width]`; the result is `[width]`.
///
/// # Determinism
/// Blocks of rows are summed, then their sums in order: the same bits for any number of threads and on every platform.
///
/// # Panics
/// If `x` is not whole rows.
///
/// # Examples
/// ```
/// assert_eq!(kernels::transformer::sum_of_all_rows(&[1.0, 2.0, 3.0, 4.0], 2), [4.0, 6.0]);
/// ```
pub fn sum_of_all_rows(x: &[f32], width: usize) -> Vec<f32> {
    let mut total = vec![0.0; width];
    rows(x, width);
    let parts = x.par_chunks(TASK_ROWS * width.max(1)).map(|x| {
        let mut part = vec![0.0; width];
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for row in x.chunks_exact(width) {
                    part.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                }
            },
        );
        part
    });
    let parts: Vec<Vec<f32>> = parts.collect();
    for part in parts {
        total.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    total
}

fn rows(x: &[f32], width: usize) -> usize {
    assert!(x.len().is_multiple_of(width.max(1)), "whole rows");
    x.len() / width.max(1)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{differences, random};
    use super::*;

    const ROWS: usize = 70;

    fn shapes() -> [Weight; 2] {
        [false, true].map(|turned| Weight { n_in: 13, n_out: 9, turned })
    }

    /// By the definition, in 64 bits.
    fn plain(x: &[f32], shape: Weight, w: &[f32], bias: &[f32]) -> Vec<f64> {
        let Weight { n_in, n_out, turned } = shape;
        let weight = |i: usize, o: usize| w[if turned { o * n_in + i } else { i * n_out + o }];
        let of = |row: usize, o: usize| -> f64 {
            let terms = (0..n_in).map(|i| f64::from(x[row * n_in + i]) * f64::from(weight(i, o)));
            terms.sum::<f64>() + f64::from(bias[o])
        };
        (0..x.len() / n_in)
            .flat_map(|row| (0..n_out).map(move |o| (row, o)))
            .map(|(r, o)| of(r, o))
            .collect()
    }

    #[test]
    fn a_linear_map_and_its_gradients() {
        for shape in shapes() {
            let (x, w, bias) = (random(ROWS * 13, "x"), random(13 * 9, "w"), random(9, "bias"));
            let dy = random(ROWS * 9, "dy");
            let y = linear(&x, shape, &w, Some(&bias));
            for (got, want) in y.iter().zip(plain(&x, shape, &w, &bias)) {
                assert!((f64::from(*got) - want).abs() < 1e-5);
            }
            let loss = |x: &[f32], w: &[f32], bias: &[f32]| -> f64 {
                plain(x, shape, w, bias).iter().zip(&dy).map(|(y, d)| y * f64::from(*d)).sum()
            };
            differences(&x, &linear_backward(&dy, shape, &w), |x| loss(x, &w, &bias));
            differences(&w, &weight_gradient(&x, &dy, shape), |w| loss(&x, w, &bias));
            differences(&bias, &sum_of_all_rows(&dy, 9), |bias| loss(&x, &w, bias));
        }
    }

    #[test]
    fn no_rows_and_no_inputs() {
        let shape = Weight { n_in: 0, n_out: 2, turned: false };
        assert_eq!(linear(&[], shape, &[], None), [0.0; 0]);
        let shape = Weight { n_in: 2, n_out: 3, turned: false };
        assert_eq!(weight_gradient(&[], &[], shape), [0.0; 6]);
        assert_eq!(sum_of_all_rows(&[], 2), [0.0; 2]);
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads() {
        let shape = Weight { n_in: 150, n_out: 210, turned: false };
        let (x, w) = (random(600 * 150, "x"), random(150 * 210, "w"));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let y = linear(&x, shape, &w, None);
                let gradients = [
                    linear_backward(&y, shape, &w),
                    weight_gradient(&x, &y, shape),
                    sum_of_all_rows(&y, 210),
                ];
                (y, gradients)
            })
        };
        let one = with(1);
        assert_eq!(one, with(2));
        assert_eq!(one, with(3));
        assert_eq!(one, with(4));
    }
}
