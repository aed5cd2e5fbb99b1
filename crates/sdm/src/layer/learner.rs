//! A net that learns by gradient descent.

use kernels::{Gradient, KernelError, Matrix, Optimizer, Rule, exp};
use seed::Rng;
use serde::{Deserialize, Serialize};

use super::{Gradients, Hidden, Net};
use crate::SdmError;

/// How a net learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnerConfig {
    /// How weights follow gradients.
    pub rule: Rule,
    /// Whether weights of neurons that had no gradient rest, with what the optimizer remembers of them.
    pub lazy: bool,
    /// The largest norm of the gradient of all weights; longer ones are scaled down to it.
    pub largest_norm: Option<f64>,
    /// The probability with which an active neuron is silenced in training.
    pub dropout: f32,
}

impl LearnerConfig {
    /// Gradient descent as Paper B has it: gradients of norm 1 at most, no dropout.
    pub const fn with(rule: Rule) -> Self {
        Self { rule, lazy: false, largest_norm: Some(1.0), dropout: 0.0 }
    }
}

/// A net with its optimizer. Both go on from task to task; nothing is reset.
///
/// # Determinism
///
/// The same bits for any number of threads, and after being stored and read back.
///
/// # Source
///
/// Paper B: clip the gradient, step, clamp, then scale addresses to length 1, in this order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Learner {
    config: LearnerConfig,
    net: Net,
    /// Of W, b, V and c.
    optimizers: [Optimizer; 4],
}

/// The mean cross-entropy of logits, in nats, and its gradient by them.
///
/// # Shapes
///
/// `logits` `[sample, class]`, a label for each sample.
///
/// # Errors
///
/// [`SdmError::Range`] for a label without a class, or a loss that is not finite.
///
/// # Examples
///
/// ```
/// let logits = kernels::Matrix::zeros(1, 2);
/// let (loss, gradient) = sdm::layer::cross_entropy(&logits, &[1])?;
/// assert!((loss - 2.0_f64.ln()).abs() < 1e-6);
/// assert_eq!(gradient.values(), [0.5, -0.5]);
/// # Ok::<(), sdm::SdmError>(())
/// ```
pub fn cross_entropy(logits: &Matrix, labels: &[usize]) -> Result<(f64, Matrix), SdmError> {
    KernelError::check("labels", logits.n_rows(), labels.len())?;
    let (mut gradient, mut loss) = (logits.clone(), 0.0);
    let scale = 1.0 / logits.n_rows().max(1) as f32;
    for (row, label) in labels.iter().enumerate() {
        let row = gradient.row_mut(row);
        if *label >= row.len() {
            return Err(SdmError::Range {
                what: "a label",
                got: *label as f64,
                interval: "[0, classes)",
            });
        }
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let own = f64::from(row[*label] - largest);
        loss += libm::log(f64::from(softmax(row))) - own;
        for p in row.iter_mut() {
            *p *= scale;
        }
        row[*label] -= scale;
    }
    let loss = loss / labels.len().max(1) as f64;
    if !loss.is_finite() {
        return Err(SdmError::Range {
            what: "the loss",
            got: loss,
            interval: "(-∞, ∞); use a smaller learning rate",
        });
    }
    Ok((loss, gradient))
}

/// Logits become probabilities; returns Σ exp(logit − largest).
pub(super) fn softmax(row: &mut [f32]) -> f32 {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for logit in row.iter_mut() {
        *logit = exp(*logit - largest);
    }
    let total: f32 = row.iter().sum();
    for p in row.iter_mut() {
        *p /= total;
    }
    total
}

impl Learner {
    /// A net that will learn.
    ///
    /// # Errors
    ///
    /// [`SdmError::Range`] for a probability of dropout outside of [0, 1).
    pub fn new(net: Net, config: LearnerConfig) -> Result<Self, SdmError> {
        if !(0.0..1.0).contains(&config.dropout) {
            let got = f64::from(config.dropout);
            return Err(SdmError::Range {
                what: "the probability of dropout",
                got,
                interval: "[0, 1)",
            });
        }
        let optimizer = |width, n_rows| Optimizer::new(config.rule, config.lazy, width, n_rows);
        let n_neurons = net.w.n_rows();
        let optimizers = [
            optimizer(net.w.n_columns(), n_neurons),
            optimizer(1, net.b.len()),
            optimizer(net.v.n_columns(), n_neurons),
            optimizer(net.c.len(), usize::from(!net.c.is_empty())),
        ];
        Ok(Self { config, net, optimizers })
    }

    /// The net.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Counts the samples of an answer that is not learned from, which the GABA switch of Paper B's code goes by too.
    pub fn count(&mut self, hidden: &Hidden) {
        self.net.count(hidden);
    }

    /// One step of descent on the cross-entropy of a batch of prepared inputs, and the loss before it.
    ///
    /// `penalty` may change the gradients before they are clipped: a regularizer's place.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] if sizes do not fit, [`SdmError::Range`] for a label without a class or a loss that is
    /// not finite. Nothing is learned then.
    pub fn step(
        &mut self,
        x: &Matrix,
        labels: &[usize],
        epoch: usize,
        rng: &mut Rng,
        penalty: impl FnOnce(&Net, Gradients) -> Gradients,
    ) -> Result<f64, SdmError> {
        let mut hidden = self.net.hidden(x, epoch)?;
        if self.config.dropout > 0.0 {
            hidden.drop_out(self.config.dropout, rng);
        }
        let (loss, error) = cross_entropy(&self.net.logits(&hidden)?, labels)?;
        let gradients = self.net.gradients(x, &hidden, &error)?;
        self.net.count(&hidden);
        let mut gradients = penalty(&self.net, gradients);
        if let Some(largest) = self.config.largest_norm {
            let norm = gradients.norm();
            if norm > largest {
                #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
                gradients.scale((largest / norm) as f32);
            }
        }
        self.follow(&gradients);
        Ok(loss)
    }

    /// Moves the weights against gradients.
    pub fn follow(&mut self, gradients: &Gradients) {
        let rows = gradients.rows.as_deref();
        let [w, b, v, c] = &mut self.optimizers;
        w.step(self.net.w.values_mut(), Gradient { rows, values: &gradients.w });
        v.step(self.net.v.values_mut(), Gradient { rows, values: &gradients.v });
        if !gradients.b.is_empty() {
            b.step(&mut self.net.b, Gradient { rows, values: &gradients.b });
        }
        c.step(&mut self.net.c, Gradient { rows: None, values: &gradients.c });
        let local = rows.filter(|_| w.is_local());
        self.net.project(local);
    }
}
