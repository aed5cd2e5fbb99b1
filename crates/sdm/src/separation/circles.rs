//! Circle intersections: SDM in the pattern view.

use geometry::HammingSpace;
use seed::Rng;

use super::{Cue, Separation, rounded_at_random, scaled};
use crate::SdmError;
use crate::optimal::check_neurons;

/// SDM in the pattern view with a neuron at every address: `w = I(d_v)/I(0)`.
///
/// For cosines the distance is ⌊n(1−cos)/2⌋, which makes it the paper's binary weights of continuous
/// patterns (`Cont_Binary_SDM` in the authors' code).
///
/// # Source
///
/// Paper A, Eq. (1) and Eq. (2).
///
/// # Examples
///
/// ```
/// use sdm::separation::{Circles, Cue, Separation, Similarities};
///
/// // n = 3, d = 1: 4 points are within one bit of a point, 2 of it and a neighbor, none at distance 3.
/// let circles = Circles::new(3, 1)?;
/// let cue = Cue {
///     address: &[0],
///     similarities: Similarities::Distances { n_bits: 3, distances: &[0, 1, 3] },
/// };
/// let mut weights = [0.0; 3];
/// circles.weigh(&cue, &mut seed::Seed::new(0).stream("doc", "none"), &mut weights);
/// assert!((weights[1] - 0.5).abs() < 1e-6 && weights[0] == 1.0 && weights[2] == 0.0);
/// # Ok::<(), sdm::SdmError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Circles {
    n_bits: usize,
    relative: Vec<f64>,
}

impl Circles {
    /// The weights at Hamming radius d in n bits.
    ///
    /// # Errors
    ///
    /// [`SdmError::Geometry`] for a space that cannot be.
    pub fn new(n_bits: usize, radius: usize) -> Result<Self, SdmError> {
        let ln_counts = HammingSpace::new(n_bits)?.ln_intersections(radius);
        let relative = ln_counts.iter().map(|ln_count| libm::exp(ln_count - ln_counts[0]));
        Ok(Self { n_bits, relative: relative.collect() })
    }
}

impl Separation for Circles {
    fn weigh(&self, cue: &Cue, _: &mut Rng, weights: &mut [f32]) {
        let distances = cue.similarities.distances(self.n_bits);
        assert_eq!(distances.len(), weights.len(), "a weight for each pattern");
        scaled(weights, |pattern| self.relative[distances[pattern]]);
    }
}

/// SDM in the pattern view with finitely many neurons: the expected number `r·I(d_v)/2ⁿ`, rounded up with the
/// probability of its fraction and down otherwise, anew at each read.
///
/// # Source
///
/// Paper A, the authors' `NeuronLimit` algorithms. A real store ([`super::Neurons`]) has counts of larger
/// variance, and the same ones at each read.
#[derive(Clone, Debug)]
pub struct SampledCircles {
    n_bits: usize,
    expected: Vec<f64>,
}

impl SampledCircles {
    /// The counts at Hamming radius d in n bits with r neurons.
    ///
    /// # Errors
    ///
    /// [`SdmError::Geometry`] for a space that cannot be, [`SdmError::Range`] unless r is positive and
    /// finite.
    pub fn new(n_bits: usize, radius: usize, n_neurons: f64) -> Result<Self, SdmError> {
        check_neurons(n_neurons)?;
        let space = HammingSpace::new(n_bits)?;
        let ln_density = libm::log(n_neurons) - space.ln_points();
        let ln_counts = space.ln_intersections(radius);
        let expected = ln_counts.iter().map(|ln_count| libm::exp(ln_count + ln_density));
        Ok(Self { n_bits, expected: expected.collect() })
    }
}

impl Separation for SampledCircles {
    fn weigh(&self, cue: &Cue, rng: &mut Rng, weights: &mut [f32]) {
        let distances = cue.similarities.distances(self.n_bits);
        assert_eq!(distances.len(), weights.len(), "a weight for each pattern");
        for (weight, distance) in weights.iter_mut().zip(distances) {
            *weight = rounded_at_random(self.expected[distance], rng);
        }
    }

    fn is_random(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::Similarities;
    use super::super::tests::rng;
    use super::*;

    fn at(separation: &impl Separation, distances: &[u32]) -> Vec<f32> {
        let cue =
            Cue { address: &[], similarities: Similarities::Distances { n_bits: 64, distances } };
        let mut weights = vec![0.0; distances.len()];
        separation.weigh(&cue, &mut rng("circles"), &mut weights);
        weights
    }

    // Paper A, normalized weights at n = 64, d = 11.
    #[test]
    fn published_weights() {
        let distances: Vec<u32> = (0..=64).collect();
        let weights = at(&Circles::new(64, 11).unwrap(), &distances);
        let total: f32 = weights.iter().sum();
        let published = [0.46377, 0.15594, 0.15594, 0.065_784, 0.065_784, 0.028_095, 0.028_095];
        for (weight, published) in weights.iter().zip(published) {
            assert!((weight / total - published).abs() < 6e-6);
        }
    }

    #[test]
    fn a_pattern_far_away_still_counts_where_it_is_alone() {
        let circles = Circles::new(64, 11).unwrap();
        assert_eq!(at(&circles, &[22]), [1.0]);
        assert_eq!(at(&circles, &[23]), [0.0], "beyond 2d");
    }

    #[test]
    fn sampled_counts_are_whole_and_right_on_average() {
        let sampled = SampledCircles::new(64, 15, 1e6).unwrap();
        let expected = sampled.expected[0];
        let counts = at(&sampled, &vec![0; 10_000]);
        assert!(counts.iter().all(|count| count.fract() == 0.0));
        let mean = stats::mean(&counts.iter().map(|c| f64::from(*c)).collect::<Vec<_>>()).unwrap();
        assert!((mean - expected).abs() < 0.025, "{mean} {expected}");
        assert!(SampledCircles::new(64, 15, 0.0).is_err());
    }
}
