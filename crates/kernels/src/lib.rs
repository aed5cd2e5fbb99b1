//! Hot paths: packed Hamming scans and ordered matrix products.
//!
//! - [`BitMatrix`]: rows of bits in 64-bit words, with scans for the rows within a Hamming radius of one
//!   query or of many;
//! - [`Matrix`] with [`product`], [`product_transposed`] and [`transposed_product`]: 32-bit matrix products whose result does not
//!   depend on the number of threads;
//! - [`sum_of_rows`], [`top_k`], [`inhibited`]: products with sparse vectors, and what makes vectors sparse;
//! - [`add_rows`], [`add_to_rows`]: sums of few rows of counters, and additions to them;
//! - [`Optimizer`]: how weights follow gradients, of all rows or of few;
//! - [`dictionary`]: batches as sparse sums of the rows of a dictionary, and steps of the dictionary;
//! - [`transformer`]: products, norms, gates, attention, loss and optimizer of transformers, forward and backward;
//!   with the feature `tensor` the same on tensors of the tensor library;
//! - [`exp`]: an exponential that compilers can vectorize.
//!
//! The build targets the baseline CPU; a scan picks the widest instructions that the machine has when it
//! runs. Scans are integer arithmetic, the same to the last bit everywhere. Products use fused
//! multiply-adds where there are any, so their last bits depend on the CPU class, never on threads.
//!
//! This is the only crate with `unsafe` code: each use says why it is sound and is tested against a plain
//! loop.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

mod bits;
mod counters;
mod error;
mod exponential;
mod hamming;
mod matrix;
mod optimizer;
mod select;
mod sparse;
#[cfg(target_arch = "x86_64")]
mod tiles;

pub mod dictionary;
#[cfg(feature = "tensor")]
pub mod tensor;
pub mod transformer;

pub use bits::BitMatrix;
pub use counters::{add_rows, add_to_rows};
pub use error::KernelError;
pub use exponential::exp;
pub use hamming::{BLOCK_ROWS, Queries, Scanner};
pub use matrix::{Matrix, product, product_transposed, transposed_product};
pub use optimizer::{Correction, Gradient, Optimizer, Rule};
pub use select::{inhibited, top_k};
pub use sparse::sum_of_rows;
