//! Hamming balls, spherical caps and their intersections, exact and in log space, and principal axes; no tensors,
//! no I/O.
//!
//! The weight that Sparse Distributed Memory gives to a stored pattern is the size of the
//! intersection of two Hamming balls. This crate answers how large that intersection is:
//!
//! - [`HammingSpace`]: balls and intersections in {0,1}ⁿ as natural logarithms of exact counts, for n
//!   up to tens of thousands, and the map between a radius and the fraction of the space it covers;
//! - [`exact`]: the same counts as big integers, the oracle of everything above;
//! - [`approximation`]: the largest term of the sum, its normal and Taylor approximations, Kanerva's
//!   integral;
//! - [`HammingSpace::ln_intersection_bounds`] and [`ln_exponential_upper_bound`]: bounds with proofs;
//! - [`cap`]: the continuous version, intersections of spherical caps;
//! - [`symmetric_eigen`]: eigenvalues and vectors, of a covariance the principal components.
//!
//! Every number is deterministic, with the same bits on every platform.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

pub mod approximation;
pub mod cap;
pub mod exact;

mod bounds;
mod cosine;
mod eigen;
mod error;
mod factorials;
mod incomplete_beta;
mod quadrature;
mod radius;
mod space;

pub use bounds::{IntersectionBounds, ln_exponential_upper_bound};
pub use cosine::{cosine_from_hamming, hamming_from_cosine};
pub use eigen::{SymmetricEigen, symmetric_eigen};
pub use error::GeometryError;
pub use space::HammingSpace;
