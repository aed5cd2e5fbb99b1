//! A dictionary as it is used.

use kernels::dictionary::{Codes, codes_above, top_k_codes};
use kernels::{KernelError, Matrix, product_transposed};
use rayon::prelude::*;

use crate::error::{Result, SaeError};
use crate::scaling::Scaling;

/// Which pre-activations π = W·x + b become values of active latents.
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
    /// z = max(0, s·W·x + b′) where π > 0: one bias opens the gate, another is part of the value.
    Gated {
        /// s > 0, by latent; `exp(r_mag)` in other libraries.
        scales: Vec<f32>,
        /// b′, by latent.
        magnitude_bias: Vec<f32>,
    },
}

/// What a dictionary of n latents consists of.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// W, a row for each latent, `[n, d]`.
    pub encoder: Matrix,
    /// D, a row for each latent, `[n, d]`; `[n, d′]` for one that predicts other activations, of width d′.
    pub decoder: Matrix,
    /// b, `[n]`.
    pub encoder_bias: Vec<f32>,
    /// c, `[d′]`.
    pub decoder_bias: Vec<f32>,
    /// σ.
    pub activation: Activation,
    /// Whether c is taken from activations before they are encoded.
    pub centers: bool,
    /// S, `[d′, d]`: what is predicted of activations without latents.
    pub skip: Option<Matrix>,
    /// What is done to activations first, and undone at last.
    pub scaling: Scaling,
}

/// Encoder, decoder and biases of a dictionary of n latents over width d.
///
/// # Examples
///
/// Two latents that are the axes, of which the larger is active:
///
/// ```
/// use kernels::Matrix;
/// use sae::{Activation, Dictionary, Parts, Scaling};
///
/// let dictionary = Dictionary::new(Parts {
///     encoder: Matrix::identity(2),
///     decoder: Matrix::identity(2),
///     encoder_bias: vec![0.0; 2],
///     decoder_bias: vec![0.0, 1.0],
///     activation: Activation::TopK { k: 1 },
///     centers: true,
///     skip: None,
///     scaling: Scaling::None,
/// })?;
/// let x = Matrix::from_rows(1, 2, vec![3.0, 3.0])?;
/// assert_eq!(dictionary.encode(&x)?.row(0), (&[0][..], &[3.0][..]));
/// assert_eq!(dictionary.reconstruct(&x)?.values(), [3.0, 1.0]);
/// # Ok::<(), sae::SaeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dictionary {
    parts: Parts,
}

impl Dictionary {
    /// Of its parts.
    ///
    /// # Errors
    /// [`SaeError::Sizes`] for shapes that do not fit, [`SaeError::NotFinite`] for a parameter that is not finite,
    /// [`SaeError::Range`] for k beyond the latents, a negative threshold, or a scale that is not positive.
    pub fn new(parts: Parts) -> Result<Self> {
        let Parts { encoder, decoder, encoder_bias, decoder_bias, .. } = &parts;
        let (n, d, out) = (encoder.n_rows(), encoder.n_columns(), decoder.n_columns());
        KernelError::check("rows of the decoder", n, decoder.n_rows())?;
        KernelError::check("numbers of the encoder's bias", n, encoder_bias.len())?;
        KernelError::check("numbers of the decoder's bias", out, decoder_bias.len())?;
        if parts.centers || parts.scaling != Scaling::None {
            KernelError::check("columns of the decoder", d, out)?;
        }
        let skip = parts.skip.as_ref();
        if let Some(skip) = skip {
            KernelError::check("rows of the skip connection", out, skip.n_rows())?;
            KernelError::check("columns of the skip connection", d, skip.n_columns())?;
        }
        for (what, numbers, width) in [
            ("the encoder", encoder.values(), d),
            ("the decoder", decoder.values(), out),
            ("the encoder's bias", encoder_bias, n),
            ("the decoder's bias", decoder_bias, out),
            ("the skip connection", skip.map_or(&[], Matrix::values), d),
        ] {
            finite(what, numbers, width, BROKEN)?;
        }
        match &parts.activation {
            Activation::Relu => {}
            Activation::TopK { k } => active(*k, n)?,
            Activation::JumpRelu { thresholds } => {
                KernelError::check("thresholds", n, thresholds.len())?;
                each_in("a threshold", thresholds, "[0, ∞)", |bound| bound >= 0.0)?;
            }
            Activation::Gated { scales, magnitude_bias } => {
                KernelError::check("scales of magnitudes", n, scales.len())?;
                KernelError::check("biases of magnitudes", n, magnitude_bias.len())?;
                each_in("a scale of magnitudes", scales, "(0, ∞)", |scale| scale > 0.0)?;
                finite("the bias of magnitudes", magnitude_bias, n, BROKEN)?;
            }
        }
        parts.scaling.check()?;
        Ok(Self { parts })
    }

