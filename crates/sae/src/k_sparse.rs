//! What architectures with a fixed number of active latents share: the loss, the one for dead latents, and the step.

use kernels::Matrix;
use kernels::dictionary::{Codes, Length, top_k_codes};
use rayon::prelude::*;
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::dictionary::{Activation, Dictionary, LEAVE_OUT, active, centered, finite};
use crate::error::{Result, SaeError};
use crate::median::geometric_median;
use crate::parameters::{Parameters, Pull};
use crate::step::{Report, Step};

/// The auxiliary loss: dead latents reconstruct the residual. [`Aux::of_run`] has its usual settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aux {
    /// `k_aux`, active dead latents of a row.
    pub k: usize,
    /// α, what it counts.
    pub coefficient: f64,
    /// A latent is dead if it was active in none of the last so many rows. Far fewer than the rows of the run, or none is
    /// ever dead.
    pub dead_after: u64,
}

impl Aux {
    /// α = 1/32 and `k_aux` half the width of activations, as in `dictionary_learning`; dead after a twentieth of the rows of
    /// the run, where libraries take a fixed number of tokens, which a short run never reaches.
    ///
    /// # Examples
    ///
    /// ```
    /// let aux = sae::Aux::of_run(256, 1_000_000);
    /// assert_eq!(aux, sae::Aux { k: 128, coefficient: 1.0 / 32.0, dead_after: 50_000 });
    /// ```
    pub fn of_run(width: usize, n_rows: u64) -> Self {
        Self { k: (width / 2).max(1), coefficient: 1.0 / 32.0, dead_after: (n_rows / 20).max(1) }
    }

    fn check(&self) -> Result<()> {
        active(self.k, usize::MAX)?;
        let got = self.coefficient;
        if got.is_finite() && got >= 0.0 {
            return Ok(());
        }
        let what = "the coefficient of the auxiliary loss";
        Err(SaeError::Range { what, got, interval: "[0, ∞)" })
    }
}

/// Parameters in training, and how long each latent was idle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KSparse {
    pub(crate) parameters: Parameters,
    pub(crate) aux: Option<Aux>,
    /// Rows since each latent was active.
    pub(crate) idle: Vec<u64>,
}

impl KSparse {
    /// A decoder of random directions of length 1, the encoder the same, the encoder's bias 0, the decoder's the geometric
    /// median of a sample.
    pub(crate) fn new(
        n_latents: usize,
        k: usize,
        aux: Option<Aux>,
        sample: &Matrix,
        rng: &mut Rng,
    ) -> Result<Self> {
        active(k, n_latents)?;
        if let Some(aux) = &aux {
            aux.check()?;
        }
        let center = geometric_median(sample)?;
        let parameters = Parameters::random(n_latents, center, 1.0, rng)?;
        Ok(Self { parameters, aux, idle: vec![0; n_latents] })
    }

    pub(crate) fn dictionary(&self, activation: Activation) -> Result<Dictionary> {
        Dictionary::new(self.parameters.parts(activation, true))
    }

    /// Latents that count as dead, in ascending order.
    pub(crate) fn dead(&self) -> Vec<u32> {
        let Some(aux) = &self.aux else { return Vec::new() };
        let all = (0..).zip(&self.idle);
        all.filter(|(_, idle)| **idle >= aux.dead_after).map(|(latent, _)| latent).collect()
    }

    /// A step against the loss that [`TopK::step`](crate::TopK::step) states, where `select` tells what of a batch, centered,
    /// is active; also what it told.
    pub(crate) fn step(
        &mut self,
        batch: &Matrix,
        step: &Step,
        select: impl FnOnce(&Matrix, &Parameters) -> Result<Codes>,
    ) -> Result<(Report, Codes)> {
        step.check()?;
        if batch.n_rows() == 0 {
            return Err(SaeError::Empty { what: "the batch" });
        }
        finite("the activations", batch.values(), batch.n_columns(), LEAVE_OUT)?;
        let Parameters { decoder, decoder_bias, .. } = &self.parameters;
        let inputs = centered(batch, &decoder_bias.numbers)?;
        let codes = select(&inputs, &self.parameters)?;
        let mut residual = codes.decode(decoder.rows(), &decoder_bias.numbers)?;
        lacking(&mut residual, batch);
        let n = batch.n_rows() as f64;
        let squared_error = squared(&residual) / n;
        let by_decoded = scaled(&residual, -2.0 / n);
        let by_value = codes.products(&by_decoded, decoder.rows())?;
        let dead = self.dead();
        let aux = self.aux(&dead, &inputs, &residual)?;
        let pull = |codes, by_value, inputs, by_decoded| Pull {
            codes,
            by_value,
            inputs,
            by_decoded,
            n_with_bias: batch.n_rows(),
            centers: true,
        };
        let loss = squared_error + aux.as_ref().map_or(0.0, |aux| aux.loss);
        let gradient_norm = if let Some(aux) = aux {
            // Each row a second time, with the dead latents.
            let codes = codes.clone().below(&aux.codes)?;
            let by_value = [by_value, aux.by_value].concat();
            let by_decoded = by_decoded.below(&aux.by_decoded)?;
            let inputs = inputs.clone().below(&inputs)?;
            let pull = pull(&codes, &by_value, &inputs, &by_decoded);
            self.parameters.descend(&pull, step, Length::One)?
        } else {
            let pull = pull(&codes, &by_value, &inputs, &by_decoded);
            self.parameters.descend(&pull, step, Length::One)?
        };
        self.idle.iter_mut().for_each(|idle| *idle += batch.n_rows() as u64);
        for latent in codes.latents() {
            self.idle[*latent as usize] = 0;
        }
        let l0 = codes.values().len() as f64 / n;
        let n_dead = dead.len();
        Ok((Report { loss, squared_error, l0, n_dead, gradient_norm }, codes))
    }

