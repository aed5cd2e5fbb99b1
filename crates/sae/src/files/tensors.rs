//! Tensors by name, from safetensors files, arrays of `NumPy` and checkpoints of `PyTorch`, and to safetensors.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use half::{bf16, f16};
use kernels::Matrix;
use manifest::decode::{Array, Numbers};
use safetensors::tensor::{Dtype, Metadata, TensorView};

use super::FileError;

/// Longer headers are refused unread, as the format has it.
const MOST_HEADER_BYTES: u64 = 100_000_000;
/// Whole numbers up to here are exact in single precision.
const MOST_EXACT: u64 = 1 << 24;

/// Tensors that were not asked for yet, in single precision.
pub(super) struct Tensors {
    file: String,
    left: BTreeMap<String, Array<f32>>,
}

impl Tensors {
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.display().to_string(), left: BTreeMap::new() }
    }

    /// All of a safetensors file.
    pub(super) fn read(path: &Path) -> Result<Self, FileError> {
        let mut tensors = Self::new(path);
        let (mut file, metadata) = open(path)?;
        // One after the other, as they lie in the file.
        for name in metadata.offset_keys() {
            let Some(info) = metadata.info(&name) else { continue };
            let (start, end) = info.data_offsets;
            let mut bytes = vec![0; end - start];
            file.read_exact(&mut bytes).map_err(FileError::io("read", path))?;
            let numbers = decoded(info.dtype, &bytes);
            let shape = info.shape.clone();
            let data = numbers.map_err(|got| tensors.error(&name, "numbers of a dictionary", got));
            tensors.left.insert(name, Array { shape, data: data? });
        }
        Ok(tensors)
    }

    /// Puts in what was decoded elsewhere, in single precision.
    pub(super) fn insert(&mut self, name: &str, numbers: Numbers) -> Result<(), FileError> {
        let narrowed = match numbers {
            Numbers::F32(array) => array,
            Numbers::F64(Array { shape, data }) => {
                #[expect(clippy::cast_possible_truncation, reason = "rounded to single precision")]
                let data = data.into_iter().map(|number| number as f32).collect();
                Array { shape, data }
            }
            Numbers::I64(Array { shape, data }) => {
                let data: Result<_, String> = data.into_iter().map(exact).collect();
                let data = data.map_err(|got| self.error(name, "numbers of a dictionary", got))?;
                Array { shape, data }
            }
            Numbers::U8(_) => {
                return Err(self.error(name, "numbers of a dictionary", "single bytes"));
            }
        };
        if self.left.insert(name.to_owned(), narrowed).is_some() {
            return Err(self.error(name, "it once", "it twice"));
        }
        Ok(())
    }

    /// The file's name, for errors.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    /// The error of a tensor.
    pub(super) fn error(&self, name: &str, expected: &str, got: impl Into<String>) -> FileError {
        FileError::tensor(&self.file, name, expected, got)
    }

    /// Rows and columns of a matrix, both 1 or more.
    pub(super) fn sizes(&self, name: &str) -> Result<[usize; 2], FileError> {
        match self.left.get(name).map(|array| &array.shape[..]) {
            Some([rows, columns]) if *rows > 0 && *columns > 0 => Ok([*rows, *columns]),
            Some(shape) => Err(self.error(name, "a matrix", format!("the shape {shape:?}"))),
            None => Err(self.error(name, "a matrix", "none")),
        }
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, FileError> {
        let expected = format!("the shape {shape:?}");
        match self.left.remove(name) {
            Some(array) if array.shape == shape => Ok(array.data),
            Some(array) => Err(self.error(name, &expected, format!("the shape {:?}", array.shape))),
            None => Err(self.error(name, &expected, "none")),
        }
    }

    /// A matrix of this shape, as it is stored.
    pub(super) fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Matrix, FileError> {
        let values = self.take(name, &shape)?;
        Matrix::from_rows(shape[0], shape[1], values)
            .map_err(|error| FileError::dictionary(&self.file)(error.into()))
    }

    /// A matrix that is stored with rows and columns exchanged: `shape` is that in the file.
    pub(super) fn transposed(
        &mut self,
        name: &str,
        shape: [usize; 2],
    ) -> Result<Matrix, FileError> {
        Ok(self.matrix(name, shape)?.transposed())
    }

    pub(super) fn vector(&mut self, name: &str, n: usize) -> Result<Vec<f32>, FileError> {
        self.take(name, &[n])
    }

    pub(super) fn scalar(&mut self, name: &str) -> Result<f32, FileError> {
        let number = self.take(name, &[])?;
        number.first().copied().ok_or_else(|| self.error(name, "a number", "none"))
    }

    /// A list of whole numbers of any length, or a single one.
    pub(super) fn whole(&mut self, name: &str) -> Result<Vec<usize>, FileError> {
        let array = self.left.remove(name).filter(|array| array.shape.len() <= 1);
        let array = array.ok_or_else(|| self.error(name, "whole numbers", "none"))?;
        let whole = |number: &f32| {
            let is_whole = number.fract() == 0.0 && (0.0..=MOST_EXACT as f32).contains(number);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole and in range, as was just seen"
            )]
            let number = is_whole.then_some(*number as usize);
            number
        };
        let numbers: Option<Vec<usize>> = array.data.iter().map(whole).collect();
        numbers.ok_or_else(|| self.error(name, "whole numbers", "others"))
    }

    /// Refuses what is left.
    pub(super) fn finish(self) -> Result<(), FileError> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.error(
                name,
                "only tensors that the config has a use for",
                "this one: does the config belong to these weights?",
            )),
        }
    }
}

