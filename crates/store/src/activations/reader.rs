//! Reading activations: what there is, rows in their order, and whole chunks.

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread::scope;

use super::capture::{ACTIVATIONS, DOCUMENTS, HOOKS, N_FIXED, POSITIONS, TOKENS};
use super::rows::{Rows, Stored};
use super::{Capture, Dtype, RowLayout};
use crate::error::{Error, Result};
use crate::layout::index;
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
    source: Source,
    capture: Capture,
    /// The column of each hook.
    column_idx: Vec<usize>,
    layout: RowLayout,
    /// The first row of each shard, and the number of all rows.
    first_rows: Vec<u64>,
    file: LastFile,
}

/// One chunk, among all of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowChunk {
    shard_idx: usize,
    chunk_idx: usize,
    /// Its first row, counted over the whole store.
    pub(crate) first_row: u64,
    pub(crate) n_rows: usize,
}

/// Threads that read the chunks of a pool.
const READERS: usize = 4;

/// Where the rows of a chunk are put, as they are stored.
struct ChunkRows<'a> {
    tokens: &'a mut [u32],
    positions: &'a mut [u32],
    documents: &'a mut [u64],
    row_idx: &'a mut [u64],
    hooks: Vec<&'a mut [u8]>,
}

impl<'a> ChunkRows<'a> {
    /// Splits off the first `n` rows.
    fn take(&mut self, n: usize, row_bytes: &[usize]) -> Self {
        let hooks = self.hooks.iter_mut().zip(row_bytes);
        let hooks: Vec<&'a mut [u8]> = hooks
            .map(|(hook, bytes)| hook.split_off_mut(..n * bytes).unwrap_or_default())
            .collect();
        ChunkRows {
            tokens: self.tokens.split_off_mut(..n).unwrap_or_default(),
            positions: self.positions.split_off_mut(..n).unwrap_or_default(),
            documents: self.documents.split_off_mut(..n).unwrap_or_default(),
            row_idx: self.row_idx.split_off_mut(..n).unwrap_or_default(),
            hooks,
        }
    }
}

