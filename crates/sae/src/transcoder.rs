//! Transcoder: what goes into a part of a model is encoded, and what comes out of it is predicted, with the k largest
//! latents and, if wanted, a linear map past them.
//!
//! # Source
//! Dunefsky et al. 2024 (arXiv 2406.11944); Paulo et al. 2025 (arXiv 2501.18823) for the map past the latents, with the k
//! largest latents as in `sparsify`, whose decoder begins at 0.

use kernels::dictionary::{Length, top_k_codes};
use kernels::{KernelError, Matrix, product_transposed, transposed_product};
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::batch::{Batch, add_scaled, squared_from_mean};
use crate::checkpoint::Part;
use crate::dictionary::{Activation, Dictionary, Parts, active};
use crate::error::Result;
use crate::k_sparse::{Aux, Reconstruction};
use crate::parameters::{Bias, Parameters, directions};
use crate::step::{Report, Step};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranscoderConfig {
    /// Latents.
    pub n_latents: usize,
    /// Active latents of a row.
    pub k: usize,
    /// What revives dead latents.
    pub aux: Option<Aux>,
    /// Whether there is a linear map past the latents.
    pub skip: bool,
}

/// A transcoder in training.
///
/// # Examples
///
/// What comes out is the larger of two numbers that go in:
///
/// ```
/// use kernels::Matrix;
/// use sae::{Batch, Step, Transcoder, TranscoderConfig};
/// use seed::Seed;
///
/// let inputs = Matrix::from_rows(4, 2, vec![1.0, 0.0, 0.0, 1.0, 2.0, 1.0, 0.0, 3.0])?;
/// let targets = Matrix::from_rows(4, 1, vec![1.0, 1.0, 2.0, 3.0])?;
/// let batch = Batch { inputs: &inputs, targets: &targets };
/// let config = TranscoderConfig { n_latents: 8, k: 1, aux: None, skip: false };
/// let mut sae = Transcoder::new(&config, batch, &mut Seed::new(3).stream("example", "init"))?;
/// let first = sae.step(batch, &Step::new(1, 0.01))?;
/// for t in 2..400 {
///     sae.step(batch, &Step::new(t, 0.01))?;
/// }
/// assert!(sae.step(batch, &Step::new(400, 0.01))?.loss < 0.1 * first.loss);
/// # Ok::<(), sae::SaeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Transcoder {
    config: TranscoderConfig,
    pub(crate) parameters: Parameters,
    /// `[d′, d]`, row after row; nothing without one.
    skip: Bias,
}

