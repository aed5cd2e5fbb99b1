//! Reading activations: what there is, rows in their order, and whole chunks.

use std::ops::Range;
use std::path::Path;

use super::capture::{ACTIVATIONS, DOCUMENTS, HOOKS, N_FIXED, POSITIONS, TOKENS};
use super::rows::{Rows, decode};
use super::{Capture, Dtype, RowLayout};
use crate::error::{Error, Result};
use crate::layout::{Piece, index};
use crate::source::{LastFile, Source};

/// What a store of activations says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// What it holds.
    pub capture: Capture,
    /// Its rows.
    pub n_rows: u64,
    /// How they are laid out.
    pub layout: RowLayout,
}

/// Reads a finished store of activations.
///
/// Opening reads the metadata of all shards and no row; every chunk that is read later is checked
/// against its checksum. Reading needs no more memory than the rows asked for, and one chunk where
/// they do not begin and end with one.
#[derive(Debug)]
pub struct ActivationReader {
    pub(super) source: Source,
    pub(super) capture: Capture,
    /// The column of each hook.
    pub(super) column_idx: Vec<usize>,
    layout: RowLayout,
    /// The first row of each shard, and the number of all rows.
    first_rows: Vec<u64>,
    /// Rows that there are for whoever asks.
    n_rows: u64,
    pub(super) file: LastFile,
}

/// One chunk, among all of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowChunk {
    pub(super) shard_idx: usize,
    pub(super) chunk_idx: usize,
    /// Its first row, counted over the whole store.
    pub(crate) first_row: u64,
    pub(crate) n_rows: usize,
}

impl ActivationReader {
    /// What a store holds, for one who does not know it yet.
    ///
    /// # Errors
    /// As for [`Self::open`], but for a mismatch.
    pub fn describe(folder: &Path) -> Result<Description> {
        let source = Source::open(folder, ACTIVATIONS)?;
        let (capture, layout) = Capture::from_schema(&source.schema, folder)?;
        Ok(Description { capture, n_rows: source.n_rows(TOKENS), layout })
    }

    /// Opens a store that must hold what is `expected`. Its hooks may be some of the store's, in
    /// any order; rows come with exactly these.
    ///
    /// # Errors
    /// [`Error::Mismatch`] names the first field that differs. [`Error::Unfinished`],
    /// [`Error::MissingShard`], [`Error::Foreign`], [`Error::Version`], [`Error::Damaged`] and
    /// [`Error::Hdf5`] say what is wrong with which file.
    pub fn open(folder: &Path, expected: &Capture) -> Result<Self> {
        expected.check()?;
        let source = Source::open(folder, ACTIVATIONS)?;
        let (found, layout) = Capture::from_schema(&source.schema, folder)?;
        let column_idx = must_hold(expected, &found, folder)?;
        let mut first_rows = vec![0];
        for (shard_idx, shard) in source.shards.iter().enumerate() {
            let n_rows = shard.n_rows(TOKENS);
            let is_last = shard_idx + 1 == source.shards.len();
            let is_full =
                n_rows == layout.shard_rows() || (is_last && n_rows < layout.shard_rows());
            let is_even = (0..source.schema.columns.len()).all(|at| shard.n_rows(at) == n_rows);
            if !is_full || !is_even || n_rows == 0 {
                let expected = format!("{} in each data set", layout.shard_rows());
                return Err(Error::damaged(&shard.path, "rows", expected, n_rows));
            }
            first_rows.push(first_rows[shard_idx] + n_rows as u64);
        }
        let n_rows = first_rows.last().copied().unwrap_or(0);
        Ok(Self {
            source,
            capture: expected.clone(),
            column_idx,
            layout,
            first_rows,
            n_rows,
            file: LastFile::default(),
        })
    }

    /// The first rows of the store: those after them are as if they were not there, for [`Shuffle`](crate::Shuffle) too.
    ///
    /// # Errors
    /// [`Error::Setting`] for none, or more than there are.
    pub fn first(mut self, n_rows: u64) -> Result<Self> {
        if n_rows == 0 || n_rows > self.n_rows {
            return Err(Error::setting("rows", &format!("1 to {}", self.n_rows), n_rows));
        }
        self.n_rows = n_rows;
        Ok(self)
    }

    /// What was expected, and is there.
    pub fn capture(&self) -> &Capture {
        &self.capture
    }

