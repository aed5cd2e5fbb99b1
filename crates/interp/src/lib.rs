//! Metrics of dictionaries of sparse autoencoders, and of what they are compared with.
//!
//! - [`Fidelity`]: how well reconstructions stand for activations, and how often latents are active.
//!
//! Labels, losses and gradients are passed in: nothing here runs a language model. Sums are of 64 bits and in a fixed
//! order, so that no result depends on the number of threads.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

mod error;
mod fidelity;

pub use error::{InterpError, Result};
pub use fidelity::{Fidelity, FidelityReport};
