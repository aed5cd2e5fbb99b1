//! Spherical caps and their intersections: the continuous version of Hamming balls.
//!
//! A Hamming ball of radius d becomes the cap of the unit sphere in n dimensions whose points lie
//! within the angle t = arccos(1−2d/n) of its center. Fractions are of the area of the whole sphere.

use crate::incomplete_beta::ln_incomplete_beta;
use crate::quadrature::gauss_legendre;
use crate::{GeometryError, cosine_from_hamming};
use core::f64::consts::{FRAC_PI_2, PI};

/// The part of the integrand left out at its small end, as a logarithm of its share.
const NEGLIGIBLE: f64 = -45.0;

/// The angle t = arccos(1−2d/n) of the cap that stands for a Hamming ball of radius d, in radians.
///
/// # Source
///
/// Paper A, continuous SDM.
///
/// # Examples
///
/// ```
/// use std::f64::consts::FRAC_PI_2;
/// assert!((geometry::cap::cap_angle(64, 32) - FRAC_PI_2).abs() < 1e-15);
/// ```
pub fn cap_angle(n: usize, radius: usize) -> f64 {
    libm::acos(cosine_from_hamming(n, radius as f64).clamp(-1.0, 1.0))
}

/// ln of the fraction of the sphere in `n` dimensions that lies in the cap of angle `cap_angle`:
/// `½·I_x((n−1)/2, ½)` with x = sin²t and the regularized incomplete beta function I.
///
/// # Errors
///
/// [`GeometryError::Dimension`] for n < 2, [`GeometryError::Range`] unless 0 < `cap_angle` ≤ π/2.
///
/// # Examples
///
/// ```
/// // On the sphere in three dimensions the fraction is (1−cos t)/2.
/// let ln_fraction = geometry::cap::ln_cap_fraction(3, std::f64::consts::FRAC_PI_3)?;
/// assert!((ln_fraction - 0.25_f64.ln()).abs() < 1e-14);
/// # Ok::<(), geometry::GeometryError>(())
/// ```
pub fn ln_cap_fraction(n: usize, cap_angle: f64) -> Result<f64, GeometryError> {
    check(n, cap_angle)?;
    let (sin, cos) = libm::sincos(cap_angle);
    let a = (n as f64 - 1.0) / 2.0;
    Ok(ln_incomplete_beta(a, 0.5, sin * sin, cos * cos) + libm::log(0.5))
}

/// ln of the fraction of the sphere in `n` dimensions that lies in both of two caps of angle t =
/// `cap_angle` whose centers are the angle θ = `separation` apart; −∞ where they do not meet, θ ≥ 2t.
///
/// The fraction is
///
/// ```text
/// Γ(n/2)/(√π·Γ((n−1)/2)) · ∫ sin^(n−2) φ · I_x((n−2)/2, ½) dφ over θ/2 ≤ φ ≤ t,
/// x = 1 − (tan(θ/2)/tan φ)²
/// ```
///
///
/// with the regularized incomplete beta function I (equal to 1 at n = 2). The integrand rises with φ;
/// it is integrated in log space over φ = θ/2 + (t−θ/2)v², which makes it analytic at its small end,
/// where the part below e⁻⁴⁵ of its maximum is left out.
///
/// # Errors
///
/// [`GeometryError::Dimension`] for n < 2; [`GeometryError::Range`] unless 0 < `cap_angle` ≤ π/2 and
/// 0 ≤ `separation` ≤ π.
///
/// # Source
///
/// Paper A, continuous SDM. Departs from the authors' code, which adds 2 in the place of ln 2 and so
/// returns e²/2 ≈ 3.69 times this fraction; normalized weights and β do not change.
///
/// # Examples
///
/// ```
/// use geometry::cap::ln_cap_intersection_fraction;
///
/// // In the plane, two arcs of ±1 rad whose centers are 0.5 rad apart share an arc of 1.5 rad.
/// let ln_fraction = ln_cap_intersection_fraction(2, 1.0, 0.5)?;
/// assert!((ln_fraction - (1.5 / std::f64::consts::TAU).ln()).abs() < 1e-14);
/// # Ok::<(), geometry::GeometryError>(())
/// ```
pub fn ln_cap_intersection_fraction(
    n: usize,
    cap_angle: f64,
    separation: f64,
) -> Result<f64, GeometryError> {
    check(n, cap_angle)?;
    if !(0.0..=PI).contains(&separation) {
        return Err(GeometryError::Range {
            what: "the separation of the caps",
            got: separation,
            interval: "[0, π]",
        });
    }
    let half = separation / 2.0;
    let width = cap_angle - half;
    if width <= 0.0 {
        return Ok(f64::NEG_INFINITY);
    }
    let cos_half = libm::cos(half);
    let sin_half = libm::sin(half);
    let a = (n as f64 - 2.0) / 2.0;
    // ln of the integrand at φ = half + offset
    let ln_integrand = |offset: f64| {
        let (sin, cos) = libm::sincos(half + offset);
        let ln_beta = if n == 2 {
            0.0
        } else {
            // 1 − (tan half/tan φ)² = sin(φ−half)·sin(φ+half)/(sin φ·cos half)²
            let scale = sin * cos_half;
            let x = libm::sin(offset) * libm::sin(2.0 * half + offset) / (scale * scale);
            let root = sin_half * cos / scale;
            ln_incomplete_beta(a, 0.5, x.min(1.0), root * root)
        };
        2.0 * a * libm::log(sin) + ln_beta
    };
    let ln_maximum = ln_integrand(width);
    let relative = |v: f64| ln_integrand(width * v * v) - ln_maximum;
    let start = last_below(NEGLIGIBLE, relative);
    let integral = gauss_legendre(start, 1.0, |v| libm::exp(relative(v)) * 2.0 * width * v);
    let ln_area = libm::lgamma(n as f64 / 2.0) - libm::lgamma((n as f64 - 1.0) / 2.0);
    Ok(ln_area - 0.5 * libm::log(PI) + ln_maximum + libm::log(integral))
}

/// The v in [0, 1] up to which an increasing function stays below `level`, to three digits.
fn last_below(level: f64, increasing: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..12 {
        let middle = f64::midpoint(low, high);
        if increasing(middle) < level { low = middle } else { high = middle }
    }
    low
}

fn check(n: usize, cap_angle: f64) -> Result<(), GeometryError> {
    if n < 2 {
        return Err(GeometryError::Dimension { got: n, minimum: 2 });
    }
    if !(cap_angle > 0.0 && cap_angle <= FRAC_PI_2) {
        return Err(GeometryError::Range {
            what: "the angle of the cap",
            got: cap_angle,
            interval: "(0, π/2]",
        });
    }
    Ok(())
}
