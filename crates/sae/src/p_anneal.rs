//! A penalty that becomes sharper: λ Σ zᵢᵖ with p from 1 towards 0, rows of the decoder of length 1.
//!
//! With p = 1 large values cost more than small ones, and shrink; with p near 0 it counts what is active.
//!
//! # Source
//! Karvonen et al. 2024 (p-annealing), as `dictionary_learning`'s `PAnnealTrainer` names it. Departs from it: p falls
//! linearly in every step and λ is not adapted on the way; values are shifted by ε in the penalty, (z + ε)ᵖ − εᵖ, so that
//! its slope is finite.

use kernels::Matrix;
use kernels::dictionary::Length;
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::checkpoint::Part;
use crate::dictionary::{Activation, Dictionary, active};
use crate::error::{Result, SaeError};
use crate::median::geometric_median;
use crate::parameters::Parameters;
use crate::penalized::{Penalty, not_negative, positive, step as penalized};
use crate::step::{Report, Step};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PAnnealConfig {
    /// Latents.
    pub n_latents: usize,
    /// λ.
    pub penalty: f64,
    /// p at the end; it is 1 at the beginning.
    pub last_power: f64,
    /// After which part of the run p begins to fall, in [0, 1).
    pub anneal_from: f64,
    /// ε.
    pub shift: f64,
}

impl PAnnealConfig {
    /// p falls to 0.2 over the last three quarters of the run, ε = 0.01.
    pub const fn new(n_latents: usize, penalty: f64) -> Self {
        Self { n_latents, penalty, last_power: 0.2, anneal_from: 0.25, shift: 0.01 }
    }

    /// p where this much of the run is behind.
    ///
    /// # Examples
    ///
    /// ```
    /// let config = sae::PAnnealConfig { anneal_from: 0.5, last_power: 0.2, ..sae::PAnnealConfig::new(1, 1.0) };
    /// assert_eq!([0.0, 0.5].map(|progress| config.power(progress)), [1.0, 1.0]);
    /// assert!((config.power(0.75) - 0.6).abs() < 1e-12 && (config.power(1.0) - 0.2).abs() < 1e-12);
    /// ```
    pub fn power(&self, progress: f64) -> f64 {
        let part = ((progress - self.anneal_from) / (1.0 - self.anneal_from)).max(0.0);
        1.0 - part * (1.0 - self.last_power)
    }
}

/// A dictionary with a penalty that becomes sharper, in training.
#[derive(Clone, Debug, PartialEq)]
pub struct PAnneal {
    config: PAnnealConfig,
    pub(crate) parameters: Parameters,
}

impl PAnneal {
    /// Begins as [`UnitRelu`](crate::UnitRelu).
    ///
    /// # Errors
    /// [`SaeError::Range`] for settings out of their intervals, and as [`geometric_median`].
    pub fn new(config: &PAnnealConfig, sample: &Matrix, rng: &mut Rng) -> Result<Self> {
        active(1, config.n_latents)?;
        not_negative("the penalty", config.penalty)?;
        positive(&[("the last power", config.last_power), ("the shift of values", config.shift)])?;
        for (what, got, is_right, interval) in [
            ("the last power", config.last_power, config.last_power <= 1.0, "(0, 1]"),
            (
                "the part of the run before p falls",
                config.anneal_from,
                (0.0..1.0).contains(&config.anneal_from),
                "[0, 1)",
            ),
        ] {
            if !is_right {
                return Err(SaeError::Range { what, got, interval });
            }
        }
        let center = geometric_median(sample)?;
        let parameters = Parameters::random(config.n_latents, center, 1.0, rng)?;
        Ok(Self { config: config.clone(), parameters })
    }

    /// The dictionary as it is now.
    ///
    /// # Errors
    /// As [`Dictionary::new`].
    pub fn dictionary(&self) -> Result<Dictionary> {
        Dictionary::new(self.parameters.parts(Activation::Relu, true))
    }

    /// One step on a batch, against L = mean (‖x − x̂‖² + λ Σ ((zᵢ + ε)ᵖ − εᵖ)) with p of the step's progress; the part of
    /// the decoder's gradient along its rows is taken out first.
    ///
    /// # Determinism
    /// As [`TopK::step`](crate::TopK::step).
    ///
    /// # Errors
    /// As there.
    pub fn step(&mut self, batch: Batch<'_>, step: &Step) -> Result<Report> {
        let p = self.config.power(step.progress);
        let shift = self.config.shift;
        let penalty = self.config.penalty * step.sparsity / batch.inputs.n_rows() as f64;
        penalized(&mut self.parameters, batch, step, (true, Length::One), |codes, _| {
            let least = libm::pow(shift, p);
            let mut cost = 0.0;
            #[expect(clippy::cast_possible_truncation, reason = "gradients are single precision")]
            let by_value = codes.values().iter().map(|value| {
                let value = f64::from(*value) + shift;
                let power = libm::pow(value, p);
                cost += penalty * (power - least);
                (penalty * p * power / value) as f32
            });
            let by_value = by_value.collect();
            Penalty { cost, by_value, along_decoder: Vec::new() }
        })
    }

    pub(crate) fn numbers(&mut self) -> Vec<(String, Part<'_>)> {
        self.parameters.numbers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dense::{Dense, disturb, gradients, plain, random, squares};
    use seed::Seed;

    #[test]
    fn gradients_are_slopes_of_the_dense_loss() {
        let batch = random(24, 6, "batch");
        let config = PAnnealConfig::new(20, 0.7);
        let mut rng = Seed::new(7).stream("sae", "init");
        let mut sae = PAnneal::new(&config, &batch, &mut rng).unwrap();
        disturb(&mut sae.parameters, true);
        let dense = Dense::of(&sae.parameters, &[]);
        let report = sae.step(Batch::of(&batch), &Step { progress: 0.8, ..plain() }).unwrap();
        let p = 1.0 - 0.8 * 0.55 / 0.75;
        let loss = |dense: &Dense| {
            let of_row = |row: &[f32]| {
                let values: Vec<f64> =
                    dense.pre(row, true).iter().map(|pre| pre.max(0.0)).collect();
                let cost = values.iter().filter(|value| **value > 0.0);
                let cost = cost.map(|value| libm::pow(value + 0.01, p) - libm::pow(0.01, p));
                squares(&dense.residual(row, &values)) + 0.7 * cost.sum::<f64>()
            };
            batch.rows().map(of_row).sum::<f64>() / 24.0
        };
        assert!((report.loss / loss(&dense) - 1.0).abs() < 1e-5);
        let norm = dense.agrees(&gradients(&sae.parameters), true, loss);
        assert!((report.gradient_norm / norm - 1.0).abs() < 1e-4);
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        let sample = random(9, 3, "sample");
        let new = |config: &PAnnealConfig| {
            PAnneal::new(config, &sample, &mut Seed::new(0).stream("a", "b")).is_ok()
        };
        let good = PAnnealConfig::new(4, 1.0);
        assert!(new(&good));
        assert!(!new(&PAnnealConfig { last_power: 0.0, ..good.clone() }));
        assert!(!new(&PAnnealConfig { last_power: 1.5, ..good.clone() }));
        assert!(!new(&PAnnealConfig { anneal_from: 1.0, ..good.clone() }));
        assert!(!new(&PAnnealConfig { shift: 0.0, ..good }));
    }
}
