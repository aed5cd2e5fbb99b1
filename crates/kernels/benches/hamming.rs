//! Scans of a million 1000-bit rows: one query at a time and many, against the rate at which this machine
//! counts bits and reads memory.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::BitMatrix;
use seed::Seed;

const N: usize = 1000;
const ROWS: usize = 1_000_000;
const RADIUS: u32 = 451;

fn scans(criterion: &mut Criterion) {
    let mut rng = Seed::new(0).stream("bench", "addresses");
    let rows = BitMatrix::random(ROWS, N, &mut rng);
    let queries = BitMatrix::random(32, N, &mut rng);
    let mut group = criterion.benchmark_group("a million rows of 1000 bits");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(8 * rows.words().len() as u64));
    group.bench_function("within, one query", |bencher| {
        bencher.iter(|| rows.within(black_box(queries.row(0)), RADIUS));
    });
    group.throughput(Throughput::Bytes(32 * 8 * rows.words().len() as u64));
    group.bench_function("within_each, 32 queries", |bencher| {
        bencher.iter(|| rows.within_each(black_box(&queries), RADIUS));
    });
    group.finish();
}

criterion_group!(benches, scans);
criterion_main!(benches);
