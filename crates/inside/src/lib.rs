//! What goes on inside a model, seen through dictionaries.
//!
//! - [`Sequences`]: texts as a model reads them, those of the world with the concepts of every token;
//! - [`activations`]: what flows through a hook, such as the [`middle`];
//! - [`replaced`]: what a model says where something else flows through it;
//! - [`worth`]: both for dictionaries: how well they reconstruct, and what the model loses by it;
//! - [`taught`], [`dictionary`]: dictionaries of what flows through a hook, trained and found again;
//! - [`Sweep`]: the same for several sizes and penalties;
//! - [`written`]: texts that a model writes, many at once.
//!
//! The first position of a sequence holds the token that begins texts, and the same activation everywhere. It is no row of
//! what is measured, and is never replaced; dictionaries do learn it.

mod error;
mod flow;
mod sequences;
mod sweep;
mod taught;
mod worth;
mod written;

pub use error::{InsideError, Result};
pub use flow::{Replaced, Replacement, Told, activations, middle, replaced};
pub use sequences::{DOMAINS, Sequences};
pub use sweep::{Point, Sweep, of_trainings};
pub use taught::{Lesson, dictionary, taught};
pub use worth::{Quantity, Worth, worth};
pub use written::{Writing, written};
