//! Dictionaries of what flows through a hook.

use std::fs;
use std::path::{Path, PathBuf};

use capture::{CaptureError, Document, Origin, Run, Settings};
use dictionaries::{Progress, StoreRows, StoreRowsConfig, TrainConfig};
use lm::{Hook, Transformer};
use sae::Dictionary;
use sae::files::{self, About, Format};
use store::{BosRule, Dtype};

use crate::error::{InsideError, Result};

/// The store of activations in the folder, while dictionaries learn from it.
const ACTIVATIONS: &str = "activations";
/// Sequences that the model reads at once.
const N_SEQUENCES: usize = 16;
/// Rows among which batches are drawn.
const POOL_ROWS: usize = 1 << 18;

/// What dictionaries learn, and how.
#[derive(Clone, Debug)]
pub struct Lesson<'a> {
    /// The model.
    pub model: &'a Transformer,
    /// Where in it.
    pub hook: Hook,
    /// What model and texts are.
    pub origin: Origin,
    /// The token before each sequence.
    pub begin: u32,
    /// Tokens of a sequence, that one included.
    pub n_positions: usize,
    /// Rows that are taken at most.
    pub n_rows: u64,
    /// Runs, each of another seed, which decides the order of rows and all else that is random.
    pub runs: &'a [TrainConfig],
}

/// Takes activations of texts and trains the dictionaries of all runs on them, in a folder where [`dictionary`] finds them by
/// the seed of the run and their name. What a killed run left there is gone on with, and ends with the same bytes.
///
/// Activations are a store in the folder until all are trained. Rows of the token that begins sequences are learned too.
///
/// # Errors
/// As [`Run::write`] and [`dictionaries::train`]; texts of fewer rows than a batch has; a folder that cannot be written.
pub fn taught<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    folder: &Path,
    lesson: &Lesson<'_>,
    texts: impl Iterator<Item = std::result::Result<Vec<u32>, E>>,
    on_step: &mut dyn FnMut(&Progress<'_>),
) -> Result<()> {
    let store = folder.join(ACTIVATIONS);
    captured(&store, lesson, texts)?;
    for config in lesson.runs {
        let run = folder.join(config.run.seed.to_string());
        fs::create_dir_all(&run).map_err(io("create", &run))?;
        let rows = StoreRowsConfig {
            hook: None,
            target: None,
            batch_rows: config.run.batch_rows,
            pool_rows: POOL_ROWS,
            seed: config.run.seed,
            held_out: 0,
        };
        let mut rows = StoreRows::open(&store, &rows)?;
        for (name, trained) in dictionaries::train(config, &mut rows, &run, on_step)? {
            let place = place(folder, config.run.seed, &name);
            // One that is there already has the same bytes.
            if !place.exists() {
                let about = About {
                    hook: Some(lesson.hook.to_string()),
                    context: Some(lesson.n_positions),
                    ..About::default()
                };
                files::write(&place, Format::SaeLens, &trained, &about)?;
            }
        }
    }
    for config in lesson.runs {
        dictionaries::finish(&folder.join(config.run.seed.to_string()))?;
    }
    fs::remove_dir_all(&store).map_err(io("remove", &store))
}

/// A dictionary that was trained in a folder.
///
/// # Errors
/// One that is not there, or is damaged.
pub fn dictionary(folder: &Path, seed: u64, name: &str) -> Result<Dictionary> {
    Ok(files::read(&place(folder, seed, name))?.dictionary)
}

fn place(folder: &Path, seed: u64, name: &str) -> PathBuf {
    folder.join(seed.to_string()).join(name)
}

pub(crate) fn io<'a>(
    op: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> InsideError + 'a {
    move |source| InsideError::Io { op, path: path.to_owned(), source }
}

