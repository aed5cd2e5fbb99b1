//! Rows of a store of activations in random order.

use std::path::Path;
use std::sync::Arc;

use kernels::Matrix;
use seed::Seed;
use store::{ActivationReader, Capture, Hook, Place, Shuffle, ShuffleConfig};

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
    /// Rows at the end of the store that are kept back: no batch and no sample has any of them.
    pub held_out: u64,
}

/// Rows of a store, each once in an epoch, in an order that is drawn for each epoch. What is left at the end of an epoch and
/// is less than a batch is left out of it.
///
/// Rows that are kept back are the last ones: neighbors in a text are alike, so rows picked one by one would be known from
/// those beside them.
///
/// # Memory
/// Two pools and two batches: see [`Shuffle`].
pub struct StoreRows {
    whole: ActivationReader,
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
    /// have, [`DictionariesError::Unnamed`] for several and no name, [`DictionariesError::TooFew`] for fewer rows than a
    /// batch, apart from those that are kept back.
    pub fn open(folder: &Path, config: &StoreRowsConfig) -> Result<Self> {
        let StoreRowsConfig { hook, target, batch_rows, pool_rows, seed, held_out } = config;
        let whole = ActivationReader::describe(folder)?.capture;
        let has = || whole.hooks.iter().map(|hook| hook.name.clone()).collect::<Vec<_>>();
        let find = |name: &String| {
            let hook = whole.hooks.iter().find(|hook| hook.name == *name).cloned();
            hook.ok_or_else(|| DictionariesError::Hook { hook: name.clone(), has: has() })
        };
        let hook = match (hook, &whole.hooks[..]) {
            (Some(name), _) => find(name)?,
            (None, [only]) => only.clone(),
            (None, _) => return Err(DictionariesError::Unnamed { has: has() }),
        };
        let target = target.as_ref().map(find).transpose()?;
        let hooks: Vec<_> = std::iter::once(hook).chain(target).collect();
        let widths = hooks.iter().map(|hook| hook.width).collect();
        let capture = Capture { hooks, ..whole };
        let whole = ActivationReader::open(folder, &capture)?;
        let batch_rows = (*batch_rows).max(1);
        let n_rows = whole.n_rows().saturating_sub(*held_out);
        if n_rows < batch_rows as u64 {
            let what = folder.display().to_string();
            return Err(DictionariesError::TooFew { what, got: n_rows, batch: batch_rows });
        }
        let reader = Arc::new(ActivationReader::open(folder, &capture)?.first(n_rows)?);
        let pool_chunks = pool_rows.div_ceil(reader.layout().chunk_rows).max(1);
        let id = "dictionaries".to_owned();
        let config = ShuffleConfig { seed: Seed::new(*seed), id, pool_chunks, batch_rows };
        let shuffle = Shuffle::start(&reader, &config, Place::default())?;
        Ok(Self { whole, reader, shuffle, config, widths, rows: store::Rows::default() })
    }

    /// What the rows come from.
    pub fn capture(&self) -> &Capture {
        self.reader.capture()
    }

    /// Rows of an epoch.
    pub fn n_rows(&self) -> u64 {
        self.reader.n_rows()
    }

    /// Rows that are kept back.
    pub fn n_held_out(&self) -> u64 {
        self.whole.n_rows() - self.reader.n_rows()
    }

    /// At most so many of the rows that are kept back, from one of them on, in the order of the store.
    ///
    /// # Errors
    /// [`DictionariesError::Store`] for a row that is none of them, and what the store says;
    /// [`DictionariesError::NotFinite`].
    pub fn held_out(&self, from: u64, n_rows: usize) -> Result<Rows> {
        let first = self.n_rows().saturating_add(from);
        let end = first.saturating_add(n_rows as u64).min(self.whole.n_rows());
        let mut rows = store::Rows::default();
        self.whole.read(first..end, &mut rows)?;
        taken(&mut rows, &self.capture().hooks)
    }

    /// d, and d′ of what is predicted.
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// Bytes that shuffling takes; while a sample is drawn, which has a shuffle of its own, as many again and the sample three
    /// times.
    pub fn memory_bytes(&self) -> u64 {
        self.shuffle.memory_bytes()
    }

    fn taken(&mut self) -> Result<Rows> {
        taken(&mut self.rows, &self.reader.capture().hooks)
    }
}

/// Rows out of the memory that the store puts them in.
fn taken(rows: &mut store::Rows, hooks: &[Hook]) -> Result<Rows> {
    let n = rows.len();
    let mut numbers = rows.hooks.iter_mut().zip(hooks);
    let mut take = || {
        let Some((numbers, hook)) = numbers.next() else { return Ok(None) };
        if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
            return Err(DictionariesError::NotFinite {
                what: hook.name.clone(),
                row: rows.row_idx[at / hook.width],
                column: at % hook.width,
                value: numbers[at],
            });
        }
        Ok(Some(Matrix::from_rows(n, hook.width, std::mem::take(numbers))?))
    };
    let inputs = take()?.unwrap_or_else(|| Matrix::zeros(0, 0));
    Ok(Rows { inputs, targets: take()? })
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
