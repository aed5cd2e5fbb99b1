//! Texts that a model generates at temperature 1, one a paragraph:
//! `cargo run -p lm --example generate -- <model folder> <how many> <seed>`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it made")]

use std::process::ExitCode;

use lm::{Generation, Hooks, Sampling, Tokenizer, Transformer};
use seed::Seed;

fn main() -> ExitCode {
    let Err(error) = generate() else { return ExitCode::SUCCESS };
    let mut cause: Option<&dyn std::error::Error> = Some(&*error);
    while let Some(error) = cause {
        eprintln!("{error}");
        cause = error.source();
    }
    eprintln!("A model to try is stories260K: ./just data stories260K-hf");
    ExitCode::FAILURE
}

fn generate() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, n_texts, seed] = &arguments[..] else {
        return Err("expected <model folder> <how many> <seed>".into());
    };
    let (folder, n_texts, seed) = (folder.as_ref(), n_texts.parse::<usize>()?, seed.parse()?);
    let model = Transformer::load(folder, &device::DeviceName::Flex.open()?)?;
    let tokenizer = Tokenizer::load(folder)?;
    tokenizer.check(model.config())?;
    let begin = tokenizer.encode_with_specials("a")?.into_iter().next();
    let begin = begin.filter(|token| token.span.is_empty()).map(|token| token.id);
    let begin = begin.ok_or("the tokenizer has no token that begins a text")?;
    let n_ctx = model.config().n_ctx;
    let generation = Generation {
        sampling: Sampling::Random { temperature: 1.0, top_p: 1.0 },
        n_tokens: n_ctx - 1,
        stop: vec![begin],
    };
    for text in 0..n_texts {
        let mut rng = Seed::new(seed).stream("generate", &text.to_string());
        let tokens = model.generate(&[begin], &generation, &mut rng, &mut Hooks::new())?;
        println!("{}\n", tokenizer.decode(&tokens)?);
    }
    Ok(())
}
