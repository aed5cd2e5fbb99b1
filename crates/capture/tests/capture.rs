//! What is stored is what the model computes, however often a run was stopped.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::convert::Infallible;
use std::path::Path;

use capture::{CaptureError, Document, Origin, Run, Settings};
use lm::{Config, Hook, Hooks, LmError, Site, Tokens, Transformer};
use seed::Seed;
use store::{ActivationReader, BosRule, Dtype, Rows};

const LLAMA: &str = r#"{"model_type": "llama", "vocab_size": 40, "hidden_size": 8,
    "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 16, "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": true}"#;

fn model() -> Transformer {
    let device = device::DeviceName::Flex.open().unwrap();
    let config = Config::from_json("config.json", LLAMA.as_bytes()).unwrap();
    Transformer::random(config, Seed::new(3), &device).unwrap()
}

fn origin() -> Origin {
    let hash = |digit: &str| digit.repeat(64);
    Origin { model_sha256: hash("a"), tokenizer_sha256: hash("b"), text_sha256: hash("c") }
}

fn settings() -> Settings {
    Settings {
        hooks: vec![Hook::Block(1, Site::MlpHidden), Hook::Embed, Hook::Block(0, Site::ResidPost)],
        dtype: Dtype::F32,
        bos: BosRule::EachSequence { token: 1 },
        context: 6,
        batch: 3,
        most_rows: None,
        shard_rows: Some(10),
        device: "flex".to_owned(),
    }
}

/// Documents of 0 to 16 tokens.
fn documents() -> Vec<Document> {
    let document = |id: u32| {
        let tokens = (0..id * 5 % 17).map(|at| 2 + (at * 7 + id) % 38).collect();
        Document { id: u64::from(id) * 10, tokens }
    };
    (0..9).map(document).collect()
}

fn write(settings: &Settings, folder: &Path) -> capture::Result<u64> {
    let documents = documents().into_iter().map(Ok::<_, Infallible>);
    Run::begin(&model(), &origin(), settings, folder)?.write(documents, &mut |_| {})
}

fn read(settings: &Settings, folder: &Path) -> Rows {
    let capture = settings.capture(model().config(), &origin()).unwrap();
    let reader = ActivationReader::open(folder, &capture).unwrap();
    let mut rows = Rows::default();
    reader.read(0..reader.n_rows(), &mut rows).unwrap();
    rows
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut all: Vec<_> =
        entries.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect();
    all.sort();
    all
}

/// Each sequence on its own, whole, through the ordinary forward pass; sums in another order differ in
/// the last places.
#[test]
fn rows_are_what_the_model_computes_on_each_sequence() {
    let (model, settings) = (model(), settings());
    let folder = tempfile::tempdir().unwrap();
    let n_rows = write(&settings, folder.path()).unwrap();
    let rows = read(&settings, folder.path());
    assert_eq!(rows.tokens.len() as u64, n_rows);
    let mut at = 0;
    for document in documents() {
        for part in document.tokens.chunks(5) {
            let tokens = [&[1], part].concat();
            let n = tokens.len();
            assert_eq!(rows.tokens[at..at + n], tokens);
            assert_eq!(rows.positions[at..at + n], (0..).take(n).collect::<Vec<u32>>());
            assert!(rows.documents[at..at + n].iter().all(|id| *id == document.id));
            let mut hooks =
                settings.hooks.iter().fold(Hooks::new(), |all, hook| all.capture(*hook));
            model.forward(&Tokens::new(vec![tokens]).unwrap(), &mut hooks).unwrap();
            for (hook, stored) in settings.hooks.iter().zip(&rows.hooks) {
                let width = hook.width(model.config()).unwrap().unwrap();
                let tensor = hooks.captured(*hook).unwrap();
                let expected = tensor.try_into_vec_as::<f32>().unwrap();
                for (found, expected) in stored[at * width..(at + n) * width].iter().zip(&expected)
                {
                    assert!((found - expected).abs() <= 1e-6, "{hook} row {at}");
                }
                assert!(expected.iter().any(|number| number.abs() > 1e-4));
            }
            at += n;
        }
    }
    assert_eq!(at, rows.tokens.len());
}

#[test]
fn a_run_that_stopped_anywhere_goes_on_to_the_same_bytes() {
    let (model, settings) = (model(), settings());
    let whole = tempfile::tempdir().unwrap();
    let n_rows = write(&settings, whole.path()).unwrap();
    for stop in (1..n_rows).step_by(7) {
        let folder = tempfile::tempdir().unwrap();
        // Documents end with an error where the run is to stop, and a second time further on.
        for stop in [stop, stop + 9] {
            let mut n_tokens = 0;
            let documents = documents().into_iter().map(|document| {
                n_tokens += document.tokens.len() as u64;
                if n_tokens > stop { Err("stopped here") } else { Ok(document) }
            });
            let run = Run::begin(&model, &origin(), &settings, folder.path());
            let Ok(run) = run else { continue };
            let stopped = run.write(documents, &mut |_| {});
            assert!(matches!(stopped, Err(CaptureError::Text(_)) | Ok(_)));
        }
        if !folder.path().join("index.h5").exists() {
            let run = Run::begin(&model, &origin(), &settings, folder.path()).unwrap();
            let (there, mut first) = (run.n_rows(), None);
            let documents = documents().into_iter().map(Ok::<_, Infallible>);
            let mut on_progress = |progress| {
                first.get_or_insert(progress);
            };
            assert_eq!(run.write(documents, &mut on_progress).unwrap(), n_rows);
            let first: capture::Progress = first.unwrap();
            assert_eq!(first.n_rows - first.n_new_rows, there);
        }
        assert!(files(folder.path()) == files(whole.path()), "stopped at {stop}");
    }
}

