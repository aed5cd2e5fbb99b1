//! Rows in memory, and their conversion to and from the stored type.

use half::slice::HalfFloatSliceExt as _;
use half::{bf16, f16};

use super::Dtype;

/// Rows of some hooks with the token, position and document of each. Reading reuses its memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The place of each row in the store, from 0. \[n\]
    pub row_idx: Vec<u64>,
    /// The token of each row. \[n\]
    pub tokens: Vec<u32>,
    /// Its position in the sequence that the model saw. \[n\]
    pub positions: Vec<u32>,
    /// The document it comes from. \[n\]
    pub documents: Vec<u64>,
    /// The numbers of each hook, row after row. \[hook\]\[n · width\]
    pub hooks: Vec<Vec<f32>>,
}

impl Rows {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Makes room for `n` rows of hooks of these widths; what was there is overwritten.
    pub(crate) fn resize(&mut self, n: usize, widths: &[usize]) {
        self.row_idx.resize(n, 0);
        self.tokens.resize(n, 0);
        self.positions.resize(n, 0);
        self.documents.resize(n, 0);
        self.hooks.resize_with(widths.len(), Vec::new);
        for (hook, width) in self.hooks.iter_mut().zip(widths) {
            hook.resize(n * width, 0.0);
        }
    }
}

/// Numbers as they are stored.
#[derive(Debug)]
pub(crate) enum Stored {
    F32(Vec<f32>),
    F16(Vec<u16>),
    Bf16(Vec<u16>),
}

impl Stored {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::F32(values) => bytemuck::cast_slice(values),
            Self::F16(words) | Self::Bf16(words) => bytemuck::cast_slice(words),
        }
    }

    /// Rounds numbers to the stored type, to nearest with ties to even.
    pub(crate) fn encode(dtype: Dtype, values: &[f32]) -> Self {
        match dtype {
            Dtype::F32 => Self::F32(values.to_vec()),
            Dtype::F16 => {
                let mut words = vec![f16::ZERO; values.len()];
                words.convert_from_f32_slice(values);
                Self::F16(bytemuck::cast_vec(words))
            }
            Dtype::Bf16 => {
                Self::Bf16(values.iter().map(|value| bf16::from_f32(*value).to_bits()).collect())
            }
        }
    }

    /// The first number that is not finite once it is stored.
    pub(crate) fn first_non_finite(&self) -> Option<usize> {
        match self {
            Self::F32(values) => values.iter().position(|value| !value.is_finite()),
            Self::F16(words) => words.iter().position(|word| word & 0x7c00 == 0x7c00),
            Self::Bf16(words) => words.iter().position(|word| word & 0x7f80 == 0x7f80),
        }
    }
}

/// Writes stored numbers, which lie on the boundary of their type, as f32. Exact.
pub(crate) fn decode(dtype: Dtype, stored: &[u8], into: &mut [f32]) {
    match dtype {
        Dtype::F32 => bytemuck::cast_slice_mut(into).copy_from_slice(stored),
        Dtype::F16 => {
            bytemuck::cast_slice::<u8, f16>(stored).convert_to_f32_slice(into);
        }
        Dtype::Bf16 => {
            for (value, word) in into.iter_mut().zip(bytemuck::cast_slice::<u8, u16>(stored)) {
                *value = f32::from_bits(u32::from(*word) << 16);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_rounds_to_nearest_and_reads_back_exactly() {
        // 1 + 2⁻¹² lies between neighbours of f16 (2⁻¹⁰ apart) and of bf16 (2⁻⁷ apart).
        let values = [1.0 + 1.0 / 4096.0, -0.5, 1.0 + 3.0 / 256.0, 65504.0];
        let read = |dtype| {
            let mut read = vec![0.0; 4];
            decode(dtype, Stored::encode(dtype, &values).bytes(), &mut read);
            read
        };
        assert_eq!(read(Dtype::F32), values);
        assert_eq!(read(Dtype::F16), [1.0, -0.5, 1.0 + 3.0 / 256.0, 65504.0]);
        // 1 + 3/256 is half way between 1 + 1/128 and 1 + 2/128; the even one is taken.
        assert_eq!(read(Dtype::Bf16), [1.0, -0.5, 1.0 + 2.0 / 128.0, 65536.0]);
    }

    #[test]
    fn what_no_longer_is_finite_is_found() {
        let find = |dtype, values: &[f32]| Stored::encode(dtype, values).first_non_finite();
        for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16] {
            assert_eq!(find(dtype, &[1.0, -2.0]), None);
            assert_eq!(find(dtype, &[1.0, f32::NAN]), Some(1));
            assert_eq!(find(dtype, &[1.0, 2.0, f32::NEG_INFINITY]), Some(2));
        }
        assert_eq!(find(Dtype::F16, &[65520.0]), Some(0));
        assert_eq!(find(Dtype::F16, &[65519.0]), None);
        assert_eq!(find(Dtype::Bf16, &[f32::MAX]), Some(0));
    }
}
