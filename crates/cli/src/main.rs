//! The command line for models and texts of the user's own.

mod capture_command;
mod inputs;
mod plan;
mod terminal;

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
}

fn main() -> ExitCode {
    let Arguments { command: Command::Capture(arguments) } = Arguments::parse();
    match capture_command::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::warn(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
