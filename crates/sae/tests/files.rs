//! Files that hold no dictionary: each is refused by name, whatever was done to it.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::fs;
use std::path::{Path, PathBuf};

use kernels::Matrix;
use proptest::prelude::*;
use proptest::sample::Index;
use sae::files::{self, About, FileError, Format};
use sae::{Activation, Dictionary, Parts, Scaling};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A copy of a fixture's folder.
fn copy(name: &str) -> TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from.join("given")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

/// What is said of a fixture whose config was changed.
fn refusal(name: &str, config: &str, change: impl FnOnce(&mut Value)) -> String {
    let folder = copy(name);
    let path = folder.path().join(config);
    let mut fields: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut fields);
    fs::write(&path, fields.to_string()).unwrap();
    let error = files::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains(&folder.path().display().to_string()), "{error}");
    error
}

fn remove(fields: &mut Value, name: &str) {
    fields.as_object_mut().unwrap().remove(name).unwrap();
}

#[track_caller]
fn says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{error:?} lacks {word:?}");
    }
}

#[test]
fn fields_of_sae_lens_are_honored_or_refused() {
    let of = |change: fn(&mut Value)| refusal("lens-topk", "cfg.json", change);
    says(&of(|c| c["sparsity"] = 3.into()), &["unknown field sparsity", "value 3"]);
    says(&of(|c| remove(c, "k")), &["cfg.json", "k:", "got none"]);
    says(&of(|c| c["k"] = 11.into()), &["k is 11", "[1, latents]"]);
    says(&of(|c| c["k"] = (-1).into()), &["k:", "got -1"]);
    says(&of(|c| remove(c, "apply_b_dec_to_input")), &["apply_b_dec_to_input", "got none"]);
    says(&of(|c| remove(c, "normalize_activations")), &["normalize_activations", "got none"]);
    says(&of(|c| c["architecture"] = "temporal".into()), &["architecture", "temporal", "topk"]);
    says(&of(|c| c["architecture"] = "batchtopk".into()), &["save_inference_model"]);
    says(&of(|c| c["d_in"] = 7.into()), &["W_enc", "[7, 10]", "[6, 10]"]);
    says(&of(|c| c["d_sae"] = u64::MAX.into()), &["W_enc", "18446744073709551615"]);
    says(&of(|c| c["d_sae"] = 0.into()), &["d_sae", "1 or more"]);
    says(&of(|c| c["metadata"]["sae_lens_version"] = "5.9.1".into()), &["SAELens 6", "5.9.1"]);
    says(&of(|c| remove(&mut c["metadata"], "sae_lens_version")), &["metadata.sae_lens_version"]);
    says(&of(|c| remove(c, "metadata")), &["metadata:", "got none"]);
    says(&of(|c| c["reshape_activations"] = "x".into()), &["reshape_activations", "hook_z"]);
    let whitened = of(|c| c["normalize_activations"] = "covariance_whitening".into());
    says(&whitened, &["normalize_activations", "covariance_whitening"]);
    let scaled = of(|c| c["normalize_activations"] = "expected_average_only_in".into());
    says(&scaled, &["activation_scaler.json", "fold_activation_norm_scaling_factor"]);

    let of = |change: fn(&mut Value)| refusal("lens-transcoder", "cfg.json", change);
    says(&of(|c| c["apply_b_dec_to_input"] = true.into()), &["false for a transcoder"]);
    says(&of(|c| c["normalize_activations"] = "layer_norm".into()), &["none for a transcoder"]);
    says(&of(|c| remove(c, "d_out")), &["d_out", "got none"]);
    let skips = of(|c| c["architecture"] = "skip_transcoder".into());
    says(&skips, &["W_skip", "[4, 6]", "got none"]);
    let bare = refusal("lens-jumprelu", "cfg.json", |c| c["architecture"] = "standard".into());
    says(&bare, &["tensor threshold", "does the config belong to these weights?"]);

    let whitens = |c: &mut Value| c["has_whitening"] = true.into();
    let text = refusal("lens-standard-checkpoint", "activation_scaler.json", whitens);
    says(&text, &["has_whitening"]);
    let negative = |c: &mut Value| c["scaling_factor"] = (-1.0).into();
    let text = refusal("lens-standard-checkpoint", "activation_scaler.json", negative);
    says(&text, &["the scale of activations is -1"]);
}

