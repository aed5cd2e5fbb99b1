//! Hamming balls and their intersections, in log space.

use crate::GeometryError;
use crate::factorials::{LnFactorials, LogSum};
use core::f64::consts::LN_2;

/// The space {0,1}ⁿ of n-bit words under the Hamming distance.
///
/// Logarithms are natural and count points: with r neurons at uniformly random addresses, the
/// expected number of neurons in a set of N points is r·N/2ⁿ, so callers add ln r − n·ln 2.
///
/// # Determinism
///
/// Pure functions of their arguments, with the same bits on every platform. For n ≤ 10000 the counts
/// are good to a relative error of 2e-12, most of it the rounding of the returned logarithm.
///
/// # Examples
///
/// ```
/// use geometry::HammingSpace;
///
/// let space = HammingSpace::new(4)?;
/// // The ball of radius 1 around 0000 is {0000, 1000, 0100, 0010, 0001}.
/// assert!((space.ln_ball(1) - 5_f64.ln()).abs() < 1e-15);
/// // The balls of radius 1 around 0000 and 1100 share {1000, 0100}.
/// assert!((space.ln_intersection(1, 2)? - 2_f64.ln()).abs() < 1e-15);
/// # Ok::<(), geometry::GeometryError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HammingSpace {
    dimension: usize,
    pub(crate) factorials: LnFactorials,
}

impl HammingSpace {
    /// The space of words of `dimension` bits.
    ///
    /// # Errors
    ///
    /// [`GeometryError::Dimension`] if there are no bits.
    pub fn new(dimension: usize) -> Result<Self, GeometryError> {
        if dimension == 0 {
            return Err(GeometryError::Dimension { got: 0, minimum: 1 });
        }
        Ok(Self { dimension, factorials: LnFactorials::up_to(dimension) })
    }

    /// The number of bits, n.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// ln 2ⁿ, the logarithm of the number of points.
    pub fn ln_points(&self) -> f64 {
        self.dimension as f64 * LN_2
    }

    /// ln C(n, k), the logarithm of the number of points at distance k; −∞ for k > n.
    pub fn ln_sphere(&self, k: usize) -> f64 {
        self.factorials.ln_binomial(self.dimension, k).map_or(f64::NEG_INFINITY, |(h, l)| h + l)
    }

    /// `ln Σ C(n, k)` over k ≤ `radius`, the logarithm of the number of points within `radius`.
    ///
    /// A radius of n or more covers the whole space: n·ln 2.
    pub fn ln_ball(&self, radius: usize) -> f64 {
        self.ln_ball_of(self.dimension, radius)
    }

    /// [`Self::ln_ball`] in a space of `dimension` ≤ n bits.
    pub(crate) fn ln_ball_of(&self, dimension: usize, radius: usize) -> f64 {
        if radius >= dimension {
            return dimension as f64 * LN_2;
        }
        let mut sum = LogSum::EMPTY;
        for k in 0..=radius {
            if let Some(term) = self.factorials.ln_binomial(dimension, k) {
                sum.add(term);
            }
        }
        sum.ln()
    }

    /// `ln I(d_v)`, the logarithm of the number of points within `radius` of both of two points that
    /// lie `distance` apart; −∞ where the balls do not meet, that is beyond 2·radius.
    ///
    /// The method is that of [`Self::ln_intersections`]; the cost is O(n).
    ///
    /// # Errors
    ///
    /// [`GeometryError::Distance`] if `distance` exceeds n.
    ///
    /// # Source
    ///
    /// Paper A, Eq. (2), the circle intersection with r = 2ⁿ.
    pub fn ln_intersection(&self, radius: usize, distance: usize) -> Result<f64, GeometryError> {
        if distance > self.dimension {
            return Err(GeometryError::Distance { got: distance, dimension: self.dimension });
        }
        let mut result = f64::NEG_INFINITY;
        self.for_each_intersection(radius, distance, |_, ln_count| result = ln_count);
        Ok(result)
    }

    /// `ln I(d_v)` for every distance 0..=n; −∞ where the balls do not meet, beyond 2·radius.
    ///
    /// Kanerva's lunes, telescoped from the far end. For odd j,
    /// I(j−1) − I(j) = C(j−1, (j−1)/2)·C(n−j, d−(j−1)/2), and I(j−1) = I(j) for even j. Two opposite
    /// points share `I(n) = Σ C(n, k)` over n−d ≤ k ≤ d. So
    ///
    /// ```text
    /// I(d_v) = I(n) + Σ C(j−1, (j−1)/2)·C(n−j, d−(j−1)/2) over odd j > d_v
    /// ```
    ///
    ///
    /// where every term is positive: nothing cancels, and all distances together cost O(n).
    ///
    /// # Source
    ///
    /// Paper A, Eq. (2), the circle intersection with r = 2ⁿ; the lunes are of Kanerva's book (1988),
    /// Appendix B. Departs from the paper: its double sum gives the same integers
    /// ([`crate::exact::intersection_double_sum`]) at a cost of O(n²) per distance.
    ///
    /// # Examples
    ///
    /// ```
    /// let space = geometry::HammingSpace::new(3)?;
    /// let counts: Vec<f64> = space.ln_intersections(1).into_iter().map(f64::exp).collect();
    /// // A ball of radius 1 has 4 points; at distances 1 and 2 two of them are shared.
    /// for (count, expected) in counts.iter().zip([4.0, 2.0, 2.0, 0.0]) {
    ///     assert!((count - expected).abs() < 1e-14);
    /// }
    /// # Ok::<(), geometry::GeometryError>(())
    /// ```
    pub fn ln_intersections(&self, radius: usize) -> Vec<f64> {
        let mut result = vec![f64::NEG_INFINITY; self.dimension + 1];
        self.for_each_intersection(radius, 0, |distance, ln_count| result[distance] = ln_count);
        result
    }

    /// Calls `visit(d_v, ln I(d_v))` for the distances n, n−1, …, `nearest`.
    fn for_each_intersection(
        &self,
        radius: usize,
        nearest: usize,
        mut visit: impl FnMut(usize, f64),
    ) {
        let n = self.dimension;
        let radius = radius.min(n);
        let mut sum = LogSum::EMPTY;
        for k in (n - radius)..=radius {
            if let Some(term) = self.factorials.ln_binomial(n, k) {
                sum.add(term);
            }
        }
        let mut ln_count = sum.ln();
        visit(n, ln_count);
        for j in (nearest + 1..=n).rev() {
            if let Some(lune) = self.ln_lune(radius, j) {
                sum.add(lune);
                ln_count = sum.ln();
            }
            visit(j - 1, ln_count);
        }
    }

    /// ln(I(j−1) − I(j)); `None` where the two are equal.
    fn ln_lune(&self, radius: usize, j: usize) -> Option<(f64, f64)> {
        let half = (j - 1) / 2;
        if j.is_multiple_of(2) {
            return None;
        }
        let near = self.factorials.ln_binomial(j - 1, half)?;
        let far = self.factorials.ln_binomial(self.dimension - j, radius.checked_sub(half)?)?;
        Some((near.0 + far.0, near.1 + far.1))
    }
}
