//! Language models: configs, weights, indices of shards, tokenizers.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use lm::{Config, Hooks, Precision, Tokenizer, Tokens, Transformer};
use proptest::prelude::*;
use seed::Seed;

use crate::damage::Form;
use crate::data::accepted;
use crate::parser::{FILE, Outcome, Parser, folder};

/// Configs of every family and of what varies within one, as `transformers` wrote them.
const CONFIGS: [&str; 6] = [
    "gpt2",
    "gpt2-query-key-norm",
    "llama-biases-tied-llama3",
    "mistral-window",
    "qwen3-windows-yarn",
    "gpt-oss",
];

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

pub(crate) fn parsers() -> Vec<Parser> {
    let configs = CONFIGS.map(config).to_vec();
    let mut all = vec![Parser::new("configs of models", Form::Json, configs, read_config)];
    for name in CONFIGS {
        let model = random(name);
        let precisions = [Precision::F32, Precision::F16, Precision::Bf16];
        let files = precisions.map(|precision| {
            let saved = saved(&model, precision, u64::MAX);
            fs::read(saved.path().join("model").join(WEIGHTS)).unwrap()
        });
        let whole = |file: &'static str| flat(&saved(&model, Precision::F32, u64::MAX), file);
        let weights = format!("weights of {name}");
        all.push(Parser::in_folder(&weights, Form::Tensors, files.to_vec(), whole(WEIGHTS), load));
        let beside = format!("config of {name} beside its weights");
        let files = vec![fs::read(whole(CONFIG).0.path().join(CONFIG)).unwrap()];
        all.push(Parser::in_folder(&beside, Form::Json, files, whole(CONFIG), load));
    }
    let shards = flat(&saved(&random("gpt-oss"), Precision::Bf16, 1000), INDEX);
    let index = vec![fs::read(shards.0.path().join(INDEX)).unwrap()];
    all.push(Parser::in_folder("indices of shards", Form::Json, index, shards, load));
    let tokenizers = vec![tokenizer(270), tokenizer(258)];
    all.push(Parser::new("tokenizers", Form::Json, tokenizers, read_tokenizer));
    all
}

fn device() -> Device {
    device::DeviceName::Flex.open().unwrap()
}

fn config(name: &str) -> Vec<u8> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lm/tests/fixtures");
    fs::read(fixtures.join(name).join("model").join(CONFIG)).unwrap()
}

fn random(name: &str) -> Transformer {
    let config = Config::from_json(name, &config(name)).unwrap();
    Transformer::random(config, Seed::new(3), &device()).unwrap()
}

/// A folder with the model's folder in it.
fn saved(model: &Transformer, precision: Precision, shard_bytes: u64) -> tempfile::TempDir {
    let folder = folder();
    model.save(&folder.path().join("model"), precision, shard_bytes).unwrap();
    folder
}

/// The files of a saved model in a folder of their own, and the one that will be damaged.
fn flat<'a>(saved: &tempfile::TempDir, file: &'a str) -> (tempfile::TempDir, &'a str) {
    let to = folder();
    for entry in fs::read_dir(saved.path().join("model")).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    (to, file)
}

/// What is read holds together, and is the same once it was written and read again.
fn read_config(bytes: &[u8]) -> Outcome {
    let config = accepted!(Config::from_json(FILE, bytes));
    prop_assert!(config.check().is_ok(), "{config:?}");
    let again = Config::from_json(FILE, &config.to_json());
    prop_assert!(again.as_ref().is_ok_and(|again| *again == config), "{config:?}: {again:?}");
    Ok(Ok(()))
}

/// A model that was loaded in spite of the damage computes, or says why not.
fn load(folder: &Path) -> Outcome {
    let model = accepted!(Transformer::load(folder, &device()));
    let tokens = Tokens::new(vec![vec![0; 3]]).unwrap();
    if let Ok(logits) = model.forward(&tokens, &mut Hooks::new()) {
        prop_assert_eq!(logits.dims(), [1, 3, model.config().vocab_size]);
    }
    Ok(Ok(()))
}

fn tokenizer(vocab_size: usize) -> Vec<u8> {
    let folder = folder();
    let text = ["one two one, two one"];
    let tokenizer = Tokenizer::train(&text, vocab_size, &["<|end|>"]).unwrap();
    tokenizer.save(folder.path()).unwrap();
    fs::read(folder.path().join("tokenizer.json")).unwrap()
}

/// A tokenizer that was read cuts texts and puts them together, or says why not.
fn read_tokenizer(bytes: &[u8]) -> Outcome {
    let tokenizer = accepted!(Tokenizer::from_json(FILE, bytes));
    for text in ["", "one two", " \u{10570}\u{98f}\n<|end|>one"] {
        let tokens = accepted!(tokenizer.encode(text));
        let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
        for token in &tokens {
            prop_assert!(text.get(token.span.clone()).is_some(), "{token:?} in {text:?}");
        }
        tokenizer.decode(&ids).ok();
        tokenizer.pieces(&ids).ok();
    }
    Ok(Ok(()))
}