    /// What dead latents make of the residual; none if none is dead, or nothing is left over.
    fn aux(&self, dead: &[u32], inputs: &Matrix, residual: &Matrix) -> Result<Option<AuxPull>> {
        let Some(aux) = &self.aux else { return Ok(None) };
        let n = residual.n_rows() as f64;
        let variance = squared_from_mean(residual) / n;
        if dead.is_empty() || aux.coefficient == 0.0 || variance == 0.0 {
            return Ok(None);
        }
        let rows: Vec<usize> = dead.iter().map(|latent| *latent as usize).collect();
        let Parameters { encoder, decoder, encoder_bias, .. } = &self.parameters;
        let (encoder, of_dead) = (encoder.rows().select(&rows), decoder.rows().select(&rows));
        let bias: Vec<f32> = rows.iter().map(|latent| encoder_bias.numbers[*latent]).collect();
        let codes = top_k_codes(inputs, &encoder, &bias, aux.k.min(dead.len()))?;
        // e − ê.
        let mut left = codes.decode(&of_dead, &vec![0.0; of_dead.n_columns()])?;
        lacking(&mut left, residual);
        let weight = aux.coefficient / (variance * n);
        let loss = weight * squared(&left);
        let by_decoded = scaled(&left, -2.0 * weight);
        let by_value = codes.products(&by_decoded, &of_dead)?;
        let codes = codes.renamed(dead, encoder_bias.numbers.len())?;
        Ok(Some(AuxPull { loss, codes, by_value, by_decoded }))
    }
}

/// The auxiliary loss, and what it changes by.
struct AuxPull {
    loss: f64,
    codes: Codes,
    by_value: Vec<f32>,
    by_decoded: Matrix,
}

/// Numbers that one task takes; sums add up tasks in order.
const TASK: usize = 1 << 14;

/// Σ of squares.
fn squared(rows: &Matrix) -> f64 {
    let of_task = |numbers: &[f32]| -> f64 {
        numbers.iter().map(|number| f64::from(*number) * f64::from(*number)).sum()
    };
    rows.values().par_chunks(TASK).map(of_task).collect::<Vec<f64>>().into_iter().sum()
}

/// In the place of each number, what it lacks to that of other rows.
fn lacking(rows: &mut Matrix, of: &Matrix) {
    let tasks = rows.values_mut().par_chunks_mut(TASK).zip(of.values().par_chunks(TASK));
    tasks.for_each(|(rows, of)| {
        rows.iter_mut().zip(of).for_each(|(number, of)| *number = of - *number);
    });
}

/// Σ of squared distances from the mean row.
pub(crate) fn squared_from_mean(rows: &Matrix) -> f64 {
    let mut sum = vec![0.0_f64; rows.n_columns()];
    for row in rows.rows() {
        sum.iter_mut().zip(row).for_each(|(sum, number)| *sum += f64::from(*number));
    }
    let mean: Vec<f64> = sum.into_iter().map(|sum| sum / rows.n_rows() as f64).collect();
    let of_row = |row: &[f32]| -> f64 {
        let gaps = row.iter().zip(&mean).map(|(number, mean)| f64::from(*number) - mean);
        gaps.map(|gap| gap * gap).sum()
    };
    rows.rows().map(of_row).sum()
}

#[expect(clippy::cast_possible_truncation, reason = "gradients are single precision")]
fn scaled(rows: &Matrix, by: f64) -> Matrix {
    let mut rows = rows.clone();
    rows.values_mut().par_chunks_mut(TASK).for_each(|numbers| {
        for number in numbers {
            *number = (f64::from(*number) * by) as f32;
        }
    });
    rows
}
