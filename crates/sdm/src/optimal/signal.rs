//! The signal-to-noise ratio of a read.

use crate::SdmError;

/// The signal-to-noise ratio of a read at a distance from a stored pattern:
///
/// ```text
/// SNR = I(d_v)/σ,  σ² = I(d_v) + (m−1)·(I₀ + I₀²)
/// ```
///
/// where I is the expected number of neurons in an intersection and I₀ = I(n/2) is that of an unrelated
/// pattern. `ln_signal` is `ln I(d_v)`, `ln_background` is ln I₀.
///
/// `None` where the ratio is 0/0: no neuron in either intersection.
///
/// # Source
///
/// Paper A, Eq. (25).
///
/// # Examples
///
/// ```
/// // I = 4 and I₀ = 1 with m = 7: 4/√(4 + 6·2) = 1.
/// let ratio = sdm::optimal::signal_to_noise(4_f64.ln(), 0.0, 7).unwrap();
/// assert!((ratio - 1.0).abs() < 1e-15);
/// ```
pub fn signal_to_noise(ln_signal: f64, ln_background: f64, n_patterns: u64) -> Option<f64> {
    if ln_signal == f64::NEG_INFINITY {
        let noise = ln_background > f64::NEG_INFINITY && n_patterns > 1;
        return noise.then_some(0.0);
    }
    // 1/SNR² = σ²/I², each part in log space, since I² may overflow.
    let others = n_patterns.saturating_sub(1) as f64;
    let background =
        libm::exp(ln_background - 2.0 * ln_signal) + libm::exp(2.0 * (ln_background - ln_signal));
    Some(1.0 / (libm::exp(-ln_signal) + others * background).sqrt())
}

/// The signal-to-noise ratio at distance 0 in closed form, with I(0) = pr, I₀ ≈ p²r and m−1 ≈ m:
/// SNR² = pr/(1 + pm + p³mr).
///
/// # Source
///
/// Paper A, Eq. (25) at distance 0.
///
/// # Examples
///
/// ```
/// // p = 1/2, m = 8, r = 8: 4/(1 + 4 + 8)
/// let ratio = sdm::optimal::peak_signal_to_noise(0.5, 8, 8.0);
/// assert!((ratio * ratio - 4.0 / 13.0).abs() < 1e-15);
/// ```
pub fn peak_signal_to_noise(fraction: f64, n_patterns: u64, n_neurons: f64) -> f64 {
    let (p, m, r) = (fraction, n_patterns as f64, n_neurons);
    (p * r / (1.0 + p * m + p * p * p * m * r)).sqrt()
}

/// The fraction p* = (2mr)^(−1/3) of the space within the radius that maximizes
/// [`peak_signal_to_noise`].
///
/// # Errors
///
/// [`SdmError::Range`] unless there is a pattern and r is positive and finite.
///
/// # Source
///
/// Paper A, the radius `d*_SNR`.
///
/// # Examples
///
/// ```
/// // n = 64, m = 1024, r = 2^64: p* = 2^−25, and the radius is 11.
/// let p = sdm::optimal::snr_optimal_fraction(1024, libm::exp2(64.0))?;
/// assert!((p - libm::exp2(-25.0)).abs() < 1e-20);
/// assert_eq!(geometry::HammingSpace::new(64)?.radius_at_fraction(p)?, 11);
/// # Ok::<(), sdm::SdmError>(())
/// ```
pub fn snr_optimal_fraction(n_patterns: u64, n_neurons: f64) -> Result<f64, SdmError> {
    if n_patterns == 0 {
        return Err(SdmError::Range {
            what: "the number of patterns",
            got: 0.0,
            interval: "[1, ∞)",
        });
    }
    check_neurons(n_neurons)?;
    Ok(1.0 / (libm::cbrt(2.0 * n_patterns as f64) * libm::cbrt(n_neurons)))
}

