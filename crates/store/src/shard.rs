//! One shard while it is written: chunks go to the file as they fill, checksums follow at the end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytemuck::Pod;
use hdf5::plist::file_access::LibraryVersion;
use hdf5::{Dataset, Extent, File, Group, H5Type, SimpleExtents};
use ndarray::{ArrayView1, ArrayView2, s};

use crate::error::{During, Result};
use crate::schema::{CHECKSUMS, COLUMN_IDX, Column, Element, Schema};

/// What the index keeps of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Rows of each column.
    pub(crate) rows: Vec<u64>,
    /// CRC-32 of the rows and checksums of all columns.
    pub(crate) digest: u32,
}

impl Summary {
    /// Sums up columns, each given by its rows and the checksums of its chunks.
    pub(crate) fn new<'a>(columns: impl Iterator<Item = (u64, &'a [u32])>) -> Self {
        let mut rows = Vec::new();
        let mut digest = crc32fast::Hasher::new();
        for (n_rows, checksums) in columns {
            rows.push(n_rows);
            digest.update(&n_rows.to_le_bytes());
            for checksum in checksums {
                digest.update(&checksum.to_le_bytes());
            }
        }
        Self { rows, digest: digest.finalize() }
    }
}

/// Creates an HDF5 file whose metadata carry checksums and no times, so that equal contents are
/// equal bytes, and damage is noticed.
pub(crate) fn create_file(path: &Path) -> Result<File> {
    let mut options = File::with_options();
    options.fapl().libver_bounds(LibraryVersion::V110, LibraryVersion::V110);
    options.fcpl().obj_track_times(false);
    options.create(path).during("create", path)
}

pub(crate) struct ShardWriter {
    path: PathBuf,
    file: File,
    columns: Vec<ColumnWriter>,
}

struct ColumnWriter {
    column: Column,
    dataset: Dataset,
    /// Rows in the data set, all in whole chunks.
    stored: usize,
    /// Bytes of rows that do not fill a chunk yet.
    pending: Vec<u8>,
    checksums: Vec<u32>,
}

impl ShardWriter {
    pub(crate) fn create(path: PathBuf, schema: &Schema) -> Result<Self> {
        let file = create_file(&path)?;
        schema.attributes.write(&file).during("write the attributes of", &path)?;
        let names = schema.columns.iter().map(|column| column.name.as_str());
        create_groups(&file, names).during("create the groups of", &path)?;
        let columns = schema.columns.iter().enumerate();
        let columns =
            columns.map(|(column_idx, column)| ColumnWriter::create(&file, column_idx, column));
        let columns =
            columns.collect::<hdf5::Result<_>>().during("create the data sets of", &path)?;
        Ok(Self { path, file, columns })
    }

    /// Rows of a column so far.
    pub(crate) fn n_rows(&self, column_idx: usize) -> usize {
        let column = &self.columns[column_idx];
        column.stored + column.pending.len() / column.column.row_bytes()
    }

    /// Appends the bytes of whole rows to a column.
    pub(crate) fn append(&mut self, column_idx: usize, bytes: &[u8]) -> Result<()> {
        self.columns[column_idx].append(bytes).during("write rows to", &self.path)
    }

    /// Writes what is pending and the checksums, and closes the file.
    pub(crate) fn seal(mut self) -> Result<Summary> {
        let op = "complete";
        for column in &mut self.columns {
            column.finish().during(op, &self.path)?;
        }
        let names = self.columns.iter().map(|column| checksums_name(&column.column.name));
        let names: Vec<_> = names.collect();
        create_groups(&self.file, names.iter().map(String::as_str)).during(op, &self.path)?;
        for (column, name) in self.columns.iter().zip(&names) {
            write_array(&self.file, name, &column.checksums).during(op, &self.path)?;
        }
        let Self { path, file, columns } = self;
        let parts = columns.iter().map(|column| (column.stored as u64, &column.checksums[..]));
        let summary = Summary::new(parts);
        drop(columns);
        file.flush().during(op, &path)?;
        file.close().during(op, &path)?;
        Ok(summary)
    }
}

impl ColumnWriter {
    fn create(file: &File, column_idx: usize, column: &Column) -> hdf5::Result<Self> {
        let axes = [Some(Extent::resizable(0)), column.width.map(Extent::fixed)];
        let shape = SimpleExtents::from_vec(axes.into_iter().flatten().collect());
        let builder = file.new_dataset_builder();
        let dataset = builder
            .empty_as(column.element.stored())
            .shape(shape)
            .chunk(column.shape(column.chunk_rows))
            .chunk_cache(1, 0, 1.0)
            .obj_track_times(false)
            .create(column.name.as_str())?;
        let attributes = column.attributes.clone().count(COLUMN_IDX, column_idx as u64);
        attributes.write(&dataset)?;
        Ok(Self {
            column: column.clone(),
            dataset,
            stored: 0,
            pending: Vec::new(),
            checksums: Vec::new(),
        })
    }

