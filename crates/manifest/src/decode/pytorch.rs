//! PyTorch checkpoints of plain tensors (`torch.save`, PyTorch 1.6 and later).
//!
//! Such a file is a zip archive: `data.pkl` describes the tensors, one stored entry per tensor
//! holds its bytes. Two gates stand before the reader: the archive may hold stored entries only,
//! so nothing in it is larger than the file; and the pickle may name nothing but tensor
//! constructors. No code is run at any point.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};

use pytorch_reader::{DType, PickleValue, PytorchError, PytorchReader};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::half::{bf16_to_f32, f16_to_f32};
use super::pickle::Pickle;
use super::{Array, Numbers, elements};
use crate::Error;

const FORMAT: &str = "PyTorch";

/// What a pickle of tensors may name.
const ALLOWED: &[&str] = &[
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch FloatStorage",
    "torch DoubleStorage",
    "torch HalfStorage",
    "torch BFloat16Storage",
    "torch LongStorage",
    "torch ByteStorage",
];

/// The key under which the root object is read.
const ROOT: &str = "root";

/// The most bytes that all tensors may have together, in lengths of the file. Tensors that share
/// a storage are counted each.
const MAX_EXPANSION: usize = 4;

/// Decodes a checkpoint whose root is a tensor or a parameter.
///
/// # Errors
///
/// [`Error::Callable`] where the pickle names anything but tensor constructors;
/// [`Error::Decode`] where the file is broken or its root is something else.
pub fn decode_tensor(file: &str, bytes: &[u8]) -> Result<Numbers, Error> {
    let mut tensors = decode_root(file, bytes)?;
    match (tensors.remove(ROOT), tensors.len()) {
        (Some(tensor), 0) => Ok(tensor),
        _ => Err(Error::decode(file, FORMAT, "one tensor at the root", "a dictionary")),
    }
}

/// Decodes a checkpoint whose root is a matrix of finite 32-bit numbers.
///
/// **Shapes** `[row, column]`
///
/// # Errors
///
/// As for [`decode_tensor`]; [`Error::NotFinite`] for a NaN or an infinity.
pub fn decode_matrix(file: &str, bytes: &[u8]) -> Result<Array<f32>, Error> {
    let matrix = decode_tensor(file, bytes)?.into_finite_f32(file)?;
    if matrix.shape.len() == 2 {
        return Ok(matrix);
    }
    Err(Error::decode(file, FORMAT, "a matrix", format!("the shape {:?}", matrix.shape)))
}

/// Decodes a state dictionary: tensors by their dotted names.
///
/// # Errors
///
/// As for [`decode_tensor`].
pub fn decode_state_dict(file: &str, bytes: &[u8]) -> Result<BTreeMap<String, Numbers>, Error> {
    let named = decode_root(file, bytes)?.into_iter().map(|(name, tensor)| {
        name.strip_prefix(ROOT).and_then(|name| name.strip_prefix('.')).map_or_else(
            || Err(Error::decode(file, FORMAT, "a dictionary at the root", "a tensor")),
            |name| Ok((name.to_owned(), tensor)),
        )
    });
    named.collect()
}

/// Tensors by dotted name below [`ROOT`].
///
/// The reader wants a dictionary at the root and a path on disk, so the archive is copied to a
/// temporary file with its pickle wrapped: `{"root": <what was there>}`.
fn decode_root(file: &str, bytes: &[u8]) -> Result<BTreeMap<String, Numbers>, Error> {
    let wrapped = rewrap(file, bytes)?;
    let mut temporary = tempfile::Builder::new()
        .prefix("engram-tensors-")
        .tempfile()
        .map_err(Error::io("create", std::env::temp_dir()))?;
    temporary.write_all(&wrapped).map_err(Error::io("write", temporary.path()))?;
    let broken =
        |e: PytorchError| Error::decode(file, FORMAT, "a checkpoint of tensors", e.to_string());
    let path = temporary.path();
    only_tensors(file, &PytorchReader::read_pickle_data(path, Some(ROOT)).map_err(broken)?)?;
    let reader = PytorchReader::new(path).map_err(broken)?;

    let total = reader.tensors().values().try_fold(0_usize, |sum, t| sum.checked_add(t.byte_len()));
    if total.is_none_or(|total| total > bytes.len().saturating_mul(MAX_EXPANSION)) {
        let expected = format!("tensors of at most {MAX_EXPANSION} times the file's length");
        return Err(Error::decode(file, FORMAT, expected, "more"));
    }
    let mut tensors = BTreeMap::new();
    for (name, tensor) in reader.into_tensors() {
        let shape = tensor.shape().to_vec();
        let data = tensor
            .read()
            .map_err(|e| Error::decode(file, FORMAT, "the tensor's bytes", e.to_string()))?;
        let numbers = numbers(tensor.dtype(), shape, &data).ok_or_else(|| {
            let got = format!("{:?} in {name}", tensor.dtype());
            Error::decode(file, FORMAT, "u8, i64 or floating-point tensors", got)
        })?;
        tensors.insert(name, numbers);
    }
    Ok(tensors)
}

