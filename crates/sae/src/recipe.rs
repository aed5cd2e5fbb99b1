//! Published settings: architecture, optimizer and schedule together, each with its source.

use serde::{Deserialize, Serialize};

use crate::parameters::Freeze;
use crate::schedule::{Optimizer, Schedule};
use crate::{
    Architecture, Aux, BatchTopKConfig, GatedConfig, JumpReluConfig, MatryoshkaConfig,
    PAnnealConfig, ReluConfig, TopKConfig, TranscoderConfig, UnitReluConfig,
};

/// What one dictionary is and how it is trained.
///
/// Learning rates are what the sources took for hundreds of thousands of steps; runs of thousands want ten times as much.
///
/// # Examples
///
/// ```
/// use sae::Recipe;
///
/// let recipe = Recipe::paper_c(512);
/// assert_eq!(recipe.optimizer.learning_rate, 5e-5);
/// let faster = recipe.with_learning_rate(1e-3);
/// assert_eq!((faster.optimizer.learning_rate, faster.schedule.decay), (1e-3, 0.2));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What it is.
    pub architecture: Architecture,
    /// How it follows gradients.
    pub optimizer: Optimizer,
    /// How that changes in the course of the run.
    #[serde(default)]
    pub schedule: Schedule,
    /// What of it is not trained.
    #[serde(default)]
    pub freeze: Freeze,
}

impl Recipe {
    /// With clipped Adam, a decay over the last fifth and nothing frozen.
    pub fn new(architecture: Architecture, learning_rate: f32) -> Self {
        let optimizer = Optimizer::new(learning_rate);
        Self { architecture, optimizer, schedule: Schedule::new(), freeze: Freeze::None }
    }

    /// Paper C: λ = 5, η = 5e-5, which falls to 0 over the last fifth, penalties that rise over the first twentieth, gradients
    /// of norm up to 1, with λ, rate, decay and clipping as in its April 2024 update, and the rise as its reimplementations
    /// have it.
    pub fn paper_c(n_latents: usize) -> Self {
        let architecture = Architecture::Relu(ReluConfig::paper_c(n_latents));
        let schedule = Schedule { sparsity_warm_up: 0.05, ..Schedule::new() };
        Self { schedule, ..Self::new(architecture, 5e-5) }
    }

    /// Unit rows and an L1 penalty, with η = 1e-3 and a warm-up of penalties over the first twentieth.
    pub fn unit_relu(n_latents: usize, penalty: f64) -> Self {
        let architecture = Architecture::UnitRelu(UnitReluConfig::new(n_latents, penalty));
        let schedule = Schedule { sparsity_warm_up: 0.05, ..Schedule::new() };
        Self { schedule, ..Self::new(architecture, 1e-3) }
    }

    /// p-annealing, with the optimizer of [`Self::unit_relu`].
    pub fn p_anneal(n_latents: usize, penalty: f64) -> Self {
        let architecture = Architecture::PAnneal(PAnnealConfig::new(n_latents, penalty));
        Self { architecture, ..Self::unit_relu(n_latents, penalty) }
    }

    /// Gated, with η = 5e-5 as in `dictionary_learning`, and a warm-up of penalties over the first twentieth.
    pub fn gated(n_latents: usize, penalty: f64) -> Self {
        let architecture = Architecture::Gated(GatedConfig { n_latents, penalty });
        let schedule = Schedule { sparsity_warm_up: 0.05, ..Schedule::new() };
        Self { schedule, ..Self::new(architecture, 5e-5) }
    }

    /// `JumpReLU` towards a number of active latents, with η = 7e-5 and β = (0, 0.999) as in `dictionary_learning`, and a
    /// warm-up of penalties over the first twentieth.
    pub fn jump_relu(n_latents: usize, width: usize, target: f64) -> Self {
        let config = JumpReluConfig::target_l0(n_latents, width, target);
        let optimizer = Optimizer { decays: [0.0, 0.999], ..Optimizer::new(7e-5) };
        let schedule = Schedule { sparsity_warm_up: 0.05, ..Schedule::new() };
        Self { optimizer, schedule, ..Self::new(Architecture::JumpRelu(config), 7e-5) }
    }

    /// `JumpReLU` with tanh, as is told of Anthropic's update of January 2025: η = 2e-4, penalties that rise over the whole
    /// run, gradients of norm up to 1.
    pub fn jump_relu_tanh(n_latents: usize, coefficient: f64) -> Self {
        let architecture = Architecture::JumpRelu(JumpReluConfig::tanh(n_latents, coefficient));
        let schedule = Schedule { sparsity_warm_up: 1.0, ..Schedule::new() };
        Self { schedule, ..Self::new(architecture, 2e-4) }
    }

    /// `TopK` of Gao et al. with the auxiliary loss, ε = 6.25e-10 as in its code, η = 2e-4/√(n/2¹⁴) as in
    /// `dictionary_learning`.
    pub fn top_k(n_latents: usize, width: usize, k: usize) -> Self {
        let aux = Some(Aux::of_width(width));
        let config = TopKConfig { n_latents, k, aux };
        let recipe = Self::new(Architecture::TopK(config), rate_of_size(n_latents));
        Self { optimizer: Optimizer { epsilon: 6.25e-10, ..recipe.optimizer }, ..recipe }
    }

    /// `BatchTopK` with the auxiliary loss, η as [`Self::top_k`].
    pub fn batch_top_k(n_latents: usize, width: usize, k: usize, n_steps: u32) -> Self {
        let aux = Some(Aux::of_width(width));
        let config = BatchTopKConfig::of_run(n_latents, k, aux, n_steps);
        Self::new(Architecture::BatchTopK(config), rate_of_size(n_latents))
    }

    /// Matryoshka, with five prefixes, η as [`Self::top_k`].
    pub fn matryoshka(n_latents: usize, width: usize, k: usize, n_steps: u32) -> Self {
        let aux = Some(Aux::of_width(width));
        let whole = BatchTopKConfig::of_run(n_latents, k, aux, n_steps);
        let config = MatryoshkaConfig::fourfold(whole);
        Self::new(Architecture::Matryoshka(config), rate_of_size(n_latents))
    }

    /// A transcoder with the k largest latents and a map past them, η as [`Self::top_k`].
    pub fn transcoder(n_latents: usize, width: usize, k: usize, skip: bool) -> Self {
        let aux = Some(Aux::of_width(width));
        let config = TranscoderConfig { n_latents, k, aux, skip };
        Self::new(Architecture::Transcoder(config), rate_of_size(n_latents))
    }

    /// With another learning rate.
    #[must_use]
    pub const fn with_learning_rate(mut self, learning_rate: f32) -> Self {
        self.optimizer.learning_rate = learning_rate;
        self
    }

    /// With a part that is not trained.
    #[must_use]
    pub const fn frozen(mut self, freeze: Freeze) -> Self {
        self.freeze = freeze;
        self
    }
}

/// 2e-4/√(n/2¹⁴).
#[expect(clippy::cast_possible_truncation, reason = "a rate is single precision")]
fn rate_of_size(n_latents: usize) -> f32 {
    (2e-4 / (n_latents as f64 / 16384.0).sqrt()) as f32
}
