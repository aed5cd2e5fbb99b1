//! ReLU with an L1 penalty and rows of the decoder of length 1: dictionaries as they were in 2023.
//!
//! Activations are centered by the decoder's bias, which begins as their geometric median. Dead latents are drawn anew, to
//! rows that are reconstructed badly.
//!
//! # Source
//! Bricken et al. 2023 (Towards Monosemanticity). Its formulas are not at hand in full: how dead latents are drawn anew
//! (rows with probability in proportion to ‖x − x̂‖, encoder rows 0.2 times the mean length of those alive, bias 0, moments
//! 0) is as in `dictionary_learning`'s `StandardTrainer`, and the steps at which it happens are ours.

use kernels::Matrix;
use kernels::dictionary::{Atoms, Codes, Length};
use seed::{Rng, Seed};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::checkpoint::Part;
use crate::dictionary::{Activation, Dictionary, active, norms};
use crate::error::{Result, SaeError};
use crate::median::geometric_median;
use crate::parameters::Parameters;
use crate::penalized::{Penalty, not_negative, relu, step as penalized};
use crate::step::{Report, Step};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitReluConfig {
    /// Latents.
    pub n_latents: usize,
    /// λ.
    pub penalty: f64,
    /// After which parts of the run dead latents are drawn anew, ascending from 0 to 1.
    pub revive_at: Vec<f64>,
}

impl UnitReluConfig {
    /// Dead latents are drawn anew after each eighth of the first half of the run.
    pub fn new(n_latents: usize, penalty: f64) -> Self {
        Self { n_latents, penalty, revive_at: vec![0.125, 0.25, 0.375, 0.5] }
    }
}

/// A dictionary of 2023 in training.
///
/// # Examples
///
/// Rows of the decoder keep length 1:
///
/// ```
/// use kernels::Matrix;
/// use sae::{Batch, Step, UnitRelu, UnitReluConfig};
/// use seed::Seed;
///
/// let rows = Matrix::from_rows(2, 2, vec![1.0, 0.0, 0.0, 1.0])?;
/// let mut rng = Seed::new(3).stream("example", "init");
/// let mut sae = UnitRelu::new(&UnitReluConfig::new(8, 0.1), &rows, &mut rng)?;
/// sae.step(Batch::of(&rows), &Step::new(1, 0.01))?;
/// let dictionary = sae.dictionary()?;
/// assert!(dictionary.decoder().rows().all(|row| (row[0].hypot(row[1]) - 1.0).abs() < 1e-6));
/// # Ok::<(), sae::SaeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct UnitRelu {
    config: UnitReluConfig,
    pub(crate) parameters: Parameters,
    seed: Seed,
    /// How often dead latents were drawn anew.
    n_revived: [u64; 1],
}

impl UnitRelu {
    /// A decoder of random directions of length 1, the encoder the same, the encoder's bias 0, the decoder's the geometric
    /// median of a sample.
    ///
    /// # Errors
    /// [`SaeError::Range`] for no latents, a negative λ, or parts of the run that do not ascend from 0 to 1, and as
    /// [`geometric_median`].
    pub fn new(config: &UnitReluConfig, sample: &Matrix, rng: &mut Rng) -> Result<Self> {
        active(1, config.n_latents)?;
        not_negative("the penalty", config.penalty)?;
        let bounds = std::iter::once(0.0).chain(config.revive_at.iter().copied());
        let pairs = bounds.zip(config.revive_at.iter().copied().chain([1.0]));
        if let Some((_, got)) = pairs.into_iter().find(|(a, b)| a > b || b.is_nan()) {
            let what = "a part of the run after which dead latents are drawn anew";
            return Err(SaeError::Range { what, got, interval: "[0, 1], ascending" });
        }
        let center = geometric_median(sample)?;
        let parameters = Parameters::random(config.n_latents, center, 1.0, rng)?;
        let seed = Seed::new(rng.next_u64());
        Ok(Self { config: config.clone(), parameters, seed, n_revived: [0] })
    }