#[test]
fn most_rows_is_the_beginning_of_the_whole() {
    let whole = tempfile::tempdir().unwrap();
    write(&settings(), whole.path()).unwrap();
    let all = read(&settings(), whole.path());
    for most in [1, 10, 23] {
        let settings = Settings { most_rows: Some(most), ..settings() };
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(write(&settings, folder.path()).unwrap(), most);
        let rows = read(&settings, folder.path());
        let n = usize::try_from(most).unwrap();
        assert_eq!(rows.tokens, all.tokens[..n]);
        for (part, all) in rows.hooks.iter().zip(&all.hooks) {
            assert_eq!(part[..], all[..part.len()]);
        }
    }
}

#[test]
fn a_folder_begun_with_other_settings_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings();
    let model = model();
    drop(Run::begin(&model, &origin(), &settings, folder.path()).unwrap());
    let field = |other: Settings| match Run::begin(&model, &origin(), &other, folder.path()).err() {
        Some(CaptureError::Settings { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(Settings { context: 5, ..settings.clone() }), "context");
    assert_eq!(field(Settings { batch: 5, ..settings.clone() }), "batch");
    assert_eq!(field(Settings { most_rows: Some(3), ..settings.clone() }), "rows");
    assert_eq!(field(Settings { device: "cuda".to_owned(), ..settings.clone() }), "device");
    std::fs::write(folder.path().join("capture.json"), "{").unwrap();
    let broken = Run::begin(&model, &origin(), &settings, folder.path()).err().unwrap();
    assert!(broken.to_string().contains("capture.json"), "{broken}");
}

#[test]
fn a_shorter_text_another_model_and_a_finished_store_are_refused() {
    let (model, settings) = (model(), settings());
    let folder = tempfile::tempdir().unwrap();
    let stopped = documents().into_iter().map(Ok).take(6).chain([Err("stopped here")]);
    let run = Run::begin(&model, &origin(), &settings, folder.path()).unwrap();
    assert!(run.write(stopped, &mut |_| {}).is_err());
    let other = Origin { model_sha256: "d".repeat(64), ..origin() };
    let refused = Run::begin(&model, &other, &settings, folder.path()).err();
    assert!(matches!(
        refused,
        Some(CaptureError::Store(store::Error::Mismatch { field, .. })) if field == "model_sha256"
    ));
    let run = Run::begin(&model, &origin(), &settings, folder.path()).unwrap();
    let shorter = documents().into_iter().map(Ok::<_, Infallible>).take(2);
    let refused = run.write(shorter, &mut |_| {});
    assert!(matches!(refused, Err(CaptureError::TooMany { .. })), "{refused:?}");
    write(&settings, folder.path()).unwrap();
    let again = write(&settings, folder.path());
    assert!(matches!(again, Err(CaptureError::Store(store::Error::Finished { .. }))));
}

#[test]
fn settings_that_cannot_be_are_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("store");
    let refused = |settings: Settings| write(&settings, &place).unwrap_err();
    let what = |settings: Settings| match refused(settings) {
        CaptureError::Range { what, .. } => what,
        other => panic!("{other}"),
    };
    assert_eq!(what(Settings { context: 17, ..settings() }), "the context");
    assert_eq!(what(Settings { context: 1, ..settings() }), "the context");
    assert_eq!(what(Settings { batch: 0, ..settings() }), "the batch");
    assert_eq!(what(Settings { batch: usize::MAX, ..settings() }), "the batch");
    assert_eq!(what(Settings { most_rows: Some(0), ..settings() }), "the number of rows");
    assert_eq!(what(Settings { shard_rows: Some(0), ..settings() }), "the rows of a shard");
    let pattern = Hook::Block(0, Site::AttnPattern);
    let error = refused(Settings { hooks: vec![pattern], ..settings() });
    assert!(matches!(error, CaptureError::NoRows { .. }));
    let error = refused(Settings { hooks: vec![Hook::Block(2, Site::MlpOut)], ..settings() });
    assert!(matches!(error, CaptureError::Lm(LmError::NoHook { .. })));
    assert!(!place.exists());
}

#[test]
fn a_token_that_the_model_does_not_know_is_an_error_and_the_run_can_go_on() {
    let (model, settings) = (model(), settings());
    let folder = tempfile::tempdir().unwrap();
    let run = Run::begin(&model, &origin(), &settings, folder.path()).unwrap();
    let document = Document { id: 0, tokens: vec![3, 40] };
    let error = run.write([Ok::<_, Infallible>(document)].into_iter(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, CaptureError::Lm(LmError::Tokens { .. })), "{error}");
    write(&settings, folder.path()).unwrap();
}
