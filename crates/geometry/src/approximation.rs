//! The exponential approximations of Paper A, and Kanerva's continuous one.
//!
//! How the intersection of two Hamming balls becomes an exponential in the distance of their
//! centers: take the largest term of the double sum, approximate its two binomial coefficients by
//! normal densities, expand the exponent to first order. Each step has a function here, as the
//! logarithm of a number of points. Nothing here is a bound unless it says so.

use crate::quadrature::gauss_legendre;
use crate::{GeometryError, HammingSpace};
use core::f64::consts::{FRAC_PI_2, LN_2, PI};

impl HammingSpace {
    /// ln of the term of Paper A, Eq. (2), at `a = n−d−⌊d_v/2⌋` and `c = ⌊d_v/2⌋`:
    ///
    /// ```text
    /// C(n−d_v, n−d−⌊d_v/2⌋)·C(d_v, ⌊d_v/2⌋)
    /// ```
    ///
    /// −∞ where the sum has no such term: beyond 2d, or where a < 0.
    ///
    /// # Errors
    ///
    /// [`GeometryError::Distance`] if `distance` exceeds n.
    ///
    /// # Examples
    ///
    /// ```
    /// // n = 4, d = 1, d_v = 2: C(2, 2)·C(2, 1) = 2.
    /// let ln_term = geometry::HammingSpace::new(4)?.ln_largest_term(1, 2)?;
    /// assert!((ln_term - 2_f64.ln()).abs() < 1e-15);
    /// # Ok::<(), geometry::GeometryError>(())
    /// ```
    pub fn ln_largest_term(&self, radius: usize, distance: usize) -> Result<f64, GeometryError> {
        let n = self.dimension();
        let agreeing = n
            .checked_sub(distance)
            .ok_or(GeometryError::Distance { got: distance, dimension: n })?;
        let half = distance / 2;
        let term = n.checked_sub(radius + half).and_then(|kept| {
            let far = self.factorials.ln_binomial(agreeing, kept)?;
            let near = self.factorials.ln_binomial(distance, half)?;
            Some(near.0 + far.0 + (near.1 + far.1))
        });
        Ok(term.unwrap_or(f64::NEG_INFINITY))
    }
}

/// ln of the normal approximation of the largest term:
///
/// ```text
/// 2^(n+1)/(π√(d_v(n−d_v))) · exp(−(n−2d)²/(2(n−d_v)))
/// ```
///
/// # Errors
///
/// [`GeometryError::Range`] unless 0 < `distance` < n: at the ends the normal density has no width.
///
/// # Source
///
/// Paper A, the exponential approximation of Eq. (2).
pub fn ln_largest_term_normal(
    n: usize,
    radius: usize,
    distance: f64,
) -> Result<f64, GeometryError> {
    let ln_prefactor = ln_prefactor(n, distance)?;
    let slack = n as f64 - 2.0 * radius as f64;
    Ok(ln_prefactor - slack * slack / (2.0 * (n as f64 - distance)))
}

/// ln of the Taylor exponential, [`ln_largest_term_normal`] with its exponent to first order in the
/// distance:
///
/// ```text
/// 2^(n+1)/(π√(d_v(n−d_v))) · exp(−(n−2d)²/(2n) − (n−2d)²/(2n²)·d_v)
/// ```
///
/// # Errors
///
/// [`GeometryError::Range`] unless 0 < `distance` < n.
///
/// # Source
///
/// Paper A, the exponential approximation of Eq. (2).
pub fn ln_taylor(n: usize, radius: usize, distance: f64) -> Result<f64, GeometryError> {
    Ok(ln_prefactor(n, distance)? + exponent(n, radius, distance))
}

