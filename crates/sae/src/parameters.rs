//! Encoder, decoder and biases in training.

use kernels::dictionary::{Atoms, Codes, Length, RowGradient};
use kernels::transformer::sum_of_all_rows;
use kernels::{KernelError, Matrix, sum_of_rows};
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::batch::{Batch, lacking, squared, squared_from_mean, sums_by_latent};
use crate::checkpoint::Part;
use crate::dictionary::{Activation, Parts, centered};
use crate::error::{Result, SaeError};
use crate::scaling::Scaling;
use crate::step::{Report, Step};

/// Numbers with Adam's moments of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bias {
    pub(crate) numbers: Vec<f32>,
    pub(crate) moments: [Vec<f32>; 2],
}

impl Bias {
    pub(crate) fn new(numbers: Vec<f32>) -> Self {
        let moments = [vec![0.0; numbers.len()], vec![0.0; numbers.len()]];
        Self { numbers, moments }
    }

    pub(crate) fn parts(&mut self, name: &str) -> [(String, Part<'_>); 3] {
        let [first, second] = &mut self.moments;
        moments_of(name, [&mut self.numbers, first, second])
    }
}

fn moments_of<'a>(
    name: &str,
    [numbers, first, second]: [&'a mut [f32]; 3],
) -> [(String, Part<'a>); 3] {
    [
        (name.to_owned(), Part::F32(numbers)),
        (format!("{name}.first"), Part::F32(first)),
        (format!("{name}.second"), Part::F32(second)),
    ]
}

/// What of a dictionary is not trained: baselines that tell what training it is worth.
///
/// # Source
/// arXiv 2602.14111 compares dictionaries with ones whose decoder or encoder stays as it was drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Freeze {
    /// All is trained.
    #[default]
    None,
    /// The decoder stays.
    Decoder,
    /// The encoder stays, its bias does not.
    Encoder,
    /// Rows of the decoder turn no farther from where they began than this cosine; they keep their lengths of then.
    SoftDecoder {
        /// 0.8 in the source.
        least_cosine: f32,
    },
}

/// The parameters of a dictionary of n latents over width d, and how long each latent was idle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameters {
    /// `[n, d]`.
    pub(crate) encoder: Atoms,
    /// `[n, d′]`.
    pub(crate) decoder: Atoms,
    pub(crate) encoder_bias: Bias,
    pub(crate) decoder_bias: Bias,
    /// Rows since each latent was active.
    pub(crate) idle: Vec<u64>,
    freeze: Freeze,
    /// Where the decoder began, if it may not turn far from there.
    began: Option<Matrix>,
}

/// What a loss changes by.
pub(crate) struct Pull<'a> {
    /// What is active. A row of the batch may stand several times, for several reconstructions.
    pub(crate) codes: &'a Codes,
    /// By W·x of each active latent.
    pub(crate) by_encoder: &'a [f32],
    /// By the encoder's bias; empty if by that as by W·x.
    pub(crate) by_encoder_bias: Vec<f32>,
    /// What rows of codes were encoded from.
    pub(crate) inputs: &'a Matrix,
    /// By what each row of codes is decoded to.
    pub(crate) by_decoded: &'a Matrix,
    /// Of these rows, those first ones to which the decoder's bias is added.
    pub(crate) n_with_bias: usize,
    /// Whether the decoder's bias is taken from what is encoded.
    pub(crate) centers: bool,
    /// What becomes of the decoder's rows.
    pub(crate) length: Length,
    /// By the decoder, besides: multiples of its own rows; empty for none.
    pub(crate) along_decoder: &'a [f32],
    /// By the encoder, besides: multiples of one vector.
    pub(crate) shared_encoder: Option<(&'a [f32], &'a [f32])>,
}

/// What a dictionary makes of a batch.
pub(crate) struct Forward {
    /// Centered, if it is centered.
    pub(crate) inputs: Matrix,
    /// What is active.
    pub(crate) codes: Codes,
    /// x − x̂.
    pub(crate) residual: Matrix,
    /// Mean of ‖x − x̂‖².
    pub(crate) squared_error: f64,
}

impl Parameters {
    /// Of rows, a row for each latent, and biases.
    pub(crate) fn new(encoder: Matrix, decoder: Matrix, decoder_bias: Vec<f32>) -> Self {
        let n = encoder.n_rows();
        Self {
            encoder: Atoms::new(encoder),
            decoder: Atoms::new(decoder),
            encoder_bias: Bias::new(vec![0.0; n]),
            decoder_bias: Bias::new(decoder_bias),
            idle: vec![0; n],
            freeze: Freeze::None,
            began: None,
        }
    }

