//! The frame of an experiment binary.
//!
//! An experiment says what it is by implementing [`Experiment`]; its `main` is one call of [`main`].
//! The frame does the rest, in this order: read the command line, resolve the tier's config, find the
//! data, compute the cache key, open a draft of the result, store the config, compute, draw, judge the
//! claims, write the record, publish. What the paper says stands in the experiment; how a run is kept
//! stands in `record`; this crate joins them and decides nothing else.
//!
//! Experiments never draw, hash, read the environment or touch the results folder themselves.

mod context;
mod estimate;
mod run;

pub use context::Context;
pub use estimate::{Estimate, curve, dot_plot};
pub use figures;
pub use record::{Claim, Cost, Input, Number, Numbers, Tier, Tolerance};
pub use run::main;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A figure or a table, as an experiment describes it.
#[derive(Clone, Debug)]
pub enum Drawing {
    /// Drawn as SVG and PNG, with its caption as Markdown and its data as CSV.
    Figure(figures::Figure),
    /// Written as Markdown and CSV.
    Table(figures::Table),
}

impl From<figures::Figure> for Drawing {
    fn from(figure: figures::Figure) -> Self {
        Self::Figure(figure)
    }
}

impl From<figures::Table> for Drawing {
    fn from(table: figures::Table) -> Self {
        Self::Table(table)
    }
}

/// One experiment: what it asks, computes, draws and claims.
///
/// The functions are called from top to bottom, and only `compute` may be slow.
pub trait Experiment {
    /// `<letter><nn>_<slug>`: names the binary, its file and its results folder.
    const ID: &'static str;
    /// One line for tables and figures.
    const TITLE: &'static str;
    /// Ids of every figure and table that it makes, as in paper/index.toml.
    const OUTPUTS: &'static [&'static str];

    /// Everything that may be varied; plain data, unknown fields refused.
    type Config: Serialize + DeserializeOwned;
    /// What is computed: plain numbers.
    type Measured;

    /// The configuration of a tier.
    fn config(tier: Tier) -> Self::Config;

    /// The seeds inside a configuration; `--seed` shifts them. None for what draws nothing at random.
    fn seeds(_config: &mut Self::Config) -> &mut [u64] {
        &mut []
    }

    /// The data files that a configuration reads.
    fn inputs(_config: &Self::Config) -> Vec<Input> {
        Vec::new()
    }

    /// Ids of the experiments whose artefacts it reads.
    fn needs() -> &'static [&'static str] {
        &[]
    }

    /// What a tier is expected to cost on two cores.
    fn cost(tier: Tier) -> Cost;

    /// Computes. No drawing, no printing, no clock.
    ///
    /// # Errors
    /// Whatever stops it, with the context of what it was doing.
    fn compute(config: &Self::Config, context: &Context) -> anyhow::Result<Self::Measured>;

    /// The numbers to record.
    fn numbers(config: &Self::Config, measured: &Self::Measured) -> Numbers;

    /// The figures and tables; those whose data were missing are left out.
    fn drawings(config: &Self::Config, measured: &Self::Measured) -> Vec<Drawing>;

    /// The claims; kind and tolerance are fixed here, before any run.
    fn claims(config: &Self::Config, measured: &Self::Measured) -> Vec<Claim>;
}
