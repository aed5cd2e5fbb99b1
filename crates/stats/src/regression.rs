//! Simple linear regression.

use crate::StatsError;
use crate::error::check;
use crate::summary::{mean_of, sum};

/// The line of least squares through points, y ≈ intercept + slope·x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearRegression {
    /// Σ(x−x̄)(y−ȳ) / Σ(x−x̄)²
    pub slope: f64,
    /// ȳ − slope·x̄
    pub intercept: f64,
    /// The share of the variance of y that the line explains, 1 − Σ(y−ŷ)²/Σ(y−ȳ)², in [0, 1];
    /// exactly 1 for constant y, which the line fits perfectly.
    pub r2: f64,
}

/// Ordinary least squares of y on x, by compensated sums of centered products.
///
/// # Errors
///
/// [`StatsError::Length`] for lists of unequal length, [`StatsError::TooFew`] for fewer than two
/// points, [`StatsError::NotFinite`] for NaN or an infinity, [`StatsError::ZeroVariance`] if all x are
/// equal.
///
/// # Examples
///
/// ```
/// let line = stats::linear_regression(&[0.0, 1.0, 2.0], &[1.0, 3.0, 5.0])?;
/// assert_eq!((line.slope, line.intercept, line.r2), (2.0, 1.0, 1.0));
/// # Ok::<(), stats::StatsError>(())
/// ```
pub fn linear_regression(x: &[f64], y: &[f64]) -> Result<LinearRegression, StatsError> {
    const OP: &str = "linear regression";
    if x.len() != y.len() {
        return Err(StatsError::Length { op: OP, x: x.len(), y: y.len() });
    }
    check(OP, 2, x)?;
    check(OP, 2, y)?;
    let (x_mean, y_mean) = (mean_of(x), mean_of(y));
    let centered = || x.iter().zip(y).map(|(x, y)| (x - x_mean, y - y_mean));
    if x.iter().all(|v| v.total_cmp(&x[0]).is_eq()) {
        return Err(StatsError::ZeroVariance { op: OP });
    }
    let s_xx = sum(centered().map(|(dx, _)| dx * dx));
    let slope = sum(centered().map(|(dx, dy)| dx * dy)) / s_xx;
    let s_yy = sum(centered().map(|(_, dy)| dy * dy));
    let residual = sum(centered().map(|(dx, dy)| {
        let e = dy - slope * dx;
        e * e
    }));
    let r2 = if s_yy > 0.0 { (1.0 - residual / s_yy).clamp(0.0, 1.0) } else { 1.0 };
    Ok(LinearRegression { slope, intercept: y_mean - slope * x_mean, r2 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn worked_by_hand() {
        // x̄ = 2, ȳ = 2; Σdxdy = 1, Σdx² = 2, Σdy² = 2; slope ½, residuals −½, 1, −½.
        let line = linear_regression(&[1.0, 2.0, 3.0], &[1.0, 3.0, 2.0]).unwrap();
        assert_eq!((line.slope, line.intercept), (0.5, 1.0));
        assert!((line.r2 - 0.25).abs() < 1e-15);
    }

    #[test]
    fn constant_y_is_fitted_perfectly() {
        let line = linear_regression(&[1.0, 2.0, 5.0], &[0.3; 3]).unwrap();
        assert_eq!((line.slope, line.intercept, line.r2), (0.0, 0.3, 1.0));
    }

    #[test]
    fn bad_data_is_refused() {
        use StatsError::{Length, NotFinite, TooFew, ZeroVariance};
        assert!(matches!(linear_regression(&[0.1; 3], &[1.0, 2.0, 3.0]), Err(ZeroVariance { .. })));
        assert!(matches!(linear_regression(&[1.0], &[1.0]), Err(TooFew { got: 1, .. })));
        assert!(matches!(linear_regression(&[1.0, 2.0], &[1.0]), Err(Length { x: 2, y: 1, .. })));
        let infinite = linear_regression(&[1.0, 2.0], &[1.0, f64::NEG_INFINITY]);
        assert!(matches!(infinite, Err(NotFinite { index: 1, .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn recovers_a_line(slope in -10.0_f64..10.0, intercept in -10.0_f64..10.0, n in 2_i32..40) {
            let x: Vec<f64> = (0..n).map(|i| f64::from(i) / 7.0).collect();
            let y: Vec<f64> = x.iter().map(|x| intercept + slope * x).collect();
            let line = linear_regression(&x, &y)?;
            prop_assert!((line.slope - slope).abs() < 1e-11);
            prop_assert!((line.intercept - intercept).abs() < 1e-11);
        }

        #[test]
        fn residuals_are_orthogonal_to_x(
            points in prop::collection::vec((-5.0_f64..5.0, -5.0_f64..5.0), 3..40)
        ) {
            let (x, y): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
            let Ok(line) = linear_regression(&x, &y) else { return Ok(()) };
            prop_assume!(crate::variance(&x)? > 1e-3);
            let residuals = || x.iter().zip(&y).map(|(x, y)| y - line.intercept - line.slope * x);
            prop_assert!(sum(residuals()).abs() < 1e-9);
            prop_assert!(sum(residuals().zip(&x).map(|(e, x)| e * x)).abs() < 1e-9);
            prop_assert!((0.0..=1.0).contains(&line.r2));
        }
    }
}
