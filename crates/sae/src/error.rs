//! What can be wrong with activations or a dictionary.

use std::path::{Path, PathBuf};

use kernels::KernelError;
use thiserror::Error;

/// The result of what can fail here.
pub type Result<T> = std::result::Result<T, SaeError>;

/// Activations that cannot be learned, or settings that cannot be meant.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SaeError {
    /// A setting out of its interval.
    #[error("{what} is {got}; it has to lie in {interval}")]
    Range {
        /// The setting.
        what: &'static str,
        /// What it is.
        got: f64,
        /// What it can be.
        interval: &'static str,
    },
    /// A number that is not finite.
    #[error("{what}: number {column} of row {row} is {value}; {remedy}")]
    NotFinite {
        /// Whose numbers.
        what: &'static str,
        /// The row, from 0.
        row: usize,
        /// The number's place in it, from 0.
        column: usize,
        /// The number.
        value: f32,
        /// What to do.
        remedy: &'static str,
    },
    /// No row at all.
    #[error("{what}: there is no row")]
    Empty {
        /// What has none.
        what: &'static str,
    },
    /// Targets of their own, where there can be none.
    #[error("the batch has targets that differ from its inputs, which only a transcoder can learn")]
    Targets,
    /// A latent whose row of the decoder cannot be made one of length 1.
    #[error("latent {latent}: {why}")]
    Fold {
        /// The latent, from 0.
        latent: usize,
        /// Why not.
        why: &'static str,
    },
    /// A gradient that is not finite.
    #[error(
        "step {step}: the gradient is not finite; the training diverged: take a smaller learning rate"
    )]
    Diverged {
        /// The step, from 1.
        step: u32,
    },
    /// A name that is missing, or that two dictionaries of a run have.
    #[error("the dictionary '{name}': each dictionary of a run needs a name of its own")]
    Names {
        /// The name.
        name: String,
    },
    /// Scaled activations, and other activations that are to be predicted from them.
    #[error("a transcoder takes activations as they are: set the scaling to none")]
    Scaled,
    /// What went wrong with one dictionary of a run.
    #[error("the dictionary '{name}'")]
    Member {
        /// Its name.
        name: String,
        /// What went wrong.
        source: Box<SaeError>,
    },
    /// A file that cannot be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A checkpoint that is damaged, or of another run.
    #[error("{path}: {why}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Sizes that do not fit.
    #[error(transparent)]
    Sizes(#[from] KernelError),
}

impl SaeError {
    /// What could not be done with a file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
