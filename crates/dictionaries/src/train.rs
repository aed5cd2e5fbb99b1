//! A training that a killed run goes on with.

use std::path::Path;

use sae::{Dictionary, Report, RunConfig, Scaling, Trainer};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::source::Source;

/// How activations are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum ScalingRule {
    /// Not at all.
    None,
    /// By one number, so that E‖x‖² is their width: see [`Scaling::of`].
    MeanSquare,
}

/// Settings of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The run.
    pub run: RunConfig,
    /// How activations are scaled.
    pub scaling: ScalingRule,
    /// Rows of the sample that tells where dictionaries begin, and how activations are scaled.
    pub sample_rows: usize,
    /// Steps between two checkpoints.
    pub save_every: u32,
}

/// Where a training stands.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Steps that were taken.
    pub n_done: u32,
    /// Steps of the run.
    pub n_steps: u32,
    /// What the last one found, for each dictionary.
    pub reports: &'a [Report],
}

/// The checkpoint in the folder of a training.
const CHECKPOINT: &str = "checkpoint.safetensors";

/// Trains the dictionaries of a run on a source of rows; they come back by name.
///
/// In the folder there is a checkpoint while it goes on: a run that was killed goes on from it if it is called again, and
/// ends with the same bits. Whoever keeps the dictionaries calls [`finish`] then.
///
/// # Determinism
/// As [`Trainer::step`].
///
/// # Errors
/// What source and dictionaries say, a checkpoint of another run included.
pub fn train(
    config: &TrainConfig,
    source: &mut dyn Source,
    folder: &Path,
    on_step: &mut dyn FnMut(&Progress<'_>),
) -> Result<Vec<(String, Dictionary)>> {
    let path = folder.join(CHECKPOINT);
    let mut trainer = if path.exists() {
        let (trainer, place) = Trainer::resume(&config.run, &path)?;
        source.go_to(&place)?;
        trainer
    } else {
        let sample = source.sample(config.sample_rows)?;
        let scaling = match config.scaling {
            ScalingRule::None => Scaling::None,
            ScalingRule::MeanSquare => Scaling::of(&sample.inputs)?,
        };
        Trainer::new(config.run.clone(), scaling, sample.batch())?
    };
    while !trainer.is_done() {
        let rows = source.next()?;
        let reports = trainer.step(rows.batch())?;
        let (n_done, n_steps) = (trainer.n_steps(), config.run.n_steps);
        if n_done.is_multiple_of(config.save_every.max(1)) || trainer.is_done() {
            trainer.save(&path, &source.place())?;
        }
        on_step(&Progress { n_done, n_steps, reports: &reports });
    }
    Ok(trainer.dictionaries()?)
}

/// Removes the checkpoint of a training whose dictionaries are kept.
///
/// # Errors
/// [`DictionariesError::Sae`](crate::DictionariesError::Sae) names the file.
pub fn finish(folder: &Path) -> Result<()> {
    Ok(Trainer::remove(&folder.join(CHECKPOINT))?)
}