/// ln of the two pure exponentials `c₁·exp(−c₂·d_v)` between which [`ln_taylor`] lies for
/// `1 ≤ d_v ≤ n−1`, (lower, upper).
///
/// The prefactor `2^(n+1)/(π√(d_v(n−d_v)))` is smallest, `2^(n+2)/(πn)`, at `d_v = n/2` and largest,
/// `2^(n+1)/(π√(n−1))`, at `d_v = 1`. They bound the Taylor exponential, not the intersection itself:
/// for that see [`HammingSpace::ln_intersection_bounds`].
///
/// # Source
///
/// Paper A, the analytic bounds drawn by the authors' code.
pub fn ln_taylor_bounds(n: usize, radius: usize, distance: f64) -> (f64, f64) {
    let points = n as f64 * LN_2;
    let exponent = exponent(n, radius, distance);
    let lower = points + libm::log(4.0 / (PI * n as f64)) + exponent;
    let upper = points + libm::log(2.0 / (PI * (n as f64 - 1.0).sqrt())) + exponent;
    (lower, upper)
}

/// The decay rate of the Taylor exponential in units of the cosine, β ≈ (n−2d)²/(4n).
///
/// # Source
///
/// Paper A, the exponential approximation of Eq. (2): `c₂ = (n−2d)²/(2n²)` per bit, and a bit is 2/n of
/// the cosine.
///
/// # Examples
///
/// ```
/// // (64 − 22)² / 256
/// assert_eq!(geometry::approximation::approximate_beta(64, 11), 6.890625);
/// ```
pub fn approximate_beta(n: usize, radius: usize) -> f64 {
    let slack = n as f64 - 2.0 * radius as f64;
    slack * slack / (4.0 * n as f64)
}

/// Kanerva's continuous approximation of `I(d_v)/2ⁿ`, the fraction of the space within the
/// intersection:
///
/// ```text
/// ∫ exp(−c²/(2(1−x))) / (2π√(x(1−x))) dx over d_v/n ≤ x ≤ 1, with c = (d−n/2)/√(n/4)
/// ```
///
/// With x = sin²θ it is (1/π)∫ exp(−c²/(2cos²θ)) dθ over `asin√(d_v/n) ≤ θ ≤ π/2`, which is smooth;
/// at `d_v = 0` that is Craig's form of the normal tail Φ(−|c|).
///
/// # Errors
///
/// [`GeometryError::Range`] unless 0 ≤ `distance` ≤ n and `radius` ≤ n/2, for which the integral is made.
///
/// # Source
///
/// Kanerva's book (1988), Appendix B; the column "continuous" of Paper A's table of circle
/// intersections at n = 1000, d = 451.
pub fn kanerva_fraction(n: usize, radius: usize, distance: f64) -> Result<f64, GeometryError> {
    if !(0.0..=n as f64).contains(&distance) {
        return Err(GeometryError::Range {
            what: "the Hamming distance",
            got: distance,
            interval: "[0, n]",
        });
    }
    if 2 * radius > n {
        return Err(GeometryError::Range {
            what: "the radius",
            got: radius as f64,
            interval: "[0, n/2]",
        });
    }
    let n = n as f64;
    let c = (radius as f64 - n / 2.0) / (n / 4.0).sqrt();
    let start = libm::asin((distance / n).sqrt());
    Ok(gauss_legendre(start, FRAC_PI_2, |theta| {
        let cos = libm::cos(theta);
        libm::exp(-c * c / (2.0 * cos * cos))
    }) / PI)
}

/// `ln 2^(n+1)/(π√(d_v(n−d_v)))`
fn ln_prefactor(n: usize, distance: f64) -> Result<f64, GeometryError> {
    let n = n as f64;
    if !(distance > 0.0 && distance < n) {
        return Err(GeometryError::Range {
            what: "the Hamming distance",
            got: distance,
            interval: "(0, n)",
        });
    }
    Ok(n * LN_2 + libm::log(2.0 / (PI * (distance * (n - distance)).sqrt())))
}

