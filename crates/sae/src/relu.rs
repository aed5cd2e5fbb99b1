//! ReLU with an L1 penalty that counts lengths of the decoder: the dictionaries of paper C.
//!
//! Rows of the decoder are free. What is penalized is zᵢ‖Dᵢ‖, how far a latent takes the reconstruction, so that nothing is
//! won by small values of long rows.
//!
//! # Source
//! Paper C (arXiv 2605.29358), section on its sparse autoencoders: λ = 5 where E‖x‖² = D; the beginning and the schedule are
//! those of the April 2024 update that it refers to, rows of length 0.1 the usual choice in its range of 0.05 to 1.

use kernels::dictionary::Length;
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::batch::{Batch, sums_by_latent};
use crate::checkpoint::Part;
use crate::dictionary::{Activation, Dictionary, active};
use crate::error::Result;
use crate::parameters::Parameters;
use crate::penalized::{Penalty, not_negative, positive, step as penalized};
use crate::step::{Report, Step};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReluConfig {
    /// Latents.
    pub n_latents: usize,
    /// λ.
    pub penalty: f64,
    /// Length of the decoder's rows at the beginning.
    pub initial_length: f32,
}

impl ReluConfig {
    /// λ = 5, rows of length 0.1. Activations have to be scaled to E‖x‖² = D first ([`Scaling::of`](crate::Scaling::of)), or
    /// λ means something else.
    pub const fn paper_c(n_latents: usize) -> Self {
        Self { n_latents, penalty: 5.0, initial_length: 0.1 }
    }
}

/// A dictionary of paper C in training.
///
/// # Examples
///
/// ```
/// use kernels::Matrix;
/// use sae::{Batch, Relu, ReluConfig, Step};
/// use seed::Seed;
///
/// let rows = Matrix::from_rows(2, 2, vec![1.0, 0.0, 0.0, 1.0])?;
/// let config = ReluConfig { penalty: 0.1, ..ReluConfig::paper_c(8) };
/// let mut sae = Relu::new(&config, 2, &mut Seed::new(3).stream("example", "init"))?;
/// let first = sae.step(Batch::of(&rows), &Step::new(1, 0.01))?;
/// for t in 2..300 {
///     sae.step(Batch::of(&rows), &Step::new(t, 0.01))?;
/// }
/// let last = sae.step(Batch::of(&rows), &Step::new(300, 0.01))?;
/// assert!(last.loss < 0.3 * first.loss);
/// # Ok::<(), sae::SaeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Relu {
    config: ReluConfig,
    pub(crate) parameters: Parameters,
}

impl Relu {
    /// A decoder of random directions, the encoder the same, biases 0.
    ///
    /// # Errors
    /// [`SaeError::Range`](crate::SaeError::Range) for no latents, a negative λ, or a length that is not positive.
    pub fn new(config: &ReluConfig, width: usize, rng: &mut Rng) -> Result<Self> {
        let ReluConfig { n_latents, penalty, initial_length } = *config;
        active(1, n_latents)?;
        not_negative("the penalty", penalty)?;
        positive(&[("the initial length of the decoder's rows", f64::from(initial_length))])?;
        let parameters = Parameters::random(n_latents, vec![0.0; width], initial_length, rng)?;
        Ok(Self { config: config.clone(), parameters })
    }

    /// The dictionary as it is now.
    ///
    /// # Errors
    /// As [`Dictionary::new`].
    pub fn dictionary(&self) -> Result<Dictionary> {
        Dictionary::new(self.parameters.parts(Activation::Relu, false))
    }

    /// One step on a batch, against L = mean (‖x − x̂‖² + λ Σ zᵢ‖Dᵢ‖).
    ///
    /// # Determinism
    /// As [`TopK::step`](crate::TopK::step).
    ///
    /// # Errors
    /// As there.
    pub fn step(&mut self, batch: Batch<'_>, step: &Step) -> Result<Report> {
        let penalty = self.config.penalty * step.sparsity / batch.inputs.n_rows() as f64;
        #[expect(clippy::cast_possible_truncation, reason = "gradients are single precision")]
        let each = penalty as f32;
        penalized(&mut self.parameters, batch, step, (false, Length::Free), |codes, norms| {
            let sums = sums_by_latent(codes, codes.values());
            let cost = sums.iter().zip(norms).map(|(sum, norm)| f64::from(*sum) * f64::from(*norm));
            let by_value = codes.latents().iter().map(|latent| each * norms[*latent as usize]);
            let along = sums.iter().zip(norms);
            Penalty {
                cost: penalty * cost.sum::<f64>(),
                by_value: by_value.collect(),
                // d‖D‖ = D/‖D‖; a row that is 0 has no direction to go.
                along_decoder: along
                    .map(|(sum, norm)| if *norm > 0.0 { each * sum / norm } else { 0.0 })
                    .collect(),
            }
        })
    }

