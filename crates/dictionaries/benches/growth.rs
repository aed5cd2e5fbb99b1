//! How the cost of a `TopK` step grows with latents and with k, what further dictionaries on one stream cost, and what reading
//! rows from a store takes of it. 4,096 rows of width 256; times are of one step.

use std::hint::black_box;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dictionaries::{Source, StoreRows, StoreRowsConfig};
use kernels::Matrix;
use mimalloc::MiMalloc;
use sae::{Batch, Member, Recipe, RunConfig, Scaling, Trainer};
use seed::Seed;
use store::{
    ActivationWriter, BosRule, Capture, Dtype, Hook, NewRows, NonFinite, Normalization, RowLayout,
};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const BATCH: usize = 4096;
const WIDTH: usize = 256;

fn rows(n: usize) -> Matrix {
    let mut rng = Seed::new(0).stream("growth", "rows");
    #[expect(clippy::cast_possible_truncation, reason = "activations are single precision")]
    let values = (0..n * WIDTH).map(|_| rng.normal() as f32).collect();
    Matrix::from_rows(n, WIDTH, values).expect("as many numbers as rows have")
}

/// Dictionaries in training, none of whose latents counts as dead.
fn trainer(n: usize, k: usize, n_dictionaries: usize, x: &Matrix) -> Trainer {
    let member = |at: usize| Member {
        name: at.to_string(),
        recipe: Recipe::top_k(n, WIDTH, k).with_learning_rate(1e-4),
    };
    let config = RunConfig {
        n_steps: 1_000_000,
        batch_rows: BATCH,
        dead_after: 1.0,
        seed: 0,
        members: (0..n_dictionaries).map(member).collect(),
    };
    Trainer::new(config, Scaling::None, Batch::of(x)).expect("settings of a run")
}

/// A store of rows as `engram capture` writes it.
fn store(folder: &Path, x: &Matrix) {
    let hook = Hook { name: "h".to_owned(), width: WIDTH, normalization: Normalization::Raw };
    let hash = |digit: &str| digit.repeat(64);
    let capture = Capture {
        model_sha256: hash("a"),
        tokenizer_sha256: hash("b"),
        text_sha256: hash("c"),
        bos: BosRule::Absent,
        dtype: Dtype::F32,
        hooks: vec![hook],
    };
    let layout = RowLayout::for_width(WIDTH, Dtype::F32);
    let writer = ActivationWriter::create(folder, &capture, layout, NonFinite::Refuse);
    let mut writer = writer.expect("a folder");
    let numbers: Vec<u32> = (0..).take(x.n_rows()).collect();
    let documents = vec![0; x.n_rows()];
    let rows = NewRows {
        tokens: &numbers,
        positions: &numbers,
        documents: &documents,
        hooks: &[x.values()],
    };
    writer.append(rows).expect("room on the disk");
    writer.finish().expect("room on the disk");
}

fn growth(criterion: &mut Criterion) {
    let x = rows(BATCH);
    let mut group = criterion.benchmark_group("step by latents, k = 32");
    group.sample_size(10).throughput(Throughput::Elements(BATCH as u64));
    for exponent in 12..18 {
        let mut trainer = trainer(1 << exponent, 32, 1, &x);
        group.bench_function(BenchmarkId::from_parameter(1_u32 << exponent), |bencher| {
            bencher.iter(|| black_box(trainer.step(Batch::of(&x)).expect("a step")));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("step by k, 8192 latents");
    group.sample_size(10).throughput(Throughput::Elements(BATCH as u64));
    for k in [8, 16, 32, 64, 128] {
        let mut trainer = trainer(8192, k, 1, &x);
        group.bench_function(BenchmarkId::from_parameter(k), |bencher| {
            bencher.iter(|| black_box(trainer.step(Batch::of(&x)).expect("a step")));
        });
    }
    group.finish();
    let folder = tempfile::tempdir().expect("a folder");
    store(folder.path(), &rows(1 << 18));
    let config = StoreRowsConfig {
        hook: None,
        target: None,
        batch_rows: BATCH,
        pool_rows: 1 << 16,
        seed: 0,
        held_out: 0,
    };
    let mut source = StoreRows::open(folder.path(), &config).expect("the store");
    let mut group = criterion.benchmark_group("one stream from a store, 2048 latents each, k = 32");
    group.sample_size(20).throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("rows alone", |bencher| {
        bencher.iter(|| black_box(source.next().expect("rows")));
    });
    for n_dictionaries in [1, 2, 4, 8] {
        let mut trainer = trainer(2048, 32, n_dictionaries, &x);
        group.bench_function(BenchmarkId::new("dictionaries", n_dictionaries), |bencher| {
            bencher.iter(|| {
                let rows = source.next().expect("rows");
                black_box(trainer.step(rows.batch()).expect("a step"))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, growth);
criterion_main!(benches);
