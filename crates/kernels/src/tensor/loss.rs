//! The loss of next tokens.

use std::sync::Arc;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use rayon::prelude::*;

use super::operation::{Numbers, Operation, apply, contiguous, is_fused, tensor};
use crate::KernelError;
use crate::transformer::{self, cross_entropies, weighted_mean};

/// Numbers that one task takes.
const TASK: usize = 1 << 14;

/// The mean cross-entropy of rows, weighted, in nats, `[1]`; see [`transformer::cross_entropy`].
///
/// On the default device the gradient takes the place of the logits if nothing else holds them.
///
/// # Shapes
/// `logits` `[row, token]`, a target and a weight for each row.
///
/// # Determinism
/// The result and its gradient have the same bits for any number of threads on the default device.
///
/// # Errors
/// [`KernelError::Size`] unless there is a target and a weight for each row, or for a target beyond the tokens.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let logits = Tensor::<2>::from_floats([[0.0, 0.0], [5.0, 5.0]], &Device::flex());
/// let loss = kernels::tensor::cross_entropy(logits, &[1, 0], &[1.0, 0.0])?;
/// assert!((loss.into_scalar::<f32>() - 2.0_f32.ln()).abs() < 1e-6);
/// # Ok::<(), kernels::KernelError>(())
/// ```
pub fn cross_entropy(
    logits: Tensor<2>,
    targets: &[u32],
    weights: &[f32],
) -> Result<Tensor<1>, KernelError> {
    let [n_rows, n_tokens] = logits.dims();
    KernelError::check("targets of rows", n_rows, targets.len())?;
    KernelError::check("weights of rows", n_rows, weights.len())?;
    if let Some(bad) = targets.iter().find(|target| **target as usize >= n_tokens) {
        let expected = *bad as usize + 1;
        return Err(KernelError::Size { what: "tokens", expected, got: n_tokens });
    }
    if is_fused(&logits) {
        let loss = CrossEntropy { n_tokens, targets: targets.into(), weights: weights.into() };
        return Ok(Tensor::from_dispatch(apply(loss, [logits.into_dispatch()])));
    }
    let device = logits.device();
    let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    let share = |weight: &f32| if total == 0.0 { 0.0 } else { f64::from(*weight) / total };
    let shares: Vec<f64> = weights.iter().map(share).collect();
    let shares = Tensor::<1>::from_data(TensorData::new(shares, [n_rows]), &device);
    let targets: Vec<i64> = targets.iter().map(|target| i64::from(*target)).collect();
    let targets = Tensor::<2, Int>::from_data(TensorData::new(targets, [n_rows, 1]), &device);
    let chosen = log_softmax(logits, 1).gather(1, targets).squeeze_dim::<1>(1);
    let shares = shares.cast(chosen.dtype());
    Ok((chosen * shares).sum().neg())
}

#[derive(Clone, Debug)]
struct CrossEntropy {
    n_tokens: usize,
    targets: Arc<[u32]>,
    weights: Arc<[f32]>,
}

/// Keeps the gradient.
impl Operation<1> for CrossEntropy {
    type Kept = Numbers;

    fn forward(&self, [logits]: [Numbers; 1], tracked: bool) -> (Numbers, Numbers) {
        let mut logits = contiguous(logits);
        let sizes = "sizes were checked when the operation was made";
        let loss = if tracked {
            let numbers = logits.storage_mut();
            transformer::cross_entropy(numbers, self.n_tokens, &self.targets, &self.weights)
                .expect(sizes)
        } else {
            let losses = cross_entropies(logits.storage(), self.n_tokens, &self.targets);
            weighted_mean(&losses.expect(sizes), &self.weights)
        };
        #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
        let loss = loss as f32;
        (tensor(vec![loss], [1]), logits)
    }

    fn backward(&self, mut gradient: Numbers, dy: Numbers, _: [bool; 1]) -> [Option<Numbers>; 1] {
        let by_loss = dy.storage::<f32>()[0];
        #[expect(clippy::float_cmp, reason = "a factor of exactly 1 changes nothing")]
        if by_loss != 1.0 {
            let values = gradient.storage_mut::<f32>();
            values.par_iter_mut().with_min_len(TASK).for_each(|g| *g *= by_loss);
        }
        [Some(gradient)]
    }
}
