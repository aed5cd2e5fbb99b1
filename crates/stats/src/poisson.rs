//! The Poisson distribution: counts of rare, independent events.

use crate::StatsError;
use crate::normal::normal_quantile;
use crate::{Interval, sum};

/// The smallest count k with P[Poisson(mean) ≤ k] ≥ p.
///
/// # Errors
///
/// [`StatsError::Range`] unless 0 < `mean` < 700 (where e^(−mean) is a number) and 0 < p < 1.
///
/// # Examples
///
/// ```
/// // e⁻¹ = 0.37, and half of it for two: P[≤ 1] = 0.736, P[≤ 2] = 0.920.
/// assert_eq!(stats::poisson_quantile(1.0, 0.9)?, 2);
/// # Ok::<(), stats::StatsError>(())
/// ```
pub fn poisson_quantile(mean: f64, p: f64) -> Result<u64, StatsError> {
    const OP: &str = "Poisson quantile";
    if !(mean > 0.0 && mean < 700.0) {
        let (what, interval) = ("the mean", "(0, 700)");
        return Err(StatsError::Range { op: OP, what, got: mean, interval });
    }
    if !(p > 0.0 && p < 1.0) {
        let (what, interval) = ("the probability", "(0, 1)");
        return Err(StatsError::Range { op: OP, what, got: p, interval });
    }
    let mut term = libm::exp(-mean);
    let (mut k, mut below) = (0_u64, term);
    // Beyond the mean the terms fall at least geometrically; where none counts any more, rounding has
    // kept the sum short of p.
    while below < p && (k as f64) < 2.0 * mean + 800.0 {
        k += 1;
        term *= mean / k as f64;
        below += term;
    }
    Ok(k)
}

/// The interval for the mean of a Poisson distribution of which the counts were drawn, at the
/// confidence `level`: Wilson's score interval, the means μ with |N·x̄ − N·μ| ≤ z·√(N·μ), that is
///
/// ```text
/// μ = (c + z²/2 ± z·√(c + z²/4))/N,  c = Σ counts, N of them
/// ```
///
/// Unlike x̄ ± z·s/√N it has a width where every count is 0.
///
/// # Errors
///
/// [`StatsError::TooFew`] without counts, [`StatsError::NotFinite`] for a count that is NaN or infinite,
/// [`StatsError::Range`] unless 0 < `level` < 1.
///
/// # Examples
///
/// ```
/// // No event in 4 draws: up to z²/4 = 0.96.
/// let interval = stats::poisson_interval(&[0.0; 4], 0.95)?;
/// assert_eq!(interval.low, 0.0);
/// assert!((interval.high - 0.9604).abs() < 1e-4);
/// # Ok::<(), stats::StatsError>(())
/// ```
pub fn poisson_interval(counts: &[f64], level: f64) -> Result<Interval, StatsError> {
    crate::error::check("Poisson interval", 1, counts)?;
    let z = normal_quantile(0.5 + 0.5 * level)?;
    let (total, n) = (sum(counts.iter().copied()), counts.len() as f64);
    let center = total + 0.5 * z * z;
    let reach = z * (total + 0.25 * z * z).sqrt();
    Ok(Interval { low: ((center - reach) / n).max(0.0), high: (center + reach) / n })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_quantiles() {
        // From tables of the distribution.
        for (mean, p, k) in [(0.5, 0.6, 0), (0.5, 0.61, 1), (10.0, 0.025, 4), (10.0, 0.975, 17)] {
            assert_eq!(poisson_quantile(mean, p).unwrap(), k, "{mean} {p}");
        }
        let (low, high) = (poisson_quantile(400.0, 0.025), poisson_quantile(400.0, 0.975));
        assert_eq!((low.unwrap(), high.unwrap()), (361, 440));
        // Rounding keeps the sum below the largest p under 1; the search still ends.
        assert!(poisson_quantile(300.0, 1.0 - f64::EPSILON / 2.0).is_ok());
        assert!(poisson_quantile(0.0, 0.5).is_err());
        assert!(poisson_quantile(1.0, 1.0).is_err());
    }

    #[test]
    fn ends_of_the_interval_lie_z_standard_deviations_from_the_mean() {
        let Interval { low, high } = poisson_interval(&[3.0, 5.0, 1.0], 0.95).unwrap();
        for mean in [low, high] {
            let z = (9.0 - 3.0 * mean) / (3.0 * mean).sqrt();
            assert!((z.abs() - 1.959_963_984_540_054).abs() < 1e-12, "{z}");
        }
        assert!(low < 3.0 && 3.0 < high);
        assert!(poisson_interval(&[], 0.95).is_err());
        assert!(poisson_interval(&[1.0], 1.0).is_err());
    }
}
