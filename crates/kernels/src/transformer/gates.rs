//! What a multilayer perceptron makes of its hidden units.

use rayon::prelude::*;

use crate::exp;

/// Numbers that one task takes.
const TASK: usize = 1 << 14;

/// √(2/π), and the factor of the cube.
const ROOT: f32 = 0.797_884_6;
const CUBE: f32 = 0.044_715;

/// σ(x) = 1/(1 + e⁻ˣ).
#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// y = x·½·(1 + tanh(√(2/π)·(x + 0.044715·x³))): GELU as GPT-2 has it.
///
/// # Determinism
/// The same bits for any number of threads and on every platform.
///
/// # Examples
/// ```
/// let y = kernels::transformer::gelu(&[0.0, 1.0, -10.0]);
/// assert_eq!(y[0], 0.0);
/// assert!((y[1] - 0.841192).abs() < 1e-6 && y[2].abs() < 1e-6);
/// ```
pub fn gelu(x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(y, x)| {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for (y, x) in y.iter_mut().zip(x) {
                    // ½·(1 + tanh u) = σ(2u).
                    *y = x * sigmoid(2.0 * ROOT * (x + CUBE * x * x * x));
                }
            },
        );
    });
    y
}

/// The gradient of [`gelu`] by its input, given that by its result.
///
/// # Determinism
/// The same bits for any number of threads and on every platform.
///
/// # Panics
/// If the sizes differ.
pub fn gelu_backward(x: &[f32], dy: &[f32]) -> Vec<f32> {
    assert_eq!(x.len(), dy.len(), "a gradient for each number");
    let mut dx = vec![0.0; x.len()];
    let inputs = x.par_chunks(TASK).zip(dy.par_chunks(TASK));
    dx.par_chunks_mut(TASK).zip(inputs).for_each(|(dx, (x, dy))| {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for (dx, (x, dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
                    let s = sigmoid(2.0 * ROOT * (x + CUBE * x * x * x));
                    let slope = 2.0 * ROOT * (1.0 + 3.0 * CUBE * x * x);
                    *dx = dy * (s + x * s * (1.0 - s) * slope);
                }
            },
        );
    });
    dx
}

/// y = gate·σ(gate)·up: the gated hidden units of Llama.
///
/// # Shapes
/// `gate_up` `[row, 2·number]`, in each row the gates and then what they let through; the result `[row, number]`.
///
/// # Determinism
/// The same bits for any number of threads and on every platform.
///
/// # Panics
/// If `gate_up` is not whole rows.
///
/// # Examples
/// ```
/// let y = kernels::transformer::swiglu(&[0.0, 40.0, 3.0, 0.5], 2);
/// assert_eq!(y, [0.0, 20.0]);
/// ```
pub fn swiglu(gate_up: &[f32], width: usize) -> Vec<f32> {
    assert_eq!(gate_up.len() % (2 * width).max(1), 0, "whole rows");
    let mut y = vec![0.0; gate_up.len() / 2];
    let rows = TASK.div_ceil(width.max(1));
    y.par_chunks_mut(rows * width).zip(gate_up.par_chunks(2 * rows * width)).for_each(|(y, x)| {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(2 * width)) {
                    let (gate, up) = x.split_at(width);
                    for (y, (gate, up)) in y.iter_mut().zip(gate.iter().zip(up)) {
                        *y = gate * sigmoid(*gate) * up;
                    }
                }
            },
        );
    });
    y
}

/// The gradient of [`swiglu`] by its input, given that by its result.
///
/// # Shapes
/// `gate_up` as there, `dy` `[row, number]`; the result as `gate_up`.
///
/// # Determinism
/// The same bits for any number of threads and on every platform.
///
/// # Panics
/// If the sizes do not fit.
pub fn swiglu_backward(gate_up: &[f32], dy: &[f32], width: usize) -> Vec<f32> {
    assert_eq!(gate_up.len(), 2 * dy.len(), "a gate for each number");
    let mut dx = vec![0.0; gate_up.len()];
    let rows = TASK.div_ceil(width.max(1));
    let inputs = gate_up.par_chunks(2 * rows * width).zip(dy.par_chunks(rows * width));
    dx.par_chunks_mut(2 * rows * width).zip(inputs).for_each(|(dx, (x, dy))| {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let rows = x.chunks_exact(2 * width).zip(dy.chunks_exact(width));
                for (dx, (x, dy)) in dx.chunks_exact_mut(2 * width).zip(rows) {
                    let ((gate, up), (dgate, dup)) = (x.split_at(width), dx.split_at_mut(width));
                    let slopes = dgate.iter_mut().zip(dup);
                    for ((dgate, dup), ((gate, up), dy)) in slopes.zip(gate.iter().zip(up).zip(dy))
                    {
                        let s = sigmoid(*gate);
                        *dgate = dy * up * (s + gate * s * (1.0 - s));
                        *dup = dy * gate * s;
                    }
                }
            },
        );
    });
    dx
}

#[cfg(test)]
mod tests {
    use super::super::tests::{differences, random};
    use super::*;

    #[test]
    fn gelu_and_its_gradient() {
        let x = random(500, "x");
        for (y, x) in gelu(&x).iter().zip(&x) {
            let x = f64::from(*x);
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            assert!((f64::from(*y) - 0.5 * x * (1.0 + libm::tanh(u))).abs() < 1e-6);
        }
        let weight = random(500, "weight");
        let loss = |x: &[f32]| gelu(x).iter().zip(&weight).map(|(y, w)| f64::from(y * w)).sum();
        differences(&x, &gelu_backward(&x, &weight), loss);
    }

    #[test]
    fn swiglu_and_its_gradient() {
        let (x, weight) = (random(7 * 2 * 30, "x"), random(7 * 30, "weight"));
        let y = swiglu(&x, 30);
        for (row, of) in x.chunks(60).zip(y.chunks(30)) {
            for at in 0..30 {
                let (gate, up) = (f64::from(row[at]), f64::from(row[at + 30]));
                let expected = gate / (1.0 + libm::exp(-gate)) * up;
                assert!((f64::from(of[at]) - expected).abs() < 1e-5);
            }
        }
        let loss =
            |x: &[f32]| swiglu(x, 30).iter().zip(&weight).map(|(y, w)| f64::from(y * w)).sum();
        differences(&x, &swiglu_backward(&x, &weight, 30), loss);
    }
}
