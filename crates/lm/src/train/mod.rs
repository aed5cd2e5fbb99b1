//! Training on next tokens: `AdamW`, a schedule, checkpoints with exact resume, evaluation.

mod adamw;
mod batch;
mod config;
mod evaluate;
mod loss;
mod state;
mod trainer;

pub use batch::Batch;
pub use config::TrainConfig;
pub use evaluate::{Evaluation, evaluate, losses};
pub use trainer::{StepReport, Trainer};
