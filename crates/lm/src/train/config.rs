//! What a training is to do.

use serde::{Deserialize, Serialize};

use crate::LmError;

/// How a model is trained: `AdamW` on the mean cross-entropy of next tokens, with a learning rate that
/// rises in a straight line and falls as a cosine.
///
/// # Examples
///
/// Ten steps, of which two warm up, then down to a tenth:
///
/// ```
/// let config = lm::TrainConfig { n_warmup: 2, ..lm::TrainConfig::new(10, 0.1) };
/// config.check()?;
/// assert_eq!(config.learning_rate(0), 0.05);
/// assert_eq!(config.learning_rate(1), 0.1);
/// assert!((config.learning_rate(6) - 0.055).abs() < 1e-12);
/// assert!((config.learning_rate(10) - 0.01).abs() < 1e-12);
/// # Ok::<(), lm::LmError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Steps in all.
    pub n_steps: u64,
    /// The largest learning rate η.
    pub learning_rate: f64,
    /// Steps over which the rate rises to η.
    pub n_warmup: u64,
    /// What the rate falls to by the last step, as a fraction of η.
    pub final_fraction: f64,
    /// β₁ and β₂, the decays of the moments.
    pub betas: [f64; 2],
    /// ε, added to the root of the second moment.
    pub epsilon: f64,
    /// λ: each step shrinks matrices by η·λ; normalizations, biases and the scales of heads are left.
    pub weight_decay: f64,
    /// The largest norm of the gradient of all parameters together; a longer one is scaled down.
    pub max_gradient_norm: f64,
    /// What the learning rate is multiplied by for inverse temperatures ([`Transformer::betas`](crate::Transformer::betas)).
    /// A step of `AdamW` moves a parameter by hardly more than its rate: weights are of the size of a few hundredths, these
    /// of some tens.
    pub beta_rate: f64,
}

impl TrainConfig {
    /// So many steps at a rate: a hundredth of them to warm up, down to a tenth, β = (0.9, 0.95),
    /// ε = 1e-8, λ = 0.1, gradients of norm up to 1, one rate for all parameters.
    pub const fn new(n_steps: u64, learning_rate: f64) -> Self {
        Self {
            n_steps,
            learning_rate,
            n_warmup: n_steps / 100,
            final_fraction: 0.1,
            betas: [0.9, 0.95],
            epsilon: 1e-8,
            weight_decay: 0.1,
            max_gradient_norm: 1.0,
            beta_rate: 1.0,
        }
    }

    /// The learning rate of a step, counted from 0: η·(step + 1)/`n_warmup` while it warms up, then
    /// η·(f + (1 − f)·(1 + cos(π·p))/2) with f the final fraction and p from 0 at the end of the
    /// warm-up to 1 at `n_steps`.
    pub fn learning_rate(&self, step: u64) -> f64 {
        if step < self.n_warmup {
            return self.learning_rate * ((step + 1) as f64 / self.n_warmup as f64);
        }
        let n_falling = self.n_steps.saturating_sub(self.n_warmup).max(1);
        let part = ((step - self.n_warmup) as f64 / n_falling as f64).min(1.0);
        let cosine = f64::midpoint(1.0, libm::cos(std::f64::consts::PI * part));
        self.learning_rate * (self.final_fraction + (1.0 - self.final_fraction) * cosine)
    }

    /// Refuses what cannot be trained.
    ///
    /// # Errors
    ///
    /// [`LmError::Range`] with the first setting that is out of its interval.
    pub fn check(&self) -> Result<(), LmError> {
        let unit = 0.0..1.0;
        let settings = [
            (
                "the number of steps",
                self.n_steps as f64,
                (1..=u64::from(u32::MAX)).contains(&self.n_steps),
                "[1, 2^32)",
            ),
            (
                "the number of steps that warm up",
                self.n_warmup as f64,
                self.n_warmup <= self.n_steps,
                "[0, the number of steps]",
            ),
            (
                "the learning rate",
                self.learning_rate,
                self.learning_rate > 0.0 && self.learning_rate <= 1.0,
                "(0, 1]",
            ),
            (
                "the final fraction",
                self.final_fraction,
                (0.0..=1.0).contains(&self.final_fraction),
                "[0, 1]",
            ),
            ("β₁", self.betas[0], unit.contains(&self.betas[0]), "[0, 1)"),
            ("β₂", self.betas[1], unit.contains(&self.betas[1]), "[0, 1)"),
            ("ε", self.epsilon, self.epsilon > 0.0 && self.epsilon < 1.0, "(0, 1)"),
            ("the weight decay", self.weight_decay, unit.contains(&self.weight_decay), "[0, 1)"),
            (
                "the largest norm of the gradient",
                self.max_gradient_norm,
                // A checkpoint could not say that it is infinite.
                self.max_gradient_norm > 0.0 && self.max_gradient_norm.is_finite(),
                "(0, ∞)",
            ),
            (
                "the factor on the rate of inverse temperatures",
                self.beta_rate,
                (0.0..=1e6).contains(&self.beta_rate),
                "[0, 10^6]",
            ),
        ];
        let wrong = settings.into_iter().find(|(_, _, is_right, _)| !is_right);
        wrong.map_or(Ok(()), |(what, got, _, interval)| Err(LmError::Range { what, got, interval }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_their_interval_are_named() {
        let good = TrainConfig::new(100, 1e-3);
        assert!(good.check().is_ok());
        let wrong = |config: TrainConfig| config.check().unwrap_err().to_string();
        assert!(wrong(TrainConfig { n_steps: 0, ..good.clone() }).contains("steps"));
        assert!(wrong(TrainConfig { n_warmup: 101, ..good.clone() }).contains("warm up"));
        assert!(wrong(TrainConfig { learning_rate: f64::NAN, ..good.clone() }).contains("NaN"));
        assert!(wrong(TrainConfig { betas: [0.9, 1.0], ..good.clone() }).contains("β₂"));
        assert!(wrong(TrainConfig { max_gradient_norm: f64::INFINITY, ..good }).contains("norm"));
        let unknown = serde_json::from_str::<TrainConfig>(r#"{"steps": 3}"#);
        assert!(unknown.is_err());
    }
}
