//! Dictionaries in the form that a format has a place for, with the same values and reconstructions.

use super::FileError;
use crate::dictionary::norms;
use crate::{Activation, Dictionary, Parts, SaeError, Scaling};

/// The parts, with a scaling by one number folded into them; others are refused for a format that lacks them.
pub(super) fn unscaled(dictionary: &Dictionary, format: &'static str) -> Result<Parts, FileError> {
    let parts = dictionary.unscaled().map_err(FileError::dictionary(format))?.into_parts();
    if parts.scaling == Scaling::None {
        return Ok(parts);
    }
    let why =
        "it scales each row of activations by itself, which the format cannot say; SAELens can";
    Err(FileError::Unwritable { format, why })
}

/// Takes the decoder's bias from activations before they are encoded, or no longer: the encoder's biases make up for it.
pub(super) fn center(parts: &mut Parts, centers: bool) {
    if parts.centers == centers {
        return;
    }
    parts.centers = centers;
    let sign = if centers { 1.0 } else { -1.0 };
    for latent in 0..parts.encoder.n_rows() {
        let row = parts.encoder.row(latent).iter().zip(&parts.decoder_bias);
        let shift = sign * row.map(|(w, c)| f64::from(*w) * f64::from(*c)).sum::<f64>();
        add(&mut parts.encoder_bias[latent], shift);
        if let Activation::Gated { scales, magnitude_bias } = &mut parts.activation {
            add(&mut magnitude_bias[latent], f64::from(scales[latent]) * shift);
        }
    }
}

fn add(number: &mut f32, shift: f64) {
    #[expect(clippy::cast_possible_truncation, reason = "rounded to single precision")]
    let sum = (f64::from(*number) + shift) as f32;
    *number = sum;
}

/// Makes rows of the decoder those of length 1, and values as much larger.
pub(super) fn fold(parts: &mut Parts) -> Result<(), SaeError> {
    let norms = norms(&parts.decoder);
    if let Some(latent) = norms.iter().position(|norm| *norm <= 0.0) {
        return Err(SaeError::Fold { latent, why: "its row of the decoder is 0" });
    }
    parts.fold(&norms);
    Ok(())
}

/// Whether rows of the decoder count as rows of length 1 where libraries look at that: within 1e-5.
pub(super) fn has_unit_rows(parts: &Parts) -> bool {
    norms(&parts.decoder).iter().all(|norm| (norm - 1.0).abs() <= 1e-5)
}

/// θ from a file. Libraries multiply the rectified value by whether it is above θ, so that one below 0 does the same as 0.
pub(super) fn thresholds(stored: Vec<f32>) -> Vec<f32> {
    // Not `max`, which would make 0 of what is no number.
    stored.into_iter().map(|bound| if bound < 0.0 { 0.0 } else { bound }).collect()
}

/// θ of what can be said by thresholds: of rectified values they are 0.
pub(super) fn as_thresholds(parts: &Parts) -> Option<Vec<f32>> {
    match &parts.activation {
        Activation::Relu => Some(vec![0.0; parts.encoder.n_rows()]),
        Activation::JumpRelu { thresholds } => Some(thresholds.clone()),
        Activation::TopK { .. } | Activation::Gated { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::Matrix;

    #[test]
    fn a_center_moves_into_biases_and_back() {
        let parts = Parts {
            encoder: Matrix::from_rows(1, 2, vec![1.0, 2.0]).unwrap(),
            decoder: Matrix::from_rows(1, 2, vec![1.0, 0.0]).unwrap(),
            encoder_bias: vec![10.0],
            decoder_bias: vec![3.0, 4.0],
            activation: Activation::Gated { scales: vec![2.0], magnitude_bias: vec![1.0] },
            centers: true,
            skip: None,
            scaling: Scaling::None,
        };
        let mut moved = parts.clone();
        center(&mut moved, false);
        assert_eq!(moved.encoder_bias, [10.0 - 11.0]);
        let Activation::Gated { magnitude_bias, .. } = &moved.activation else { unreachable!() };
        assert_eq!(magnitude_bias, &[1.0 - 22.0]);
        center(&mut moved, true);
        assert_eq!(moved, parts);
    }

    #[test]
    fn thresholds_below_zero_are_zero_and_what_is_no_number_stays() {
        let read = thresholds(vec![-1.0, 0.5, f32::NAN]);
        assert_eq!(read[..2], [0.0, 0.5]);
        assert!(read[2].is_nan());
    }
}
