//! Gemma Scope: `params.npz`, with `W_enc` `[d, n]`, `W_dec` `[n, d′]`, `b_enc` `[n]`, `b_dec` `[d′]` and `threshold` `[n]`.
//!
//! z = π where π = x·`W_enc` + `b_enc` > threshold; activations are not centered. The file says nothing of model and hook:
//! its folders do. Dictionaries of the embedding are for activations over √d, which the file does not say either:
//! `SAELens` divides `W_enc` by √d and multiplies `W_dec` by it, by the name of the folder; here that is left to the caller.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use kernels::Matrix;
use manifest::decode::npy;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::tensors::{Tensors, bytes};
use super::{About, FileError, Format, Loaded, complete, fit};
use crate::{Activation, Dictionary, Parts, Scaling};

/// The name in the folder.
pub(super) const WEIGHTS: &str = "params.npz";
/// More arrays than any such file has.
const MOST_ARRAYS: usize = 64;
const NAME: &str = "Gemma Scope";

/// Reads a folder with `params.npz`.
///
/// # Errors
/// As [`read_file`].
///
/// # Examples
///
/// ```
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gemma-transcoder/given");
/// let read = sae::files::gemma_scope::read(folder.as_ref())?;
/// assert_eq!((read.dictionary.width(), read.dictionary.decoder().n_columns()), (6, 4));
/// # Ok::<(), sae::files::FileError>(())
/// ```
pub fn read(folder: &Path) -> Result<Loaded, FileError> {
    read_file(&folder.join(WEIGHTS))
}

/// Reads a file of arrays, in half, single or double precision.
///
/// # Errors
/// [`FileError::Io`], [`FileError::Syntax`] and [`FileError::Decode`] for a file that is no archive of stored arrays in C
/// order; [`FileError::Tensor`] for arrays that are missing, left over or of other shapes; [`FileError::Dictionary`] for
/// numbers that are not finite.
pub fn read_file(path: &Path) -> Result<Loaded, FileError> {
    let mut arrays = arrays(path)?;
    let [d, n] = arrays.sizes("W_enc")?;
    let [_, out] = arrays.sizes("W_dec")?;
    let parts = Parts {
        encoder: arrays.transposed("W_enc", [d, n])?,
        decoder: arrays.matrix("W_dec", [n, out])?,
        encoder_bias: arrays.vector("b_enc", n)?,
        decoder_bias: arrays.vector("b_dec", out)?,
        activation: Activation::JumpRelu {
            thresholds: fit::thresholds(arrays.vector("threshold", n)?),
        },
        centers: false,
        skip: None,
        scaling: Scaling::None,
    };
    let file = arrays.file().to_owned();
    arrays.finish()?;
    let dictionary = Dictionary::new(parts).map_err(FileError::dictionary(&file))?;
    Ok(Loaded { dictionary, about: About::default(), format: Format::GemmaScope })
}

/// The arrays of an archive, none larger than the file itself.
fn arrays(path: &Path) -> Result<Tensors, FileError> {
    let file = File::open(path).map_err(FileError::io("open", path))?;
    let n_bytes = file.metadata().map_err(FileError::io("read", path))?.len();
    let name = path.display().to_string();
    let syntax = |problem: String| FileError::Syntax {
        file: name.clone(),
        what: "an archive of NumPy arrays",
        problem,
    };
    let broken = |error: zip::result::ZipError| syntax(error.to_string());
    let mut archive = ZipArchive::new(file).map_err(broken)?;
    if archive.len() > MOST_ARRAYS {
        return Err(syntax(format!("{} entries; at most {MOST_ARRAYS} are read", archive.len())));
    }
    let mut arrays = Tensors::new(path);
    let mut total = 0_u64;
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).map_err(broken)?;
        let entry_name = entry.name().map_err(broken)?.into_owned();
        total = total.saturating_add(entry.size().max(entry.compressed_size()));
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            let how = "is compressed; store it with numpy.savez";
            return Err(syntax(format!("{entry_name} {how}")));
        }
        if total > n_bytes {
            return Err(syntax(format!("{entry_name} claims more bytes than the file has")));
        }
        let mut content = Vec::new();
        let read = entry.read_to_end(&mut content);
        read.map_err(|error| syntax(format!("{entry_name}: {error}")))?;
        let decoded = npy::decode(&format!("{name}: {entry_name}"), &content);
        let decoded =
            decoded.map_err(|source| FileError::Decode { source: Box::new(source), remedy: "" })?;
        arrays.insert(entry_name.strip_suffix(".npy").unwrap_or(&entry_name), decoded)?;
    }
    Ok(arrays)
}

/// Writes a folder with `params.npz`, which must not exist yet. A scale of all activations and a center are folded into
/// weights and biases; rectified values become those above thresholds of 0.
///
/// # Errors
/// [`FileError::Unwritable`] for k largest, gates, a skip connection, and scaling row by row; [`FileError::Io`].
pub fn write(folder: &Path, dictionary: &Dictionary) -> Result<(), FileError> {
    let mut parts = fit::unscaled(dictionary, NAME)?;
    let lacks = |why| FileError::Unwritable { format: NAME, why };
    if parts.skip.is_some() {
        return Err(lacks("it has a skip connection"));
    }
    let thresholds = fit::as_thresholds(&parts);
    let thresholds =
        thresholds.ok_or_else(|| lacks("the format has thresholds and nothing else"))?;
    fit::center(&mut parts, false);
    let vector = |values: &[f32]| npy_file(&[values.len()], values);
    let matrix =
        |matrix: &Matrix| npy_file(&[matrix.n_rows(), matrix.n_columns()], matrix.values());
    complete(folder, |draft| {
        let path = draft.join(WEIGHTS);
        let io = |error| FileError::io("write", &path)(error);
        let mut writer = ZipWriter::new(File::create(&path).map_err(io)?);
        let broken = |error: zip::result::ZipError| io(std::io::Error::other(error));
        let mut put = |name: &str, content: Vec<u8>| put(&mut writer, name, &content);
        put("W_enc.npy", matrix(&parts.encoder.transposed())).map_err(broken)?;
        put("W_dec.npy", matrix(&parts.decoder)).map_err(broken)?;
        put("b_enc.npy", vector(&parts.encoder_bias)).map_err(broken)?;
        put("b_dec.npy", vector(&parts.decoder_bias)).map_err(broken)?;
        put("threshold.npy", vector(&thresholds)).map_err(broken)?;
        writer.finish().map_err(broken)?;
        Ok(())
    })
}

fn put<W: Write + Seek>(
    writer: &mut ZipWriter<W>,
    name: &str,
    content: &[u8],
) -> zip::result::ZipResult<()> {
    // Entries of 4 GiB and more need to be announced.
    let is_large = u32::try_from(content.len()).is_err();
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    writer.start_file(name, stored.large_file(is_large))?;
    writer.write_all(content)?;
    Ok(())
}

/// An array in single precision, version 1 of the format, in C order.
fn npy_file(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let extents: Vec<String> = shape.iter().map(ToString::to_string).collect();
    // Of one extent the comma makes a tuple; after two it may stand.
    let extents = extents.join(", ");
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({extents},), }}");
    // Magic, version and the header's length take ten bytes, the line's end one; all together a multiple of 64.
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    // Two extents at most: far below 2^16.
    file.extend(u16::try_from(header.len()).unwrap_or(u16::MAX).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(bytes(values));
    file
}
