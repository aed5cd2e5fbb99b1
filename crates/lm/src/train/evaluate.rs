//! How well a model predicts.

use super::{Batch, loss};
use crate::checkpoint::to_vec;
use crate::{Hooks, LmError, Transformer};

/// The mean over targets, by their weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Cross-entropy in nats per target.
    pub cross_entropy: f64,
    /// The weights of all targets together.
    pub weight: f64,
}

impl Evaluation {
    /// e to the power of the cross-entropy: as many equally likely tokens would surprise as much.
    pub fn perplexity(&self) -> f64 {
        libm::exp(self.cross_entropy)
    }
}

/// The surprisal −ln p(target) of every target of a batch in nats, row by row, those of weight 0 too.
///
/// Deterministic, and the same for any number of threads on the default device.
///
/// # Errors
///
/// [`LmError::Tokens`] for what the model cannot read, [`LmError::NotFinite`] if a surprisal is not
/// finite.
///
/// # Examples
///
/// An untrained model takes all tokens for about equally likely:
///
/// ```
/// # let text = br#"{"model_type": "gpt2", "vocab_size": 11, "n_positions": 8, "n_embd": 6,
/// #     "n_layer": 1, "n_head": 2}"#;
/// # let config = lm::Config::from_json("config.json", text)?;
/// # let device = device::DeviceName::Flex.open().unwrap();
/// let model = lm::Transformer::random(config, seed::Seed::new(1), &device)?;
/// let batch = lm::Batch::of_texts(&[vec![3, 1, 4, 1]])?;
/// for surprisal in lm::losses(&model, &batch)? {
///     assert!((surprisal - 11.0_f32.ln()).abs() < 0.1);
/// }
/// # Ok::<(), lm::LmError>(())
/// ```
pub fn losses(model: &Transformer, batch: &Batch) -> Result<Vec<f32>, LmError> {
    batch.check(model.config().vocab_size)?;
    let logits = model.forward(batch.inputs(), &mut Hooks::new())?;
    let losses = to_vec(loss::surprisals(logits, batch.targets()), "losses")?;
    match losses.iter().find(|loss| !loss.is_finite()) {
        None => Ok(losses),
        Some(value) => Err(LmError::NotFinite {
            what: "the loss of a token".to_owned(),
            value: *value,
            remedy: "look for activations that overflow, or weights that are not finite",
        }),
    }
}

/// The cross-entropy over batches, added up in double precision in their order.
///
/// # Errors
///
/// As [`losses`], and the error of a batch that could not be had.
pub fn evaluate(
    model: &Transformer,
    batches: impl IntoIterator<Item = Result<Batch, LmError>>,
) -> Result<Evaluation, LmError> {
    let (mut sum, mut weight) = (0.0, 0.0);
    for batch in batches {
        let batch = batch?;
        for (loss, w) in losses(model, &batch)?.into_iter().zip(batch.weights()) {
            sum += f64::from(loss) * f64::from(*w);
            weight += f64::from(*w);
        }
    }
    if weight > 0.0 {
        return Ok(Evaluation { cross_entropy: sum / weight, weight });
    }
    Err(LmError::Tokens {
        expected: "at least one batch to evaluate on".to_owned(),
        got: "none".to_owned(),
    })
}
