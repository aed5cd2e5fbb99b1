//! `JumpReLU`: a latent is active above a threshold of its own, which is learned.
//!
//! z = π where π > θ. Neither z nor the number of active latents has a slope by θ; it is estimated from the rows whose π
//! lies within half a bandwidth ε of θ, as if the jump were a ramp of that width (a rectangle kernel).
//!
//! # Source
//! Rajamanoharan et al. 2024 (arXiv 2407.14435) for [`Sparsity::L0`]; [`Sparsity::TargetL0`] is `dictionary_learning`'s
//! `JumpReluTrainer`; [`Sparsity::Tanh`] is what is told of Anthropic's update of January 2025, whose own text was not at
//! hand: that its estimate reaches π as θ/ε, with the sign against that by θ, is our reading. θ is exp(t), with t learned.

use kernels::dictionary::{Codes, Length, codes_above};
use kernels::transformer::sum_of_all_rows;
use kernels::{KernelError, Matrix, product_transposed};
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::batch::{Batch, scaled, sums_by_latent};
use crate::checkpoint::Part;
use crate::dictionary::{Activation, Dictionary, active, norms};
use crate::error::Result;
use crate::parameters::{Bias, Parameters, Pull};
use crate::penalized::{not_negative, positive};
use crate::step::{Report, Step};

/// What active latents cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Sparsity {
    /// λ times their number.
    L0 {
        /// λ.
        coefficient: f64,
    },
    /// λ·(L0/target − 1)².
    TargetL0 {
        /// λ.
        coefficient: f64,
        /// Active latents of a row, on average.
        target: f64,
    },
    /// λ Σ tanh(c·zᵢ‖Dᵢ‖) + λ′ Σ max(0, θᵢ − πᵢ)‖Dᵢ‖; the second sum takes latents that are never active back.
    Tanh {
        /// λ.
        coefficient: f64,
        /// c.
        slope: f64,
        /// λ′.
        revive: f64,
    },
}

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JumpReluConfig {
    /// Latents.
    pub n_latents: usize,
    /// What active latents cost.
    pub sparsity: Sparsity,
    /// ε.
    pub bandwidth: f32,
    /// θ at the beginning.
    pub initial_threshold: f32,
}

impl JumpReluConfig {
    /// λ = 1, ε = θ = 0.001 where E‖x‖² = 1, as in `dictionary_learning`: λ is d times that and the others √d times where
    /// activations are scaled to E‖x‖² = d ([`Scaling::of`](crate::Scaling::of)), which is meant here.
    ///
    /// # Examples
    ///
    /// ```
    /// let config = sae::JumpReluConfig::target_l0(512, 100, 20.0);
    /// assert!((config.bandwidth - 0.01).abs() < 1e-9);
    /// ```
    pub fn target_l0(n_latents: usize, width: usize, target: f64) -> Self {
        let unit = 0.001 * (width as f32).sqrt();
        let sparsity = Sparsity::TargetL0 { coefficient: width as f64, target };
        Self { n_latents, sparsity, bandwidth: unit, initial_threshold: unit }
    }

    /// c = 4, λ′ = 3e-6, ε = 2, θ = 0.1: the recipe of January 2025, for which λ of 10 to 20 is told.
    pub const fn tanh(n_latents: usize, coefficient: f64) -> Self {
        let sparsity = Sparsity::Tanh { coefficient, slope: 4.0, revive: 3e-6 };
        Self { n_latents, sparsity, bandwidth: 2.0, initial_threshold: 0.1 }
    }

    fn check(&self) -> Result<()> {
        active(1, self.n_latents)?;
        positive(&[
            ("the bandwidth", f64::from(self.bandwidth)),
            ("the initial threshold", f64::from(self.initial_threshold)),
        ])?;
        match self.sparsity {
            Sparsity::L0 { coefficient } => not_negative("the penalty", coefficient),
            Sparsity::TargetL0 { coefficient, target } => {
                not_negative("the penalty", coefficient)?;
                positive(&[("the target of L0", target)])
            }
            Sparsity::Tanh { coefficient, slope, revive } => {
                not_negative("the penalty", coefficient)?;
                not_negative("what takes latents back", revive)?;
                positive(&[("the slope of tanh", slope)])
            }
        }
    }

