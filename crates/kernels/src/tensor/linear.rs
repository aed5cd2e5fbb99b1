//! Products with weights.

use burn::tensor::Tensor;

use super::operation::{Numbers, Operation, apply, contiguous, is_fused, shaped_as, tensor};
use crate::transformer::{self, Weight, linear_backward, sum_of_all_rows, weight_gradient};

/// y = x·W + b over the last axis; see [`transformer::linear`].
///
/// # Shapes
/// `x` `[.., n_in]`, `weight` `[n_in, n_out]`, perhaps a transposed view, `bias` `[n_out]`; the result `[.., n_out]`.
///
/// # Determinism
/// The result and its gradients have the same bits for any number of threads on the default device.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let x = Tensor::<2>::from_floats([[1.0, 2.0]], &device);
/// let weight = Tensor::<2>::from_floats([[1.0], [10.0]], &device);
/// let y = kernels::tensor::linear(x, weight, None);
/// assert_eq!(y.into_scalar::<f32>(), 21.0);
/// ```
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    if !is_fused(&x) || !is_fused(&weight) || !bias.as_ref().is_none_or(is_fused) {
        return burn::tensor::module::linear(x, weight, bias);
    }
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => apply(Linear, [x, weight, bias.into_dispatch()]),
        None => apply(Linear, [x, weight]),
    })
}

#[derive(Clone, Debug)]
struct Linear;

impl Operation<2> for Linear {
    type Kept = [Numbers; 2];

    fn forward(&self, [x, weight]: [Numbers; 2], _: bool) -> (Numbers, Self::Kept) {
        forward(x, weight, None)
    }

    fn backward(&self, kept: Self::Kept, dy: Numbers, wanted: [bool; 2]) -> [Option<Numbers>; 2] {
        backward(kept, &dy, wanted)
    }
}

impl Operation<3> for Linear {
    type Kept = [Numbers; 2];

    fn forward(&self, [x, weight, bias]: [Numbers; 3], _: bool) -> (Numbers, Self::Kept) {
        forward(x, weight, Some(&contiguous(bias)))
    }

    fn backward(&self, kept: Self::Kept, dy: Numbers, wanted: [bool; 3]) -> [Option<Numbers>; 3] {
        let [by_x, by_weight, by_bias] = wanted;
        let n_out = kept[1].layout().shape()[1];
        let bias = by_bias.then(|| tensor(sum_of_all_rows(dy.storage(), n_out), [n_out]));
        let [x, weight] = backward(kept, &dy, [by_x, by_weight]);
        [x, weight, bias]
    }
}

fn forward(x: Numbers, weight: Numbers, bias: Option<&Numbers>) -> (Numbers, [Numbers; 2]) {
    let (x, weight) = (contiguous(x), dense(weight));
    let shape = shape(&weight);
    let values = straight(&weight);
    let y = transformer::linear(x.storage(), shape, values.storage(), bias.map(Numbers::storage));
    let mut dims = x.layout().shape().clone();
    let last = dims.num_dims() - 1;
    dims[last] = shape.n_out;
    (Numbers::from_data(burn::tensor::TensorData::new(y, dims)), [x, weight])
}

fn backward([x, weight]: [Numbers; 2], dy: &Numbers, wanted: [bool; 2]) -> [Option<Numbers>; 2] {
    let shape = shape(&weight);
    let by_x = wanted[0]
        .then(|| shaped_as(linear_backward(dy.storage(), shape, straight(&weight).storage()), &x));
    let by_weight = wanted[1].then(|| {
        let gradient = weight_gradient(x.storage(), dy.storage(), shape);
        let Weight { n_in, n_out, turned } = shape;
        if turned {
            turned_around(&tensor(gradient, [n_out, n_in]))
        } else {
            tensor(gradient, [n_in, n_out])
        }
    });
    [by_x, by_weight]
}

/// A weight whose numbers, or those of its transpose, lie one after the other.
fn dense(weight: Numbers) -> Numbers {
    if is_turned(&weight) { weight } else { contiguous(weight) }
}

fn is_turned(weight: &Numbers) -> bool {
    let covers = weight.layout().num_elements() == weight.storage::<f32>().len();
    covers && !weight.is_contiguous() && turned_around(weight).is_contiguous()
}

/// The weight as it lies in memory.
fn straight(weight: &Numbers) -> Numbers {
    if is_turned(weight) { turned_around(weight) } else { weight.clone() }
}

fn turned_around(weight: &Numbers) -> Numbers {
    let layout = weight.layout().transpose(0, 1);
    weight.clone().with_layout(layout)
}

fn shape(weight: &Numbers) -> Weight {
    let shape = weight.layout().shape();
    Weight { n_in: shape[0], n_out: shape[1], turned: is_turned(weight) }
}
