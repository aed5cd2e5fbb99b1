//! The optimal radii of a memory, together.

use super::{
    bit_z_score, capacity_optimal_fraction, published_critical_distance, snr_optimal_fraction,
    step_distances,
};
use crate::SdmError;
use geometry::HammingSpace;

/// The three radii that Paper A calls optimal, with the fractions p* that the closed forms ask for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimalRadii {
    /// `d*_SNR`, the radius at `snr_fraction`.
    pub snr: usize,
    /// `p*` of [`snr_optimal_fraction`].
    pub snr_fraction: f64,
    /// `d*_CD`: the smallest of the radii with the largest [`published_critical_distance`]; none in an
    /// overloaded memory, where no radius lets a query at any distance converge.
    pub critical_distance: Option<usize>,
    /// `d*_Mem`, the radius at `memory_fraction`.
    pub memory: usize,
    /// `p*` of [`capacity_optimal_fraction`].
    pub memory_fraction: f64,
}

/// The optimal radii of a memory with m patterns and r neurons, if a whole pattern is to be read
/// without error with probability `pattern_probability`.
///
/// # Errors
///
/// [`SdmError::Range`] and [`SdmError::Fit`] as [`snr_optimal_fraction`], [`capacity_optimal_fraction`]
/// and [`bit_z_score`].
///
/// # Source
///
/// Paper A, appendix, Table 1.
///
/// # Examples
///
/// ```
/// // The memory of the paper's figures: n = 64, m = 1024, r = 2^64.
/// let space = geometry::HammingSpace::new(64)?;
/// let radii = sdm::optimal::optimal_radii(&space, 1024, libm::exp2(64.0), 0.5)?;
/// assert_eq!((radii.snr, radii.memory, radii.critical_distance), (11, 5, Some(15)));
/// # Ok::<(), sdm::SdmError>(())
/// ```
pub fn optimal_radii(
    space: &HammingSpace,
    n_patterns: u64,
    n_neurons: f64,
    pattern_probability: f64,
) -> Result<OptimalRadii, SdmError> {
    let snr_fraction = snr_optimal_fraction(n_patterns, n_neurons)?.min(1.0);
    let z = bit_z_score(pattern_probability, space.dimension())?;
    let memory_fraction = capacity_optimal_fraction(n_neurons, z)?.min(1.0);
    let ln_r = libm::log(n_neurons);
    let (mut critical_distance, mut farthest) = (None, 0);
    for radius in 1..=space.dimension() / 2 {
        let steps = step_distances(&ln_expected_neurons(space, radius, ln_r), n_patterns);
        let reach = published_critical_distance(&steps);
        if reach > farthest {
            (critical_distance, farthest) = (Some(radius), reach);
        }
    }
    Ok(OptimalRadii {
        snr: space.radius_at_fraction(snr_fraction)?,
        snr_fraction,
        critical_distance,
        memory: space.radius_at_fraction(memory_fraction)?,
        memory_fraction,
    })
}

/// ln I(`d_v`) for every distance 0..=n, where I is the expected number among r neurons at random
/// addresses: the circle intersection times r/2ⁿ.
///
/// The number of neurons comes as ln r, so that r = 2ⁿ may exceed the range of `f64`.
///
/// # Source
///
/// Paper A, Eq. (2).
///
/// # Examples
///
/// ```
/// // n = 3, d = 1: balls of four points; with r = 16 there are two neurons at each.
/// let space = geometry::HammingSpace::new(3)?;
/// let ln_neurons = sdm::optimal::ln_expected_neurons(&space, 1, 16_f64.ln());
/// assert!((ln_neurons[0] - 8_f64.ln()).abs() < 1e-14);
/// assert!((ln_neurons[1] - 4_f64.ln()).abs() < 1e-14);
/// # Ok::<(), sdm::SdmError>(())
/// ```
pub fn ln_expected_neurons(space: &HammingSpace, radius: usize, ln_n_neurons: f64) -> Vec<f64> {
    let ln_neurons_per_point = ln_n_neurons - space.ln_points();
    space.ln_intersections(radius).into_iter().map(|ln| ln + ln_neurons_per_point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Paper A, Table 1 of the appendix (by a secondary source), and its routine at m = 1000.
    #[test]
    fn published_radii_of_the_canonical_memory() {
        let space = HammingSpace::new(1000).unwrap();
        for (m, snr, critical_distance) in [(10_000, 447, 448), (1000, 450, 451)] {
            let radii = optimal_radii(&space, m, 1e6, 0.5).unwrap();
            assert_eq!((radii.snr, radii.critical_distance), (snr, Some(critical_distance)), "{m}");
            // p* is what is asked for; the ball of the radius holds a little more, that of the radius
            // below less.
            let held = |radius| space.fraction_at_radius(radius);
            assert!(held(snr - 1) < radii.snr_fraction && radii.snr_fraction <= held(snr));
        }
    }

    // 1e5 patterns exceed the capacity of 97,085: nothing converges.
    #[test]
    fn an_overloaded_memory_has_no_critical_distance() {
        let space = HammingSpace::new(1000).unwrap();
        let radii = optimal_radii(&space, 100_000, 1e6, 0.5).unwrap();
        assert_eq!(radii.critical_distance, None);
    }

    #[test]
    fn bad_arguments_are_refused() {
        let space = HammingSpace::new(8).unwrap();
        assert!(optimal_radii(&space, 0, 10.0, 0.5).is_err());
        assert!(optimal_radii(&space, 1, f64::NAN, 0.5).is_err());
        assert!(optimal_radii(&space, 1, 10.0, 0.0).is_err());
    }
}