    /// How rows are laid out.
    pub fn layout(&self) -> RowLayout {
        self.layout
    }

    /// Rows of the store, or those of [`Self::first`].
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Reads rows in their order into `into`, whose memory is reused.
    ///
    /// # Errors
    /// [`Error::Shape`] if the range ends past the last row; [`Error::Io`] and [`Error::Damaged`]
    /// name the file.
    pub fn read(&self, rows: Range<u64>, into: &mut Rows) -> Result<()> {
        if rows.end > self.n_rows() || rows.start > rows.end {
            let what = "end of a range of rows".to_owned();
            return Err(Error::Shape { what, expected: self.n_rows(), got: rows.end });
        }
        let n = usize::try_from(rows.end - rows.start)
            .map_err(|_| Error::setting("rows", "fewer than fit into memory", rows.end))?;
        let widths = self.widths();
        into.resize(n, &widths);
        let mut piece = Piece::default();
        let mut at = 0;
        while at < n {
            let row = rows.start + at as u64;
            let chunk = self.chunk_at(row);
            let skip = index(row - chunk.first_row);
            let take = (chunk.n_rows - skip).min(n - at);
            if take == chunk.n_rows && self.capture.dtype == Dtype::F32 {
                self.read_whole(chunk, into, at)?;
            } else {
                self.read_part(chunk, skip..skip + take, into, at, &mut piece)?;
            }
            for (row_idx, row) in into.row_idx[at..at + take].iter_mut().zip(row..) {
                *row_idx = row;
            }
            at += take;
        }
        Ok(())
    }

    pub(crate) fn widths(&self) -> Vec<usize> {
        self.capture.hooks.iter().map(|hook| hook.width).collect()
    }

    /// Bytes of a row in memory, with all that belongs to it.
    pub(crate) fn row_bytes(&self) -> usize {
        self.widths().iter().sum::<usize>() * size_of::<f32>() + 24
    }

    /// All chunks in their order; the last one may be the beginning of a longer one.
    pub(crate) fn chunks(&self) -> Vec<RowChunk> {
        let shards = self.source.shards.iter().enumerate();
        let all = shards.flat_map(|(shard_idx, shard)| {
            let n_chunks = shard.n_chunks(TOKENS);
            (0..n_chunks).map(move |chunk_idx| self.chunk(shard_idx, chunk_idx))
        });
        let there = all.take_while(|chunk| chunk.first_row < self.n_rows);
        let cut = |chunk: RowChunk| {
            let n_rows = chunk.n_rows.min(index(self.n_rows - chunk.first_row));
            RowChunk { n_rows, ..chunk }
        };
        there.map(cut).collect()
    }

    fn chunk(&self, shard_idx: usize, chunk_idx: usize) -> RowChunk {
        let rows = self.source.shards[shard_idx].chunk_rows(TOKENS, chunk_idx);
        let first_row = self.first_rows[shard_idx] + rows.start as u64;
        RowChunk { shard_idx, chunk_idx, first_row, n_rows: rows.len() }
    }

    /// The chunk that holds a row.
    fn chunk_at(&self, row: u64) -> RowChunk {
        let shard_idx = self.first_rows.partition_point(|first| *first <= row) - 1;
        let within = row - self.first_rows[shard_idx];
        self.chunk(shard_idx, index(within / self.layout.chunk_rows as u64))
    }

    /// Reads a chunk of f32, which need no conversion, to its place.
    fn read_whole(&self, chunk: RowChunk, into: &mut Rows, at: usize) -> Result<()> {
        let file = self.file.get(&self.source, chunk.shard_idx)?;
        let shard = &self.source.shards[chunk.shard_idx];
        let rows = at..at + chunk.n_rows;
        let read = |column_idx, bytes: &mut [u8]| {
            shard.read_chunk(&file, column_idx, chunk.chunk_idx, bytes)
        };
        read(TOKENS, bytemuck::cast_slice_mut(&mut into.tokens[rows.clone()]))?;
        read(POSITIONS, bytemuck::cast_slice_mut(&mut into.positions[rows.clone()]))?;
        read(DOCUMENTS, bytemuck::cast_slice_mut(&mut into.documents[rows.clone()]))?;
        let hooks = into.hooks.iter_mut().zip(&self.capture.hooks).zip(&self.column_idx);
        for ((numbers, hook), column_idx) in hooks {
            let numbers = &mut numbers[rows.start * hook.width..rows.end * hook.width];
            read(*column_idx, bytemuck::cast_slice_mut(numbers))?;
        }
        Ok(())
    }

