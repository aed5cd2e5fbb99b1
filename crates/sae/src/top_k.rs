//! `TopK`: the k largest pre-activations are active, and dead latents learn from what the others leave over.
//!
//! # Source
//! Gao et al. 2024 (arXiv 2406.04093). α and `k_aux` of [`Aux::of_width`], the beginning, the clipped gradient and rows of
//! length 1 are those of `dictionary_learning`'s `TopKTrainer`.

use kernels::Matrix;
use kernels::dictionary::{Length, top_k_codes};
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::checkpoint::Part;
use crate::dictionary::{Activation, Dictionary, active};
use crate::error::Result;
use crate::k_sparse::{Aux, Reconstruction};
use crate::median::geometric_median;
use crate::parameters::Parameters;
use crate::step::{Report, Step};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopKConfig {
    /// Latents.
    pub n_latents: usize,
    /// Active latents of a row.
    pub k: usize,
    /// What revives dead latents, [`Aux::of_width`] for instance.
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
/// use sae::{Batch, Step, TopK, TopKConfig};
/// use seed::Seed;
///
/// let rows = Matrix::from_rows(4, 2, vec![1.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 3.0])?;
/// let config = TopKConfig { n_latents: 8, k: 1, aux: None };
/// let mut sae = TopK::new(&config, &rows, &mut Seed::new(3).stream("example", "init"))?;
/// let first = sae.step(Batch::of(&rows), &Step::new(1, 0.01))?;
/// for t in 2..400 {
///     sae.step(Batch::of(&rows), &Step::new(t, 0.01))?;
/// }
/// let last = sae.step(Batch::of(&rows), &Step::new(400, 0.01))?;
/// assert!(last.squared_error < 0.1 * first.squared_error);
/// # Ok::<(), sae::SaeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TopK {
    config: TopKConfig,
    pub(crate) parameters: Parameters,
}

impl TopK {
    /// A decoder of random directions of length 1, the encoder the same, the encoder's bias 0, the decoder's the geometric
    /// median of a sample of activations (Gao et al. take 32,768 rows).
    ///
    /// # Errors
    /// [`SaeError::Range`](crate::SaeError::Range) for a k of 0 or beyond the latents, a `k_aux` of 0 or a negative α, and as
    /// [`geometric_median`].
    pub fn new(config: &TopKConfig, sample: &Matrix, rng: &mut Rng) -> Result<Self> {
        let TopKConfig { n_latents, k, aux } = config;
        active(*k, *n_latents)?;
        aux.as_ref().map_or(Ok(()), Aux::check)?;
        let parameters = Parameters::random(*n_latents, geometric_median(sample)?, 1.0, rng)?;
        Ok(Self { config: config.clone(), parameters })
    }

    /// The dictionary as it is now.
    ///
    /// # Errors
    /// As [`Dictionary::new`].
    pub fn dictionary(&self) -> Result<Dictionary> {
        Dictionary::new(self.parameters.parts(Activation::TopK { k: self.config.k }, true))
    }

    /// One step on a batch, against
    ///
    /// L = mean ‖x − x̂‖² + α·V·(mean ‖e − ê‖²)/v, with e = x − x̂ held fixed, ê what the dead latents make of x (the `k_aux`
    /// of them with the largest positive pre-activations, without the decoder's bias), V the mean of ‖x − mean x‖² and v that
    /// of ‖e − mean e‖²: divided by V it is the loss of Gao et al., both terms as shares of a variance, and weighs them the
    /// same however activations are scaled.
    ///
    /// Rows of the decoder keep length 1: the part of the gradient along them is taken out first.
    ///
    /// # Determinism
    /// The same bits for any number of threads; the last bits depend on the CPU class.
    ///
    /// # Errors
    /// [`NotFinite`](crate::SaeError::NotFinite) for activations, [`Diverged`](crate::SaeError::Diverged) for a gradient that
    /// is not finite, [`Sizes`](crate::SaeError::Sizes) for another width, [`Empty`](crate::SaeError::Empty) without rows,
    /// [`Targets`](crate::SaeError::Targets) for other targets than the inputs, [`Range`](crate::SaeError::Range) for settings
    /// of the step. The dictionary stays as it was.
    pub fn step(&mut self, batch: Batch<'_>, step: &Step) -> Result<Report> {
        batch.reconstructs()?;
        let TopKConfig { n_latents, k, aux } = &self.config;
        let k = step.k(*k, *n_latents);
        let reconstruction =
            Reconstruction { prefixes: &[(*n_latents, 1.0)], aux: aux.as_ref(), centers: true };
        let gradients =
            reconstruction.gradients(&self.parameters, batch, step, |inputs, parameters| {
                let bias = &parameters.encoder_bias.numbers;
                Ok(top_k_codes(inputs, parameters.encoder.rows(), bias, k)?)
            })?;
        Ok(gradients.descend(&mut self.parameters, &mut [], step, Length::One)?.0)
    }

