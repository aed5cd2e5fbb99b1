//! The exponential function in 32 bits.

/// eˣ with a relative error below 1.5e-7, for x between −87 and 88; below, 0; above, +∞; NaN for NaN.
///
/// 2^k·eʳ with k the integer nearest to x/ln 2 and a polynomial of degree 7 for eʳ. Only additions and
/// multiplications, in a fixed order: the same bits on every platform, and a loop over it vectorizes.
///
/// # Examples
///
/// ```
/// assert_eq!(kernels::exp(0.0), 1.0);
/// assert!((kernels::exp(1.0) - std::f32::consts::E).abs() < 3e-7);
/// assert_eq!(kernels::exp(f32::NEG_INFINITY), 0.0);
/// ```
#[inline]
pub fn exp(x: f32) -> f32 {
    // ln 2 in two parts, so that k times the first is exact.
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // 1.5·2^23: adding it rounds to an integer in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = clamped * core::f32::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (clamped - k * LN_2_HIGH) - k * LN_2_LOW;
    let tail = unfused(r, 1.0 / 5040.0, 1.0 / 720.0);
    let tail = unfused(r, tail, 1.0 / 120.0);
    let tail = unfused(r, tail, 1.0 / 24.0);
    let tail = unfused(r, tail, 1.0 / 6.0);
    let tail = unfused(r, tail, 0.5);
    let power = 1.0 + (r + r * r * tail);
    // The low bits of `shifted` hold k, up to a constant that the shift drops.
    let exponent = (shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits());
    let value = power * f32::from_bits(exponent);
    if x < -87.0 {
        0.0
    } else if x > 88.0 {
        f32::INFINITY
    } else {
        value
    }
}

/// x·a + b, rounded twice: never a fused multiply-add.
#[inline]
fn unfused(x: f32, a: f32, b: f32) -> f32 {
    x * a + b
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn close_to_the_exponential_everywhere() {
        let mut worst = 0.0_f64;
        for step in 0_u32..=1_750_000 {
            let x = step as f32 * 1e-4 - 87.0;
            let exact = libm::exp(f64::from(x));
            worst = worst.max((f64::from(exp(x)) / exact - 1.0).abs());
        }
        assert!(worst < 1.5e-7, "{worst}");
    }

    #[test]
    fn the_ends() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-88.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
    }
}
