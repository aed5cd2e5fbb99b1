//! The ingredients of a net of one hidden layer.

use kernels::KernelError;
use serde::{Deserialize, Serialize};

use super::{Activation, Anneal, Inhibition, Patches};
use crate::SdmError;

/// What is done to addresses, the rows of W, and inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rows {
    /// Nothing.
    Free,
    /// Negative inputs become 0, inputs are scaled to length 1, and so is W after every step.
    Unit,
    /// Excitations are those of W with its mean taken away and scaled to length 1, through which gradients pass.
    Centered,
}

/// The ingredients of a net: h = act(W·x + b), logits = Vᵀ·h + c.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetConfig {
    /// Numbers of an input.
    pub n_inputs: usize,
    /// Neurons of the hidden layer.
    pub n_neurons: usize,
    /// Outputs.
    pub n_classes: usize,
    /// What neurons make of their excitation.
    pub activation: Activation,
    /// Addresses and inputs.
    pub rows: Rows,
    /// Whether there are biases b and c.
    pub biases: bool,
    /// Whether negative weights become 0 after every step.
    pub non_negative: bool,
    /// Of a convolutional layer: its neurons look at each of these pieces of an input alike, at most k are active at a
    /// piece, and the logits are the sum over pieces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patches: Option<Patches>,
}

impl NetConfig {
    /// The SDM layer of Paper B: unit inputs and addresses, no biases, non-negative weights, the k most excited
    /// neurons with inhibition subtracted, and the GABA switch.
    pub fn sdm(n_inputs: usize, n_neurons: usize, n_classes: usize, k: usize, switch: f64) -> Self {
        Self {
            n_inputs,
            n_neurons,
            n_classes,
            activation: Activation::TopK { k, inhibition: Inhibition::Gaba { switch } },
            rows: Rows::Unit,
            biases: false,
            non_negative: true,
            patches: None,
        }
    }

    /// The same as a convolutional layer over pieces of images. A switch counts pieces then.
    #[must_use]
    pub const fn over(self, patches: Patches) -> Self {
        Self { n_inputs: patches.image_width(), patches: Some(patches), ..self }
    }

    /// Numbers of an address.
    pub(super) fn n_address(&self) -> usize {
        self.patches.map_or(self.n_inputs, Patches::width)
    }

    /// Pieces of an input.
    pub fn n_places(&self) -> usize {
        self.patches.map_or(1, Patches::n_places)
    }

    /// Paper B's Top-K net: biases, free weights, the k most excited neurons as they are, from all neurons at first.
    pub fn top_k(
        n_inputs: usize,
        n_neurons: usize,
        n_classes: usize,
        k: usize,
        epochs: usize,
    ) -> Self {
        let inhibition = Inhibition::Mask(Anneal::Epochs(epochs));
        Self {
            activation: Activation::TopK { k, inhibition },
            ..Self::relu(n_inputs, n_neurons, n_classes)
        }
    }

    /// A net of rectified neurons.
    pub fn relu(n_inputs: usize, n_neurons: usize, n_classes: usize) -> Self {
        Self {
            n_inputs,
            n_neurons,
            n_classes,
            activation: Activation::Relu,
            rows: Rows::Free,
            biases: true,
            non_negative: false,
            patches: None,
        }
    }

    pub(super) fn validate(self) -> Result<Self, SdmError> {
        let range = |what, got: f64, interval| SdmError::Range { what, got, interval };
        for (what, got) in
            [("inputs", self.n_inputs), ("neurons", self.n_neurons), ("classes", self.n_classes)]
        {
            if got == 0 {
                return Err(range(what, 0.0, "[1, ∞)"));
            }
        }
        if let Some(patches) = self.patches {
            patches.validate()?;
            KernelError::check("numbers of an image", patches.image_width(), self.n_inputs)?;
        }
        match self.activation {
            Activation::TopK { k: 0, .. } => Err(range("k, the active neurons", 0.0, "[1, ∞)")),
            Activation::TopK { inhibition: Inhibition::Gaba { switch }, .. }
                if switch.is_nan() || switch <= 0.0 =>
            {
                Err(range("the GABA switch, in samples,", switch, "(0, ∞)"))
            }
            Activation::Elephant { width, .. } if width.is_nan() || width <= 0.0 => {
                Err(range("the width of an elephant", f64::from(width), "(0, ∞)"))
            }
            _ => Ok(self),
        }
    }
}
