//! How many patterns a memory holds.

use super::signal::check_neurons;
use crate::SdmError;
use stats::normal_quantile;

/// The z-score z = Φ⁻¹(q^{1/n}) that every one of n bits must reach for a whole pattern to be read
/// without error with probability q.
///
/// # Errors
///
/// [`SdmError::Fit`] unless 0 < q < 1 and n > 0.
///
/// # Source
///
/// Paper A, capacity; its code uses q = 0.5, its text speaks of 99 %.
///
/// # Examples
///
/// ```
/// // One bit, three standard deviations out.
/// let z = sdm::optimal::bit_z_score(0.9986501019683699, 1)?;
/// assert!((z - 3.0).abs() < 1e-12);
/// # Ok::<(), sdm::SdmError>(())
/// ```
pub fn bit_z_score(pattern_probability: f64, n: usize) -> Result<f64, SdmError> {
    Ok(normal_quantile(libm::pow(pattern_probability, 1.0 / n as f64))?)
}

/// The number of patterns that can be stored before the signal-to-noise ratio at distance 0 falls below
/// z, [`signal_to_noise`](super::signal_to_noise) solved for m:
///
/// m = (I(0)²/z² − I(0))/(I₀ + I₀²) + 1.
///
/// `ln_signal` is ln I(0) and `ln_background` ln I₀ = ln I(n/2), as expected numbers of neurons. +∞
/// where unrelated patterns share no neuron; below 1 where even one pattern does not reach z.
///
/// # Source
///
/// Paper A, Eq. (25) solved for m.
///
/// # Examples
///
/// ```
/// // I(0) = 4, I₀ = 1, z = 1: (16 − 4)/2 + 1 = 7
/// assert!((sdm::optimal::capacity(4_f64.ln(), 0.0, 1.0) - 7.0).abs() < 1e-14);
/// ```
pub fn capacity(ln_signal: f64, ln_background: f64, z_score: f64) -> f64 {
    let excess = libm::exp(ln_signal) / (z_score * z_score) - 1.0;
    libm::exp(ln_signal - ln_background) * excess / (1.0 + libm::exp(ln_background)) + 1.0
}

/// [`capacity`] with I(0) = pr and I₀ ≈ p²r, as if the two balls around unrelated patterns were
/// independent:
///
/// m = ((pr)²/z² − pr)/(p²r + (p²r)²) + 1.
///
/// # Source
///
/// Paper A, capacity.
///
/// # Examples
///
/// ```
/// // p = 1/2, r = 8, z = 1: (16 − 4)/(2 + 4) + 1 = 3
/// assert_eq!(sdm::optimal::capacity_approximation(0.5, 8.0, 1.0), 3.0);
/// ```
pub fn capacity_approximation(fraction: f64, n_neurons: f64, z_score: f64) -> f64 {
    // Numerator and denominator divided by pr, so that neither overflows.
    let (p, signal) = (fraction, fraction * n_neurons);
    (signal / (z_score * z_score) - 1.0) / (p * (1.0 + p * signal)) + 1.0
}

