//! Half-precision numbers widened to single precision, exactly, and single precision rounded to them.

/// The value of an IEEE 754 binary16 number: sign, five exponent bits, ten fraction bits.
pub(crate) fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10 & 0x1f);
    let fraction = u32::from(bits & 0x3ff);
    match exponent {
        // Subnormal: fraction / 2^24, which single precision holds exactly.
        0 => f32::from_bits(sign | (fraction as f32 / 16_777_216.0).to_bits()),
        0x1f => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// The half-precision number nearest to a value, ties to even; infinity from 65,520 on.
pub(crate) fn f16_from_f32(value: f32) -> u16 {
    const SMALLEST_NORMAL: u32 = 0x3880_0000; // 2^-14
    let magnitude = value.abs().to_bits();
    let half = if value.is_nan() {
        0x7e00
    } else if magnitude < SMALLEST_NORMAL {
        // Subnormal, a multiple of 2^-24: what single precision rounds to between 1/2 and 1.
        (value.abs() + 0.5).to_bits() - 0.5_f32.to_bits()
    } else {
        // Another offset of the exponent, and 13 bits of the fraction less.
        let bits = magnitude - (112 << 23);
        ((bits + 0xfff + (bits >> 13 & 1)) >> 13).min(0x7c00)
    };
    let [low, high, ..] = (half | u32::from(value.is_sign_negative()) << 15).to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// The value of a bfloat16 number: the upper half of a binary32 number.
pub(crate) fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: (-1)^s 2^(e-15) (1 + f/1024), and (-1)^s 2^-14 f/1024 for e = 0.
    #[test]
    fn every_finite_half_equals_its_definition() {
        for bits in 0..=u16::MAX {
            let (e, f) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
            if e == 0x1f {
                continue;
            }
            let magnitude = if e == 0 {
                libm::ldexp(f / 1024.0, -14)
            } else {
                libm::ldexp(1.0 + f / 1024.0, e - 15)
            };
            let want = if bits >> 15 == 1 { -magnitude } else { magnitude };
            assert_eq!(f64::from(f16_to_f32(bits)).to_bits(), want.to_bits(), "{bits:#06x}");
        }
    }

    /// Halves go back to themselves; what lies between two goes to the nearer, from the middle to the even one.
    #[test]
    fn rounding_takes_the_nearest_half() {
        for bits in 0..0x7c00_u16 {
            let (low, high) = (f16_to_f32(bits), f16_to_f32(bits + 1));
            assert_eq!(f16_from_f32(low), bits);
            assert_eq!(f16_from_f32(-low), bits | 0x8000);
            // Beyond the largest half the next power of two would stand.
            let high = if bits == 0x7bff { 65_536.0 } else { high };
            let middle = f32::midpoint(low, high);
            assert_eq!(f16_from_f32(middle), bits + (bits & 1), "{bits:#06x}");
            assert_eq!(f16_from_f32(middle.next_down()), bits, "{bits:#06x}");
            assert_eq!(f16_from_f32(middle.next_up()), bits + 1, "{bits:#06x}");
        }
        assert_eq!(f16_from_f32(f32::NEG_INFINITY), 0xfc00);
        assert_eq!(f16_from_f32(f32::MAX), 0x7c00);
        assert!(f16_to_f32(f16_from_f32(f32::NAN)).is_nan());
    }

    #[test]
    fn infinities_and_nan_survive() {
        assert_eq!(f16_to_f32(0x7c00).to_bits(), f32::INFINITY.to_bits());
        assert_eq!(f16_to_f32(0xfc00).to_bits(), f32::NEG_INFINITY.to_bits());
        assert!(f16_to_f32(0x7e00).is_nan());
        assert_eq!(bf16_to_f32(0xc020).to_bits(), (-2.5_f32).to_bits());
    }
}
