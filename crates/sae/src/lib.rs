//! Sparse autoencoders: dictionaries of the directions that activations of a model are sums of.
//!
//! A [`Dictionary`] has n latents over activations of width d: an encoder W with a bias b, and a decoder D with a bias c.
//! Of an activation x few latents are active, with values z = σ(W·(x − c) + b), and its reconstruction is x̂ = c + Σ zᵢ·Dᵢ
//! over these; architectures differ in σ, in whether x is centered by c first, and in how they are trained:
//!
//! | architecture | what is active | source |
//! |---|---|---|
//! | [`Relu`] | what is positive, with an L1 penalty of zᵢ‖Dᵢ‖ | paper C |
//! | [`UnitRelu`] | the same, with rows of D of length 1; dead latents are drawn anew | Bricken et al. 2023 |
//! | [`PAnneal`] | the same, with a penalty that becomes sharper | Karvonen et al. 2024 |
//! | [`Gated`] | where a gate is open, which alone is penalized | Rajamanoharan et al. 2024 |
//! | [`JumpRelu`] | what is above a learned threshold of its latent | Rajamanoharan et al. 2024 |
//! | [`TopK`] | the k largest; dead latents learn from what is left over | Gao et al. 2024 |
//! | [`BatchTopK`] | the largest of a batch, and in use those above a threshold | Bussmann et al. 2024 |
//! | [`Matryoshka`] | the same, of nested dictionaries that all have to reconstruct | Bussmann et al. 2025 |
//! | [`Transcoder`] | the k largest, from which other activations are predicted | Dunefsky et al. 2024 |
//!
//! An [`Architecture`] names one with its settings, a [`Recipe`] has published settings of its training too, and a
//! [`Trainer`] trains several on one stream and keeps checkpoints. [`files`] reads and writes those of other libraries.
//!
//! Steps are those of `kernels::dictionary`, without dense work but for the encoder's product, and the same to the last
//! bit for any number of threads.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

mod architecture;
mod batch;
mod batch_top_k;
mod checkpoint;
#[cfg(test)]
mod dense;
mod dictionary;
mod error;
pub mod files;
mod gated;
mod jump_relu;
mod k_sparse;
mod matryoshka;
mod median;
mod memory;
mod p_anneal;
mod parameters;
mod penalized;
mod recipe;
mod relu;
mod scaling;
mod schedule;
mod step;
mod top_k;
mod trainer;
mod transcoder;
mod unit_relu;

pub use architecture::{Architecture, Sae};
pub use batch::Batch;
pub use batch_top_k::{BatchTopK, BatchTopKConfig};
pub use dictionary::{Activation, Dictionary, Parts};
pub use error::{Result, SaeError};
pub use gated::{Gated, GatedConfig};
pub use jump_relu::{JumpRelu, JumpReluConfig, Sparsity};
pub use k_sparse::Aux;
pub use matryoshka::{Matryoshka, MatryoshkaConfig};
pub use median::geometric_median;
pub use memory::Memory;
pub use p_anneal::{PAnneal, PAnnealConfig};
pub use parameters::Freeze;
pub use recipe::Recipe;
pub use relu::{Relu, ReluConfig};
pub use scaling::Scaling;
pub use schedule::{Optimizer, Schedule};
pub use step::{Report, Step};
pub use top_k::{TopK, TopKConfig};
pub use trainer::{Member, RunConfig, Trainer};
pub use transcoder::{Transcoder, TranscoderConfig};
pub use unit_relu::{UnitRelu, UnitReluConfig};