/// The reader hands back native-endian bytes.
fn numbers(dtype: DType, shape: Vec<usize>, data: &[u8]) -> Option<Numbers> {
    Some(match dtype {
        DType::F32 => Numbers::F32(Array { shape, data: elements(data, f32::from_ne_bytes) }),
        DType::F64 => Numbers::F64(Array { shape, data: elements(data, f64::from_ne_bytes) }),
        DType::I64 => Numbers::I64(Array { shape, data: elements(data, i64::from_ne_bytes) }),
        DType::U8 => Numbers::U8(Array { shape, data: data.to_vec() }),
        DType::F16 => {
            let data = elements(data, |b| f16_to_f32(u16::from_ne_bytes(b)));
            Numbers::F32(Array { shape, data })
        }
        DType::BF16 => {
            let data = elements(data, |b| bf16_to_f32(u16::from_ne_bytes(b)));
            Numbers::F32(Array { shape, data })
        }
        _ => return None,
    })
}

/// Refuses every leaf that is not a tensor, which the reader would leave out without a word.
/// `_metadata` is PyTorch's own: the version number of each layer.
fn only_tensors(file: &str, value: &PickleValue) -> Result<(), Error> {
    match value {
        PickleValue::Dict(entries) => entries
            .iter()
            .filter(|(key, _)| *key != "_metadata")
            .try_for_each(|(_, value)| only_tensors(file, value)),
        PickleValue::Unsupported(name) if name == "torch.Tensor" => Ok(()),
        PickleValue::Unsupported(name) => {
            Err(Error::decode(file, FORMAT, "tensors only", name.as_str()))
        }
        other => {
            let got = match other {
                PickleValue::String(_) | PickleValue::Bytes(_) => "text",
                PickleValue::List(_) => "a list",
                _ => "a plain value",
            };
            Err(Error::decode(file, FORMAT, "tensors only", got))
        }
    }
}

/// The archive with its pickle checked and wrapped in a dictionary.
fn rewrap(file: &str, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let fail = |expected: &str, got: String| Error::decode(file, FORMAT, expected, got);
    let broken = |e: zip::result::ZipError| fail("a sound zip archive", e.to_string());
    let unread = |e: std::io::Error| fail("a sound zip archive", e.to_string());
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let mut pickles = 0;
    let mut total = 0_u64;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(broken)?;
        let name = entry.name().map_err(broken)?.into_owned();
        total = total.saturating_add(entry.size());
        let stored = entry.compression() == CompressionMethod::Stored && !entry.encrypted();
        if !stored || total > bytes.len() as u64 {
            return Err(fail("stored entries no longer than the file", name));
        }
        if name != "data.pkl" && !name.ends_with("/data.pkl") {
            writer.raw_copy_file(entry).map_err(broken)?;
            continue;
        }
        pickles += 1;
        let mut pickle = Vec::new();
        entry.read_to_end(&mut pickle).map_err(unread)?;
        Pickle::parse(file, &pickle, ALLOWED)?;
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        writer.start_file(name, options).map_err(broken)?;
        // An empty dictionary and a key below the pickle's own value, then "set item" and "stop"
        // in the place of its stop.
        writer.write_all(b"\x80\x02}X\x04\0\0\0root").map_err(unread)?;
        writer.write_all(pickle.strip_suffix(b".").unwrap_or(&pickle)).map_err(unread)?;
        writer.write_all(b"s.").map_err(unread)?;
    }
    if pickles != 1 {
        return Err(fail("one data.pkl", pickles.to_string()));
    }
    writer.finish().map(Cursor::into_inner).map_err(broken)
}
