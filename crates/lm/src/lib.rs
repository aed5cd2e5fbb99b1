//! Transformer language models with hook points: GPT-2, Llama, Mistral, Qwen 3, GPT-OSS, and GPT-2
//! with query-key norm.

mod align;
mod checkpoint;
mod config;
mod error;
mod generate;
mod hook;
mod hooks;
mod last_query;
mod model;
mod tokenizer;
mod tokens;
mod train;

pub use align::{Alignment, Whitespace, align};
pub use checkpoint::{Parameters, Precision, load_config};
pub use config::{
    Activation, Attention, Config, Family, Mlp, MlpForm, Norm, NormKind, Positions, QueryKeyNorm,
    Rotary, RotaryScaling,
};
pub use error::LmError;
pub use generate::{Generation, Sampling};
pub use hook::{Hook, Site};
pub use hooks::{Change, Hooks, Map};
pub use last_query::LastQuery;
pub use model::{Cache, Transformer};
pub use tokenizer::{Token, Tokenizer};
pub use tokens::Tokens;
pub use train::{Batch, Evaluation, StepReport, TrainConfig, Trainer, evaluate, losses};
