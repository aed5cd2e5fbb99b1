//! The order of an epoch: complete, a function of its seed, resumable, and as random as it says.
//!
//! Bounds are two-sided quantiles at 0.001 and 0.999 of the named distribution, fixed beforehand.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use seed::Seed;
use store::{
    ActivationReader, ActivationWriter, BosRule, Capture, Dtype, Error, NewRows, NonFinite, Place,
    RowLayout, Rows, Shuffle, ShuffleConfig,
};

use crate::{capture, hook, numbers, provenance, write};

/// Standard normal quantile at 0.999.
const Z: f64 = 3.090;
/// Quantiles of chi-square with 15 degrees of freedom at 0.001 and 0.999.
const CHI_SQUARE_15: (f64, f64) = (3.483, 37.697);

/// Rows, chunk, pool and pools of the statistical tests.
const N: usize = 2048;
const CHUNK: usize = 8;
const POOL_CHUNKS: usize = 32;
const POOL: usize = CHUNK * POOL_CHUNKS;
const POOLS: usize = N / POOL;
const EPOCHS: u64 = 400;

fn config(seed: u64, pool_chunks: usize, batch_rows: usize) -> ShuffleConfig {
    ShuffleConfig { seed: Seed::new(seed), id: "test".to_owned(), pool_chunks, batch_rows }
}

fn open(folder: &Path) -> Arc<ActivationReader> {
    let capture = ActivationReader::describe(folder).unwrap().capture;
    Arc::new(ActivationReader::open(folder, &capture).unwrap())
}

/// A store of `N` rows of one number.
fn plain(folder: &Path) -> Arc<ActivationReader> {
    let stored =
        Capture { bos: BosRule::Absent, hooks: vec![hook("hook", 1)], ..capture(Dtype::F32) };
    let layout = RowLayout { chunk_rows: CHUNK, shard_chunks: 64 };
    let mut writer = ActivationWriter::create(folder, &stored, layout, NonFinite::Refuse).unwrap();
    let hooks: [&[f32]; 1] = [&[0.5; N]];
    let (tokens, positions, documents) = ([2; N], [1; N], [3; N]);
    writer
        .append(NewRows {
            tokens: &tokens,
            positions: &positions,
            documents: &documents,
            hooks: &hooks,
        })
        .unwrap();
    writer.finish().unwrap();
    open(folder)
}

/// The rows of an epoch in the order in which they are dealt.
fn order(reader: &Arc<ActivationReader>, config: &ShuffleConfig, epoch: u64) -> Vec<u64> {
    let batches = Shuffle::start(reader, config, Place { epoch, row: 0 }).unwrap();
    batches.flat_map(|batch| batch.unwrap().row_idx).collect()
}

#[test]
fn every_row_comes_once_an_epoch_with_all_that_belongs_to_it() {
    for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), dtype, 30);
        let reader = open(folder.path());
        // Pools of one chunk, of some, of all, and of more than there are.
        for pool_chunks in [1, 3, 8, 100] {
            for batch_rows in [1, 4, 7, 30, 50] {
                let config = config(1, pool_chunks, batch_rows);
                let mut seen = Vec::new();
                for batch in Shuffle::start(&reader, &config, Place::default()).unwrap() {
                    let batch = batch.unwrap();
                    assert_eq!(batch.len(), batch_rows.min(30 - seen.len()));
                    for (at, row) in batch.row_idx.iter().enumerate() {
                        let found = (batch.tokens[at], batch.positions[at], batch.documents[at]);
                        assert_eq!(found, provenance(*row));
                        assert_eq!(
                            batch.hooks[0][at * 3..at * 3 + 3],
                            numbers(*row..row + 1, 0, 3)
                        );
                        assert_eq!(
                            batch.hooks[1][at * 2..at * 2 + 2],
                            numbers(*row..row + 1, 1, 2)
                        );
                    }
                    seen.extend(batch.row_idx);
                }
                seen.sort_unstable();
                assert!(seen.into_iter().eq(0..30));
            }
        }
    }
}