#[test]
fn fields_of_the_others_are_honored_or_refused() {
    let of = |change: fn(&mut Value)| refusal("learning-batchtopk", "config.json", change);
    says(&of(|c| c["trainer"]["temperature"] = 1.into()), &["unknown field trainer.temperature"]);
    says(&of(|c| c["other"] = json!({})), &["unknown field other"]);
    says(&of(|c| remove(c, "trainer")), &["trainer:", "got none"]);
    says(&of(|c| remove(&mut c["trainer"], "k")), &["trainer.k", "got none"]);
    says(&of(|c| c["trainer"]["k"] = 4.into()), &["tensor k", "4, as the config says", "[3]"]);
    says(&of(|c| c["trainer"]["dict_class"] = "IdentityDict".into()), &["dict_class", "Gated"]);
    says(&of(|c| c["trainer"]["dict_size"] = 9.into()), &["encoder.weight", "[9, 6]"]);

    let of = |change: fn(&mut Value)| refusal("sparsify-topk", "cfg.json", change);
    says(&of(|c| c["activation"] = "groupmax".into()), &["activation", "groupmax"]);
    says(&of(|c| c["signed"] = true.into()), &["signed"]);
    says(&of(|c| c["skip_connection"] = true.into()), &["W_skip", "got none"]);
    says(&of(|c| c["k"] = "3".into()), &["k:", "\"3\""]);
    says(&of(|c| c["hookpoint"] = 3.into()), &["unknown field hookpoint"]);
    says(
        &of(|c| {
            c["num_latents"] = 0.into();
            c["expansion_factor"] = u64::MAX.into();
        }),
        &["num_latents", "expansion_factor"],
    );
}

