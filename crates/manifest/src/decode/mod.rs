//! Decoders: bytes to plain arrays.
//!
//! Each takes the file's name for its messages and the file's bytes. A claim in a header is checked
//! against the bytes that are there before anything of that size is allocated, so the memory a
//! decoder takes is a small multiple of what it is given.

pub mod cifar;
pub mod gzip;
mod half;
pub mod idx;
pub mod image_folder;
pub mod learned_betas;
pub mod llama2c;
pub mod npy;
mod pickle;
mod pickle_machine;
pub mod pytorch;

use crate::Error;

/// A dense array in row-major order.
///
/// **Shapes** `data.len()` is the product of `shape`; an empty shape is a scalar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array<T> {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Elements, last axis fastest.
    pub data: Vec<T>,
}

/// A dense array of one of the element types that the data sets use.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// Unsigned bytes.
    U8(Array<u8>),
    /// Signed 64-bit integers.
    I64(Array<i64>),
    /// Single precision; half precision and bfloat16 are widened to it, exactly.
    F32(Array<f32>),
    /// Double precision.
    F64(Array<f64>),
}

impl Numbers {
    /// Extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::U8(a) => &a.shape,
            Self::I64(a) => &a.shape,
            Self::F32(a) => &a.shape,
            Self::F64(a) => &a.shape,
        }
    }

    /// The element type's name.
    pub fn dtype(&self) -> &'static str {
        match self {
            Self::U8(_) => "u8",
            Self::I64(_) => "i64",
            Self::F32(_) => "f32",
            Self::F64(_) => "f64",
        }
    }

    /// The array, where it holds finite single-precision values.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] for another element type, [`Error::NotFinite`] for a NaN or an infinity.
    ///
    /// # Examples
    ///
    /// ```
    /// use manifest::decode::{Array, Numbers};
    /// let array = Array { shape: vec![2], data: vec![1.0, f32::NAN] };
    /// let error = Numbers::F32(array).into_finite_f32("w.npy").unwrap_err();
    /// assert_eq!(error.to_string(), "w.npy: expected finite values, got NaN at index 1");
    /// ```
    pub fn into_finite_f32(self, file: &str) -> Result<Array<f32>, Error> {
        let Self::F32(array) = self else {
            return Err(Error::decode(file, "array", "elements of type f32", self.dtype()));
        };
        match array.data.iter().position(|v| !v.is_finite()) {
            None => Ok(array),
            Some(index) => Err(Error::NotFinite {
                file: file.to_owned(),
                index,
                value: f64::from(array.data[index]),
            }),
        }
    }

    /// The array, where it holds unsigned bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] for another element type.
    pub fn into_u8(self, file: &str) -> Result<Array<u8>, Error> {
        match self {
            Self::U8(array) => Ok(array),
            other => Err(Error::decode(file, "array", "elements of type u8", other.dtype())),
        }
    }
}

/// Decodes a file of images to gray pixels: IDX as they are, CIFAR records (`.bin`, `.bin.gz`) by
/// [`cifar::Images::gray`].
///
/// **Shapes** `[image, row, column]`
///
/// # Errors
///
/// [`Error::Decode`] for a file that is neither, or that holds no images.
pub fn gray_images(file: &str, bytes: &[u8]) -> Result<Array<u8>, Error> {
    let plain = file.strip_suffix(".gz").unwrap_or(file);
    let images = if plain.strip_suffix(".bin").is_some() {
        cifar::decode(file, bytes)?.gray()
    } else {
        idx::decode(file, bytes)?
    };
    if images.shape.len() == 3 {
        return Ok(images);
    }
    let got = format!("the shape {:?}", images.shape);
    Err(Error::decode(file, "images", "axes image, row and column", got))
}

/// The number of elements of a shape, or `None` where it does not fit.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |n, &extent| n.checked_mul(extent))
}

/// Reads little-endian elements of `N` bytes each.
pub(crate) fn elements<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|chunk| read(*chunk)).collect()
}
