//! Rotary positions on tensors.

use std::sync::Arc;

use burn::tensor::Tensor;
use kernels::tensor::rotate;
use kernels::transformer::Angles;

use crate::{LmError, Rotary};

/// The angles of some positions.
pub(super) struct Rotation(Arc<Angles>);

impl Rotation {
    /// Of the positions from `start` on. Angles are taken in double precision.
    pub(super) fn new(
        rotary: &Rotary,
        d_head: usize,
        [start, len]: [usize; 2],
    ) -> Result<Self, LmError> {
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
        Ok(Self(Arc::new(Angles::new(len, cos, sin)?)))
    }

    /// (a, b) → (a·cos − b·sin, b·cos + a·sin) with a, b the halves of each head;
    /// `[batch, position, head, d_head]` to the same.
    pub(super) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        rotate(x, &self.0)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a number of size 1 loses digits only")]
fn single(x: f64) -> f32 {
    x as f32
}
