//! Activations that lie in a safetensors file as a matrix.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use kernels::Matrix;
use safetensors::tensor::Dtype;

use super::{FileError, tensors};

/// The matrix of this name in a safetensors file, of type F32, F16 or BF16; without a name, the only tensor there is. Others
/// are not read.
///
/// # Memory
/// The bytes of the matrix, and the matrix in single precision.
///
/// # Errors
/// [`FileError::Syntax`] for a file that does not hold together, [`FileError::Tensor`] for a tensor that is not there or no
/// matrix, or without a name where there are several, [`FileError::Io`]. NaN and infinities are values here.
pub fn read_matrix(path: &Path, name: Option<&str>) -> Result<Matrix, FileError> {
    let (mut file, metadata) = tensors::open(path)?;
    let names = metadata.offset_keys();
    let error = |name: &str, expected: &str, got: String| {
        FileError::tensor(&path.display().to_string(), name, expected, got)
    };
    let name = match (name, &names[..]) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, _) => {
            let got = format!("{}: {}", names.len(), names.join(", "));
            return Err(error("without a name", "the only one in the file", got));
        }
    };
    let Some(info) = metadata.info(name) else {
        return Err(error(name, "a matrix", format!("none; there are {}", names.join(", "))));
    };
    let [n_rows, n_columns] = info.shape[..] else {
        return Err(error(name, "a matrix", format!("the shape {:?}", info.shape)));
    };
    if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
        return Err(error(name, "F32, F16 or BF16", format!("{:?}", info.dtype)));
    }
    let (start, end) = info.data_offsets;
    let io = || FileError::io("read", path);
    file.seek(SeekFrom::Current(i64::try_from(start).unwrap_or(i64::MAX))).map_err(io())?;
    let mut bytes = vec![0; end - start];
    file.read_exact(&mut bytes).map_err(io())?;
    let values = tensors::decoded(info.dtype, &bytes);
    let values = values.map_err(|got| error(name, "activations", got))?;
    Matrix::from_rows(n_rows, n_columns, values)
        .map_err(|source| FileError::dictionary(&path.display().to_string())(source.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tensors::Stored;

    #[test]
    fn a_matrix_is_found_by_its_name_or_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.safetensors");
        let rows = Matrix::from_rows(2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        tensors::write(&path, &[Stored::matrix("rows", &rows)]).unwrap();
        assert_eq!(read_matrix(&path, None).unwrap(), rows);
        // Whoever can read other new files can read it.
        let rights = |path: &Path| std::fs::metadata(path).unwrap().permissions();
        let other = folder.path().join("other");
        std::fs::write(&other, "").unwrap();
        assert_eq!(rights(&path), rights(&other));

        let more = [
            Stored::vector("a", &[0.0; 5]),
            Stored::matrix("rows", &rows),
            Stored::count("tokens", 7),
        ];
        tensors::write(&path, &more).unwrap();
        assert_eq!(read_matrix(&path, Some("rows")).unwrap(), rows);
        for (name, parts) in [
            (None, ["without a name", "rows"]),
            (Some("a"), ["tensor a", "[5]"]),
            (Some("tokens"), ["tensor tokens", "matrix"]),
            (Some("b"), ["tensor b", "a, rows"]),
        ] {
            let error = read_matrix(&path, name).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let error = read_matrix(&path, Some("rows")).unwrap_err().to_string();
        assert!(error.contains("truncated"), "{error}");
    }
}