    /// A decoder of random directions of a length, the encoder the same, the encoder's bias 0.
    pub(crate) fn random(n: usize, center: Vec<f32>, length: f32, rng: &mut Rng) -> Result<Self> {
        let mut decoder = directions(n, center.len(), rng)?;
        decoder.values_mut().iter_mut().for_each(|number| *number *= length);
        Ok(Self::new(decoder.clone(), decoder, center))
    }

    pub(crate) fn n_latents(&self) -> usize {
        self.idle.len()
    }

    pub(crate) fn freeze(&mut self, freeze: Freeze) {
        let soft = matches!(freeze, Freeze::SoftDecoder { .. });
        self.began = soft.then(|| self.decoder.rows().clone());
        self.freeze = freeze;
    }

    /// As a dictionary has them.
    pub(crate) fn parts(&self, activation: Activation, centers: bool) -> Parts {
        Parts {
            encoder: self.encoder.rows().clone(),
            decoder: self.decoder.rows().clone(),
            encoder_bias: self.encoder_bias.numbers.clone(),
            decoder_bias: self.decoder_bias.numbers.clone(),
            activation,
            centers,
            skip: None,
            scaling: Scaling::None,
        }
    }

    /// All numbers that a step changes, with their names.
    pub(crate) fn numbers(&mut self) -> Vec<(String, Part<'_>)> {
        let mut all = Vec::new();
        all.extend(moments_of("encoder", self.encoder.numbers_mut()));
        all.extend(moments_of("decoder", self.decoder.numbers_mut()));
        all.extend(self.encoder_bias.parts("encoder_bias"));
        all.extend(self.decoder_bias.parts("decoder_bias"));
        all.push(("idle".to_owned(), Part::U64(&mut self.idle)));
        if let Some(began) = &mut self.began {
            all.push(("began".to_owned(), Part::F32(began.values_mut())));
        }
        all
    }

    /// Latents that count as dead, in ascending order.
    pub(crate) fn dead(&self, after: u64) -> Vec<u32> {
        let all = (0..).zip(&self.idle);
        all.filter(|(_, idle)| **idle >= after).map(|(latent, _)| latent).collect()
    }

    /// Counts for how long latents were idle.
    pub(crate) fn count(&mut self, codes: &Codes, n_rows: usize) {
        self.idle.iter_mut().for_each(|idle| *idle += n_rows as u64);
        for (latent, value) in codes.latents().iter().zip(codes.values()) {
            if *value > 0.0 {
                self.idle[*latent as usize] = 0;
            }
        }
    }

    /// Codes and reconstructions of a batch, where `select` tells what of it is active.
    pub(crate) fn forward(
        &self,
        batch: Batch<'_>,
        centers: bool,
        select: impl FnOnce(&Matrix, &Self) -> Result<Codes>,
    ) -> Result<Forward> {
        let bias = &self.decoder_bias.numbers;
        let inputs = centered(batch.inputs, if centers { bias } else { &[] })?;
        let codes = select(&inputs, self)?;
        let mut residual = codes.decode(self.decoder.rows(), bias)?;
        KernelError::check(
            "columns of the targets",
            residual.n_columns(),
            batch.targets.n_columns(),
        )?;
        lacking(&mut residual, batch.targets);
        let squared_error = squared(&residual) / batch.inputs.n_rows() as f64;
        Ok(Forward { inputs, codes, residual, squared_error })
    }

    /// What a step found; the norm of the gradient comes later.
    pub(crate) fn report(
        &self,
        batch: Batch<'_>,
        step: &Step,
        squared_error: f64,
        penalty: f64,
        codes: &Codes,
    ) -> Report {
        let n = batch.inputs.n_rows() as f64;
        Report {
            loss: squared_error + penalty,
            squared_error,
            variance: squared_from_mean(batch.targets) / n,
            l0: codes.values().iter().filter(|value| **value > 0.0).count() as f64 / n,
            n_dead: self.idle.iter().filter(|idle| **idle >= step.dead_after).count(),
            gradient_norm: 0.0,
        }
    }

