//! Rules by which weights follow a gradient, for gradients of few rows as for whole ones.

use serde::{Deserialize, Serialize};

/// How a weight follows its gradient g. Semantics and constants are PyTorch's, but for Adagrad's, which are
/// those of optax.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// w ← w − η·g.
    Sgd {
        /// η.
        learning_rate: f32,
    },
    /// v ← μ·v + g, then w ← w − η·v.
    Momentum {
        /// η.
        learning_rate: f32,
        /// μ.
        momentum: f32,
    },
    /// s ← α·s + (1 − α)·g², then w ← w − η·g/(√s + ε) with ε = 1e-8.
    RmsProp {
        /// η.
        learning_rate: f32,
        /// α.
        decay: f32,
    },
    /// m ← β₁·m + (1 − β₁)·g and s ← β₂·s + (1 − β₂)·g², then w ← w − η·m̂/(√ŝ + ε) with ε = 1e-8.
    Adam {
        /// η.
        learning_rate: f32,
        /// β₁ and β₂.
        decays: (f32, f32),
        /// What makes m̂ and ŝ of m and s.
        correction: Correction,
    },
    /// s ← s + g², then w ← w − η·g/√(s + 1e-7), at most `largest` in absolute value.
    Adagrad {
        /// η.
        learning_rate: f32,
        /// What s begins with.
        initial: f32,
        /// The largest change of a weight.
        largest: f32,
    },
}

/// What Adam divides its moments by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// 1 − βᵗ after t steps, as Adam is defined.
    Standard,
    /// 1 − β at every step, as the authors' toy of stale momentum has it.
    Constant,
}

impl Rule {
    /// Adam as it is defined.
    pub const fn adam(learning_rate: f32) -> Self {
        Self::Adam { learning_rate, decays: (0.9, 0.999), correction: Correction::Standard }
    }

    /// `RMSProp` with PyTorch's α = 0.99.
    pub const fn rms_prop(learning_rate: f32) -> Self {
        Self::RmsProp { learning_rate, decay: 0.99 }
    }
}

/// A gradient of all rows of a matrix, or of some and zero elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Gradient<'a> {
    /// The rows that have one, in ascending order; none: all.
    pub rows: Option<&'a [u32]>,
    /// Row after row.
    pub values: &'a [f32],
}

/// A rule with what it remembers of earlier gradients.
///
/// # Memory
/// As many numbers as weights for momentum, `RMSProp` and Adagrad, twice as many for Adam, none for SGD.
///
/// # Examples
///
/// A weight without a gradient still moves by its old average, unless the optimizer is lazy:
///
/// ```
/// use kernels::{Gradient, Optimizer, Rule};
///
/// let rule = Rule::Momentum { learning_rate: 1.0, momentum: 0.5 };
/// for (lazy, end) in [(false, -3.0), (true, -2.0)] {
///     let mut optimizer = Optimizer::new(rule, lazy, 1, 2);
///     let mut weights = [0.0, 0.0];
///     optimizer.step(&mut weights, Gradient { rows: None, values: &[2.0, 0.0] });
///     optimizer.step(&mut weights, Gradient { rows: Some(&[1]), values: &[1.0] });
///     assert_eq!(weights, [end, -1.0]);
/// }
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Optimizer {
    rule: Rule,
    lazy: bool,
    width: usize,
    first: Vec<f32>,
    second: Vec<f32>,
    n_steps: i32,
}

impl Optimizer {
    /// For a matrix with rows of this width. A lazy one leaves rows without a gradient, and what it
    /// remembers of them, as they are.
    pub fn new(rule: Rule, lazy: bool, width: usize, n_rows: usize) -> Self {
        let n = width * n_rows;
        let (first, second) = match rule {
            Rule::Sgd { .. } => (Vec::new(), Vec::new()),
            Rule::Momentum { .. } => (vec![0.0; n], Vec::new()),
            Rule::RmsProp { .. } => (Vec::new(), vec![0.0; n]),
            Rule::Adam { .. } => (vec![0.0; n], vec![0.0; n]),
            Rule::Adagrad { initial, .. } => (Vec::new(), vec![initial; n]),
        };
        Self { rule, lazy, width, first, second, n_steps: 0 }
    }

