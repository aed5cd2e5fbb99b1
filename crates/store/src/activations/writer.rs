//! Writing activations as they come.

use std::path::Path;

use super::capture::{DOCUMENTS, N_FIXED, POSITIONS, TOKENS};
use super::rows::Stored;
use super::{BosRule, Capture, RowLayout};
use crate::error::{Error, Result, same_count};
use crate::sink::Sink;

/// What happens to activations that are not finite, or too large for the stored type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonFinite {
    /// Their rows are refused, and nothing of the call is written.
    Refuse,
    /// They are stored as infinities and NaN.
    Keep,
}

/// Rows to append: one entry each in `tokens`, `positions` and `documents`, and in every hook of
/// the capture, in its order, `width` numbers.
#[derive(Clone, Copy, Debug)]
pub struct NewRows<'a> {
    /// The token of each row. \[n\]
    pub tokens: &'a [u32],
    /// Its position in the sequence that the model saw, from 0. \[n\]
    pub positions: &'a [u32],
    /// The document it comes from. \[n\]
    pub documents: &'a [u64],
    /// The numbers of each hook, row after row. \[hook\]\[n · width\]
    pub hooks: &'a [&'a [f32]],
}

/// Writes a store of activations.
///
/// A shard is written under a temporary name and renamed when it is complete and on the disk.
/// [`Self::finish`] writes the index, without which no reader opens the store. A writer that was
/// killed, or dropped, leaves its complete shards; [`Self::resume`] goes on after them, and the
/// store then has the same bytes as one that was written at a stretch.
///
/// It holds one chunk of each data set in memory.
pub struct ActivationWriter {
    sink: Sink,
    capture: Capture,
    layout: RowLayout,
    non_finite: NonFinite,
    /// The document of the last row that this writer wrote.
    last_document: Option<u64>,
}

impl ActivationWriter {
    /// Begins a store in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Setting`] for a capture or layout that cannot be; [`Error::Exists`] if the folder
    /// holds a store; [`Error::Locked`] if another writer is at work in it.
    pub fn create(
        folder: &Path,
        capture: &Capture,
        layout: RowLayout,
        non_finite: NonFinite,
    ) -> Result<Self> {
        let sink = Sink::create(folder, capture.schema(layout)?)?;
        Ok(Self::new(sink, capture, layout, non_finite))
    }

    /// Goes on after the last complete shard, or begins where there is none. [`Self::n_rows`] tells
    /// how many rows are there; the caller goes on with the row after them.
    ///
    /// # Errors
    /// As for [`Self::create`]; [`Error::Finished`] if nothing is to be resumed;
    /// [`Error::Mismatch`] if the shards hold another capture or have another layout.
    pub fn resume(
        folder: &Path,
        capture: &Capture,
        layout: RowLayout,
        non_finite: NonFinite,
    ) -> Result<Self> {
        let sink = Sink::resume(folder, capture.schema(layout)?)?;
        Ok(Self::new(sink, capture, layout, non_finite))
    }

    fn new(sink: Sink, capture: &Capture, layout: RowLayout, non_finite: NonFinite) -> Self {
        Self { sink, capture: capture.clone(), layout, non_finite, last_document: None }
    }

    /// Rows of the store so far: complete shards, and what was appended since.
    pub fn n_rows(&self) -> u64 {
        self.sink.n_complete_rows(TOKENS) + self.sink.n_open_rows(TOKENS) as u64
    }

    /// Appends rows. How a stream is cut into calls does not matter.
    ///
    /// # Errors
    /// [`Error::Shape`] if lengths disagree; [`Error::Bos`] if a row that begins a sequence or
    /// document breaks the rule of the capture; [`Error::NonFinite`] for numbers that the stored
    /// type cannot hold. Nothing is written then, and the writer can go on. After any other error
    /// it refuses to ([`Error::Failed`]), and the store is to be resumed.
    pub fn append(&mut self, rows: NewRows) -> Result<()> {
        let n = rows.tokens.len();
        same_count("positions", n, rows.positions.len())?;
        same_count("documents", n, rows.documents.len())?;
        same_count("hooks", self.capture.hooks.len(), rows.hooks.len())?;
        for (hook, values) in self.capture.hooks.iter().zip(rows.hooks) {
            let expected = n.saturating_mul(hook.width);
            same_count(&format!("numbers of {}", hook.name), expected, values.len())?;
        }
        self.check_bos(rows)?;
        let encoded = rows.hooks.iter().map(|values| Stored::encode(self.capture.dtype, values));
        let encoded: Vec<_> = encoded.collect();
        if self.non_finite == NonFinite::Refuse {
            self.check_finite(rows, &encoded)?;
        }
        let mut start = 0;
        while start < n {
            // Cut at chunks, so that these lie in the file in an order that calls do not change.
            let open = self.sink.n_open_rows(TOKENS);
            let end = n.min(start + self.layout.chunk_rows - open % self.layout.chunk_rows);
            self.sink.append(TOKENS, bytemuck::cast_slice(&rows.tokens[start..end]))?;
            self.sink.append(POSITIONS, bytemuck::cast_slice(&rows.positions[start..end]))?;
            self.sink.append(DOCUMENTS, bytemuck::cast_slice(&rows.documents[start..end]))?;
            for (hook_idx, (hook, stored)) in self.capture.hooks.iter().zip(&encoded).enumerate() {
                let row_bytes = hook.width * self.capture.dtype.element().bytes();
                let bytes = &stored.bytes()[start * row_bytes..end * row_bytes];
                self.sink.append(N_FIXED + hook_idx, bytes)?;
            }
            if self.sink.n_open_rows(TOKENS) == self.layout.shard_rows() {
                self.sink.close_shard()?;
            }
            start = end;
        }
        self.last_document = rows.documents.last().copied().or(self.last_document);
        Ok(())
    }

    /// Completes the last shard and the store.
    ///
    /// # Errors
    /// [`Error::Empty`] if no row was written; [`Error::Io`] and [`Error::Hdf5`] if the disk is full.
    pub fn finish(self) -> Result<()> {
        self.sink.finish()
    }

    /// Sequences begin at position 0; so do documents whose first row has position 0.
    fn check_bos(&self, rows: NewRows) -> Result<()> {
        let (token, begins) = match self.capture.bos {
            BosRule::Absent => return Ok(()),
            BosRule::EachSequence { token } => (token, "sequence"),
            BosRule::EachDocument { token } => (token, "document"),
        };
        let first = self.n_rows();
        let mut last_document = self.last_document;
        for (at, got) in rows.tokens.iter().enumerate() {
            let document = rows.documents[at];
            let is_new = match last_document {
                Some(last) => last != document,
                None => first == 0,
            };
            last_document = Some(document);
            let begins_here = rows.positions[at] == 0 && (begins == "sequence" || is_new);
            if begins_here && *got != token {
                return Err(Error::Bos {
                    row: first + at as u64,
                    begins,
                    expected: token,
                    got: *got,
                });
            }
        }
        Ok(())
    }

    fn check_finite(&self, rows: NewRows, encoded: &[Stored]) -> Result<()> {
        for ((hook, values), stored) in self.capture.hooks.iter().zip(rows.hooks).zip(encoded) {
            if let Some(at) = stored.first_non_finite() {
                return Err(Error::NonFinite {
                    hook: hook.name.clone(),
                    row: self.n_rows() + (at / hook.width) as u64,
                    column: at % hook.width,
                    value: values[at],
                    dtype: self.capture.dtype.name(),
                });
            }
        }
        Ok(())
    }
}
