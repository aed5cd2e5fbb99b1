//! A memory of 100,000 neurons with 1000-bit addresses: writing, reading one query and many.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use kernels::BitMatrix;
use sdm::NeuronStore;
use seed::Seed;

fn store(criterion: &mut Criterion) {
    let mut rng = Seed::new(0).stream("bench", "store");
    let addresses = BitMatrix::random(100_000, 1000, &mut rng);
    let patterns = BitMatrix::random(64, 1000, &mut rng);
    let empty = NeuronStore::new(addresses, 1000, 451).expect("a store");
    let mut written = empty.clone();
    written.write(&patterns, &patterns).expect("a write");
    let mut group = criterion.benchmark_group("store of 100,000 neurons, n = 1000, d = 451");
    group.sample_size(10);
    group.bench_function("write 64 patterns", |bencher| {
        let fresh = || empty.clone();
        bencher.iter_batched_ref(
            fresh,
            |store| store.write(&patterns, &patterns),
            criterion::BatchSize::LargeInput,
        );
    });
    group.bench_function("read one query", |bencher| {
        let query = patterns.select(&[0]);
        bencher.iter(|| written.read(black_box(&query)));
    });
    group.bench_function("read 64 queries", |bencher| {
        bencher.iter(|| written.read(black_box(&patterns)));
    });
    group.finish();
}

criterion_group!(benches, store);
criterion_main!(benches);
