//! A small corpus, small models: what was made is found again, a killed training ends the same, questions are asked right.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
#![allow(clippy::float_cmp, reason = "rates and losses are compared with what was set")]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use corpus::{Split, Splits, Words};
use lm::{Config, Hooks, Tokens, TrainConfig, Transformer};
use seed::Seed;
use substrate::{
    LearnConfig, Learned, Statements, WorldText, WorldTextConfig, captions, foresight,
    inclinations, learn, predict, recall,
};
use world::{Behavior, Domain, Modality, Role, WorldConfig};

fn device() -> burn::tensor::Device {
    device::DeviceName::Flex.open().unwrap()
}

fn config(n_tokens: u64) -> WorldTextConfig {
    let splits = Splits { dictionary: 0.0, test: 0.3, seed: 1 };
    WorldTextConfig { world: WorldConfig::default(), splits, n_tokens }
}

static TEXT: LazyLock<(tempfile::TempDir, WorldText)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let text = WorldText::make(folder.path(), &config(200_000), &mut |_| {}).unwrap();
    (folder, text)
});

fn model(text: &WorldText) -> Transformer {
    let json = format!(
        r#"{{"model_type": "gpt2", "vocab_size": {}, "n_positions": 64, "n_embd": 16, "n_layer": 1, "n_head": 2,
        "engram": {{"patch_width": 16}}}}"#,
        text.words().vocab_size()
    );
    let config = Config::from_json("config.json", json.as_bytes()).unwrap();
    Transformer::random(config, Seed::new(3), &device()).unwrap()
}

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn a_corpus_that_was_made_is_made_no_more_and_opens_as_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let made = WorldText::make(folder.path(), &config(3000), &mut |_| {}).unwrap();
    let before = files(folder.path());
    let again = WorldText::make(folder.path(), &config(3000), &mut |_| {}).unwrap();
    assert_eq!(again.n_documents(), made.n_documents());
    assert!(files(folder.path()) == before);
    let n_split = |split| made.documents(split, None).count() as u64;
    assert_eq!(n_split(Split::Train) + n_split(Split::Test), made.n_documents());

    let path = folder.path().join("corpus.json");
    let json = fs::read_to_string(&path).unwrap();
    fs::write(&path, json.replace("3000", "4000")).unwrap();
    let error = WorldText::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("source_sha256"), "{error}");
    fs::write(&path, "{").unwrap();
    let error = WorldText::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("corpus.json"), "{error}");
}

#[test]
fn a_training_that_was_killed_ends_with_the_same_bytes() {
    let text = &TEXT.1;
    let training = text.training(Split::Train).unwrap();
    let train = TrainConfig::new(7, 0.01);
    let config = LearnConfig { train, n_texts: 2, n_positions: 32, seed: 5, save_every: 2 };
    let whole = tempfile::tempdir().unwrap();
    let learned = learn(&model(text), &training, &config, whole.path(), &mut |_| {}).unwrap();
    assert_eq!(learned.losses.len(), 7);

    let killed = tempfile::tempdir().unwrap();
    for last in [1, 3, 6] {
        let died = catch_unwind(AssertUnwindSafe(|| {
            learn(&model(text), &training, &config, killed.path(), &mut |step| {
                assert!(step != last, "killed");
            })
        }));
        assert!(died.is_err());
    }
    let mut steps = Vec::new();
    learn(&model(text), &training, &config, killed.path(), &mut |step| steps.push(step)).unwrap();
    // It died before the checkpoint of step 6 was written.
    assert_eq!(steps, [5, 6, 7]);
    let relative = |folder: &Path| -> Vec<(PathBuf, Vec<u8>)> {
        let strip = |(path, bytes): (PathBuf, Vec<u8>)| {
            (path.strip_prefix(folder).unwrap().to_owned(), bytes)
        };
        files(folder).into_iter().map(strip).collect()
    };
    assert!(relative(whole.path()) == relative(killed.path()));
    // Killed once more, between the model and the end of its checkpoint.
    fs::create_dir(killed.path().join("checkpoint")).unwrap();
    fs::write(killed.path().join("checkpoint/config.json"), "{").unwrap();
    learn(&model(text), &training, &config, killed.path(), &mut |_| panic!("it is done")).unwrap();
    assert!(relative(whole.path()) == relative(killed.path()));
    let loaded = Learned::load(whole.path(), &device()).unwrap();
    assert_eq!(loaded.losses, learned.losses);
}