    fn length(&self) -> Length {
        if matches!(self.sparsity, Sparsity::Tanh { .. }) { Length::Free } else { Length::One }
    }
}

/// A `JumpReLU` dictionary in training.
#[derive(Clone, Debug, PartialEq)]
pub struct JumpRelu {
    config: JumpReluConfig,
    pub(crate) parameters: Parameters,
    /// t.
    log_thresholds: Bias,
}

/// Rows of a sample that tell where biases begin.
const SAMPLE_ROWS: usize = 1024;
/// How many latents the recipe with tanh has active at the beginning, in all.
const INITIALLY_ACTIVE: f64 = 1e4;

impl JumpRelu {
    /// A decoder of random directions of length 1, the encoder the same, biases 0. With [`Sparsity::Tanh`] the decoder's
    /// numbers are uniform in ±1/√d, the encoder is d/n times the decoder, and biases are such that each latent is active in
    /// 10,000/n of the rows of a sample (in half of them, if that is less).
    ///
    /// # Errors
    /// [`SaeError::Range`](crate::SaeError::Range) for settings out of their intervals, [`SaeError::Empty`](crate::SaeError::Empty) without a sample.
    pub fn new(config: &JumpReluConfig, sample: &Matrix, rng: &mut Rng) -> Result<Self> {
        config.check()?;
        Batch::of(sample).check()?;
        let (n, d) = (config.n_latents, sample.n_columns());
        let parameters = if config.length() == Length::One {
            Parameters::random(n, vec![0.0; d], 1.0, rng)?
        } else {
            let bound = 1.0 / (d as f64).sqrt();
            #[expect(clippy::cast_possible_truncation, reason = "parameters are single precision")]
            let numbers =
                (0..n * d).map(|_| (bound * (2.0 * rng.uniform() - 1.0)) as f32).collect();
            let decoder = Matrix::from_rows(n, d, numbers)?;
            let encoder = scaled(&decoder, d as f64 / n as f64);
            let mut parameters = Parameters::new(encoder, decoder, vec![0.0; d]);
            let share = (INITIALLY_ACTIVE / n as f64).min(0.5);
            parameters.encoder_bias.numbers =
                biases(parameters.encoder.rows(), sample, share, config.initial_threshold)?;
            parameters
        };
        let log_thresholds = Bias::new(vec![libm::logf(config.initial_threshold); n]);
        Ok(Self { config: config.clone(), parameters, log_thresholds })
    }

    /// The dictionary as it is now.
    ///
    /// # Errors
    /// As [`Dictionary::new`].
    pub fn dictionary(&self) -> Result<Dictionary> {
        let activation = Activation::JumpRelu { thresholds: self.thresholds() };
        Dictionary::new(self.parameters.parts(activation, false))
    }

    /// One step on a batch, against mean ‖x − x̂‖² and what active latents cost, with the estimate of the slope by θ
    ///
    /// ∂z/∂θ = −(θ/ε)·[|π − θ| < ε/2], ∂L0/∂θ = −(1/ε)·[|π − θ| < ε/2];
    ///
    /// with [`Sparsity::Tanh`] z has the opposite of its slope by θ as one by π too, and rows of the decoder are free;
    /// else they keep length 1.
    ///
    /// # Memory
    /// What lies in the band counts as what is active: with a wide band, as that of the recipe with tanh at its beginning,
    /// this is most of the batch times the latents.
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
        let n = n_rows as f64;
        let (thresholds, bandwidth) = (self.thresholds(), self.config.bandwidth);
        let parameters = &self.parameters;
        let lowest: Vec<f32> = thresholds.iter().map(|bound| bound - 0.5 * bandwidth).collect();
        let mut near = None;
        let forward = parameters.forward(batch, false, |inputs, parameters| {
            let bias = &parameters.encoder_bias.numbers;
            let found = codes_above(inputs, parameters.encoder.rows(), bias, &lowest)?;
            let value =
                |latent: usize, pre: f32| Some(if pre > thresholds[latent] { pre } else { 0.0 });
            Ok(near.insert(found).clone().map(value))
        })?;
        let codes = &forward.codes;
        let near: &Codes = near.as_ref().unwrap_or(codes);
        let norms = norms(parameters.decoder.rows());
        let by_decoded = scaled(&forward.residual, -2.0 / n);
        let mut by_value = codes.products(&by_decoded, parameters.decoder.rows())?;
        let l0 = codes.values().iter().filter(|value| **value > 0.0).count() as f64 / n;
        let mut cost = self.cost(codes, &norms, l0, step.sparsity, &mut by_value);

