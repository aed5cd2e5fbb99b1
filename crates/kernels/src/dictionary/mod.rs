//! Batches of rows as sparse sums of the rows of a dictionary, and steps of the dictionary towards them.
//!
//! A dictionary of n latents over width d has an encoder and a decoder `[n, d]`, a row for each latent. A row x of a
//! batch has the pre-activations π = W·x + b, W the encoder; few of them are *active*, and its reconstruction is the sum of the
//! decoder's rows of these, weighted by their values z.
//!
//! - [`top_k_codes`], [`codes_above`]: what is active, block by block, so that the pre-activations of a batch are never
//!   stored together; [`Codes::keep_largest`] for the largest of a whole batch;
//! - [`Codes::decode`], [`Codes::products`]: reconstructions, and their gradient by z;
//! - [`Codes::by_latent`] with [`ByLatent::step`]: the gradients of encoder and decoder, which are sums of few rows of the
//!   batch for each latent, and a step of Adam against them in the same pass, so that no gradient is stored.
//!
//! Of a step only the encoder's product costs n·d for each row of the batch; the rest costs d for each active latent, and
//! n·d once for Adam, whose moments decay where the gradient is 0 too.
//!
//! Where many latents are active, as at the beginning with an L1 penalty, these passes are products of matrices too, of
//! blocks of codes that are made dense one after the other: from a sixth of all rows times latents on,
//! [`Codes::products`] from a fourteenth on. In these a number that is not finite reaches all results of its block, and not
//! only those of what is active.
//!
//! # Determinism
//! The same bits for any number of threads: tasks are blocks of rows or of latents, whose bounds do not depend on threads,
//! sums go in the order of rows, and codes alone decide whether blocks are made dense. Products use fused multiply-adds where there are any, so last bits depend
//! on the CPU class.

mod by_latent;
mod codes;
mod dense;
mod encode;
mod keep;
mod panels;
mod step;

pub use by_latent::ByLatent;
pub use codes::Codes;
pub use encode::{codes_above, top_k_codes};
pub use step::{Atoms, Length, RowGradient};
