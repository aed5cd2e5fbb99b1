//! What architectures with a fixed number of active latents share: the loss, the one for dead latents, and the step.

use kernels::Matrix;
use kernels::dictionary::{Codes, Length, top_k_codes};
use serde::{Deserialize, Serialize};

use crate::batch::{Batch, add_scaled, lacking, scaled, squared, squared_from_mean};
use crate::dictionary::active;
use crate::error::{Result, SaeError};
use crate::parameters::{Bias, Parameters, Pull};
use crate::step::{Report, Step};

/// The auxiliary loss: dead latents reconstruct the residual. [`Aux::of_width`] has its usual settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aux {
    /// `k_aux`, active dead latents of a row.
    pub k: usize,
    /// α, what it counts beside the share of variance that is unexplained.
    pub coefficient: f64,
}

impl Aux {
    /// α = 1/32 and `k_aux` half the width of activations, as in `dictionary_learning`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(sae::Aux::of_width(256), sae::Aux { k: 128, coefficient: 1.0 / 32.0 });
    /// ```
    pub const fn of_width(width: usize) -> Self {
        Self { k: if width < 2 { 1 } else { width / 2 }, coefficient: 1.0 / 32.0 }
    }

    pub(crate) fn check(&self) -> Result<()> {
        active(self.k, usize::MAX)?;
        let got = self.coefficient;
        if got.is_finite() && got >= 0.0 {
            return Ok(());
        }
        let what = "the coefficient of the auxiliary loss";
        Err(SaeError::Range { what, got, interval: "[0, ∞)" })
    }
}

/// What is reconstructed, and how.
pub(crate) struct Reconstruction<'a> {
    /// Ends of nested dictionaries, ascending to the last latent, each with what its loss counts.
    pub(crate) prefixes: &'a [(usize, f64)],
    /// What revives dead latents.
    pub(crate) aux: Option<&'a Aux>,
    /// Whether activations are centered.
    pub(crate) centers: bool,
}

/// What a step goes against.
pub(crate) struct Gradients {
    /// As far as it is known before the step.
    pub(crate) report: Report,
    /// What is active.
    pub(crate) codes: Codes,
    /// What was encoded.
    pub(crate) inputs: Matrix,
    /// By reconstructions, those of all prefixes first, at last that of dead latents.
    pub(crate) by_decoded: Matrix,
    /// What is active, once for each block of these rows, if there are several.
    stacked: Option<Codes>,
    by_value: Vec<f32>,
    centers: bool,
}

impl Reconstruction<'_> {
    /// Of the loss
    ///
    /// L = Σ wₘ·mean ‖x − x̂ₘ‖² + α·V·(mean ‖e − ê‖²)/v,
    ///
    /// where x̂ₘ is reconstructed from the latents before the end of the m-th prefix, e is the residual of all, held fixed, ê
    /// what the dead latents make of x, V the mean of ‖x − mean x‖² and v that of ‖e − mean e‖². `select` tells what of a batch is active; targets
    /// that are predicted in part already are what is left of them.
    pub(crate) fn gradients(
        &self,
        parameters: &Parameters,
        batch: Batch<'_>,
        step: &Step,
        select: impl FnOnce(&Matrix, &Parameters) -> Result<Codes>,
    ) -> Result<Gradients> {
        step.check()?;
        batch.check()?;
        let n = batch.inputs.n_rows() as f64;
        let forward = parameters.forward(batch, self.centers, select)?;
        let decoder = parameters.decoder.rows();
        let mut blocks = Vec::new();
        let mut penalty = 0.0;
        if let [(_, weight)] = self.prefixes {
            let by_decoded = scaled(&forward.residual, -2.0 * weight / n);
            let by_value = forward.codes.products(&by_decoded, decoder)?;
            penalty += (weight - 1.0) * forward.squared_error;
            blocks.push((forward.codes.clone(), by_value, by_decoded));
        } else {
            // From the last prefix to the first: what is left over grows by what the group between two prefixes decodes to,
            // and a latent takes part in the losses of its own prefix and of all after it.
            let mut left = forward.residual.clone();
            let mut sum = Matrix::zeros(left.n_rows(), left.n_columns());
            let zero = vec![0.0; left.n_columns()];
            penalty -= forward.squared_error;
            for at in (0..self.prefixes.len()).rev() {
                let (end, weight) = self.prefixes[at];
                let start = at.checked_sub(1).map_or(0, |before| self.prefixes[before].0);
                penalty += weight * squared(&left) / n;
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "gradients are single precision"
                )]
                add_scaled(&mut sum, &left, (-2.0 * weight / n) as f32);
                let group = forward
                    .codes
                    .clone()
                    .map(|latent, value| (start..end).contains(&latent).then_some(value));
                add_scaled(&mut left, &group.decode(decoder, &zero)?, 1.0);
                let by_value = group.products(&sum, decoder)?;
                blocks.push((group, by_value, sum.clone()));
            }
            blocks.reverse();
        }
        let dead = if self.aux.is_some() { parameters.dead(step.dead_after) } else { Vec::new() };
        if let Some(aux) = self.aux
            && let Some((loss, block)) =
                revive(aux, parameters, &dead, &forward.inputs, (batch.targets, &forward.residual))?
        {
            penalty += loss;
            blocks.push(block);
        }
        let report = parameters.report(batch, step, forward.squared_error, penalty, &forward.codes);
        let n_blocks = blocks.len();
        let mut blocks = blocks.into_iter();
        let (mut stacked, mut by_value, mut by_decoded) = blocks.next().unwrap_or_else(|| {
            (forward.codes.clone(), Vec::new(), Matrix::zeros(0, decoder.n_columns()))
        });
        for (codes, values, decoded) in blocks {
            stacked = stacked.below(&codes)?;
            by_value.extend(values);
            by_decoded = by_decoded.below(&decoded)?;
        }
        Ok(Gradients {
            report,
            codes: forward.codes,
            inputs: forward.inputs,
            by_decoded,
            stacked: (n_blocks > 1).then_some(stacked),
            by_value,
            centers: self.centers,
        })
    }
}

