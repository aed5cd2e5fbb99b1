//! Rotary positions.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};

use super::operation::{Numbers, Operation, apply, contiguous, is_fused, shaped_as};
use crate::transformer::{self, Angles};

/// Heads rotated by the angles of their tokens; see [`transformer::rotate`].
///
/// # Shapes
/// `x` `[sequence, token, head, number]`, with as many tokens and twice the numbers as there are angles; the result as
/// `x`.
///
/// # Determinism
/// The result and its gradient have the same bits for any number of threads on the default device.
///
/// # Panics
/// If `x` is not of the shape of the angles.
///
/// # Examples
/// A quarter of a turn:
/// ```
/// use burn::tensor::{Device, Tensor};
/// use kernels::transformer::Angles;
///
/// let angles = Angles::new(1, vec![0.0], vec![1.0])?.into();
/// let x = Tensor::<1>::from_floats([2.0, 3.0], &Device::flex()).reshape([1, 1, 1, 2]);
/// let y = kernels::tensor::rotate(x, &angles);
/// assert_eq!(y.try_into_vec_as::<f32>().unwrap(), [-3.0, 2.0]);
/// # Ok::<(), kernels::KernelError>(())
/// ```
pub fn rotate(x: Tensor<4>, angles: &Arc<Angles>) -> Tensor<4> {
    let half = angles.half();
    let [_, n_tokens, _, d_head] = x.dims();
    assert_eq!([n_tokens, d_head], [angles.n_tokens(), 2 * half], "an angle for each pair");
    if is_fused(&x) {
        return Tensor::from_dispatch(apply(Rotation(Arc::clone(angles)), [x.into_dispatch()]));
    }
    let of = |values: &[f32]| {
        let values = TensorData::new(values.to_vec(), [1, n_tokens, 1, half]);
        Tensor::<4>::from_data(values, &x.device()).cast(x.dtype())
    };
    let (cos, sin) = (of(angles.cos()), of(angles.sin()));
    let (a, b) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
    let first = a.clone() * cos.clone() - b.clone() * sin.clone();
    Tensor::cat(vec![first, b * cos + a * sin], 3)
}

#[derive(Clone, Debug)]
struct Rotation(Arc<Angles>);

impl Rotation {
    fn rotated(x: &Numbers, angles: &Angles) -> Numbers {
        let shape = x.layout().shape();
        shaped_as(transformer::rotate(x.storage(), shape[2] * shape[3], angles), x)
    }
}

/// Keeps nothing: the gradient is rotated back.
impl Operation<1> for Rotation {
    type Kept = ();

    fn forward(&self, [x]: [Numbers; 1], _: bool) -> (Numbers, ()) {
        (Self::rotated(&contiguous(x), &self.0), ())
    }

    fn backward(&self, (): (), dy: Numbers, _: [bool; 1]) -> [Option<Numbers>; 1] {
        [Some(Self::rotated(&dy, &self.0.reversed()))]
    }
}