    fn append(&mut self, mut bytes: &[u8]) -> hdf5::Result<()> {
        let chunk_bytes = self.column.chunk_bytes();
        while !bytes.is_empty() {
            let room = chunk_bytes - self.pending.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if now.len() == chunk_bytes {
                self.write_chunk(now, self.column.chunk_rows)?;
            } else {
                self.pending.extend_from_slice(now);
                if self.pending.len() == chunk_bytes {
                    self.write_pending(self.column.chunk_rows)?;
                }
            }
            bytes = later;
        }
        Ok(())
    }

    /// Writes the rows of the last chunk, if it is not whole; the rest of the chunk is zero.
    fn finish(&mut self) -> hdf5::Result<()> {
        let rows = self.pending.len() / self.column.row_bytes();
        if rows == 0 { Ok(()) } else { self.write_pending(rows) }
    }

    fn write_pending(&mut self, rows: usize) -> hdf5::Result<()> {
        let mut pending = std::mem::take(&mut self.pending);
        let written = pending.len();
        pending.resize(self.column.chunk_bytes(), 0);
        self.write_padded_chunk(&pending, written, rows)?;
        pending.clear();
        self.pending = pending;
        Ok(())
    }

    fn write_chunk(&mut self, bytes: &[u8], rows: usize) -> hdf5::Result<()> {
        self.write_padded_chunk(bytes, bytes.len(), rows)
    }

    /// Writes a whole chunk, of which the first `used` bytes, `rows` rows, count.
    fn write_padded_chunk(&mut self, bytes: &[u8], used: usize, rows: usize) -> hdf5::Result<()> {
        self.dataset.resize(self.column.shape(self.stored + self.column.chunk_rows))?;
        match self.column.element {
            Element::U8 => self.write::<u8>(bytes),
            Element::U16 | Element::Bf16 => self.write::<u16>(bytes),
            Element::U32 => self.write::<u32>(bytes),
            Element::U64 => self.write::<u64>(bytes),
            Element::F32 => self.write::<f32>(bytes),
            Element::F16 => self.write::<half::f16>(bytes),
        }?;
        if rows < self.column.chunk_rows {
            self.dataset.resize(self.column.shape(self.stored + rows))?;
        }
        self.checksums.push(crc32fast::hash(&bytes[..used]));
        self.stored += rows;
        Ok(())
    }

    fn write<T: H5Type + Pod>(&self, bytes: &[u8]) -> hdf5::Result<()> {
        // A copy, since the bytes need not lie on the boundary that the type asks for.
        let values: Vec<T> = bytemuck::pod_collect_to_vec(bytes);
        let rows = self.stored..self.stored + self.column.chunk_rows;
        match self.column.width {
            None => self.dataset.write_slice(ArrayView1::from(&values), rows),
            Some(width) => {
                let shape = (self.column.chunk_rows, width);
                let view = ArrayView2::from_shape(shape, &values)
                    .map_err(|error| hdf5::Error::from(error.to_string()))?;
                self.dataset.write_slice(view, s![rows, ..])
            }
        }
    }
}

/// The name of the data set with the checksums of a column.
pub(crate) fn checksums_name(column: &str) -> String {
    format!("{CHECKSUMS}/{column}")
}

/// Writes a data set with one axis in one piece.
pub(crate) fn write_array<T: H5Type>(file: &File, name: &str, values: &[T]) -> hdf5::Result<()> {
    let builder = file.new_dataset_builder();
    let dataset = builder.empty::<T>().shape(values.len()).obj_track_times(false).create(name)?;
    dataset.write_raw(values)
}

/// Creates the groups in which data sets of these names lie.
fn create_groups<'a>(file: &Group, names: impl Iterator<Item = &'a str>) -> hdf5::Result<()> {
    let ends = |name: &str| name.match_indices('/').map(|(at, _)| at).collect::<Vec<_>>();
    let groups = names.flat_map(|name| ends(name).into_iter().map(move |end| &name[..end]));
    for group in groups.collect::<BTreeSet<_>>() {
        file.create_group_builder().obj_track_times(false).create(group)?;
    }
    Ok(())
}