    /// A step against what a loss changes by, of these parameters and of others, each with its gradient; the norm of all
    /// gradients together.
    pub(crate) fn descend(
        &mut self,
        pull: &Pull<'_>,
        others: &mut [(&mut Bias, Vec<f32>)],
        step: &Step,
    ) -> Result<f64> {
        let Pull { codes, by_encoder, inputs, by_decoded, length, .. } = *pull;
        KernelError::check("gradients by values", codes.values().len(), by_encoder.len())?;
        let by_product = sums_by_latent(codes, by_encoder);
        let width = by_decoded.n_columns();
        let mut by_decoder_bias =
            sum_of_all_rows(&by_decoded.values()[..pull.n_with_bias * width], width);
        if pull.centers {
            let picks: Vec<(u32, f32)> = (0..).zip(by_product.iter().copied()).collect();
            let mut by_center = vec![0.0; width];
            sum_of_rows(self.encoder.rows(), &picks, &mut by_center);
            by_decoder_bias.iter_mut().zip(by_center).for_each(|(by, center)| *by -= center);
        }
        let by_encoder_bias =
            if pull.by_encoder_bias.is_empty() { &by_product } else { &pull.by_encoder_bias };
        let by_latent = codes.by_latent();
        let decoder = RowGradient {
            along: pull.along_decoder,
            ..RowGradient::new(codes.values(), by_decoded, length)
        };
        let encoder = RowGradient {
            shared: pull.shared_encoder,
            ..RowGradient::new(by_encoder, inputs, Length::Free)
        };
        let squares = |numbers: &[f32]| -> f64 {
            numbers.iter().map(|number| f64::from(*number) * f64::from(*number)).sum()
        };
        let (moves_decoder, moves_encoder) =
            (self.freeze != Freeze::Decoder, self.freeze != Freeze::Encoder);
        let mut norm = squares(by_encoder_bias) + squares(&by_decoder_bias);
        if moves_decoder {
            norm += by_latent.squared_norm(&decoder, &self.decoder)?;
        }
        if moves_encoder {
            norm += by_latent.squared_norm(&encoder, &self.encoder)?;
        }
        norm += others.iter().map(|(_, gradient)| squares(gradient)).sum::<f64>();
        if !norm.is_finite() {
            return Err(SaeError::Diverged { step: step.t });
        }
        let norm = norm.sqrt();
        let (rule, scale) = (step.rule(), step.scale(norm));
        let adam = (&rule, step.t, scale);
        if moves_decoder {
            by_latent.step(&decoder, &mut self.decoder, adam)?;
        }
        if moves_encoder {
            by_latent.step(&encoder, &mut self.encoder, adam)?;
        }
        let step_bias = |bias: &mut Bias, gradient: &[f32]| {
            let moments = bias.moments.each_mut().map(|moments| &mut moments[..]);
            rule.step(step.t, &mut bias.numbers, moments, gradient, scale);
        };
        step_bias(&mut self.encoder_bias, by_encoder_bias);
        step_bias(&mut self.decoder_bias, &by_decoder_bias);
        for (bias, gradient) in others {
            step_bias(bias, gradient);
        }
        if let (Freeze::SoftDecoder { least_cosine }, Some(began)) = (self.freeze, &self.began) {
            for latent in 0..began.n_rows() {
                stay_near(self.decoder.rows_mut().row_mut(latent), began.row(latent), least_cosine);
            }
        }
        Ok(norm)
    }
}

/// Random directions, rows of length 1.
pub(crate) fn directions(n: usize, width: usize, rng: &mut Rng) -> Result<Matrix> {
    #[expect(clippy::cast_possible_truncation, reason = "parameters are single precision")]
    let numbers = (0..n * width).map(|_| rng.normal() as f32).collect();
    let mut rows = Matrix::from_rows(n, width, numbers)?;
    rows.normalize_rows();
    Ok(rows)
}

/// Turns a row back to where its cosine with another is no less than c, and gives it the length of that.
fn stay_near(row: &mut [f32], began: &[f32], c: f32) {
    let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let (norm, length) = (dot(row, row).sqrt(), dot(began, began).sqrt());
    if norm <= 0.0 || length <= 0.0 {
        row.copy_from_slice(began);
        return;
    }
    let cosine = dot(row, began) / (norm * length);
    // What is orthogonal to where it began: row/norm − cosine·began/length.
    let sine = (1.0 - cosine * cosine).max(0.0).sqrt();
    let (along, across) = if cosine >= c || sine <= 0.0 {
        (0.0, length / norm)
    } else {
        let across = (1.0 - c * c).max(0.0).sqrt() / sine;
        (c - across * cosine, length * across / norm)
    };
    row.iter_mut().zip(began).for_each(|(w, began)| *w = across * *w + along * began);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_turn_back_to_the_least_cosine() {
        let began = [2.0, 0.0];
        let turned = |row: [f32; 2]| {
            let mut row = row;
            stay_near(&mut row, &began, 0.8);
            row
        };
        let near = |a: [f32; 2], b: [f32; 2]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near(turned([0.0, 5.0]), [1.6, 1.2]));
        assert!(near(turned([-1.0, -1.0]), [1.6, -1.2]));
        assert!(near(turned([9.0, 0.0]), [2.0, 0.0]));
        assert!(near(turned([0.9, 0.1]), [1.8 / 0.82_f32.sqrt(), 0.2 / 0.82_f32.sqrt()]));
        assert!(near(turned([0.0, 0.0]), [2.0, 0.0]));
    }
}