    /// Whether a row without a gradient, and what is remembered of it, stays as it is.
    pub fn is_local(&self) -> bool {
        self.lazy || matches!(self.rule, Rule::Sgd { .. } | Rule::Adagrad { .. })
    }

    /// One step against a gradient. Elementwise and in order: the same bits everywhere.
    ///
    /// # Panics
    /// If weights and gradient have not the sizes that the optimizer was made for.
    pub fn step(&mut self, weights: &mut [f32], gradient: Gradient<'_>) {
        self.n_steps = self.n_steps.saturating_add(1);
        let width = self.width;
        match gradient.rows {
            None => self.update(weights, 0, gradient.values),
            Some(rows) if self.is_local() => {
                for (row, values) in rows.iter().zip(gradient.values.chunks_exact(width.max(1))) {
                    self.update(weights, *row as usize * width, values);
                }
            }
            Some(rows) => {
                let mut whole = vec![0.0; weights.len()];
                for (row, values) in rows.iter().zip(gradient.values.chunks_exact(width.max(1))) {
                    whole[*row as usize * width..][..width].copy_from_slice(values);
                }
                self.update(weights, 0, &whole);
            }
        }
    }

    /// Updates the weights from a place on, as many as the gradient has.
    fn update(&mut self, weights: &mut [f32], begin: usize, gradient: &[f32]) {
        let place = begin..begin + gradient.len();
        let each = weights[place.clone()].iter_mut().zip(gradient);
        match self.rule {
            Rule::Sgd { learning_rate } => {
                for (w, g) in each {
                    *w -= learning_rate * g;
                }
            }
            Rule::Momentum { learning_rate, momentum } => {
                for ((w, g), v) in each.zip(&mut self.first[place]) {
                    *v = momentum * *v + g;
                    *w -= learning_rate * *v;
                }
            }
            Rule::RmsProp { learning_rate, decay } => {
                for ((w, g), s) in each.zip(&mut self.second[place]) {
                    *s = decay * *s + (1.0 - decay) * (g * g);
                    *w -= learning_rate * g / (s.sqrt() + 1e-8);
                }
            }
            Rule::Adam { learning_rate, decays: (b1, b2), correction } => {
                let t = match correction {
                    Correction::Standard => self.n_steps,
                    Correction::Constant => 1,
                };
                let (c1, c2) = (1.0 - power(b1, t), 1.0 - power(b2, t));
                let moments = self.first[place.clone()].iter_mut().zip(&mut self.second[place]);
                for ((w, g), (m, s)) in each.zip(moments) {
                    *m = b1 * *m + (1.0 - b1) * g;
                    *s = b2 * *s + (1.0 - b2) * (g * g);
                    *w -= learning_rate * (*m / c1) / ((*s / c2).sqrt() + 1e-8);
                }
            }
            Rule::Adagrad { learning_rate, largest, .. } => {
                for ((w, g), s) in each.zip(&mut self.second[place]) {
                    *s += g * g;
                    *w -= (learning_rate * g / (*s + 1e-7).sqrt()).clamp(-largest, largest);
                }
            }
        }
    }
}

