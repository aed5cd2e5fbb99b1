//! Sparse Distributed Memory and its attention approximation.
//!
//! Sparse Distributed Memory stores patterns in r neurons at random n-bit addresses; a pattern is
//! written to, and read from, every neuron within the Hamming radius d. Seen from the patterns, a read
//! weights each stored pattern by the number of neurons in the intersection of two balls, and that is
//! nearly an exponential of the cosine between pattern and query: attention with a certain β.
//!
//! - [`fit_beta`], [`softmax_weights`], [`weights_from_ln_counts`]: that approximation;
//! - [`optimal`]: the radius that is best for the signal-to-noise ratio, for capacity, and for the
//!   critical distance;
//! - [`PAPER_RADII`]: the radii that Paper A draws;
//! - [`separation`]: the weights of every memory, of attention and its sparse relatives, under one trait;
//! - [`NeuronStore`]: the memory with real neurons;
//! - [`BinaryMemory`], [`ContinuousMemory`], [`converge`]: reading, once and until it settles;
//! - [`Algorithm`]: the memories that Paper A's convergence experiments compare, on the same patterns;
//! - [`perturb`]: queries at a chosen distance;
//! - [`projection`]: memories of images at learned keys, and how the keys are learned;
//! - [`layer`]: the SDM layer, whose addresses and values are learned.
//!
//! The sizes of the intersections come from the `geometry` crate.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

pub mod layer;
pub mod optimal;
pub mod perturb;
pub mod projection;
pub mod separation;

mod algorithm;
mod attention;
mod beta_fit;
mod error;
mod memory;
mod radii;
mod states;
mod store;

pub use algorithm::{Algorithm, Ends, Patterns, Queries, Setting, StoredMemory, fitted_beta};
pub use attention::{softmax_weights, weights_from_ln_counts};
pub use beta_fit::{BetaFit, SlopeEstimator, fit_beta};
pub use error::SdmError;
pub use memory::{
    BinaryMemory, ContinuousMemory, Converged, Draws, Memory, Stop, converge, read_on,
};
pub use radii::PAPER_RADII;
pub use states::States;
pub use store::NeuronStore;
