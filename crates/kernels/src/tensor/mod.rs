//! The operations of [`transformer`](crate::transformer) on tensors, with gradients.
//!
//! - [`linear`], [`layer_norm`], [`rms_norm`], [`activate`], [`gated`], [`rotate`], [`attention`], [`cross_entropy`];
//! - [`AdamW::update`](crate::transformer::AdamW::update): a step of the optimizer, in place.
//!
//! On the default device, with or without automatic differentiation, in single precision, each is one pass over memory
//! where the tensor library makes several; [`is_fused`] says whether a tensor is of that kind. On any other device, and
//! in any other precision, they are made of the library's own operations, which are also what the tests compare with.
//! Gradients of gradients are not taken.

mod adamw;
mod attention;
mod gates;
mod linear;
mod loss;
mod norms;
mod operation;
mod rotation;

pub use attention::attention;
pub use gates::{activate, gated};
pub use linear::linear;
pub use loss::cross_entropy;
pub use norms::{layer_norm, rms_norm};
pub use operation::is_fused;
pub use rotation::rotate;

#[cfg(test)]
mod tests;
