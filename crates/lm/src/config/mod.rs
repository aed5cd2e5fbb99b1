//! The typed description of a model, which everything else trusts.

mod fields;
mod read;
mod rotary;
mod write;

pub use rotary::{Rotary, RotaryScaling};

use crate::LmError;

/// The name that errors give a config which came from no file.
const IN_MEMORY: &str = "this config";

/// The gain inside the sigmoid of the experts' gate.
pub(crate) const SWIGLU_ALPHA: f64 = 1.702;

/// A family of architectures: which config.json and which names of tensors a model has on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// GPT-2: `LayerNorm`, GELU, learned positions.
    Gpt2,
    /// GPT-2 whose queries and keys are scaled to unit length, with a learned scale for each head;
    /// a family of this project.
    Gpt2QueryKeyNorm,
    /// Llama 2 and 3: `RMSNorm`, `SwiGLU`, rotary positions, grouped-query attention.
    Llama,
    /// Mistral: Llama with an optional sliding window and without biases.
    Mistral,
    /// Qwen 3: Llama with `RMSNorm` over each head's queries and keys.
    Qwen3,
    /// GPT-OSS: mixture of experts, attention sinks, alternating windows.
    GptOss,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 6] =
        [Self::Gpt2, Self::Gpt2QueryKeyNorm, Self::Llama, Self::Mistral, Self::Qwen3, Self::GptOss];

    /// The value of `model_type` in config.json.
    pub const fn model_type(self) -> &'static str {
        match self {
            Self::Gpt2 => "gpt2",
            Self::Gpt2QueryKeyNorm => "gpt2_query_key_norm",
            Self::Llama => "llama",
            Self::Mistral => "mistral",
            Self::Qwen3 => "qwen3",
            Self::GptOss => "gpt_oss",
        }
    }
}

/// How activations are normalized before each part of a block and at the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// What is taken from the activations.
    pub kind: NormKind,
    /// Added to the variance or the mean square.
    pub eps: f64,
}

/// What a normalization takes from the activations, over the last axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// y = w·(x − mean)/√(var + eps) + b.
    Layer,
    /// y = w·x/√(mean(x²) + eps).
    Rms,
}

/// How a model knows the order of its tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Positions {
    /// A learned vector for each position, added to the token's.
    Learned,
    /// Queries and keys are rotated by angles proportional to the position.
    Rotary(Rotary),
}

/// What is done to queries and keys before their products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryKeyNorm {
    /// Nothing; scores are q·k/√`d_head`.
    None,
    /// `RMSNorm` over each head with learned weights, before the rotation; scores are q·k/√`d_head`.
    Rms,
    /// Unit length; scores are g·cos(q, k) with a learned g for each head: the inverse temperature β
    /// of paper A (Henry et al. 2020, query-key normalization).
    Unit,
}

/// The attention of every layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Heads that ask.
    pub n_heads: usize,
    /// Heads that hold keys and values; each serves `n_heads / n_kv_heads` asking heads in a row.
    pub n_kv_heads: usize,
    /// Numbers in a query, key or value of one head.
    pub d_head: usize,
    /// Whether queries, keys, values and the output have biases.
    pub bias: bool,
    /// What is done to queries and keys.
    pub query_key_norm: QueryKeyNorm,
    /// Whether each head has a learned score that takes part in the softmax and leads nowhere.
    pub sinks: bool,
    /// For each layer how many tokens back a query sees, itself counted; `None` sees all.
    pub windows: Vec<Option<usize>>,
}

/// The element-wise function of a feed-forward part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x·Φ(x).
    Gelu,
    /// x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
    GeluTanh,
    /// max(x, 0).
    Relu,
    /// x·σ(x).
    Silu,
}

/// The feed-forward part of every layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mlp {
    /// Hidden numbers, of one expert in a mixture.
    pub d_hidden: usize,
    /// The element-wise function.
    pub activation: Activation,
    /// Whether its projections have biases.
    pub bias: bool,
    /// How the hidden numbers come about.
    pub form: MlpForm,
}

