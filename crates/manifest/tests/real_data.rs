//! The project's manifests against the mirror, where `ENGRAM_DATA_MIRROR` names one, and the
//! decoders against values of the real files that were counted independently.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod fixtures;

use std::io::Write;
use std::path::{Path, PathBuf};

use manifest::decode::{cifar, idx, learned_betas, npy, pytorch};
use manifest::{Kind, Manifest, Origin, Outcome, Program, State, Status, Store, sha256};
use tempfile::TempDir;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The project's store, or `None` (said aloud) where no mirror is at hand.
fn mirrored() -> Option<(Store, TempDir)> {
    #[expect(clippy::disallowed_methods, reason = "the test runs with and without the mirror")]
    let mirror = std::env::var("ENGRAM_DATA_MIRROR").ok().filter(|m| Path::new(m).is_dir());
    let Some(mirror) = mirror else {
        // Past the test harness, which keeps what a passing test prints to itself.
        let note =
            "skipped: data (ENGRAM_DATA_MIRROR names no folder); checked the embedded samples\n";
        std::io::stderr().write_all(note.as_bytes()).unwrap();
        embedded_samples();
        return None;
    };
    let cache = tempfile::tempdir().unwrap();
    let manifests = workspace().join("data-manifests");
    let store = Store::new(&manifests, cache.path().to_owned(), Some(mirror.into())).unwrap();
    Some((store, cache))
}

/// What stands in for the mirror: one tiny file of each format, values by hand.
fn embedded_samples() {
    let digits = idx::decode("digits", &[0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2, 5, 6]).unwrap();
    assert_eq!((digits.shape, digits.data), (vec![1, 2], vec![5, 6]));

    let record: Vec<u8> = std::iter::once(8).chain([7; 3072]).collect();
    assert_eq!(cifar::decode("ship", &record).unwrap().labels.data, [8]);

    let mut halves = b"\x93NUMPY\x01\x00\x3c\x00".to_vec();
    halves.extend(b"{'descr': '<f2', 'fortran_order': False, 'shape': (1,), }  \n\x00\x3e");
    let numbers = npy::decode("halves", &halves).unwrap().into_finite_f32("halves").unwrap();
    assert_eq!(numbers.data, [1.5]);

    let floats = fixtures::torch_archive(
        &fixtures::pickle(&[fixtures::TENSOR]),
        &[("0", &fixtures::four_floats())],
    );
    assert_eq!(pytorch::decode_tensor("floats", &floats).unwrap().shape(), [2, 2]);

    let text = "xx-en\n[('a', tensor(10.5, device='cuda:0'))]\n";
    assert_eq!(learned_betas::decode("betas", text.as_bytes()).unwrap().len(), 1);
}

#[test]
fn all_manifests_load_and_say_what_they_must() {
    let empty = tempfile::tempdir().unwrap();
    let store =
        Store::new(&workspace().join("data-manifests"), empty.path().to_owned(), None).unwrap();
    let names: Vec<_> = store.manifests().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "attention-sdm",
            "cifar10-convmixer",
            "cifar10-subset",
            "cifar100-convmixer",
            "convmixer-imgnet32",
            "entities",
            "fashion-mnist",
            "gpt2",
            "gpt2-bpe",
            "gpt2-large",
            "mnist",
            "rm-sycophancy",
            "stories260K",
            "stories260K-hf",
            "tatoeba-1k",
            "tinyshakespeare",
            "wikitext-2",
        ]
    );
    for manifest in store.manifests().values() {
        let made_from = match manifest.recipe.as_ref().map(|r| &r.program) {
            Some(Program::Embedding { weights, .. }) => vec![weights],
            Some(Program::HuggingFace { model, tokenizer }) => vec![model, tokenizer],
            Some(Program::Cifar10Subset { .. }) | None => vec![],
        };
        for name in made_from {
            let (set, path) = name.split_once('/').unwrap();
            assert!(store.manifests()[set].file(path).is_some(), "{name}");
        }
    }
    // Checkpoints that a user may exchange for another of their kind.
    let is_pinned = |manifest: &&Manifest| ["gpt2", "gpt2-large"].contains(&manifest.name.as_str());
    for manifest in store.manifests().values() {
        assert!(manifest.files.iter().all(|row| row.sha256.is_none() == is_pinned(&manifest)));
    }
    let rows: Vec<_> = store.manifests().values().flat_map(|m| &m.files).collect();
    assert!(rows.iter().all(|row| match row.kind {
        Kind::Official => row.origin != Origin::Recipe,
        Kind::Derived => row.origin == Origin::Recipe,
        Kind::MirrorOnly => matches!(row.origin, Origin::NoUrl(_)),
    }));
    assert!(store.status().iter().all(|status| matches!(status.state, State::Missing)));
    let missing = store.locate("mnist/t10k-labels-idx1-ubyte.gz").unwrap_err().to_string();
    assert!(missing.contains("`just data mnist`"), "{missing}");
}

#[test]
fn every_row_of_every_manifest_matches_the_mirror() {
    let Some((store, _cache)) = mirrored() else { return };
    // The one that the mirror does not hold is made from what it holds, to the recorded hashes.
    for (name, outcome) in store.fetch("stories260K-hf", &mut |_| {}).unwrap().files {
        let made = Outcome::Made { differs: None, pinned: None };
        assert_eq!(outcome.unwrap(), made, "{name}");
    }
    let is_here = |status: &Status| match status.state {
        State::Mirrored => !status.name.starts_with("stories260K-hf/"),
        State::Cached => status.name.starts_with("stories260K-hf/"),
        State::Missing => {
            status.name.starts_with("gpt2/") || status.name.starts_with("gpt2-large/")
        }
        State::Bad(_) => false,
    };
    for status in store.status() {
        assert!(is_here(&status), "{}: {:?}", status.name, status.state);
    }
    // A second look reads nothing: the hashes are remembered.
    assert!(store.status().iter().all(is_here));
}

