//! A training that a killed run goes on with.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use corpus::{Batches, BatchesConfig, TrainingText};
use lm::{Batch, LmError, Precision, TrainConfig, Trainer, Transformer};
use serde::{Deserialize, Serialize};

use crate::error::{Result, SubstrateError, io_error};

const CHECKPOINT: &str = "checkpoint";
const LOSSES: &str = "losses.json";
const MODEL: &str = "model";

/// How a model learns a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnConfig {
    /// Steps, rates and decay.
    pub train: TrainConfig,
    /// Texts in a batch.
    pub n_texts: usize,
    /// Tokens of a text.
    pub n_positions: usize,
    /// Decides the order of documents.
    pub seed: u64,
    /// Steps between two checkpoints.
    pub save_every: u64,
}

/// A model that has learned.
#[derive(Debug)]
pub struct Learned {
    /// The model.
    pub model: Transformer,
    /// Cross-entropy of each step's batch before the step, in nats per target.
    pub losses: Vec<f64>,
}

impl Learned {
    /// What [`learn`] left in a folder.
    ///
    /// # Errors
    ///
    /// [`SubstrateError::Lm`] for a model that cannot be loaded, [`SubstrateError::Io`] and [`SubstrateError::Json`] for
    /// losses that cannot be read.
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        let model = Transformer::load(&folder.join(MODEL), device)?;
        Ok(Self { model, losses: read_losses(folder)? })
    }
}

/// Trains a model on a text and leaves it in a folder, as `model` (what [`Transformer::load`] reads) and `losses.json`.
///
/// A run that was killed goes on from its last checkpoint and ends with the same bytes. `on_step` gets the number of
/// steps that were made, from the first one that this call makes on.
///
/// # Errors
///
/// As [`Trainer::step`] and [`Batches::new`]; [`SubstrateError::Losses`] where the folder holds another training.
pub fn learn(
    model: &Transformer,
    text: &TrainingText,
    config: &LearnConfig,
    folder: &Path,
    on_step: &mut dyn FnMut(u64),
) -> Result<Learned> {
    let checkpoint = folder.join(CHECKPOINT);
    if folder.join(MODEL).exists() {
        // A run may have been killed between the model and the end of its checkpoint.
        remove(&checkpoint)?;
        return Learned::load(folder, &model.device());
    }
    let LearnConfig { n_texts, n_positions, seed, .. } = *config;
    let mut batches = Batches::new(text, BatchesConfig { n_texts, n_positions, seed })?;
    let mut trainer = Trainer::resume(&checkpoint, model, config.train.clone())?;
    let mut losses = if trainer.n_done() == 0 { Vec::new() } else { read_losses(folder)? };
    // Losses are written before the checkpoint that they lead to.
    let n_done = usize::try_from(trainer.n_done()).unwrap_or(usize::MAX);
    if losses.len() < n_done {
        let (expected, got) = (trainer.n_done(), losses.len() as u64);
        return Err(SubstrateError::Losses { path: folder.to_owned(), expected, got });
    }
    losses.truncate(n_done);
    while !trainer.is_done() {
        let step = trainer.n_done();
        losses.push(trainer.step(&batch(batches.get(step)?, text.patch_len())?)?.loss);
        on_step(trainer.n_done());
        if trainer.n_done().is_multiple_of(config.save_every) && !trainer.is_done() {
            write_losses(folder, &losses)?;
            trainer.save(&checkpoint)?;
        }
    }
    write_losses(folder, &losses)?;
    let model = trainer.model();
    model.save(&folder.join(MODEL), Precision::F32, u64::MAX)?;
    remove(&checkpoint)?;
    Ok(Learned { model, losses })
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(io_error("remove", folder))?;
    }
    Ok(())
}

/// A batch of a corpus as a model reads it.
///
/// # Errors
///
/// As [`lm::Tokens::with_patches`] and [`Batch::new`].
pub fn batch(batch: corpus::Batch, patch_len: usize) -> std::result::Result<Batch, LmError> {
    let corpus::Batch { inputs, targets, weights, patch_places, patches } = batch;
    let inputs = if patch_places.is_empty() {
        inputs
    } else {
        inputs.with_patches(&patch_places, patch_len, patches)?
    };
    Batch::new(inputs, targets, weights)
}

fn write_losses(folder: &Path, losses: &[f64]) -> Result<()> {
    let path = folder.join(LOSSES);
    let partial = folder.join(format!("{LOSSES}.partial"));
    let json = serde_json::to_vec(losses)
        .map_err(|source| SubstrateError::Json { path: path.clone(), source })?;
    fs::write(&partial, json).map_err(io_error("write", &partial))?;
    fs::rename(&partial, &path).map_err(io_error("rename", &partial))
}

fn read_losses(folder: &Path) -> Result<Vec<f64>> {
    let path = folder.join(LOSSES);
    let json = fs::read(&path).map_err(io_error("read", &path))?;
    serde_json::from_slice(&json).map_err(|source| SubstrateError::Json { path, source })
}
