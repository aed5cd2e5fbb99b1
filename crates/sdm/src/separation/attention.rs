//! Attention and its sparse relatives.

use seed::Rng;

use super::{Cue, Separation};
use crate::SdmError;

fn check_beta(beta: f32) -> Result<f32, SdmError> {
    if beta > 0.0 && beta.is_finite() {
        return Ok(beta);
    }
    Err(SdmError::Range { what: "β", got: f64::from(beta), interval: "(0, ∞)" })
}

/// Attention: w = exp(β·(cos − max cos)).
///
/// # Source
///
/// Paper A, the relation to attention; the update of modern Hopfield networks.
///
/// # Examples
///
/// ```
/// use sdm::separation::{Cue, Separation, Similarities, Softmax};
///
/// let mut weights = [0.0; 2];
/// let cue = Cue { address: &[], similarities: Similarities::Cosines(&[0.5, 0.0]) };
/// let softmax = Softmax::new(2.0 * 3_f32.ln())?;
/// softmax.weigh(&cue, &mut seed::Seed::new(0).stream("doc", "none"), &mut weights);
/// assert!((weights[0] / weights[1] - 3.0).abs() < 1e-5);
/// # Ok::<(), sdm::SdmError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Softmax {
    beta: f32,
}

impl Softmax {
    /// Attention at inverse temperature β.
    ///
    /// # Errors
    ///
    /// [`SdmError::Range`] unless β is positive and finite.
    pub fn new(beta: f32) -> Result<Self, SdmError> {
        Ok(Self { beta: check_beta(beta)? })
    }
}

impl Separation for Softmax {
    fn weigh(&self, cue: &Cue, _: &mut Rng, weights: &mut [f32]) {
        let cosines = cue.similarities.cosines();
        assert_eq!(cosines.len(), weights.len(), "a weight for each pattern");
        let largest = cosines.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for (weight, cosine) in weights.iter_mut().zip(cosines) {
            *weight = kernels::exp(self.beta * (cosine - largest));
        }
    }
}

/// Sparsemax: the point of the probability simplex nearest to β·cos, w = max(0, β·cos − τ) with τ such that
/// the weights sum to 1.
///
/// # Source
///
/// Martins and Astudillo 2016; not in Paper A.
///
/// # Examples
///
/// ```
/// use sdm::separation::{Cue, Separation, Similarities, Sparsemax};
///
/// // z = (0.9, 0.4, −1): τ = (0.9 + 0.4 − 1)/2 = 0.15.
/// let mut weights = [0.0; 3];
/// let cue = Cue { address: &[], similarities: Similarities::Cosines(&[0.9, 0.4, -1.0]) };
/// Sparsemax::new(1.0)?.weigh(&cue, &mut seed::Seed::new(0).stream("doc", "none"), &mut weights);
/// assert!((weights[0] - 0.75).abs() < 1e-6 && (weights[1] - 0.25).abs() < 1e-6);
/// assert_eq!(weights[2], 0.0);
/// # Ok::<(), sdm::SdmError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sparsemax {
    beta: f32,
}

impl Sparsemax {
    /// Sparsemax at inverse temperature β.
    ///
    /// # Errors
    ///
    /// [`SdmError::Range`] unless β is positive and finite.
    pub fn new(beta: f32) -> Result<Self, SdmError> {
        Ok(Self { beta: check_beta(beta)? })
    }
}

impl Separation for Sparsemax {
    fn weigh(&self, cue: &Cue, _: &mut Rng, weights: &mut [f32]) {
        let cosines = cue.similarities.cosines();
        assert_eq!(cosines.len(), weights.len(), "a weight for each pattern");
        let largest = cosines.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // Relative to the largest, so that only what lies above −1 can have weight.
        let logits = || cosines.iter().map(|cosine| self.beta * (cosine - largest));
        let mut support: Vec<f32> = logits().filter(|logit| *logit > -1.0).collect();
        support.sort_by(|a, b| b.total_cmp(a));
        let (mut sum, mut threshold) = (0.0_f32, -1.0);
        for (place, logit) in support.iter().enumerate() {
            sum += logit;
            let candidate = (sum - 1.0) / (place as f32 + 1.0);
            if *logit <= candidate {
                break;
            }
            threshold = candidate;
        }
        for (weight, logit) in weights.iter_mut().zip(logits()) {
            *weight = (logit - threshold).max(0.0);
        }
    }
}

