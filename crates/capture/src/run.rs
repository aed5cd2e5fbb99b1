//! The loop: documents in, rows of activations out.

use std::path::{Path, PathBuf};

use lm::{Hooks, Tokens, Transformer};
use store::{ActivationWriter, NewRows, NonFinite};

use crate::error::{CaptureError, Result};
use crate::sequences::{BatchesOf, Document, Sequence};
use crate::settings::{Origin, Settings};

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows in the store.
    pub n_rows: u64,
    /// How many of them this run computed; those that were there before are not among them.
    pub n_new_rows: u64,
}

/// A store that is being written.
pub struct Run<'a> {
    model: &'a Transformer,
    settings: &'a Settings,
    writer: ActivationWriter,
    folder: PathBuf,
}

impl<'a> Run<'a> {
    /// Makes a store in a folder, or opens one that was killed to go on after its last complete shard.
    ///
    /// # Errors
    ///
    /// As [`Settings::capture`]; [`CaptureError::Settings`] for a folder that was begun with other
    /// settings, [`CaptureError::Store`] for one of another origin, a finished one, or one that another
    /// program writes.
    pub fn begin(
        model: &'a Transformer,
        origin: &Origin,
        settings: &'a Settings,
        folder: &Path,
    ) -> Result<Self> {
        let capture = settings.capture(model.config(), origin)?;
        let layout = settings.layout(&capture);
        let writer = if settings.is_begun(folder)? {
            ActivationWriter::resume(folder, &capture, layout, NonFinite::Refuse)?
        } else {
            let writer = ActivationWriter::create(folder, &capture, layout, NonFinite::Refuse)?;
            settings.keep(folder)?;
            writer
        };
        Ok(Self { model, settings, writer, folder: folder.to_owned() })
    }

    /// Rows that are there already.
    pub fn n_rows(&self) -> u64 {
        self.writer.n_rows()
    }

    /// Writes a row for each token of the documents, in their order, and completes the store; returns
    /// its rows.
    ///
    /// A document is cut into sequences of [`Settings::context`] tokens. Its rows lie together in the order
    /// of its tokens, with those of the token that begins sequences between them, so that labels of tokens
    /// are labels of rows.
    ///
    /// Sequences of a batch are padded to the longest at their ends, which causal attention never sees,
    /// and the rows of padding are left out. Batches whose rows are all there are not computed again, and
    /// the one in which a killed run stopped is computed whole; so the store has the same bytes however
    /// often it was resumed.
    ///
    /// # Errors
    ///
    /// [`CaptureError::Text`] for a document that cannot be read; [`CaptureError::Lm`] for a token that
    /// the model does not know; [`CaptureError::TooMany`] if the store holds more rows than the text
    /// has; [`CaptureError::Store`] for activations that the stored type cannot hold, or a full disk.
    pub fn write<E>(
        mut self,
        documents: impl Iterator<Item = std::result::Result<Document, E>>,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<u64>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let documents =
            documents.map(|document| document.map_err(|error| CaptureError::Text(error.into())));
        let Settings { bos, context, batch, most_rows, .. } = *self.settings;
        let n_there = self.writer.n_rows();
        let most_rows = most_rows.unwrap_or(u64::MAX);
        let mut n_read = 0;
        for batch in BatchesOf::new(documents, bos, context, batch) {
            let batch = batch?;
            let n_batch: usize = batch.iter().map(|sequence| sequence.tokens.len()).sum();
            let end = n_read + n_batch as u64;
            if end > n_there {
                // Rows of the batch: those there are skipped, those past the end are left out.
                let from = place(n_there.saturating_sub(n_read));
                let to = place(most_rows - n_read).min(n_batch);
                self.append(&batch, from..to)?;
                let n_rows = self.writer.n_rows();
                on_progress(Progress { n_rows, n_new_rows: n_rows - n_there });
            }
            n_read = end.min(most_rows);
            if n_read == most_rows {
                break;
            }
        }
        let found = self.writer.n_rows();
        if found > n_read {
            return Err(CaptureError::TooMany { path: self.folder, expected: n_read, found });
        }
        self.writer.finish()?;
        Ok(found)
    }

    /// Computes a batch and appends some of its rows.
    fn append(&mut self, batch: &[Sequence], rows: std::ops::Range<usize>) -> Result<()> {
        let hooks = activations(self.model, self.settings, batch)?;
        let mut tokens = Vec::new();
        let mut positions = Vec::new();
        let mut documents = Vec::new();
        for sequence in batch {
            tokens.extend(&sequence.tokens);
            // A context is far below 2^32.
            positions.extend((0_u32..).take(sequence.tokens.len()));
            documents.extend(vec![sequence.document; sequence.tokens.len()]);
        }
        let hooks: Vec<&[f32]> = hooks
            .iter()
            .map(|(width, numbers)| &numbers[rows.start * width..rows.end * width])
            .collect();
        self.writer.append(NewRows {
            tokens: &tokens[rows.clone()],
            positions: &positions[rows.clone()],
            documents: &documents[rows],
            hooks: &hooks,
        })?;
        Ok(())
    }
}

/// The width of each hook and its rows, those of padding left out.
fn activations(
    model: &Transformer,
    settings: &Settings,
    batch: &[Sequence],
) -> Result<Vec<(usize, Vec<f32>)>> {
    let longest = batch.iter().map(|sequence| sequence.tokens.len()).max().unwrap_or(0);
    let padded = batch.iter().map(|sequence| {
        let mut tokens = sequence.tokens.clone();
        tokens.resize(longest, 0);
        tokens
    });
    let tokens = Tokens::new(padded.collect())?;
    let mut hooks = settings.hooks.iter().fold(Hooks::new(), |all, hook| all.capture(*hook));
    model.read(&tokens, &mut hooks)?;
    let rows = settings.hooks.iter().map(|hook| {
        let tensor = hooks.captured(*hook)?;
        let [_, _, width] = tensor.dims();
        let numbers = tensor
            .try_into_vec_as::<f32>()
            .map_err(|error| CaptureError::Device { hook: *hook, problem: error.to_string() })?;
        let mut kept = Vec::new();
        for (sequence, numbers) in batch.iter().zip(numbers.chunks(longest * width)) {
            kept.extend_from_slice(&numbers[..sequence.tokens.len() * width]);
        }
        Ok((width, kept))
    });
    rows.collect()
}

/// A number of rows as a place in memory.
fn place(n_rows: u64) -> usize {
    usize::try_from(n_rows).unwrap_or(usize::MAX)
}
