//! Causal attention.

use burn::tensor::Tensor;

use super::operation::{Numbers, Operation, apply, contiguous, is_fused, shaped_as};
use crate::transformer::{self, AttentionShape, attention_backward};

/// Causal attention of groups of heads, perhaps within a window; see [`transformer::attention`].
///
/// None where it is not fused ([`is_fused`]): there is no form without the square of scores then.
///
/// # Shapes
/// `q` `[sequence, token, head · number]`, `k` and `v` the same with heads of keys; the result as `q`.
///
/// # Determinism
/// The result and its gradients have the same bits for any number of threads on the default device.
///
/// # Panics
/// If the tensors are not of the shape.
///
/// # Examples
/// The second token sees both values, and prefers neither:
/// ```
/// use burn::tensor::{Device, Tensor};
/// use kernels::transformer::AttentionShape;
///
/// let shape =
///     AttentionShape { n_tokens: 2, n_heads: 1, n_kv_heads: 1, d_head: 1, scale: 1.0, window: None };
/// let of = |numbers: [f32; 2]| Tensor::<1>::from_floats(numbers, &Device::flex()).reshape([1, 2, 1]);
/// let y = kernels::tensor::attention(of([0.0, 0.0]), of([7.0, 9.0]), of([1.0, 2.0]), &shape);
/// assert_eq!(y.unwrap().try_into_vec_as::<f32>().unwrap(), [1.0, 1.5]);
/// ```
pub fn attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    shape: &AttentionShape,
) -> Option<Tensor<3>> {
    if !is_fused(&q) || !is_fused(&k) || !is_fused(&v) {
        return None;
    }
    let inputs = [q.into_dispatch(), k.into_dispatch(), v.into_dispatch()];
    Some(Tensor::from_dispatch(apply(Causal(*shape), inputs)))
}

#[derive(Clone, Debug)]
struct Causal(AttentionShape);

/// Inputs, result and levels.
type Kept = ([Numbers; 3], Numbers, Vec<f32>);

impl Operation<3> for Causal {
    type Kept = Kept;

    fn forward(&self, inputs: [Numbers; 3], _: bool) -> (Numbers, Kept) {
        let inputs = inputs.map(contiguous);
        let [q, k, v] = inputs.each_ref().map(Numbers::storage);
        let answer = transformer::attention([q, k, v], &self.0);
        let y = shaped_as(answer.y, &inputs[0]);
        (y.clone(), (inputs, y, answer.levels))
    }

    fn backward(&self, kept: Kept, dy: Numbers, _: [bool; 3]) -> [Option<Numbers>; 3] {
        let (inputs, y, levels) = kept;
        let numbers = inputs.each_ref().map(Numbers::storage);
        let found = attention_backward(numbers, y.storage(), &levels, dy.storage(), &self.0);
        let [q, k, v] = &inputs;
        let [dq, dk, dv] = found;
        [Some(shaped_as(dq, q)), Some(shaped_as(dk, k)), Some(shaped_as(dv, v))]
    }
}
