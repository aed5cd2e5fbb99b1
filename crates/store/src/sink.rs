//! The writer below both kinds of store: shards of columns, one after the other.

use std::path::Path;

use crate::error::{During, Error, Result};
use crate::folder::{Folder, WriterLock};
use crate::layout::ShardLayout;
use crate::schema::Schema;
use crate::shard::{ShardWriter, Summary, create_file, write_array};

/// Data sets of the index.
pub(crate) const DIGESTS: &str = "digests";
pub(crate) const N_ROWS: &str = "n_rows";

pub(crate) struct Sink {
    folder: Folder,
    schema: Schema,
    complete: Vec<Summary>,
    shard: Option<ShardWriter>,
    has_failed: bool,
    _lock: WriterLock,
}

impl Sink {
    /// Begins a store in a folder that holds none.
    pub(crate) fn create(path: &Path, schema: Schema) -> Result<Self> {
        let folder = Folder::new(path);
        let lock = folder.lock()?;
        if folder.is_used()? {
            return Err(Error::Exists { path: path.to_owned() });
        }
        Ok(Self::new(folder, schema, Vec::new(), lock))
    }

    /// Goes on after the last complete shard; begins where there is none.
    pub(crate) fn resume(path: &Path, schema: Schema) -> Result<Self> {
        let folder = Folder::new(path);
        let lock = folder.lock()?;
        if folder.index().exists() {
            return Err(Error::Finished { path: path.to_owned() });
        }
        let mut complete = Vec::new();
        for shard_idx in 0..folder.n_complete()? {
            let shard = ShardLayout::open(&folder.shard(shard_idx))?;
            schema.must_equal(&shard.schema, &shard.path)?;
            complete.push(shard.summary());
        }
        Folder::remove_partial(&folder.shard(complete.len()))?;
        Folder::remove_partial(&folder.index())?;
        Ok(Self::new(folder, schema, complete, lock))
    }

    fn new(folder: Folder, schema: Schema, complete: Vec<Summary>, lock: WriterLock) -> Self {
        Self { folder, schema, complete, shard: None, has_failed: false, _lock: lock }
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.folder.path
    }

    /// Rows of a column in complete shards.
    pub(crate) fn n_complete_rows(&self, column_idx: usize) -> u64 {
        self.complete.iter().map(|shard| shard.rows[column_idx]).sum()
    }

    /// Rows of a column in the shard that is being written.
    pub(crate) fn n_open_rows(&self, column_idx: usize) -> usize {
        self.shard.as_ref().map_or(0, |shard| shard.n_rows(column_idx))
    }

    /// Whether a shard is being written.
    pub(crate) fn is_shard_open(&self) -> bool {
        self.shard.is_some()
    }

    /// Appends the bytes of rows to a column of the shard that is being written, or of a new one.
    pub(crate) fn append(&mut self, column_idx: usize, bytes: &[u8]) -> Result<()> {
        self.attempt(|sink| {
            if sink.shard.is_none() {
                let partial = Folder::partial(&sink.folder.shard(sink.complete.len()));
                sink.shard = Some(ShardWriter::create(partial, &sink.schema)?);
            }
            sink.shard.as_mut().map_or(Ok(()), |shard| shard.append(column_idx, bytes))
        })
    }

    /// Completes the shard that is being written.
    pub(crate) fn close_shard(&mut self) -> Result<()> {
        self.attempt(|sink| {
            let Some(shard) = sink.shard.take() else { return Ok(()) };
            let summary = shard.seal()?;
            sink.folder.publish(&sink.folder.shard(sink.complete.len()))?;
            sink.complete.push(summary);
            Ok(())
        })
    }

    /// Completes the last shard and writes the index, which makes the store readable.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.close_shard()?;
        if self.complete.is_empty() {
            return Err(Error::Empty { path: self.path().to_owned() });
        }
        let index = self.folder.index();
        let partial = Folder::partial(&index);
        let file = create_file(&partial)?;
        let op = "write";
        self.schema.attributes.write(&file).during(op, &partial)?;
        let digests: Vec<u32> = self.complete.iter().map(|shard| shard.digest).collect();
        let rows: Vec<u64> = self.complete.iter().flat_map(|shard| shard.rows.clone()).collect();
        write_array(&file, DIGESTS, &digests).during(op, &partial)?;
        write_array(&file, N_ROWS, &rows).during(op, &partial)?;
        file.flush().during(op, &partial)?;
        file.close().during(op, &partial)?;
        self.folder.publish(&index)
    }

    /// Runs an operation, and refuses all later ones once one has failed.
    fn attempt(&mut self, operation: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if self.has_failed {
            return Err(Error::Failed { path: self.path().to_owned() });
        }
        self.has_failed = true;
        operation(self)?;
        self.has_failed = false;
        Ok(())
    }
}
