//! Rows in random order, in bounded memory.
//!
//! An epoch is made in two steps. The chunks of the store are put into random order, and cut into
//! pools of `pool_chunks`. A pool is read whole, its rows are put into random order, and dealt out;
//! threads read the next pool meanwhile. The order is a function of seed, id, epoch and sizes
//! alone, and both orders are uniform. So where all chunks are full,
//!
//! - at each place of an epoch each row of the store is equally likely, P = 1/n;
//! - in a pool of P rows from chunks of C, neighbors come from one chunk with P = (C − 1)/(P − 1);
//! - rows that share a chunk come less than P rows apart, which is what a full shuffle would not
//!   do. A larger pool, or smaller chunks, come as near to one as needed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{JoinHandle, spawn};

use seed::Seed;

use crate::activations::{ActivationReader, RowChunk, Rows, StoredRows};
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
    config: ShuffleConfig,
    widths: Vec<usize>,
    place: Place,
    n_rows: u64,
    memory_bytes: u64,
    /// The pool that rows are dealt from, and how many were.
    pool: Option<(Pool, usize)>,
    /// Rows of the first pool that were dealt out before the place.
    skip: usize,
    full: Option<Receiver<Result<Pool>>>,
    empty: Option<Sender<Pool>>,
    worker: Option<JoinHandle<()>>,
}

/// Rows of some chunks, and the order in which they are dealt.
struct Pool {
    /// Which pool of the epoch it is.
    idx: usize,
    n_rows: usize,
    rows: StoredRows,
    order: Vec<u32>,
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
        // A pool larger than the store takes no more memory than the store.
        let pool_rows = pool_rows.min(index(n_rows));
        let purpose = format!("shuffle: chunks of epoch {}", from.epoch);
        config.seed.stream(&config.id, &purpose).shuffle(&mut chunks);
        let memory_bytes = 2 * pool_rows as u64 * (reader.row_bytes() as u64 + 4)
            + size_of_val(&chunks[..]) as u64;

        let (first_pool, skip) = pool_at(&chunks, pool_chunks, from.row);
        let (give_empty, empty) = channel();
        for _ in 0..2 {
            // The receiver lives: this cannot fail.
            let _ = give_empty.send(Pool::new(reader.buffer(pool_rows)));
        }
        let (give_full, full) = sync_channel(1);
        let reader = Arc::clone(reader);
        let widths = reader.widths();
        let worker = spawn(move || {
            fill_pools(&reader, &chunks, pool_chunks, first_pool, &empty, &give_full);
        });
        Ok(Self {
            config: config.clone(),
            widths,
            place: from,
            n_rows,
            memory_bytes,
            pool: None,
            skip,
            full: Some(full),
            empty: Some(give_empty),
            worker: Some(worker),
        })
    }

    /// Where the next batch begins.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Bytes that it holds, apart from the batch: two pools, and the list of all chunks.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Deals the next batch into memory that is reused; `false` at the end of the epoch.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Damaged`] name the file. The epoch is over then.
    pub fn next_batch(&mut self, into: &mut Rows) -> Result<bool> {
        let left = self.n_rows - self.place.row;
        let n = index(left).min(self.config.batch_rows);
        into.resize(n, &self.widths);
        let mut at = 0;
        while at < n {
            let (pool, dealt) = match self.pool.take() {
                Some(current) => current,
                None => (self.next_pool()?, std::mem::take(&mut self.skip)),
            };
            let take = (pool.order.len() - dealt).min(n - at);
            pool.deal(&pool.order[dealt..dealt + take], &self.widths, into, at);
            at += take;
            if dealt + take < pool.order.len() {
                self.pool = Some((pool, dealt + take));
            } else if let Some(empty) = &self.empty {
                // A worker that has read its last pool takes none back.
                let _ = empty.send(pool);
            }
        }
        self.place.row += n as u64;
        Ok(n > 0)
    }

    fn next_pool(&mut self) -> Result<Pool> {
        let next = self.full.as_ref().and_then(|full| full.recv().ok());
        let mut pool = next.unwrap_or(Err(Error::Stopped))?;
        pool.shuffle(&self.config, self.place.epoch);
        Ok(pool)
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

impl Pool {
    fn new(rows: StoredRows) -> Self {
        Self { idx: 0, n_rows: 0, rows, order: Vec::new() }
    }

    /// Puts its rows into random order.
    fn shuffle(&mut self, config: &ShuffleConfig, epoch: u64) {
        self.order.clear();
        self.order.extend((0..u32::MAX).take(self.n_rows));
        let purpose = format!("shuffle: rows of pool {} of epoch {epoch}", self.idx);
        config.seed.stream(&config.id, &purpose).shuffle(&mut self.order);
    }

    /// Copies some of its rows into a batch, from row `at` on.
    fn deal(&self, rows: &[u32], widths: &[usize], into: &mut Rows, at: usize) {
        for (to, from) in (at..).zip(rows) {
            let from = *from as usize;
            into.row_idx[to] = self.rows.row_idx[from];
            into.tokens[to] = self.rows.tokens[from];
            into.positions[to] = self.rows.positions[from];
            into.documents[to] = self.rows.documents[from];
        }
        for ((hook, stored), width) in into.hooks.iter_mut().zip(&self.rows.hooks).zip(widths) {
            let hook = hook[at * width..].chunks_exact_mut(*width);
            hook.zip(rows).for_each(|(row, from)| stored.decode(*from as usize * width, row));
        }
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

/// Reads one pool after the other, as empty ones come back, until the epoch or its reader ends.
fn fill_pools(
    reader: &ActivationReader,
    chunks: &[RowChunk],
    pool_chunks: usize,
    first_pool: usize,
    empty: &Receiver<Pool>,
    full: &SyncSender<Result<Pool>>,
) {
    for (pool_idx, chunks) in chunks.chunks(pool_chunks).enumerate().skip(first_pool) {
        let Ok(mut pool) = empty.recv() else { return };
        let filled = reader.read_chunks(chunks, &mut pool.rows).map(|()| {
            pool.idx = pool_idx;
            pool.n_rows = chunks.iter().map(|chunk| chunk.n_rows).sum();
            pool
        });
        let has_failed = filled.is_err();
        if full.send(filled).is_err() || has_failed {
            return;
        }
    }
}
