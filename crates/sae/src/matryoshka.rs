//! Matryoshka: nested dictionaries, each a prefix of the next, that all have to reconstruct.
//!
//! Early latents have to do without the later ones, so that general concepts are not split up among special ones.
//!
//! # Source
//! Bussmann et al. 2025 (arXiv 2503.17547), on [`BatchTopK`](crate::BatchTopK); equal weights as in `dictionary_learning`'s
//! `MatryoshkaBatchTopKTrainer`.

use kernels::Matrix;
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::batch_top_k::{BatchTopKConfig, Running};
use crate::checkpoint::Part;
use crate::dictionary::{Activation, Dictionary};
use crate::error::{Result, SaeError};
use crate::median::geometric_median;
use crate::parameters::Parameters;
use crate::penalized::positive;
use crate::step::{Report, Step};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatryoshkaConfig {
    /// Those of the whole dictionary.
    pub whole: BatchTopKConfig,
    /// Latents of each nested dictionary, ascending to all.
    pub prefixes: Vec<usize>,
    /// What the loss of each counts.
    pub weights: Vec<f64>,
}

impl MatryoshkaConfig {
    /// Up to five nested dictionaries, each four times as large as the one before it (128, 512, 2048, 8192, 32768 latents are
    /// those of the published dictionaries of Gemma 2 2B), with equal weights that add up to 1.
    ///
    /// # Examples
    ///
    /// ```
    /// let whole = sae::BatchTopKConfig::of_run(32, 4, None, 100);
    /// assert_eq!(sae::MatryoshkaConfig::fourfold(whole).prefixes, [2, 8, 32]);
    /// ```
    pub fn fourfold(whole: BatchTopKConfig) -> Self {
        let sizes = (0..5).map(|at| whole.n_latents >> (2 * at));
        let mut prefixes: Vec<usize> = sizes.take_while(|size| *size > 0).collect();
        prefixes.reverse();
        let weights = vec![1.0 / prefixes.len() as f64; prefixes.len()];
        Self { whole, prefixes, weights }
    }

    fn check(&self) -> Result<()> {
        self.whole.check()?;
        kernels::KernelError::check(
            "weights of nested dictionaries",
            self.prefixes.len(),
            self.weights.len(),
        )?;
        let mut before = 0;
        for prefix in &self.prefixes {
            if *prefix <= before {
                let (what, got) = ("the size of a nested dictionary", *prefix as f64);
                return Err(SaeError::Range { what, got, interval: "(size before, latents]" });
            }
            before = *prefix;
        }
        kernels::KernelError::check(
            "latents of the last nested dictionary",
            self.whole.n_latents,
            before,
        )?;
        let weights: Vec<_> = self
            .weights
            .iter()
            .map(|weight| ("the weight of a nested dictionary", *weight))
            .collect();
        positive(&weights)
    }
}

/// Nested dictionaries in training.
#[derive(Clone, Debug, PartialEq)]
pub struct Matryoshka {
    config: MatryoshkaConfig,
    pub(crate) parameters: Parameters,
    running: Running,
}

impl Matryoshka {
    /// Begins as [`TopK`](crate::TopK).
    ///
    /// # Errors
    /// As [`BatchTopK::new`](crate::BatchTopK::new), and [`SaeError::Range`] or [`SaeError::Sizes`] for prefixes that do not
    /// ascend to all latents or weights that are not positive.
    pub fn new(config: &MatryoshkaConfig, sample: &Matrix, rng: &mut Rng) -> Result<Self> {
        config.check()?;
        let center = geometric_median(sample)?;
        let parameters = Parameters::random(config.whole.n_latents, center, 1.0, rng)?;
        Ok(Self { config: config.clone(), parameters, running: Running::new() })
    }

    /// The whole dictionary as it is now, with its threshold for all latents as [`BatchTopK`](crate::BatchTopK). A nested one
    /// has its first latents.
    ///
    /// # Errors
    /// As [`Dictionary::new`].
    pub fn dictionary(&self) -> Result<Dictionary> {
        let thresholds = vec![self.running.threshold(); self.config.whole.n_latents];
        Dictionary::new(self.parameters.parts(Activation::JumpRelu { thresholds }, true))
    }

