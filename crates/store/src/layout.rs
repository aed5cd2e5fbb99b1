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
        let (mut address, _) = self.columns[column_idx].chunks[chunk_idx];
        let mut checksum = crc32fast::Hasher::new();
        for piece in into.chunks_mut(PIECE_BYTES) {
            file.read_exact_at(piece, address).during("read", &self.path)?;
            checksum.update(piece);
            address += piece.len() as u64;
        }
        self.check(column_idx, chunk_idx, checksum)
    }

    /// Hands on the rows of one chunk in pieces, each with the place of its first row in the chunk, and checks them.
    /// Only where all went well was right what was handed on.
    pub(crate) fn visit_chunk(
        &self,
        file: &File,
        (column_idx, chunk_idx): (usize, usize),
        buffer: &mut Piece,
        mut each: impl FnMut(usize, &[u8]),
    ) -> Result<()> {
        let (mut address, _) = self.columns[column_idx].chunks[chunk_idx];
        let n_rows = self.chunk_rows(column_idx, chunk_idx).len();
        let row_bytes = self.schema.columns[column_idx].row_bytes();
        let piece_rows = (PIECE_BYTES / row_bytes.max(1)).max(1);
        let mut checksum = crc32fast::Hasher::new();
        for first in (0..n_rows).step_by(piece_rows) {
            let piece = buffer.bytes(piece_rows.min(n_rows - first) * row_bytes);
            file.read_exact_at(piece, address).during("read", &self.path)?;
            checksum.update(piece);
            each(first, piece);
            address += piece.len() as u64;
        }
        self.check(column_idx, chunk_idx, checksum)
    }

    /// Asks the system to read the rows of a chunk into its cache, and does not wait; where it cannot be asked, nothing
    /// happens.
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "only Linux is asked"))]
    pub(crate) fn fetch_ahead(&self, file: &File, column_idx: usize, chunk_idx: usize) {
        #[cfg(target_os = "linux")]
        {
            let (address, _) = self.columns[column_idx].chunks[chunk_idx];
            let n_rows = self.chunk_rows(column_idx, chunk_idx).len() as u64;
            let n_bytes = n_rows * self.schema.columns[column_idx].row_bytes() as u64;
            let n_bytes = std::num::NonZeroU64::new(n_bytes);
            // A hint: reading tells what is wrong with the file.
            let _ = rustix::fs::fadvise(file, address, n_bytes, rustix::fs::Advice::WillNeed);
        }
    }

    fn check(&self, column_idx: usize, chunk_idx: usize, found: crc32fast::Hasher) -> Result<()> {
        let (_, checksum) = self.columns[column_idx].chunks[chunk_idx];
        let found = found.finalize();
        if found == checksum {
            return Ok(());
        }
        let what = format!("chunk {chunk_idx} of {}", self.schema.columns[column_idx].name);
        let (expected, found) = (format!("checksum {checksum:08x}"), format!("{found:08x}"));
        Err(Error::damaged(&self.path, what, expected, found))
    }
}

/// Rows are read in pieces of about so many bytes: they stay in a core's own cache until they were checked and used.
pub(crate) const PIECE_BYTES: usize = 256 << 10;

/// Memory for a piece of rows, on the boundary of the largest type.
#[derive(Debug, Default)]
pub(crate) struct Piece(Vec<u64>);

impl Piece {
    fn bytes(&mut self, n_bytes: usize) -> &mut [u8] {
        let n_words = n_bytes.div_ceil(size_of::<u64>());
        if self.0.len() < n_words {
            self.0.resize(n_words, 0);
        }
        &mut bytemuck::cast_slice_mut(&mut self.0)[..n_bytes]
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