    /// n, the number of latents.
    pub fn n_latents(&self) -> usize {
        self.parts.encoder.n_rows()
    }

    /// d, the width of activations.
    pub fn width(&self) -> usize {
        self.parts.encoder.n_columns()
    }

    /// The encoder, a row for each latent.
    pub fn encoder(&self) -> &Matrix {
        &self.parts.encoder
    }

    /// The decoder, a row for each latent.
    pub fn decoder(&self) -> &Matrix {
        &self.parts.decoder
    }

    /// What it consists of.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// What it consists of.
    pub fn into_parts(self) -> Parts {
        self.parts
    }

    /// What is active in each row.
    ///
    /// # Shapes
    /// `x` `[row, d]`, as the model has it: it is scaled here.
    ///
    /// # Errors
    /// [`SaeError::Sizes`] for another width, [`SaeError::NotFinite`] for an activation that is not finite.
    pub fn encode(&self, x: &Matrix) -> Result<Codes> {
        self.encode_scaled(&self.scaled(x)?)
    }

    /// Reconstructions of scaled activations, or predictions without the skip connection.
    ///
    /// # Errors
    /// [`SaeError::Sizes`] for codes of another dictionary's size.
    pub fn decode(&self, codes: &Codes) -> Result<Matrix> {
        Ok(codes.decode(&self.parts.decoder, &self.parts.decoder_bias)?)
    }