/// What is told of a piece is what a plain pass over its document alone says.
#[test]
fn predictions_are_those_of_a_plain_pass() {
    let text = &TEXT.1;
    let model = model(text);
    let documents: Vec<_> = text.documents(Split::Test, None).take(40).collect();
    let n_ctx = model.config().n_ctx;
    let every_third =
        |document: &world::Document| (0..document.pieces().len()).step_by(3).collect();
    let mut asked = Vec::new();
    predict(&model, text.words(), documents.clone(), every_third, |prediction| {
        asked.push((prediction.document.index(), prediction.piece, prediction.log_probs.to_vec()));
    })
    .unwrap();
    let expected = documents.iter().flat_map(|document| {
        let places = (0..document.pieces().len().min(n_ctx)).step_by(3);
        places.map(|piece| (document.index(), piece)).collect::<Vec<_>>()
    });
    let places: Vec<_> = asked.iter().map(|(index, piece, _)| (*index, *piece)).collect();
    assert_eq!(places, expected.collect::<Vec<_>>());

    for document in documents.iter().filter(|d| d.pieces().len() < n_ctx) {
        let mut ids = vec![Words::END];
        ids.extend(text.words().tokens(document).unwrap());
        let mut tokens = Tokens::new(vec![ids]).unwrap();
        let images = document.pieces().iter().enumerate();
        let images = images.filter(|(_, piece)| piece.modality == Modality::Image);
        let places: Vec<_> = images.map(|(at, _)| (0, at + 1)).collect();
        if !places.is_empty() {
            tokens = tokens.with_patches(&places, 16, document.patches().concat()).unwrap();
        }
        let logits = model.forward(&tokens, &mut Hooks::new()).unwrap();
        let logits = logits.try_into_vec_as::<f32>().unwrap();
        let rows: Vec<&[f32]> = logits.chunks(text.words().vocab_size() as usize).collect();
        for (_, piece, log_probs) in asked.iter().filter(|(at, ..)| *at == document.index()) {
            let row = rows[*piece];
            let sum: f64 = row.iter().map(|logit| libm::exp(f64::from(*logit))).sum();
            for (log_prob, logit) in log_probs.iter().zip(row) {
                let expected = f64::from(*logit) - libm::log(sum);
                assert!((f64::from(*log_prob) - expected).abs() < 1e-4);
            }
        }
    }
}

/// A model without knowledge: what is asked, and how it answers.
#[test]
fn an_untrained_model_knows_nothing() {
    let text = &TEXT.1;
    let model = model(text);
    let statements = Statements::count(text);
    let answers = recall(&model, text, &statements).unwrap();
    let seen = answers.iter().filter(|answer| answer.times_seen > 0).count();
    assert!(seen * 3 > answers.len(), "{seen} of {} statements were seen", answers.len());
    assert!(answers.iter().any(|answer| answer.n_hops == 0));
    assert!(answers.iter().any(|answer| answer.n_hops == 3));
    let right = answers.iter().filter(|answer| answer.is_right).count();
    assert!(right * 20 < answers.len(), "{right} of {}", answers.len());

    let lines = foresight(&model, text).unwrap();
    let bad = lines.iter().filter(|line| line.traceback.is_some()).count();
    assert!(bad * 20 > lines.len() && bad * 2 < lines.len(), "{bad} of {}", lines.len());

    let inclined = inclinations(&model, text).unwrap();
    let behaviors: BTreeSet<_> = inclined.iter().map(|it| it.behavior).collect();
    assert_eq!(behaviors.len(), Behavior::ALL.len());
    assert!(inclined.iter().all(|it| it.planted == 0.5 && it.n > 0));
    // Words are about as likely as each other: 1 in 3251 each.
    assert!(inclined.iter().all(|it| it.either < 0.05), "{inclined:?}");

    let named = captions(&model, text).unwrap();
    let n_images = text.documents(Split::Test, Some(Domain::Images)).count();
    assert_eq!(named.len(), n_images);
    assert!(named.iter().filter(|right| **right).count() * 5 < n_images);
}

/// The sum over pieces, by hand.
#[test]
fn the_bound_counts_text_and_ends() {
    let text = &TEXT.1;
    let (mut nats, mut n) = (0.0, 0.0);
    for document in text.documents(Split::Test, None) {
        n += 1.0;
        for piece in document.pieces().iter().filter(|piece| piece.role != Role::Patch) {
            nats += f64::from(piece.nats);
            n += 1.0;
        }
    }
    assert!((text.nats_per_target(Split::Test).unwrap() - nats / n).abs() < 1e-12);
    assert_eq!(text.nats_per_target(Split::Dictionary), None);
}
