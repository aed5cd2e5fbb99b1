//! CIFAR records: the official binary layout of CIFAR-10, and the batches of both python versions.

use super::Array;
use super::pickle::{Node, Pickle};
use crate::Error;

/// Bytes of a record: a label, then the red, the green and the blue plane of 32 x 32 pixels.
pub const RECORD_BYTES: usize = 1 + PIXEL_BYTES;
const PIXEL_BYTES: usize = 3 * 32 * 32;

/// One of the two sets of CIFAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub enum Set {
    /// CIFAR-10: 10 classes.
    #[serde(rename = "cifar-10")]
    Cifar10,
    /// CIFAR-100 with its 100 fine labels.
    #[serde(rename = "cifar-100")]
    Cifar100,
}

impl Set {
    /// The number of classes: labels are smaller.
    pub const fn n_classes(self) -> u8 {
        match self {
            Self::Cifar10 => 10,
            Self::Cifar100 => 100,
        }
    }

    /// The entry of a python batch that holds the labels.
    const fn labels(self) -> &'static str {
        match self {
            Self::Cifar10 => "labels",
            Self::Cifar100 => "fine_labels",
        }
    }
}

/// Labeled 32 x 32 color images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Class of each image, from 0. `[image]`
    pub labels: Array<u8>,
    /// Pixels. `[image, channel, row, column]` with channels red, green, blue.
    pub pixels: Array<u8>,
}

impl Images {
    /// Gray images: (19595·R + 38470·G + 7471·B + 2¹⁵)/2¹⁶, which is 0.299 R + 0.587 G + 0.114 B, the luma of
    /// ITU-R 601, in the rounding of the Python library Pillow.
    ///
    /// **Shapes** `[image, row, column]`
    pub fn gray(&self) -> Array<u8> {
        const PLANE: usize = PIXEL_BYTES / 3;
        let mut data = Vec::with_capacity(self.pixels.data.len() / 3);
        for image in self.pixels.data.chunks_exact(PIXEL_BYTES) {
            let (red, rest) = image.split_at(PLANE);
            let (green, blue) = rest.split_at(PLANE);
            for ((red, green), blue) in red.iter().zip(green).zip(blue) {
                let sum = 19_595 * u32::from(*red)
                    + 38_470 * u32::from(*green)
                    + 7471 * u32::from(*blue)
                    + (1 << 15);
                // The weights sum to 2^16, so the upper half is a byte.
                data.push(sum.to_le_bytes()[2]);
            }
        }
        Array { shape: vec![data.len() / PLANE, 32, 32], data }
    }
}

/// Decodes records in the official binary layout.
///
/// **Shapes** `n` records of 3,073 bytes give labels `[n]` and pixels `[n, 3, 32, 32]`.
///
/// # Errors
///
/// [`Error::Decode`] where the length is no multiple of 3,073 or a label is above 9.
///
/// # Examples
///
/// ```
/// let mut record = vec![6_u8]; // a frog
/// record.extend([0; 3072]);
/// let images = manifest::decode::cifar::decode("one.bin", &record)?;
/// assert_eq!(images.labels.data, [6]);
/// assert_eq!(images.pixels.shape, [1, 3, 32, 32]);
/// # Ok::<(), manifest::Error>(())
/// ```
pub fn decode(file: &str, bytes: &[u8]) -> Result<Images, Error> {
    const FORMAT: &str = "CIFAR binary";
    if !bytes.len().is_multiple_of(RECORD_BYTES) {
        let expected = format!("a multiple of {RECORD_BYTES} bytes");
        return Err(Error::decode(file, FORMAT, expected, bytes.len().to_string()));
    }
    let n = bytes.len() / RECORD_BYTES;
    let mut labels = Vec::with_capacity(n);
    let mut pixels = Vec::with_capacity(n * PIXEL_BYTES);
    for (index, record) in bytes.chunks_exact(RECORD_BYTES).enumerate() {
        if record[0] >= Set::Cifar10.n_classes() {
            let got = format!("{} in record {index}", record[0]);
            return Err(Error::decode(file, FORMAT, "labels 0 to 9", got));
        }
        labels.push(record[0]);
        pixels.extend_from_slice(&record[1..]);
    }
    Ok(images(labels, pixels))
}

fn images(labels: Vec<u8>, pixels: Vec<u8>) -> Images {
    let n = labels.len();
    Images {
        labels: Array { shape: vec![n], data: labels },
        pixels: Array { shape: vec![n, 3, 32, 32], data: pixels },
    }
}

/// The array constructors that a python batch names; nothing else is accepted, nothing is run.
const ALLOWED: &[&str] = &[
    "numpy.core.multiarray _reconstruct",
    "numpy._core.multiarray _reconstruct",
    "numpy ndarray",
    "numpy dtype",
];