/// bᵗ by squaring: the same bits on every machine.
fn power(b: f32, t: i32) -> f32 {
    let (mut result, mut square, mut t) = (1.0, f64::from(b), t);
    while t > 0 {
        if t & 1 == 1 {
            result *= square;
        }
        square *= square;
        t >>= 1;
    }
    #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
    {
        result as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How far one weight moves at each step against these gradients, with rate 1.
    fn moves(rule: Rule, lazy: bool, gradients: &[f32]) -> Vec<f64> {
        let mut optimizer = Optimizer::new(rule, lazy, 1, 1);
        let mut before = 0.0;
        let mut step = |gradient: &f32| {
            let mut weights = [0.0];
            if *gradient == 0.0 {
                optimizer.step(&mut weights, Gradient { rows: Some(&[]), values: &[] });
            } else {
                optimizer.step(&mut weights, Gradient { rows: None, values: &[*gradient] });
            }
            before += weights[0];
            -f64::from(weights[0])
        };
        gradients.iter().map(&mut step).collect()
    }

    const MOMENTUM: Rule = Rule::Momentum { learning_rate: 1.0, momentum: 0.9 };

    fn near(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-6 * (1.0 + want.abs()), "{got} instead of {want}");
    }

    #[test]
    fn every_rule_by_hand() {
        let gradients = [0.5, -0.25];
        let sgd = moves(Rule::Sgd { learning_rate: 0.1 }, false, &gradients);
        near(sgd[0], 0.05);
        near(sgd[1], -0.025);
        let momentum = moves(MOMENTUM, false, &gradients);
        near(momentum[1], 0.9 * 0.5 - 0.25);
        let rms = moves(Rule::rms_prop(1.0), false, &gradients);
        near(rms[0], 0.5 / (0.01_f64 * 0.25).sqrt());
        near(rms[1], -0.25 / (0.99_f64 * 0.0025 + 0.01 * 0.0625).sqrt());
        let adam = moves(Rule::adam(1.0), false, &gradients);
        near(adam[0], 1.0);
        let (m, s) = (0.9 * 0.05 - 0.025, 0.999 * 0.001 * 0.25 + 0.001 * 0.0625);
        near(adam[1], m / 0.19 / (s / (1.0 - 0.999_f64 * 0.999)).sqrt());
        let adagrad = Rule::Adagrad { learning_rate: 1.0, initial: 0.0, largest: 0.6 };
        let adagrad = moves(adagrad, false, &gradients);
        near(adagrad[0], 0.6);
        near(adagrad[1], -0.25 / (0.25_f64 + 0.0625 + 1e-7).sqrt());
    }

    #[test]
    fn a_silent_weight_moves_by_its_past_unless_lazy() {
        let gradients = [1.0, 0.0, 0.0];
        assert_eq!(moves(MOMENTUM, true, &gradients), [1.0, 0.0, 0.0]);
        let stale = moves(MOMENTUM, false, &gradients);
        near(stale[1], 0.9);
        near(stale[2], 0.81);
        assert!(moves(Rule::adam(1.0), false, &gradients)[2] > 0.1);
        assert_eq!(moves(Rule::adam(1.0), true, &gradients)[1..], [0.0, 0.0]);
        // RMSProp does not move a silent weight, but forgets how large its gradients were.
        let rms = |lazy| moves(Rule::rms_prop(1.0), lazy, &[1.0, 0.0, 0.0, 1.0])[3];
        assert!(rms(false) > rms(true));
    }

    #[test]
    fn some_rows_are_all_rows_with_zeros_elsewhere() {
        for rule in [
            Rule::Sgd { learning_rate: 0.1 },
            MOMENTUM,
            Rule::rms_prop(0.1),
            Rule::adam(0.1),
            Rule::Adagrad { learning_rate: 0.1, initial: 1e-6, largest: 1.0 },
        ] {
            let mut some = Optimizer::new(rule, false, 2, 3);
            let mut all = some.clone();
            let (mut a, mut b) = ([1.0; 6], [1.0; 6]);
            for _ in 0..3 {
                some.step(&mut a, Gradient { rows: Some(&[0, 2]), values: &[1.0, 2.0, 3.0, 4.0] });
                let whole = [1.0, 2.0, 0.0, 0.0, 3.0, 4.0];
                all.step(&mut b, Gradient { rows: None, values: &whole });
            }
            assert_eq!(a, b, "{rule:?}");
        }
    }
}