/// Softmax over the k nearest patterns, no weight for the others; of equally near ones those stored first.
///
/// With k = 1 it is the nearest neighbor.
#[derive(Clone, Copy, Debug)]
pub struct TopK {
    k: usize,
    softmax: Softmax,
}

impl TopK {
    /// The k nearest patterns at inverse temperature β.
    ///
    /// # Errors
    ///
    /// [`SdmError::Range`] unless k ≥ 1 and β is positive and finite.
    pub fn new(k: usize, beta: f32) -> Result<Self, SdmError> {
        if k == 0 {
            return Err(SdmError::Range { what: "k", got: 0.0, interval: "[1, ∞)" });
        }
        Ok(Self { k, softmax: Softmax::new(beta)? })
    }
}

impl Separation for TopK {
    fn weigh(&self, cue: &Cue, rng: &mut Rng, weights: &mut [f32]) {
        self.softmax.weigh(cue, rng, weights);
        if self.k >= weights.len() {
            return;
        }
        let cosines = cue.similarities.cosines();
        let mut order: Vec<usize> = (0..cosines.len()).collect();
        order.select_nth_unstable_by(self.k, |a, b| {
            cosines[*b].total_cmp(&cosines[*a]).then(a.cmp(b))
        });
        for pattern in &order[self.k..] {
            weights[*pattern] = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::weights;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn softmax_agrees_with_the_weights_in_64_bits() {
        let cosines = [0.9_f32, 0.85, 0.1, -0.7];
        let got = weights(&Softmax::new(15.9).unwrap(), &cosines);
        let exact = crate::softmax_weights(f64::from(15.9_f32), &cosines.map(f64::from)).unwrap();
        let total: f32 = got.iter().sum();
        for (got, exact) in got.iter().zip(exact) {
            assert!((f64::from(got / total) - exact).abs() < 1e-6);
        }
    }

    proptest! {
        #[test]
        fn sparsemax_is_the_projection_onto_the_simplex(
            cosines in prop::collection::vec(-1.0_f32..1.0, 1..40), beta in 0.1_f32..50.0,
        ) {
            let p = weights(&Sparsemax::new(beta).unwrap(), &cosines);
            let total: f32 = p.iter().sum();
            prop_assert!((total - 1.0).abs() < 1e-4, "{total}");
            // Optimality: z − p is the same where p > 0, and nowhere larger.
            let z: Vec<f32> = cosines.iter().map(|cosine| beta * cosine).collect();
            let tau = z.iter().zip(&p).filter(|(_, p)| **p > 0.0).map(|(z, p)| z - p).fold(f32::MIN, f32::max);
            for (z, p) in z.iter().zip(&p) {
                prop_assert!(z - p <= tau + 1e-4);
                prop_assert!(*p == 0.0 || (z - p - tau).abs() < 1e-4);
            }
        }

        #[test]
        fn top_k_keeps_the_k_nearest(cosines in prop::collection::vec(-1.0_f32..1.0, 1..40), k in 1_usize..50) {
            let kept = weights(&TopK::new(k, 8.0).unwrap(), &cosines);
            let all = weights(&Softmax::new(8.0).unwrap(), &cosines);
            prop_assert_eq!(kept.iter().filter(|w| **w > 0.0).count(), k.min(cosines.len()));
            for (place, weight) in kept.iter().enumerate() {
                let nearer = cosines.iter().filter(|cosine| **cosine > cosines[place]).count();
                prop_assert_eq!(*weight, if nearer < k { all[place] } else { 0.0 });
            }
        }
    }

    #[test]
    fn of_equals_top_k_keeps_the_first() {
        assert_eq!(weights(&TopK::new(2, 1.0).unwrap(), &[0.5; 4]), [1.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn bad_arguments_are_refused() {
        assert!(Softmax::new(0.0).is_err());
        assert!(Softmax::new(f32::NAN).is_err());
        assert!(Sparsemax::new(f32::INFINITY).is_err());
        assert!(TopK::new(0, 1.0).is_err());
    }
}
