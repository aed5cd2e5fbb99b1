//! Rows in random order, in bounded memory.
//!
//! An epoch is made in two steps. The chunks of the store are put into random order, and cut into
//! pools of `pool_chunks`. The rows of a pool are put into random order; then threads read its
//! chunks, and put each row where it belongs in the batches that this pool fills, while the batches
//! of the pool before are being used. The order is a function of seed, id, epoch and sizes alone,
//! and both orders are uniform. So where all chunks are full,
//!
//! - at each place of an epoch each row of the store is equally likely, P = 1/n;
//! - in a pool of P rows from chunks of C, neighbors come from one chunk with P = (C − 1)/(P − 1);
//! - rows that share a chunk come less than P rows apart, which is what a full shuffle would not
//!   do. A larger pool, or smaller chunks, come as near to one as needed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{JoinHandle, spawn};

use seed::Seed;

use crate::activations::{ActivationReader, Places, READ_BYTES, RowChunk, Rows};
use crate::error::{Error, Result};
use crate::layout::index;

/// How rows are shuffled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShuffleConfig {
    /// The base seed of the run.
    pub seed: Seed,
    /// The id of the experiment, or what else tells this stream from others of the seed.
    pub id: String,
    /// Chunks of a pool.
    pub pool_chunks: usize,
    /// Rows of a batch. The last batch of an epoch has what is left.
    pub batch_rows: usize,
}

/// A place in the stream of rows: kept in a checkpoint, it is where a resumed run goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The epoch, from 0.
    pub epoch: u64,
    /// Rows of the epoch that were dealt out already.
    pub row: u64,
}

/// The rest of an epoch in batches, from a place on.
///
/// # Examples
///
/// ```no_run
/// use std::sync::Arc;
/// use seed::Seed;
/// use store::{ActivationReader, Place, Rows, Shuffle, ShuffleConfig};
///
/// let capture = ActivationReader::describe("activations".as_ref())?.capture;
/// let reader = Arc::new(ActivationReader::open("activations".as_ref(), &capture)?);
/// let config = ShuffleConfig {
///     seed: Seed::new(0),
///     id: "c03_dictionaries".to_owned(),
///     pool_chunks: 64,
///     batch_rows: 4096,
/// };
/// let mut batches = Shuffle::start(&reader, &config, Place::default())?;
/// let mut batch = Rows::default();
/// while batches.next_batch(&mut batch)? {
///     // Train every dictionary on `batch`.
/// }
/// # Ok::<(), store::Error>(())
/// ```
pub struct Shuffle {
    widths: Vec<usize>,
    place: Place,
    n_rows: u64,
    memory_bytes: u64,
    full: Option<Receiver<Result<Rows>>>,
    empty: Option<Sender<Rows>>,
    worker: Option<JoinHandle<()>>,
}

impl Shuffle {
    /// Goes on at a place, after reading one pool.
    ///
    /// # Errors
    /// [`Error::Setting`] for a pool or batch of nothing, or a pool of 2³² rows;
    /// [`Error::Shape`] for a place behind the last row. What is wrong with the files is told by
    /// [`Self::next_batch`].
    pub fn start(
        reader: &Arc<ActivationReader>,
        config: &ShuffleConfig,
        from: Place,
    ) -> Result<Self> {
        let ShuffleConfig { pool_chunks, batch_rows, .. } = *config;
        if batch_rows == 0 {
            return Err(Error::setting("batch_rows", "1 or more", batch_rows));
        }
        let n_rows = reader.n_rows();
        if from.row > n_rows {
            let what = "rows of the epoch that were dealt out".to_owned();
            return Err(Error::Shape { what, expected: n_rows, got: from.row });
        }
        let mut chunks = reader.chunks();
        let pool_rows = pool_chunks.saturating_mul(reader.layout().chunk_rows);
        if pool_chunks == 0 || u32::try_from(pool_rows).is_err() {
            return Err(Error::setting("pool_chunks", "1 chunk to 2^32 rows", pool_chunks));
        }
        // A pool or batch larger than the store takes no more memory than the store.
        let pool_rows = pool_rows.min(index(n_rows));
        let batch_rows = batch_rows.min(index(n_rows));
        let purpose = format!("shuffle: chunks of epoch {}", from.epoch);
        config.seed.stream(&config.id, &purpose).shuffle(&mut chunks);
        // The batches of two pools, one that each pool begins and the next one ends.
        let n_batches = 2 * pool_rows.div_ceil(batch_rows) + 2;
        let widths = reader.widths();
        let memory_bytes = n_batches as u64 * batch_rows as u64 * reader.row_bytes() as u64
            + pool_rows as u64 * (4 + Places::row_bytes(widths.len())) as u64
            + size_of_val(&chunks[..]) as u64
            + READ_BYTES as u64;

        let (give_empty, empty) = channel();
        for _ in 0..n_batches {
            // The receiver lives: this cannot fail.
            let _ = give_empty.send(Rows::default());
        }
        let (give_full, full) = channel();
        let filler = Filler {
            reader: Arc::clone(reader),
            config: ShuffleConfig { batch_rows, ..config.clone() },
            chunks,
            widths: widths.clone(),
            empty,
            full: give_full,
        };
        let worker = spawn(move || filler.run(from));
        Ok(Self {
            widths,
            place: from,
            n_rows,
            memory_bytes,
            full: Some(full),
            empty: Some(give_empty),
            worker: Some(worker),
        })
    }