    /// The dictionary as it is now.
    ///
    /// # Errors
    /// As [`Dictionary::new`].
    pub fn dictionary(&self) -> Result<Dictionary> {
        Dictionary::new(self.parameters.parts(Activation::Relu, true))
    }

    /// One step on a batch, against L = mean (‖x − x̂‖² + λ Σ zᵢ); the part of the decoder's gradient along its rows is
    /// taken out first. Where a part of the run is over, dead latents are drawn anew after it.
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
        let report =
            penalized(&mut self.parameters, batch, step, (true, Length::One), |codes, _| {
                Penalty {
                    cost: penalty * total(codes),
                    by_value: vec![each; codes.values().len()],
                    along_decoder: Vec::new(),
                }
            })?;
        let n_over = self.config.revive_at.iter().filter(|part| **part <= step.progress).count();
        if n_over as u64 > self.n_revived[0] {
            self.n_revived[0] = n_over as u64;
            self.revive(batch, step)?;
        }
        Ok(report)
    }

    /// Draws dead latents anew.
    fn revive(&mut self, batch: Batch<'_>, step: &Step) -> Result<()> {
        let dead = self.parameters.dead(step.dead_after);
        let alive: Vec<usize> = (0..self.parameters.n_latents())
            .filter(|latent| self.parameters.idle[*latent] < step.dead_after)
            .collect();
        let forward = self.parameters.forward(batch, true, relu)?;
        let lengths: Vec<f64> = norms(&forward.residual).into_iter().map(f64::from).collect();
        let sum: f64 = lengths.iter().sum();
        if dead.is_empty() || sum <= 0.0 {
            return Ok(());
        }
        let of_encoder = norms(&self.parameters.encoder.rows().select(&alive));
        let mean = if alive.is_empty() {
            1.0
        } else {
            of_encoder.iter().sum::<f32>() / alive.len() as f32
        };
        let mut rng = self.seed.stream("revive", &format!("{}", self.n_revived[0]));
        let Parameters { encoder, decoder, encoder_bias, idle, .. } = &mut self.parameters;
        for latent in dead {
            let latent = latent as usize;
            let mut left = rng.uniform() * sum;
            let row = lengths.iter().position(|length| {
                left -= length;
                left <= 0.0
            });
            let row = forward.inputs.row(row.unwrap_or(lengths.len() - 1));
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            if norm <= 0.0 {
                continue;
            }
            put(decoder, latent, row, 1.0 / norm);
            put(encoder, latent, row, 0.2 * mean / norm);
            encoder_bias.numbers[latent] = 0.0;
            encoder_bias.moments.iter_mut().for_each(|moments| moments[latent] = 0.0);
            idle[latent] = 0;
        }
        Ok(())
    }

    pub(crate) fn numbers(&mut self) -> Vec<(String, Part<'_>)> {
        let mut all = self.parameters.numbers();
        all.push(("n_revived".to_owned(), Part::U64(&mut self.n_revived)));
        all
    }
}

/// Puts a multiple of x in the place of a row, and forgets its moments.
fn put(atoms: &mut Atoms, latent: usize, x: &[f32], times: f32) {
    let place = latent * x.len()..(latent + 1) * x.len();
    let [rows, first, second] = atoms.numbers_mut();
    rows[place.clone()].iter_mut().zip(x).for_each(|(w, x)| *w = times * x);
    first[place.clone()].fill(0.0);
    second[place].fill(0.0);
}