#[test]
fn rows_after_the_first_ones_are_as_if_they_were_not_there() {
    for dtype in [Dtype::F32, Dtype::F16] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), dtype, 30);
        let capture = ActivationReader::describe(folder.path()).unwrap().capture;
        let whole = || ActivationReader::open(folder.path(), &capture).unwrap();
        for n in 1..=30 {
            let reader = Arc::new(whole().first(n).unwrap());
            let mut batches = Shuffle::start(&reader, &config(1, 2, 4), Place::default()).unwrap();
            let mut rows = Rows::default();
            let mut seen = Vec::<u64>::new();
            while batches.next_batch(&mut rows).unwrap() {
                for (at, row) in rows.row_idx.iter().enumerate() {
                    let found = &rows.hooks[0][at * 3..at * 3 + 3];
                    assert_eq!(found, numbers(*row..row + 1, 0, 3));
                }
                seen.extend(&rows.row_idx);
            }
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..n), "{n}");
            reader.read(0..n, &mut rows).unwrap();
            assert_eq!(rows.hooks[0], numbers(0..n, 0, 3));
            assert!(reader.read(0..n + 1, &mut rows).is_err());
        }
        assert!(whole().first(0).is_err() && whole().first(31).is_err());
    }
}

#[test]
fn the_order_is_a_function_of_seed_id_and_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let reader = plain(folder.path());
    let one = order(&reader, &config(1, POOL_CHUNKS, 64), 0);
    // How it is cut into batches does not matter.
    assert_eq!(one, order(&reader, &config(1, POOL_CHUNKS, 1000), 0));
    assert_ne!(one, order(&reader, &config(2, POOL_CHUNKS, 64), 0));
    assert_ne!(one, order(&reader, &config(1, POOL_CHUNKS, 64), 1));
    let other = ShuffleConfig { id: "other".to_owned(), ..config(1, POOL_CHUNKS, 64) };
    assert_ne!(one, order(&reader, &other, 0));
}

#[test]
fn an_epoch_goes_on_from_every_place() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), Dtype::F16, 30);
    let reader = open(folder.path());
    let config = config(5, 3, 4);
    let start = |row| Shuffle::start(&reader, &config, Place { epoch: 2, row }).unwrap();
    let mut batches = start(0);
    let mut batch = Rows::default();
    let mut places = vec![batches.place()];
    let mut whole = Vec::new();
    while batches.next_batch(&mut batch).unwrap() {
        places.push(batches.place());
        whole.push(batch.clone());
    }
    assert_eq!(places.last(), Some(&Place { epoch: 2, row: 30 }));
    for (at, place) in places.iter().enumerate() {
        let rest: Vec<_> = start(place.row).map(Result::unwrap).collect();
        assert_eq!(rest, whole[at..]);
    }
    let past = Shuffle::start(&reader, &config, Place { epoch: 2, row: 31 });
    assert!(matches!(past, Err(Error::Shape { expected: 30, got: 31, .. })));
}

#[test]
fn memory_is_the_batches_of_two_pools_whatever_the_store_holds() {
    let folder = tempfile::tempdir().unwrap();
    let reader = plain(folder.path());
    let bytes = |pool_chunks| {
        Shuffle::start(&reader, &config(1, pool_chunks, 64), Place::default())
            .unwrap()
            .memory_bytes()
    };
    // Another 32 chunks of 8 rows: twice four batches of 64. A row: 4 bytes of numbers, 24 of token, position,
    // document and index; of one pool 4 of the order, and 6 pointers to where all of that goes and a length.
    let batches = 2 * 4 * 64 * (4 + 24);
    let places = 32 * CHUNK * (4 + 6 * size_of::<usize>());
    assert_eq!(bytes(64) - bytes(32), (batches + places) as u64);
    // A pool larger than the store holds no more than the store.
    assert_eq!(bytes(1 << 20), bytes(N / CHUNK));
    for (pool_chunks, batch_rows) in [(0, 1), (1 << 30, 1), (1, 0)] {
        let refused =
            Shuffle::start(&reader, &config(1, pool_chunks, batch_rows), Place::default());
        assert!(matches!(refused, Err(Error::Setting { .. })));
    }
}

#[test]
fn damage_is_told_when_it_is_met_and_ends_the_epoch() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), Dtype::F32, 30);
    let reader = open(folder.path());
    fs::write(folder.path().join("shard-000001.h5"), [0; 100]).unwrap();
    let batches: Vec<_> =
        Shuffle::start(&reader, &config(1, 1, 4), Place::default()).unwrap().collect();
    let (last, before) = batches.split_last().unwrap();
    assert!(before.iter().all(Result::is_ok));
    assert!(last.as_ref().unwrap_err().to_string().contains("shard-000001.h5"));
}

/// Chi-square of counts in 16 bins that are equally likely.
fn chi_square(places: impl Iterator<Item = usize>) -> f64 {
    let mut bins = [0.0; 16];
    places.for_each(|place| bins[place * 16 / N] += 1.0);
    let expected = bins.iter().sum::<f64>() / 16.0;
    bins.iter().map(|count| (count - expected) * (count - expected) / expected).sum()
}