/// A safetensors file at its first number, after a header that holds together: its length, its JSON, that tensors neither
/// overlap nor leave gaps, and that they end with the file. Only then is anything of a tensor's size allocated.
pub(super) fn open(path: &Path) -> Result<(BufReader<File>, Metadata), FileError> {
    let file = File::open(path).map_err(FileError::io("open", path))?;
    let n_bytes = file.metadata().map_err(FileError::io("read", path))?.len();
    let mut file = BufReader::new(file);
    let syntax = |problem: String| FileError::Syntax {
        file: path.display().to_string(),
        what: "a safetensors file",
        problem,
    };
    let mut length = [0; 8];
    if n_bytes < 8 {
        return Err(syntax(format!("{n_bytes} bytes, too short for a header")));
    }
    file.read_exact(&mut length).map_err(FileError::io("read", path))?;
    let header_bytes = u64::from_le_bytes(length);
    let Some(data_start) = header_bytes.checked_add(8).filter(|end| *end <= n_bytes) else {
        return Err(syntax(format!(
            "its header claims {header_bytes} bytes, the file has {n_bytes}: truncated?"
        )));
    };
    if header_bytes > MOST_HEADER_BYTES {
        return Err(syntax(format!(
            "its header claims {header_bytes} bytes; at most {MOST_HEADER_BYTES} are read"
        )));
    }
    let mut header = Vec::new();
    let read = Read::by_ref(&mut file).take(header_bytes).read_to_end(&mut header);
    read.map_err(FileError::io("read", path))?;
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|error| syntax(error.to_string()))?;
    let data_bytes = metadata.data_len() as u64;
    if data_start.checked_add(data_bytes) != Some(n_bytes) {
        return Err(syntax(format!(
            "its tensors claim {data_bytes} bytes, the file has {} for them: truncated?",
            n_bytes - data_start
        )));
    }
    Ok((file, metadata))
}

/// Numbers from little-endian bytes, or what is wrong with them.
pub(super) fn decoded(dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>, String> {
    let halves = || bytes.as_chunks::<2>().0.iter();
    let words = || bytes.as_chunks::<4>().0.iter();
    match dtype {
        Dtype::F32 => Ok(words().map(|b| f32::from_le_bytes(*b)).collect()),
        Dtype::F16 => Ok(halves().map(|b| f16::from_le_bytes(*b).to_f32()).collect()),
        Dtype::BF16 => Ok(halves().map(|b| bf16::from_le_bytes(*b).to_f32()).collect()),
        Dtype::I32 => words().map(|b| exact(i64::from(i32::from_le_bytes(*b)))).collect(),
        Dtype::I64 => {
            bytes.as_chunks::<8>().0.iter().map(|b| exact(i64::from_le_bytes(*b))).collect()
        }
        other => Err(format!("{other:?}; store it as F32, F16 or BF16")),
    }
}

/// A whole number in single precision.
fn exact(number: i64) -> Result<f32, String> {
    if number.unsigned_abs() <= MOST_EXACT {
        return Ok(number as f32);
    }
    Err(format!("{number}, beyond what single precision has"))
}

/// A tensor on its way to a file.
pub(super) struct Stored {
    pub name: &'static str,
    pub shape: Vec<usize>,
    pub numbers: Bytes,
}

/// Little-endian numbers.
pub(super) enum Bytes {
    F32(Vec<u8>),
    I32(Vec<u8>),
}

impl Stored {
    pub(super) fn matrix(name: &'static str, matrix: &Matrix) -> Self {
        let shape = vec![matrix.n_rows(), matrix.n_columns()];
        Self { name, shape, numbers: Bytes::F32(bytes(matrix.values())) }
    }

    pub(super) fn vector(name: &'static str, values: &[f32]) -> Self {
        Self { name, shape: vec![values.len()], numbers: Bytes::F32(bytes(values)) }
    }

    pub(super) fn scalar(name: &'static str, value: f32) -> Self {
        Self { name, shape: Vec::new(), numbers: Bytes::F32(bytes(&[value])) }
    }

    pub(super) fn count(name: &'static str, n: i32) -> Self {
        Self { name, shape: Vec::new(), numbers: Bytes::I32(n.to_le_bytes().to_vec()) }
    }
}

/// Little-endian bytes of single precision.
pub(super) fn bytes(values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 * values.len());
    for value in values {
        bytes.extend(value.to_le_bytes());
    }
    bytes
}

/// Writes a safetensors file.
pub(super) fn write(path: &Path, tensors: &[Stored]) -> Result<(), FileError> {
    let views = tensors.iter().map(|tensor| {
        let (dtype, bytes) = match &tensor.numbers {
            Bytes::F32(bytes) => (Dtype::F32, bytes),
            Bytes::I32(bytes) => (Dtype::I32, bytes),
        };
        Ok((tensor.name, TensorView::new(dtype, tensor.shape.clone(), bytes)?))
    });
    // The library leaves a file that its owner alone can read; this one gets the rights of any other new file.
    let new = File::create(path).and_then(|file| file.metadata());
    let rights = new.map_err(FileError::io("create", path))?.permissions();
    let written = views.collect::<Result<Vec<_>, _>>().and_then(|views| {
        let format = [("format".to_owned(), "pt".to_owned())];
        safetensors::serialize_to_file(views, Some(format.into()), path)
    });
    written.map_err(|error| FileError::io("write", path)(std::io::Error::other(error)))?;
    std::fs::set_permissions(path, rights).map_err(FileError::io("write", path))
}
