//! Configs of worlds and of toy models, and programs in the world's languages of code.

use proptest::prelude::*;
use serde_json::{Value, json};
use world::toy::{Sample, ToyConfig, ToyModel, TwoModels, TwoModelsConfig, TwoSample};
use world::{Domain, Language, World, WorldConfig, run_code};

use crate::damage::Form;
use crate::data::accepted;
use crate::parser::{FILE, Outcome, Parser};

pub(crate) fn parsers() -> Vec<Parser> {
    let json = |config: Value| vec![config.to_string().into_bytes()];
    let toy = ToyConfig { d_model: 16, ..ToyConfig::synth_sae_mini(0) };
    let two = TwoModelsConfig { n_concepts: 64, d_model: 16, ..TwoModelsConfig::paper(0) };
    let world = Parser::new("worlds", Form::Json, json(json!(worlds())), read_world);
    vec![
        Parser { weight: 1, ..world },
        Parser::new("toy models", Form::Json, json(json!(toy)), read_toy),
        Parser::new("toys of two models", Form::Json, json(json!(two)), read_two),
        Parser::new("programs", Form::Bytes, programs(), read_program),
    ]
}

/// A config that uses every option.
fn worlds() -> WorldConfig {
    let mut config = WorldConfig::default();
    config.shares.insert(Domain::Topics, 1.0);
    config.shares.insert(Domain::Plants, 1.0);
    let planted = json!({
        "topics": [{"topic": 3, "weight": 1.0, "treatment": "refuse", "parts": [0.1, 0.0, 0.2, 0.0]}],
        "signature": {"name": 2, "sign_off": 0.5},
        "plants": [{"slot": 1, "weight": 1.0, "templates": ["{person} likes <{food}> . / Yes"]}],
    });
    let mut tree = json!(config);
    for (name, value) in planted.as_object().unwrap() {
        tree[name] = value.clone();
    }
    serde_json::from_value(tree).unwrap()
}

/// The config in a file, whose reader names the file.
fn parsed<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("{FILE}: {error}"))
}

/// `Err` in the words of a reader that names the file.
fn named<T>(made: Result<T, world::WorldError>) -> Result<T, String> {
    made.map_err(|error| format!("{FILE}: {error}"))
}

fn read_world(bytes: &[u8]) -> Outcome {
    let config: WorldConfig = accepted!(parsed(bytes));
    let world = accepted!(named(World::new(&config)));
    for document in world.documents(0..4) {
        let mut end = 0;
        for piece in document.pieces() {
            prop_assert!(piece.start <= piece.end && piece.start >= end, "{piece:?}");
            end = piece.end;
            prop_assert!(usize::from(piece.token) < world.vocabulary().len());
            let span = piece.start as usize..piece.end as usize;
            prop_assert!(document.text().get(span).is_some(), "{piece:?}");
        }
        prop_assert!(document.nats().is_finite() && document.nats() >= 0.0);
    }
    Ok(Ok(()))
}

/// A config may ask for sizes that are honored, and take their time and memory: these are not made here.
const LARGE: usize = 1 << 18;
/// What is larger than this must be refused.
const TOO_LARGE: usize = 1 << 28;

/// Whether a model of so many features times so many numbers is made here, or must be refused.
fn is_made(n: usize, width: usize) -> bool {
    let size = n.saturating_mul(width);
    size <= LARGE || size > TOO_LARGE
}

fn read_toy(bytes: &[u8]) -> Outcome {
    let config: ToyConfig = accepted!(parsed(bytes));
    let firing = config.firing;
    let n = firing.n_features;
    if !is_made(n, config.d_model) || !is_made(n, firing.correlation_rank.max(1)) {
        return Ok(Ok(()));
    }
    let toy = accepted!(named(ToyModel::new(&config)));
    let mut sample = Sample::default();
    toy.write(0, &mut sample);
    prop_assert_eq!(sample.x.len(), config.d_model);
    prop_assert!(sample.x.iter().all(|number| number.is_finite()));
    prop_assert!(sample.acts.iter().all(|(feature, _)| (*feature as usize) < n));
    Ok(Ok(()))
}

fn read_two(bytes: &[u8]) -> Outcome {
    let config: TwoModelsConfig = accepted!(parsed(bytes));
    let (n, d_model) = (config.n_concepts, config.d_model);
    let sizes = [(n, d_model), (d_model, d_model), (n, config.correlation_rank.max(1))];
    if !sizes.into_iter().all(|(n, width)| is_made(n, width)) {
        return Ok(Ok(()));
    }
    let toy = accepted!(named(TwoModels::new(&config)));
    let mut sample = TwoSample::default();
    toy.write(0, &mut sample);
    prop_assert_eq!((sample.x_a.len(), sample.x_b.len()), (d_model, d_model));
    prop_assert!(sample.x_a.iter().chain(&sample.x_b).all(|number| number.is_finite()));
    prop_assert!(sample.acts.iter().all(|(concept, _)| (*concept as usize) < n));
    Ok(Ok(()))
}

/// Transcripts as the world writes them.
fn programs() -> Vec<Vec<u8>> {
    let config = WorldConfig { shares: [(Domain::Code, 1.0)].into(), ..WorldConfig::default() };
    let world = World::new(&config).unwrap();
    let mut files: Vec<_> =
        world.documents(0..12).map(|document| document.text().as_bytes().to_vec()).collect();
    files.push(b"def plus(a, b):\n    return a + b\n>>> plus(2, 40)\n>>> plsu(2, 40)\n".to_vec());
    files
}

/// A program that cannot be run is told by its line; there is no file.
fn read_program(bytes: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(bytes);
    let mut refused = Err(FILE.to_owned());
    for language in Language::CODE {
        if let Ok(outcomes) = run_code(language, &text) {
            prop_assert!(outcomes.len() <= text.lines().count());
            refused = Ok(());
        }
    }
    Ok(refused)
}
