//! The loss: cross-entropy of next tokens.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::Batch;

/// −ln p(target) of each target in nats, `[batch · position, 1]`, of logits
/// `[batch, position, vocab]`.
pub(super) fn surprisals(logits: Tensor<3>, targets: &[u32]) -> Tensor<2> {
    let [batch, len, vocab_size] = logits.dims();
    let device = logits.device();
    let ids: Vec<i64> = targets.iter().map(|id| i64::from(*id)).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [batch * len, 1]), &device);
    log_softmax(logits.reshape([batch * len, vocab_size]), 1).gather(1, ids).neg()
}

/// The mean surprisal over targets by their weights, `[1, 1]`.
///
/// A sum over all is a product with a row of weights, since a product adds up in one order whatever the
/// threads.
pub(super) fn mean(surprisals: Tensor<2>, batch: &Batch) -> Tensor<2> {
    let device = surprisals.device();
    shares(batch, &device).matmul(surprisals)
}

/// Each target's share in the mean, `[1, batch · position]`.
fn shares(batch: &Batch, device: &Device) -> Tensor<2> {
    let weights = batch.weights();
    let sum: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    #[expect(clippy::cast_possible_truncation, reason = "rounded to single precision")]
    let shares: Vec<f32> = weights.iter().map(|w| (f64::from(*w) / sum) as f32).collect();
    Tensor::from_data(TensorData::new(shares, [1, weights.len()]), device)
}
