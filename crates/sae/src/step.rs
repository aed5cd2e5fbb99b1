//! A step of a training, whatever the architecture.

use kernels::transformer::AdamW;
use serde::{Deserialize, Serialize};

use crate::error::{Result, SaeError};

/// How a step follows the gradient: Adam without decay, against a gradient that is scaled down to a largest norm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The number of the step, from 1, each once and in order: Adam corrects its moments by it.
    pub t: u32,
    /// η.
    pub learning_rate: f32,
    /// β₁ and β₂.
    pub decays: [f64; 2],
    /// ε.
    pub epsilon: f32,
    /// The largest norm of the gradient of all parameters together.
    pub max_gradient_norm: f64,
    /// A latent counts as dead if it was active in none of the last so many rows.
    pub dead_after: u64,
    /// What the penalties of sparsity are multiplied by: less than 1 while they warm up.
    pub sparsity: f64,
    /// What k is multiplied by, where there is a k: more than 1 while it anneals.
    pub k_times: f64,
    /// How much of the run is behind, from 0 to 1.
    pub progress: f64,
}

impl Step {
    /// β = (0.9, 0.999), ε = 1e-8, gradients of norm up to 1, no latent dead, penalties and k as they are.
    pub const fn new(t: u32, learning_rate: f32) -> Self {
        Self {
            t,
            learning_rate,
            decays: [0.9, 0.999],
            epsilon: 1e-8,
            max_gradient_norm: 1.0,
            dead_after: u64::MAX,
            sparsity: 1.0,
            k_times: 1.0,
            progress: 0.0,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let unit = 0.0..1.0;
        let rate = f64::from(self.learning_rate);
        for (what, got, is_right, interval) in [
            ("the number of the step", f64::from(self.t), self.t > 0, "[1, 2^32)"),
            ("the learning rate", rate, (0.0..=1.0).contains(&rate), "[0, 1]"),
            ("β₁", self.decays[0], unit.contains(&self.decays[0]), "[0, 1)"),
            ("β₂", self.decays[1], unit.contains(&self.decays[1]), "[0, 1)"),
            ("ε", f64::from(self.epsilon), self.epsilon > 0.0, "(0, ∞)"),
            (
                "the largest norm of the gradient",
                self.max_gradient_norm,
                self.max_gradient_norm > 0.0,
                "(0, ∞]",
            ),
            (
                "the factor of penalties",
                self.sparsity,
                (0.0..=1.0).contains(&self.sparsity),
                "[0, 1]",
            ),
            ("the factor of k", self.k_times, self.k_times >= 1.0, "[1, ∞)"),
            ("progress", self.progress, (0.0..=1.0).contains(&self.progress), "[0, 1]"),
        ] {
            if !is_right {
                return Err(SaeError::Range { what, got, interval });
            }
        }
        Ok(())
    }

    pub(crate) fn rule(&self) -> AdamW {
        AdamW {
            learning_rate: self.learning_rate,
            decays: self.decays,
            epsilon: self.epsilon,
            weight_decay: 0.0,
        }
    }

    /// What a gradient of this norm is multiplied by.
    #[expect(clippy::cast_possible_truncation, reason = "gradients are single precision")]
    pub(crate) fn scale(&self, norm: f64) -> f32 {
        (self.max_gradient_norm / norm.max(f64::MIN_POSITIVE)).min(1.0) as f32
    }

    /// k as it is at this step, for a dictionary of n latents.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of latents, below 2^32 and positive"
    )]
    pub(crate) fn k(&self, k: usize, n_latents: usize) -> usize {
        ((k as f64 * self.k_times).round() as usize).min(n_latents)
    }
}

/// What a step found before it changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What the step goes against.
    pub loss: f64,
    /// Mean over rows of ‖x − x̂‖².
    pub squared_error: f64,
    /// Mean over rows of ‖x − x̄‖², x̄ their mean.
    pub variance: f64,
    /// Active latents of a row, on average.
    pub l0: f64,
    /// Latents that count as dead.
    pub n_dead: usize,
    /// Norm of the gradient of all parameters together, before it was scaled down.
    pub gradient_norm: f64,
}

impl Report {
    /// The fraction of variance that is unexplained: ‖x − x̂‖² over ‖x − x̄‖², means over the batch.
    pub fn fvu(&self) -> f64 {
        self.squared_error / self.variance
    }
}
