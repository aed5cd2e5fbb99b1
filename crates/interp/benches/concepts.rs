//! All latents of a dictionary on all concepts, the partners of latents, and a probe.
//!
//! 16,384 latents of which 64 are active, 2,324 concepts of which four are in a row with their ancestors, 100,000 rows
//! of which half choose thresholds; half of the active latents follow a concept.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use interp::{ConceptScores, ConceptSets, Labeled, Logistic, assign, cosines, random_directions};
use kernels::dictionary::Codes;
use seed::Seed;

const ROWS: usize = 50_000;
const LATENTS: usize = 16_384;
const ACTIVE: usize = 64;
const CONCEPTS: usize = 2324;
const LABELS: usize = 4;

/// Skewed to the first ones, as words are.
fn skewed(n: usize, rng: &mut seed::Rng) -> u32 {
    let draws = [rng.below(n), rng.below(n), rng.below(n)];
    u32::try_from(draws[0].min(draws[1]).min(draws[2])).expect("small")
}

fn split(purpose: &str) -> (Codes, ConceptSets) {
    let mut rng = Seed::new(0).stream("bench", purpose);
    let (mut codes, mut concepts) = (Vec::new(), Vec::new());
    for _ in 0..ROWS {
        let mut labels: Vec<u32> = (0..LABELS).map(|_| skewed(CONCEPTS, &mut rng)).collect();
        labels.sort_unstable();
        labels.dedup();
        let mut active = std::collections::BTreeMap::new();
        for at in 0..ACTIVE {
            let latent = match at % 2 {
                0 => skewed(LATENTS, &mut rng),
                _ => labels[at % labels.len()] * 7 + u32::try_from(rng.below(7)).expect("small"),
            };
            active.insert(latent, rng.below(1 << 16) as f32 + 1.0);
        }
        codes.push(active.into_iter().collect::<Vec<_>>());
        concepts.push(labels);
    }
    (
        Codes::from_rows(LATENTS, &codes).expect("ascending"),
        ConceptSets::from_rows(CONCEPTS, &concepts).expect("ascending"),
    )
}

fn concepts(criterion: &mut Criterion) {
    let (validation, test) = (split("validation"), split("test"));
    let validation = Labeled { codes: &validation.0, concepts: &validation.1 };
    let test = Labeled { codes: &test.0, concepts: &test.1 };
    let mut group = criterion.benchmark_group("16384 latents");
    group.sample_size(10);
    group.throughput(Throughput::Elements(2 * ROWS as u64));
    group.bench_function("2324 concepts (rows)", |bencher| {
        bencher.iter(|| {
            let scores = ConceptScores::new(black_box(validation), test, 10);
            black_box(scores.expect("sizes that fit").n_pairs())
        });
    });
    group.finish();

    let mut rng = Seed::new(0).stream("bench", "directions");
    let a = random_directions(2048, 128, &mut rng).expect("some");
    let mut noisy = random_directions(2048, 128, &mut rng).expect("some");
    noisy.values_mut().iter_mut().zip(a.values()).for_each(|(noise, a)| *noise = *a + *noise / 2.0);
    let unrelated = random_directions(2048, 128, &mut rng).expect("some");
    let mut group = criterion.benchmark_group("partners of 2048 latents");
    group.sample_size(10);
    for (name, b) in [("another seed", &noisy), ("unrelated", &unrelated)] {
        let cosines = cosines(&a, b).expect("sizes that fit");
        group.bench_function(name, |bencher| {
            bencher.iter(|| assign(black_box(&cosines)).expect("finite").total);
        });
    }
    group.finish();

    let mut rng = Seed::new(0).stream("bench", "probe");
    let positive: Vec<bool> = (0..4000).map(|_| rng.below(20) == 0).collect();
    let x = random_directions(4000, 128, &mut rng).expect("some");
    let mut group = criterion.benchmark_group("a probe on 4000 rows");
    group.sample_size(10);
    group.bench_function("128 columns", |bencher| {
        bencher.iter(|| Logistic::fit(black_box(&x), &positive, 1e-3).expect("both kinds").bias);
    });
    group.finish();
}

criterion_group!(benches, concepts);
criterion_main!(benches);
