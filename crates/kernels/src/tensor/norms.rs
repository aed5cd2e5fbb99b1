//! Rows brought to a common scale.

use burn::tensor::Tensor;

use super::operation::{Numbers, Operation, apply, contiguous, is_fused, shaped_as, tensor};
use crate::transformer::{self, NormGradients, layer_norm_backward, rms_norm_backward};

/// y = gain·(x − mean)/√(variance + ε) + bias over the last axis; see [`transformer::layer_norm`].
///
/// # Shapes
/// `x` `[.., width]`, `gain` and `bias` `[width]`; the result as `x`.
///
/// # Determinism
/// The result and its gradients have the same bits for any number of threads on the default device.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let vector = |numbers: [f32; 2]| Tensor::<1>::from_floats(numbers, &device);
/// let y = kernels::tensor::layer_norm(vector([1.0, 3.0]), vector([1.0, 1.0]), vector([0.0, 0.5]), 0.0);
/// assert_eq!(y.try_into_vec_as::<f32>().unwrap(), [-1.0, 1.5]);
/// ```
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gain: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    if !is_fused(&x) || !is_fused(&gain) || !is_fused(&bias) {
        return burn::tensor::module::layer_norm(x, gain, Some(bias), epsilon);
    }
    let inputs = [x.into_dispatch(), gain.into_dispatch(), bias.into_dispatch()];
    Tensor::from_dispatch(apply(Norm { epsilon: narrowed(epsilon) }, inputs))
}

/// y = gain·x/√(mean of x² + ε) over the last axis; see [`transformer::rms_norm`].
///
/// # Shapes
/// `x` `[.., width]`, `gain` `[width]`; the result as `x`.
///
/// # Determinism
/// The result and its gradients have the same bits for any number of threads on the default device.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let vector = |numbers: [f32; 2]| Tensor::<1>::from_floats(numbers, &device);
/// let y = kernels::tensor::rms_norm(vector([2.0, 2.0]), vector([1.0, 3.0]), 0.0);
/// assert_eq!(y.try_into_vec_as::<f32>().unwrap(), [1.0, 3.0]);
/// ```
pub fn rms_norm<const D: usize>(x: Tensor<D>, gain: Tensor<1>, epsilon: f64) -> Tensor<D> {
    if !is_fused(&x) || !is_fused(&gain) {
        let mean_square = x.clone().square().mean_dim(D - 1);
        return x / (mean_square + epsilon).sqrt() * gain.unsqueeze();
    }
    let inputs = [x.into_dispatch(), gain.into_dispatch()];
    Tensor::from_dispatch(apply(Norm { epsilon: narrowed(epsilon) }, inputs))
}

#[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
fn narrowed(epsilon: f64) -> f32 {
    epsilon as f32
}

#[derive(Clone, Debug)]
struct Norm {
    epsilon: f32,
}

/// Inputs, and what each row was multiplied by.
type Kept = (Numbers, Numbers, Vec<f32>);

/// With a bias: the mean is taken from each row.
impl Operation<3> for Norm {
    type Kept = Kept;

    fn forward(&self, inputs: [Numbers; 3], _: bool) -> (Numbers, Kept) {
        let [x, gain, bias] = inputs.map(contiguous);
        let normed =
            transformer::layer_norm(x.storage(), gain.storage(), bias.storage(), self.epsilon);
        (shaped_as(normed.y, &x), (x, gain, normed.scales))
    }

    fn backward(&self, kept: Kept, dy: Numbers, _: [bool; 3]) -> [Option<Numbers>; 3] {
        let (x, gain, scales) = kept;
        let found = layer_norm_backward(x.storage(), &scales, gain.storage(), dy.storage());
        let NormGradients { x: dx, gain, bias } = found;
        let width = gain.len();
        [Some(shaped_as(dx, &x)), Some(tensor(gain, [width])), Some(tensor(bias, [width]))]
    }
}

/// Without one.
impl Operation<2> for Norm {
    type Kept = Kept;

    fn forward(&self, inputs: [Numbers; 2], _: bool) -> (Numbers, Kept) {
        let [x, gain] = inputs.map(contiguous);
        let normed = transformer::rms_norm(x.storage(), gain.storage(), self.epsilon);
        (shaped_as(normed.y, &x), (x, gain, normed.scales))
    }

    fn backward(&self, kept: Kept, dy: Numbers, _: [bool; 2]) -> [Option<Numbers>; 2] {
        let (x, gain, scales) = kept;
        let found = rms_norm_backward(x.storage(), &scales, gain.storage(), dy.storage());
        let width = found.gain.len();
        [Some(shaped_as(found.x, &x)), Some(tensor(found.gain, [width]))]
    }
}
