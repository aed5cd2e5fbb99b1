//! One block: attention and a feed-forward part, each added to the residual stream.

use burn::module::Module;
use burn::tensor::Tensor;

use super::Cache;
use super::attention::Attention;
use super::experts::Experts;
use super::mlp::Mlp;
use super::norm::Normalization;
use super::rotation::Rotation;
use crate::{Config, Hook, Hooks, LmError, MlpForm, Parameters, Site};

/// x ← x + attention(norm(x)); x ← x + `feed_forward`(norm(x)).
#[derive(Module, Debug)]
pub(super) struct Block {
    attention_norm: Normalization,
    attention: Attention,
    mlp_norm: Normalization,
    mlp: FeedForward,
}

#[derive(Module, Debug)]
enum FeedForward {
    Dense(Mlp),
    Mixture(Experts),
}

impl Block {
    pub(super) fn new(
        parameters: &mut Parameters,
        layer: usize,
        config: &Config,
    ) -> Result<Self, LmError> {
        let of = |part: &str| format!("blocks.{layer}.{part}");
        let norm = |part: &str, parameters: &mut Parameters| {
            Normalization::new(parameters, &of(part), config.d_model, config.norm)
        };
        let attention_norm = norm("attention_norm", parameters)?;
        let mlp_norm = norm("mlp_norm", parameters)?;
        let mlp = match config.mlp.form {
            MlpForm::Plain | MlpForm::Gated => {
                FeedForward::Dense(Mlp::new(parameters, &of("mlp"), config)?)
            }
            MlpForm::Experts { n_experts, n_active, limit } => {
                let counts = [n_experts, n_active];
                FeedForward::Mixture(Experts::new(parameters, &of("mlp"), config, counts, limit)?)
            }
        };
        let attention = Attention::new(parameters, &of("attention"), layer, config)?;
        Ok(Self { attention_norm, attention, mlp_norm, mlp })
    }

    /// The learned scale of each head's cosines, where there is one.
    pub(super) fn scale(&self) -> Option<Tensor<1>> {
        self.attention.scale()
    }

    /// `[batch, position, d_model]` to the same.
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        layer: usize,
        rotation: Option<&Rotation>,
        cache: Option<&mut Cache>,
        hooks: &mut Hooks,
    ) -> Result<Tensor<3>, LmError> {
        let at = |site| Hook::Block(layer, site);
        let x = hooks.at(at(Site::ResidPre), x)?;
        let normal = self.attention_norm.forward(x.clone());
        let out = self.attention.forward(normal, layer, rotation, cache, hooks)?;
        let x = x + hooks.at(at(Site::AttnOut), out)?;
        let x = hooks.at(at(Site::ResidMid), x)?;
        let normal = self.mlp_norm.forward(x.clone());
        let out = match &self.mlp {
            FeedForward::Dense(mlp) => mlp.forward(normal, layer, hooks)?,
            FeedForward::Mixture(experts) => experts.forward(normal, layer, hooks)?,
        };
        let x = x + hooks.at(at(Site::MlpOut), out)?;
        hooks.at(at(Site::ResidPost), x)
    }
}
