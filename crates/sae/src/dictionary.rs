//! A dictionary as it is used.

use kernels::dictionary::{Codes, codes_above, top_k_codes};
use kernels::{KernelError, Matrix};
use rayon::prelude::*;

use crate::error::{Result, SaeError};

/// Which pre-activations π become values of active latents.
#[derive(Clone, Debug, PartialEq)]
pub enum Activation {
    /// z = π where π > 0.
    Relu,
    /// z = π for the k largest where π > 0.
    TopK {
        /// Active latents of a row, at most.
        k: usize,
    },
    /// z = π where π > θ, with θ ≥ 0 for each latent.
    JumpRelu {
        /// θ, by latent.
        thresholds: Vec<f32>,
    },
}

/// Encoder, decoder and biases of a dictionary of n latents over width d.
///
/// # Examples
///
/// Two latents that are the axes, of which the larger is active:
///
/// ```
/// use kernels::Matrix;
/// use sae::{Activation, Dictionary};
///
/// let axes = Matrix::identity(2);
/// let activation = Activation::TopK { k: 1 };
/// let dictionary =
///     Dictionary::new([axes.clone(), axes], [vec![0.0; 2], vec![0.0, 1.0]], activation, true)?;
/// let x = Matrix::from_rows(1, 2, vec![3.0, 3.0])?;
/// let codes = dictionary.encode(&x)?;
/// assert_eq!(codes.row(0), (&[0][..], &[3.0][..]));
/// assert_eq!(dictionary.decode(&codes)?.values(), [3.0, 1.0]);
/// # Ok::<(), sae::SaeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dictionary {
    encoder: Matrix,
    decoder: Matrix,
    encoder_bias: Vec<f32>,
    decoder_bias: Vec<f32>,
    activation: Activation,
    centers: bool,
}

impl Dictionary {
    /// Of encoder and decoder, a row for each latent, and their biases. `centers` says whether the decoder's bias is taken
    /// from activations before they are encoded.
    ///
    /// # Shapes
    /// Encoder and decoder `[n, d]`, their biases `[n]` and `[d]`.
    ///
    /// # Errors
    /// [`SaeError::Sizes`] for shapes that do not fit, [`SaeError::NotFinite`] for a parameter that is not finite,
    /// [`SaeError::Range`] for k beyond the latents or a negative threshold.
    pub fn new(
        [encoder, decoder]: [Matrix; 2],
        [encoder_bias, decoder_bias]: [Vec<f32>; 2],
        activation: Activation,
        centers: bool,
    ) -> Result<Self> {
        let (n, d) = (encoder.n_rows(), encoder.n_columns());
        KernelError::check("rows of the decoder", n, decoder.n_rows())?;
        KernelError::check("columns of the decoder", d, decoder.n_columns())?;
        KernelError::check("numbers of the encoder's bias", n, encoder_bias.len())?;
        KernelError::check("numbers of the decoder's bias", d, decoder_bias.len())?;
        for (what, numbers, width) in [
            ("the encoder", encoder.values(), d),
            ("the decoder", decoder.values(), d),
            ("the encoder's bias", &encoder_bias, n),
            ("the decoder's bias", &decoder_bias, d),
        ] {
            finite(what, numbers, width, "the dictionary is broken: load or train another")?;
        }
        match &activation {
            Activation::Relu => {}
            Activation::TopK { k } => active(*k, n)?,
            Activation::JumpRelu { thresholds } => {
                KernelError::check("thresholds", n, thresholds.len())?;
                let wrong = thresholds.iter().find(|bound| !(bound.is_finite() && **bound >= 0.0));
                if let Some(wrong) = wrong {
                    let (what, got) = ("a threshold", f64::from(*wrong));
                    return Err(SaeError::Range { what, got, interval: "[0, ∞)" });
                }
            }
        }
        Ok(Self { encoder, decoder, encoder_bias, decoder_bias, activation, centers })
    }

    /// n, the number of latents.
    pub fn n_latents(&self) -> usize {
        self.encoder.n_rows()
    }

    /// d, the width of activations.
    pub fn width(&self) -> usize {
        self.encoder.n_columns()
    }

    /// The encoder, a row for each latent.
    pub fn encoder(&self) -> &Matrix {
        &self.encoder
    }

    /// The decoder, a row for each latent.
    pub fn decoder(&self) -> &Matrix {
        &self.decoder
    }

    /// `b_enc`.
    pub fn encoder_bias(&self) -> &[f32] {
        &self.encoder_bias
    }

    /// `b_dec`.
    pub fn decoder_bias(&self) -> &[f32] {
        &self.decoder_bias
    }

    /// Which pre-activations become values.
    pub fn activation(&self) -> &Activation {
        &self.activation
    }

    /// Whether the decoder's bias is taken from activations before they are encoded.
    pub fn centers(&self) -> bool {
        self.centers
    }

