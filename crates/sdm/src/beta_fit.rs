//! The β of attention that approximates the memory's weights.

use crate::SdmError;
use core::ops::Range;
use geometry::cosine_from_hamming;
use stats::linear_regression;

/// How the slope of ln I against the cosine is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SlopeEstimator {
    /// The slope of least squares, cov(cos, ln I)/var(cos).
    LeastSquares,
    /// The slope of least squares times N/(N−1) for N points, as published: the authors' code divides
    /// a covariance with N−1 in its denominator (`np.cov`) by a variance with N (`np.var`).
    Published,
}

/// A fit `ln I(d_v) ≈ intercept + β·cos(d_v)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BetaFit {
    /// The slope β.
    pub beta: f64,
    /// mean(ln I) − β·mean(cos)
    pub intercept: f64,
    /// The share of the variance of ln I that the line of least squares explains, whichever the
    /// estimator.
    pub r2: f64,
    /// The number N of points fitted.
    pub n_points: usize,
}

/// Fits β by log-linear regression of the size of the intersection on the cosine, over the integer
/// distances of the range.
///
/// `ln_counts[d_v]` is `ln I(d_v)`, from [`geometry::HammingSpace::ln_intersections`] or, for continuous
/// memories, from [`geometry::cap::ln_cap_intersection_fraction`] at the cosine `1−2d_v/n`; a constant
/// added to all changes only the intercept. The paper fits over 0..d, with d the radius.
///
/// # Errors
///
/// [`SdmError::MissingCounts`] if the range goes beyond the counts; [`SdmError::Fit`] for fewer than two
/// points, and where an intersection in the range is empty (−∞).
///
/// # Source
///
/// Paper A, the β fit. [`SlopeEstimator::LeastSquares`] departs from the paper,
/// [`SlopeEstimator::Published`] reproduces its numbers.
///
/// # Examples
///
/// ```
/// use sdm::{SlopeEstimator, fit_beta};
///
/// // n = 2: the cosines are 1 and 0, and ln I falls by 3 from one to the other.
/// let fit = fit_beta(2, &[5.0, 2.0], 0..2, SlopeEstimator::LeastSquares)?;
/// assert_eq!((fit.beta, fit.intercept), (3.0, 2.0));
/// let published = fit_beta(2, &[5.0, 2.0], 0..2, SlopeEstimator::Published)?;
/// assert_eq!(published.beta, 6.0);
/// # Ok::<(), sdm::SdmError>(())
/// ```
pub fn fit_beta(
    n: usize,
    ln_counts: &[f64],
    distances: Range<usize>,
    estimator: SlopeEstimator,
) -> Result<BetaFit, SdmError> {
    let points = ln_counts
        .get(distances.clone())
        .ok_or(SdmError::MissingCounts { expected: distances.end, got: ln_counts.len() })?;
    let cosines: Vec<f64> = distances.map(|d_v| cosine_from_hamming(n, d_v as f64)).collect();
    let line = linear_regression(&cosines, points)?;
    let n_points = points.len();
    let beta = match estimator {
        SlopeEstimator::LeastSquares => line.slope,
        SlopeEstimator::Published => line.slope * n_points as f64 / (n_points - 1) as f64,
    };
    let mean_cosine = stats::mean(&cosines)?;
    let intercept = line.intercept + (line.slope - beta) * mean_cosine;
    Ok(BetaFit { beta, intercept, r2: line.r2, n_points })
}

#[cfg(test)]
mod tests {
    use super::*;
    use SlopeEstimator::{LeastSquares, Published};
    use stats::StatsError;

    #[test]
    fn an_exact_exponential_gives_its_beta() {
        let n = 20;
        let ln_counts: Vec<f64> =
            (0..=n).map(|d_v| 3.0 + 7.5 * cosine_from_hamming(n, d_v as f64)).collect();
        let fit = fit_beta(n, &ln_counts, 0..8, LeastSquares).unwrap();
        assert!((fit.beta - 7.5).abs() < 1e-12 && (fit.intercept - 3.0).abs() < 1e-12);
        assert!((fit.r2 - 1.0).abs() < 1e-14);
        assert_eq!(fit.n_points, 8);
        let published = fit_beta(n, &ln_counts, 0..8, Published).unwrap();
        assert!((published.beta - 7.5 * 8.0 / 7.0).abs() < 1e-12);
        // Both lines pass through the center of the points.
        let center = 1.0 - 7.0 / 20.0;
        let at_center = |fit: BetaFit| fit.intercept + fit.beta * center;
        assert!((at_center(fit) - at_center(published)).abs() < 1e-12);
    }

    #[test]
    fn fits_that_cannot_be_are_refused() {
        let ln_counts = [2.0, 1.0, f64::NEG_INFINITY];
        let fit = |distances| fit_beta(10, &ln_counts, distances, Published);
        assert_eq!(fit(0..4), Err(SdmError::MissingCounts { expected: 4, got: 3 }));
        assert!(matches!(fit(0..1), Err(SdmError::Fit(StatsError::TooFew { .. }))));
        assert!(matches!(fit(0..3), Err(SdmError::Fit(StatsError::NotFinite { .. }))));
    }
}