        // By π and by θ of each that is active or in the band.
        let is_tanh = matches!(self.config.sparsity, Sparsity::Tanh { .. });
        #[expect(clippy::cast_possible_truncation, reason = "gradients are single precision")]
        let by_count = (cost.by_l0 / (n * f64::from(bandwidth))) as f32;
        let mut by_threshold = vec![0.0; codes.values().len()];
        let mut by_pre = vec![0.0; codes.values().len()];
        for at in 0..by_pre.len() {
            let (threshold, pre) = (thresholds[codes.latents()[at] as usize], near.values()[at]);
            let in_band = (pre - threshold).abs() < 0.5 * bandwidth;
            let slope = if in_band { threshold / bandwidth * by_value[at] } else { 0.0 };
            by_pre[at] = if pre > threshold { by_value[at] } else { 0.0 };
            if is_tanh {
                by_pre[at] += slope;
            }
            by_threshold[at] = -slope - if in_band { by_count } else { 0.0 };
        }
        let mut by_threshold = sums_by_latent(codes, &by_threshold);
        let mut by_bias = sums_by_latent(codes, &by_pre);
        let (mut shared, inputs_sum) =
            (Vec::new(), sum_of_all_rows(forward.inputs.values(), forward.inputs.n_columns()));
        if let Sparsity::Tanh { revive, .. } = self.config.sparsity
            && revive > 0.0
        {
            // Σ max(0, θ − π) over all rows is Σ (θ − π) over all, less that over the rows where π is above.
            let weights: Vec<f64> =
                norms.iter().map(|norm| revive * f64::from(*norm) / n).collect();
            let above: Vec<f32> = near
                .latents()
                .iter()
                .zip(near.values())
                .map(|(latent, pre)| if *pre >= thresholds[*latent as usize] { 1.0 } else { 0.0 })
                .collect();
            let gaps: Vec<f32> = near
                .latents()
                .iter()
                .zip(near.values())
                .map(|(latent, pre)| (pre - thresholds[*latent as usize]).max(0.0))
                .collect();
            let (n_above, over) = (sums_by_latent(codes, &above), sums_by_latent(codes, &gaps));
            let sum = Matrix::from_rows(1, inputs_sum.len(), inputs_sum.clone())?;
            let products = product_transposed(&sum, parameters.encoder.rows())?.into_values();
            #[expect(clippy::cast_possible_truncation, reason = "gradients are single precision")]
            for latent in 0..weights.len() {
                let bias = f64::from(parameters.encoder_bias.numbers[latent]);
                let all = n * (f64::from(thresholds[latent]) - bias) - f64::from(products[latent]);
                let below = (all + f64::from(over[latent])).max(0.0);
                cost.all += weights[latent] * below;
                if norms[latent] > 0.0 {
                    cost.along_decoder[latent] += (revive * below / n) as f32 / norms[latent];
                }
                let by_row = weights[latent] as f32;
                let n_below = n_rows as f32 - n_above[latent];
                by_threshold[latent] += by_row * n_below;
                by_bias[latent] -= by_row * n_below;
                shared.push(-by_row);
            }
            for ((by, latent), above) in by_pre.iter_mut().zip(codes.latents()).zip(&above) {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "gradients are single precision"
                )]
                let by_row = weights[*latent as usize] as f32;
                *by += above * by_row;
            }
        }
        by_threshold.iter_mut().zip(&thresholds).for_each(|(by, threshold)| *by *= threshold);
        let report = parameters.report(batch, step, forward.squared_error, cost.all, codes);
        let pull = Pull {
            codes,
            by_encoder: &by_pre,
            by_encoder_bias: by_bias,
            inputs: &forward.inputs,
            by_decoded: &by_decoded,
            n_with_bias: n_rows,
            centers: false,
            length: self.config.length(),
            along_decoder: &cost.along_decoder,
            shared_encoder: (!shared.is_empty()).then_some((&shared[..], &inputs_sum[..])),
        };
        let others = &mut [(&mut self.log_thresholds, by_threshold)];
        let gradient_norm = self.parameters.descend(&pull, others, step)?;
        self.parameters.count(codes, n_rows);
        Ok(Report { gradient_norm, ..report })
    }

    /// What active latents cost; adds what that changes by with values.
    fn cost(
        &self,
        codes: &Codes,
        norms: &[f32],
        l0: f64,
        sparsity: f64,
        by_value: &mut [f32],
    ) -> Cost {
        match self.config.sparsity {
            Sparsity::L0 { coefficient } => {
                let coefficient = coefficient * sparsity;
                Cost { all: coefficient * l0, by_l0: coefficient, along_decoder: Vec::new() }
            }
            Sparsity::TargetL0 { coefficient, target } => {
                let (coefficient, off) = (coefficient * sparsity, l0 / target - 1.0);
                let by_l0 = 2.0 * coefficient * off / target;
                Cost { all: coefficient * off * off, by_l0, along_decoder: Vec::new() }
            }
            Sparsity::Tanh { coefficient, slope, .. } => {
                let weight = coefficient * sparsity / codes.n_rows() as f64;
                let (mut all, mut along_decoder) = (0.0, vec![0.0; norms.len()]);
                let each = codes.latents().iter().zip(codes.values()).zip(by_value);
                for ((latent, value), by_value) in each {
                    let latent = *latent as usize;
                    let (value, norm) = (f64::from(*value), f64::from(norms[latent]));
                    let tanh = libm::tanh(slope * value * norm);
                    let by_folded = weight * slope * (1.0 - tanh * tanh);
                    all += weight * tanh;
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "gradients are single precision"
                    )]
                    {
                        *by_value += (by_folded * norm) as f32;
                        if norm > 0.0 {
                            along_decoder[latent] += (by_folded * value / norm) as f32;
                        }
                    }
                }
                Cost { all, by_l0: 0.0, along_decoder }
            }
        }
    }

    fn thresholds(&self) -> Vec<f32> {
        self.log_thresholds.numbers.iter().map(|log| libm::expf(*log)).collect()
    }

    pub(crate) fn numbers(&mut self) -> Vec<(String, Part<'_>)> {
        let mut all = self.parameters.numbers();
        all.extend(self.log_thresholds.parts("log_thresholds"));
        all
    }
}

struct Cost {
    /// Mean over rows.
    all: f64,
    /// By the mean number of active latents.
    by_l0: f64,
    along_decoder: Vec<f32>,
}

/// Biases with which each latent is above a threshold in a share of a sample.
fn biases(encoder: &Matrix, sample: &Matrix, share: f64, threshold: f32) -> Result<Vec<f32>> {
    let rows: Vec<usize> = (0..sample.n_rows().min(SAMPLE_ROWS)).collect();
    KernelError::check("columns of the sample", encoder.n_columns(), sample.n_columns())?;
    let products = product_transposed(encoder, &sample.select(&rows))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of rows of the sample"
    )]
    let n_above = ((share * rows.len() as f64).round() as usize).clamp(1, rows.len()) - 1;
    let of_latent = |products: &[f32]| {
        let mut products = products.to_vec();
        let (_, least, _) = products.select_nth_unstable_by(n_above, |a, b| b.total_cmp(a));
        threshold - *least
    };
    Ok(products.rows().map(of_latent).collect())
}

#[cfg(test)]
mod tests;
