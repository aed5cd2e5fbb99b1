//! A training, step by step.

use std::path::Path;

use burn::module::Module;

use super::adamw::{self, State};
use super::{Batch, TrainConfig, loss, state};
use crate::checkpoint::to_vec;
use crate::{Hooks, LmError, Parameters, Transformer};

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// The step, counted from 0.
    pub step: u64,
    /// Cross-entropy of the batch before the step, in nats per target.
    pub loss: f64,
    /// Norm of the gradient of all parameters together, before it was clipped.
    pub gradient_norm: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
}

/// A model in training.
///
/// A step is a pure function of the state and the batch, the same to the last bit for any number of
/// threads on the default device. Let batches be a function of the step ([`Trainer::n_done`]): then a
/// training that was killed ends bit-identical to one that was not, from any checkpoint.
///
/// # Examples
///
/// Four steps on one text; the loss falls:
///
/// ```
/// # let text = br#"{"model_type": "gpt2", "vocab_size": 11, "n_positions": 8, "n_embd": 6,
/// #     "n_layer": 1, "n_head": 2}"#;
/// # let config = lm::Config::from_json("config.json", text)?;
/// # let device = device::DeviceName::Flex.open().unwrap();
/// let model = lm::Transformer::random(config, seed::Seed::new(1), &device)?;
/// let mut trainer = lm::Trainer::new(&model, lm::TrainConfig::new(4, 0.05))?;
/// let batch = lm::Batch::of_texts(&[vec![3, 1, 4, 1, 5]])?;
/// let mut losses = Vec::new();
/// while !trainer.is_done() {
///     losses.push(trainer.step(&batch)?.loss);
/// }
/// assert!(losses[3] < losses[0]);
/// let trained = trainer.model();
/// # assert_eq!(trained.config(), model.config());
/// # Ok::<(), lm::LmError>(())
/// ```
#[derive(Debug)]
pub struct Trainer {
    /// On a device with automatic differentiation.
    model: Transformer,
    state: State,
    config: TrainConfig,
    n_done: u64,
}

impl Trainer {
    /// A training of a model, on its device.
    ///
    /// # Errors
    ///
    /// [`LmError::Range`] for a setting out of its interval, [`LmError::Device`] if the device cannot
    /// return the parameters.
    pub fn new(model: &Transformer, config: TrainConfig) -> Result<Self, LmError> {
        config.check()?;
        let device = model.device();
        let device = if device.is_autodiff() { device } else { device.autodiff() };
        let parameters = Parameters::of(model)?.on(&device);
        let model = Transformer::new(model.config().clone(), parameters)?;
        Ok(Self { model, state: State::new(), config, n_done: 0 })
    }

    /// Goes on from a checkpoint, or begins with the model if the folder is not there.
    ///
    /// # Errors
    ///
    /// As [`Trainer::new`]; [`LmError::Checkpoint`] for a checkpoint of another model or other settings;
    /// as [`Transformer::load`] for one that is broken.
    pub fn resume(
        folder: &Path,
        model: &Transformer,
        config: TrainConfig,
    ) -> Result<Self, LmError> {
        let Some(folder) = state::find(folder) else { return Self::new(model, config) };
        config.check()?;
        let read = state::read(&folder, model.config(), &config, &model.valid().device())?;
        let mut trainer = Self::new(&read.model, config)?;
        trainer.state = read.state;
        trainer.n_done = read.n_done;
        Ok(trainer)
    }

    /// Writes a checkpoint: config.json and model.safetensors as any checkpoint has them, moments, step
    /// and settings beside them. A former one of that name is replaced when the new one is complete.
    ///
    /// # Errors
    ///
    /// [`LmError::Io`] if it cannot be written, [`LmError::NotFinite`] if a number is not finite,
    /// [`LmError::Checkpoint`] if the folder is there and no checkpoint of a training, which is kept.
    pub fn save(&self, folder: &Path) -> Result<(), LmError> {
        state::write(folder, &self.model.valid(), &self.state, &self.config, self.n_done)
    }

    /// One step on a batch.
    ///
    /// # Errors
    ///
    /// [`LmError::Range`] if all steps were made; [`LmError::Tokens`] for a batch that the model cannot
    /// read; [`LmError::NotFinite`], which names the step, if loss or gradient is not finite; the model
    /// is then as it was before.
    pub fn step(&mut self, batch: &Batch) -> Result<StepReport, LmError> {
        let step = self.n_done;
        if self.is_done() {
            let interval = "[0, the number of steps)";
            return Err(LmError::Range { what: "the step", got: step as f64, interval });
        }
        batch.check(self.model.config().vocab_size)?;
        let logits = self.model.forward(batch.inputs(), &mut Hooks::new())?;
        let loss = loss::mean(logits, batch)?;
        let value = to_vec(loss.clone().inner(), "the loss")?[0];
        if !value.is_finite() {
            return Err(diverged("the loss", step, value));
        }
        let found = adamw::find(&self.model, loss.backward()).map_err(|error| match error {
            LmError::NotFinite { what, value, .. } => diverged(&what, step, value),
            error => error,
        })?;
        let gradient_norm = found.norm;
        let model = self.model.clone();
        self.model = adamw::step(model, &mut self.state, found, &self.config, step + 1)?;
        self.n_done += 1;
        let learning_rate = self.config.learning_rate(step);
        Ok(StepReport { step, loss: f64::from(value), gradient_norm, learning_rate })
    }

    /// Steps that were made.
    pub const fn n_done(&self) -> u64 {
        self.n_done
    }

    /// Whether all steps were made.
    pub const fn is_done(&self) -> bool {
        self.n_done >= self.config.n_steps
    }

    /// The model as it is now, on the device without automatic differentiation.
    pub fn model(&self) -> Transformer {
        self.model.valid()
    }
}

fn diverged(what: &str, step: u64, value: f32) -> LmError {
    LmError::NotFinite {
        what: format!("{what} of step {step}"),
        value,
        remedy: "the training diverged: take a smaller learning rate, or look at the batch",
    }
}
