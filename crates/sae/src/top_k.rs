//! `TopK`: the k largest pre-activations are active, and dead latents learn from what the others leave over.
//!
//! # Source
//! Gao et al. 2024 (arXiv 2406.04093). α and `k_aux` of [`Aux::of_run`], the beginning, the clipped gradient and rows of
//! length 1 are those of `dictionary_learning`'s `TopKTrainer`.
//!
//! Here is the step alone. Batches, learning rates and checkpoints are the caller's; a dictionary in training cannot be
//! stored yet.

use kernels::Matrix;
use kernels::dictionary::top_k_codes;
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::dictionary::{Activation, Dictionary};
use crate::error::Result;
use crate::k_sparse::{Aux, KSparse};
use crate::step::{Report, Step};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopKConfig {
    /// Latents.
    pub n_latents: usize,
    /// Active latents of a row.
    pub k: usize,
    /// What revives dead latents, [`Aux::of_run`] for instance.
    pub aux: Option<Aux>,
}

/// A `TopK` dictionary in training.
///
/// # Examples
///
/// Rows that are one of two directions are learned with one active latent each:
///
/// ```
/// use kernels::Matrix;
/// use sae::{Step, TopK, TopKConfig};
/// use seed::Seed;
///
/// let rows = Matrix::from_rows(4, 2, vec![1.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 3.0])?;
/// let config = TopKConfig { n_latents: 8, k: 1, aux: None };
/// let mut sae = TopK::new(&config, &rows, &mut Seed::new(3).stream("example", "init"))?;
/// let first = sae.step(&rows, &Step::new(1, 0.01))?;
/// for t in 2..400 {
///     sae.step(&rows, &Step::new(t, 0.01))?;
/// }
/// let last = sae.step(&rows, &Step::new(400, 0.01))?;
/// assert!(last.squared_error < 0.1 * first.squared_error);
/// # Ok::<(), sae::SaeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TopK {
    k: usize,
    trained: KSparse,
}

impl TopK {
    /// A decoder of random directions of length 1, the encoder the same, the encoder's bias 0, the decoder's the geometric
    /// median of a sample of activations (Gao et al. take 32,768 rows).
    ///
    /// # Errors
    /// [`SaeError::Range`](crate::SaeError::Range) for a k of 0 or beyond the latents, a `k_aux` of 0 or a negative α, and as
    /// [`geometric_median`](crate::geometric_median).
    pub fn new(config: &TopKConfig, sample: &Matrix, rng: &mut Rng) -> Result<Self> {
        let TopKConfig { n_latents, k, aux } = config;
        Ok(Self { k: *k, trained: KSparse::new(*n_latents, *k, aux.clone(), sample, rng)? })
    }

    /// The dictionary as it is now.
    ///
    /// # Errors
    /// As [`Dictionary::new`].
    pub fn dictionary(&self) -> Result<Dictionary> {
        self.trained.dictionary(Activation::TopK { k: self.k })
    }

    /// Latents that count as dead, in ascending order; none without an auxiliary loss.
    pub fn dead(&self) -> Vec<u32> {
        self.trained.dead()
    }

