//! Metrics of dictionaries of sparse autoencoders, and of what they are compared with.
//!
//! - [`Fidelity`]: how well reconstructions stand for activations, and how often latents are active;
//! - [`cross_entropies`], [`kl_divergences`], [`error_control`]: what a model loses where reconstructions take their place;
//! - [`ConceptScores`]: how latents and the concepts of labeled rows go together;
//! - [`assign`], [`mcc_ica`], [`stability`]: partners of latents;
//! - [`recover`], [`firing`]: how much of a known dictionary is found;
//! - [`splitting`], [`coverage`], [`absorption`]: concepts within concepts;
//! - [`Logistic`], [`SparseProbe`], [`Skyline`]: probes of activations, of few latents, and of every concept;
//! - [`targeted_perturbation`], [`spurious_removal`], [`disentanglement`], [`unlearning_latents`]: scores of interventions;
//! - [`attributions`], [`ablations`], [`spearman`], [`top_k_overlap`]: what latents contribute, and whether two ways to
//!   say so agree;
//! - [`principal_components`], [`independent_components`], [`random_directions`]: what is not trained, as dictionaries.
//!
//! Labels, losses and gradients are passed in: nothing here runs a language model. Sums that a table shows are of 64
//! bits, and no result depends on the number of threads.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

mod assignment;
mod attribution;
mod baselines;
mod concepts;
mod confusion;
mod error;
mod fidelity;
mod hierarchy;
mod ica;
mod interventions;
mod labels;
mod logistic;
mod matching;
mod moments;
mod probing;
mod rankings;
mod recovery;
mod skyline;
mod splice;
mod toy_truth;

pub use assignment::{Assignment, assign};
pub use attribution::{ablations, attributions, sums_by_latent};
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
pub use interventions::{
    disentanglement, spurious_removal, targeted_perturbation, unlearning_latents,
};
pub use labels::{ConceptSets, parents};
pub use logistic::{Logistic, ProbeScores};
pub use matching::{MeanCorrelation, Stability, correlations, cosines, mcc_ica, stability};
pub use probing::{SparseProbe, columns, largest_differences, mean_pooled};
pub use rankings::{pearson, spearman, spearman_interval, top_k_overlap};
pub use recovery::{Recovery, firing, recover};
pub use skyline::{Skyline, SkylineConfig};
pub use splice::{
    CrossEntropies, ErrorControl, Losses, MatchedDraws, cross_entropies, error_control,
    kl_divergences, kl_score, random_errors,
};
pub use toy_truth::{ToyScore, ToyTruth, at_l0};
