//! Continual learning: classes that arrive task by task, methods that learn them, and scores.
//!
//! The setting is class-incremental: one output for each class, never told which task a sample is of, and no
//! sample of an earlier task unless a method keeps some.
//!
//! - [`Dataset`]: inputs with labels; [`Split`]: which classes come in which task; [`numpy_order`]: the published
//!   orders of classes;
//! - [`Method`]: nets with what keeps their weights in place ([`Penalty`]), and [`FlyModel`];
//! - [`Student`]: a method that learns one task after the other, and can be stored between them;
//! - [`ConvMixer`]: the frozen network that makes embeddings of images; [`PatchFeatures`]: features that are learned
//!   from the images alone;
//! - [`Benchmark`], [`PaperMethod`]: the data sets and the methods of Paper B; [`Setting`]: a form, a size and a schedule;
//! - [`Scores`]: what became of its accuracy; [`neuron_statistics`]: what its neurons answer to.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

mod benchmark;
mod convmixer;
mod dataset;
mod error;
mod fly;
mod neurons;
mod order;
mod patch_features;
mod penalty;
mod published;
mod score;
mod setting;
mod student;

pub use benchmark::Benchmark;
pub use convmixer::ConvMixer;
pub use dataset::{Dataset, Split};
pub use error::ContinualError;
pub use fly::{FlyConfig, FlyModel};
pub use neurons::{NeuronStatistics, NeuronSummary, neuron_statistics};
pub use order::numpy_order;
pub use patch_features::{PatchFeatures, PatchFeaturesConfig};
pub use penalty::{Fisher, Penalty};
pub use published::PaperMethod;
pub use score::Scores;
pub use sdm::Draws;
pub use setting::{Form, Setting};
pub use student::{Evaluation, Method, NetMethod, Schedule, Student};