impl Gradients {
    /// Takes the step; what was found before it.
    pub(crate) fn descend(
        self,
        parameters: &mut Parameters,
        others: &mut [(&mut Bias, Vec<f32>)],
        step: &Step,
        length: Length,
    ) -> Result<(Report, Codes)> {
        let pull = Pull {
            codes: self.stacked.as_ref().unwrap_or(&self.codes),
            by_encoder: &self.by_value,
            by_encoder_bias: Vec::new(),
            inputs: &self.inputs,
            by_decoded: &self.by_decoded,
            n_with_bias: self.inputs.n_rows(),
            centers: self.centers,
            length,
            along_decoder: &[],
            shared_encoder: None,
        };
        let gradient_norm = parameters.descend(&pull, others, step)?;
        parameters.count(&self.codes, self.inputs.n_rows());
        Ok((Report { gradient_norm, ..self.report }, self.codes))
    }
}

/// What is active, the gradient by its values, and by what it decodes to.
type Block = (Codes, Vec<f32>, Matrix);

/// The loss of dead latents, and its gradient; none if none is dead, or nothing is left over.
fn revive(
    aux: &Aux,
    parameters: &Parameters,
    dead: &[u32],
    inputs: &Matrix,
    (targets, residual): (&Matrix, &Matrix),
) -> Result<Option<(f64, Block)>> {
    let n = residual.n_rows() as f64;
    let variance = squared_from_mean(residual) / n;
    if dead.is_empty() || aux.coefficient == 0.0 || variance == 0.0 {
        return Ok(None);
    }
    let rows: Vec<usize> = dead.iter().map(|latent| *latent as usize).collect();
    let Parameters { encoder, decoder, encoder_bias, .. } = parameters;
    let (encoder, of_dead) = (encoder.rows().select(&rows), decoder.rows().select(&rows));
    let bias: Vec<f32> = rows.iter().map(|latent| encoder_bias.numbers[*latent]).collect();
    let codes = top_k_codes(inputs, &encoder, &bias, aux.k.min(dead.len()))?;
    // e − ê.
    let mut left = codes.decode(&of_dead, &vec![0.0; of_dead.n_columns()])?;
    lacking(&mut left, residual);
    let weight = aux.coefficient * squared_from_mean(targets) / (variance * n * n);
    let loss = weight * squared(&left);
    let by_decoded = scaled(&left, -2.0 * weight);
    let by_value = codes.products(&by_decoded, &of_dead)?;
    let codes = codes.renamed(dead, parameters.n_latents())?;
    Ok(Some((loss, (codes, by_value, by_decoded))))
}