/// Σ of all values.
pub(crate) fn total(codes: &Codes) -> f64 {
    codes.values().iter().map(|value| f64::from(*value)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dense::{Dense, disturb, gradients, n_found, plain, random, sparse, squares, truth};

    fn sae(config: &UnitReluConfig, sample: &Matrix) -> UnitRelu {
        UnitRelu::new(config, sample, &mut Seed::new(7).stream("sae", "init")).unwrap()
    }

    #[test]
    fn gradients_are_slopes_of_the_dense_loss() {
        let batch = random(24, 6, "batch");
        let mut sae = sae(&UnitReluConfig::new(20, 0.7), &batch);
        disturb(&mut sae.parameters, true);
        let dense = Dense::of(&sae.parameters, &[]);
        let report = sae.step(Batch::of(&batch), &plain()).unwrap();
        let loss = |dense: &Dense| {
            let of_row = |row: &[f32]| {
                let values: Vec<f64> =
                    dense.pre(row, true).iter().map(|pre| pre.max(0.0)).collect();
                squares(&dense.residual(row, &values)) + 0.7 * values.iter().sum::<f64>()
            };
            batch.rows().map(of_row).sum::<f64>() / 24.0
        };
        assert!((report.loss / loss(&dense) - 1.0).abs() < 1e-5);
        let norm = dense.agrees(&gradients(&sae.parameters), true, loss);
        assert!((report.gradient_norm / norm - 1.0).abs() < 1e-4);
    }

    #[test]
    fn directions_that_rows_are_sums_of_are_found() {
        let truth = truth();
        let mut sae = sae(&UnitReluConfig::new(32, 0.2), &sparse(500, &truth, 0));
        for t in 1..=1500 {
            let batch = sparse(256, &truth, u64::from(t));
            let step = Step { max_gradient_norm: 100.0, ..Step::new(t, 3e-3) };
            sae.step(Batch::of(&batch), &step).unwrap();
        }
        let n = n_found(&truth, &sae.dictionary().unwrap());
        assert!(n >= 15, "{n} of 16");
    }

    #[test]
    fn dead_latents_are_drawn_anew_to_rows_that_are_reconstructed_badly() {
        let batch = random(60, 6, "batch");
        let config = UnitReluConfig { revive_at: vec![0.5], ..UnitReluConfig::new(10, 0.1) };
        let mut sae = sae(&config, &batch);
        sae.parameters.encoder_bias.numbers[3] = -99.0;
        let at = |t: u32, progress: f64| Step { dead_after: 100, progress, ..Step::new(t, 1e-3) };
        sae.step(Batch::of(&batch), &at(1, 0.1)).unwrap();
        let report = sae.step(Batch::of(&batch), &at(2, 0.2)).unwrap();
        assert_eq!(report.n_dead, 0);
        let report = sae.step(Batch::of(&batch), &at(3, 0.5)).unwrap();
        assert_eq!(report.n_dead, 1);
        // Its new row is one of the batch, centered by the bias of then.
        let row = sae.parameters.decoder.rows().row(3).to_vec();
        let center = &sae.parameters.decoder_bias.numbers;
        let cosine = |x: &[f32]| {
            let x: Vec<f32> = x.iter().zip(center).map(|(x, c)| x - c).collect();
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            dot(&x, &row) / dot(&x, &x).sqrt()
        };
        assert!(batch.rows().map(cosine).fold(0.0, f32::max) > 0.9999);
        assert_eq!(sae.parameters.idle[3], 0);
        assert_eq!(sae.parameters.decoder.moments()[0][3 * 6..4 * 6], [0.0; 6]);
        let report = sae.step(Batch::of(&batch), &at(4, 0.6)).unwrap();
        assert_eq!(report.n_dead, 0);
        assert_eq!(sae.n_revived, [1]);
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        let sample = random(9, 3, "sample");
        let new = |revive_at: Vec<f64>, penalty: f64| {
            let config = UnitReluConfig { n_latents: 4, penalty, revive_at };
            UnitRelu::new(&config, &sample, &mut Seed::new(0).stream("a", "b")).is_ok()
        };
        assert!(new(vec![], 1.0) && new(vec![0.5], 0.0));
        assert!(!new(vec![0.5, 0.2], 1.0) && !new(vec![1.5], 1.0) && !new(vec![], -1.0));
    }
}
