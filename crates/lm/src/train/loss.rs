//! The loss: cross-entropy of next tokens.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};

use super::Batch;
use crate::LmError;

/// −ln p(target) of each target in nats, `[batch · position, 1]`, of logits
/// `[batch, position, vocab]`.
pub(super) fn surprisals(logits: Tensor<3>, targets: &[u32]) -> Tensor<2> {
    let [batch, len, vocab_size] = logits.dims();
    let device = logits.device();
    let ids: Vec<i64> = targets.iter().map(|id| i64::from(*id)).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [batch * len, 1]), &device);
    log_softmax(logits.reshape([batch * len, vocab_size]), 1).gather(1, ids).neg()
}

/// The mean surprisal over targets by their weights, `[1]`; logits are given up to their gradient.
///
/// # Errors
///
/// [`LmError::Tokens`] for a target outside of the vocabulary.
pub(super) fn mean(logits: Tensor<3>, batch: &Batch) -> Result<Tensor<1>, LmError> {
    let [n_texts, len, vocab_size] = logits.dims();
    let logits = logits.reshape([n_texts * len, vocab_size]);
    let loss = kernels::tensor::cross_entropy(logits, batch.targets(), batch.weights());
    loss.map_err(|error| LmError::Tokens {
        expected: "targets of the vocabulary".to_owned(),
        got: error.to_string(),
    })
}