#[test]
fn a_batch_threshold_that_was_never_set_is_refused() {
    let folder = copy("learning-batchtopk");
    let path = folder.path().join("ae.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let set = 0.45_f32.to_le_bytes();
    let at = bytes.windows(4).position(|four| four == set).unwrap();
    bytes[at..at + 4].copy_from_slice(&(-1.0_f32).to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let error = files::read(folder.path()).unwrap_err().to_string();
    says(&error, &["ae.safetensors: tensor threshold", "never set", "got -1"]);
    // Of the k largest it is not needed.
    let top_k = files::read(copy("learning-topk").path()).unwrap();
    assert_eq!(top_k.about.rest["threshold"], json!(-1.0));
}

#[test]
fn what_a_file_says_of_its_dictionary_is_kept() {
    let read = files::read(copy("lens-matryoshka").path()).unwrap();
    assert_eq!(read.format, Format::SaeLens);
    assert_eq!(read.about.model.as_deref(), Some("tiny"));
    assert_eq!(read.about.hook.as_deref(), Some("blocks.1.hook_resid_post"));
    assert_eq!(read.about.context, Some(16));
    assert_eq!(read.about.rest["training_architecture"], "matryoshka_batchtopk");
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("again");
    files::write(&folder, Format::SaeLens, &read.dictionary, &read.about).unwrap();
    assert_eq!(files::read(&folder).unwrap(), read);
    let learned = files::read(copy("learning-matryoshka").path()).unwrap();
    assert_eq!(learned.about.rest["group_sizes"], json!([2, 2, 6]));
    assert_eq!(learned.about.context, Some(16));
    assert_eq!(learned.about.hook.as_deref(), Some("layers.1"));
}

#[test]
fn a_file_stands_for_its_folder_and_a_mixture_is_refused() {
    let folder = copy("sparsify-topk");
    let by_folder = files::read(folder.path()).unwrap();
    for name in ["sae.safetensors", "cfg.json"] {
        assert_eq!(files::read(&folder.path().join(name)).unwrap(), by_folder);
    }
    assert!(files::read(&folder.path().join("none.npz")).is_err());
    fs::write(folder.path().join("params.npz"), b"").unwrap();
    let error = files::read(folder.path()).unwrap_err().to_string();
    says(&error, &["several formats", "Sparsify", "GemmaScope"]);
    let error = files::read(tempfile::tempdir().unwrap().path()).unwrap_err().to_string();
    says(&error, &["sae_weights.safetensors", "params.npz"]);
}

/// A safetensors file with this header.
fn headed(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

#[test]
fn hostile_weights_are_refused() {
    let folder = copy("sparsify-topk");
    let path = folder.path().join("sae.safetensors");
    let whole = fs::read(&path).unwrap();
    let of = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let error = files::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("sae.safetensors"), "{error}");
        error
    };
    says(&of(&[1, 2, 3]), &["too short"]);
    says(&of(&u64::MAX.to_le_bytes()), &["claims 18446744073709551615 bytes"]);
    says(&of(&whole[..whole.len() - 1]), &["truncated?"]);
    says(&of(&headed("{", b"")), &["EOF"]);
    // 2^62 numbers that would take 2^64 bytes; 2^40 numbers in no bytes.
    let claim = |shape: &str, end: &str| {
        format!(r#"{{"W_dec":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#)
    };
    of(&headed(&claim("[4611686018427387904]", "0"), b""));
    of(&headed(&claim("[1099511627776]", "4398046511104"), b""));
    of(&headed(&claim("[1]", "8"), &[0; 8]));
    let twice = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    of(&headed(twice, &[0; 4]));
    let text = String::from_utf8_lossy(&whole).into_owned();
    assert!(text.contains("F32"));
    let wrong = whole.windows(3).position(|three| three == b"F32").unwrap();
    let mut other = whole.clone();
    other[wrong..wrong + 3].copy_from_slice(b"U32");
    says(&of(&other), &["U32; store it as F32"]);
    let mut nan = whole.clone();
    let last = nan.len() - 4;
    nan[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    says(&of(&nan), &["is NaN"]);
}

#[test]
fn what_a_format_lacks_is_refused() {
    let parts = Parts {
        encoder: Matrix::identity(2),
        decoder: Matrix::identity(2),
        encoder_bias: vec![0.0; 2],
        decoder_bias: vec![0.0; 2],
        activation: Activation::TopK { k: 1 },
        centers: true,
        skip: None,
        scaling: Scaling::None,
    };
    let home = tempfile::tempdir().unwrap();
    let of = |format: Format, parts: Parts| {
        let dictionary = Dictionary::new(parts).unwrap();
        let folder = home.path().join("never");
        let error = files::write(&folder, format, &dictionary, &About::default()).unwrap_err();
        assert!(matches!(error, FileError::Unwritable { .. }), "{error}");
        assert!(!folder.exists());
    };
    let skip = Parts { skip: Some(Matrix::identity(2)), ..parts.clone() };
    let length = Parts { scaling: Scaling::Length, ..parts.clone() };
    let relu = Parts { activation: Activation::Relu, ..parts.clone() };
    let wide = Parts {
        decoder: Matrix::zeros(2, 3),
        decoder_bias: vec![0.0; 3],
        centers: false,
        ..relu.clone()
    };
    of(Format::SaeLens, skip.clone());
    of(
        Format::SaeLens,
        Parts { scaling: Scaling::Length, activation: Activation::Relu, ..skip.clone() },
    );
    of(Format::DictionaryLearning, skip);
    of(Format::DictionaryLearning, length.clone());
    of(Format::DictionaryLearning, wide);
    of(Format::Sparsify, relu);
    of(Format::Sparsify, length.clone());
    of(Format::GemmaScope, parts.clone());
    of(Format::GemmaScope, length);
    // Nor is anything written over.
    let dictionary = Dictionary::new(parts).unwrap();
    let error = files::write(home.path(), Format::SaeLens, &dictionary, &About::default());
    says(&error.unwrap_err().to_string(), &["over"]);
}

#[test]
fn a_scale_is_folded_when_it_is_written() {
    let dictionary = Dictionary::new(Parts {
        encoder: Matrix::identity(2),
        decoder: Matrix::identity(2),
        encoder_bias: vec![0.5, -0.25],
        decoder_bias: vec![1.0, 0.0],
        activation: Activation::JumpRelu { thresholds: vec![0.5, 0.0] },
        centers: true,
        skip: None,
        scaling: Scaling::By { factor: 0.5 },
    })
    .unwrap();
    let x = Matrix::from_rows(2, 2, vec![3.0, 4.0, -2.0, 1.0]).unwrap();
    let home = tempfile::tempdir().unwrap();
    for format in [Format::SaeLens, Format::DictionaryLearning, Format::GemmaScope] {
        let folder = home.path().join(format!("{format:?}"));
        files::write(&folder, format, &dictionary, &About::default()).unwrap();
        let read = files::read(&folder).unwrap().dictionary;
        assert_eq!(read.parts().scaling, Scaling::None);
        assert_eq!(read.encode(&x).unwrap(), dictionary.encode(&x).unwrap());
        assert_eq!(read.reconstruct(&x).unwrap(), dictionary.reconstruct(&x).unwrap());
    }
}

/// A folder of each format and kind of weights.
const DAMAGED: [&str; 9] = [
    "lens-gated",
    "lens-jumprelu-skip-transcoder",
    "lens-standard-bfloat",
    "lens-standard-checkpoint",
    "learning-standard",
    "learning-matryoshka",
    "sparsify-skip-transcoder",
    "gemma-residual",
    "gemma-half",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_are_read_or_refused_by_name(
        name in prop::sample::select(&DAMAGED[..]),
        file in any::<Index>(),
        edits in prop::collection::vec((any::<Index>(), any::<u8>(), any::<bool>()), 1..4),
        cut in proptest::option::weighted(0.1, any::<Index>()),
    ) {
        let folder = copy(name);
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<PathBuf> = names.collect();
        names.sort();
        let path = file.get(&names);
        let mut bytes = fs::read(path).unwrap();
        for (at, byte, is_head) in edits {
            // Headers and configs stand at the beginning, directories of archives at the end.
            let n = if is_head { bytes.len().min(300) } else { bytes.len() };
            let place = if is_head && byte % 2 == 0 { bytes.len() - n + at.index(n) } else { at.index(n) };
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs::write(path, &bytes).unwrap();
        match files::read(folder.path()) {
            Ok(read) => {
                let width = read.dictionary.width();
                prop_assert!(read.dictionary.reconstruct(&Matrix::zeros(1, width)).is_ok());
            }
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.contains(&folder.path().display().to_string()), "{}", text);
            }
        }
    }
}
