//! A training that is stopped anywhere and called again ends as one that is not.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::path::Path;

use dictionaries::{
    DictionariesError, MemoryRows, Result, Rows, ScalingRule, Source, StoreRows, StoreRowsConfig,
    TrainConfig, finish, train,
};
use kernels::Matrix;
use sae::{Dictionary, Member, Recipe, RunConfig};
use seed::Seed;
use store::{
    ActivationWriter, BosRule, Capture, Dtype, Hook, NewRows, NonFinite, Normalization, RowLayout,
};

/// A source that fails after some batches, as if the program had been killed there.
struct Stops<'a> {
    source: &'a mut dyn Source,
    left: u32,
}

impl Source for Stops<'_> {
    fn sample(&mut self, n_rows: usize) -> Result<Rows> {
        self.source.sample(n_rows)
    }

    fn next(&mut self) -> Result<Rows> {
        let left = self.left.checked_sub(1);
        self.left = left.ok_or(DictionariesError::Place { place: "killed".to_owned() })?;
        self.source.next()
    }

    fn place(&self) -> String {
        self.source.place()
    }

    fn go_to(&mut self, place: &str) -> Result<()> {
        self.source.go_to(place)
    }
}

const N_STEPS: u32 = 30;
const SAVE_EVERY: u32 = 4;

fn config() -> TrainConfig {
    let member = |name: &str, recipe: Recipe| Member {
        name: name.to_owned(),
        recipe: recipe.with_learning_rate(0.01),
    };
    TrainConfig {
        run: RunConfig {
            n_steps: N_STEPS,
            batch_rows: 16,
            dead_after: 0.2,
            seed: 5,
            members: vec![
                member("top", Recipe::top_k(12, 3, 2)),
                member("batch", Recipe::batch_top_k(12, 3, 2, N_STEPS)),
                member("gated", Recipe::gated(12, 0.1)),
            ],
        },
        scaling: ScalingRule::MeanSquare,
        sample_rows: 50,
        save_every: SAVE_EVERY,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "activations are single precision")]
fn numbers() -> Vec<f32> {
    let mut rng = Seed::new(1).stream("resume", "rows");
    (0..300).map(|_| rng.normal() as f32).collect()
}

/// Trains at a stretch, and with a stop after each number of batches in turn.
fn compare(open: &dyn Fn() -> Box<dyn Source>) {
    let folder = tempfile::tempdir().unwrap();
    let trained = |folder: &Path, n_batches: u32| -> Result<Vec<(String, Dictionary)>> {
        let mut source = open();
        let mut source = Stops { source: &mut *source, left: n_batches };
        train(&config(), &mut source, folder, &mut |_| {})
    };
    let whole = trained(folder.path(), u32::MAX).unwrap();
    finish(folder.path()).unwrap();
    assert_eq!(whole.len(), 3);
    for n_batches in [4, 5, 7, 11, 29] {
        let mut n_calls = 0;
        let last = loop {
            n_calls += 1;
            assert!(n_calls < 20, "it does not come forward by {n_batches} batches a call");
            if let Ok(last) = trained(folder.path(), n_batches) {
                break last;
            }
        };
        // What was not saved is lost, and no more.
        let a_call = n_batches - n_batches % SAVE_EVERY;
        assert!(n_calls > 1 && n_calls <= N_STEPS.div_ceil(a_call), "{n_calls}, {n_batches}");
        assert!(last == whole, "{n_batches} batches a call");
        finish(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn from_memory() {
    compare(&|| {
        let inputs = Matrix::from_rows(100, 3, numbers()).unwrap();
        let rows = Rows { inputs, targets: None };
        Box::new(MemoryRows::new(rows, 16, Seed::new(2)).unwrap())
    });
}

#[test]
fn from_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let hook = Hook { name: "x".to_owned(), width: 3, normalization: Normalization::Raw };
    let capture = Capture {
        model_sha256: "a".repeat(64),
        tokenizer_sha256: "b".repeat(64),
        text_sha256: "c".repeat(64),
        bos: BosRule::Absent,
        dtype: Dtype::F16,
        hooks: vec![hook],
    };
    let layout = RowLayout { chunk_rows: 10, shard_chunks: 4 };
    let mut writer =
        ActivationWriter::create(folder.path(), &capture, layout, NonFinite::Refuse).unwrap();
    let rows = NewRows {
        tokens: &[0; 100],
        positions: &[0; 100],
        documents: &[0; 100],
        hooks: &[&numbers()],
    };
    writer.append(rows).unwrap();
    writer.finish().unwrap();
    compare(&|| {
        let config = StoreRowsConfig {
            hook: None,
            target: None,
            batch_rows: 16,
            pool_rows: 30,
            seed: 2,
            held_out: 13,
        };
        Box::new(StoreRows::open(folder.path(), &config).unwrap())
    });
}
