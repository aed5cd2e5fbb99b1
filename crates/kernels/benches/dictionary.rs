//! A training step of a dictionary, part by part: 4096 rows of 256 numbers, 32 active latents of 8192; and what encoding costs
//! from 2¹² to 2¹⁷ latents.
//!
//! The encoder's product is the only part that costs what a dense step would. Beside it stand the same product alone, stored,
//! and what the processor does in registers at most, multiplying and adding by all threads; the shares are printed, of the
//! fastest of runs that take turns.

#![allow(clippy::print_stdout, reason = "a bench tells what it measured")]

use std::hint::black_box;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kernels::dictionary::{Atoms, Codes, Length, RowGradient, top_k_codes};
use kernels::transformer::AdamW;
use kernels::{Matrix, product_transposed};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use seed::Seed;

const ROWS: usize = 4096;
const WIDTH: usize = 256;
const LATENTS: usize = 8192;
const K: usize = 32;
/// Rows of the batches of the sweep.
const SWEEP_ROWS: usize = 1024;
const SWEEP_K: [usize; 4] = [16, 32, 64, 128];
/// Runs of each that take turns.
const TURNS: usize = 20;

fn random(n_rows: usize, purpose: &str) -> Matrix {
    let mut rng = Seed::new(0).stream("bench", purpose);
    #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a bench")]
    let values = (0..n_rows * WIDTH).map(|_| rng.normal() as f32 / 16.0).collect();
    Matrix::from_rows(n_rows, WIDTH, values).expect("as many numbers")
}

/// Multiplications and additions of numbers that stay in registers; how many there were.
struct InRegisters;

/// Sums that do not wait for each other.
const SUMS: usize = 12;
const REPEATS: usize = 100_000;

impl WithSimd for InRegisters {
    type Output = usize;

    #[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let factor = simd.splat_f32s(black_box(0.999));
        let mut sums = [simd.splat_f32s(black_box(1.0)); SUMS];
        for _ in 0..REPEATS {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, factor, factor);
            }
        }
        let sum = sums.into_iter().fold(factor, |sum, other| simd.add_f32s(sum, other));
        black_box(simd.reduce_sum_f32s(sum));
        2 * SUMS * REPEATS * S::F32_LANES
    }
}

/// The same by all threads, about as long as an encoding takes, so that what else runs on the machine slows both alike.
fn in_registers() -> usize {
    let tasks = (0..256 * rayon::current_num_threads()).into_par_iter();
    tasks.map(|_| Arch::new().dispatch(InRegisters)).sum()
}

/// Billions of operations a second, of the fastest of runs that take turns.
fn rates<const N: usize>(mut runs: [&mut dyn FnMut() -> usize; N]) -> [f64; N] {
    let mut rates = [0.0_f64; N];
    for _ in 0..TURNS {
        for (rate, run) in rates.iter_mut().zip(&mut runs) {
            let start = Instant::now();
            let n = run();
            *rate = rate.max(n as f64 / 1e9 / start.elapsed().as_secs_f64());
        }
    }
    rates
}

fn shares(_: &mut Criterion) {
    let (x, encoder) = (random(ROWS, "x"), random(LATENTS, "encoder"));
    let (bias, n) = (vec![0.0; LATENTS], 2 * ROWS * WIDTH * LATENTS);
    let [peak, product, encode] = rates([
        &mut in_registers,
        &mut || {
            black_box(product_transposed(&x, &encoder).expect("sizes that fit"));
            n
        },
        &mut || {
            black_box(top_k_codes(&x, &encoder, &bias, K).expect("sizes that fit"));
            n
        },
    ]);
    println!("in registers {peak:.0} GFLOP/s by {} threads", rayon::current_num_threads());
    println!("the product alone {product:.0} GFLOP/s, {:.0} % of that", 100.0 * product / peak);
    println!("encode {encode:.0} GFLOP/s, {:.0} % of that", 100.0 * encode / peak);
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
    group.throughput(Throughput::Elements(in_registers() as u64));
    group.bench_function("in registers (operations)", |bencher| bencher.iter(in_registers));
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

fn sweep(criterion: &mut Criterion) {
    let x = random(SWEEP_ROWS, "x");
    let all = random(1 << 17, "encoder");
    for k in SWEEP_K {
        let mut group = criterion.benchmark_group(format!("encode, {k} active (operations)"));
        group.sample_size(10);
        for bits in 12..=17 {
            let n_latents = 1 << bits;
            let weights = all.values()[..n_latents * WIDTH].to_vec();
            let encoder = Matrix::from_rows(n_latents, WIDTH, weights).expect("as many numbers");
            let bias = vec![0.0; n_latents];
            group.throughput(Throughput::Elements((2 * SWEEP_ROWS * WIDTH * n_latents) as u64));
            group.bench_function(BenchmarkId::new("latents", n_latents), |bencher| {
                bencher.iter(|| top_k_codes(&x, &encoder, &bias, k).expect("sizes that fit"));
            });
        }
        group.finish();
    }
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

criterion_group!(benches, shares, step, sweep, dense_codes);
criterion_main!(benches);
