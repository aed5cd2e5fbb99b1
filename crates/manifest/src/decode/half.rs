//! Half-precision numbers widened to single precision, exactly.

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

    #[test]
    fn infinities_and_nan_survive() {
        assert_eq!(f16_to_f32(0x7c00).to_bits(), f32::INFINITY.to_bits());
        assert_eq!(f16_to_f32(0xfc00).to_bits(), f32::NEG_INFINITY.to_bits());
        assert!(f16_to_f32(0x7e00).is_nan());
        assert_eq!(bf16_to_f32(0xc020).to_bits(), (-2.5_f32).to_bits());
    }
}
