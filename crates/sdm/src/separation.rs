//! Separation functions: how strongly a read is drawn to each stored pattern.
//!
//! A read of an associative memory compares the query with every stored pattern (similarity), turns the
//! similarities into weights (separation), and returns the weighted mean of what is stored (projection).
//! Memories differ in their separation only, so all of them run on the same patterns:
//!
//! | | weight of a pattern |
//! |---|---|
//! | [`Circles`] | expected number of neurons within d bits of both pattern and query, Paper A, Eq. (1) |
//! | [`SampledCircles`] | the same for finitely many neurons, rounded up or down at random |
//! | [`Caps`], [`SampledCaps`] | the same on the sphere: continuous SDM |
//! | [`Neurons`] | the number of real neurons that both activate: the neuron view |
//! | [`Softmax`] | exp(β·cos): attention |
//! | [`Sparsemax`], [`TopK`] | attention that gives most patterns no weight |

mod attention;
mod caps;
mod circles;
mod neurons;

pub use attention::{Softmax, Sparsemax, TopK};
pub use caps::{Caps, SampledCaps};
pub use circles::{Circles, SampledCircles};
pub use neurons::Neurons;

use geometry::{cosine_from_hamming, hamming_from_cosine};
use seed::Rng;

/// How near each stored pattern is to a query, in stored order.
#[derive(Clone, Copy, Debug)]
pub enum Similarities<'a> {
    /// Hamming distances between addresses of this many bits.
    Distances {
        /// Bits n of an address.
        n_bits: usize,
        /// Distance to each pattern.
        distances: &'a [u32],
    },
    /// Cosines between unit vectors.
    Cosines(&'a [f32]),
}

impl Similarities<'_> {
    /// The number of stored patterns.
    pub fn n_patterns(&self) -> usize {
        match self {
            Self::Distances { distances, .. } => distances.len(),
            Self::Cosines(cosines) => cosines.len(),
        }
    }

    /// The cosine with each pattern; for addresses 1 − 2d/n, Paper A's map from distance to cosine.
    pub fn cosines(&self) -> Vec<f32> {
        match *self {
            Self::Distances { n_bits, distances } => {
                let cosines = cosine_table(n_bits);
                distances.iter().map(|distance| cosines[*distance as usize]).collect()
            }
            Self::Cosines(cosines) => cosines.to_vec(),
        }
    }

    /// The place in 0..=n of each pattern's Hamming distance; for cosines ⌊n(1−cos)/2⌋, Paper A's map from
    /// cosine to distance.
    pub fn distances(&self, n_bits: usize) -> Vec<usize> {
        match *self {
            Self::Distances { distances, .. } => {
                distances.iter().map(|distance| *distance as usize).collect()
            }
            Self::Cosines(cosines) => cosines
                .iter()
                .map(|cosine| hamming_from_cosine(n_bits, f64::from(*cosine)))
                .collect(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a cosine in 32 bits")]
fn cosine_table(n_bits: usize) -> Vec<f32> {
    (0..=n_bits).map(|distance| cosine_from_hamming(n_bits, distance as f64) as f32).collect()
}

/// A query as a separation function sees it.
#[derive(Clone, Copy, Debug)]
pub struct Cue<'a> {
    /// The packed bits of the query's address; of a vector, which coordinates are positive.
    pub address: &'a [u64],
    /// How near each stored pattern is.
    pub similarities: Similarities<'a>,
}

/// The separation function of an associative memory.
pub trait Separation: core::fmt::Debug + Sync {
    /// Writes the weight of each stored pattern: not negative, not normalized, the same order. All zeros
    /// mean that the query reaches no pattern.
    ///
    /// # Randomness
    ///
    /// Only the sampled counts draw, from `rng`.
    ///
    /// # Panics
    ///
    /// If there are not as many weights as patterns.
    fn weigh(&self, cue: &Cue, rng: &mut Rng, weights: &mut [f32]);

    /// Whether it draws.
    fn is_random(&self) -> bool {
        false
    }
}

impl<S: Separation + ?Sized> Separation for Box<S> {
    fn weigh(&self, cue: &Cue, rng: &mut Rng, weights: &mut [f32]) {
        (**self).weigh(cue, rng, weights);
    }

    fn is_random(&self) -> bool {
        (**self).is_random()
    }
}

impl<S: Separation + ?Sized> Separation for &S {
    fn weigh(&self, cue: &Cue, rng: &mut Rng, weights: &mut [f32]) {
        (**self).weigh(cue, rng, weights);
    }

    fn is_random(&self) -> bool {
        (**self).is_random()
    }
}

/// Weights given in 64 bits, scaled so that the largest is 1: as 32-bit numbers they neither overflow nor
/// vanish together.
#[expect(clippy::cast_possible_truncation, reason = "weights in 32 bits")]
fn scaled(weights: &mut [f32], of: impl Fn(usize) -> f64) {
    let largest = (0..weights.len()).map(&of).fold(0.0, f64::max);
    if largest > 0.0 {
        let scale = 1.0 / largest;
        weights.iter_mut().enumerate().for_each(|(at, weight)| *weight = (of(at) * scale) as f32);
    } else {
        weights.fill(0.0);
    }
}

/// A count whose expected value this is, with the least variance: the integer below or above it.
#[expect(clippy::cast_possible_truncation, reason = "counts in 32 bits")]
fn rounded_at_random(expected: f64, rng: &mut Rng) -> f32 {
    let below = expected.floor();
    let fraction = expected - below;
    let above = fraction > 0.0 && rng.uniform() < fraction;
    (below + f64::from(u8::from(above))) as f32
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use seed::Seed;

    pub(crate) fn rng(purpose: &str) -> Rng {
        Seed::new(4).stream("separation-tests", purpose)
    }

    /// The weights of patterns at these cosines.
    pub(crate) fn weights(separation: &impl Separation, cosines: &[f32]) -> Vec<f32> {
        let mut weights = vec![f32::NAN; cosines.len()];
        let cue = Cue { address: &[], similarities: Similarities::Cosines(cosines) };
        separation.weigh(&cue, &mut rng("weights"), &mut weights);
        weights
    }

    #[test]
    fn distances_and_cosines_are_two_names_of_one_thing() {
        let distances: Vec<u32> = (0..=64).collect();
        let places: Vec<usize> = (0..=64).collect();
        let addresses = Similarities::Distances { n_bits: 64, distances: &distances };
        assert_eq!(addresses.distances(64), places);
        let cosines = addresses.cosines();
        assert_eq!((cosines[0], cosines[16], cosines[64]), (1.0, 0.5, -1.0));
        assert_eq!(Similarities::Cosines(&cosines).distances(64), places);
    }

    #[test]
    fn random_rounding_keeps_the_mean() {
        let mut rng = rng("rounding");
        let draws: Vec<f64> =
            (0..20_000).map(|_| f64::from(rounded_at_random(2.3, &mut rng))).collect();
        assert!(draws.iter().all(|draw| [2.0, 3.0].contains(draw)));
        // Standard error 0.0032.
        assert!((stats::mean(&draws).unwrap() - 2.3).abs() < 0.013);
        assert_eq!(rounded_at_random(5.0, &mut rng), 5.0);
    }
}
