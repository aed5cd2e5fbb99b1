//! The binary writes texts of a tiny model: the same for a seed, and only where something begins a text.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::path::Path;
use std::process::{Command, Output};

use lm::{Config, Precision, Tokenizer, Transformer};
use seed::Seed;
use serde_json::{Value, json};

fn generate(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_engram"));
    command.arg("generate").arg(folder).args(arguments).output().unwrap()
}

#[test]
fn texts_are_those_of_their_seed_one_after_the_other() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("model");
    let device = device::DeviceName::Flex.open().unwrap();
    let tokenizer = Tokenizer::train(&["a rose is a rose"], 280, &["<|end|>"]).unwrap();
    let config = json!({
        "model_type": "gpt2", "vocab_size": tokenizer.vocab_size(), "n_positions": 16, "n_embd": 16,
        "n_layer": 1, "n_head": 2,
    });
    let config = Config::from_json("config.json", config.to_string().as_bytes()).unwrap();
    let model = Transformer::random(config, Seed::new(1), &device).unwrap();
    model.save(&folder, Precision::F32, 1 << 30).unwrap();
    tokenizer.save(&folder).unwrap();

    let refused = generate(&folder, &["2", "1"]);
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("no token that begins a text"), "{told}");

    let path = folder.join("tokenizer.json");
    let mut file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let (name, id) = ("<|end|>", tokenizer.id("<|end|>").unwrap());
    file["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [
            { "SpecialToken": { "id": name, "type_id": 0 } },
            { "Sequence": { "id": "A", "type_id": 0 } },
        ],
        "pair": [
            { "Sequence": { "id": "A", "type_id": 0 } },
            { "Sequence": { "id": "B", "type_id": 0 } },
        ],
        "special_tokens": { name: { "id": name, "ids": [id], "tokens": [name] } },
    });
    std::fs::write(&path, file.to_string()).unwrap();
    let texts = |n: &str, seed: &str| {
        let output = generate(&folder, &[n, seed]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let two = texts("2", "1");
    assert!(two.ends_with(b"\n\n") && two == texts("2", "1"));
    let one = texts("1", "1");
    assert!(two.len() > one.len() && two.starts_with(&one));
    assert_ne!(one, texts("1", "2"));
    assert!(texts("0", "1").is_empty());
}