    /// What is active in each row.
    ///
    /// # Shapes
    /// `x` `[row, d]`.
    ///
    /// # Errors
    /// [`SaeError::Sizes`] for another width.
    pub fn encode(&self, x: &Matrix) -> Result<Codes> {
        let center = if self.centers { &self.decoder_bias[..] } else { &[] };
        let x = centered(x, center)?;
        let codes = match &self.activation {
            Activation::Relu => {
                codes_above(&x, &self.encoder, &self.encoder_bias, &vec![0.0; self.n_latents()])
            }
            Activation::TopK { k } => top_k_codes(&x, &self.encoder, &self.encoder_bias, *k),
            Activation::JumpRelu { thresholds } => {
                codes_above(&x, &self.encoder, &self.encoder_bias, thresholds)
            }
        };
        Ok(codes?)
    }

    /// Reconstructions.
    ///
    /// # Errors
    /// [`SaeError::Sizes`] for codes of another dictionary's size.
    pub fn decode(&self, codes: &Codes) -> Result<Matrix> {
        Ok(codes.decode(&self.decoder, &self.decoder_bias)?)
    }
}

/// Rows less what they are centered by; as they are, if that is nothing.
pub(crate) fn centered(x: &Matrix, center: &[f32]) -> Result<Matrix> {
    let mut x = x.clone();
    if center.is_empty() {
        return Ok(x);
    }
    KernelError::check("columns of the activations", center.len(), x.n_columns())?;
    x.values_mut().par_chunks_exact_mut(center.len()).with_min_len(64).for_each(|row| {
        row.iter_mut().zip(center).for_each(|(x, center)| *x -= center);
    });
    Ok(x)
}

/// Refuses more active latents than there are, and none.
pub(crate) fn active(k: usize, n_latents: usize) -> Result<()> {
    if (1..=n_latents).contains(&k) {
        return Ok(());
    }
    Err(SaeError::Range { what: "k", got: k as f64, interval: "[1, latents]" })
}

/// Refuses numbers that are not finite.
pub(crate) fn finite(
    what: &'static str,
    numbers: &[f32],
    width: usize,
    remedy: &'static str,
) -> Result<()> {
    let of_task =
        |numbers: &[f32]| numbers.iter().fold(true, |all, number| all & number.is_finite());
    if numbers.par_chunks(1 << 14).all(of_task) {
        return Ok(());
    }
    let bad = numbers.iter().enumerate().find(|(_, number)| !number.is_finite());
    bad.map_or(Ok(()), |(place, value)| {
        let (row, column) = (place / width.max(1), place % width.max(1));
        Err(SaeError::NotFinite { what, row, column, value: *value, remedy })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dictionary(activation: Activation) -> Result<Dictionary> {
        let rows = Matrix::from_rows(3, 2, vec![1.0, 0.0, 0.0, 1.0, -1.0, 0.0])?;
        Dictionary::new(
            [rows.clone(), rows],
            [vec![0.0, 0.5, 0.0], vec![1.0, 0.0]],
            activation,
            true,
        )
    }

    #[test]
    fn activations_differ_in_what_is_active() {
        let x = Matrix::from_rows(1, 2, vec![3.0, 1.0]).unwrap();
        let found = |activation: Activation| {
            let codes = dictionary(activation).unwrap().encode(&x).unwrap();
            let (latents, values) = codes.row(0);
            latents.iter().copied().zip(values.iter().copied()).collect::<Vec<_>>()
        };
        assert_eq!(found(Activation::Relu), [(0, 2.0), (1, 1.5)]);
        assert_eq!(found(Activation::TopK { k: 1 }), [(0, 2.0)]);
        assert_eq!(found(Activation::TopK { k: 3 }), [(0, 2.0), (1, 1.5)]);
        let thresholds = vec![2.0, 0.0, 0.0];
        assert_eq!(found(Activation::JumpRelu { thresholds }), [(1, 1.5)]);
    }

    #[test]
    fn without_a_center_activations_are_encoded_as_they_are() {
        let rows = Matrix::identity(2);
        let biases = [vec![0.0; 2], vec![1.0, 1.0]];
        let plain = Dictionary::new([rows.clone(), rows], biases, Activation::Relu, false).unwrap();
        let codes = plain.encode(&Matrix::from_rows(1, 2, vec![1.0, 2.0]).unwrap()).unwrap();
        assert_eq!(codes.values(), [1.0, 2.0]);
        assert_eq!(plain.decode(&codes).unwrap().values(), [2.0, 3.0]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(dictionary(Activation::TopK { k: 0 }).is_err());
        assert!(
            dictionary(Activation::TopK { k: 4 }).unwrap_err().to_string().contains("[1, latents]")
        );
        assert!(dictionary(Activation::JumpRelu { thresholds: vec![0.0; 2] }).is_err());
        let error = dictionary(Activation::JumpRelu { thresholds: vec![0.0, -1.0, 0.0] });
        assert!(error.unwrap_err().to_string().contains("-1"));
        let rows = Matrix::from_rows(1, 2, vec![1.0, f32::NAN]).unwrap();
        let broken = Dictionary::new(
            [rows.clone(), rows],
            [vec![0.0], vec![0.0; 2]],
            Activation::Relu,
            true,
        );
        let text = broken.unwrap_err().to_string();
        assert!(text.contains("the encoder: number 1 of row 0 is NaN"), "{text}");
        let whole = dictionary(Activation::Relu).unwrap();
        assert!(whole.encode(&Matrix::zeros(1, 3)).is_err());
    }
}
