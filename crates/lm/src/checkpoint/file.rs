//! One safetensors file, read tensor by tensor after its header was checked.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use crate::LmError;

/// Longer headers are refused unread, as the format has it.
const MOST_HEADER_BYTES: u64 = 100_000_000;

/// How numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits, exact.
    F32,
    /// 16 bits: 11 of precision, up to 65,504.
    F16,
    /// 16 bits: 8 of precision, the range of single precision.
    Bf16,
}

impl Precision {
    const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Bf16];

    /// The name of the format in a file.
    pub(super) const fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::BF16,
        }
    }

    /// Numbers from little-endian bytes.
    fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let halves = || bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
        match self {
            Self::F32 => {
                let words = bytes.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
                words.map(f32::from_le_bytes).collect()
            }
            Self::F16 => halves().map(|b| f16::from_le_bytes(b).to_f32()).collect(),
            Self::Bf16 => halves().map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
        }
    }

    /// Numbers to little-endian bytes, rounded to the nearest, ties to even.
    pub(crate) fn encode(self, values: &[f32]) -> Vec<u8> {
        let values = values.iter();
        match self {
            Self::F32 => values.flat_map(|value| value.to_le_bytes()).collect(),
            Self::F16 => values.flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect(),
            Self::Bf16 => values.flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect(),
        }
    }
}

/// An open file whose header holds together.
pub(crate) struct TensorFile {
    path: PathBuf,
    file: File,
    /// Where the tensors begin.
    data_start: u64,
    metadata: Metadata,
}

impl TensorFile {
    /// Opens a file and checks its header: length, JSON, that tensors neither overlap nor leave gaps, and
    /// that they end with the file.
    pub(crate) fn open(path: &Path) -> Result<Self, LmError> {
        let mut file = File::open(path).map_err(LmError::io("open", path))?;
        let io = |error| LmError::io("read", path)(error);
        let n_bytes = file.metadata().map_err(io)?.len();
        let syntax = |problem: String| LmError::Syntax {
            file: path.display().to_string(),
            what: "a safetensors file",
            problem,
        };
        let mut length = [0; 8];
        if n_bytes < 8 {
            return Err(syntax(format!("{n_bytes} bytes, too short for a header")));
        }
        file.read_exact(&mut length).map_err(io)?;
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
        Read::by_ref(&mut file).take(header_bytes).read_to_end(&mut header).map_err(io)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| syntax(error.to_string()))?;
        let data_bytes = metadata.data_len() as u64;
        if data_start.checked_add(data_bytes) != Some(n_bytes) {
            return Err(syntax(format!(
                "its tensors claim {data_bytes} bytes, the file has {} for them: truncated?",
                n_bytes - data_start
            )));
        }
        Ok(Self { path: path.to_owned(), file, data_start, metadata })
    }

    /// The names of its tensors.
    pub(crate) fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// How many numbers a tensor has; 0 if there is none of that name.
    pub(crate) fn len(&self, name: &str) -> usize {
        self.metadata.info(name).map_or(0, |info| info.shape.iter().product())
    }

    /// The file's name, for errors.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// A tensor, which must have this shape and one of the precisions.
    pub(crate) fn read(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LmError> {
        let wrong = |got: String| LmError::Tensor {
            file: self.name(),
            tensor: name.to_owned(),
            expected: format!("the shape {shape:?} in F32, F16 or BF16"),
            got,
        };
        let Some(TensorInfo { dtype, shape: got, data_offsets: (start, end) }) =
            self.metadata.info(name)
        else {
            return Err(wrong("none".to_owned()));
        };
        let precision = Precision::ALL.into_iter().find(|precision| precision.dtype() == *dtype);
        let Some(precision) = precision.filter(|_| got == shape) else {
            return Err(wrong(format!("the shape {got:?} in {dtype:?}")));
        };
        let io = LmError::io("read", &self.path);
        let mut bytes = vec![0; end - start];
        let read = self
            .file
            .seek(SeekFrom::Start(self.data_start + *start as u64))
            .and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(io)?;
        Ok(precision.decode(&bytes))
    }
}
