//! Gated: whether a latent is active, and how much, are told by two pre-activations that share the encoder's directions.
//!
//! Only the gate is penalized, so that values do not shrink; the gate learns from a reconstruction of its own.
//!
//! # Source
//! Rajamanoharan et al. 2024 (arXiv 2404.16014); as `dictionary_learning`'s `GatedSAETrainer`, with rows of the decoder of
//! length 1 and activations centered by its bias.

use kernels::Matrix;
use kernels::dictionary::{Codes, Length};
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::batch::{Batch, lacking, scaled, squared, sums_by_latent};
use crate::checkpoint::Part;
use crate::dictionary::{Activation, Dictionary, active};
use crate::error::Result;
use crate::median::geometric_median;
use crate::parameters::{Bias, Parameters, Pull};
use crate::penalized::{not_negative, relu};
use crate::step::{Report, Step};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatedConfig {
    /// Latents.
    pub n_latents: usize,
    /// λ.
    pub penalty: f64,
}

/// A gated dictionary in training.
///
/// # Examples
///
/// ```
/// use kernels::Matrix;
/// use sae::{Batch, Gated, GatedConfig, Step};
/// use seed::Seed;
///
/// let rows = Matrix::from_rows(2, 2, vec![1.0, 0.0, 0.0, 1.0])?;
/// let mut rng = Seed::new(3).stream("example", "init");
/// let mut sae = Gated::new(&GatedConfig { n_latents: 8, penalty: 0.01 }, &rows, &mut rng)?;
/// let first = sae.step(Batch::of(&rows), &Step::new(1, 0.01))?;
/// for t in 2..300 {
///     sae.step(Batch::of(&rows), &Step::new(t, 0.01))?;
/// }
/// assert!(sae.step(Batch::of(&rows), &Step::new(300, 0.01))?.loss < 0.3 * first.loss);
/// # Ok::<(), sae::SaeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Gated {
    config: GatedConfig,
    /// Of which the encoder's bias is that of the gate.
    pub(crate) parameters: Parameters,
    /// r.
    log_scales: Bias,
    /// b′.
    magnitude_bias: Bias,
}

impl Gated {
    /// A decoder of random directions of length 1, the encoder the same, the decoder's bias the geometric median of a sample,
    /// all else 0.
    ///
    /// # Errors
    /// [`SaeError::Range`](crate::SaeError::Range) for no latents or a negative λ, and as [`geometric_median`].
    pub fn new(config: &GatedConfig, sample: &Matrix, rng: &mut Rng) -> Result<Self> {
        let n = config.n_latents;
        active(1, n)?;
        not_negative("the penalty", config.penalty)?;
        Ok(Self {
            config: config.clone(),
            parameters: Parameters::random(n, geometric_median(sample)?, 1.0, rng)?,
            log_scales: Bias::new(vec![0.0; n]),
            magnitude_bias: Bias::new(vec![0.0; n]),
        })
    }

    /// The dictionary as it is now.
    ///
    /// # Errors
    /// As [`Dictionary::new`].
    pub fn dictionary(&self) -> Result<Dictionary> {
        let magnitude_bias = self.magnitude_bias.numbers.clone();
        let activation = Activation::Gated { scales: self.scales(), magnitude_bias };
        Dictionary::new(self.parameters.parts(activation, true))
    }

    /// One step on a batch, against
    ///
    /// L = mean (‖x − x̂‖² + λ Σ max(0, π) + ‖x − x̂′‖²), π = W·(x − c) + b,
    ///
    /// where x̂ is of the values max(0, exp(r)·W·(x − c) + b′) with π > 0, and x̂′ of max(0, π), with the decoder held fixed.
    /// The part of the decoder's gradient along its rows is taken out first.
    ///
    /// # Determinism
    /// As [`TopK::step`](crate::TopK::step).
    ///
    /// # Errors
    /// As there.
    pub fn step(&mut self, batch: Batch<'_>, step: &Step) -> Result<Report> {
        step.check()?;
        batch.check()?;
        batch.reconstructs()?;
        let n_rows = batch.inputs.n_rows();
        let penalty = self.config.penalty * step.sparsity / n_rows as f64;
        let scales = self.scales();
        let (parameters, shifts) = (&self.parameters, &self.magnitude_bias.numbers);
        let gate_bias = &parameters.encoder_bias.numbers;
        let mut gates = None;
        let forward = parameters.forward(batch, true, |inputs, parameters| {
            let open = relu(inputs, parameters)?;
            let magnitude = |latent: usize, gate: f32| {
                Some((scales[latent] * (gate - gate_bias[latent]) + shifts[latent]).max(0.0))
            };
            Ok(gates.insert(open).clone().map(magnitude))
        })?;
        let codes = &forward.codes;
        let gates: &Codes = gates.as_ref().unwrap_or(codes);
        let decoder = parameters.decoder.rows();
        let by_decoded = scaled(&forward.residual, -2.0 / n_rows as f64);
        let by_magnitude = codes.products(&by_decoded, decoder)?;
        let mut left = gates.decode(decoder, &parameters.decoder_bias.numbers)?;
        lacking(&mut left, batch.targets);
        let mut by_gate = gates.products(&scaled(&left, -2.0 / n_rows as f64), decoder)?;
        let sum: f64 = gates.values().iter().map(|gate| f64::from(*gate)).sum();
        let cost = penalty * sum + squared(&left) / n_rows as f64;
        #[expect(clippy::cast_possible_truncation, reason = "gradients are single precision")]
        for by in &mut by_gate {
            *by += penalty as f32;
        }

        // The way through magnitudes that are positive.
        let n_active = codes.values().len();
        let (mut by_encoder, mut by_shift, mut by_log_scale) =
            (by_gate.clone(), vec![0.0; n_active], vec![0.0; n_active]);
        for at in 0..n_active {
            if codes.values()[at] > 0.0 {
                let latent = codes.latents()[at] as usize;
                let product = gates.values()[at] - gate_bias[latent];
                by_encoder[at] += by_magnitude[at] * scales[latent];
                by_shift[at] = by_magnitude[at];
                by_log_scale[at] = by_magnitude[at] * scales[latent] * product;
            }
        }
        let report = parameters.report(batch, step, forward.squared_error, cost, codes);
        let pull = Pull {
            codes,
            by_encoder: &by_encoder,
            by_encoder_bias: sums_by_latent(codes, &by_gate),
            inputs: &forward.inputs,
            by_decoded: &by_decoded,
            n_with_bias: n_rows,
            centers: true,
            length: Length::One,
            along_decoder: &[],
            shared_encoder: None,
        };
        let others = &mut [
            (&mut self.log_scales, sums_by_latent(codes, &by_log_scale)),
            (&mut self.magnitude_bias, sums_by_latent(codes, &by_shift)),
        ];
        let gradient_norm = self.parameters.descend(&pull, others, step)?;
        self.parameters.count(codes, n_rows);
        Ok(Report { gradient_norm, ..report })
    }