/// The probability that at least one of r neurons lies within the radius, 1 − (1−p)^r, where p is the
/// fraction of the space within it.
///
/// # Source
///
/// Paper A, the figure `SDMProbAddressWithinDistanceD`.
///
/// # Examples
///
/// ```
/// // Two neurons, half of the space: 1 − (1/2)².
/// assert!((sdm::optimal::probability_of_a_neuron(0.5, 2.0) - 0.75).abs() < 1e-15);
/// ```
pub fn probability_of_a_neuron(fraction: f64, n_neurons: f64) -> f64 {
    -libm::expm1(n_neurons * libm::log1p(-fraction))
}

pub(crate) fn check_neurons(n_neurons: f64) -> Result<(), SdmError> {
    if n_neurons > 0.0 && n_neurons.is_finite() {
        return Ok(());
    }
    Err(SdmError::Range { what: "the number of neurons", got: n_neurons, interval: "(0, ∞)" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use geometry::HammingSpace;

    #[test]
    fn limits_of_the_ratio() {
        let empty = f64::NEG_INFINITY;
        // One pattern: no noise but the signal's own, √I.
        assert!((signal_to_noise(libm::log(9.0), 5.0, 1).unwrap() - 3.0).abs() < 1e-14);
        assert_eq!(signal_to_noise(empty, 0.0, 2), Some(0.0));
        assert_eq!(signal_to_noise(empty, empty, 2), None);
        assert_eq!(signal_to_noise(empty, 0.0, 1), None);
        // Counts far beyond the range of f64.
        let ratio = signal_to_noise(2000.0, 1900.0, 1025).unwrap();
        assert!((libm::log(ratio) - (100.0 - 0.5 * libm::log(1024.0))).abs() < 1e-12);
    }

    #[test]
    fn optimal_fraction_maximizes_the_peak() {
        for (m, r) in [(1024, libm::exp2(64.0)), (10_000, 1e6), (1000, 1e6)] {
            let p = snr_optimal_fraction(m, r).unwrap();
            let best = peak_signal_to_noise(p, m, r);
            assert!(best > peak_signal_to_noise(p * 1.01, m, r));
            assert!(best > peak_signal_to_noise(p * 0.99, m, r));
        }
        assert!(snr_optimal_fraction(0, 1e6).is_err());
        assert!(snr_optimal_fraction(5, 0.0).is_err());
    }

    // Paper A, d*_SNR.
    #[test]
    fn published_radii() {
        let all = libm::exp2(64.0);
        for (n, m, r, p_published, radius) in [
            (64, 1024, all, 2.9802e-8, 11),
            (64, 100, all, 6.4717e-8, 12),
            (64, 60_000, all, 7.673e-9, 10),
            (1000, 10_000, 1e6, 3.6840e-4, 447),
            (1000, 1000, 1e6, 7.9370e-4, 450),
        ] {
            let p = snr_optimal_fraction(m, r).unwrap();
            assert!((p / p_published - 1.0).abs() < 5e-5, "{n} {m}: {p}");
            let space = HammingSpace::new(n).unwrap();
            assert_eq!(space.radius_at_fraction(p).unwrap(), radius, "{n} {m}");
        }
    }

    // Paper A, n = 1000, r = 1e6: exact binomial, and the authors' normal approximation.
    #[test]
    fn published_probabilities_of_a_neuron() {
        let space = HammingSpace::new(1000).unwrap();
        for (radius, exact, normal) in
            [(424, 0.5769, 0.5358), (425, 0.6922, 0.6503), (430, 0.9953, 0.9916)]
        {
            let probability = probability_of_a_neuron(space.fraction_at_radius(radius), 1e6);
            assert!((probability - exact).abs() < 6e-5, "{radius}: {probability}");
            let fraction = stats::normal_cdf((radius as f64 - 500.0) / 250_f64.sqrt());
            let probability = probability_of_a_neuron(fraction, 1e6);
            assert!((probability - normal).abs() < 6e-5, "{radius}: {probability}");
        }
        let one_in_a_million = 500.0 + stats::normal_quantile(1e-6).unwrap() * 250_f64.sqrt();
        assert!((one_in_a_million - 424.8418).abs() < 5e-5);
    }
}
