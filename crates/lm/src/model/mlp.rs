//! Plain and gated feed-forward parts.

use burn::module::Module;
use burn::tensor::Tensor;
use kernels::tensor::{activate, gated};

use super::Linear;
use crate::{Activation, Config, Hook, Hooks, LmError, MlpForm, Parameters, Site};

/// f(x·`W_in` + `b_in`)·`W_out` + `b_out`, or (f(x·`W_gate`) ⊙ x·`W_in`)·`W_out` with optional biases.
#[derive(Module, Debug)]
pub(super) struct Mlp {
    gate: Option<Linear>,
    input: Linear,
    output: Linear,
    #[module(skip)]
    activation: Activation,
}

impl Mlp {
    pub(super) fn new(
        parameters: &mut Parameters,
        name: &str,
        config: &Config,
    ) -> Result<Self, LmError> {
        let (d_model, d_hidden, bias) = (config.d_model, config.mlp.d_hidden, config.mlp.bias);
        let mut project =
            |part: &str, shape| Linear::new(parameters, &format!("{name}.{part}"), shape, bias);
        let is_gated = config.mlp.form == MlpForm::Gated;
        Ok(Self {
            gate: is_gated.then(|| project("gate", [d_model, d_hidden])).transpose()?,
            input: project("input", [d_model, d_hidden])?,
            output: project("output", [d_hidden, d_model])?,
            activation: config.mlp.activation,
        })
    }

    /// `[batch, position, d_model]` to the same.
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        layer: usize,
        hooks: &mut Hooks,
    ) -> Result<Tensor<3>, LmError> {
        let input = self.input.forward(x.clone());
        let hidden = match &self.gate {
            Some(gate) => gated(self.activation.into(), gate.forward(x), input),
            None => activate(self.activation.into(), input),
        };
        let hidden = hooks.at(Hook::Block(layer, Site::MlpHidden), hidden)?;
        Ok(self.output.forward(hidden))
    }
}