/// The fraction p* of the space within the radius that maximizes [`capacity_approximation`]: the
/// positive root of
///
/// −2r²p³ + 3rz²p² + z² = 0.
///
/// With u = p·r^{2/3} and κ = z²·r^{−1/3} the root is that of g(u) = 2u³ − 3κu² − z², found by Newton's
/// method from 3κ/2 + (z²/2)^{1/3}, where g ≥ 0; g is convex from its root on, so that the iteration falls
/// monotonically to it.
///
/// # Errors
///
/// [`SdmError::Range`] unless r and z are positive and finite.
///
/// # Source
///
/// Paper A, the radius `d*_Mem`.
///
/// # Examples
///
/// ```
/// use sdm::optimal::{bit_z_score, capacity_optimal_fraction};
///
/// // n = 64, r = 2^64, q = 0.5: p* = 1.97993e-13, and the radius is 5.
/// let p = capacity_optimal_fraction(libm::exp2(64.0), bit_z_score(0.5, 64)?)?;
/// assert_eq!(geometry::HammingSpace::new(64)?.radius_at_fraction(p)?, 5);
/// # Ok::<(), sdm::SdmError>(())
/// ```
pub fn capacity_optimal_fraction(n_neurons: f64, z_score: f64) -> Result<f64, SdmError> {
    check_neurons(n_neurons)?;
    if !(z_score > 0.0 && z_score.is_finite()) {
        return Err(SdmError::Range { what: "the z-score", got: z_score, interval: "(0, ∞)" });
    }
    let scale = libm::cbrt(n_neurons);
    let z_squared = z_score * z_score;
    let kappa = z_squared / scale;
    let mut u = 1.5 * kappa + libm::cbrt(0.5 * z_squared);
    for _ in 0..100 {
        let step = (u * u * (2.0 * u - 3.0 * kappa) - z_squared) / (6.0 * u * (u - kappa));
        u -= step;
        if step.abs() <= 1e-16 * u {
            break;
        }
    }
    Ok(u / (scale * scale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimal::signal_to_noise;
    use geometry::HammingSpace;

    // Paper A, d*_Mem: z, p* and, for n = 64, the radius.
    #[test]
    fn published_optima() {
        let all = libm::exp2(64.0);
        let space = HammingSpace::new(64).unwrap();
        for (q, z_published, p_published) in [(0.5, 2.2983, 1.97993e-13), (0.99, 3.6034, 2.672e-13)]
        {
            let z = bit_z_score(q, 64).unwrap();
            assert!((z - z_published).abs() < 5e-5);
            let p = capacity_optimal_fraction(all, z).unwrap();
            assert!((p / p_published - 1.0).abs() < 5e-5, "{p}");
            assert_eq!(space.radius_at_fraction(p).unwrap(), 5);
        }
        for (r, p_published) in [(1e6, 1.4226e-4), (1e9, 1.397_676e-6)] {
            let p = capacity_optimal_fraction(r, 2.33).unwrap();
            assert!((p / p_published - 1.0).abs() < 3e-5, "{p}");
        }
        let m = capacity_approximation(capacity_optimal_fraction(1e6, 2.33).unwrap(), 1e6, 2.33);
        assert!((m - 173_657.0).abs() < 0.5, "{m}");
    }

    // Paper A, n = 1000, r = 1e6, q = 0.5: the approximation, and the best radius with I(n/2) exact.
    #[test]
    fn published_capacity_of_the_canonical_memory() {
        let z = bit_z_score(0.5, 1000).unwrap();
        let p = capacity_optimal_fraction(1e6, z).unwrap();
        assert!((p / 1.775e-4 - 1.0).abs() < 3e-4, "{p}");
        assert!((capacity_approximation(p, 1e6, z) - 89_356.0).abs() < 0.6);

        let space = HammingSpace::new(1000).unwrap();
        let ln_neurons_per_point = libm::log(1e6) - space.ln_points();
        let capacity_at = |radius: usize| {
            let ln_counts = space.ln_intersections(radius);
            capacity(ln_counts[0] + ln_neurons_per_point, ln_counts[500] + ln_neurons_per_point, z)
        };
        let best = (400..480).max_by(|&a, &b| capacity_at(a).total_cmp(&capacity_at(b))).unwrap();
        assert_eq!(best, 443);
        assert!((capacity_at(best) - 97_085.0).abs() < 0.5, "{}", capacity_at(best));
    }

    #[test]
    fn at_capacity_the_ratio_is_z() {
        let (ln_signal, ln_background, z) = (7.0, -1.5, 2.5);
        let m = capacity(ln_signal, ln_background, z);
        let (i, i_0) = (libm::exp(ln_signal), libm::exp(ln_background));
        let ratio = i / (i + (m - 1.0) * (i_0 + i_0 * i_0)).sqrt();
        assert!((ratio - z).abs() < 1e-12);
        // The same from the ratio's side: m lies between 701019 and 701020 patterns.
        assert!((701_019.0..701_020.0).contains(&m), "{m}");
        let [fewer, more] = [701_019, 701_020]
            .map(|n_patterns| signal_to_noise(ln_signal, ln_background, n_patterns).unwrap());
        assert!(fewer >= z && z >= more);
        assert_eq!(capacity(7.0, f64::NEG_INFINITY, z), f64::INFINITY);
    }

    #[test]
    fn optimal_fraction_is_a_maximum() {
        for (r, z) in [(1e3, 1.0), (1e6, 2.33), (1e6, 30.0), (1e30, 3.0)] {
            let p = capacity_optimal_fraction(r, z).unwrap();
            let best = capacity_approximation(p, r, z);
            assert!(best >= capacity_approximation(p * 1.001, r, z), "{r} {z}");
            assert!(best >= capacity_approximation(p * 0.999, r, z), "{r} {z}");
        }
    }

    #[test]
    fn bad_arguments_are_refused() {
        assert!(bit_z_score(1.0, 64).is_err());
        assert!(bit_z_score(0.5, 0).is_err());
        assert!(capacity_optimal_fraction(0.0, 1.0).is_err());
        assert!(capacity_optimal_fraction(1e6, 0.0).is_err());
        assert!(capacity_optimal_fraction(1e6, f64::NAN).is_err());
    }
}
