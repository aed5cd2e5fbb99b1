//! Files that are truncated, changed, or made to harm: errors that name them, no panic, no model of
//! something else.
//!
//! Every parser is given mutations of a good file, 10,000 in all; `PROPTEST_CASES=250000` makes that
//! a million.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::fs;
use std::path::{Path, PathBuf};

use lm::{Config, Hook, Hooks, Precision, Tokenizer, Tokens, Transformer};
use proptest::prelude::*;
use seed::Seed;
use serde_json::{Value, json};

/// Cases of each of the four mutation tests, where the environment does not say.
const CASES: u32 = 2500;

fn cases() -> ProptestConfig {
    let given = ProptestConfig::default();
    // 256 is what the library does where nothing is asked for.
    let cases = if given.cases == 256 { CASES } else { given.cases };
    ProptestConfig { cases, failure_persistence: None, ..given }
}

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

/// Changes to bytes: each at some place, to some value; then an end.
fn changed(file: &[u8], changes: &[(usize, u8)], end: usize) -> Vec<u8> {
    let mut file = file.to_vec();
    for (at, byte) in changes {
        let n_bytes = file.len();
        file[at % n_bytes] = *byte;
    }
    // Three in four keep their length.
    let n_bytes = file.len();
    file.truncate(if end.is_multiple_of(4) { end % n_bytes } else { n_bytes });
    file
}

/// A value of the kinds that headers and configs hold, good or bad.
fn value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "F32",
        "F16",
        "BF16",
        "I64",
        "F4",
        "",
        "silu",
        "relu",
        "llama",
        "gpt2",
        "gpt_oss",
        "qwen3",
        "mistral",
        "yarn",
        "linear",
        "llama3",
        "sliding_attention",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|flag| json!(flag)),
        (0_u64..40).prop_map(|number| json!(number)),
        any::<u64>().prop_map(|number| json!(number)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        word.prop_map(|word| json!(word)),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::Array))
}

/// Puts a value somewhere in a JSON tree.
fn put(tree: &mut Value, path: &[usize], value: Value) {
    let child = match (path, &mut *tree) {
        ([at, ..], Value::Object(map)) if !map.is_empty() => {
            let at = at % map.len();
            map.values_mut().nth(at)
        }
        ([at, ..], Value::Array(list)) if !list.is_empty() => {
            let at = at % list.len();
            list.get_mut(at)
        }
        _ => None,
    };
    match child {
        Some(child) => put(child, &path[1..], value),
        None => *tree = value,
    }
}

/// A model that was loaded in spite of a change computes, or says why not.
fn computes(model: &Transformer) {
    let tokens = Tokens::new(vec![vec![0; 3]]).unwrap();
    if let Ok(logits) = model.forward(&tokens, &mut Hooks::new()) {
        assert_eq!(logits.dims(), [1, 3, model.config().vocab_size]);
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn changed_weights_load_or_are_refused(
        in_header in any::<bool>(),
        bytes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        end in any::<usize>(),
        path in prop::collection::vec(any::<usize>(), 1..4),
        value in value(),
    ) {
        let folder = copy("gpt-oss");
        let file = folder.path().join(WEIGHTS);
        let content = fs::read(&file).unwrap();
        let content = if in_header {
            let (mut header, data) = parts(&content);
            put(&mut header, &path, value);
            joined(&header, &data)
        } else {
            // Half of the changes fall into the header, which is a small part of the file.
            let bytes: Vec<_> = bytes.iter().map(|(at, byte)| {
                (if at.is_multiple_of(2) { at % 3000 } else { *at }, *byte)
            }).collect();
            changed(&content, &bytes, end)
        };
        fs::write(&file, content).unwrap();
        if let Ok(model) = load(folder.path()) {
            computes(&model);
        }
    }

    /// What is read is honored: written and read again it is the same.
    #[test]
    fn changed_configs_are_read_or_refused(
        name in prop::sample::select(vec!["gpt2", "llama-biases-tied-llama3", "mistral-window",
            "qwen3-windows-yarn", "gpt-oss"]),
        bytes in prop::option::of(prop::collection::vec((any::<usize>(), any::<u8>()), 1..3)),
        end in any::<usize>(),
        path in prop::collection::vec(any::<usize>(), 1..3),
        value in value(),
    ) {
        let mut text = fs::read(fixture(name).join("config.json")).unwrap();
        if let Some(bytes) = bytes {
            text = changed(&text, &bytes, end);
        } else {
            let mut config: Value = serde_json::from_slice(&text).unwrap();
            put(&mut config, &path, value);
            text = config.to_string().into_bytes();
        }
        if let Ok(config) = Config::from_json("config.json", &text) {
            prop_assert!(config.check().is_ok(), "{config:?}");
        }
    }

    #[test]
    fn changed_tokenizers_are_read_or_refused(
        bytes in prop::option::of(prop::collection::vec((any::<usize>(), any::<u8>()), 1..4)),
        end in any::<usize>(),
        path in prop::collection::vec(any::<usize>(), 1..4),
        value in value(),
        text in "\\PC{0,12}",
    ) {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = Tokenizer::train(&["one two one"], 260, &["<|end|>"]).unwrap();
        tokenizer.save(folder.path()).unwrap();
        let mut json = fs::read(folder.path().join("tokenizer.json")).unwrap();
        if let Some(bytes) = bytes {
            json = changed(&json, &bytes, end);
        } else {
            let mut tree: Value = serde_json::from_slice(&json).unwrap();
            put(&mut tree, &path, value);
            json = tree.to_string().into_bytes();
        }
        if let Ok(tokenizer) = Tokenizer::from_json("tokenizer.json", &json)
            && let Ok(tokens) = tokenizer.encode(&text)
        {
            let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
            tokenizer.decode(&ids).ok();
            tokenizer.pieces(&ids).ok();
        }
    }

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
