//! Normalized weights of stored patterns: attention's, and the memory's own.

use crate::SdmError;

/// The weights of attention, softmax: exp(β·cosᵢ)/Σⱼ exp(β·cosⱼ).
///
/// # Errors
///
/// [`SdmError::NoWeight`] without cosines, [`SdmError::Range`] if β or a cosine is not finite.
///
/// # Source
///
/// Paper A, the relation to attention.
///
/// # Examples
///
/// ```
/// // exp(ln 3) : exp(0) = 3 : 1
/// let weights = sdm::softmax_weights(3_f64.ln(), &[1.0, 0.0])?;
/// assert!((weights[0] - 0.75).abs() < 1e-15 && (weights[1] - 0.25).abs() < 1e-15);
/// # Ok::<(), sdm::SdmError>(())
/// ```
pub fn softmax_weights(beta: f64, cosines: &[f64]) -> Result<Vec<f64>, SdmError> {
    for (what, &value) in
        std::iter::once(("β", &beta)).chain(cosines.iter().map(|c| ("a cosine", c)))
    {
        if !value.is_finite() {
            return Err(SdmError::Range { what, got: value, interval: "(−∞, ∞)" });
        }
    }
    let logits: Vec<f64> = cosines.iter().map(|cosine| beta * cosine).collect();
    normalize(&logits)
}

/// The weights of the memory, wᵢ/Σⱼwⱼ, from the logarithms of the sizes of the intersections.
///
/// A size of zero, −∞, has weight 0. Adding a constant to all logarithms changes nothing, so neither
/// the number of neurons nor the choice between counts and fractions matters.
///
/// # Errors
///
/// [`SdmError::NoWeight`] without patterns or if all sizes are zero, [`SdmError::Range`] for NaN or +∞.
///
/// # Source
///
/// Paper A, Eq. (1).
///
/// # Examples
///
/// ```
/// let weights = sdm::weights_from_ln_counts(&[3_f64.ln(), 0.0, f64::NEG_INFINITY])?;
/// assert!((weights[0] - 0.75).abs() < 1e-15);
/// assert_eq!(weights[2], 0.0);
/// # Ok::<(), sdm::SdmError>(())
/// ```
pub fn weights_from_ln_counts(ln_counts: &[f64]) -> Result<Vec<f64>, SdmError> {
    if let Some(&got) = ln_counts.iter().find(|v| v.is_nan() || **v == f64::INFINITY) {
        return Err(SdmError::Range {
            what: "the logarithm of a count", got, interval: "[−∞, ∞)"
        });
    }
    normalize(ln_counts)
}

fn normalize(logits: &[f64]) -> Result<Vec<f64>, SdmError> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return Err(SdmError::NoWeight { n_patterns: logits.len() });
    }
    let weights: Vec<f64> = logits.iter().map(|logit| libm::exp(logit - largest)).collect();
    let total = stats::sum(weights.iter().copied());
    Ok(weights.into_iter().map(|weight| weight / total).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_do_not_depend_on_scale_and_do_not_overflow() {
        let weights = weights_from_ln_counts(&[5000.0, 4999.0, 0.0]).unwrap();
        let shifted = weights_from_ln_counts(&[0.0, -1.0, -5000.0]).unwrap();
        assert_eq!(weights, shifted);
        assert!((stats::sum(weights) - 1.0).abs() < 1e-15);
        let sharp = softmax_weights(1e6, &[1.0, 0.999]).unwrap();
        assert_eq!(sharp, [1.0, 0.0]);
    }

    #[test]
    fn zero_beta_is_uniform() {
        assert_eq!(softmax_weights(0.0, &[1.0, -1.0, 0.3, 0.0]).unwrap(), [0.25; 4]);
    }

    #[test]
    fn bad_arguments_are_refused() {
        let empty = Err(SdmError::NoWeight { n_patterns: 0 });
        assert_eq!(softmax_weights(1.0, &[]), empty);
        assert_eq!(weights_from_ln_counts(&[]), empty);
        let zero = weights_from_ln_counts(&[f64::NEG_INFINITY; 2]);
        assert_eq!(zero, Err(SdmError::NoWeight { n_patterns: 2 }));
        assert!(matches!(weights_from_ln_counts(&[f64::NAN]), Err(SdmError::Range { .. })));
        assert!(matches!(softmax_weights(f64::INFINITY, &[1.0]), Err(SdmError::Range { .. })));
        assert!(matches!(softmax_weights(1.0, &[f64::NAN]), Err(SdmError::Range { .. })));
    }
}