impl Transcoder {
    /// An encoder of random directions of length 1, the decoder and the map past the latents 0, the decoder's bias the mean of
    /// the targets of a sample.
    ///
    /// # Errors
    /// As [`TopK::new`](crate::TopK::new).
    pub fn new(config: &TranscoderConfig, sample: Batch<'_>, rng: &mut Rng) -> Result<Self> {
        let TranscoderConfig { n_latents, k, aux, skip } = config;
        active(*k, *n_latents)?;
        aux.as_ref().map_or(Ok(()), Aux::check)?;
        sample.check()?;
        let (width, out) = (sample.inputs.n_columns(), sample.targets.n_columns());
        let mut mean = vec![0.0_f64; out];
        for row in sample.targets.rows() {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x));
        }
        #[expect(clippy::cast_possible_truncation, reason = "parameters are single precision")]
        let mean = mean.iter().map(|sum| (sum / sample.targets.n_rows() as f64) as f32).collect();
        let encoder = directions(*n_latents, width, rng)?;
        Ok(Self {
            config: config.clone(),
            parameters: Parameters::new(encoder, Matrix::zeros(*n_latents, out), mean),
            skip: Bias::new(vec![0.0; if *skip { width * out } else { 0 }]),
        })
    }

    /// The transcoder as it is now.
    ///
    /// # Errors
    /// As [`Dictionary::new`].
    pub fn dictionary(&self) -> Result<Dictionary> {
        let parts = self.parameters.parts(Activation::TopK { k: self.config.k }, false);
        Dictionary::new(Parts { skip: self.skip()?, ..parts })
    }

    /// One step on a batch, against the loss of [`TopK::step`](crate::TopK::step) of predictions
    /// x̂ = c + Σ zᵢ·Dᵢ + S·x with z = max(0, top-k(W·x + b)). Rows of the decoder are free.
    ///
    /// # Determinism
    /// As there.
    ///
    /// # Errors
    /// As there, but for targets.
    pub fn step(&mut self, batch: Batch<'_>, step: &Step) -> Result<Report> {
        batch.check()?;
        let TranscoderConfig { n_latents, k, aux, .. } = &self.config;
        let k = step.k(*k, *n_latents);
        let skip = self.skip()?;
        let mut left = batch.targets.clone();
        if let Some(skip) = &skip {
            KernelError::check("columns of the targets", skip.n_rows(), left.n_columns())?;
            add_scaled(&mut left, &product_transposed(batch.inputs, skip)?, -1.0);
        }
        let reconstruction =
            Reconstruction { prefixes: &[(*n_latents, 1.0)], aux: aux.as_ref(), centers: false };
        let of_left = Batch { inputs: batch.inputs, targets: &left };
        let gradients =
            reconstruction.gradients(&self.parameters, of_left, step, |inputs, parameters| {
                let bias = &parameters.encoder_bias.numbers;
                Ok(top_k_codes(inputs, parameters.encoder.rows(), bias, k)?)
            })?;
        let mut others = Vec::new();
        if skip.is_some() {
            // Of the rows by which predictions change, without those of dead latents below them.
            let n = batch.inputs.n_rows();
            let by_decoded = gradients.by_decoded.select(&(0..n).collect::<Vec<_>>());
            let by_skip = transposed_product(&by_decoded, batch.inputs)?.into_values();
            others.push((&mut self.skip, by_skip));
        }
        let (report, _) =
            gradients.descend(&mut self.parameters, &mut others, step, Length::Free)?;
        let variance = squared_from_mean(batch.targets) / batch.targets.n_rows() as f64;
        Ok(Report { variance, ..report })
    }

    fn skip(&self) -> Result<Option<Matrix>> {
        if !self.config.skip {
            return Ok(None);
        }
        let [width, out] =
            [&self.parameters.encoder, &self.parameters.decoder].map(|it| it.rows().n_columns());
        Ok(Some(Matrix::from_rows(out, width, self.skip.numbers.clone())?))
    }

    pub(crate) fn numbers(&mut self) -> Vec<(String, Part<'_>)> {
        let mut all = self.parameters.numbers();
        all.extend(self.skip.parts("skip"));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dense::{Dense, disturb, gradients, plain, random, squares};
    use seed::Seed;

    #[test]
    fn gradients_are_slopes_of_the_dense_loss() {
        let (inputs, targets) = (random(24, 6, "inputs"), random(24, 4, "targets"));
        let batch = Batch { inputs: &inputs, targets: &targets };
        let config = TranscoderConfig { n_latents: 20, k: 3, aux: None, skip: true };
        let mut sae =
            Transcoder::new(&config, batch, &mut Seed::new(7).stream("sae", "init")).unwrap();
        disturb(&mut sae.parameters, false);
        sae.skip.numbers = random(4, 6, "skip").into_values();
        let dense = Dense::of(&sae.parameters, &[&sae.skip.numbers]);
        let loss = |dense: &Dense| {
            let of_row = |(x, y): (&[f32], &[f32])| {
                let pre = dense.pre(x, false);
                let mut order: Vec<usize> = (0..20).collect();
                order.sort_by(|a, b| pre[*b].total_cmp(&pre[*a]));
                let mut values = vec![0.0; 20];
                order[..3].iter().for_each(|latent| values[*latent] = pre[*latent].max(0.0));
                let past = dense.numbers[4]
                    .chunks(6)
                    .map(|row| row.iter().zip(x).map(|(w, x)| w * f64::from(*x)).sum::<f64>());
                let left =
                    dense.residual(y, &values).into_iter().zip(past).map(|(e, past)| e - past);
                squares(&left.collect::<Vec<f64>>())
            };
            inputs.rows().zip(targets.rows()).map(of_row).sum::<f64>() / 24.0
        };
        let report = sae.step(batch, &plain()).unwrap();
        assert!((report.loss / loss(&dense) - 1.0).abs() < 1e-5);
        let mut found = gradients(&sae.parameters).to_vec();
        found.push(&sae.skip.moments[0]);
        let norm = dense.agrees(&found, false, loss);
        assert!((report.gradient_norm / norm - 1.0).abs() < 1e-4);
    }

    /// What is linear needs no latent where there is a map past them.
    #[test]
    fn a_linear_part_is_left_to_the_map_past_the_latents() {
        let inputs = random(200, 5, "inputs");
        let map = random(3, 5, "map");
        let targets = product_transposed(&inputs, &map).unwrap();
        let batch = Batch { inputs: &inputs, targets: &targets };
        let fvu = |skip: bool| {
            let config = TranscoderConfig { n_latents: 6, k: 1, aux: None, skip };
            let mut rng = Seed::new(7).stream("sae", "init");
            let mut sae = Transcoder::new(&config, batch, &mut rng).unwrap();
            for t in 1..800 {
                let step = Step { max_gradient_norm: 99.0, ..Step::new(t, 0.01) };
                sae.step(batch, &step).unwrap();
            }
            let predicted = sae.dictionary().unwrap().reconstruct(&inputs).unwrap();
            let pairs = predicted.values().iter().zip(targets.values());
            let gap: f64 = pairs.map(|(a, b)| f64::from(a - b)).map(|gap| gap * gap).sum();
            gap / squared_from_mean(&targets)
        };
        let (with, without) = (fvu(true), fvu(false));
        assert!(with < 0.01 && without > 0.1, "{with} and {without}");
    }
}
