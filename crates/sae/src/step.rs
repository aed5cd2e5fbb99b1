//! A step of a training, whatever the architecture.

use kernels::transformer::AdamW;
use serde::{Deserialize, Serialize};

use crate::error::{Result, SaeError};

/// How parameters go against the gradient: Adam without decay, against a gradient that is scaled down to a largest norm.
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
}

impl Step {
    /// β = (0.9, 0.999), ε = 1e-8, gradients of norm up to 1.
    pub const fn new(t: u32, learning_rate: f32) -> Self {
        Self { t, learning_rate, decays: [0.9, 0.999], epsilon: 1e-8, max_gradient_norm: 1.0 }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let unit = 0.0..1.0;
        for (what, got, is_right, interval) in [
            ("the number of the step", f64::from(self.t), self.t > 0, "[1, 2^32)"),
            (
                "the learning rate",
                f64::from(self.learning_rate),
                self.learning_rate >= 0.0 && self.learning_rate <= 1.0,
                "[0, 1]",
            ),
            ("β₁", self.decays[0], unit.contains(&self.decays[0]), "[0, 1)"),
            ("β₂", self.decays[1], unit.contains(&self.decays[1]), "[0, 1)"),
            ("ε", f64::from(self.epsilon), self.epsilon > 0.0, "(0, ∞)"),
            (
                "the largest norm of the gradient",
                self.max_gradient_norm,
                self.max_gradient_norm > 0.0,
                "(0, ∞]",
            ),
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
}

/// What a step found before it changed anything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// What the step goes against.
    pub loss: f64,
    /// Mean over rows of ‖x − x̂‖².
    pub squared_error: f64,
    /// Active latents of a row, on average.
    pub l0: f64,
    /// Latents that count as dead; 0 without an auxiliary loss, which says what counts.
    pub n_dead: usize,
    /// Norm of the gradient of all parameters together, before it was scaled down.
    pub gradient_norm: f64,
}
