//! Intersections of spherical caps: continuous SDM.

use geometry::cap::{cap_angle, ln_cap_intersection_fraction};
use rayon::prelude::*;
use seed::Rng;

use super::{Cue, Separation, rounded_at_random, scaled};
use crate::SdmError;
use crate::optimal::check_neurons;

/// Places of the table; the paper's code keeps as many cosines.
const TABLE: usize = 10_000;

/// The fraction of the sphere in both caps, relative to a whole cap, as a table over sin(θ/2) = √((1−cos θ)/2)
/// from 0 to where the caps part. In this variable the fraction is smooth, also at θ = 0.
#[derive(Clone, Debug)]
struct Table {
    relative: Vec<f64>,
    places_per_unit: f64,
    ln_whole: f64,
}

impl Table {
    fn new(n: usize, radius: usize) -> Result<Self, SdmError> {
        let angle = cap_angle(n, radius);
        // Caps of angle t part at θ = 2t.
        let last = libm::sin(angle);
        let place = |place: usize| {
            let separation = 2.0 * libm::asin((last * place as f64 / TABLE as f64).min(1.0));
            ln_cap_intersection_fraction(n, angle, separation)
        };
        let ln_fractions: Vec<f64> =
            (0..=TABLE).into_par_iter().map(place).collect::<Result<_, _>>()?;
        let ln_whole = ln_fractions[0];
        let relative = ln_fractions.iter().map(|ln| libm::exp(ln - ln_whole)).collect();
        Ok(Self { relative, places_per_unit: TABLE as f64 / last, ln_whole })
    }

    /// Linear between the places of the table.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place is below the length of the table and not negative"
    )]
    fn at(&self, cosine: f32) -> f64 {
        let half = ((1.0 - f64::from(cosine)) / 2.0).max(0.0).sqrt();
        let place = half * self.places_per_unit;
        let below = place as usize;
        match self.relative.get(below..below + 2) {
            Some(ends) => ends[0] + (place - below as f64) * (ends[1] - ends[0]),
            None => 0.0,
        }
    }
}

/// Continuous SDM with neurons everywhere on the sphere: the area of the intersection of two caps, relative
/// to one cap.
///
/// # Source
///
/// Paper A, continuous SDM (`Cont_SDM` in the authors' code). From a table of 10,000 places; within 1e-5 of
/// [`ln_cap_intersection_fraction`] where the weight is not negligible.
#[derive(Clone, Debug)]
pub struct Caps {
    table: Table,
}

impl Caps {
    /// The weights for caps that stand for Hamming balls of radius d in n dimensions.
    ///
    /// # Errors
    ///
    /// [`SdmError::Geometry`] unless n ≥ 2 and 0 < d ≤ n/2.
    pub fn new(n: usize, radius: usize) -> Result<Self, SdmError> {
        Ok(Self { table: Table::new(n, radius)? })
    }
}

impl Separation for Caps {
    fn weigh(&self, cue: &Cue, _: &mut Rng, weights: &mut [f32]) {
        let cosines = cue.similarities.cosines();
        assert_eq!(cosines.len(), weights.len(), "a weight for each pattern");
        let relative: Vec<f64> = cosines.iter().map(|cosine| self.table.at(*cosine)).collect();
        scaled(weights, |pattern| relative[pattern]);
    }
}

/// Continuous SDM with finitely many neurons: the expected number in the intersection of two caps, rounded
/// up with the probability of its fraction and down otherwise, anew at each read.
///
/// # Source
///
/// Paper A, `Cont_SDM_NeuronLimit` of the authors' code. Departs from it by default: the code adds 2 in
/// the place of ln 2 to the logarithm of the area, so its counts are e²/2 ≈ 3.69 times too large;
/// [`SampledCaps::published`] has them.
#[derive(Clone, Debug)]
pub struct SampledCaps {
    table: Table,
    whole: f64,
    least: f32,
}

