//! The parts of a transformer on plain rows of numbers, each in one pass forward and one backward.
//!
//! - [`linear`]: products with weights;
//! - [`layer_norm`], [`rms_norm`]: rows brought to a common scale;
//! - [`activate`], [`gated`]: what a multilayer perceptron makes of its hidden units;
//! - [`rotate`]: rotary positions;
//! - [`attention`]: causal, of groups of heads, perhaps within a window;
//! - [`cross_entropy`]: the loss of next tokens, and its gradient in the place of the logits;
//! - [`AdamW`]: a step of the optimizer.
//!
//! All are over 32-bit numbers, row after row, shared out over threads; sums over rows go by fixed blocks, so that the
//! result does not depend on threads.

mod adamw;
mod attention;
mod fresh;
mod gates;
pub(crate) mod lanes;
mod linear;
mod loss;
mod norms;
mod rotation;

pub use adamw::AdamW;
pub use attention::{Attention, AttentionShape, attention, attention_backward};
pub use gates::{Activation, activate, activate_backward, gated, gated_backward};
pub use linear::{Weight, linear, linear_backward, sum_of_all_rows, weight_gradient};
pub use loss::{cross_entropies, cross_entropy, weighted_mean};
pub use norms::{
    NormGradients, Normed, layer_norm, layer_norm_backward, rms_norm, rms_norm_backward,
};
pub use rotation::{Angles, rotate};

/// Rows that one task takes; sums over rows add up blocks of as many, in order.
const TASK_ROWS: usize = 64;

#[cfg(test)]
pub(crate) mod tests {
    use seed::Seed;

    #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
    pub(crate) fn random(n: usize, purpose: &str) -> Vec<f32> {
        let mut rng = Seed::new(5).stream("transformer-tests", purpose);
        (0..n).map(|_| rng.normal() as f32).collect()
    }

    /// That a gradient is what a loss changes by, at up to 60 places.
    pub(super) fn differences(x: &[f32], gradient: &[f32], loss: impl Fn(&[f32]) -> f64) {
        assert_eq!(x.len(), gradient.len());
        let largest = gradient.iter().fold(0.0_f32, |largest, g| largest.max(g.abs()));
        assert!(largest > 0.0);
        for at in (0..x.len()).step_by(x.len().div_ceil(60)) {
            let moved = |by: f32| {
                let mut x = x.to_vec();
                x[at] += by;
                loss(&x)
            };
            let step = 1e-2_f32;
            let slope = (moved(step) - moved(-step)) / f64::from(2.0 * step);
            let gap = (slope - f64::from(gradient[at])).abs();
            assert!(gap < 2e-3 * f64::from(largest), "{at}: {slope} instead of {}", gradient[at]);
        }
    }
}
