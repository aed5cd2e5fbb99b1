//! The methods of Paper B with the settings that its code has, and newer ones beside them.

use kernels::Rule;
use sdm::layer::{Activation, LearnerConfig, NetConfig, Rows};
use serde::{Deserialize, Serialize};

use crate::{Benchmark, Fisher, FlyConfig, Method, NetMethod, Penalty};

/// A method that Paper B compares, or one beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaperMethod {
    /// The SDM layer with elastic weight consolidation.
    SdmEwc,
    /// The SDM layer with memory aware synapses.
    SdmMas,
    /// The SDM layer.
    Sdm,
    /// The `FlyModel`.
    Fly,
    /// Rectified neurons with memory aware synapses.
    Mas,
    /// Rectified neurons with elastic weight consolidation, Fisher information by sample.
    Ewc,
    /// The same with the Fisher information of the authors' code.
    EwcBatchSum,
    /// Rectified neurons with synaptic intelligence.
    Si,
    /// Rectified neurons with a penalty on leaving the last task's weights.
    L2,
    /// Rectified neurons with dropout.
    Dropout,
    /// The k most excited neurons, annealed, without the other ingredients of the SDM layer.
    TopK,
    /// Rectified neurons.
    Relu,
    /// Hard ASH in one pass.
    HardAsh,
    /// Elephants in one pass.
    Elephant,
    /// Rectified neurons that learn 20 kept samples of each earlier class again: not a method without memory.
    Replay,
}

impl PaperMethod {
    /// All, roughly as the paper ranks them; those beyond the paper last.
    pub const ALL: [Self; 15] = [
        Self::SdmEwc,
        Self::SdmMas,
        Self::Sdm,
        Self::Fly,
        Self::Mas,
        Self::Ewc,
        Self::EwcBatchSum,
        Self::Si,
        Self::L2,
        Self::Dropout,
        Self::TopK,
        Self::Relu,
        Self::HardAsh,
        Self::Elephant,
        Self::Replay,
    ];

    /// The key of its numbers in a record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SdmEwc => "sdm_ewc",
            Self::SdmMas => "sdm_mas",
            Self::Sdm => "sdm",
            Self::Fly => "fly",
            Self::Mas => "mas",
            Self::Ewc => "ewc",
            Self::EwcBatchSum => "ewc_batch_sum",
            Self::Si => "si",
            Self::L2 => "l2",
            Self::Dropout => "dropout",
            Self::TopK => "top_k",
            Self::Relu => "relu",
            Self::HardAsh => "hard_ash",
            Self::Elephant => "elephant",
            Self::Replay => "replay",
        }
    }

    /// Its name in figures.
    pub const fn label(self) -> &'static str {
        match self {
            Self::SdmEwc => "SDMLP + EWC",
            Self::SdmMas => "SDMLP + MAS",
            Self::Sdm => "SDMLP",
            Self::Fly => "FlyModel",
            Self::Mas => "MAS",
            Self::Ewc => "EWC",
            Self::EwcBatchSum => "EWC (batch sum)",
            Self::Si => "SI",
            Self::L2 => "L2",
            Self::Dropout => "Dropout",
            Self::TopK => "Top-K",
            Self::Relu => "ReLU",
            Self::HardAsh => "Hard ASH",
            Self::Elephant => "Elephant",
            Self::Replay => "Replay",
        }
    }

    /// Whether it passes over its samples once, in batches of 64.
    pub const fn in_one_pass(self) -> bool {
        matches!(self, Self::HardAsh | Self::Elephant)
    }

    /// Whether few neurons learn from a sample, once they inhibit each other.
    pub const fn has_sparse_gradients(self) -> bool {
        matches!(self, Self::SdmEwc | Self::SdmMas | Self::Sdm | Self::TopK)
    }

    /// The method for a data set, with `n_neurons` neurons of which k = 10 are active, and a GABA switch after
    /// `switch` samples. Annealing takes `anneal` epochs.
    pub fn method(self, data: Benchmark, n_neurons: usize, switch: f64, anneal: usize) -> Method {
        let (n_inputs, n_classes) = (data.n_inputs(), data.n_classes());
        let sgd = LearnerConfig::with(Rule::Sgd { learning_rate: 0.05 });
        let momentum = LearnerConfig::with(Rule::Momentum { learning_rate: 0.03, momentum: 0.9 });
        let relu = NetMethod::new(NetConfig::relu(n_inputs, n_neurons, n_classes), sgd);
        let sdm = NetMethod::new(NetConfig::sdm(n_inputs, n_neurons, n_classes, 10, switch), sgd);
        let fisher = Fisher::PerSample;
        Method::Net(match self {
            Self::SdmEwc => NetMethod {
                learner: momentum,
                penalty: Penalty::Ewc { strength: 100.0, fisher },
                ..sdm
            },
            Self::SdmMas => {
                NetMethod { learner: momentum, penalty: Penalty::Mas { strength: 10.0 }, ..sdm }
            }
            Self::Sdm => sdm,
            Self::Fly => {
                // The rate and the inputs of a cell that the authors' sweep found best at these sizes.
                let (n_responses, learning_rate) = match (data, n_neurons > 1000) {
                    (Benchmark::Cifar10, false) => (32, 0.005),
                    (Benchmark::Cifar100, false) | (Benchmark::Mnist, true) => (32, 0.01),
                    (Benchmark::Cifar100, true) => (32, 0.2),
                    (Benchmark::Cifar10, true)
                    | (Benchmark::Mnist, false)
                    | (Benchmark::FashionMnist | Benchmark::Cifar10Pixels | Benchmark::Glyphs, _) => {
                        (64, 0.005)
                    }
                };
                return Method::Fly(FlyConfig {
                    n_inputs,
                    n_cells: n_neurons,
                    n_responses,
                    n_classes,
                    active: 0.01,
                    learning_rate,
                });
            }
            Self::Mas => NetMethod { penalty: Penalty::Mas { strength: 10.0 }, ..relu },
            Self::Ewc => NetMethod { penalty: Penalty::Ewc { strength: 100.0, fisher }, ..relu },
            Self::EwcBatchSum => {
                let fisher = Fisher::BatchSum { beta: 0.08 };
                NetMethod { penalty: Penalty::Ewc { strength: 100.0, fisher }, ..relu }
            }
            Self::Si => {
                NetMethod { penalty: Penalty::Si { strength: 1350.0, damping: 0.1 }, ..relu }
            }
            Self::L2 => NetMethod { penalty: Penalty::L2 { strength: 30.0 }, ..relu },
            Self::Dropout => NetMethod { learner: LearnerConfig { dropout: 0.03, ..sgd }, ..relu },
            Self::TopK => NetMethod {
                net: NetConfig::top_k(n_inputs, n_neurons, n_classes, 10, anneal),
                ..relu
            },
            Self::Relu => relu,
            Self::HardAsh => one_pass(relu.net, Activation::HardAsh { alpha: 3.0, z: 2.3 }),
            Self::Elephant => one_pass(relu.net, Activation::Elephant { width: 0.16, power: 4 }),
            Self::Replay => NetMethod { replay: 20, ..relu },
        })
    }
}

/// Keskinen's net: centered addresses of length 1, no biases, Adagrad.
fn one_pass(net: NetConfig, activation: Activation) -> NetMethod {
    let rule = Rule::Adagrad { learning_rate: 2e-4, initial: 1e-6, largest: 0.01 };
    let learner = LearnerConfig { largest_norm: None, ..LearnerConfig::with(rule) };
    NetMethod::new(NetConfig { activation, rows: Rows::Centered, biases: false, ..net }, learner)
}
