//! A step of the optimizer.

use rayon::prelude::*;

/// Numbers that one task takes.
const TASK: usize = 1 << 14;

/// Settings of `AdamW`: m ← β₁·m + (1 − β₁)·g and s ← β₂·s + (1 − β₂)·g², then
/// w ← w − η·(λ·w + m̂/(√ŝ + ε)) with m̂ = m/(1 − β₁ᵗ), ŝ = s/(1 − β₂ᵗ).
///
/// # Source
/// Loshchilov and Hutter 2019; the constants' defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// η.
    pub learning_rate: f32,
    /// β₁ and β₂.
    pub decays: [f64; 2],
    /// ε.
    pub epsilon: f32,
    /// λ.
    pub weight_decay: f32,
}

impl AdamW {
    /// β₁ = 0.9, β₂ = 0.999, ε = 1e-8, λ = 0.01.
    pub const fn new(learning_rate: f32) -> Self {
        Self { learning_rate, decays: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.01 }
    }

    /// Step number t, counted from 1, of weights against `scale` times a gradient.
    ///
    /// # Determinism
    /// The same bits for any number of threads and on every platform.
    ///
    /// # Panics
    /// If the sizes differ.
    ///
    /// # Examples
    /// The first step moves by the learning rate, and decay by its part of the weight:
    /// ```
    /// use kernels::transformer::AdamW;
    ///
    /// let (mut weights, mut first, mut second) = ([1.0, 1.0], [0.0; 2], [0.0; 2]);
    /// let rule = AdamW { epsilon: 0.0, ..AdamW::new(0.1) };
    /// rule.step(1, &mut weights, [&mut first, &mut second], &[0.5, -2.0], 1.0);
    /// assert!((weights[0] - 0.899).abs() < 1e-6 && (weights[1] - 1.099).abs() < 1e-6);
    /// ```
    pub fn step(
        &self,
        t: u32,
        weights: &mut [f32],
        [first, second]: [&mut [f32]; 2],
        gradient: &[f32],
        scale: f32,
    ) {
        let n = weights.len();
        assert!([first.len(), second.len(), gradient.len()] == [n; 3], "moments for each weight");
        let numbers = self.at(t, scale);
        let moments = first.par_chunks_mut(TASK).zip(second.par_chunks_mut(TASK));
        let tasks = weights.par_chunks_mut(TASK).zip(gradient.par_chunks(TASK)).zip(moments);
        tasks.for_each(|((weights, gradient), (first, second))| {
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || numbers.step(weights, [first, second], gradient),
            );
        });
    }

    /// The numbers of step t against `scale` times a gradient.
    pub(crate) fn at(&self, t: u32, scale: f32) -> Numbers {
        let correction = |b: f64| 1.0 - libm::pow(b, f64::from(t));
        let [b1, b2] = self.decays;
        #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
        let [b1, b2, new1, new2, c1, c2] =
            [b1, b2, 1.0 - b1, 1.0 - b2, correction(b1), correction(b2)].map(|x| x as f32);
        Numbers {
            scale,
            decays: [b1, b2],
            new: [new1, new2],
            rate: self.learning_rate / c1,
            root: 1.0 / c2,
            keep: 1.0 - self.learning_rate * self.weight_decay,
            epsilon: self.epsilon,
        }
    }
}

/// What is the same for all weights of a step.
#[derive(Clone, Copy)]
pub(crate) struct Numbers {
    scale: f32,
    decays: [f32; 2],
    new: [f32; 2],
    rate: f32,
    root: f32,
    keep: f32,
    epsilon: f32,
}

impl Numbers {
    #[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
    #[inline(always)]
    pub(crate) fn step(
        self,
        weights: &mut [f32],
        [first, second]: [&mut [f32]; 2],
        gradient: &[f32],
    ) {
        let Self { scale, decays: [b1, b2], new: [new1, new2], rate, root, keep, epsilon } = self;
        let moments = first.iter_mut().zip(second);
        for ((w, g), (m, s)) in weights.iter_mut().zip(gradient).zip(moments) {
            let g = scale * g;
            *m = b1 * *m + new1 * g;
            *s = b2 * *s + new2 * (g * g);
            *w = keep * *w - rate * *m / ((*s * root).sqrt() + epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::random;
    use super::*;

    #[test]
    fn ten_steps_as_by_the_definition() {
        let n = 40_000;
        let rule = AdamW { weight_decay: 0.1, ..AdamW::new(0.01) };
        let mut weights = random(n, "weights");
        let mut plain: Vec<f64> = weights.iter().map(|w| f64::from(*w)).collect();
        let (mut first, mut second) = (vec![0.0; n], vec![0.0; n]);
        let (mut m, mut s) = (vec![0.0_f64; n], vec![0.0_f64; n]);
        for t in 1..=10_i32 {
            let gradient = random(n, &format!("gradient {t}"));
            rule.step(t.unsigned_abs(), &mut weights, [&mut first, &mut second], &gradient, 0.5);
            for at in 0..n {
                let g = 0.5 * f64::from(gradient[at]);
                m[at] = 0.9 * m[at] + 0.1 * g;
                s[at] = 0.999 * s[at] + 0.001 * g * g;
                let power = |b: f64| libm::pow(b, f64::from(t));
                let (m_hat, s_hat) = (m[at] / (1.0 - power(0.9)), s[at] / (1.0 - power(0.999)));
                plain[at] -= 0.01 * (0.1 * plain[at] + m_hat / (s_hat.sqrt() + 1e-8));
            }
        }
        let worst = weights.iter().zip(&plain).map(|(a, b)| (f64::from(*a) - b).abs());
        assert!(worst.fold(0.0, f64::max) < 1e-5);
    }
}