/// Decodes a batch of the official python version: a pickled dictionary whose `data` is a numpy
/// array of bytes `[n, 3072]` in row-major order and whose `labels` (of CIFAR-100 `fine_labels`) is a
/// list of `n` integers.
///
/// # Errors
///
/// [`Error::Callable`] where the pickle names anything but numpy's array constructors,
/// [`Error::Decode`] where it is broken or of another structure.
pub fn decode_python_batch(file: &str, bytes: &[u8], set: Set) -> Result<Images, Error> {
    const FORMAT: &str = "CIFAR python batch";
    let fail = |expected: &str, got: &str| Error::decode(file, FORMAT, expected, got);
    let pickle = Pickle::parse(file, bytes, ALLOWED)?;
    let entry = |key: &str| {
        pickle
            .dict_entry(pickle.root(), key.as_bytes())
            .ok_or_else(|| fail(&format!("a dictionary with an entry {key:?}"), "none"))
    };
    let label = |id: &u32| match pickle.node(*id) {
        Node::Int(value) => u8::try_from(*value).ok().filter(|&label| label < set.n_classes()),
        _ => None,
    };
    let labels = match pickle.node(entry(set.labels())?) {
        Node::List(ids) => ids.iter().map(label).collect::<Option<Vec<u8>>>(),
        _ => None,
    }
    .ok_or_else(|| {
        let expected = format!("{:?}, a list of numbers below {}", set.labels(), set.n_classes());
        fail(&expected, "something else")
    })?;
    let pixels = array_bytes(&pickle, entry("data")?, labels.len()).ok_or_else(|| {
        fail("a numpy array of bytes, one row of 3,072 per label", "something else")
    })?;
    Ok(images(labels, pixels.to_vec()))
}

/// The bytes of a pickled numpy array of shape `[n, 3072]`, type `u1`, C order.
///
/// Its state is `(version, shape, dtype, is_fortran, bytes)`; the dtype is a call with the
/// arguments `('u1', align, copy)`.
fn array_bytes<'a>(pickle: &Pickle<'a>, id: u32, n: usize) -> Option<&'a [u8]> {
    let Node::Call { state: Some(state), .. } = pickle.node(id) else { return None };
    let [_, shape, dtype, fortran, data] = pickle.tuple(*state)? else { return None };
    let [rows, columns] = pickle.tuple(*shape)? else { return None };
    let extents = (pickle.node(*rows), pickle.node(*columns));
    let (Node::Int(rows), Node::Int(columns)) = extents else { return None };
    let Node::Call { arguments, .. } = pickle.node(*dtype) else { return None };
    let code = pickle.bytes(*pickle.tuple(*arguments)?.first()?)?;
    let data = pickle.bytes(*data)?;
    let fits = usize::try_from(*rows) == Ok(n)
        && usize::try_from(*columns) == Ok(PIXEL_BYTES)
        && matches!(code, b"u1" | b"|u1")
        && matches!(pickle.node(*fortran), Node::Bool(false) | Node::Int(0))
        && n.checked_mul(PIXEL_BYTES) == Some(data.len());
    fits.then_some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_split_into_labels_and_planes() {
        let mut bytes = vec![0_u8; 2 * RECORD_BYTES];
        bytes[0] = 3;
        bytes[1] = 10; // first red
        bytes[1025] = 20; // first green
        bytes[RECORD_BYTES] = 9;
        bytes[2 * RECORD_BYTES - 1] = 30; // last blue
        let images = decode("two.bin", &bytes).unwrap();
        assert_eq!(images.labels.data, [3, 9]);
        assert_eq!((images.pixels.data[0], images.pixels.data[1024]), (10, 20));
        assert_eq!(images.pixels.data.last(), Some(&30));
    }

    #[test]
    fn gray_is_the_luma_of_the_color() {
        let mut bytes = vec![0_u8; RECORD_BYTES];
        (bytes[1], bytes[1025], bytes[2049]) = (255, 255, 255);
        (bytes[2], bytes[1027], bytes[2052]) = (100, 100, 100);
        let gray = decode("one.bin", &bytes).unwrap().gray();
        assert_eq!(gray.shape, [1, 32, 32]);
        // 29.9, 58.7 and 11.4 of a hundred.
        assert_eq!(gray.data[..5], [255, 30, 59, 11, 0]);
    }

    #[test]
    fn short_records_and_unknown_classes_are_refused() {
        assert!(decode("f", &[0; RECORD_BYTES - 1]).is_err());
        let mut bytes = vec![0; RECORD_BYTES];
        bytes[0] = 10;
        let message = decode("f.bin", &bytes).unwrap_err().to_string();
        assert!(message.contains("f.bin") && message.contains("10 in record 0"), "{message}");
    }
}
