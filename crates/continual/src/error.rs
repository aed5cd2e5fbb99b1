//! What can be wrong with data or a method.

use thiserror::Error;

/// Data that cannot be learned, or a method that cannot learn.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ContinualError {
    /// A sample has a label without a class.
    #[error("sample {sample} has label {label}, but there are {n_classes} classes")]
    Label {
        /// Its place, from 0.
        sample: usize,
        /// Its label.
        label: usize,
        /// The number of classes.
        n_classes: usize,
    },
    /// A number of an input is not finite.
    #[error(
        "input {column} of sample {sample} is {value}; remove the sample, or mend the file that it came from"
    )]
    NotFinite {
        /// The sample's place, from 0.
        sample: usize,
        /// The number's place in it, from 0.
        column: usize,
        /// The number.
        value: f32,
    },
    /// A task without samples.
    #[error(
        "task {task} has no sample: no label is among its classes {classes:?}; leave these out of the order"
    )]
    EmptyTask {
        /// The task, from 0.
        task: usize,
        /// Its classes.
        classes: Vec<usize>,
    },
    /// An order that names a class twice, or none.
    #[error("{0}")]
    Order(String),
    /// A setting outside of its interval.
    #[error("{what} is {got}, but must lie in {interval}")]
    Range {
        /// What it is.
        what: &'static str,
        /// The value.
        got: f64,
        /// The interval.
        interval: &'static str,
    },
    /// A tensor of a network is missing or does not fit.
    #[error("{what}: expected {expected}, got {got}")]
    Weights {
        /// The file and the tensor.
        what: String,
        /// What it should be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// Sizes do not fit each other.
    #[error(transparent)]
    Kernel(#[from] kernels::KernelError),
    /// A file of a data set is not what it should be.
    #[error(transparent)]
    Data(#[from] manifest::Error),
    /// Files of a data set do not fit each other, or hold samples that cannot be learned.
    #[error("{files}: {problem}")]
    Files {
        /// Their names.
        files: String,
        /// What is wrong.
        problem: Box<Self>,
    },
    /// The principal axes of pieces of images cannot be found.
    #[error("the principal axes of pieces of images")]
    Geometry(#[from] geometry::GeometryError),
    /// Images that cannot be drawn.
    #[error(transparent)]
    Glyphs(#[from] glyphs::GlyphError),
    /// The net cannot be, or cannot learn.
    #[error(transparent)]
    Net(#[from] sdm::SdmError),
}