#[test]
fn each_row_is_equally_likely_at_each_place() {
    let folder = tempfile::tempdir().unwrap();
    let reader = plain(folder.path());
    let config = config(11, POOL_CHUNKS, N);
    let epochs: Vec<_> = (0..EPOCHS).map(|epoch| order(&reader, &config, epoch)).collect();
    let within = |value: f64| value > CHI_SQUARE_15.0 && value < CHI_SQUARE_15.1;
    for at in [0, 1, POOL - 1, POOL, N / 2 + 3, N - 1] {
        // Which row comes at this place, and at which place this row comes.
        let rows = chi_square(epochs.iter().map(|order| order[at] as usize));
        let places = epochs.iter().map(|order| order.iter().position(|row| *row == at as u64));
        let places = chi_square(places.map(Option::unwrap));
        assert!(within(rows) && within(places), "{at}: {rows} and {places}");
    }
}

/// Mean and standard deviation.
fn moments(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (mean, (squares / (values.len() as f64 - 1.0)).sqrt())
}

/// The variance that the rank correlation between row and place has for this shuffle.
///
/// With deviations a of rows and b of places from their mean, S = Σ aᵢ b(i). Given which chunks are
/// in which pool, E S is a sum over chunks whose slots are permuted; within a pool rows are.
fn variance_of_rank_correlation() -> f64 {
    let (n, chunks) = (N as f64, N / CHUNK);
    let deviation = |at: f64| at - (n - 1.0) / 2.0;
    let middle =
        |part: usize, size: usize| deviation(part as f64 * size as f64 + (size as f64 - 1.0) / 2.0);
    let square = |value: f64| value * value;
    let all: f64 = (0..N).map(|at| square(deviation(at as f64))).sum();
    let chunk_means: f64 = (0..chunks).map(|at| square(middle(at, CHUNK))).sum();
    let pool_means: f64 = (0..POOLS).map(|at| square(middle(at, POOL))).sum();
    let (m, c, p) = (chunks as f64, CHUNK as f64, POOL as f64);
    let between = c * c * chunk_means * pool_means * POOL_CHUNKS as f64 / (m - 1.0);
    let places_within = all / POOLS as f64 - p * pool_means / POOLS as f64;
    let k = POOL_CHUNKS as f64;
    let mean_of_pool = chunk_means / m / k * (m - k) / (m - 1.0);
    let rows_within = all - n * mean_of_pool;
    (between + rows_within * places_within / (p - 1.0)) / (all * all)
}

#[test]
fn row_and_place_are_uncorrelated_as_far_as_the_pool_allows() {
    let folder = tempfile::tempdir().unwrap();
    let reader = plain(folder.path());
    let config = config(12, POOL_CHUNKS, N);
    let middle = (N as f64 - 1.0) / 2.0;
    let squares: f64 = (0..N).map(|at| (at as f64 - middle) * (at as f64 - middle)).sum();
    let correlation = |order: Vec<u64>| {
        let terms = order.iter().enumerate();
        terms.map(|(at, row)| (at as f64 - middle) * (*row as f64 - middle)).sum::<f64>() / squares
    };
    let found: Vec<_> =
        (0..EPOCHS).map(|epoch| correlation(order(&reader, &config, epoch))).collect();
    let (mean, deviation) = moments(&found);
    let expected = variance_of_rank_correlation();
    let epochs = EPOCHS as f64;
    assert!(mean.abs() < Z * (expected / epochs).sqrt(), "mean {mean}, variance {expected}");
    // The variance of a sample variance is 2σ⁴/(n − 1).
    let ratio = deviation * deviation / expected;
    assert!((ratio - 1.0).abs() < Z * (2.0 / (epochs - 1.0)).sqrt(), "ratio {ratio}");
}

#[test]
fn neighbors_come_from_one_chunk_no_more_often_than_by_chance() {
    let folder = tempfile::tempdir().unwrap();
    let reader = plain(folder.path());
    let config = config(13, POOL_CHUNKS, N);
    let shared = |order: Vec<u64>| {
        let chunk = |row: u64| row as usize / CHUNK;
        order.windows(2).filter(|pair| chunk(pair[0]) == chunk(pair[1])).count() as f64
    };
    let found: Vec<_> = (0..EPOCHS).map(|epoch| shared(order(&reader, &config, epoch))).collect();
    let (mean, deviation) = moments(&found);
    // In a pool P − 1 pairs, each with probability (C − 1)/(P − 1): C − 1 of them.
    let expected = (POOLS * (CHUNK - 1)) as f64;
    let bound = Z * deviation / (EPOCHS as f64).sqrt();
    assert!((mean - expected).abs() < bound, "{mean} instead of {expected} ± {bound}");
}
