//! What architectures share that are sparse since active latents cost something: one step against error and penalty.

use kernels::Matrix;
use kernels::dictionary::{Codes, Length, codes_above};

use crate::batch::{Batch, scaled};
use crate::dictionary::norms;
use crate::error::{Result, SaeError};
use crate::parameters::{Parameters, Pull};
use crate::step::{Report, Step};

/// What active latents cost, mean over rows.
pub(crate) struct Penalty {
    /// All of it.
    pub(crate) cost: f64,
    /// By the value of each active latent.
    pub(crate) by_value: Vec<f32>,
    /// By the decoder: multiples of its rows; empty for none.
    pub(crate) along_decoder: Vec<f32>,
}

/// A step of z = max(0, π) against mean ‖x − x̂‖² and a penalty of what is active.
pub(crate) fn step(
    parameters: &mut Parameters,
    batch: Batch<'_>,
    step: &Step,
    (centers, length): (bool, Length),
    penalty: impl FnOnce(&Codes, &[f32]) -> Penalty,
) -> Result<Report> {
    step.check()?;
    batch.check()?;
    batch.reconstructs()?;
    let n_rows = batch.inputs.n_rows();
    let forward = parameters.forward(batch, centers, relu)?;
    let decoder = parameters.decoder.rows();
    let by_decoded = scaled(&forward.residual, -2.0 / n_rows as f64);
    let mut by_value = forward.codes.products(&by_decoded, decoder)?;
    let penalty = penalty(&forward.codes, &norms(decoder));
    by_value.iter_mut().zip(&penalty.by_value).for_each(|(by, cost)| *by += cost);
    let report =
        parameters.report(batch, step, forward.squared_error, penalty.cost, &forward.codes);
    let pull = Pull {
        codes: &forward.codes,
        by_encoder: &by_value,
        by_encoder_bias: Vec::new(),
        inputs: &forward.inputs,
        by_decoded: &by_decoded,
        n_with_bias: n_rows,
        centers,
        length,
        along_decoder: &penalty.along_decoder,
        shared_encoder: None,
    };
    let gradient_norm = parameters.descend(&pull, &mut [], step)?;
    parameters.count(&forward.codes, n_rows);
    Ok(Report { gradient_norm, ..report })
}

/// All positive pre-activations.
pub(crate) fn relu(inputs: &Matrix, parameters: &Parameters) -> Result<Codes> {
    let bias = &parameters.encoder_bias.numbers;
    Ok(codes_above(inputs, parameters.encoder.rows(), bias, &vec![0.0; bias.len()])?)
}

/// Refuses settings that must be positive and are not.
pub(crate) fn positive(settings: &[(&'static str, f64)]) -> Result<()> {
    match settings.iter().find(|(_, got)| !(got.is_finite() && *got > 0.0)) {
        Some((what, got)) => Err(SaeError::Range { what, got: *got, interval: "(0, ∞)" }),
        None => Ok(()),
    }
}

/// Refuses penalties that are negative.
pub(crate) fn not_negative(what: &'static str, got: f64) -> Result<()> {
    if got.is_finite() && got >= 0.0 {
        return Ok(());
    }
    Err(SaeError::Range { what, got, interval: "[0, ∞)" })
}