    pub(crate) fn numbers(&mut self) -> Vec<(String, Part<'_>)> {
        self.parameters.numbers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dense::{Dense, disturb, gradients, n_found, plain, random, sparse, squares, truth};
    use kernels::Matrix;
    use seed::Seed;

    fn sae(n_latents: usize, width: usize, penalty: f64) -> Relu {
        let config = ReluConfig { penalty, ..ReluConfig::paper_c(n_latents) };
        Relu::new(&config, width, &mut Seed::new(7).stream("sae", "init")).unwrap()
    }

    fn loss(dense: &Dense, batch: &Matrix, penalty: f64) -> f64 {
        let norms = dense.norms();
        let of_row = |row: &[f32]| {
            let values: Vec<f64> = dense.pre(row, false).iter().map(|pre| pre.max(0.0)).collect();
            let cost: f64 = values.iter().zip(&norms).map(|(value, norm)| value * norm).sum();
            squares(&dense.residual(row, &values)) + penalty * cost
        };
        batch.rows().map(of_row).sum::<f64>() / batch.n_rows() as f64
    }

    #[test]
    fn gradients_are_slopes_of_the_dense_loss() {
        let batch = random(24, 6, "batch");
        let mut sae = sae(20, 6, 1.4);
        disturb(&mut sae.parameters, false);
        let dense = Dense::of(&sae.parameters, &[]);
        // Half of the penalty, as while it warms up.
        let report = sae.step(Batch::of(&batch), &Step { sparsity: 0.5, ..plain() }).unwrap();
        let loss = |dense: &Dense| loss(dense, &batch, 0.7);
        assert!((report.loss / loss(&dense) - 1.0).abs() < 1e-5);
        let norm = dense.agrees(&gradients(&sae.parameters), false, loss);
        assert!((report.gradient_norm / norm - 1.0).abs() < 1e-4);
    }

    /// The penalty does not change if values shrink and rows grow: f/c and c·W.
    #[test]
    fn the_penalty_is_that_of_the_folded_dictionary() {
        let batch = random(24, 6, "batch");
        let loss_of = |factor: f32| {
            let mut sae = sae(20, 6, 2.0);
            disturb(&mut sae.parameters, false);
            let times = |numbers: &mut [f32], by: f32| numbers.iter_mut().for_each(|w| *w *= by);
            times(sae.parameters.encoder.rows_mut().values_mut(), 1.0 / factor);
            times(&mut sae.parameters.encoder_bias.numbers, 1.0 / factor);
            times(sae.parameters.decoder.rows_mut().values_mut(), factor);
            sae.step(Batch::of(&batch), &plain()).unwrap().loss
        };
        assert!((loss_of(4.0) / loss_of(1.0) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn directions_that_rows_are_sums_of_are_found_and_more_penalty_means_fewer_active() {
        let truth = truth();
        let trained = |penalty: f64| {
            let mut sae = sae(32, 24, penalty);
            let mut l0 = 0.0;
            for t in 1..=1500 {
                let step = Step { max_gradient_norm: 100.0, ..Step::new(t, 3e-3) };
                let batch = sparse(256, &truth, u64::from(t));
                l0 = sae.step(Batch::of(&batch), &step).unwrap().l0;
            }
            (n_found(&truth, &sae.dictionary().unwrap()), l0)
        };
        let (weak, strong) = (trained(0.05), trained(0.2));
        assert!(strong.0 >= 15, "{} of 16", strong.0);
        assert!(strong.1 < weak.1, "{} and {}", strong.1, weak.1);
        assert!(strong.1 < 4.0, "{}", strong.1);
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        let new = |config: &ReluConfig| Relu::new(config, 3, &mut Seed::new(0).stream("a", "b"));
        let good = ReluConfig::paper_c(4);
        assert!(new(&good).is_ok());
        assert!(new(&ReluConfig { n_latents: 0, ..good.clone() }).is_err());
        assert!(new(&ReluConfig { penalty: -1.0, ..good.clone() }).is_err());
        assert!(new(&ReluConfig { initial_length: 0.0, ..good }).is_err());
    }
}