    fn scales(&self) -> Vec<f32> {
        self.log_scales.numbers.iter().map(|log| libm::expf(*log)).collect()
    }

    pub(crate) fn numbers(&mut self) -> Vec<(String, Part<'_>)> {
        let mut all = self.parameters.numbers();
        all.extend(self.log_scales.parts("log_scales"));
        all.extend(self.magnitude_bias.parts("magnitude_bias"));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dense::{Dense, disturb, gradients, n_found, plain, random, sparse, squares, truth};
    use seed::Seed;

    fn sae(n_latents: usize, penalty: f64, sample: &Matrix) -> Gated {
        let config = GatedConfig { n_latents, penalty };
        Gated::new(&config, sample, &mut Seed::new(7).stream("sae", "init")).unwrap()
    }

    /// Values and gates of a row.
    fn encoded(dense: &Dense, row: &[f32]) -> [Vec<f64>; 2] {
        let gates: Vec<f64> = dense.pre(row, true).iter().map(|pre| pre.max(0.0)).collect();
        let values = dense.products(row, true).into_iter().enumerate().map(|(latent, product)| {
            let value = libm::exp(dense.numbers[4][latent]) * product + dense.numbers[5][latent];
            if gates[latent] > 0.0 { value.max(0.0) } else { 0.0 }
        });
        [values.collect(), gates]
    }

    #[test]
    fn gradients_are_slopes_of_the_dense_loss() {
        let batch = random(24, 6, "batch");
        let mut sae = sae(20, 0.7, &batch);
        disturb(&mut sae.parameters, true);
        sae.log_scales.numbers = random(1, 20, "log scales").into_values();
        sae.magnitude_bias.numbers = random(1, 20, "shifts").into_values();
        let dense =
            Dense::of(&sae.parameters, &[&sae.log_scales.numbers, &sae.magnitude_bias.numbers]);
        // The second reconstruction has the decoder and its bias held fixed, but not the center of what is encoded.
        let fixed = dense.clone();
        let report = sae.step(Batch::of(&batch), &plain()).unwrap();
        let loss = |dense: &Dense| {
            let of_row = |row: &[f32]| {
                let [values, gates] = encoded(dense, row);
                let cost = 0.7 * gates.iter().sum::<f64>();
                squares(&dense.residual(row, &values))
                    + cost
                    + squares(&fixed.residual(row, &gates))
            };
            batch.rows().map(of_row).sum::<f64>() / 24.0
        };
        assert!((report.loss / loss(&dense) - 1.0).abs() < 1e-5);
        let mut found = gradients(&sae.parameters).to_vec();
        found.extend([&sae.log_scales.moments[0][..], &sae.magnitude_bias.moments[0]]);
        let norm = dense.agrees(&found, true, loss);
        assert!((report.gradient_norm / norm - 1.0).abs() < 1e-4);
    }

    #[test]
    fn directions_that_rows_are_sums_of_are_found() {
        let truth = truth();
        let mut sae = sae(32, 1.0, &sparse(500, &truth, 0));
        for t in 1..=1500 {
            let batch = sparse(256, &truth, u64::from(t));
            let step = Step { max_gradient_norm: 100.0, ..Step::new(t, 3e-3) };
            sae.step(Batch::of(&batch), &step).unwrap();
        }
        let n = n_found(&truth, &sae.dictionary().unwrap());
        assert!(n >= 15, "{n} of 16");
    }

    #[test]
    fn what_is_trained_is_what_is_used() {
        let batch = random(30, 6, "batch");
        let mut sae = sae(20, 0.1, &batch);
        for t in 1..20 {
            sae.step(Batch::of(&batch), &Step::new(t, 0.01)).unwrap();
        }
        let dictionary = sae.dictionary().unwrap();
        let decoded = dictionary.reconstruct(&batch).unwrap();
        let report = sae.step(Batch::of(&batch), &Step::new(20, 0.0)).unwrap();
        let pairs = decoded.values().iter().zip(batch.values());
        let left: f64 = pairs.map(|(a, b)| f64::from(a - b)).map(|gap| gap * gap).sum();
        assert!((report.squared_error / (left / 30.0) - 1.0).abs() < 1e-5);
        let l0 = dictionary.encode(&batch).unwrap().values().len() as f64 / 30.0;
        assert_eq!(report.l0, l0);
    }
}