    /// Reads the `wanted` rows of a chunk, converted, to row `at` and those after it.
    fn read_part(
        &self,
        chunk: RowChunk,
        wanted: Range<usize>,
        into: &mut Rows,
        at: usize,
        piece: &mut Piece,
    ) -> Result<()> {
        let file = self.file.get(&self.source, chunk.shard_idx)?;
        let shard = &self.source.shards[chunk.shard_idx];
        // Copies the rows of a piece that are wanted by a function from bytes to elements.
        let mut read = |column_idx: usize, copy: &mut dyn FnMut(&[u8], Range<usize>)| {
            let row_bytes = self.source.schema.columns[column_idx].row_bytes();
            shard.visit_chunk(&file, (column_idx, chunk.chunk_idx), piece, |first, bytes| {
                let start = first.max(wanted.start);
                let end = (first + bytes.len() / row_bytes).min(wanted.end);
                if start < end {
                    let bytes = &bytes[(start - first) * row_bytes..(end - first) * row_bytes];
                    copy(bytes, at + start - wanted.start..at + end - wanted.start);
                }
            })
        };
        let Rows { tokens, positions, documents, hooks, .. } = into;
        read(TOKENS, &mut |bytes, to| {
            bytemuck::cast_slice_mut(&mut tokens[to]).copy_from_slice(bytes);
        })?;
        read(POSITIONS, &mut |bytes, to| {
            bytemuck::cast_slice_mut(&mut positions[to]).copy_from_slice(bytes);
        })?;
        read(DOCUMENTS, &mut |bytes, to| {
            bytemuck::cast_slice_mut(&mut documents[to]).copy_from_slice(bytes);
        })?;
        for ((numbers, hook), column_idx) in
            hooks.iter_mut().zip(&self.capture.hooks).zip(&self.column_idx)
        {
            let (dtype, width) = (self.capture.dtype, hook.width);
            read(*column_idx, &mut |bytes, to| {
                decode(dtype, bytes, &mut numbers[to.start * width..to.end * width]);
            })?;
        }
        Ok(())
    }
}

/// Refuses a store that holds something else, and finds the columns of the expected hooks.
fn must_hold(expected: &Capture, found: &Capture, path: &Path) -> Result<Vec<usize>> {
    let mismatch = |field: &str, expected: String, found: String| Error::Mismatch {
        path: path.to_owned(),
        field: field.to_owned(),
        expected,
        found,
    };
    let fields = [
        ("model_sha256", &expected.model_sha256, &found.model_sha256),
        ("tokenizer_sha256", &expected.tokenizer_sha256, &found.tokenizer_sha256),
        ("text_sha256", &expected.text_sha256, &found.text_sha256),
    ];
    for (field, expected, found) in fields {
        if expected != found {
            return Err(mismatch(field, expected.clone(), found.clone()));
        }
    }
    if expected.bos != found.bos {
        return Err(mismatch("bos", format!("{:?}", expected.bos), format!("{:?}", found.bos)));
    }
    if expected.dtype != found.dtype {
        return Err(mismatch("dtype", expected.dtype.name().into(), found.dtype.name().into()));
    }
    let mut columns = Vec::new();
    for hook in &expected.hooks {
        let Some(at) = found.hooks.iter().position(|other| other.name == hook.name) else {
            let names: Vec<_> = found.hooks.iter().map(|hook| hook.name.as_str()).collect();
            return Err(mismatch("hooks", hook.name.clone(), names.join(", ")));
        };
        let other = &found.hooks[at];
        if hook.width != other.width {
            let field = format!("width of {HOOKS}{}", hook.name);
            return Err(mismatch(&field, hook.width.to_string(), other.width.to_string()));
        }
        if hook.normalization != other.normalization {
            let field = format!("normalization of {HOOKS}{}", hook.name);
            let tell = |hook: &super::Hook| format!("{:?}", hook.normalization);
            return Err(mismatch(&field, tell(hook), tell(other)));
        }
        columns.push(N_FIXED + at);
    }
    Ok(columns)
}
