//! All intersections of two Hamming balls at n = 1000: in log space, as big integers, and as caps.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use geometry::{HammingSpace, cap, exact};

const N: usize = 1000;
const D: usize = 451;

fn intersections(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("n = 1000, d = 451, every distance");
    let space = HammingSpace::new(N).expect("1000 bits make a space");
    group.bench_function("log space", |bencher| {
        bencher.iter(|| space.ln_intersections(black_box(D)));
    });
    group.bench_function("big integers, lunes", |bencher| {
        bencher.iter(|| exact::intersections(black_box(N), black_box(D)));
    });
    group.bench_function("big integers, double sum, one distance", |bencher| {
        bencher.iter(|| exact::intersection_double_sum(black_box(N), black_box(D), 100));
    });
    group.bench_function("spherical caps, one distance", |bencher| {
        bencher.iter(|| cap::ln_cap_intersection_fraction(N, cap::cap_angle(N, D), black_box(0.5)));
    });
    group.finish();
}

criterion_group!(benches, intersections);
criterion_main!(benches);
