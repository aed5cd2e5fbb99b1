//! Rows brought to a common scale.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::TASK_ROWS;
use super::fresh::written;
use super::lanes::{sum, sum2, sum3};

/// What a norm makes of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Normed {
    /// `[row, number]`.
    pub y: Vec<f32>,
    /// What each row was multiplied by, `[row]`.
    pub scales: Vec<f32>,
}

/// Gradients of a norm.
#[derive(Clone, Debug, PartialEq)]
pub struct NormGradients {
    /// By the input, `[row, number]`.
    pub x: Vec<f32>,
    /// By the gain, `[number]`.
    pub gain: Vec<f32>,
    /// By the bias, `[number]`; empty for a norm without one.
    pub bias: Vec<f32>,
}

/// y = gain·(x − μ)·s + bias with s = 1/√(σ² + ε), the mean μ and the variance σ² of a row.
///
/// # Shapes
/// `x` `[row, number]`, `gain` and `bias` `[number]`.
///
/// # Determinism
/// The same bits for any number of threads and on every platform.
///
/// # Panics
/// If `x` is not whole rows, or gain and bias differ in size.
///
/// # Examples
/// ```
/// let normed = kernels::transformer::layer_norm(&[1.0, 3.0], &[1.0, 1.0], &[0.0, 0.5], 0.0);
/// assert_eq!((normed.y, normed.scales), (vec![-1.0, 1.5], vec![1.0]));
/// ```
pub fn layer_norm(x: &[f32], gain: &[f32], bias: &[f32], epsilon: f32) -> Normed {
    assert_eq!(gain.len(), bias.len(), "a bias for each gain");
    let n = gain.len() as f32;
    norm(x, gain.len(), |x, y| {
        let mean = sum(x, |x| x) / n;
        let scale = 1.0 / (sum(x, |x| (x - mean) * (x - mean)) / n + epsilon).sqrt();
        for ((y, x), (gain, bias)) in y.iter_mut().zip(x).zip(gain.iter().zip(bias)) {
            y.write(gain * ((x - mean) * scale) + bias);
        }
        scale
    })
}

/// y = gain·x·s with s = 1/√(mean of x² + ε).
///
/// # Shapes
/// `x` `[row, number]`, `gain` `[number]`.
///
/// # Determinism
/// The same bits for any number of threads and on every platform.
///
/// # Panics
/// If `x` is not whole rows.
///
/// # Examples
/// ```
/// let normed = kernels::transformer::rms_norm(&[2.0, 2.0], &[1.0, 3.0], 0.0);
/// assert_eq!((normed.y, normed.scales), (vec![1.0, 3.0], vec![0.5]));
/// ```
pub fn rms_norm(x: &[f32], gain: &[f32], epsilon: f32) -> Normed {
    let n = gain.len() as f32;
    norm(x, gain.len(), |x, y| {
        let scale = 1.0 / (sum(x, |x| x * x) / n + epsilon).sqrt();
        for ((y, x), gain) in y.iter_mut().zip(x).zip(gain) {
            y.write(gain * (x * scale));
        }
        scale
    })
}

/// `row` writes every number of a row of the result, and returns the scale.
fn norm(
    x: &[f32],
    width: usize,
    row: impl Fn(&[f32], &mut [MaybeUninit<f32>]) -> f32 + Sync,
) -> Normed {
    assert!(x.len().is_multiple_of(width.max(1)), "whole rows");
    let mut scales = vec![0.0; x.len() / width.max(1)];
    let task = TASK_ROWS * width.max(1);
    let write = |y: &mut [MaybeUninit<f32>]| {
        let tasks = y.par_chunks_mut(task).zip(scales.par_chunks_mut(TASK_ROWS));
        tasks.zip(x.par_chunks(task)).for_each(|((y, scales), x)| {
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width));
                    for ((x, y), scale) in rows.zip(scales) {
                        *scale = row(x, y);
                    }
                },
            );
        });
    };
    // SAFETY: x and y hold the same number of whole rows, and `row` writes each.
    let y = unsafe { written(x.len(), write) };
    Normed { y, scales }
}

/// The gradients of [`layer_norm`], given that by its result: with x̂ = (x − μ)·s and ĝ = gain·∂y,
/// ∂x = s·(ĝ − mean ĝ − x̂·mean(ĝ·x̂)), ∂gain = Σ ∂y·x̂, ∂bias = Σ ∂y.
///
/// # Shapes
/// As [`layer_norm`]; `scales` as it gave them.
///
/// # Determinism
/// The same bits for any number of threads and on every platform.
///
/// # Panics
/// If the sizes do not fit.
pub fn layer_norm_backward(x: &[f32], scales: &[f32], gain: &[f32], dy: &[f32]) -> NormGradients {
    let n = gain.len() as f32;
    backward(x, scales, gain.len(), dy, true, |x, scale, dy, dx, dgain, dbias| {
        let mean = sum(x, |x| x) / n;
        let level = sum2(gain, dy, |gain, dy| gain * dy) / n;
        let along = sum3(gain, dy, x, |gain, dy, x| gain * dy * ((x - mean) * scale)) / n;
        let places = dx.iter_mut().zip(x.iter().zip(dy).zip(gain));
        for ((dx, ((x, dy), gain)), (dgain, dbias)) in places.zip(dgain.iter_mut().zip(dbias)) {
            let x_hat = (x - mean) * scale;
            dx.write(scale * (gain * dy - level - x_hat * along));
            *dgain += dy * x_hat;
            *dbias += dy;
        }
    })
}

