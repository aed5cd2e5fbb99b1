//! Encoder, decoder and biases in training.

use kernels::dictionary::{Atoms, Codes, Length};
use kernels::transformer::sum_of_all_rows;
use kernels::{KernelError, Matrix, sum_of_rows};
use seed::Rng;

use crate::dictionary::{Activation, Parts};
use crate::error::{Result, SaeError};
use crate::scaling::Scaling;
use crate::step::Step;

/// Numbers with Adam's moments of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bias {
    pub(crate) numbers: Vec<f32>,
    moments: [Vec<f32>; 2],
}

impl Bias {
    fn new(numbers: Vec<f32>) -> Self {
        let moments = [vec![0.0; numbers.len()], vec![0.0; numbers.len()]];
        Self { numbers, moments }
    }

    #[cfg(test)]
    pub(crate) fn moments(&self) -> &[Vec<f32>; 2] {
        &self.moments
    }
}

/// The parameters of a dictionary of n latents over width d.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameters {
    /// `[n, d]`.
    pub(crate) encoder: Atoms,
    /// `[n, d]`.
    pub(crate) decoder: Atoms,
    pub(crate) encoder_bias: Bias,
    pub(crate) decoder_bias: Bias,
}

/// What a loss changes by.
pub(crate) struct Pull<'a> {
    /// What is active. A row of the batch may stand several times, for several reconstructions.
    pub(crate) codes: &'a Codes,
    /// By the value of each active latent.
    pub(crate) by_value: &'a [f32],
    /// What each row of codes was encoded from.
    pub(crate) inputs: &'a Matrix,
    /// By what each row of codes is decoded to.
    pub(crate) by_decoded: &'a Matrix,
    /// Of these rows, those first ones to which the decoder's bias is added.
    pub(crate) n_with_bias: usize,
    /// Whether the decoder's bias is taken from what is encoded.
    pub(crate) centers: bool,
}

impl Parameters {
    /// A decoder of random directions of a length, the encoder the same, the encoder's bias 0.
    pub(crate) fn random(n: usize, center: Vec<f32>, length: f32, rng: &mut Rng) -> Result<Self> {
        let width = center.len();
        #[expect(clippy::cast_possible_truncation, reason = "parameters are single precision")]
        let numbers = (0..n * width).map(|_| rng.normal() as f32).collect();
        let mut decoder = Matrix::from_rows(n, width, numbers)?;
        decoder.normalize_rows();
        decoder.values_mut().iter_mut().for_each(|number| *number *= length);
        Ok(Self {
            encoder: Atoms::new(decoder.clone()),
            decoder: Atoms::new(decoder),
            encoder_bias: Bias::new(vec![0.0; n]),
            decoder_bias: Bias::new(center),
        })
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

    /// A step against what a loss changes by; the norm of that by all parameters together.
    pub(crate) fn descend(&mut self, pull: &Pull<'_>, step: &Step, length: Length) -> Result<f64> {
        let Pull { codes, by_value, inputs, by_decoded, .. } = *pull;
        KernelError::check("gradients by values", codes.values().len(), by_value.len())?;
        let mut by_encoder_bias = vec![0.0; codes.n_latents()];
        for (latent, by_value) in codes.latents().iter().zip(by_value) {
            by_encoder_bias[*latent as usize] += by_value;
        }
        let width = by_decoded.n_columns();
        let mut by_decoder_bias =
            sum_of_all_rows(&by_decoded.values()[..pull.n_with_bias * width], width);
        if pull.centers {
            let picks: Vec<(u32, f32)> = (0..).zip(by_encoder_bias.iter().copied()).collect();
            let mut by_center = vec![0.0; width];
            sum_of_rows(self.encoder.rows(), &picks, &mut by_center);
            by_decoder_bias.iter_mut().zip(by_center).for_each(|(by, center)| *by -= center);
        }
        let by_latent = codes.by_latent();
        let squares = |numbers: &[f32]| -> f64 {
            numbers.iter().map(|number| f64::from(*number) * f64::from(*number)).sum()
        };
        let norm = by_latent.squared_norm(codes.values(), by_decoded, &self.decoder, length)?
            + by_latent.squared_norm(by_value, inputs, &self.encoder, Length::Free)?
            + squares(&by_encoder_bias)
            + squares(&by_decoder_bias);
        if !norm.is_finite() {
            return Err(SaeError::Diverged { step: step.t });
        }
        let norm = norm.sqrt();
        let (rule, scale) = (step.rule(), step.scale(norm));
        let adam = (&rule, step.t, scale);
        by_latent.step(codes.values(), by_decoded, &mut self.decoder, adam, length)?;
        by_latent.step(by_value, inputs, &mut self.encoder, adam, Length::Free)?;
        for (bias, gradient) in
            [(&mut self.encoder_bias, by_encoder_bias), (&mut self.decoder_bias, by_decoder_bias)]
        {
            let moments = bias.moments.each_mut().map(|moments| &mut moments[..]);
            rule.step(step.t, &mut bias.numbers, moments, &gradient, scale);
        }
        Ok(norm)
    }
}
