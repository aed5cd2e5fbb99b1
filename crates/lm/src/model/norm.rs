//! Normalization over the last axis.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use kernels::tensor::{layer_norm, rms_norm};

use crate::config::{Norm, NormKind};
use crate::{LmError, Parameters};

/// `LayerNorm` or `RMSNorm` with learned weights `[width]`; `LayerNorm` has a bias.
#[derive(Module, Debug)]
pub(super) struct Normalization {
    weight: Param<Tensor<1>>,
    bias: Option<Param<Tensor<1>>>,
    eps: f64,
}

impl Normalization {
    pub(super) fn new(
        parameters: &mut Parameters,
        name: &str,
        width: usize,
        norm: Norm,
    ) -> Result<Self, LmError> {
        let weight = parameters.take(&format!("{name}.weight"), [width])?;
        let bias = match norm.kind {
            NormKind::Layer => Some(parameters.take(&format!("{name}.bias"), [width])?),
            NormKind::Rms => None,
        };
        Ok(Self { weight, bias, eps: norm.eps })
    }

    /// w·(x − mean)/√(var + eps) + b, or w·x/√(mean(x²) + eps).
    pub(super) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match &self.bias {
            Some(bias) => layer_norm(x, self.weight.val(), bias.val(), self.eps),
            None => rms_norm(x, self.weight.val(), self.eps),
        }
    }
}
