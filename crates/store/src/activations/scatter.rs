//! Rows of chunks to places anywhere in some batches, by several threads.
//!
//! Each row goes straight from the piece that was read, which a core still has in its cache, to its place in a batch,
//! and is converted on the way. So a shuffled row is written once, and whoever takes a batch copies nothing.

use std::fs::File;
use std::sync::{Mutex, PoisonError};
use std::thread::scope;

use super::capture::{DOCUMENTS, POSITIONS, TOKENS};
use super::reader::{ActivationReader, RowChunk};
use super::rows::{Rows, decode};
use crate::error::{Error, Result};
use crate::layout::{PIECE_BYTES, Piece};

/// Threads that read the chunks of a pool: while one waits for the disk, another checks what it got.
const READERS: usize = 4;

/// Bytes of the pieces that are read at once.
pub(crate) const READ_BYTES: usize = READERS * PIECE_BYTES;

/// A row of a batch, apart from its hooks.
struct Provenance<'a> {
    row_idx: &'a mut u64,
    token: &'a mut u32,
    position: &'a mut u32,
    document: &'a mut u64,
}

/// Where each row of some chunks goes, in the order of the chunks; `None` for rows that nobody waits for.
pub(crate) struct Places<'a> {
    rows: Vec<Option<Provenance<'a>>>,
    hooks: Vec<Vec<Option<&'a mut [f32]>>>,
}

/// The part of the places that one chunk has.
struct ChunkPlaces<'s, 'a> {
    rows: &'s mut [Option<Provenance<'a>>],
    hooks: Vec<&'s mut [Option<&'a mut [f32]>]>,
}

impl<'a> Places<'a> {
    /// Places of `n_rows` rows: the row `order[i]` goes to row `first + i` of the batches, counted through.
    pub(crate) fn new(
        n_rows: usize,
        order: &[u32],
        batches: &'a mut [Rows],
        mut first: usize,
        widths: &[usize],
    ) -> Self {
        let mut rows: Vec<_> = (0..n_rows).map(|_| None).collect();
        let mut hooks: Vec<Vec<_>> =
            widths.iter().map(|_| (0..n_rows).map(|_| None).collect()).collect();
        let mut left = order;
        for batch in batches {
            let (sources, rest) = left.split_at(left.len().min(batch.len() - first));
            let sources = || sources.iter().map(|source| *source as usize);
            let Rows { row_idx, tokens, positions, documents, hooks: numbers } = batch;
            let row_idx = row_idx.iter_mut().skip(first);
            let provenance = row_idx
                .zip(tokens.iter_mut().skip(first))
                .zip(positions.iter_mut().skip(first))
                .zip(documents.iter_mut().skip(first));
            for (source, (((row_idx, token), position), document)) in sources().zip(provenance) {
                rows[source] = Some(Provenance { row_idx, token, position, document });
            }
            for ((hook, numbers), width) in hooks.iter_mut().zip(numbers).zip(widths) {
                let numbers = numbers.chunks_exact_mut(*width).skip(first);
                sources().zip(numbers).for_each(|(source, row)| hook[source] = Some(row));
            }
            left = rest;
            first = 0;
        }
        Self { rows, hooks }
    }

    /// Bytes of the places of a row with so many hooks.
    pub(crate) fn row_bytes(n_hooks: usize) -> usize {
        size_of::<Option<Provenance>>() + n_hooks * size_of::<Option<&mut [f32]>>()
    }
}

impl ActivationReader {
    /// Reads chunks and puts each of their rows into its place. After an error, what is there means nothing.
    pub(crate) fn scatter(&self, chunks: &[RowChunk], places: &mut Places) -> Result<()> {
        let mut rows = &mut places.rows[..];
        let mut hooks: Vec<_> = places.hooks.iter_mut().map(|hook| &mut hook[..]).collect();
        let parts = chunks.iter().map(|chunk| {
            let n = chunk.n_rows;
            let hooks = hooks.iter_mut().map(|hook| hook.split_off_mut(..n).unwrap_or_default());
            let hooks = hooks.collect();
            (*chunk, ChunkPlaces { rows: rows.split_off_mut(..n).unwrap_or_default(), hooks })
        });
        let parts: Vec<_> = parts.collect();
        let n_readers = READERS.min(parts.len());
        let parts = Mutex::new(parts.into_iter());
        let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
        let read_on = || -> Result<()> {
            let mut piece = Piece::default();
            while let Some((chunk, to)) = next() {
                self.scatter_chunk(chunk, to, &mut piece)?;
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

    /// Asks the system to read chunks ahead, so that the disk works while these threads do.
    pub(crate) fn fetch_ahead(&self, chunks: &[RowChunk]) {
        for chunk in chunks {
            // Who reads the chunk tells of a file that cannot be opened.
            let Ok(file) = self.file.get(&self.source, chunk.shard_idx) else { return };
            let shard = &self.source.shards[chunk.shard_idx];
            for column_idx in [TOKENS, POSITIONS, DOCUMENTS].iter().chain(&self.column_idx) {
                shard.fetch_ahead(&file, *column_idx, chunk.chunk_idx);
            }
        }
    }

    fn scatter_chunk(&self, chunk: RowChunk, to: ChunkPlaces, piece: &mut Piece) -> Result<()> {
        let file = self.file.get(&self.source, chunk.shard_idx)?;
        let ChunkPlaces { rows, hooks } = to;
        self.visit_rows(&file, chunk, TOKENS, piece, |row, bytes| {
            if let Some(Some(row)) = rows.get_mut(row) {
                *row.token = bytemuck::pod_read_unaligned(bytes);
            }
        })?;
        self.visit_rows(&file, chunk, POSITIONS, piece, |row, bytes| {
            if let Some(Some(row)) = rows.get_mut(row) {
                *row.position = bytemuck::pod_read_unaligned(bytes);
            }
        })?;
        self.visit_rows(&file, chunk, DOCUMENTS, piece, |row, bytes| {
            if let Some(Some(row)) = rows.get_mut(row) {
                *row.document = bytemuck::pod_read_unaligned(bytes);
            }
        })?;
        for (hook, column_idx) in hooks.into_iter().zip(&self.column_idx) {
            self.visit_rows(&file, chunk, *column_idx, piece, |row, bytes| {
                if let Some(Some(numbers)) = hook.get_mut(row) {
                    decode(self.capture.dtype, bytes, numbers);
                }
            })?;
        }
        for (place, row_idx) in rows.iter_mut().zip(chunk.first_row..) {
            if let Some(place) = place {
                *place.row_idx = row_idx;
            }
        }
        Ok(())
    }

    /// Hands on the bytes of each row of a chunk's column, with its place in the chunk: of a whole one, as it is stored.
    fn visit_rows(
        &self,
        file: &File,
        chunk: RowChunk,
        column_idx: usize,
        piece: &mut Piece,
        mut put: impl FnMut(usize, &[u8]),
    ) -> Result<()> {
        let row_bytes = self.source.schema.columns[column_idx].row_bytes();
        let at = (column_idx, chunk.chunk_idx);
        self.source.shards[chunk.shard_idx].visit_chunk(file, at, piece, |first, bytes| {
            for (row, bytes) in (first..).zip(bytes.chunks_exact(row_bytes)) {
                put(row, bytes);
            }
        })
    }
}
