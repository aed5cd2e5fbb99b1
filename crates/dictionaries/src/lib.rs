//! Runs that train dictionaries on activations: where rows come from, and a training that a killed run goes on with.
//!
//! A [`Source`] deals out batches and knows its place: [`StoreRows`] rows of a store in random order, epoch after epoch,
//! [`MemoryRows`] those of a matrix, [`DrawnRows`] rows that are drawn one by one, as those of a toy model. [`train`] feeds
//! them to all dictionaries of a run and keeps a checkpoint.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

mod drawn;
mod error;
mod memory;
mod source;
mod store_rows;
mod train;

pub use drawn::DrawnRows;
pub use error::{DictionariesError, Result};
pub use memory::MemoryRows;
pub use source::{Rows, Source};
pub use store_rows::{StoreRows, StoreRowsConfig};
pub use train::{Progress, ScalingRule, TrainConfig, finish, train};
