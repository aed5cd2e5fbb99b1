//! How many patterns a memory holds.

use super::signal::check_neurons;
use super::{NoiseModel, ln_expected_neurons};
use crate::SdmError;
use geometry::HammingSpace;
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

/// [`capacity`] with any second moment `E[N²]` of unrelated patterns in the place of I₀ + I₀².
///
/// # Source
///
/// Paper A, Eq. (25) solved for m, with a [`NoiseModel`].
///
/// # Examples
///
/// ```
/// // I(0) = 4, E[N²] = 2, z = 1: (16 − 4)/2 + 1 = 7
/// assert!((sdm::optimal::capacity_against(4_f64.ln(), 2_f64.ln(), 1.0) - 7.0).abs() < 1e-14);
/// ```
pub fn capacity_against(ln_signal: f64, ln_second_moment: f64, z_score: f64) -> f64 {
    let excess = libm::exp(ln_signal) / (z_score * z_score) - 1.0;
    libm::exp(ln_signal - ln_second_moment) * excess + 1.0
}

/// The radius at which [`capacity_against`] is largest, with I(0) and the noise exact in the chosen
/// model, and that capacity.
///
/// Climbs from the radius of [`capacity_optimal_fraction`], one bit at a time, to the nearest maximum;
/// a test holds it against every radius. Radii at which the model has no noise at all, and the capacity
/// no bound, are left out: with [`NoiseModel::Published`] those below n/4, where two balls n/2 apart do
/// not meet. Close above them that model underrates the noise; [`NoiseModel::Exact`] does not.
///
/// # Errors
///
/// As [`capacity_optimal_fraction`].
///
/// # Source
///
/// Paper A, capacity: the full equation, where its figure has [`capacity_approximation`] beside it.
///
/// # Examples
///
/// ```
/// use sdm::optimal::{NoiseModel, best_capacity};
///
/// // n = 2, r = 4, z = 1: radius 1 has I(0) = 3 and I₀ = I(1) = 2, so (9 − 3)/(2 + 4) + 1 = 2;
/// // radius 2 has I = 4 everywhere, so (16 − 4)/(4 + 16) + 1 = 1.6.
/// let space = geometry::HammingSpace::new(2)?;
/// let (radius, patterns) = best_capacity(&space, 4.0, 1.0, NoiseModel::Published)?;
/// assert_eq!(radius, 1);
/// assert!((patterns - 2.0).abs() < 1e-14);
/// # Ok::<(), sdm::SdmError>(())
/// ```
pub fn best_capacity(
    space: &HammingSpace,
    n_neurons: f64,
    z_score: f64,
    model: NoiseModel,
) -> Result<(usize, f64), SdmError> {
    let fraction = capacity_optimal_fraction(n_neurons, z_score)?.min(1.0);
    let ln_r = libm::log(n_neurons);
    let at = |radius: usize| {
        let ln_neurons = ln_expected_neurons(space, radius, ln_r);
        let ln_noise = model.ln_second_moment(space, &ln_neurons, n_neurons);
        let bounded = ln_noise > f64::NEG_INFINITY;
        bounded.then(|| capacity_against(ln_neurons[0], ln_noise, z_score))
    };
    let n = space.dimension();
    let mut best = space.radius_at_fraction(fraction)?;
    while best < n && at(best).is_none() {
        best += 1;
    }
    let mut most = at(best).unwrap_or(0.0);
    for step in [usize::wrapping_add, usize::wrapping_sub] {
        let mut next = step(best, 1);
        while next <= n
            && let Some(capacity) = at(next)
            && capacity > most
        {
            (best, most) = (next, capacity);
            next = step(best, 1);
        }
    }
    Ok((best, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimal::signal_to_noise;

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
        let (best, most) = best_capacity(&space, 1e6, z, NoiseModel::Published).unwrap();
        assert_eq!(best, 443);
        assert!((most - 97_085.0).abs() < 0.5, "{most}");
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
    fn the_climb_ends_at_the_best_of_all_radii() {
        for (n, r, z) in [(64, 1e6, 2.3), (257, 1e6, 3.0), (1000, 1e6, 3.2), (100, 1e20, 1.0)] {
            let space = HammingSpace::new(n).unwrap();
            for model in [NoiseModel::Book, NoiseModel::Published, NoiseModel::Exact] {
                let capacities = (0..=n / 2).map(|radius| {
                    let ln_neurons = ln_expected_neurons(&space, radius, libm::log(r));
                    let ln_noise = model.ln_second_moment(&space, &ln_neurons, r);
                    capacity_against(ln_neurons[0], ln_noise, z)
                });
                let most = capacities.filter(|m| m.is_finite()).fold(0.0, f64::max);
                let (_, climbed) = best_capacity(&space, r, z, model).unwrap();
                assert!((climbed / most - 1.0).abs() < 1e-12, "{n} {model:?}: {climbed} {most}");
            }
        }
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
