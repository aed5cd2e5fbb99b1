//! The reader below both kinds of store: all shards of a finished store, checked against its index.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytemuck::Pod;

use crate::error::{During, Error, Result, same_count};
use crate::folder::Folder;
use crate::layout::ShardLayout;
use crate::schema::{Attributes, Schema, VERSION};
use crate::sink::{DIGESTS, N_ROWS};

/// The attributes that say what a file is.
pub(crate) const FORMAT: &str = "format";
pub(crate) const FORMAT_VERSION: &str = "format_version";

#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) schema: Schema,
    pub(crate) shards: Vec<ShardLayout>,
}

impl Source {
    /// Opens a finished store of one format; no row is read.
    pub(crate) fn open(path: &Path, format: &str) -> Result<Self> {
        let folder = Folder::new(path);
        let index = folder.index();
        if !index.exists() {
            let n_shards = folder.n_complete()?;
            let is_begun = n_shards > 0 || Folder::partial(&folder.shard(0)).exists();
            return Err(if is_begun {
                Error::Unfinished { path: path.to_owned(), n_shards }
            } else {
                let found = "a folder without one".to_owned();
                Error::Foreign {
                    path: path.to_owned(),
                    expected: "the file index.h5".to_owned(),
                    found,
                }
            });
        }
        let op = "read";
        let file = hdf5::File::open(&index).during("open", &index)?;
        let attributes = Attributes::read(&file, &index)?;
        check_format(&attributes, format, &index)?;
        let array = |name: &str| file.dataset(name).during(op, &index);
        let digests: Vec<u32> = read_small(&array(DIGESTS)?, &index)?;
        let rows: Vec<u64> = read_small(&array(N_ROWS)?, &index)?;
        let mut shards: Vec<ShardLayout> = Vec::new();
        for (shard_idx, digest) in digests.iter().enumerate() {
            let path = folder.shard(shard_idx);
            if !path.exists() {
                return Err(Error::MissingShard { path, n_shards: digests.len() });
            }
            let shard = ShardLayout::open(&path)?;
            let expected = match shards.first() {
                None => {
                    Schema { attributes: attributes.clone(), columns: shard.schema.columns.clone() }
                }
                Some(first) => first.schema.clone(),
            };
            expected.must_equal(&shard.schema, &path)?;
            let n_columns = expected.columns.len();
            let summary = shard.summary();
            let counted = rows.chunks(n_columns.max(1)).nth(shard_idx);
            if counted != Some(&summary.rows) || summary.digest != *digest {
                let found = format!("{:?} with {:08x}", summary.rows, summary.digest);
                let expected = format!("{:?} with {digest:08x}", counted.unwrap_or_default());
                return Err(Error::damaged(&path, "rows with their digest", expected, found));
            }
            shards.push(shard);
        }
        let schema = shards.first().map(|shard| shard.schema.clone());
        let schema =
            schema.ok_or_else(|| Error::damaged(&index, "list of shards", "one or more", 0))?;
        Ok(Self { schema, shards })
    }

    /// Rows of a column in all shards.
    pub(crate) fn n_rows(&self, column_idx: usize) -> u64 {
        self.shards.iter().map(|shard| shard.n_rows(column_idx) as u64).sum()
    }
}

/// Refuses files of another format or version.
fn check_format(attributes: &Attributes, format: &str, path: &Path) -> Result<()> {
    let found = attributes.get_text(FORMAT, path)?;
    if found != format {
        let (expected, found) = (format!("format {format:?}"), format!("{found:?}"));
        return Err(Error::Foreign { path: path.to_owned(), expected, found });
    }
    let found = attributes.get_count(FORMAT_VERSION, path)?;
    if found != VERSION {
        return Err(Error::Version { path: path.to_owned(), expected: VERSION, found });
    }
    Ok(())
}

/// Reads an array that cannot be larger than the file that holds it.
fn read_small<T: hdf5::H5Type>(dataset: &hdf5::Dataset, path: &Path) -> Result<Vec<T>> {
    let file_bytes = std::fs::metadata(path).during("look at", path)?.len();
    let bytes = (dataset.size() as u64).saturating_mul(size_of::<T>() as u64);
    if bytes > file_bytes {
        let expected = format!("at most {file_bytes} bytes");
        return Err(Error::damaged(path, dataset.name(), expected, bytes));
    }
    dataset.read_raw().during("read", path)
}

/// The file that was read last stays open, so that the system sees who reads on and reads ahead.
#[derive(Debug, Default)]
pub(crate) struct LastFile(Mutex<Option<(usize, Arc<File>)>>);

impl LastFile {
    pub(crate) fn get(&self, source: &Source, shard_idx: usize) -> Result<Arc<File>> {
        // One who panicked while holding it has left it whole.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((idx, file)) = &*last
            && *idx == shard_idx
        {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(source.shards[shard_idx].open_file()?);
        *last = Some((shard_idx, Arc::clone(&file)));
        Ok(file)
    }
}

/// Reads ranges of rows of one column, and keeps the last chunk.
#[derive(Debug)]
pub(crate) struct ColumnReader {
    column_idx: usize,
    file: LastFile,
    kept: Option<(usize, usize)>,
    bytes: Vec<u8>,
}

impl ColumnReader {
    pub(crate) fn new(column_idx: usize) -> Self {
        Self { column_idx, file: LastFile::default(), kept: None, bytes: Vec::new() }
    }

    /// Appends the elements of rows of one shard.
    pub(crate) fn read<T: Pod>(
        &mut self,
        source: &Source,
        shard_idx: usize,
        rows: Range<usize>,
        into: &mut Vec<T>,
    ) -> Result<()> {
        let column = &source.schema.columns[self.column_idx];
        same_count(
            &format!("bytes of an element of {}", column.name),
            size_of::<T>(),
            column.element.bytes(),
        )?;
        let n_rows = source.shards[shard_idx].n_rows(self.column_idx);
        if rows.end > n_rows {
            let path = &source.shards[shard_idx].path;
            return Err(Error::damaged(path, format!("rows of {}", column.name), rows.end, n_rows));
        }
        let (width, mut at) = (column.width.unwrap_or(1), rows.start);
        while at < rows.end {
            let chunk_idx = at / column.chunk_rows;
            let chunk = self.load(source, shard_idx, chunk_idx)?;
            let end = rows.end.min(chunk.end);
            let begin = into.len();
            into.resize(begin + (end - at) * width, T::zeroed());
            let row_bytes = column.row_bytes();
            let bytes =
                &self.bytes[(at - chunk.start) * row_bytes..(end - chunk.start) * row_bytes];
            bytemuck::cast_slice_mut(&mut into[begin..]).copy_from_slice(bytes);
            at = end;
        }
        Ok(())
    }

    /// Reads a chunk unless it is the one that was kept, and returns its rows.
    fn load(
        &mut self,
        source: &Source,
        shard_idx: usize,
        chunk_idx: usize,
    ) -> Result<Range<usize>> {
        let shard = &source.shards[shard_idx];
        let rows = shard.chunk_rows(self.column_idx, chunk_idx);
        if self.kept != Some((shard_idx, chunk_idx)) {
            self.kept = None;
            let row_bytes = source.schema.columns[self.column_idx].row_bytes();
            self.bytes.resize(rows.len() * row_bytes, 0);
            shard.read_chunk(
                &*self.file.get(source, shard_idx)?,
                self.column_idx,
                chunk_idx,
                &mut self.bytes,
            )?;
            self.kept = Some((shard_idx, chunk_idx));
        }
        Ok(rows)
    }
}
