//! Bounds of the intersection of two Hamming balls, with proofs.

use crate::{GeometryError, HammingSpace};
use core::f64::consts::LN_2;

/// Logarithms of a lower and an upper bound of a count of points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntersectionBounds {
    /// ln of the lower bound; −∞ where it is 0.
    pub ln_lower: f64,
    /// ln of the upper bound; −∞ where it is 0.
    pub ln_upper: f64,
}

impl HammingSpace {
    /// Bounds of `I(d_v)`, as logarithms:
    ///
    /// ```text
    /// C(d_v, ⌊d_v/2⌋)·B ≤ I(d_v) ≤ 2^d_v·B, where B = |ball(n−d_v, d−⌈d_v/2⌉)|
    /// ```
    ///
    /// Proof. The centers differ in `d_v` bits. Describe a point by how it differs from the first
    /// center: in c of the `d_v` differing bits and in b of the `n−d_v` agreeing bits. Its distances to
    /// the centers are `c+b` and `d_v−c+b`. If both are ≤ d, their sum gives `b ≤ d−d_v/2`, that is
    /// `b ≤ d−⌈d_v/2⌉` since b is an integer, while the differing bits are free, `2^d_v` choices: the
    /// upper bound. Conversely, `c = ⌊d_v/2⌋` and `b ≤ d−⌈d_v/2⌉` make both distances ≤ d: the lower
    /// bound. ∎
    ///
    /// The two differ by the factor `2^d_v/C(d_v, ⌊d_v/2⌋)`, about `√(π·d_v/2)`, whatever n and d. Both
    /// are exact at distance 0, and both are 0 beyond 2d.
    ///
    /// # Errors
    ///
    /// [`GeometryError::Distance`] if `distance` exceeds n.
    ///
    /// # Examples
    ///
    /// ```
    /// // n = 4, d = 1, d_v = 2: B is a ball of radius 0, so 2·1 ≤ I ≤ 4·1; I = 2.
    /// let bounds = geometry::HammingSpace::new(4)?.ln_intersection_bounds(1, 2)?;
    /// assert!((bounds.ln_lower - 2_f64.ln()).abs() < 1e-15);
    /// assert!((bounds.ln_upper - 4_f64.ln()).abs() < 1e-15);
    /// # Ok::<(), geometry::GeometryError>(())
    /// ```
    pub fn ln_intersection_bounds(
        &self,
        radius: usize,
        distance: usize,
    ) -> Result<IntersectionBounds, GeometryError> {
        let agreeing = self
            .dimension()
            .checked_sub(distance)
            .ok_or(GeometryError::Distance { got: distance, dimension: self.dimension() })?;
        let ln_ball = radius
            .checked_sub(distance.div_ceil(2))
            .map_or(f64::NEG_INFINITY, |rest| self.ln_ball_of(agreeing, rest));
        let ln_middle = self
            .factorials
            .ln_binomial(distance, distance / 2)
            .map_or(f64::NEG_INFINITY, |(high, low)| high + low);
        Ok(IntersectionBounds {
            ln_lower: ln_middle + ln_ball,
            ln_upper: distance as f64 * LN_2 + ln_ball,
        })
    }
}

/// ln of an upper bound of `I(d_v)/2ⁿ` that is exponential in the distance, for d ≤ n/2:
///
/// ```text
/// I(d_v)/2ⁿ ≤ exp(−(n−2d)²/(2n)) · exp(−(n−2d)²/(2n²)·d_v)
/// ```
///
/// Proof. By [`HammingSpace::ln_intersection_bounds`], `I/2ⁿ` is at most the fraction of the space of
/// `N = n−d_v` bits that lies within `k = d−⌈d_v/2⌉` of a point. By Hoeffding's inequality that is at
/// most `exp(−(N−2k)²/(2N))`, and `N−2k ≥ n−2d ≥ 0`. Last, `1/(n−d_v) ≥ (1+d_v/n)/n`. ∎ (If k < 0, the
/// left side is 0. If `d_v = n` and k ≥ 0, then n = 2d, and the right side is 1.)
///
/// In units of the cosine its slope is exactly (n−2d)²/(4n), the β of
/// [`crate::approximation::approximate_beta`]: the paper's Taylor exponential without its
/// prefactor is a bound.
///
/// # Errors
///
/// [`GeometryError::Range`] if 2·`radius` exceeds n, [`GeometryError::Distance`] if `distance` does.
///
/// # Examples
///
/// ```
/// // n = 4, d = 1, d_v = 2: I/2ⁿ = 2/16, and the bound is exp(−1/2 − 1/4) = 0.472.
/// let bound = geometry::ln_exponential_upper_bound(4, 1, 2)?;
/// assert_eq!(bound, -0.75);
/// # Ok::<(), geometry::GeometryError>(())
/// ```
pub fn ln_exponential_upper_bound(
    n: usize,
    radius: usize,
    distance: usize,
) -> Result<f64, GeometryError> {
    if distance > n {
        return Err(GeometryError::Distance { got: distance, dimension: n });
    }
    if 2 * radius > n {
        return Err(GeometryError::Range {
            what: "the radius",
            got: radius as f64,
            interval: "[0, n/2]",
        });
    }
    let slack = (n - 2 * radius) as f64;
    let n = n as f64;
    Ok(-slack * slack / (2.0 * n) * (1.0 + distance as f64 / n))
}