impl SampledCaps {
    /// The counts for caps that stand for Hamming balls of radius d in n dimensions, with r neurons.
    ///
    /// # Errors
    ///
    /// [`SdmError::Geometry`] unless n ≥ 2 and 0 < d ≤ n/2, [`SdmError::Range`] unless r is positive and
    /// finite.
    pub fn new(n: usize, radius: usize, n_neurons: f64) -> Result<Self, SdmError> {
        check_neurons(n_neurons)?;
        let table = Table::new(n, radius)?;
        let whole = n_neurons * libm::exp(table.ln_whole);
        Ok(Self { table, whole, least: 0.0 })
    }

    /// The counts of the authors' code, e²/2 times as many, and never less than 10⁻³⁰, which it adds before
    /// it takes a logarithm: a query that reaches no neuron reads the mean of all patterns.
    ///
    /// # Errors
    ///
    /// As [`SampledCaps::new`].
    pub fn published(n: usize, radius: usize, n_neurons: f64) -> Result<Self, SdmError> {
        let right = Self::new(n, radius, n_neurons)?;
        Ok(Self { whole: right.whole * libm::exp(2.0) / 2.0, least: 1e-30, ..right })
    }
}

impl Separation for SampledCaps {
    fn weigh(&self, cue: &Cue, rng: &mut Rng, weights: &mut [f32]) {
        let cosines = cue.similarities.cosines();
        assert_eq!(cosines.len(), weights.len(), "a weight for each pattern");
        for (weight, cosine) in weights.iter_mut().zip(cosines) {
            let count = rounded_at_random(self.whole * self.table.at(cosine), rng);
            *weight = count.max(self.least);
        }
    }

    fn is_random(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::weights;
    use super::*;

    #[test]
    fn the_table_agrees_with_the_integral() {
        for (n, radius) in [(64, 5), (64, 27), (1000, 451)] {
            let table = Table::new(n, radius).unwrap();
            let angle = cap_angle(n, radius);
            for step in 0_u16..200 {
                let cosine = 1.0 - f32::from(step * step % 199) / 199.0;
                let separation = libm::acos(f64::from(cosine));
                let ln = ln_cap_intersection_fraction(n, angle, separation).unwrap();
                let exact = libm::exp(ln - table.ln_whole);
                let got = table.at(cosine);
                assert!(
                    (got - exact).abs() < 1e-5 * exact.max(1e-6),
                    "{n} {cosine}: {got} {exact}"
                );
            }
        }
    }

    // Paper A, weights printed by the authors' notebook: d = 11 and d = 5 at n = 64.
    #[test]
    fn published_weights() {
        let cosines: Vec<f32> = (0_u8..=64).map(|d_v| 1.0 - f32::from(d_v) / 32.0).collect();
        for (radius, published) in
            [(11, [0.5454, 0.2029, 0.1101, 0.0621]), (5, [0.88154, 0.09591, 0.01840, 0.00345])]
        {
            let weights = weights(&Caps::new(64, radius).unwrap(), &cosines);
            let total: f32 = weights.iter().sum();
            for (weight, published) in weights.iter().zip(published) {
                assert!((weight / total - published).abs() < 6e-5, "{radius}: {weights:?}");
            }
        }
    }

    #[test]
    fn caps_that_do_not_meet_have_no_weight() {
        // t = arccos(1 − 22/64), so the caps part below cos 2t.
        let caps = Caps::new(64, 11).unwrap();
        let apart = libm::cos(2.0 * cap_angle(64, 11));
        #[expect(clippy::cast_possible_truncation, reason = "a cosine")]
        let beyond = (apart - 1e-4) as f32;
        assert_eq!(weights(&caps, &[beyond, -1.0]), [0.0, 0.0]);
        assert_eq!(weights(&caps, &[1.0, 1.000_001]), [1.0, 1.0]);
    }

    #[test]
    fn the_published_counts_are_too_large_by_a_constant_and_never_nothing() {
        let right = SampledCaps::new(64, 15, 1e6).unwrap();
        let published = SampledCaps::published(64, 15, 1e6).unwrap();
        assert!((published.whole / right.whole - 3.694_528).abs() < 1e-6);
        assert_eq!((weights(&right, &[-1.0])[0], weights(&published, &[-1.0])[0]), (0.0, 1e-30));
    }
}
