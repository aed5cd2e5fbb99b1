//! The IDX format of MNIST and Fashion-MNIST.
//!
//! Two zero bytes, a type code (8 for unsigned bytes, the only one in use), the number of axes,
//! one big-endian `u32` extent per axis, then the elements, last axis fastest.

use super::{Array, element_count};
use crate::Error;

const FORMAT: &str = "idx";

/// Decodes an IDX file of unsigned bytes with any number of axes.
///
/// **Shapes** images: `[image, row, column]`; labels: `[image]`.
///
/// # Errors
///
/// [`Error::Decode`] where the magic number, the type code or the length is not what the header
/// promises.
///
/// # Examples
///
/// ```
/// let bytes = [0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1];
/// let labels = manifest::decode::idx::decode("labels", &bytes)?;
/// assert_eq!((labels.shape, labels.data), (vec![3], vec![7, 2, 1]));
/// # Ok::<(), manifest::Error>(())
/// ```
pub fn decode(file: &str, bytes: &[u8]) -> Result<Array<u8>, Error> {
    let fail = |expected: &str, got: String| Error::decode(file, FORMAT, expected, got);
    let [first, second, code, axes, rest @ ..] = bytes else {
        return Err(fail("a header of at least 4 bytes", format!("{} bytes", bytes.len())));
    };
    if (*first, *second) != (0, 0) {
        return Err(fail("two zero bytes at the start", format!("{first}, {second}")));
    }
    if *code != 8 {
        return Err(fail("type code 8 (unsigned bytes)", code.to_string()));
    }
    let axes = usize::from(*axes);
    let Some((extents, data)) = rest.split_at_checked(4 * axes) else {
        return Err(fail(&format!("{axes} extents of 4 bytes"), format!("{} bytes", rest.len())));
    };
    let shape: Vec<usize> =
        extents.as_chunks::<4>().0.iter().map(|e| u32::from_be_bytes(*e) as usize).collect();
    if element_count(&shape) != Some(data.len()) {
        return Err(fail(
            &format!("as many elements as the shape {shape:?} has"),
            format!("{} bytes", data.len()),
        ));
    }
    Ok(Array { shape, data: data.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_keep_their_axes() {
        let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        bytes.extend([1, 2, 3, 4]);
        let images = decode("images", &bytes).unwrap();
        assert_eq!(images, Array { shape: vec![2, 1, 2], data: vec![1, 2, 3, 4] });
    }

    #[test]
    fn a_header_that_lies_about_its_size_is_refused() {
        // 2^32 - 1 images of 2^32 - 1 pixels: the product overflows and nothing is allocated.
        let mut bytes = vec![0, 0, 8, 3];
        bytes.extend([255; 12]);
        bytes.push(0);
        let message = decode("images", &bytes).unwrap_err().to_string();
        assert!(message.contains("images") && message.contains("got 1 bytes"), "{message}");

        let one_short = [0, 0, 8, 1, 0, 0, 0, 3, 7, 2];
        assert!(decode("labels", &one_short).is_err());
        let one_long = [0, 0, 8, 1, 0, 0, 0, 1, 7, 2];
        assert!(decode("labels", &one_long).is_err());
    }

    #[test]
    fn other_types_and_short_headers_are_refused() {
        assert!(decode("f", &[0, 0, 13, 1, 0, 0, 0, 0]).is_err());
        assert!(decode("f", &[1, 0, 8, 1, 0, 0, 0, 0]).is_err());
        assert!(decode("f", &[0, 0, 8]).is_err());
        assert!(decode("f", &[0, 0, 8, 2, 0, 0, 0, 0]).is_err());
    }
}
