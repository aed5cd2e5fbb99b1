//! Reading a store beside reading the same files plainly: in order, and shuffled.
//!
//! `plain` reads every file of the store from its beginning to its end into a buffer of a megabyte.
//! `in order` reads all rows in the same order, checked and converted; `shuffled` deals an epoch in
//! batches. From memory, files lie in the system's cache; from disk (on Linux), the system is
//! told to drop them before each run, which a virtual machine's host may not do as well.

#![allow(clippy::unwrap_used, reason = "a bench stops at what it did not expect")]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use seed::Seed;
use store::{
    ActivationReader, ActivationWriter, BosRule, Capture, Dtype, Hook, NewRows, NonFinite,
    Normalization, Place, RowLayout, Rows, Shuffle, ShuffleConfig,
};

const WIDTH: usize = 256;
const N_ROWS: usize = 1 << 20;
const BATCH: usize = 4096;

fn capture(dtype: Dtype) -> Capture {
    Capture {
        model_sha256: "a".repeat(64),
        tokenizer_sha256: "b".repeat(64),
        text_sha256: "c".repeat(64),
        bos: BosRule::Absent,
        dtype,
        hooks: vec![Hook {
            name: "hook".to_owned(),
            width: WIDTH,
            normalization: Normalization::Raw,
        }],
    }
}

fn write(folder: &Path, dtype: Dtype) {
    let layout = RowLayout { shard_chunks: 64, ..RowLayout::for_width(WIDTH, dtype) };
    let mut writer =
        ActivationWriter::create(folder, &capture(dtype), layout, NonFinite::Refuse).unwrap();
    let mut rng = Seed::new(1).stream("store", "bench");
    let numbers: Vec<f32> =
        (0..BATCH * WIDTH).map(|_| half::f16::from_f64(rng.uniform()).to_f32()).collect();
    let hooks: [&[f32]; 1] = [&numbers];
    let (tokens, positions, documents) = (vec![1; BATCH], vec![2; BATCH], vec![3; BATCH]);
    for _ in 0..N_ROWS / BATCH {
        let rows = NewRows {
            tokens: &tokens,
            positions: &positions,
            documents: &documents,
            hooks: &hooks,
        };
        writer.append(rows).unwrap();
    }
    writer.finish().unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// What is done with files before each run.
type Prepare = fn(&[PathBuf]);

/// Whence files are read, and what makes them so before each run.
fn sources() -> Vec<(&'static str, Prepare)> {
    let mut sources: Vec<(_, Prepare)> = vec![("memory", |_| ())];
    #[cfg(target_os = "linux")]
    sources.push(("disk", |files| {
        use rustix::fs::{Advice, fadvise};
        for path in files {
            fadvise(File::open(path).unwrap(), 0, None, Advice::DontNeed).unwrap();
        }
    }));
    sources
}

fn plain(files: &[PathBuf], buffer: &mut [u8]) {
    for path in files {
        let mut file = File::open(path).unwrap();
        while file.read(buffer).unwrap() > 0 {
            black_box(&*buffer);
        }
    }
}

fn in_order(reader: &ActivationReader, rows: &mut Rows) {
    for start in (0..N_ROWS).step_by(BATCH) {
        reader.read(start as u64..(start + BATCH) as u64, rows).unwrap();
        black_box(&*rows);
    }
}

fn shuffled(reader: &Arc<ActivationReader>, rows: &mut Rows) {
    let id = "bench".to_owned();
    let config = ShuffleConfig { seed: Seed::new(1), id, pool_chunks: 16, batch_rows: BATCH };
    let mut batches = Shuffle::start(reader, &config, Place::default()).unwrap();
    while batches.next_batch(rows).unwrap() {
        black_box(&*rows);
    }
}

fn read(criterion: &mut Criterion) {
    for dtype in [Dtype::F32, Dtype::Bf16] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), dtype);
        let files = files(folder.path());
        let bytes = files.iter().map(|path| path.metadata().unwrap().len()).sum();
        let reader = Arc::new(ActivationReader::open(folder.path(), &capture(dtype)).unwrap());
        let (mut buffer, mut rows) = (vec![0; 1 << 20], Rows::default());
        for (whence, before) in sources() {
            let mut group = criterion.benchmark_group(format!("read from {whence}"));
            group.throughput(Throughput::Bytes(bytes)).sample_size(10);
            let mut bench = |what: &str, run: &mut dyn FnMut()| {
                group.bench_function(BenchmarkId::new(what, format!("{dtype:?}")), |bencher| {
                    bencher.iter_batched(|| before(&files), |()| run(), BatchSize::PerIteration);
                });
            };
            bench("plain", &mut || plain(&files, &mut buffer));
            bench("in order", &mut || in_order(&reader, &mut rows));
            bench("shuffled", &mut || shuffled(&reader, &mut rows));
            group.finish();
        }
    }
}

criterion_group!(benches, read);
criterion_main!(benches);
