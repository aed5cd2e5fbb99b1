//! What a multilayer perceptron makes of its hidden units.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::fresh::written;
use crate::exp;

/// Numbers that one task takes.
const TASK: usize = 1 << 14;

/// √(2/π), and the factor of the cube.
const ROOT: f32 = 0.797_884_6;
const CUBE: f32 = 0.044_715;

/// A function of single hidden units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x·Φ(x) with Φ the distribution function of the standard normal distribution.
    Gelu,
    /// x·½·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
    GeluTanh,
    /// max(x, 0).
    Relu,
    /// x·σ(x).
    Silu,
}

/// A value and the slope there.
type Point = (f32, f32);

#[inline(always)]
fn gelu(x: f32) -> Point {
    // 1/√2 and 1/√(2π).
    const HALF_ROOT: f32 = core::f32::consts::FRAC_1_SQRT_2;
    const DENSITY: f32 = 0.398_942_3;
    // erfc(z) = t·exp(−z² + P(t)) with t = 1/(1 + z/2), relative error below 1.2e-7 (Press et al., Numerical
    // Recipes, section 6.2).
    let z = (x * HALF_ROOT).abs();
    let t = 1.0 / (1.0 + 0.5 * z);
    let p = 0.170_872_77;
    let p = p * t - 0.822_152_23;
    let p = p * t + 1.488_515_9;
    let p = p * t - 1.135_204;
    let p = p * t + 0.278_868_07;
    let p = p * t - 0.186_288_06;
    let p = p * t + 0.096_784_18;
    let p = p * t + 0.374_091_96;
    let p = p * t + 1.000_023_7;
    let p = p * t - 1.265_512_2;
    let bell = exp(-z * z);
    let tail = 0.5 * t * bell * exp(p);
    let phi = if x > 0.0 { 1.0 - tail } else { tail };
    (x * phi, phi + x * DENSITY * bell)
}

#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
fn gelu_tanh(x: f32) -> Point {
    // ½·(1 + tanh u) = σ(2u).
    let s = sigmoid(2.0 * ROOT * (x + CUBE * x * x * x));
    let slope = 2.0 * ROOT * (1.0 + 3.0 * CUBE * x * x);
    (x * s, s + x * s * (1.0 - s) * slope)
}

#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
fn relu(x: f32) -> Point {
    (if x < 0.0 { 0.0 } else { x }, if x > 0.0 { 1.0 } else { 0.0 })
}

#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
fn silu(x: f32) -> Point {
    let s = sigmoid(x);
    (x * s, s + x * s * (1.0 - s))
}

/// σ(x) = 1/(1 + e⁻ˣ).
#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// y = f(x), number by number.
///
/// # Determinism
/// The same bits for any number of threads and on every platform.
///
/// # Examples
/// ```
/// use kernels::transformer::{Activation, activate};
///
/// let y = activate(Activation::GeluTanh, &[0.0, 1.0, -10.0]);
/// assert_eq!(y[0], 0.0);
/// assert!((y[1] - 0.841192).abs() < 1e-6 && y[2].abs() < 1e-6);
/// ```
pub fn activate(f: Activation, x: &[f32]) -> Vec<f32> {
    match f {
        Activation::Gelu => one(x, |x| gelu(x).0),
        Activation::GeluTanh => one(x, |x| gelu_tanh(x).0),
        Activation::Relu => one(x, |x| relu(x).0),
        Activation::Silu => one(x, |x| silu(x).0),
    }
}

/// The gradient of [`activate`] by its input: ∂x = ∂y·f′(x).
///
/// # Determinism
/// The same bits for any number of threads and on every platform.
///
/// # Panics
/// If the sizes differ.
pub fn activate_backward(f: Activation, x: &[f32], dy: &[f32]) -> Vec<f32> {
    match f {
        Activation::Gelu => two(x, dy, |x, dy| dy * gelu(x).1),
        Activation::GeluTanh => two(x, dy, |x, dy| dy * gelu_tanh(x).1),
        Activation::Relu => two(x, dy, |x, dy| dy * relu(x).1),
        Activation::Silu => two(x, dy, |x, dy| dy * silu(x).1),
    }
}

/// y = f(gate)·x, number by number: the gated hidden units of Llama.
///
/// # Determinism
/// The same bits for any number of threads and on every platform.
///
/// # Panics
/// If the sizes differ.
///
/// # Examples
/// ```
/// use kernels::transformer::{Activation, gated};
///
/// assert_eq!(gated(Activation::Silu, &[0.0, 40.0], &[3.0, 0.5]), [0.0, 20.0]);
/// ```
pub fn gated(f: Activation, gate: &[f32], x: &[f32]) -> Vec<f32> {
    match f {
        Activation::Gelu => two(gate, x, |gate, x| gelu(gate).0 * x),
        Activation::GeluTanh => two(gate, x, |gate, x| gelu_tanh(gate).0 * x),
        Activation::Relu => two(gate, x, |gate, x| relu(gate).0 * x),
        Activation::Silu => two(gate, x, |gate, x| silu(gate).0 * x),
    }
}

/// The gradients of [`gated`] by the gate, ∂y·x·f′(gate), and by x, ∂y·f(gate).
///
/// # Determinism
/// The same bits for any number of threads and on every platform.
///
/// # Panics
/// If the sizes differ.
pub fn gated_backward(f: Activation, gate: &[f32], x: &[f32], dy: &[f32]) -> [Vec<f32>; 2] {
    match f {
        Activation::Gelu => slopes(gate, x, dy, gelu),
        Activation::GeluTanh => slopes(gate, x, dy, gelu_tanh),
        Activation::Relu => slopes(gate, x, dy, relu),
        Activation::Silu => slopes(gate, x, dy, silu),
    }
}

