//! What can be wrong with an argument.

use thiserror::Error;

/// Sizes that do not fit each other, or a device that fails.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KernelError {
    /// Two things that must have the same size differ.
    #[error("{what}: expected {expected}, got {got}")]
    Size {
        /// What was compared.
        what: &'static str,
        /// The size that was needed.
        expected: usize,
        /// The size that came.
        got: usize,
    },
    /// A device does not return numbers.
    #[error(
        "{what}: the device does not return them; see its log, or compute on the default device"
    )]
    Device {
        /// What was asked for.
        what: &'static str,
    },
}

impl KernelError {
    /// An error unless two sizes are the same.
    ///
    /// # Errors
    /// [`KernelError::Size`].
    pub fn check(what: &'static str, expected: usize, got: usize) -> Result<(), Self> {
        if expected == got { Ok(()) } else { Err(Self::Size { what, expected, got }) }
    }
}
