//! Files that are truncated, changed, or made to harm: errors that name them, no panic, no model of
//! something else. Damage at random is tested in `engram`, for all parsers together.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::fs;
use std::path::{Path, PathBuf};

use lm::{Hook, Precision, Tokenizer, Transformer};
use proptest::prelude::*;
use seed::Seed;
use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name).join("model")
}

/// A copy of a fixture's folder that may be changed.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        // By content: a copied mode may forbid writing.
        let to = folder.path().join(path.file_name().unwrap());
        fs::write(to, fs::read(&path).unwrap()).unwrap();
    }
    folder
}

fn load(folder: &Path) -> Result<Transformer, lm::LmError> {
    Transformer::load(folder, &device::DeviceName::Flex.open().unwrap())
}

/// The error of a folder whose file was rewritten, which names the folder.
fn refused(name: &str, file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let folder = copy(name);
    let path = folder.path().join(file);
    let content = fs::read(&path).unwrap_or_default();
    fs::write(&path, change(content)).unwrap();
    let message = load(folder.path()).unwrap_err().to_string();
    assert!(message.contains(&folder.path().display().to_string()), "{message}");
    message
}

const WEIGHTS: &str = "model.safetensors";

/// The header of a safetensors file and what comes after.
fn parts(file: &[u8]) -> (Value, Vec<u8>) {
    let len = usize::try_from(u64::from_le_bytes(file[..8].try_into().unwrap())).unwrap();
    (serde_json::from_slice(&file[8..8 + len]).unwrap(), file[8 + len..].to_vec())
}

fn joined(header: &Value, data: &[u8]) -> Vec<u8> {
    let header = header.to_string().into_bytes();
    let len = u64::try_from(header.len()).unwrap().to_le_bytes();
    [&len[..], &header, data].concat()
}

/// Llama's weights with a changed header.
fn with_header(change: impl FnOnce(&mut Value)) -> String {
    refused("llama", WEIGHTS, |file| {
        let (mut header, data) = parts(&file);
        change(&mut header);
        joined(&header, &data)
    })
}

const NORM: &str = "model.norm.weight";

#[test]
fn headers_that_lie_about_lengths_are_refused_before_anything_is_read() {
    let claim = |claimed: u64| {
        refused("llama", WEIGHTS, |file| [&claimed.to_le_bytes()[..], &file[8..]].concat())
    };
    for claimed in [u64::MAX, u64::MAX - 7, 1 << 40, 90_000_000] {
        assert!(claim(claimed).contains(&claimed.to_string()));
    }
    assert!(claim(0).contains("not a safetensors file"));
    assert!(refused("llama", WEIGHTS, |_| vec![1, 2, 3]).contains("3 bytes"));
    assert!(
        refused("llama", WEIGHTS, |file| file[..file.len() - 1].to_vec()).contains("truncated")
    );
    assert!(refused("llama", WEIGHTS, |file| [file, vec![0]].concat()).contains("truncated"));
}

#[test]
fn offsets_that_overlap_leave_gaps_or_run_out_are_refused() {
    for offsets in [json!([0, 48]), json!([48, 0]), json!([0, u64::MAX]), json!([u64::MAX, 0])] {
        let message = with_header(|header| header[NORM]["data_offsets"] = offsets.clone());
        assert!(message.contains("offset") || message.contains("shape"), "{message}");
    }
    let huge = json!([u64::from(u32::MAX), u64::from(u32::MAX), 9]);
    assert!(with_header(|header| header[NORM]["shape"] = huge).contains("safetensors"));
}