/// How the hidden numbers of a feed-forward part come about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MlpForm {
    /// f(x·`W_in`).
    Plain,
    /// f(x·`W_gate`) ⊙ (x·`W_in`).
    Gated,
    /// The sum over the `n_active` experts of largest router score, weighted by the softmax of these
    /// scores; an expert's hidden numbers are (u + 1)·g·σ(1.702·g) with g = min(x·`W_gate`, limit) and
    /// u = x·`W_in` clamped to ±limit.
    Experts {
        /// Experts in a layer.
        n_experts: usize,
        /// Experts that a token goes through.
        n_active: usize,
        /// The bound of gate and input.
        limit: f64,
    },
}

/// A transformer language model of one of the families, complete.
///
/// [`Config::check`] refuses what its [`Family`] cannot have; everything that takes a config calls
/// it. Fields are as in config.json, but typed.
///
/// # Examples
///
/// ```
/// let text = br#"{"model_type": "gpt2", "vocab_size": 11, "n_positions": 8, "n_embd": 6,
///     "n_layer": 1, "n_head": 2, "activation_function": "gelu_new"}"#;
/// let config = lm::Config::from_json("config.json", text)?;
/// assert_eq!((config.attention.d_head, config.mlp.d_hidden), (3, 24));
/// assert_eq!(lm::Config::from_json("again", &config.to_json())?, config);
///
/// let other = String::from_utf8_lossy(text).replace("gelu_new", "mish");
/// let error = lm::Config::from_json("config.json", other.as_bytes()).unwrap_err();
/// assert!(error.to_string().contains("activation_function"));
/// # Ok::<(), lm::LmError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Which config.json and which names of tensors it has on disk.
    pub family: Family,
    /// Tokens that it knows.
    pub vocab_size: usize,
    /// Most tokens in a row.
    pub n_ctx: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Blocks.
    pub n_layers: usize,
    /// The normalization before each part of a block and at the end.
    pub norm: Norm,
    /// How it knows the order of its tokens.
    pub positions: Positions,
    /// The attention.
    pub attention: Attention,
    /// The feed-forward part.
    pub mlp: Mlp,
    /// Whether logits are products with the token embedding itself.
    pub tied_embeddings: bool,
    /// Numbers in a patch of an image, which a projection brings to `d_model`; none for models of text
    /// alone. In config.json it stands in the object `engram`, a field of this project.
    pub patch_width: Option<usize>,
}

impl Config {
    /// The width of all heads together: of the queries, and of what attention gathers.
    pub const fn d_heads(&self) -> usize {
        self.attention.n_heads * self.attention.d_head
    }

    /// The width of all heads of keys, or of values.
    pub const fn d_kv_heads(&self) -> usize {
        self.attention.n_kv_heads * self.attention.d_head
    }

    /// Refuses a config that no config.json of its family can express.
    ///
    /// # Errors
    ///
    /// [`LmError::Config`] with the first field that is out of its domain or is not what the family
    /// has.
    pub fn check(&self) -> Result<(), LmError> {
        let read = Self::from_json(IN_MEMORY, &self.to_json())?;
        let pairs = [
            ("norm", format!("{:?}", read.norm), format!("{:?}", self.norm)),
            ("positions", format!("{:?}", read.positions), format!("{:?}", self.positions)),
            ("attention", format!("{:?}", read.attention), format!("{:?}", self.attention)),
            ("mlp", format!("{:?}", read.mlp), format!("{:?}", self.mlp)),
            ("the config", format!("{read:?}"), format!("{self:?}")),
        ];
        let differs = pairs.into_iter().find(|(_, can, has)| can != has);
        differs.map_or(Ok(()), |(field, can, has)| {
            Err(LmError::Config {
                file: IN_MEMORY.to_owned(),
                field: field.to_owned(),
                expected: format!("what {} has, {can}", self.family.model_type()),
                got: has,
            })
        })
    }
}