/// Rows as they are stored, for hooks in the order of the reader.
#[derive(Debug)]
pub(crate) struct StoredRows {
    pub(crate) tokens: Vec<u32>,
    pub(crate) positions: Vec<u32>,
    pub(crate) documents: Vec<u64>,
    pub(crate) row_idx: Vec<u64>,
    pub(crate) hooks: Vec<Stored>,
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
        Ok(Self {
            source,
            capture: expected.clone(),
            column_idx,
            layout,
            first_rows,
            file: LastFile::default(),
        })
    }

    /// What was expected, and is there.
    pub fn capture(&self) -> &Capture {
        &self.capture
    }

    /// How rows are laid out.
    pub fn layout(&self) -> RowLayout {
        self.layout
    }

    /// Rows of the store.
    pub fn n_rows(&self) -> u64 {
        self.first_rows.last().copied().unwrap_or(0)
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
        let mut stored = None;
        let mut at = 0;
        while at < n {
            let chunk = self.chunk_at(rows.start + at as u64);
            let is_whole = rows.start + at as u64 == chunk.first_row && chunk.n_rows <= n - at;
            if is_whole && self.capture.dtype == Dtype::F32 {
                self.read_whole(chunk, into, at)?;
                at += chunk.n_rows;
                continue;
            }
            let stored = stored.get_or_insert_with(|| self.buffer(self.layout.chunk_rows));
            self.read_chunks(&[chunk], stored)?;
            let skip = index(rows.start + at as u64 - chunk.first_row);
            let take = (chunk.n_rows - skip).min(n - at);
            into.row_idx[at..at + take].copy_from_slice(&stored.row_idx[skip..skip + take]);
            into.tokens[at..at + take].copy_from_slice(&stored.tokens[skip..skip + take]);
            into.positions[at..at + take].copy_from_slice(&stored.positions[skip..skip + take]);
            into.documents[at..at + take].copy_from_slice(&stored.documents[skip..skip + take]);
            for ((hook, width), stored) in into.hooks.iter_mut().zip(&widths).zip(&stored.hooks) {
                stored.decode(skip * width, &mut hook[at * width..(at + take) * width]);
            }
            at += take;
        }
        Ok(())
    }

    pub(crate) fn widths(&self) -> Vec<usize> {
        self.capture.hooks.iter().map(|hook| hook.width).collect()
    }

    /// Bytes of a row in the stored type, with all that belongs to it.
    pub(crate) fn row_bytes(&self) -> usize {
        let width: usize = self.widths().iter().sum();
        width * self.capture.dtype.element().bytes() + 24
    }

    /// Memory for `n` rows in the stored type.
    pub(crate) fn buffer(&self, n: usize) -> StoredRows {
        let hooks =
            self.widths().into_iter().map(|width| Stored::zeros(self.capture.dtype, n * width));
        StoredRows {
            tokens: vec![0; n],
            positions: vec![0; n],
            documents: vec![0; n],
            row_idx: vec![0; n],
            hooks: hooks.collect(),
        }
    }

    /// All chunks in their order.
    pub(crate) fn chunks(&self) -> Vec<RowChunk> {
        let shards = self.source.shards.iter().enumerate();
        shards
            .flat_map(|(shard_idx, shard)| {
                let n_chunks = shard.n_chunks(TOKENS);
                (0..n_chunks).map(move |chunk_idx| self.chunk(shard_idx, chunk_idx))
            })
            .collect()
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

    /// Reads chunks into the rows of a buffer, one after the other in their order.
    ///
    /// Some threads share the work: while one waits for the disk, another checks what it got.
    pub(crate) fn read_chunks(&self, chunks: &[RowChunk], into: &mut StoredRows) -> Result<()> {
        let element = self.capture.dtype.element().bytes();
        let row_bytes = self.capture.hooks.iter().map(|hook| hook.width * element);
        let mut rest = ChunkRows {
            tokens: &mut into.tokens,
            positions: &mut into.positions,
            documents: &mut into.documents,
            row_idx: &mut into.row_idx,
            hooks: into.hooks.iter_mut().map(Stored::bytes_mut).collect(),
        };
        let row_bytes: Vec<_> = row_bytes.collect();
        let parts = chunks.iter().map(|chunk| (*chunk, rest.take(chunk.n_rows, &row_bytes)));
        let parts: Vec<_> = parts.collect();
        let n_readers = READERS.min(parts.len());
        let parts = Mutex::new(parts.into_iter());
        let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
        let read_on = || -> Result<()> {
            while let Some((chunk, to)) = next() {
                self.read_into(chunk, to)?;
            }
            Ok(())
        };
        scope(|scope| {
            let readers: Vec<_> = (1..n_readers).map(|_| scope.spawn(read_on)).collect();
            let mine = read_on();
            let others = readers.into_iter().map(|one| one.join().unwrap_or(Err(Error::Stopped)));
            others.fold(mine, Result::and)
        })
    }

    /// Reads a chunk of f32, which need no conversion, to its place.
    fn read_whole(&self, chunk: RowChunk, into: &mut Rows, at: usize) -> Result<()> {
        let rows = at..at + chunk.n_rows;
        let hooks = into.hooks.iter_mut().zip(&self.capture.hooks).map(|(numbers, hook)| {
            let numbers = &mut numbers[rows.start * hook.width..rows.end * hook.width];
            bytemuck::cast_slice_mut(numbers)
        });
        let to = ChunkRows {
            tokens: &mut into.tokens[rows.clone()],
            positions: &mut into.positions[rows.clone()],
            documents: &mut into.documents[rows.clone()],
            row_idx: &mut into.row_idx[rows.clone()],
            hooks: hooks.collect(),
        };
        self.read_into(chunk, to)
    }

    fn read_into(&self, chunk: RowChunk, to: ChunkRows) -> Result<()> {
        let file = self.file.get(&self.source, chunk.shard_idx)?;
        let shard = &self.source.shards[chunk.shard_idx];
        let read = |column_idx, bytes: &mut [u8]| {
            shard.read_chunk(&file, column_idx, chunk.chunk_idx, bytes)
        };
        read(TOKENS, bytemuck::cast_slice_mut(to.tokens))?;
        read(POSITIONS, bytemuck::cast_slice_mut(to.positions))?;
        read(DOCUMENTS, bytemuck::cast_slice_mut(to.documents))?;
        for (bytes, column_idx) in to.hooks.into_iter().zip(&self.column_idx) {
            read(*column_idx, bytes)?;
        }
        for (row_idx, row) in to.row_idx.iter_mut().zip(chunk.first_row..) {
            *row_idx = row;
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