    /// Where the next batch begins.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Bytes that it holds, apart from the batch that is used: the batches of two pools and two
    /// more, the order and the places of the rows of one pool, and the list of all chunks.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Deals the next batch; `false` at the end of the epoch. The memory of `into` is used for a
    /// later one.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Damaged`] name the file. The epoch is over then.
    pub fn next_batch(&mut self, into: &mut Rows) -> Result<bool> {
        if self.place.row == self.n_rows {
            into.resize(0, &self.widths);
            return Ok(false);
        }
        let next = self.full.as_ref().and_then(|full| full.recv().ok());
        let used = std::mem::replace(into, next.unwrap_or(Err(Error::Stopped))?);
        if let Some(empty) = &self.empty {
            // A worker that has filled its last batch takes none back.
            let _ = empty.send(used);
        }
        self.place.row += into.len() as u64;
        Ok(true)
    }
}

impl Iterator for Shuffle {
    type Item = Result<Rows>;

    /// The next batch, in memory of its own.
    fn next(&mut self) -> Option<Self::Item> {
        let mut rows = Rows::default();
        match self.next_batch(&mut rows) {
            Ok(true) => Some(Ok(rows)),
            Ok(false) => None,
            Err(error) => {
                // Over, rather than the same error for ever.
                self.n_rows = self.place.row;
                Some(Err(error))
            }
        }
    }
}

impl Drop for Shuffle {
    fn drop(&mut self) {
        self.full = None;
        self.empty = None;
        if let Some(worker) = self.worker.take() {
            // If it panicked, that was told as `Error::Stopped`.
            let _ = worker.join();
        }
    }
}

/// Fills batches, as empty ones come back, until the epoch or its reader ends.
struct Filler {
    reader: Arc<ActivationReader>,
    config: ShuffleConfig,
    /// All chunks in the order of the epoch.
    chunks: Vec<RowChunk>,
    widths: Vec<usize>,
    empty: Receiver<Rows>,
    full: Sender<Result<Rows>>,
}

impl Filler {
    fn run(&self, from: Place) {
        let ShuffleConfig { pool_chunks, batch_rows, .. } = self.config;
        let (first_pool, mut skip) = pool_at(&self.chunks, pool_chunks, from.row);
        // Rows of the epoch that have no batch yet.
        let mut left = index(self.reader.n_rows() - from.row);
        // Batches that the pool fills; of the first, the pool before has filled some rows.
        let (mut batches, mut n_filled) = (Vec::<Rows>::new(), 0);
        let mut pools = self.chunks.chunks(pool_chunks).enumerate().skip(first_pool).peekable();
        while let Some((pool_idx, chunks)) = pools.next() {
            if let Some((_, next)) = pools.peek() {
                self.reader.fetch_ahead(next);
            }
            let order = self.order(chunks, pool_idx, from.epoch);
            let wanted = &order[std::mem::take(&mut skip)..];
            let mut room = batches.first().map_or(0, Rows::len) - n_filled;
            while room < wanted.len() {
                let Ok(mut batch) = self.empty.recv() else { return };
                batch.resize(batch_rows.min(left), &self.widths);
                left -= batch.len();
                room += batch.len();
                batches.push(batch);
            }
            let mut places = Places::new(order.len(), wanted, &mut batches, n_filled, &self.widths);
            if let Err(error) = self.reader.scatter(chunks, &mut places) {
                let _ = self.full.send(Err(error));
                return;
            }
            let last = if room > wanted.len() { batches.pop() } else { None };
            for batch in batches.drain(..) {
                if self.full.send(Ok(batch)).is_err() {
                    return;
                }
            }
            n_filled = last.as_ref().map_or(0, Rows::len) - (room - wanted.len());
            batches.extend(last);
        }
    }

    /// The rows of a pool, counted in the order of its chunks, in the order in which they are dealt.
    fn order(&self, chunks: &[RowChunk], pool_idx: usize, epoch: u64) -> Vec<u32> {
        let n_rows = chunks.iter().map(|chunk| chunk.n_rows).sum();
        let mut order: Vec<u32> = (0..u32::MAX).take(n_rows).collect();
        let purpose = format!("shuffle: rows of pool {pool_idx} of epoch {epoch}");
        self.config.seed.stream(&self.config.id, &purpose).shuffle(&mut order);
        order
    }
}

/// The pool that holds a row of the epoch, and how many rows of it come before.
fn pool_at(chunks: &[RowChunk], pool_chunks: usize, mut row: u64) -> (usize, usize) {
    for (pool_idx, pool) in chunks.chunks(pool_chunks).enumerate() {
        let rows: u64 = pool.iter().map(|chunk| chunk.n_rows as u64).sum();
        if row < rows {
            return (pool_idx, index(row));
        }
        row -= rows;
    }
    (chunks.len().div_ceil(pool_chunks), 0)
}
