//! Metrics of dictionaries of sparse autoencoders, and of what they are compared with.
//!
//! - [`Fidelity`]: how well reconstructions stand for activations, and how often latents are active;
//! - [`ConceptScores`]: how latents and the concepts of labeled rows go together;
//! - [`assign`], [`mcc_ica`], [`stability`]: partners of latents;
//! - [`recover`], [`firing`]: how much of a known dictionary is found;
//! - [`principal_components`], [`independent_components`], [`random_directions`]: what is not trained, as dictionaries.
//!
//! Labels, losses and gradients are passed in: nothing here runs a language model. Sums are of 64 bits and in a fixed
//! order, so that no result depends on the number of threads.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

mod assignment;
mod baselines;
mod concepts;
mod confusion;
mod error;
mod fidelity;
mod hierarchy;
mod ica;
mod labels;
mod matching;
mod moments;
mod recovery;
mod splice;

pub use assignment::{Assignment, assign};
pub use baselines::{
    PrincipalComponents, difference_of_means, one_sided, principal_components, random_directions,
    two_sided,
};
pub use concepts::{ConceptScores, Labeled, Pair, Recovered};
pub use confusion::Confusion;
pub use error::{InterpError, Result};
pub use fidelity::{Fidelity, FidelityReport};
pub use hierarchy::{
    Absorption, AbsorptionRule, Coverage, Explained, Parent, Splitting, absorption, coverage,
    splitting,
};
pub use ica::{IcaConfig, IndependentComponents, independent_components};
pub use labels::{ConceptSets, parents};
pub use matching::{MeanCorrelation, Stability, correlations, cosines, mcc_ica, stability};
pub use recovery::{Recovery, firing, recover};
pub use splice::{
    CrossEntropies, ErrorControl, Losses, MatchedDraws, cross_entropies, error_control,
    kl_divergences, kl_score, random_errors,
};