/// f of each number.
fn one(x: &[f32], f: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    let write = |y: &mut [MaybeUninit<f32>]| {
        y.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(y, x)| {
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    for (y, x) in y.iter_mut().zip(x) {
                        y.write(f(*x));
                    }
                },
            );
        });
    };
    // SAFETY: x is as long as the result, so every number is written.
    unsafe { written(x.len(), write) }
}

/// f of each pair of numbers.
fn two(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32 + Sync) -> Vec<f32> {
    assert_eq!(a.len(), b.len(), "pairs of numbers");
    let write = |y: &mut [MaybeUninit<f32>]| {
        let inputs = a.par_chunks(TASK).zip(b.par_chunks(TASK));
        y.par_chunks_mut(TASK).zip(inputs).for_each(|(y, (a, b))| {
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    for (y, (a, b)) in y.iter_mut().zip(a.iter().zip(b)) {
                        y.write(f(*a, *b));
                    }
                },
            );
        });
    };
    // SAFETY: a and b are as long as the result, so every number is written.
    unsafe { written(a.len(), write) }
}

/// Both gradients of a gate.
fn slopes(gate: &[f32], x: &[f32], dy: &[f32], f: impl Fn(f32) -> Point + Sync) -> [Vec<f32>; 2] {
    assert_eq!([x.len(), dy.len()], [gate.len(); 2], "triples of numbers");
    let mut by_x = Vec::new();
    let write = |dgate: &mut [MaybeUninit<f32>]| {
        let write = |dx: &mut [MaybeUninit<f32>]| {
            let inputs = gate.par_chunks(TASK).zip(x.par_chunks(TASK)).zip(dy.par_chunks(TASK));
            let tasks = dgate.par_chunks_mut(TASK).zip(dx.par_chunks_mut(TASK));
            tasks.zip(inputs).for_each(|((dgate, dx), ((gate, x), dy))| {
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        let slopes = dgate.iter_mut().zip(dx);
                        for ((dgate, dx), ((gate, x), dy)) in slopes.zip(gate.iter().zip(x).zip(dy))
                        {
                            let (value, slope) = f(*gate);
                            dgate.write(dy * x * slope);
                            dx.write(dy * value);
                        }
                    },
                );
            });
        };
        // SAFETY: gate, x and ∂y are as long as both results, so every number of ∂x is written.
        by_x = unsafe { written(gate.len(), write) };
    };
    // SAFETY: likewise every number of ∂gate.
    let by_gate = unsafe { written(gate.len(), write) };
    [by_gate, by_x]
}

#[cfg(test)]
mod tests {
    use super::super::tests::{differences, random};
    use super::*;

    const ALL: [Activation; 4] =
        [Activation::Gelu, Activation::GeluTanh, Activation::Relu, Activation::Silu];

    /// By the definition, in 64 bits.
    fn plain(f: Activation, x: f64) -> f64 {
        match f {
            Activation::Gelu => 0.5 * x * libm::erfc(-x / 2.0_f64.sqrt()),
            Activation::GeluTanh => {
                let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + libm::tanh(u))
            }
            Activation::Relu => x.max(0.0),
            Activation::Silu => x / (1.0 + libm::exp(-x)),
        }
    }

    #[test]
    fn activations_and_their_gradients() {
        // Away from the kink of max(x, 0), where there is no difference to compare with.
        let x: Vec<f32> = random(600, "x").iter().map(|x| 2.0 * x + 0.1 * x.signum()).collect();
        let weight = random(600, "weight");
        for f in ALL {
            for (y, x) in activate(f, &x).iter().zip(&x) {
                let expected = plain(f, f64::from(*x));
                assert!((f64::from(*y) - expected).abs() < 1e-6 * expected.abs().max(1.0));
            }
            let loss = |x: &[f32]| {
                x.iter().zip(&weight).map(|(x, w)| plain(f, f64::from(*x)) * f64::from(*w)).sum()
            };
            differences(&x, &activate_backward(f, &x, &weight), loss);
        }
    }

    #[test]
    fn far_from_0_only_one_side_is_left() {
        for f in ALL {
            let y = activate(f, &[-30.0, 30.0, f32::NAN]);
            assert!(y[0].abs() < 1e-10 && (y[1] - 30.0).abs() < 1e-5 && y[2].is_nan(), "{f:?}");
        }
    }

    #[test]
    fn gates_and_their_gradients() {
        let (gate, x) = (random(210, "gate"), random(210, "x"));
        let gate: Vec<f32> = gate.iter().map(|x| x + 0.1 * x.signum()).collect();
        let weight = random(210, "weight");
        for f in ALL {
            let value = |gate: &[f32], x: &[f32]| -> f64 {
                let terms = gate.iter().zip(x).zip(&weight);
                terms
                    .map(|((g, x), w)| plain(f, f64::from(*g)) * f64::from(*x) * f64::from(*w))
                    .sum()
            };
            let y = gated(f, &gate, &x);
            for ((y, gate), x) in y.iter().zip(&gate).zip(&x) {
                assert!((f64::from(*y) - plain(f, f64::from(*gate)) * f64::from(*x)).abs() < 1e-5);
            }
            let [by_gate, by_x] = gated_backward(f, &gate, &x, &weight);
            differences(&gate, &by_gate, |gate| value(gate, &x));
            differences(&x, &by_x, |x| value(&gate, x));
        }
    }
}
