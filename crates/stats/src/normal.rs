//! The standard normal distribution.

use crate::StatsError;
use core::f64::consts::{FRAC_1_SQRT_2, TAU};

/// Φ(x), the standard normal distribution function, ½·erfc(−x/√2).
///
/// Accurate in the lower tail, down to 1e-300; for an upper tail use Φ(−x).
///
/// # Examples
///
/// ```
/// assert_eq!(stats::normal_cdf(0.0), 0.5);
/// assert!((stats::normal_cdf(1.959963984540054) - 0.975).abs() < 1e-15);
/// ```
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// Φ⁻¹(p), the standard normal quantile.
///
/// For p ≤ ½, Newton's method on ln Φ(x) = ln p, from x = −√(−2 ln p). There Φ(x) ≤ p by Chernoff's
/// bound, and ln Φ is concave and increasing, so that the iteration rises monotonically to the root. For
/// p > ½, −Φ⁻¹(1−p), whose argument is exact.
///
/// # Errors
///
/// [`StatsError::Range`] unless 0 < p < 1.
///
/// # Examples
///
/// ```
/// assert!((stats::normal_quantile(0.975)? - 1.959963984540054).abs() < 1e-14);
/// # Ok::<(), stats::StatsError>(())
/// ```
pub fn normal_quantile(p: f64) -> Result<f64, StatsError> {
    if !(p > 0.0 && p < 1.0) {
        return Err(StatsError::Range {
            op: "normal quantile",
            what: "the probability",
            got: p,
            interval: "(0, 1)",
        });
    }
    if p > 0.5 {
        return normal_quantile(1.0 - p).map(|x| -x);
    }
    let ln_p = libm::log(p);
    let mut x = -(-2.0 * ln_p).sqrt();
    for _ in 0..100 {
        // Φ/φ times (ln p − ln Φ), where Φ = (Φ/φ)·φ does not underflow
        let ratio = mills_ratio(x);
        let step = (ln_p + 0.5 * (x * x + libm::log(TAU)) - libm::log(ratio)) * ratio;
        x += step;
        if step.abs() <= 1e-15 * x.abs().max(1.0) {
            break;
        }
    }
    Ok(x)
}

/// Φ(x)/φ(x) for x ≤ 0, with φ the density.
fn mills_ratio(x: f64) -> f64 {
    if x > -30.0 {
        return normal_cdf(x) * TAU.sqrt() * libm::exp(0.5 * x * x);
    }
    // The asymptotic series; its first term left out is below 2e-14 of the ratio.
    let t = 1.0 / (x * x);
    (1.0 - t * (1.0 - t * (3.0 - t * (15.0 - t * (105.0 - t * 945.0))))) / -x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_quantiles() {
        for (p, x) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.025, -1.959_963_984_540_054),
            (0.001, -3.090_232_306_167_813_5),
            (1e-6, -4.753_424_308_822_899),
            (1e-10, -6.361_340_902_404_056),
        ] {
            assert!((normal_quantile(p).unwrap() - x).abs() < 1e-14, "{p}");
        }
    }

    #[test]
    fn cdf_undoes_the_quantile_down_to_the_smallest_probability() {
        for p in [1e-300, 1e-198, 1e-197, 1e-100, 1e-20, 1e-3, 0.2, 0.49, 0.5, 0.7, 0.999] {
            let back = normal_cdf(normal_quantile(p).unwrap());
            // d ln Φ/dx is about −x: an error of one rounding in x shows |x|² times as large.
            assert!((back / p - 1.0).abs() < 1e-12, "{p:e}: {back:e}");
        }
        let smallest = normal_quantile(5e-324).unwrap();
        assert!((smallest + 38.467_405_617_144_34).abs() < 1e-12, "{smallest}");
    }

    #[test]
    fn quantile_is_odd_about_one_half_and_increasing() {
        let mut before = f64::NEG_INFINITY;
        for i in 1..1000 {
            let p = f64::from(i) / 1000.0;
            let x = normal_quantile(p).unwrap();
            assert!(x > before);
            before = x;
            let mirrored = normal_quantile(1.0 - p).unwrap();
            assert!((x + mirrored).abs() < 1e-13, "{p}");
        }
    }

    #[test]
    fn cdf_by_its_series() {
        // Φ(x) = ½ + φ(0)·(x − x³/6 + x⁵/40 − x⁷/336 + …), for small x
        let x: f64 = 0.01;
        let series = x - x * x * x / 6.0 + x * x * x * x * x / 40.0;
        assert!((normal_cdf(x) - 0.5 - series / TAU.sqrt()).abs() < 1e-16);
        assert_eq!(normal_cdf(f64::NEG_INFINITY), 0.0);
        assert_eq!(normal_cdf(f64::INFINITY), 1.0);
    }

    #[test]
    fn probabilities_out_of_range_are_refused() {
        for p in [0.0, 1.0, -0.1, 1.1, f64::NAN] {
            assert!(matches!(normal_quantile(p), Err(StatsError::Range { .. })));
        }
    }
}
