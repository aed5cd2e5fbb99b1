//! Rows of a store of activations in random order.

use std::path::Path;
use std::sync::Arc;

use kernels::Matrix;
use seed::Seed;
use store::{ActivationReader, Capture, Place, Shuffle, ShuffleConfig};

use crate::error::{DictionariesError, Result};
use crate::source::{Rows, Source};

/// What is read of a store, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreRowsConfig {
    /// The hook whose rows are encoded; none where the store has one only.
    pub hook: Option<String>,
    /// The hook whose rows are predicted, for transcoders.
    pub target: Option<String>,
    /// Rows of a batch.
    pub batch_rows: usize,
    /// Rows that are shuffled together; more mix better and take more memory.
    pub pool_rows: usize,
    /// Decides the order.
    pub seed: u64,
}

/// Rows of a store, each once in an epoch, in an order that is drawn for each epoch. What is left at the end of an epoch and
/// is less than a batch is left out of it.
///
/// # Memory
/// Two pools and two batches: see [`Shuffle`].
pub struct StoreRows {
    reader: Arc<ActivationReader>,
    shuffle: Shuffle,
    config: ShuffleConfig,
    widths: Vec<usize>,
    rows: store::Rows,
}

impl StoreRows {
    /// Opens a store.
    ///
    /// # Errors
    /// [`DictionariesError::Store`] for a store that cannot be read, [`DictionariesError::Hook`] for a hook that it does not
    /// have, [`DictionariesError::TooFew`] for fewer rows than a batch.
    pub fn open(folder: &Path, config: &StoreRowsConfig) -> Result<Self> {
        let StoreRowsConfig { hook, target, batch_rows, pool_rows, seed } = config;
        let whole = ActivationReader::describe(folder)?.capture;
        let has = || whole.hooks.iter().map(|hook| hook.name.clone()).collect::<Vec<_>>();
        let find = |name: &String| {
            let hook = whole.hooks.iter().find(|hook| hook.name == *name).cloned();
            hook.ok_or_else(|| DictionariesError::Hook { hook: name.clone(), has: has() })
        };
        let hook = match (hook, &whole.hooks[..]) {
            (Some(name), _) => find(name)?,
            (None, [only]) => only.clone(),
            (None, _) => {
                return Err(DictionariesError::Hook { hook: String::new(), has: has() });
            }
        };
        let target = target.as_ref().map(find).transpose()?;
        let hooks: Vec<_> = std::iter::once(hook).chain(target).collect();
        let widths = hooks.iter().map(|hook| hook.width).collect();
        let capture = Capture { hooks, ..whole };
        let reader = Arc::new(ActivationReader::open(folder, &capture)?);
        let (n_rows, batch_rows) = (reader.n_rows(), (*batch_rows).max(1));
        if n_rows < batch_rows as u64 {
            let what = folder.display().to_string();
            return Err(DictionariesError::TooFew { what, got: n_rows, batch: batch_rows });
        }
        let pool_chunks = pool_rows.div_ceil(reader.layout().chunk_rows).max(1);
        let id = "dictionaries".to_owned();
        let config = ShuffleConfig { seed: Seed::new(*seed), id, pool_chunks, batch_rows };
        let shuffle = Shuffle::start(&reader, &config, Place::default())?;
        Ok(Self { reader, shuffle, config, widths, rows: store::Rows::default() })
    }

    /// What the rows come from.
    pub fn capture(&self) -> &Capture {
        self.reader.capture()
    }

    /// Rows of the store.
    pub fn n_rows(&self) -> u64 {
        self.reader.n_rows()
    }

    /// d, and d′ of what is predicted.
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// Bytes that shuffling takes.
    pub fn memory_bytes(&self) -> u64 {
        self.shuffle.memory_bytes()
    }

    fn taken(&mut self) -> Result<Rows> {
        let n = self.rows.len();
        let mut hooks = self.rows.hooks.iter_mut().zip(&self.widths);
        let mut take = || {
            let next = hooks.next();
            next.map(|(hook, width)| Matrix::from_rows(n, *width, std::mem::take(hook))).transpose()
        };
        let inputs = take()?.unwrap_or_else(|| Matrix::zeros(0, 0));
        Ok(Rows { inputs, targets: take()? })
    }
}

impl Source for StoreRows {
    fn sample(&mut self, n_rows: usize) -> Result<Rows> {
        let batch_rows = n_rows.clamp(1, usize::try_from(self.n_rows()).unwrap_or(usize::MAX));
        let id = "dictionaries: sample".to_owned();
        let config = ShuffleConfig { id, batch_rows, ..self.config.clone() };
        let mut shuffle = Shuffle::start(&self.reader, &config, Place::default())?;
        shuffle.next_batch(&mut self.rows)?;
        self.taken()
    }

    fn next(&mut self) -> Result<Rows> {
        loop {
            let is_there = self.shuffle.next_batch(&mut self.rows)?;
            if is_there && self.rows.len() == self.config.batch_rows {
                return self.taken();
            }
            if !is_there {
                let from = Place { epoch: self.shuffle.place().epoch + 1, row: 0 };
                self.shuffle = Shuffle::start(&self.reader, &self.config, from)?;
            }
        }
    }

    fn place(&self) -> String {
        let Place { epoch, row } = self.shuffle.place();
        format!("{epoch} {row}")
    }

    fn go_to(&mut self, place: &str) -> Result<()> {
        let numbers = place
            .split_once(' ')
            .and_then(|(epoch, row)| Some((epoch.parse().ok()?, row.parse().ok()?)));
        let Some((epoch, row)) = numbers else {
            return Err(DictionariesError::Place { place: place.to_owned() });
        };
        self.shuffle = Shuffle::start(&self.reader, &self.config, Place { epoch, row })?;
        Ok(())
    }
}