/// The gradients of [`rms_norm`], given that by its result: with x̂ = x·s and ĝ = gain·∂y,
/// ∂x = s·(ĝ − x̂·mean(ĝ·x̂)), ∂gain = Σ ∂y·x̂.
///
/// # Shapes
/// As [`rms_norm`]; `scales` as it gave them.
///
/// # Determinism
/// The same bits for any number of threads and on every platform.
///
/// # Panics
/// If the sizes do not fit.
pub fn rms_norm_backward(x: &[f32], scales: &[f32], gain: &[f32], dy: &[f32]) -> NormGradients {
    let n = gain.len() as f32;
    backward(x, scales, gain.len(), dy, false, |x, scale, dy, dx, dgain, _| {
        let along = sum3(gain, dy, x, |gain, dy, x| gain * dy * (x * scale)) / n;
        let places = dx.iter_mut().zip(x.iter().zip(dy).zip(gain));
        for ((dx, ((x, dy), gain)), dgain) in places.zip(dgain) {
            let x_hat = x * scale;
            dx.write(scale * (gain * dy - x_hat * along));
            *dgain += dy * x_hat;
        }
    })
}

/// `row` writes every number of a row of ∂x, and adds to ∂gain and ∂bias.
fn backward(
    x: &[f32],
    scales: &[f32],
    width: usize,
    dy: &[f32],
    with_bias: bool,
    row: impl Fn(&[f32], f32, &[f32], &mut [MaybeUninit<f32>], &mut [f32], &mut [f32]) + Sync,
) -> NormGradients {
    assert_eq!((x.len(), dy.len()), (scales.len() * width, scales.len() * width), "whole rows");
    let task = TASK_ROWS * width.max(1);
    let n_biases = if with_bias { width } else { 0 };
    let mut parts: Vec<[Vec<f32>; 2]> = Vec::new();
    let write = |dx: &mut [MaybeUninit<f32>]| {
        let inputs = x.par_chunks(task).zip(dy.par_chunks(task)).zip(scales.par_chunks(TASK_ROWS));
        let tasks = dx.par_chunks_mut(task).zip(inputs).map(|(dx, ((x, dy), scales))| {
            let (mut gain, mut bias) = (vec![0.0; width], vec![0.0; n_biases]);
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    let rows = x.chunks_exact(width).zip(dy.chunks_exact(width));
                    for ((dx, (x, dy)), scale) in dx.chunks_exact_mut(width).zip(rows).zip(scales) {
                        row(x, *scale, dy, dx, &mut gain, &mut bias);
                    }
                },
            );
            [gain, bias]
        });
        parts = tasks.collect();
    };
    // SAFETY: x, ∂y and ∂x hold a whole row for each scale (asserted above), and `row` writes each.
    let dx = unsafe { written(x.len(), write) };
    let mut sums = [vec![0.0; width], vec![0.0; n_biases]];
    for part in parts {
        for (sum, part) in sums.iter_mut().zip(part) {
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
    }
    let [gain, bias] = sums;
    NormGradients { x: dx, gain, bias }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{differences, random};
    use super::*;

    const WIDTH: usize = 37;
    const ROWS: usize = 150;

    #[test]
    fn rows_have_mean_zero_and_variance_one() {
        let x = random(ROWS * WIDTH, "x");
        let normed = layer_norm(&x, &[1.0; WIDTH], &[0.0; WIDTH], 0.0);
        for (row, x) in normed.y.chunks(WIDTH).zip(x.chunks(WIDTH)) {
            let mean: f64 = x.iter().map(|x| f64::from(*x)).sum::<f64>() / WIDTH as f64;
            let square =
                x.iter().map(|x| (f64::from(*x) - mean) * (f64::from(*x) - mean)).sum::<f64>();
            let scale = 1.0 / (square / WIDTH as f64).sqrt();
            for (y, x) in row.iter().zip(x) {
                assert!((f64::from(*y) - (f64::from(*x) - mean) * scale).abs() < 1e-5);
            }
        }
        let normed = rms_norm(&x, &[1.0; WIDTH], 0.0);
        for row in normed.y.chunks(WIDTH) {
            let square: f32 = row.iter().map(|y| y * y).sum();
            assert!((square / WIDTH as f32 - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn gradients_are_differences() {
        let (x, gain, bias) =
            (random(3 * WIDTH, "x"), random(WIDTH, "gain"), random(WIDTH, "bias"));
        let weight = random(3 * WIDTH, "weight");
        let value = |y: &[f32]| y.iter().zip(&weight).map(|(y, w)| f64::from(y * w)).sum::<f64>();
        let scales = layer_norm(&x, &gain, &bias, 1e-5).scales;
        let found = layer_norm_backward(&x, &scales, &gain, &weight);
        let loss =
            |x: &[f32], gain: &[f32], bias: &[f32]| value(&layer_norm(x, gain, bias, 1e-5).y);
        differences(&x, &found.x, |x| loss(x, &gain, &bias));
        differences(&gain, &found.gain, |gain| loss(&x, gain, &bias));
        differences(&bias, &found.bias, |bias| loss(&x, &gain, bias));
        let scales = rms_norm(&x, &gain, 1e-5).scales;
        let found = rms_norm_backward(&x, &scales, &gain, &weight);
        assert!(found.bias.is_empty());
        differences(&x, &found.x, |x| value(&rms_norm(x, &gain, 1e-5).y));
        differences(&gain, &found.gain, |gain| value(&rms_norm(&x, gain, 1e-5).y));
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads() {
        let (x, gain, dy) =
            (random(ROWS * WIDTH, "x"), random(WIDTH, "gain"), random(ROWS * WIDTH, "dy"));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let normed = layer_norm(&x, &gain, &gain, 1e-5);
                let gradients = layer_norm_backward(&x, &normed.scales, &gain, &dy);
                (normed, gradients)
            })
        };
        assert_eq!(with(1), with(3));
    }
}
