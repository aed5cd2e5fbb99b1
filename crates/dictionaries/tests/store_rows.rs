//! Rows of a real store: their order, those that are kept back, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeSet;
use std::path::Path;

use dictionaries::{Rows, Source, StoreRows, StoreRowsConfig};
use store::{
    ActivationWriter, BosRule, Capture, Dtype, Hook, NewRows, NonFinite, Normalization, RowLayout,
};

/// A store of two hooks: row r has r and −r in the first one, 10·r in the second. Chunks of 8 rows, shards of 24.
fn store(folder: &Path, n_rows: u16, broken: Option<u16>) {
    let hook = |name: &str, width| Hook {
        name: name.to_owned(),
        width,
        normalization: Normalization::Raw,
    };
    let capture = Capture {
        model_sha256: "a".repeat(64),
        tokenizer_sha256: "b".repeat(64),
        text_sha256: "c".repeat(64),
        bos: BosRule::Absent,
        dtype: Dtype::F32,
        hooks: vec![hook("in", 2), hook("out", 1)],
    };
    let layout = RowLayout { chunk_rows: 8, shard_chunks: 3 };
    let mut writer = ActivationWriter::create(folder, &capture, layout, NonFinite::Keep).unwrap();
    let numbers = (0..n_rows).map(|row| match broken {
        Some(bad) if bad == row => f32::NAN,
        _ => f32::from(row),
    });
    let numbers: Vec<f32> = numbers.collect();
    let inputs: Vec<f32> = numbers.iter().flat_map(|x| [*x, -x]).collect();
    let outputs: Vec<f32> = numbers.iter().map(|x| 10.0 * x).collect();
    let n = usize::from(n_rows);
    writer
        .append(NewRows {
            tokens: &vec![0; n],
            positions: &vec![0; n],
            documents: &vec![0; n],
            hooks: &[&inputs, &outputs],
        })
        .unwrap();
    writer.finish().unwrap();
}

fn config(batch_rows: usize, held_out: u64) -> StoreRowsConfig {
    StoreRowsConfig {
        hook: Some("in".to_owned()),
        target: None,
        batch_rows,
        pool_rows: 16,
        seed: 3,
        held_out,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small whole numbers")]
fn numbers(rows: &Rows) -> Vec<u16> {
    rows.inputs.rows().map(|row| row[0] as u16).collect()
}

fn dealt(source: &mut StoreRows, n_batches: usize) -> Vec<u16> {
    (0..n_batches).flat_map(|_| numbers(&source.next().unwrap())).collect()
}

#[test]
fn an_epoch_has_each_row_once_and_none_that_is_kept_back() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), 61, None);
    // The bound lies in a chunk, at its end, in the last chunk, in the first shard.
    for (held_out, batch_rows) in [(0, 61), (1, 12), (5, 8), (13, 16), (19, 7), (42, 19)] {
        let mut source = StoreRows::open(folder.path(), &config(batch_rows, held_out)).unwrap();
        let n = 61 - u16::try_from(held_out).unwrap();
        assert_eq!((source.n_rows(), source.n_held_out()), (u64::from(n), held_out));
        let n_batches = usize::from(n) / batch_rows;
        let mut last = Vec::new();
        for _ in 0..3 {
            let epoch = dealt(&mut source, n_batches);
            let different: BTreeSet<u16> = epoch.iter().copied().collect();
            assert_eq!(different.len(), epoch.len(), "a row came twice");
            assert!(different.iter().all(|row| *row < n), "{held_out}: {different:?}");
            assert!(n_batches * batch_rows < usize::from(n) || different.len() == usize::from(n));
            assert_ne!(epoch, last);
            last = epoch;
        }
        let sample = numbers(&source.sample(1000).unwrap());
        assert_eq!(sample.len(), usize::from(n));
        assert!(sample.iter().all(|row| *row < n));
        let kept: Vec<u16> = numbers(&source.held_out(0, 100).unwrap());
        assert_eq!(kept, (n..61).collect::<Vec<_>>());
        if held_out > 4 {
            assert_eq!(numbers(&source.held_out(2, 2).unwrap()), [n + 2, n + 3]);
            assert!(source.held_out(held_out + 1, 1).is_err());
        }
    }
}

#[test]
fn a_place_is_where_the_same_rows_go_on() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), 61, None);
    let config = config(9, 4);
    let mut source = StoreRows::open(folder.path(), &config).unwrap();
    let mut batches = Vec::new();
    for _ in 0..20 {
        let place = source.place();
        // A sample between two batches changes neither.
        source.sample(5).unwrap();
        batches.push((place, source.next().unwrap()));
    }
    let mut other = StoreRows::open(folder.path(), &config).unwrap();
    for (place, batch) in batches.iter().rev() {
        other.go_to(place).unwrap();
        assert_eq!(other.next().unwrap(), *batch, "{place}");
    }
    for place in ["", "0", "x 1", "0 58"] {
        assert!(other.go_to(place).is_err(), "{place}");
    }
}

#[test]
fn targets_are_those_of_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), 40, None);
    let config = StoreRowsConfig { target: Some("out".to_owned()), ..config(6, 3) };
    let mut source = StoreRows::open(folder.path(), &config).unwrap();
    assert_eq!(source.widths(), [2, 1]);
    for rows in [source.next().unwrap(), source.held_out(0, 9).unwrap()] {
        let targets = rows.targets.unwrap();
        let pairs = rows.inputs.rows().zip(targets.rows());
        assert!(pairs.into_iter().all(|(x, y)| (x[1].abs() * 10.0).total_cmp(&y[0]).is_eq()));
    }
}

#[test]
fn what_cannot_be_dealt_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), 20, None);
    let error = |config: &StoreRowsConfig| {
        StoreRows::open(folder.path(), config).err().unwrap().to_string()
    };
    let of = |hook: Option<&str>| StoreRowsConfig { hook: hook.map(str::to_owned), ..config(4, 2) };
    let unknown = error(&of(Some("middle")));
    assert!(unknown.contains("'middle'") && unknown.contains("in, out"), "{unknown}");
    let none = error(&of(None));
    assert!(none.contains("in, out") && none.contains("name one"), "{none}");
    let few = error(&config(4, 17));
    assert!(few.contains("3 rows, fewer than the 4"), "{few}");
    assert!(error(&config(4, 100)).contains("0 rows"));
    let other = folder.path().join("nothing");
    assert!(StoreRows::open(&other, &config(4, 0)).is_err());
}

#[test]
fn a_number_that_is_not_finite_is_found_in_its_row() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), 30, Some(17));
    let mut source = StoreRows::open(folder.path(), &config(5, 4)).unwrap();
    let error = (0..5).find_map(|_| source.next().err()).unwrap().to_string();
    assert!(error.contains("in: number 0 of row 17 is NaN"), "{error}");
}
