//! The regularized incomplete beta function, as a logarithm.

/// `ln I_x(a, b)`, where `I_x(a, b) = ∫₀ˣ t^(a−1)·(1−t)^(b−1) dt / B(a, b)`, for 0 ≤ x ≤ 1 and a, b > 0.
///
/// `complement` is 1−x, passed apart since the caller knows it without cancellation. The continued
/// fraction is used on the side of the mean where it converges fast.
pub(crate) fn ln_incomplete_beta(a: f64, b: f64, x: f64, complement: f64) -> f64 {
    if x <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if complement <= 0.0 {
        return 0.0;
    }
    if x < (a + 1.0) / (a + b + 2.0) {
        ln_lower_part(a, b, x, complement)
    } else {
        libm::log1p(-libm::exp(ln_lower_part(b, a, complement, x)))
    }
}

fn ln_lower_part(a: f64, b: f64, x: f64, complement: f64) -> f64 {
    let ln_beta = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    a * libm::log(x) + b * libm::log(complement) - ln_beta - libm::log(a)
        + libm::log(continued_fraction(a, b, x))
}

/// The continued fraction of the incomplete beta function, by the modified Lentz method.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    const MAX_TERMS: u32 = 500;
    let away_from_zero = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for m in 1..=MAX_TERMS {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut step = 1.0;
        for coefficient in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + coefficient * d);
            c = away_from_zero(1.0 + coefficient / c);
            step = c * d;
            value *= step;
        }
        if (step - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ln(a: f64, b: f64, x: f64) -> f64 {
        ln_incomplete_beta(a, b, x, 1.0 - x)
    }

    #[test]
    fn closed_forms() {
        for x in [1e-8, 0.01, 0.3, 0.5, 0.77, 0.99] {
            // I_x(a, 1) = x^a and I_x(½, ½) = (2/π) asin √x.
            assert!((ln(3.5, 1.0, x) - 3.5 * libm::log(x)).abs() < 1e-13, "{x}");
            let arcsine = 2.0 / core::f64::consts::PI * libm::asin(x.sqrt());
            assert!((ln(0.5, 0.5, x) - libm::log(arcsine)).abs() < 1e-13, "{x}");
            // I_x(1, ½) = 1 − √(1−x)
            let root = -libm::expm1(0.5 * libm::log1p(-x));
            assert!((ln(1.0, 0.5, x) - libm::log(root)).abs() < 1e-13, "{x}");
        }
    }

    #[test]
    fn both_sides_add_to_one() {
        for a in [0.5, 1.0, 31.0, 499.0] {
            for x in [0.001, 0.2, 0.5, 0.9, 0.999] {
                let sum = libm::exp(ln(a, 0.5, x)) + libm::exp(ln(0.5, a, 1.0 - x));
                assert!((sum - 1.0).abs() < 1e-12, "{a} {x} {sum}");
            }
        }
        assert_eq!(ln(2.0, 0.5, 0.0), f64::NEG_INFINITY);
        assert_eq!(ln(2.0, 0.5, 1.0), 0.0);
    }
}