fn exponent(n: usize, radius: usize, distance: f64) -> f64 {
    let slack = n as f64 - 2.0 * radius as f64;
    let n = n as f64;
    -slack * slack / (2.0 * n) * (1.0 + distance / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_approximation_is_close_where_the_radius_is_large() {
        // Relative errors of a few percent for n = 1000, d = 480, from even distances on: at odd ones
        // the term of the sum rounds d_v/2 down.
        let space = HammingSpace::new(1000).unwrap();
        for distance in [20, 50, 100] {
            let exact = space.ln_largest_term(480, distance).unwrap();
            let normal = ln_largest_term_normal(1000, 480, distance as f64).unwrap();
            assert!((exact - normal).abs() < 0.02, "{distance}: {exact} {normal}");
        }
    }

    #[test]
    fn taylor_is_first_order_in_the_exponent() {
        // −s²/(2(n−x)) + s²/(2n) + s²x/(2n²) = −s²x²/(2n²(n−x))
        let (n, radius, x) = (1000, 411, 37.0);
        let s = 178.0;
        let difference =
            ln_largest_term_normal(n, radius, x).unwrap() - ln_taylor(n, radius, x).unwrap();
        let expected = -s * s * x * x / (2e6 * (1000.0 - x));
        assert!((difference - expected).abs() < 1e-11, "{difference} {expected}");
    }

    #[test]
    fn taylor_lies_between_its_exponentials_and_touches_both() {
        for (n, radius) in [(64, 11), (1000, 451)] {
            for distance in 1..n {
                let distance = distance as f64;
                let taylor = ln_taylor(n, radius, distance).unwrap();
                let (lower, upper) = ln_taylor_bounds(n, radius, distance);
                assert!(lower <= taylor + 1e-12 && taylor <= upper + 1e-12, "{distance}");
            }
            let middle = n as f64 / 2.0;
            let at_middle = ln_taylor(n, radius, middle).unwrap();
            assert!((at_middle - ln_taylor_bounds(n, radius, middle).0).abs() < 1e-12);
            let at_one = ln_taylor(n, radius, 1.0).unwrap();
            assert!((at_one - ln_taylor_bounds(n, radius, 1.0).1).abs() < 1e-12);
        }
    }

    #[test]
    fn approximate_beta_is_the_slope_of_the_exponential() {
        let (n, radius) = (100, 35);
        let slope_per_bit = exponent(n, radius, 11.0) - exponent(n, radius, 10.0);
        assert!((-slope_per_bit * 100.0 / 2.0 - approximate_beta(n, radius)).abs() < 1e-12);
    }

    // Paper A, table of circle intersections: column "continuous", n = 1000, r = 1e6, d = 451.
    #[test]
    fn published_table_continuous_column() {
        for (distance, published) in [
            (0.0, 970.770),
            (1.0, 888.215),
            (10.0, 713.057),
            (50.0, 426.702),
            (100.0, 254.636),
            (150.0, 153.930),
            (200.0, 91.252),
            (300.0, 28.197),
            (400.0, 6.553),
            (500.0, 0.942),
        ] {
            let neurons = 1e6 * kanerva_fraction(1000, 451, distance).unwrap();
            assert!((neurons - published).abs() < 5.1e-4, "{distance}: {neurons}");
        }
    }

    #[test]
    fn kanerva_at_zero_is_a_normal_tail_and_at_n_is_empty() {
        let tail = 0.5 * libm::erfc((1000.0 / 2.0 - 451.0) / (1000.0_f64 / 2.0).sqrt());
        assert!((kanerva_fraction(1000, 451, 0.0).unwrap() / tail - 1.0).abs() < 1e-13);
        assert_eq!(kanerva_fraction(1000, 451, 1000.0).unwrap(), 0.0);
    }

    #[test]
    fn distances_outside_of_the_domain_are_refused() {
        let space = HammingSpace::new(64).unwrap();
        assert!(space.ln_largest_term(11, 65).is_err());
        assert_eq!(space.ln_largest_term(11, 23).unwrap(), f64::NEG_INFINITY);
        for distance in [0.0, 64.0, -1.0, f64::NAN] {
            assert!(ln_largest_term_normal(64, 11, distance).is_err());
            assert!(ln_taylor(64, 11, distance).is_err());
        }
        for distance in [-1.0, 65.0, f64::NAN] {
            assert!(kanerva_fraction(64, 11, distance).is_err());
        }
        assert!(kanerva_fraction(64, 33, 1.0).is_err());
    }
}
