//! `engram generate`: texts that a model writes.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use device::DeviceName;
use lm::{Generation, Hooks, Sampling, Transformer};
use seed::Seed;

use crate::inputs;

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A Hugging Face folder: config.json, *.safetensors, tokenizer.json.
    model: PathBuf,
    /// How many texts.
    n_texts: usize,
    /// Decides what is drawn.
    seed: u64,
}

/// Writes texts to standard output, as long as the model reads or until it ends them.
///
/// # Errors
/// A model that cannot be read, or has no token that begins a text; an output that is closed.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { model, n_texts, seed } = arguments;
    let (config, tokenizer) = inputs::model(model)
        .context("a model to try is stories260K: ./just data stories260K-hf")?;
    let begin = inputs::first_token(&tokenizer)?;
    let begin = begin.context("the tokenizer has no token that begins a text")?;
    let model = Transformer::load(model, &DeviceName::Flex.open()?)?;
    let generation = Generation {
        sampling: Sampling::Random { temperature: 1.0, top_p: 1.0 },
        n_tokens: config.n_ctx - 1,
        stop: vec![begin],
    };
    for text in 0..*n_texts {
        let mut rng = Seed::new(*seed).stream("generate", &text.to_string());
        let tokens = model.generate(&[begin], &generation, &mut rng, &mut Hooks::new())?;
        let text = tokenizer.decode(&tokens)?;
        writeln!(std::io::stdout().lock(), "{text}\n").context("cannot write the texts")?;
    }
    Ok(())
}
