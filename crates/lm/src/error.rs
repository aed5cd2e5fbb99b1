//! What can be wrong with a checkpoint, a config, a text, or a request to a model.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::hook::Hook;

/// An error of this crate: where, what was expected, what came, what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LmError {
    /// The operating system refused a file operation.
    #[error("cannot {op} {}: {source}", path.display())]
    Io {
        /// The operation.
        op: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is not what its name says.
    #[error("{file}: not {what}: {problem}")]
    Syntax {
        /// The file.
        file: String,
        /// What it should be, with its article.
        what: &'static str,
        /// The parser's message.
        problem: String,
    },
    /// A field of a config has a value that cannot be honored.
    #[error("{file}: {field}: expected {expected}, got {got}")]
    Config {
        /// The config, or the words "this config" for one made in memory.
        file: String,
        /// The field.
        field: String,
        /// What can be honored.
        expected: String,
        /// What it says.
        got: String,
    },
    /// A config has a field that this crate does not know, so that it cannot tell what it would change.
    #[error(
        "{file}: unknown field {field} (value {value}): remove it if it does not change what the \
         model computes; this crate honors every field that it accepts"
    )]
    UnknownField {
        /// The config.
        file: String,
        /// The field.
        field: String,
        /// Its value, as JSON.
        value: String,
    },
    /// A tensor is missing, left over, or not of the shape and type that the config asks for.
    #[error("{file}: tensor {tensor}: expected {expected}, got {got}")]
    Tensor {
        /// The file, or the folder where no file has the tensor.
        file: String,
        /// The tensor's name.
        tensor: String,
        /// What the config asks for.
        expected: String,
        /// What is there.
        got: String,
    },
    /// A model has no such hook point.
    #[error("the model has no hook {hook}: {reason}")]
    NoHook {
        /// The hook.
        hook: Hook,
        /// Why.
        reason: &'static str,
    },
    /// The name of a hook point cannot be read.
    #[error("no hook is named {got:?}: expected {expected}")]
    HookName {
        /// What was asked for.
        got: String,
        /// The names there are.
        expected: String,
    },
    /// A tensor given to a hook does not fit what flows there.
    #[error("hook {hook}: expected {expected}, got shape {got:?}")]
    HookShape {
        /// The hook.
        hook: Hook,
        /// The shape there, and what may be given.
        expected: String,
        /// The shape given.
        got: Vec<usize>,
    },
    /// Something was asked of a hook at which it was not done.
    #[error("hook {hook}: {what}")]
    NotTaken {
        /// The hook.
        hook: Hook,
        /// What is missing, and what to do.
        what: &'static str,
    },
    /// Tokens that the model cannot read.
    #[error("tokens: expected {expected}, got {got}")]
    Tokens {
        /// What the model reads.
        expected: String,
        /// What came.
        got: String,
    },
    /// A setting outside of its interval.
    #[error("{what} is {got}, but must lie in {interval}")]
    Range {
        /// What it is.
        what: &'static str,
        /// The value.
        got: f64,
        /// The interval.
        interval: &'static str,
    },
    /// Numbers of a model are not finite where they have to be.
    #[error("{what} is {value}: {remedy}")]
    NotFinite {
        /// What it is, and where.
        what: String,
        /// The value.
        value: f32,
        /// What to do.
        remedy: &'static str,
    },
    /// A checkpoint is of another model or another training.
    #[error(
        "{}: {field} is {got} there, and {expected} is asked for: go on with the settings it was begun \
         with, or begin in another folder",
        folder.display()
    )]
    Checkpoint {
        /// The checkpoint.
        folder: PathBuf,
        /// The first field that differs.
        field: String,
        /// What was asked for.
        expected: String,
        /// What the checkpoint has.
        got: String,
    },
    /// The tokenizer library refused a file, a text or a training.
    #[error("{what}: {problem}")]
    Tokenizer {
        /// The file or the operation.
        what: String,
        /// The library's message.
        problem: String,
    },
    /// A device cannot hand its numbers back.
    #[error("the device failed to return {what}: {problem}")]
    Device {
        /// What was read.
        what: String,
        /// The tensor library's message.
        problem: String,
    },
    /// Sizes that an operation refuses.
    #[error(transparent)]
    Kernel(#[from] kernels::KernelError),
}

impl LmError {
    /// Wraps an [`io::Error`] with the operation and the path.
    pub(crate) fn io(op: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { op, path, source }
    }
}