#[test]
fn the_image_sets_decode() {
    let Some((store, _cache)) = mirrored() else { return };
    for set in ["mnist", "fashion-mnist"] {
        for (split, n) in [("train", 60_000), ("t10k", 10_000)] {
            let name = format!("{set}/{split}-images-idx3-ubyte.gz");
            let images = idx::decode(&name, &store.read(&name).unwrap()).unwrap();
            assert_eq!(images.shape, [n, 28, 28]);
            let name = format!("{set}/{split}-labels-idx1-ubyte.gz");
            let labels = idx::decode(&name, &store.read(&name).unwrap()).unwrap();
            assert_eq!(labels.shape, [n]);
            assert!(labels.data.iter().all(|&label| label < 10));
        }
    }
    for (split, per_class) in [("train", 800), ("test", 200)] {
        let name = format!("cifar10-subset/{split}.bin.gz");
        let images = cifar::decode(&name, &store.read(&name).unwrap()).unwrap();
        assert_eq!(images.pixels.shape, [10 * per_class, 3, 32, 32]);
        for class in 0..10 {
            let of_class = images.labels.data.iter().filter(|&&label| u32::from(label) == class);
            assert_eq!(of_class.count(), per_class);
        }
    }
}

#[test]
fn the_embeddings_decode_to_finite_numbers() {
    let Some((store, _cache)) = mirrored() else { return };
    for (set, classes) in [("cifar10-convmixer", 10), ("cifar100-convmixer", 100)] {
        for (split, n) in [("train", 50_000), ("test", 10_000)] {
            let name = format!("{set}/{split}_x.npy");
            let numbers = npy::decode(&name, &store.read(&name).unwrap()).unwrap();
            let numbers = numbers.into_finite_f32(&name).unwrap();
            assert_eq!(numbers.shape, [n, 256]);
            // Python wrote it; what is made here has the same bytes.
            let again = npy::encode_f16(&name, &numbers).unwrap();
            assert!(again == store.read(&name).unwrap(), "{name}");
            let name = format!("{set}/{split}_y.npy");
            let labels =
                npy::decode(&name, &store.read(&name).unwrap()).unwrap().into_u8(&name).unwrap();
            assert_eq!(labels.shape, [n]);
            assert_eq!(labels.data.iter().max(), Some(&(classes - 1)));
            assert!(npy::encode_u8(&labels) == store.read(&name).unwrap(), "{name}");
        }
    }
}

#[test]
fn the_pytorch_files_decode_to_the_recorded_shapes() {
    let Some((store, _cache)) = mirrored() else { return };
    let (mut projections, mut betas) = (0, 0);
    for row in &store.manifests()["attention-sdm"].files {
        if !row.path.starts_with("trained_weights/") {
            continue;
        }
        let name = format!("attention-sdm/{}", row.path);
        let tensor = pytorch::decode_tensor(&name, &store.read(&name).unwrap()).unwrap();
        let array = tensor.into_finite_f32(&name).unwrap();
        if name.contains("_beta") {
            assert_eq!(array.shape, [1], "{name}");
            assert!(array.data[0] > 0.0, "{name}");
            betas += 1;
        } else {
            let inputs = if name.contains("CIFAR") { 1024 } else { 784 };
            assert_eq!(array.shape, [64, inputs], "{name}");
            projections += 1;
        }
    }
    assert_eq!((projections, betas), (42, 12));

    let name = "convmixer-imgnet32/ConvMixer_ImgNet32_WTransforms_Just_State_Dict.pt";
    let tensors = pytorch::decode_state_dict(name, &store.read(name).unwrap()).unwrap();
    assert_eq!(tensors["features.0.weight"].shape(), [256, 3, 2, 2]);
    // Counted with Python's own unpickler: 591,616 in the features, 257,000 in the classifier.
    let parameters: usize = tensors
        .iter()
        .filter(|(name, tensor)| tensor.dtype() == "f32" && !name.contains("running_"))
        .map(|(_, tensor)| tensor.shape().iter().product::<usize>())
        .sum();
    assert_eq!(parameters, 848_616);
}

#[test]
fn the_learned_betas_have_the_recorded_statistics() {
    let Some((store, _cache)) = mirrored() else { return };
    let name = "attention-sdm/KeyQuery_Norm_Learnt_Betas.txt";
    let betas = learned_betas::decode(name, &store.read(name).unwrap()).unwrap();
    assert_eq!(betas.len(), 90);
    let values: Vec<f64> = betas.iter().map(|beta| beta.value).collect();
    let minimum = values.iter().copied().fold(f64::INFINITY, f64::min);
    let maximum = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = values.iter().sum::<f64>() / 90.0;
    assert!((minimum - 10.3109).abs() < 1e-12);
    assert!((maximum - 24.8478).abs() < 1e-12);
    // Recorded to four decimals.
    assert!((mean - 15.6475).abs() < 5e-5, "{mean}");
    let count = |block: Option<&str>| betas.iter().filter(|b| b.block.as_deref() == block).count();
    let counts = [None, Some("ar-en"), Some("en-he"), Some("gl-en"), Some("sk-en")].map(count);
    assert_eq!(counts, [18, 18, 24, 12, 18]);
}

/// What `sha256sum` says of three bytes: the hashes of the manifests were made with it.
#[test]
fn hashes_are_those_of_the_standard_tool() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256(b"abc"), abc);
}
