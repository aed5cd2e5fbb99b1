//! What a multilayer perceptron makes of its hidden units.

use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, gelu_approximate, relu, silu};

use super::operation::{Numbers, Operation, apply, contiguous, is_fused, shaped_as};
use crate::transformer::{self, Activation, activate_backward, gated_backward};

/// f(x), number by number; see [`transformer::activate`].
///
/// # Determinism
/// The result and its gradient have the same bits for any number of threads on the default device.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use kernels::transformer::Activation;
///
/// let x = Tensor::<1>::from_floats([-2.0, 3.0], &Device::flex());
/// let y = kernels::tensor::activate(Activation::Relu, x);
/// assert_eq!(y.try_into_vec_as::<f32>().unwrap(), [0.0, 3.0]);
/// ```
pub fn activate<const D: usize>(f: Activation, x: Tensor<D>) -> Tensor<D> {
    if is_fused(&x) {
        return Tensor::from_dispatch(apply(f, [x.into_dispatch()]));
    }
    match f {
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => gelu_approximate(x),
        Activation::Relu => relu(x),
        Activation::Silu => silu(x),
    }
}

/// f(gate)·x, number by number; see [`transformer::gated`].
///
/// # Shapes
/// `gate`, `x` and the result have the same.
///
/// # Determinism
/// The result and its gradients have the same bits for any number of threads on the default device.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use kernels::transformer::Activation;
///
/// let vector = |numbers: [f32; 2]| Tensor::<1>::from_floats(numbers, &Device::flex());
/// let y = kernels::tensor::gated(Activation::Silu, vector([0.0, 40.0]), vector([3.0, 0.5]));
/// assert_eq!(y.try_into_vec_as::<f32>().unwrap(), [0.0, 20.0]);
/// ```
pub fn gated<const D: usize>(f: Activation, gate: Tensor<D>, x: Tensor<D>) -> Tensor<D> {
    if !is_fused(&gate) || !is_fused(&x) {
        return activate(f, gate) * x;
    }
    Tensor::from_dispatch(apply(f, [gate.into_dispatch(), x.into_dispatch()]))
}

/// Of the input alone.
impl Operation<1> for Activation {
    type Kept = Numbers;

    fn forward(&self, [x]: [Numbers; 1], _: bool) -> (Numbers, Numbers) {
        let x = contiguous(x);
        (shaped_as(transformer::activate(*self, x.storage()), &x), x)
    }

    fn backward(&self, x: Numbers, dy: Numbers, _: [bool; 1]) -> [Option<Numbers>; 1] {
        [Some(shaped_as(activate_backward(*self, x.storage(), dy.storage()), &x))]
    }
}

/// Of a gate, times the input.
impl Operation<2> for Activation {
    type Kept = [Numbers; 2];

    fn forward(&self, inputs: [Numbers; 2], _: bool) -> (Numbers, [Numbers; 2]) {
        let [gate, x] = inputs.map(contiguous);
        (shaped_as(transformer::gated(*self, gate.storage(), x.storage()), &x), [gate, x])
    }

    fn backward(&self, [gate, x]: [Numbers; 2], dy: Numbers, _: [bool; 2]) -> [Option<Numbers>; 2] {
        let found = gated_backward(*self, gate.storage(), x.storage(), dy.storage());
        found.map(|gradient| Some(shaped_as(gradient, &x)))
    }
}
