//! Checkpoints on disk: Hugging Face folders of config.json and safetensors.

mod file;
mod folder;
mod parameters;
mod place;
mod write;

pub use file::Precision;
pub use parameters::Parameters;

pub(crate) use file::TensorFile;
pub(crate) use parameters::to_vec;
pub(crate) use place::{Place, places};

use std::path::Path;

use burn::tensor::Device;

use crate::{Config, LmError, Transformer};

impl Transformer {
    /// Loads a Hugging Face folder: config.json, and model.safetensors or the shards that
    /// model.safetensors.index.json lists, in f32, f16 or bf16.
    ///
    /// # Errors
    ///
    /// [`LmError::Io`], [`LmError::Syntax`], [`LmError::Config`] and [`LmError::UnknownField`] for
    /// files that cannot be read or honored; [`LmError::Tensor`] for a tensor that is missing, left
    /// over, or of another shape or type than the config asks for; [`LmError::NotFinite`] for NaN or
    /// infinite weights. Nothing larger than a file itself is allocated before it was checked.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, LmError> {
        let (config, parameters) = folder::read(folder, device)?;
        Self::new(config, parameters)
    }

    /// Saves a Hugging Face folder, which must not exist yet and appears when it is complete. A file
    /// of weights holds at most `max_shard_bytes`, or one tensor.
    ///
    /// # Errors
    ///
    /// [`LmError::Io`] if the folder exists or cannot be written, [`LmError::NotFinite`] if a weight
    /// is not finite, or not in this precision.
    pub fn save(
        &self,
        folder: &Path,
        precision: Precision,
        max_shard_bytes: u64,
    ) -> Result<(), LmError> {
        let parameters = Parameters::of(self)?;
        write::write(folder, self.config(), &parameters, precision, max_shard_bytes)
    }
}

/// The config of a Hugging Face folder, without its weights.
///
/// # Errors
///
/// As [`Transformer::load`].
pub fn load_config(folder: &Path) -> Result<Config, LmError> {
    folder::read_config(folder)
}
