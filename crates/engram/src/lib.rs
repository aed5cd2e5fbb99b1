//! A thin facade of re-exports for notebooks and outside users, one feature per paper.
//!
//! Each feature gives the crates that its paper, or subject, needs, under their own names. Without features there is
//! nothing here, and nothing to compile.
//!
//! | feature | paper | crates |
//! |---|---|---|
//! | `paper-a` | attention approximates Sparse Distributed Memory | `figures`, `geometry`, `kernels`, `sdm`, `seed`, `stats` |
//! | `paper-b` | Sparse Distributed Memory is a continual learner | those of `paper-a`, and `continual` |
//! | `dictionaries` | sparse autoencoders without language models | `dictionaries`, `figures`, `interp`, `kernels`, `sae`, `seed`, `stats`, `world` |
//! | `paper-c` | Scaling Monosemanticity | those of `dictionaries`, and `burn`, `capture`, `corpus`, `device`, `inside`, `lm`, `store`, `substrate` |
//!
//! In a notebook with an evcxr kernel:
//!
//! ```text
//! :dep engram = { path = "../crates/engram", features = ["paper-a"] }
//! ```
//!
//! # Examples
//!
//! How many of the 2⁴ addresses lie within one bit of each of two addresses that are two bits apart:
//!
//! ```
//! use engram::geometry::HammingSpace;
//!
//! let ln_shared = HammingSpace::new(4)?.ln_intersection(1, 2)?;
//! assert!((ln_shared.exp() - 2.0).abs() < 1e-12);
//! # Ok::<(), engram::geometry::GeometryError>(())
//! ```

#[cfg(feature = "paper-b")]
pub use continual;
#[cfg(feature = "paper-c")]
pub use {burn, capture, corpus, device, inside, lm, store, substrate};
#[cfg(feature = "dictionaries")]
pub use {dictionaries, interp, sae, world};
#[cfg(any(feature = "paper-a", feature = "dictionaries"))]
pub use {figures, kernels, seed, stats};
#[cfg(feature = "paper-a")]
pub use {geometry, sdm};
