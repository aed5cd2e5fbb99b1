//! Stores as their users meet them: written, read, refused, damaged.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
#![allow(clippy::cast_possible_truncation, reason = "numbers of tests are small")]

mod activations;
mod attributes;
mod corpus;
mod refusals;
mod shuffle;

use std::fs;
use std::path::Path;

use store::{
    ActivationWriter, BosRule, Capture, Dtype, Hook, NewRows, NonFinite, Normalization, RowLayout,
};

/// A hook of raw rows.
fn hook(name: &str, width: usize) -> Hook {
    Hook { name: name.to_owned(), width, normalization: Normalization::Raw }
}

/// A capture of two hooks, 3 and 2 wide.
fn capture(dtype: Dtype) -> Capture {
    Capture {
        model_sha256: "a".repeat(64),
        tokenizer_sha256: "b".repeat(64),
        text_sha256: "c".repeat(64),
        bos: BosRule::EachSequence { token: 1 },
        dtype,
        hooks: vec![hook("blocks.0.resid_post", 3), hook("blocks.1.resid_post", 2)],
    }
}

/// Four rows a chunk, twelve a shard.
const LAYOUT: RowLayout = RowLayout { chunk_rows: 4, shard_chunks: 3 };

/// The token, position and document of a row, in sequences of five that begin with token 1.
fn provenance(row: u64) -> (u32, u32, u64) {
    let position = (row % 5) as u32;
    (if position == 0 { 1 } else { 2 + (row % 7) as u32 }, position, row / 10)
}

/// A number that every stored type holds exactly, different for neighbors.
fn number(row: u64, hook: usize, column: usize) -> f32 {
    ((row * 5 + hook as u64 * 3 + column as u64) % 127) as f32 - 63.0
}

/// The numbers of rows of one hook.
fn numbers(rows: std::ops::Range<u64>, hook: usize, width: usize) -> Vec<f32> {
    rows.flat_map(|row| (0..width).map(move |column| number(row, hook, column))).collect()
}

/// Appends rows as [`provenance`] and [`number`] give them.
fn append(writer: &mut ActivationWriter, rows: std::ops::Range<u64>) -> store::Result<()> {
    let all: Vec<_> = rows.clone().map(provenance).collect();
    let tokens: Vec<_> = all.iter().map(|row| row.0).collect();
    let positions: Vec<_> = all.iter().map(|row| row.1).collect();
    let documents: Vec<_> = all.iter().map(|row| row.2).collect();
    let (first, second) = (numbers(rows.clone(), 0, 3), numbers(rows, 1, 2));
    writer.append(NewRows {
        tokens: &tokens,
        positions: &positions,
        documents: &documents,
        hooks: &[&first, &second],
    })
}

/// Writes a finished store of `n` rows, in calls of seven.
fn write(folder: &Path, dtype: Dtype, n: u64) {
    let mut writer =
        ActivationWriter::create(folder, &capture(dtype), LAYOUT, NonFinite::Refuse).unwrap();
    for start in (0..n).step_by(7) {
        append(&mut writer, start..n.min(start + 7)).unwrap();
    }
    assert_eq!(writer.n_rows(), n);
    writer.finish().unwrap();
}

/// A file: its name and bytes.
type NamedBytes = (String, Vec<u8>);

/// The names and bytes of the files of a store.
fn files(folder: &Path) -> Vec<NamedBytes> {
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())
        })
        .collect();
    all.sort();
    all
}