    pub(crate) fn numbers(&mut self) -> Vec<(String, Part<'_>)> {
        self.parameters.numbers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::squared_from_mean;
    use crate::dense::{Dense, disturb, gradients, n_found, plain, random, sparse, squares, truth};
    use crate::error::SaeError;
    use seed::Seed;

    fn sae(config: &TopKConfig, sample: &Matrix) -> TopK {
        TopK::new(config, sample, &mut Seed::new(7).stream("sae", "init")).unwrap()
    }

    /// The k largest of some that are positive; 0 for the others.
    pub(crate) fn largest(pre: &[f64], k: usize, among: impl Fn(usize) -> bool) -> Vec<f64> {
        let mut order: Vec<usize> = (0..pre.len()).filter(|latent| among(*latent)).collect();
        order.sort_by(|a, b| pre[*b].total_cmp(&pre[*a]));
        let mut values = vec![0.0; pre.len()];
        for latent in order.into_iter().take(k) {
            values[latent] = pre[latent].max(0.0);
        }
        values
    }

    #[test]
    fn gradients_are_slopes_of_the_dense_loss() {
        let d = 6;
        let aux = Aux { k: 2, coefficient: 0.7 };
        let config = TopKConfig { n_latents: 20, k: 3, aux: Some(aux) };
        let batch = random(24, d, "batch");
        let mut sae = sae(&config, &batch);
        disturb(&mut sae.parameters, true);
        sae.parameters.idle = (0..20).map(|latent| if latent % 4 == 0 { 100 } else { 0 }).collect();
        assert_eq!(sae.parameters.dead(100), [0, 4, 8, 12, 16]);
        let dense = Dense::of(&sae.parameters, &[]);
        let residuals = |dense: &Dense| -> Vec<Vec<f64>> {
            let of_row =
                |row: &[f32]| dense.residual(row, &largest(&dense.pre(row, true), 3, |_| true));
            batch.rows().map(of_row).collect()
        };
        let fixed = residuals(&dense);
        let mean: Vec<f64> =
            (0..d).map(|at| fixed.iter().map(|row| row[at]).sum::<f64>() / 24.0).collect();
        let gaps = fixed.iter().flat_map(|row| row.iter().zip(&mean).map(|(e, mean)| e - mean));
        let left_over = squares(&gaps.collect::<Vec<f64>>());
        let weight = 0.7 * squared_from_mean(&batch) / 24.0 / left_over;
        let loss = |dense: &Dense| {
            let error: f64 = residuals(dense).iter().map(|e| squares(e)).sum();
            let left = batch.rows().zip(&fixed).map(|(row, e)| {
                let revived = largest(&dense.pre(row, true), 2, |latent| latent % 4 == 0);
                let each = e.iter().zip(dense.sum(&revived)).map(|(e, sum)| e - sum);
                squares(&each.collect::<Vec<f64>>())
            });
            error / 24.0 + weight * left.sum::<f64>()
        };
        let report = sae.step(Batch::of(&batch), &Step { dead_after: 100, ..plain() }).unwrap();
        assert!((report.loss / loss(&dense) - 1.0).abs() < 1e-5);
        assert_eq!((report.n_dead, report.l0 <= 3.0), (5, true));
        let norm = dense.agrees(&gradients(&sae.parameters), true, loss);
        assert!((report.gradient_norm / norm - 1.0).abs() < 1e-4);
    }

    #[test]
    fn directions_that_rows_are_sums_of_are_found() {
        let truth = truth();
        let config = TopKConfig { n_latents: 32, k: 2, aux: Some(Aux::of_width(24)) };
        let mut sae = sae(&config, &sparse(500, &truth, 0));
        for t in 1..=600 {
            let step = Step { dead_after: 7680, ..Step::new(t, 3e-3) };
            sae.step(Batch::of(&sparse(256, &truth, u64::from(t))), &step).unwrap();
        }
        let found = sae.dictionary().unwrap();
        let n_found = n_found(&truth, &found);
        assert!(n_found >= 15, "{n_found} of 16");
        let test = sparse(200, &truth, 10_000);
        let decoded = found.reconstruct(&test).unwrap();
        let pairs = decoded.values().iter().zip(test.values());
        let left: f64 = pairs.map(|(a, b)| f64::from(a - b)).map(|gap| gap * gap).sum();
        assert!(left < 0.1 * squared_from_mean(&test), "{left}");
    }

    /// Sixteen of 24 latents are needed, and all but eight are outdone by these at first.
    #[test]
    fn dead_latents_are_revived() {
        let truth = truth();
        let trained = |coefficient: f64| {
            let config = TopKConfig { n_latents: 24, k: 2, aux: Some(Aux { k: 12, coefficient }) };
            let mut sae = sae(&config, &sparse(500, &truth, 0));
            let outdone = &mut sae.parameters.encoder.rows_mut().values_mut()[8 * 24..];
            for w in outdone {
                *w *= 0.05;
            }
            let mut last = None;
            for t in 1..=600 {
                let step = Step { dead_after: 2000, ..Step::new(t, 3e-3) };
                let batch = sparse(256, &truth, u64::from(t));
                last = Some(sae.step(Batch::of(&batch), &step).unwrap());
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
    fn k_begins_larger_where_it_anneals() {
        let batch = random(50, 9, "batch");
        let mut sae = sae(&TopKConfig { n_latents: 90, k: 2, aux: None }, &batch);
        let l0 = |sae: &mut TopK, k_times| {
            let step = Step { k_times, ..Step::new(1, 0.0) };
            sae.step(Batch::of(&batch), &step).unwrap().l0
        };
        assert_eq!([l0(&mut sae, 4.0), l0(&mut sae, 1.0)], [8.0, 2.0]);
    }

    #[test]
    fn threads_change_no_bit() {
        let batch = random(700, 17, "batch");
        let config = TopKConfig { n_latents: 150, k: 4, aux: Some(Aux { k: 5, coefficient: 0.1 }) };
        let with = |n_threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| {
                let mut sae = sae(&config, &batch);
                sae.parameters.encoder_bias.numbers[..40].fill(-9.0);
                for t in 1..6 {
                    let step = Step { dead_after: 1000, ..Step::new(t, 1e-3) };
                    sae.step(Batch::of(&batch), &step).unwrap();
                }
                sae
            })
        };
        let one = with(1);
        assert!(!one.parameters.dead(1000).is_empty());
        assert!(one == with(2) && one == with(4));
    }

    #[test]
    fn what_cannot_be_learned_is_refused_and_changes_nothing() {
        let batch = random(9, 4, "batch");
        let config = TopKConfig { n_latents: 8, k: 2, aux: None };
        let mut sae = sae(&config, &batch);
        let before = sae.clone();
        let mut step = |batch: &Matrix, step: &Step| sae.step(Batch::of(batch), step);
        let first = Step::new(1, 0.1);
        let mut broken = batch.clone();
        broken.row_mut(3)[2] = f32::INFINITY;
        let error = step(&broken, &first).unwrap_err().to_string();
        assert!(error.contains("number 2 of row 3 is inf"), "{error}");
        let mut huge = batch.clone();
        huge.row_mut(0)[0] = 1e30;
        assert!(matches!(step(&huge, &first), Err(SaeError::Diverged { step: 1 })));
        assert!(step(&random(9, 5, "wide"), &first).is_err());
        assert!(step(&Matrix::zeros(0, 4), &first).is_err());
        assert!(step(&batch, &Step::new(0, 0.1)).is_err());
        assert!(step(&batch, &Step::new(1, f32::NAN)).is_err());
        let other = batch.clone();
        let targets = Batch { inputs: &batch, targets: &other };
        assert!(matches!(sae.step(targets, &first), Err(SaeError::Targets)));
        assert!(sae == before);
        let new = |config: &TopKConfig, sample: &Matrix| {
            TopK::new(config, sample, &mut Seed::new(0).stream("sae", "init")).map(|_| ())
        };
        assert!(new(&TopKConfig { k: 9, ..config.clone() }, &batch).is_err());
        assert!(new(&TopKConfig { k: 0, ..config.clone() }, &batch).is_err());
        assert!(new(&config, &Matrix::zeros(0, 4)).is_err());
        assert!(new(&config, &broken).unwrap_err().to_string().contains("the sample"));
        let aux = Some(Aux { k: 1, coefficient: -1.0 });
        assert!(new(&TopKConfig { aux, ..config }, &batch).is_err());
    }
}