    /// Reconstructions, or predictions, in the units of the model: scaled, encoded, decoded, the skip connection added,
    /// unscaled.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn reconstruct(&self, x: &Matrix) -> Result<Matrix> {
        let scaled = self.scaled(x)?;
        let mut decoded = self.decode(&self.encode_scaled(&scaled)?)?;
        if let Some(skip) = &self.parts.skip {
            let past = product_transposed(&scaled, skip)?;
            decoded.values_mut().iter_mut().zip(past.values()).for_each(|(sum, past)| *sum += past);
        }
        self.parts.scaling.undo(x, &mut decoded);
        Ok(decoded)
    }

    /// The same with rows of the decoder of length 1: values are then in units of the activations, zᵢ‖Dᵢ‖.
    ///
    /// # Errors
    /// [`SaeError::Fold`] for a latent without a direction, and for k largest among rows of unlike lengths, which are others
    /// after it.
    ///
    /// # Source
    /// Paper C reports features so: a direction, and how far an activation goes along it.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernels::Matrix;
    /// use sae::{Activation, Dictionary, Parts, Scaling};
    ///
    /// let dictionary = Dictionary::new(Parts {
    ///     encoder: Matrix::identity(1),
    ///     decoder: Matrix::from_rows(1, 1, vec![4.0])?,
    ///     encoder_bias: vec![0.5],
    ///     decoder_bias: vec![0.0],
    ///     activation: Activation::JumpRelu { thresholds: vec![1.0] },
    ///     centers: true,
    ///     skip: None,
    ///     scaling: Scaling::None,
    /// })?;
    /// let folded = dictionary.folded()?;
    /// let x = Matrix::from_rows(1, 1, vec![1.0])?;
    /// assert_eq!(folded.encode(&x)?.values(), [6.0]);
    /// assert_eq!(folded.reconstruct(&x)?, dictionary.reconstruct(&x)?);
    /// # Ok::<(), sae::SaeError>(())
    /// ```
    pub fn folded(&self) -> Result<Self> {
        let mut parts = self.parts.clone();
        let norms = norms(&parts.decoder);
        if let Some(latent) = norms.iter().position(|norm| *norm <= 0.0) {
            return Err(SaeError::Fold { latent, why: "its row of the decoder is 0" });
        }
        if matches!(parts.activation, Activation::TopK { .. })
            && let Some(latent) = norms.iter().position(|norm| (norm / norms[0] - 1.0).abs() > 1e-5)
        {
            return Err(SaeError::Fold {
                latent,
                why: "the k largest would be others: its row of the decoder differs in length from the first",
            });
        }
        parts.fold(&norms);
        Self::new(parts)
    }

    /// The same with a scaling by one number made part of the parameters: other values never change.
    ///
    /// # Errors
    /// As [`Dictionary::new`], should a parameter leave the range of numbers.
    pub fn unscaled(&self) -> Result<Self> {
        let Scaling::By { factor } = self.parts.scaling else { return Ok(self.clone()) };
        let mut parts = self.parts.clone();
        parts.encoder.values_mut().iter_mut().for_each(|w| *w *= factor);
        parts.decoder.values_mut().iter_mut().for_each(|w| *w /= factor);
        parts.decoder_bias.iter_mut().for_each(|c| *c /= factor);
        parts.scaling = Scaling::None;
        Self::new(parts)
    }

    fn scaled(&self, x: &Matrix) -> Result<Matrix> {
        KernelError::check("columns of the activations", self.width(), x.n_columns())?;
        finite("the activations", x.values(), x.n_columns(), LEAVE_OUT)?;
        Ok(self.parts.scaling.apply(x))
    }

    fn encode_scaled(&self, x: &Matrix) -> Result<Codes> {
        let Parts { encoder, encoder_bias, decoder_bias, activation, centers, .. } = &self.parts;
        let x = centered(x, if *centers { decoder_bias } else { &[] })?;
        let codes = match activation {
            Activation::Relu => {
                codes_above(&x, encoder, encoder_bias, &vec![0.0; self.n_latents()])?
            }
            Activation::TopK { k } => top_k_codes(&x, encoder, encoder_bias, *k)?,
            Activation::JumpRelu { thresholds } => {
                codes_above(&x, encoder, encoder_bias, thresholds)?
            }
            Activation::Gated { scales, magnitude_bias } => {
                let gates = codes_above(&x, encoder, encoder_bias, &vec![0.0; self.n_latents()])?;
                gates.map(|latent, gate| {
                    let value =
                        scales[latent] * (gate - encoder_bias[latent]) + magnitude_bias[latent];
                    (value > 0.0).then_some(value)
                })
            }
        };
        Ok(codes)
    }
}

impl Parts {
    /// Multiplies values by a factor of their latent, and divides what they are multiplied by.
    pub(crate) fn fold(&mut self, factors: &[f32]) {
        let width = self.encoder.n_columns();
        let out = self.decoder.n_columns();
        for (latent, factor) in factors.iter().enumerate() {
            self.encoder.row_mut(latent)[..width].iter_mut().for_each(|w| *w *= factor);
            self.decoder.row_mut(latent)[..out].iter_mut().for_each(|w| *w /= factor);
            self.encoder_bias[latent] *= factor;
        }
        let times = |numbers: &mut [f32]| {
            numbers.iter_mut().zip(factors).for_each(|(number, factor)| *number *= factor);
        };
        match &mut self.activation {
            Activation::Relu | Activation::TopK { .. } => {}
            Activation::JumpRelu { thresholds } => times(thresholds),
            // Its scales act on W·x, which has the factor already.
            Activation::Gated { magnitude_bias, .. } => times(magnitude_bias),
        }
    }
}

/// Lengths of rows.
pub(crate) fn norms(rows: &Matrix) -> Vec<f32> {
    let norm = |row: &[f32]| -> f32 { row.iter().map(|w| w * w).sum::<f32>().sqrt() };
    rows.rows().map(norm).collect()
}

const BROKEN: &str = "the dictionary is broken: load or train another";
/// What to do with activations that are not finite.
pub(crate) const LEAVE_OUT: &str = "leave the row out, or look at the model that it came from";

/// Refuses numbers outside of an interval.
fn each_in(
    what: &'static str,
    numbers: &[f32],
    interval: &'static str,
    is_in: impl Fn(f32) -> bool,
) -> Result<()> {
    match numbers.iter().find(|number| !(number.is_finite() && is_in(**number))) {
        Some(wrong) => Err(SaeError::Range { what, got: f64::from(*wrong), interval }),
        None => Ok(()),
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
mod tests;