    /// One step on a batch, against
    ///
    /// L = mean ‖x − x̂‖² + α·(mean ‖e − ê‖²)/v, with e = x − x̂ held fixed, ê what the dead latents make of x (the `k_aux` of
    /// them with the largest positive pre-activations, without the decoder's bias), and v the mean of ‖e − mean e‖².
    ///
    /// Rows of the decoder keep length 1: the part of the gradient along them is taken out first.
    ///
    /// # Shapes
    /// `batch` `[row, d]`.
    ///
    /// # Determinism
    /// The same bits for any number of threads; the last bits depend on the CPU class.
    ///
    /// # Errors
    /// [`NotFinite`](crate::SaeError::NotFinite) for activations, [`Diverged`](crate::SaeError::Diverged) for a gradient that
    /// is not finite, [`Sizes`](crate::SaeError::Sizes) for another width, [`Empty`](crate::SaeError::Empty) without rows,
    /// [`Range`](crate::SaeError::Range) for settings of the step. The dictionary stays as it was.
    pub fn step(&mut self, batch: &Matrix, step: &Step) -> Result<Report> {
        let k = self.k;
        let (report, _) = self.trained.step(batch, step, |inputs, parameters| {
            let bias = &parameters.encoder_bias.numbers;
            Ok(top_k_codes(inputs, parameters.encoder.rows(), bias, k)?)
        })?;
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::SaeError;
    use crate::k_sparse::squared_from_mean;
    use crate::parameters::Parameters;
    use seed::Seed;

    fn random(n_rows: usize, width: usize, purpose: &str) -> Matrix {
        let mut rng = Seed::new(7).stream("sae", purpose);
        #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
        let numbers = (0..n_rows * width).map(|_| rng.normal() as f32).collect();
        Matrix::from_rows(n_rows, width, numbers).unwrap()
    }

    fn sae(config: &TopKConfig, sample: &Matrix) -> TopK {
        TopK::new(config, sample, &mut Seed::new(7).stream("sae", "init")).unwrap()
    }

    /// Rows that are sums of two of sixteen directions.
    fn sparse(n_rows: usize, truth: &Matrix, seed: u64) -> Matrix {
        let mut rng = Seed::new(seed).stream("sae", "sparse");
        let mut rows = Matrix::zeros(n_rows, truth.n_columns());
        for row in 0..n_rows {
            for _ in 0..2 {
                let direction = rng.below(truth.n_rows());
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "32 bits are enough for a test"
                )]
                let size = 1.0 + rng.uniform() as f32;
                let sum = rows.row_mut(row).iter_mut().zip(truth.row(direction));
                sum.for_each(|(sum, x)| *sum += size * x);
            }
        }
        rows
    }

    /// Dense, and in double precision.
    struct Dense {
        encoder: Vec<f64>,
        decoder: Vec<f64>,
        encoder_bias: Vec<f64>,
        decoder_bias: Vec<f64>,
    }

    impl Dense {
        fn of(parameters: &Parameters) -> Self {
            let double = |numbers: &[f32]| numbers.iter().map(|x| f64::from(*x)).collect();
            Self {
                encoder: double(parameters.encoder.rows().values()),
                decoder: double(parameters.decoder.rows().values()),
                encoder_bias: double(&parameters.encoder_bias.numbers),
                decoder_bias: double(&parameters.decoder_bias.numbers),
            }
        }

        fn all(&mut self) -> [&mut Vec<f64>; 4] {
            [&mut self.encoder, &mut self.decoder, &mut self.encoder_bias, &mut self.decoder_bias]
        }

        /// The sum over the k latents of some whose pre-activations are largest and positive.
        fn decoded(&self, x: &[f64], k: usize, among: impl Fn(usize) -> bool) -> Vec<f64> {
            let d = x.len();
            let dot = |latent: usize| -> f64 {
                let pairs = x.iter().zip(&self.decoder_bias).zip(&self.encoder[latent * d..]);
                pairs.map(|((x, center), w)| (x - center) * w).sum()
            };
            let n = self.encoder_bias.len();
            let mut all: Vec<(usize, f64)> = (0..n)
                .filter(|latent| among(*latent))
                .map(|latent| (latent, dot(latent) + self.encoder_bias[latent]))
                .collect();
            all.sort_by(|a, b| b.1.total_cmp(&a.1));
            let mut sum = vec![0.0; d];
            for (latent, value) in all.into_iter().take(k).filter(|(_, value)| *value > 0.0) {
                let row = sum.iter_mut().zip(&self.decoder[latent * d..]);
                row.for_each(|(sum, w)| *sum += value * w);
            }
            sum
        }

        /// x − x̂, row after row.
        fn residuals(&self, batch: &Matrix, k: usize) -> Vec<Vec<f64>> {
            let of = |row: &[f32]| {
                let x: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
                let decoded = self.decoded(&x, k, |_| true);
                let all = x.iter().zip(decoded).zip(&self.decoder_bias);
                all.map(|((x, decoded), bias)| x - decoded - bias).collect()
            };
            batch.rows().map(of).collect()
        }

        /// The loss, with the residuals that the auxiliary loss is about held fixed.
        fn loss(
            &self,
            batch: &Matrix,
            config: &TopKConfig,
            dead: &[u32],
            fixed: &[Vec<f64>],
        ) -> f64 {
            let n = batch.n_rows() as f64;
            let squares = |rows: &[Vec<f64>]| rows.iter().flatten().map(|e| e * e).sum::<f64>();
            let mut loss = squares(&self.residuals(batch, config.k)) / n;
            if let (Some(aux), false) = (&config.aux, dead.is_empty()) {
                let d = batch.n_columns();
                let mean: Vec<f64> =
                    (0..d).map(|at| fixed.iter().map(|row| row[at]).sum::<f64>() / n).collect();
                let gaps: Vec<Vec<f64>> = fixed
                    .iter()
                    .map(|row| row.iter().zip(&mean).map(|(e, mean)| e - mean).collect())
                    .collect();
                let left: Vec<Vec<f64>> = batch
                    .rows()
                    .zip(fixed)
                    .map(|(row, e)| {
                        let x: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
                        let is_dead = |latent| dead.iter().any(|other| *other as usize == latent);
                        let decoded = self.decoded(&x, aux.k, is_dead);
                        e.iter().zip(decoded).map(|(e, decoded)| e - decoded).collect()
                    })
                    .collect();
                loss += aux.coefficient * squares(&left) / squares(&gaps);
            }
            loss
        }
    }

    /// Without decay of moments, the first moment after a step is the gradient.
    #[test]
    fn gradients_are_slopes_of_the_dense_loss() {
        let (n, d) = (20, 6);
        let aux = Aux { k: 2, coefficient: 0.7, dead_after: 100 };
        let config = TopKConfig { n_latents: n, k: 3, aux: Some(aux) };
        let batch = random(24, d, "batch");
        let mut sae = sae(&config, &batch);
        // Biases and encoder of their own, so that nothing is tested at a special point.
        let other = random(n, d, "encoder");
        let encoder = sae.trained.parameters.encoder.rows_mut().values_mut();
        encoder.iter_mut().zip(other.values()).for_each(|(w, other)| *w += 0.3 * other);
        sae.trained.parameters.encoder_bias.numbers = random(1, n, "bias").into_values();
        sae.trained.idle = (0..20).map(|latent| if latent % 4 == 0 { 100 } else { 0 }).collect();
        let dead = sae.dead();
        assert_eq!(dead, [0, 4, 8, 12, 16]);

        let mut dense = Dense::of(&sae.trained.parameters);
        let fixed = dense.residuals(&batch, config.k);
        let mut slopes: Vec<Vec<f64>> = Vec::new();
        for which in 0..4 {
            let n_numbers = dense.all()[which].len();
            let slope = |at: usize| {
                let mut at_shift = |shift: f64| {
                    dense.all()[which][at] += shift;
                    let loss = dense.loss(&batch, &config, &dead, &fixed);
                    dense.all()[which][at] -= shift;
                    loss
                };
                (at_shift(1e-6) - at_shift(-1e-6)) / 2e-6
            };
            slopes.push((0..n_numbers).map(slope).collect());
        }
        // Of the decoder's the part along each row is taken out.
        let decoder = Dense::of(&sae.trained.parameters).decoder;
        for (slopes, row) in slopes[1].chunks_mut(d).zip(decoder.chunks(d)) {
            let along: f64 = slopes.iter().zip(row).map(|(slope, w)| slope * w).sum();
            slopes.iter_mut().zip(row).for_each(|(slope, w)| *slope -= along * w);
        }
        let expected_loss = dense.loss(&batch, &config, &dead, &fixed);

        let step =
            Step { decays: [0.0; 2], max_gradient_norm: f64::INFINITY, ..Step::new(1, 1e-3) };
        let report = sae.step(&batch, &step).unwrap();
        assert!((report.loss / expected_loss - 1.0).abs() < 1e-5);
        assert_eq!((report.n_dead, report.l0 <= 3.0), (5, true));
        let Parameters { encoder, decoder, encoder_bias, decoder_bias } = &sae.trained.parameters;
        let found = [
            encoder.moments()[0],
            decoder.moments()[0],
            &encoder_bias.moments()[0],
            &decoder_bias.moments()[0],
        ];
        let mut squares = 0.0;
        for (found, slopes) in found.iter().zip(&slopes) {
            assert_eq!(found.len(), slopes.len());
            for (found, slope) in found.iter().zip(slopes) {
                let gap = (f64::from(*found) - slope).abs();
                assert!(gap < 2e-5 * (1.0 + slope.abs()), "{found} and {slope}");
                squares += slope * slope;
            }
        }
        assert!((report.gradient_norm / squares.sqrt() - 1.0).abs() < 1e-4);
    }

    #[test]
    fn directions_that_rows_are_sums_of_are_found() {
        let mut truth = random(16, 24, "truth");
        truth.normalize_rows();
        let sample = sparse(500, &truth, 0);
        let aux = Some(Aux::of_run(24, 600 * 256));
        let config = TopKConfig { n_latents: 32, k: 2, aux };
        let mut sae = sae(&config, &sample);
        for t in 1..=600 {
            sae.step(&sparse(256, &truth, u64::from(t)), &Step::new(t, 3e-3)).unwrap();
        }
        let found = sae.dictionary().unwrap();
        let cosines = kernels::product_transposed(&truth, found.decoder()).unwrap();
        let best = cosines.rows().map(|row| row.iter().copied().fold(0.0, f32::max));
        let n_found = best.filter(|cosine| *cosine > 0.95).count();
        assert!(n_found >= 15, "{n_found} of 16");
        let test = sparse(200, &truth, 10_000);
        let decoded = found.decode(&found.encode(&test).unwrap()).unwrap();
        let left: f64 = decoded
            .values()
            .iter()
            .zip(test.values())
            .map(|(a, b)| f64::from(a - b))
            .map(|gap| gap * gap)
            .sum();
        assert!(left < 0.1 * squared_from_mean(&test), "{left}");
    }

    /// Sixteen of 24 latents are needed, and all but eight are outdone by these at first.
    #[test]
    fn dead_latents_are_revived() {
        let mut truth = random(16, 24, "truth");
        truth.normalize_rows();
        let trained = |coefficient: f64| {
            let aux = Some(Aux { k: 12, coefficient, dead_after: 2000 });
            let config = TopKConfig { n_latents: 24, k: 2, aux };
            let mut sae = sae(&config, &sparse(500, &truth, 0));
            let outdone = &mut sae.trained.parameters.encoder.rows_mut().values_mut()[8 * 24..];
            for w in outdone {
                *w *= 0.05;
            }
            let mut last = None;
            for t in 1..=600 {
                last = Some(
                    sae.step(&sparse(256, &truth, u64::from(t)), &Step::new(t, 3e-3)).unwrap(),
                );
            }
            last.unwrap()
        };
        let (without, with) = (trained(0.0), trained(1.0 / 32.0));
        // Sixteen of 24 live if at most eight are dead.
        assert!(without.n_dead > 8, "{} dead without the auxiliary loss", without.n_dead);
        assert!(with.n_dead <= 8, "{} dead with it", with.n_dead);
        assert!(10.0 * with.squared_error < without.squared_error);
    }

    #[test]
    fn threads_change_no_bit() {
        let batch = random(700, 17, "batch");
        let aux = Some(Aux { k: 5, coefficient: 0.1, dead_after: 1000 });
        let config = TopKConfig { n_latents: 150, k: 4, aux };
        let with = |n_threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| {
                let mut sae = sae(&config, &batch);
                sae.trained.parameters.encoder_bias.numbers[..40].fill(-9.0);
                for t in 1..6 {
                    sae.step(&batch, &Step::new(t, 1e-3)).unwrap();
                }
                sae
            })
        };
        let one = with(1);
        assert!(!one.dead().is_empty());
        assert!(one == with(2) && one == with(4));
    }

    #[test]
    fn what_cannot_be_learned_is_refused_and_changes_nothing() {
        let batch = random(9, 4, "batch");
        let config = TopKConfig { n_latents: 8, k: 2, aux: None };
        let mut sae = sae(&config, &batch);
        let before = sae.clone();
        let mut broken = batch.clone();
        broken.row_mut(3)[2] = f32::INFINITY;
        let error = sae.step(&broken, &Step::new(1, 0.1)).unwrap_err().to_string();
        assert!(error.contains("number 2 of row 3 is inf"), "{error}");
        let mut huge = batch.clone();
        huge.row_mut(0)[0] = 1e30;
        assert!(matches!(sae.step(&huge, &Step::new(1, 0.1)), Err(SaeError::Diverged { step: 1 })));
        assert!(sae.step(&random(9, 5, "wide"), &Step::new(1, 0.1)).is_err());
        assert!(sae.step(&Matrix::zeros(0, 4), &Step::new(1, 0.1)).is_err());
        assert!(sae.step(&batch, &Step::new(0, 0.1)).is_err());
        assert!(sae.step(&batch, &Step::new(1, f32::NAN)).is_err());
        assert!(sae == before);
        let new = |config: &TopKConfig, sample: &Matrix| {
            TopK::new(config, sample, &mut Seed::new(0).stream("sae", "init")).map(|_| ())
        };
        assert!(new(&TopKConfig { k: 9, ..config.clone() }, &batch).is_err());
        assert!(new(&TopKConfig { k: 0, ..config.clone() }, &batch).is_err());
        assert!(new(&config, &Matrix::zeros(0, 4)).is_err());
        assert!(new(&config, &broken).unwrap_err().to_string().contains("the sample"));
        let aux = Some(Aux { k: 1, coefficient: -1.0, dead_after: 1 });
        assert!(new(&TopKConfig { aux, ..config }, &batch).is_err());
    }
}
