//! Where the rows of a complete shard lie in its file, so that chunks are read as plain bytes.
//!
//! The HDF5 library is asked once, when a shard is opened. Chunks are neither compressed nor
//! converted, so their bytes come from the file itself, into the reader's own buffers.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::error::{During, Error, Result};
use crate::schema::{Column, Schema};
use crate::shard::{Summary, checksums_name};

/// A row within a shard or a buffer as an index; what no index can be is past every end.
pub(crate) fn index(row: u64) -> usize {
    usize::try_from(row).unwrap_or(usize::MAX)
}

/// The chunks of one column of a shard.
#[derive(Clone, Debug)]
pub(crate) struct ColumnLayout {
    pub(crate) n_rows: usize,
    /// Of each chunk, where it begins in the file, and the CRC-32 of its rows.
    chunks: Vec<(u64, u32)>,
}

/// A complete shard.
#[derive(Clone, Debug)]
pub(crate) struct ShardLayout {
    pub(crate) path: PathBuf,
    pub(crate) schema: Schema,
    columns: Vec<ColumnLayout>,
}

impl ShardLayout {
    /// Reads what a shard holds and where; its rows stay on disk.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file_bytes = std::fs::metadata(path).during("look at", path)?.len();
        let file = hdf5::File::open(path).during("open", path)?;
        let schema = Schema::read(&file, path)?;
        let columns = schema.columns.iter();
        let columns = columns.map(|column| ColumnLayout::read(&file, column, path, file_bytes));
        let columns = columns.collect::<Result<_>>()?;
        Ok(Self { path: path.to_owned(), schema, columns })
    }

    pub(crate) fn summary(&self) -> Summary {
        let checksums = |layout: &ColumnLayout| layout.chunks.iter().map(|chunk| chunk.1).collect();
        let parts: Vec<(u64, Vec<u32>)> =
            self.columns.iter().map(|layout| (layout.n_rows as u64, checksums(layout))).collect();
        Summary::new(parts.iter().map(|(rows, checksums)| (*rows, &checksums[..])))
    }

    pub(crate) fn n_rows(&self, column_idx: usize) -> usize {
        self.columns[column_idx].n_rows
    }

    pub(crate) fn n_chunks(&self, column_idx: usize) -> usize {
        self.columns[column_idx].chunks.len()
    }

    /// The rows of one chunk.
    pub(crate) fn chunk_rows(&self, column_idx: usize, chunk_idx: usize) -> std::ops::Range<usize> {
        let chunk_rows = self.schema.columns[column_idx].chunk_rows;
        let start = chunk_idx * chunk_rows;
        start..(start + chunk_rows).min(self.columns[column_idx].n_rows)
    }

    pub(crate) fn open_file(&self) -> Result<File> {
        File::open(&self.path).during("open", &self.path)
    }

    /// Reads the rows of one chunk into bytes of exactly their length, and checks them.
    pub(crate) fn read_chunk(
        &self,
        file: &File,
        column_idx: usize,
        chunk_idx: usize,
        into: &mut [u8],
    ) -> Result<()> {
        let (address, checksum) = self.columns[column_idx].chunks[chunk_idx];
        file.read_exact_at(into, address).during("read", &self.path)?;
        let found = crc32fast::hash(into);
        if found == checksum {
            return Ok(());
        }
        let what = format!("chunk {chunk_idx} of {}", self.schema.columns[column_idx].name);
        Err(Error::damaged(
            &self.path,
            what,
            format!("checksum {checksum:08x}"),
            format!("{found:08x}"),
        ))
    }
}

impl ColumnLayout {
    fn read(file: &hdf5::File, column: &Column, path: &Path, file_bytes: u64) -> Result<Self> {
        let op = "read the chunks of";
        let dataset = file.dataset(&column.name).during(op, path)?;
        let n_rows = dataset.get_shape().during(op, path)?.first().copied().unwrap_or(0);
        let n_chunks = n_rows.div_ceil(column.chunk_rows);
        let damaged = |what: &str, expected: String, found: String| {
            Error::damaged(path, format!("{what} of {}", column.name), expected, found)
        };
        // What does not fit into the file is refused before memory is asked for.
        let chunk_bytes = (column.chunk_rows as u64).checked_mul(column.row_bytes() as u64);
        let all_bytes = chunk_bytes.and_then(|bytes| bytes.checked_mul(n_chunks as u64));
        let Some(chunk_bytes) =
            chunk_bytes.filter(|_| all_bytes.is_some_and(|all| all <= file_bytes))
        else {
            let found = format!("{n_rows} rows of {} bytes", column.row_bytes());
            return Err(damaged("size", format!("at most {file_bytes} bytes"), found));
        };
        let stored = file.dataset(&checksums_name(&column.name)).during(op, path)?;
        let n_checksums = stored.size();
        if n_checksums != n_chunks {
            return Err(damaged("checksums", n_chunks.to_string(), n_checksums.to_string()));
        }
        let checksums: Vec<u32> = stored.read_raw().during(op, path)?;
        let mut addresses = vec![None; n_chunks];
        let visited = dataset.chunks_visit(|chunk| {
            let row = usize::try_from(chunk.offset[0]).unwrap_or(usize::MAX);
            let fits = chunk.addr.checked_add(chunk.size).is_some_and(|end| end <= file_bytes);
            let plain = chunk.filter_mask == 0 && chunk.size == chunk_bytes && fits;
            if let Some(address) = addresses.get_mut(row / column.chunk_rows) {
                *address = plain.then_some(chunk.addr);
            }
            0
        });
        visited.during(op, path)?;
        let chunks = addresses.into_iter().zip(checksums);
        let chunks = chunks.map(|(address, checksum)| Some((address?, checksum)));
        let chunks = chunks.collect::<Option<_>>();
        let expected = || format!("{n_chunks} chunks of {chunk_bytes} bytes");
        let chunks = chunks.ok_or_else(|| damaged("chunks", expected(), "others".to_owned()))?;
        Ok(Self { n_rows, chunks })
    }
}