#[test]
fn tensors_that_the_config_does_not_ask_for_are_refused() {
    let message = with_header(|header| header[NORM]["dtype"] = json!("I32"));
    assert!(message.contains(NORM) && message.contains("I32"), "{message}");
    let message = with_header(|header| header[NORM]["shape"] = json!([3, 4]));
    assert!(message.contains("[12]") && message.contains("[3, 4]"), "{message}");
    let message = with_header(|header| {
        let norm = header.as_object_mut().unwrap().remove(NORM).unwrap();
        header["model.norm.weights"] = norm;
    });
    assert!(message.contains(NORM) && message.contains("none"), "{message}");
    let message = refused("llama", WEIGHTS, |file| {
        let (mut header, mut data) = parts(&file);
        let end = data.len();
        header["spare"] = json!({"dtype": "F32", "shape": [1], "data_offsets": [end, end + 4]});
        data.extend([0; 4]);
        joined(&header, &data)
    });
    assert!(message.contains("spare"), "{message}");
    let message = refused("llama", WEIGHTS, |file| {
        let (header, mut data) = parts(&file);
        let start = usize::try_from(header[NORM]["data_offsets"][0].as_u64().unwrap()).unwrap();
        data[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        joined(&header, &data)
    });
    assert!(message.contains("final_norm.weight") && message.contains("NaN"), "{message}");
}

#[test]
fn indices_that_lead_elsewhere_are_refused() {
    let index = "model.safetensors.index.json";
    let with = |change: &dyn Fn(&mut Value)| {
        refused("gpt2-bf16-shards", index, |file| {
            let mut index: Value = serde_json::from_slice(&file).unwrap();
            change(&mut index["weight_map"]);
            index.to_string().into_bytes()
        })
    };
    let tensor = "transformer.wte.weight";
    for name in ["../model.safetensors", "/etc/passwd", "a/b", "", ".."] {
        assert!(with(&|map| map[tensor] = json!(name)).contains("no name of a file"));
    }
    assert!(with(&|map| map["more"] = map[tensor].clone()).contains("more is not in"));
    assert!(with(&|map| map[tensor] = json!("absent.safetensors")).contains("absent"));
    assert!(with(&|map| *map = json!({})).contains("none"));
    // The same tensor in two shards.
    let folder = copy("gpt2-bf16-shards");
    let shard = |nth: u8| folder.path().join(format!("model-0000{nth}-of-00006.safetensors"));
    fs::write(shard(2), fs::read(shard(1)).unwrap()).unwrap();
    assert!(load(folder.path()).unwrap_err().to_string().contains("it again"));
}

#[test]
fn configs_that_cannot_be_honored_are_refused_by_field() {
    let with = |name: &str, field: &str, value: Value| {
        refused(name, "config.json", |file| {
            let mut config: Value = serde_json::from_slice(&file).unwrap();
            config[field] = value;
            config.to_string().into_bytes()
        })
    };
    for (name, field, value) in [
        ("llama", "model_type", json!("mamba")),
        ("llama", "hidden_act", json!("mish")),
        ("llama", "rope_parameters", json!({"rope_type": "longrope", "factor": 2.0})),
        ("llama", "rope_parameters", json!({"rope_type": "yarn", "factor": 2.0, "mscale": 1.0})),
        ("llama", "rope_parameters", json!({"rope_type": "default", "partial_rotary_factor": 0.5})),
        ("llama", "pretraining_tp", json!(2)),
        ("llama", "num_key_value_heads", json!(4)),
        ("llama", "head_dim", json!(3)),
        ("llama", "num_hidden_layers", json!(-1)),
        ("llama", "num_hidden_layers", json!(1_000_000)),
        ("llama", "vocab_size", json!(u64::MAX)),
        ("llama", "rms_norm_eps", json!(0)),
        ("llama", "attention_bias", json!("yes")),
        ("llama", "quantization_config", json!({"bits": 4})),
        ("llama", "sliding_window", json!(4)),
        ("mistral-window", "layer_types", json!(["full_attention", "full_attention"])),
        ("qwen3", "layer_types", json!(["full_attention", "sliding_attention"])),
        ("qwen3", "layer_types", json!(["full_attention"])),
        ("gpt2", "scale_attn_by_inverse_layer_idx", json!(true)),
        ("gpt2", "n_head", json!(5)),
        ("gpt-oss", "num_experts_per_tok", json!(6)),
        ("gpt-oss", "swiglu_alpha", json!(1.5)),
        ("gpt-oss", "rope_parameters", Value::Null),
        ("gpt-oss", "logit_softcap", json!(30.0)),
    ] {
        let message = with(name, field, value.clone());
        // What is said is the field itself, or one of those that it goes with.
        let with_it = match field {
            "rope_parameters" => ["rope", "mscale", "partial_rotary_factor"],
            "num_hidden_layers" => ["layers", "1024", field],
            "layer_types" => ["sliding_window", field, field],
            _ => [field; 3],
        };
        assert!(with_it.iter().any(|word| message.contains(word)), "{field}: {message}");
    }
    // A config of other weights.
    let message = with("llama", "intermediate_size", json!(21));
    assert!(message.contains("[21, 12]") && message.contains("[20, 12]"), "{message}");
}

#[test]
fn a_model_is_saved_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let model = load(&fixture("gpt-oss")).unwrap();
    let path = folder.path().join("model");
    model.save(&path, Precision::Bf16, u64::MAX).unwrap();
    let before = fs::read(path.join(WEIGHTS)).unwrap();
    let message = model.save(&path, Precision::F32, u64::MAX).unwrap_err().to_string();
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert_eq!(fs::read(path.join(WEIGHTS)).unwrap(), before);
    // Once rounded, a number is saved in that precision as it is.
    let rounded = load(&path).unwrap();
    let again = folder.path().join("again");
    rounded.save(&again, Precision::Bf16, u64::MAX).unwrap();
    assert_eq!(fs::read(again.join(WEIGHTS)).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

proptest! {
    #[test]
    fn names_of_hooks_are_read_as_they_are_written_or_refused(
        name in "(embed|logits|blocks|final_norm|[a-z._0-9]{0,9})([.]|)([0-9]{0,20}|)([.]|)(resid_pre|query|[a-z_]{0,9})",
    ) {
        if let Ok(hook) = name.parse::<Hook>() {
            let again: Hook = hook.to_string().parse().unwrap();
            prop_assert_eq!(again, hook);
        }
    }
}

/// The library reads some broken parts of a tokenizer and panics at a text.
#[test]
fn a_broken_part_of_a_tokenizer_is_an_error_when_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    Tokenizer::train(&["one two one"], 260, &["<|end|>"]).unwrap().save(folder.path()).unwrap();
    let json = fs::read(folder.path().join("tokenizer.json")).unwrap();
    let tree: serde_json::Map<String, Value> = serde_json::from_slice(&json).unwrap();
    let mut accepted = Vec::new();
    for part in tree.keys() {
        let mut broken = tree.clone();
        broken.insert(part.clone(), json!([""]));
        let broken = serde_json::to_vec(&broken).unwrap();
        let read = Tokenizer::from_json("tokenizer.json", &broken);
        let used = read.and_then(|tokenizer| tokenizer.encode("\u{10570}\u{98f}"));
        if used.is_ok() {
            accepted.push(part.as_str());
        }
    }
    // A text needs no decoder.
    assert_eq!(accepted, ["decoder"]);
}

/// A model of random weights goes through every precision and any number of files unchanged in shape.
#[test]
fn every_family_is_saved_and_loaded() {
    let device = device::DeviceName::Flex.open().unwrap();
    for name in ["gpt2-query-key-norm", "llama", "mistral-full", "qwen3", "gpt-oss"] {
        let config = load(&fixture(name)).unwrap().config().clone();
        let model = Transformer::random(config, Seed::new(2), &device).unwrap();
        for precision in [Precision::F32, Precision::F16, Precision::Bf16] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model");
            model.save(&path, precision, 2000).unwrap();
            let loaded = load(&path).unwrap();
            assert_eq!(loaded.config(), model.config());
            let (ours, theirs) =
                (lm::Parameters::of(&model).unwrap(), lm::Parameters::of(&loaded).unwrap());
            let tolerance = match precision {
                Precision::F32 => 0.0,
                Precision::F16 => 1.0 / 2048.0,
                Precision::Bf16 => 1.0 / 256.0,
            };
            assert_eq!(ours.names().count(), theirs.names().count());
            for name in ours.names() {
                let pairs = ours.get(name).unwrap().iter().zip(theirs.get(name).unwrap());
                for (a, b) in pairs {
                    // Numbers below half precision's normal ones are rounded to multiples of 2^-24.
                    assert!(
                        (a - b).abs() <= tolerance * a.abs() + 6e-8 * tolerance.signum(),
                        "{name}"
                    );
                }
            }
        }
    }
}
