//! Rotary positions on tensors.

use burn::tensor::{Device, Tensor, TensorData};

use crate::Rotary;

/// Cosines and sines of the angles of some positions, `[1, position, 1, d_head/2]` each.
pub(super) struct Rotation {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rotation {
    /// Of the positions from `start` on. Angles are taken in double precision.
    pub(super) fn new(
        rotary: &Rotary,
        d_head: usize,
        [start, len]: [usize; 2],
        device: &Device,
    ) -> Self {
        let (frequencies, stretch) = (rotary.frequencies(d_head), rotary.stretch());
        let mut cos = Vec::with_capacity(len * frequencies.len());
        let mut sin = Vec::with_capacity(len * frequencies.len());
        for position in start..start + len {
            for frequency in &frequencies {
                let (s, c) = libm::sincos(position as f64 * frequency);
                cos.push(single(c * stretch));
                sin.push(single(s * stretch));
            }
        }
        let shape = [1, len, 1, frequencies.len()];
        Self {
            cos: Tensor::from_data(TensorData::new(cos, shape), device),
            sin: Tensor::from_data(TensorData::new(sin, shape), device),
        }
    }

    /// (a, b) → (a·cos − b·sin, b·cos + a·sin) with a, b the halves of each head;
    /// `[batch, position, head, d_head]` to the same.
    pub(super) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let (a, b) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
        let (cos, sin) = (self.cos.clone().cast(a.dtype()), self.sin.clone().cast(a.dtype()));
        let first = a.clone() * cos.clone() - b.clone() * sin.clone();
        Tensor::cat(vec![first, b * cos + a * sin], 3)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a number of size 1 loses digits only")]
fn single(x: f64) -> f32 {
    x as f32
}
