//! The command line for models and texts of the user's own.

mod capture_command;
mod generate_command;
mod inputs;
mod plan;
mod terminal;
mod train_sae;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Interpretability for models of your own.
#[derive(Parser)]
#[command(name = "engram")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Store the activations of a model on a text.
    ///
    /// The model is a Hugging Face folder (config.json, safetensors, tokenizer.json) of the family GPT-2,
    /// Llama, Mistral, Qwen 3 or GPT-OSS. A killed run goes on where it was if it is called again.
    Capture(capture_command::Arguments),
    /// Train dictionaries on activations.
    ///
    /// They come as folders of `SAELens`, transcoders as those of sparsify. A killed run goes on where it was if it is called
    /// again, and ends with the same bytes.
    TrainSae(train_sae::Arguments),
    /// Write texts that a model generates at temperature 1, one a paragraph.
    Generate(generate_command::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Capture(arguments) => capture_command::run(&arguments),
        Command::TrainSae(arguments) => train_sae::run(&arguments),
        Command::Generate(arguments) => generate_command::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::warn(format_args!("error: {}", told(&error)));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, but for those that the text before them tells already.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    #[test]
    fn no_cause_is_told_twice() {
        let error = std::io::Error::other("the disk is full");
        let error = Err::<(), _>(error).context("cannot write a: the disk is full").context("b");
        assert_eq!(super::told(&error.unwrap_err()), "b: cannot write a: the disk is full");
    }
}
