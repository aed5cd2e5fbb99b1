//! What can be wrong with an argument.

use thiserror::Error;

/// An argument outside of the domain of a function of this crate.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum SdmError {
    /// No pattern has a weight: the list is empty, or every count is zero.
    #[error("the weights of {n_patterns} patterns cannot be normalized: none is positive")]
    NoWeight {
        /// The number of patterns.
        n_patterns: usize,
    },
    /// A number that must be finite is not, or lies outside of its interval.
    #[error("{what} is {got}, but must lie in {interval}")]
    Range {
        /// What the number stands for.
        what: &'static str,
        /// The number passed.
        got: f64,
        /// The interval, as text.
        interval: &'static str,
    },
    /// A fit asks for distances for which there is no count.
    #[error("the fit needs counts up to distance {expected}, got {got} counts; shorten the range")]
    MissingCounts {
        /// The end of the range of distances.
        expected: usize,
        /// The number of counts passed.
        got: usize,
    },
    /// The regression failed.
    #[error("the fit of β failed")]
    Fit(#[from] stats::StatsError),
    /// The counters of a memory do not fit into this machine's memory.
    #[error(
        "{n_neurons} neurons with {n_value_bits} counters each do not fit into memory; use fewer"
    )]
    Memory {
        /// The number of neurons.
        n_neurons: usize,
        /// Counters of a neuron.
        n_value_bits: usize,
    },
    /// Gradients of single samples of a net that is centered or convolutional.
    #[error(
        "a net with centered addresses or over pieces of images {what}: these need free or unit addresses and whole inputs"
    )]
    NoProduct {
        /// What was asked for.
        what: &'static str,
    },
    /// Sizes do not fit each other.
    #[error(transparent)]
    Kernel(#[from] kernels::KernelError),
    /// The geometry failed.
    #[error("the geometry of the address space failed")]
    Geometry(#[from] geometry::GeometryError),
}