    /// One step on a batch, against L = Σ wₘ·mean ‖x − x̂ₘ‖² over the nested dictionaries, x̂ₘ = c + Σ zᵢ·Dᵢ over the active
    /// latents of the m-th, and the loss of dead latents of [`TopK::step`](crate::TopK::step). What is active is told by the
    /// whole dictionary.
    ///
    /// # Memory
    /// A gradient by reconstructions for each nested dictionary, `[row, d]`.
    ///
    /// # Determinism
    /// As there.
    ///
    /// # Errors
    /// As there.
    pub fn step(&mut self, batch: Batch<'_>, step: &Step) -> Result<Report> {
        let MatryoshkaConfig { whole, prefixes, weights } = &self.config;
        let prefixes: Vec<_> = prefixes.iter().copied().zip(weights.iter().copied()).collect();
        whole.step((&mut self.parameters, &mut self.running), batch, step, &prefixes)
    }

    pub(crate) fn numbers(&mut self) -> Vec<(String, Part<'_>)> {
        let mut all = self.parameters.numbers();
        all.push(("threshold".to_owned(), Part::F64(self.running.numbers())));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BatchTopK;
    use crate::dense::{Dense, disturb, gradients, plain, random, squares};
    use crate::k_sparse::Aux;
    use seed::Seed;

    fn rng() -> Rng {
        Seed::new(7).stream("sae", "init")
    }

    #[test]
    fn gradients_are_slopes_of_the_dense_loss() {
        let batch = random(24, 6, "batch");
        let config = MatryoshkaConfig {
            whole: BatchTopKConfig::of_run(20, 4, None, 100),
            prefixes: vec![3, 8, 20],
            weights: vec![0.5, 1.0, 0.25],
        };
        let mut sae = Matryoshka::new(&config, &batch, &mut rng()).unwrap();
        disturb(&mut sae.parameters, true);
        let dense = Dense::of(&sae.parameters, &[]);
        let loss = |dense: &Dense| {
            let pre: Vec<Vec<f64>> = batch.rows().map(|row| dense.pre(row, true)).collect();
            let mut all: Vec<f64> = pre.iter().flatten().copied().collect();
            all.sort_by(|a, b| b.total_cmp(a));
            let least = all[4 * 24 - 1].max(0.0);
            let of_row = |(row, pre): (&[f32], &Vec<f64>)| {
                let of_prefix = |(end, weight): (&usize, &f64)| {
                    let value = |(latent, pre): (usize, &f64)| {
                        if latent < *end && *pre >= least { *pre } else { 0.0 }
                    };
                    let values: Vec<f64> = pre.iter().enumerate().map(value).collect();
                    weight * squares(&dense.residual(row, &values))
                };
                config.prefixes.iter().zip(&config.weights).map(of_prefix).sum::<f64>()
            };
            batch.rows().zip(&pre).map(of_row).sum::<f64>() / 24.0
        };
        let report = sae.step(Batch::of(&batch), &plain()).unwrap();
        assert!((report.loss / loss(&dense) - 1.0).abs() < 1e-5);
        let norm = dense.agrees(&gradients(&sae.parameters), true, loss);
        assert!((report.gradient_norm / norm - 1.0).abs() < 1e-4);
    }

    #[test]
    fn one_prefix_is_batch_top_k() {
        let batch = random(40, 6, "batch");
        let whole = BatchTopKConfig::of_run(20, 3, Some(Aux { k: 2, coefficient: 0.1 }), 10);
        let config =
            MatryoshkaConfig { whole: whole.clone(), prefixes: vec![20], weights: vec![1.0] };
        let mut nested = Matryoshka::new(&config, &batch, &mut rng()).unwrap();
        let mut plain = BatchTopK::new(&whole, &batch, &mut rng()).unwrap();
        for t in 1..10 {
            let step = Step { dead_after: 80, ..Step::new(t, 0.01) };
            let reports = [
                nested.step(Batch::of(&batch), &step).unwrap(),
                plain.step(Batch::of(&batch), &step).unwrap(),
            ];
            assert_eq!(reports[0], reports[1]);
        }
        assert_eq!(nested.dictionary().unwrap(), plain.dictionary().unwrap());
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        let sample = random(9, 3, "sample");
        let new = |prefixes: Vec<usize>, weights: Vec<f64>| {
            let whole = BatchTopKConfig::of_run(8, 2, None, 10);
            let config = MatryoshkaConfig { whole, prefixes, weights };
            Matryoshka::new(&config, &sample, &mut rng()).is_ok()
        };
        assert!(new(vec![4, 8], vec![1.0, 2.0]));
        assert!(!new(vec![4, 9], vec![1.0; 2]) && !new(vec![4], vec![1.0]));
        assert!(!new(vec![0, 8], vec![1.0; 2]) && !new(vec![4, 4, 8], vec![1.0; 3]));
        assert!(!new(vec![4, 8], vec![1.0]) && !new(vec![4, 8], vec![1.0, 0.0]));
        assert!(!new(vec![], vec![]));
    }
}
