//! The map between a radius and the fraction of the space within it.

use crate::{GeometryError, HammingSpace};

impl HammingSpace {
    /// The fraction of the space within `radius` of a point: p = P[Bin(n, ½) ≤ radius].
    ///
    /// # Examples
    ///
    /// ```
    /// let space = geometry::HammingSpace::new(4)?;
    /// assert!((space.fraction_at_radius(1) - 5.0 / 16.0).abs() < 1e-15);
    /// # Ok::<(), geometry::GeometryError>(())
    /// ```
    pub fn fraction_at_radius(&self, radius: usize) -> f64 {
        libm::exp(self.ln_ball(radius) - self.ln_points()).min(1.0)
    }

    /// The radius of a ball that covers the fraction `fraction` of the space: the smallest d with
    /// P[Bin(n, ½) ≤ d] ≥ `fraction`, the binomial quantile.
    ///
    /// The ball of that radius covers more than was asked for, often much more:
    /// [`Self::fraction_at_radius`] gives the fraction that it does cover.
    ///
    /// # Errors
    ///
    /// [`GeometryError::Range`] unless 0 < `fraction` ≤ 1.
    ///
    /// # Source
    ///
    /// Paper A, p to d: a fraction of 1e-8 is radius 11 at n = 64.
    ///
    /// # Examples
    ///
    /// ```
    /// let space = geometry::HammingSpace::new(64)?;
    /// assert_eq!(space.radius_at_fraction(1e-8)?, 11);
    /// # Ok::<(), geometry::GeometryError>(())
    /// ```
    pub fn radius_at_fraction(&self, fraction: f64) -> Result<usize, GeometryError> {
        if !(fraction > 0.0 && fraction <= 1.0) {
            return Err(GeometryError::Range {
                what: "the fraction of the space",
                got: fraction,
                interval: "(0, 1]",
            });
        }
        let n = self.dimension();
        let mut covered = 0.0;
        for radius in 0..n {
            covered += libm::exp(self.ln_sphere(radius) - self.ln_points());
            if covered >= fraction {
                return Ok(radius);
            }
        }
        Ok(n)
    }
}
