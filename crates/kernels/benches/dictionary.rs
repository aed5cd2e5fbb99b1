//! A training step of a dictionary, part by part: 4096 rows of 256 numbers, 32 active latents of 8192.
//!
//! The encoder's product is the only part that costs what a dense step would; beside it the same product alone, stored.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::dictionary::{Atoms, Codes, Length, RowGradient, top_k_codes};
use kernels::transformer::AdamW;
use kernels::{Matrix, product_transposed};
use seed::Seed;

const ROWS: usize = 4096;
const WIDTH: usize = 256;
const LATENTS: usize = 8192;
const K: usize = 32;

fn random(n_rows: usize, purpose: &str) -> Matrix {
    let mut rng = Seed::new(0).stream("bench", purpose);
    #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a bench")]
    let values = (0..n_rows * WIDTH).map(|_| rng.normal() as f32 / 16.0).collect();
    Matrix::from_rows(n_rows, WIDTH, values).expect("as many numbers")
}

fn step(criterion: &mut Criterion) {
    let (x, encoder) = (random(ROWS, "x"), random(LATENTS, "encoder"));
    let mut decoder = encoder.clone();
    decoder.normalize_rows();
    let (bias, center) = (vec![0.0; LATENTS], vec![0.0; WIDTH]);
    let codes = top_k_codes(&x, &encoder, &bias, K).expect("sizes that fit");
    let by_latent = codes.by_latent();
    let mut atoms = Atoms::new(decoder.clone());
    let rule = AdamW { weight_decay: 0.0, ..AdamW::new(1e-4) };

    let mut group = criterion.benchmark_group("a step of 8192 latents, 32 active");
    group.sample_size(10);
    group.throughput(Throughput::Elements((2 * ROWS * WIDTH * LATENTS) as u64));
    group.bench_function("the product alone (operations)", |bencher| {
        bencher.iter(|| product_transposed(black_box(&x), &encoder).expect("sizes that fit"));
    });
    group.bench_function("encode (operations)", |bencher| {
        bencher.iter(|| top_k_codes(black_box(&x), &encoder, &bias, K).expect("sizes that fit"));
    });
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("decode (rows)", |bencher| {
        bencher.iter(|| codes.decode(black_box(&decoder), &center).expect("sizes that fit"));
    });
    group.bench_function("gradient by values (rows)", |bencher| {
        bencher.iter(|| codes.products(black_box(&x), &decoder).expect("sizes that fit"));
    });
    group.bench_function("by latent (rows)", |bencher| {
        bencher.iter(|| black_box(&codes).by_latent());
    });
    group.bench_function("step of a parameter (rows)", |bencher| {
        bencher.iter(|| {
            let gradient = RowGradient::new(codes.values(), &x, Length::One);
            by_latent.step(&gradient, &mut atoms, (&rule, 1, 1.0)).expect("sizes that fit");
        });
    });
    group.finish();
}

/// The same passes where many latents are active.
fn dense_codes(criterion: &mut Criterion) {
    let (x, decoder) = (random(ROWS, "x"), random(LATENTS, "decoder"));
    let (center, rule) = (vec![0.0; WIDTH], AdamW { weight_decay: 0.0, ..AdamW::new(1e-4) });
    let mut group = criterion.benchmark_group("dense codes");
    group.sample_size(10);
    group.bench_function("one product", |bencher| {
        bencher.iter(|| product_transposed(black_box(&x), &decoder).expect("sizes that fit"));
    });
    for share in [0.5, 0.2, 0.1, 0.05, 0.01] {
        let mut rng = Seed::new(0).stream("bench", "codes");
        let mut row =
            || (0..).take(LATENTS).filter(|_| rng.uniform() < share).map(|at| (at, 0.5)).collect();
        let rows: Vec<Vec<(u32, f32)>> = (0..ROWS).map(|_| row()).collect();
        let codes = Codes::from_rows(LATENTS, &rows).expect("ascending latents");
        let by_latent = codes.by_latent();
        let gradient = RowGradient::new(codes.values(), &x, Length::One);
        let mut atoms = Atoms::new(decoder.clone());
        group.bench_function(format!("decode, {share} active"), |bencher| {
            bencher.iter(|| codes.decode(black_box(&decoder), &center).expect("sizes that fit"));
        });
        group.bench_function(format!("gradient by values, {share} active"), |bencher| {
            bencher.iter(|| codes.products(black_box(&x), &decoder).expect("sizes that fit"));
        });
        group.bench_function(format!("by latent, {share} active"), |bencher| {
            bencher.iter(|| black_box(&codes).by_latent());
        });
        group.bench_function(format!("squared norm, {share} active"), |bencher| {
            bencher.iter(|| by_latent.squared_norm(&gradient, &atoms).expect("sizes that fit"));
        });
        group.bench_function(format!("step of a parameter, {share} active"), |bencher| {
            bencher.iter(|| {
                by_latent.step(&gradient, &mut atoms, (&rule, 1, 1.0)).expect("sizes that fit");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, step, dense_codes);
criterion_main!(benches);
