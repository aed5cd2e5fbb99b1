//! The models, written once for every family.

mod attention;
mod block;
mod cache;
mod experts;
mod init;
mod mlp;
mod norm;
mod rotation;
mod transformer;

pub use cache::Cache;
pub use transformer::Transformer;

use burn::module::Param;
use burn::tensor::Tensor;
use kernels::tensor::linear;

use crate::{Activation, LmError, Parameters};

/// A projection `[in, out]` with an optional bias `[out]`.
#[derive(burn::module::Module, Debug)]
struct Linear {
    weight: Param<Tensor<2>>,
    bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    fn new(
        parameters: &mut Parameters,
        name: &str,
        [d_in, d_out]: [usize; 2],
        has_bias: bool,
    ) -> Result<Self, LmError> {
        let weight = parameters.take(&format!("{name}.weight"), [d_in, d_out])?;
        let bias =
            has_bias.then(|| parameters.take(&format!("{name}.bias"), [d_out])).transpose()?;
        Ok(Self { weight, bias })
    }

    /// x·W + b over the last axis.
    fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        linear(x, self.weight.val(), self.bias.as_ref().map(Param::val))
    }
}

impl From<Activation> for kernels::transformer::Activation {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::Gelu => Self::Gelu,
            Activation::GeluTanh => Self::GeluTanh,
            Activation::Relu => Self::Relu,
            Activation::Silu => Self::Silu,
        }
    }
}