/// Writes the store, unless it is whole.
fn captured<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    store: &Path,
    lesson: &Lesson<'_>,
    texts: impl Iterator<Item = std::result::Result<Vec<u32>, E>>,
) -> Result<()> {
    let settings = Settings {
        hooks: vec![lesson.hook],
        dtype: Dtype::F32,
        bos: BosRule::EachSequence { token: lesson.begin },
        context: lesson.n_positions,
        batch: N_SEQUENCES,
        most_rows: Some(lesson.n_rows),
        shard_rows: None,
        device: "flex".to_owned(),
    };
    let run = match Run::begin(lesson.model, &lesson.origin, &settings, store) {
        Err(CaptureError::Store(store::Error::Finished { .. })) => return Ok(()),
        run => run?,
    };
    let documents =
        (0..).zip(texts).map(|(id, tokens)| Ok::<_, E>(Document { id, tokens: tokens? }));
    run.write(documents, &mut |_| {})?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use dictionaries::ScalingRule;
    use lm::{Config, Site};
    use sae::{Member, Recipe, RunConfig};
    use seed::Seed;

    use super::*;

    fn model() -> Transformer {
        let text = br#"{"model_type": "gpt2", "vocab_size": 13, "n_positions": 8, "n_embd": 6,
            "n_layer": 2, "n_head": 2}"#;
        let config = Config::from_json("config.json", text).unwrap();
        let device = device::DeviceName::Flex.open().unwrap();
        Transformer::random(config, Seed::new(2), &device).unwrap()
    }

    fn texts() -> impl Iterator<Item = std::result::Result<Vec<u32>, InsideError>> {
        (1..30).map(|text| Ok((0..7).map(|at| 1 + (text * at + text) % 12).collect()))
    }

    fn config(seed: u64) -> TrainConfig {
        let recipe = Recipe::paper_c(16).with_learning_rate(1e-2);
        let members = vec![Member { name: "relu".to_owned(), recipe }];
        let run = RunConfig { n_steps: 20, batch_rows: 16, dead_after: 0.2, seed, members };
        TrainConfig { run, scaling: ScalingRule::MeanSquare, sample_rows: 64, save_every: 5 }
    }

    /// A run that stopped between two dictionaries ends with the bytes of one that did not.
    #[test]
    fn what_was_begun_is_gone_on_with() {
        let model = model();
        let hash = |digit: &str| digit.repeat(64);
        let lesson = |runs| Lesson {
            model: &model,
            hook: Hook::Block(0, Site::ResidPost),
            origin: Origin {
                model_sha256: hash("a"),
                tokenizer_sha256: hash("b"),
                text_sha256: hash("c"),
            },
            begin: 0,
            n_positions: 8,
            n_rows: 200,
            runs,
        };
        let runs = [config(3), config(4)];
        let [whole, parted] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        taught(whole.path(), &lesson(&runs), texts(), &mut |_| {}).unwrap();
        let store = parted.path().join(ACTIVATIONS);
        captured(&store, &lesson(&runs), texts()).unwrap();
        let first = parted.path().join("3");
        fs::create_dir(&first).unwrap();
        let rows = StoreRowsConfig {
            hook: None,
            target: None,
            batch_rows: 16,
            pool_rows: POOL_ROWS,
            seed: 3,
            held_out: 0,
        };
        let mut rows = StoreRows::open(&store, &rows).unwrap();
        let mut trainer = dictionaries::train(&runs[0], &mut rows, &first, &mut |_| {}).unwrap();
        assert_eq!(trainer.remove(0).0, "relu");
        taught(parted.path(), &lesson(&runs), texts(), &mut |_| {}).unwrap();
        for seed in [3, 4] {
            let [a, b] = [&whole, &parted].map(|it| dictionary(it.path(), seed, "relu").unwrap());
            assert_eq!(a, b);
            assert_eq!((a.n_latents(), a.width()), (16, 6));
        }
        assert!(!store.exists() && !first.join("checkpoint.safetensors").exists());
        let of = |seed| dictionary(whole.path(), seed, "relu").unwrap();
        assert_ne!(of(3), of(4));
        assert!(dictionary(whole.path(), 5, "relu").is_err());
    }
}
