//! NumPy's `.npy` format, versions 1 to 3.
//!
//! The magic `\x93NUMPY`, two version bytes, the length of the header (`u16` in version 1, else
//! `u32`, little-endian), the header (a Python dictionary with `descr`, `fortran_order` and
//! `shape`), then the elements.

use super::half::{f16_from_f32, f16_to_f32};
use super::{Array, Numbers, element_count, elements};
use crate::Error;

const FORMAT: &str = "npy";
const MAX_HEADER_BYTES: usize = 4096;
const MAX_AXES: usize = 32;

/// Decodes an array of unsigned bytes, signed 64-bit integers, or half, single or double
/// precision numbers, little-endian and in C order. Half precision is widened to single.
///
/// **Shapes** those of the header; an empty shape is a scalar.
///
/// # Errors
///
/// [`Error::Decode`] where the header is broken, names another type or order (Fortran order,
/// big-endian numbers, Python objects), or promises another length than the file has. NaN and
/// infinities are values here: see [`Numbers::into_finite_f32`].
///
/// # Examples
///
/// ```
/// use manifest::decode::{npy, Array, Numbers};
/// let mut bytes = b"\x93NUMPY\x01\x00\x3c\x00".to_vec();
/// bytes.extend(b"{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }  \n");
/// bytes.extend([0x00, 0x3c, 0x00, 0xc0]); // 1 and -2 in half precision
/// let Numbers::F32(array) = npy::decode("x.npy", &bytes)? else { unreachable!() };
/// assert_eq!(array, Array { shape: vec![2], data: vec![1.0, -2.0] });
/// # Ok::<(), manifest::Error>(())
/// ```
pub fn decode(file: &str, bytes: &[u8]) -> Result<Numbers, Error> {
    let fail = |expected: &str, got: &str| Error::decode(file, FORMAT, expected, got);
    let rest = bytes
        .strip_prefix(b"\x93NUMPY")
        .ok_or_else(|| fail("the magic \\x93NUMPY", "something else"))?;
    let (length, rest) = match rest {
        [1, 0, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, 0, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Err(fail("version 1.0, 2.0 or 3.0", "something else")),
    };
    if length > MAX_HEADER_BYTES {
        let expected = format!("a header of at most {MAX_HEADER_BYTES} bytes");
        return Err(fail(&expected, &length.to_string()));
    }
    let Some((header, data)) = rest.split_at_checked(length) else {
        return Err(fail("the whole header", &format!("{} of {length} bytes", rest.len())));
    };
    let header = std::str::from_utf8(header).map_err(|e| fail("a UTF-8 header", &e.to_string()))?;
    let header = Header::parse(header)
        .ok_or_else(|| fail("{'descr': …, 'fortran_order': …, 'shape': …}", header.trim()))?;
    if header.fortran_order {
        return Err(fail("C order", "Fortran order"));
    }
    let size = match header.descr {
        "|u1" | "<u1" => 1,
        "<f2" => 2,
        "<f4" => 4,
        "<i8" | "<f8" => 8,
        other => return Err(fail("type |u1, <i8, <f2, <f4 or <f8", other)),
    };
    let shape = header.shape;
    if element_count(&shape).and_then(|n| n.checked_mul(size)) != Some(data.len()) {
        let expected = format!("shape {shape:?} with {size} bytes an element");
        return Err(fail(&expected, &format!("{} bytes of data", data.len())));
    }
    Ok(match header.descr {
        "<f2" => {
            let data = elements(data, |b| f16_to_f32(u16::from_le_bytes(b)));
            Numbers::F32(Array { shape, data })
        }
        "<f4" => Numbers::F32(Array { shape, data: elements(data, f32::from_le_bytes) }),
        "<f8" => Numbers::F64(Array { shape, data: elements(data, f64::from_le_bytes) }),
        "<i8" => Numbers::I64(Array { shape, data: elements(data, i64::from_le_bytes) }),
        _ => Numbers::U8(Array { shape, data: data.to_vec() }),
    })
}

/// The file of an array of unsigned bytes, version 1, the same to the byte as NumPy writes it.
///
/// # Examples
///
/// ```
/// use manifest::decode::{npy, Array, Numbers};
/// let labels = Array { shape: vec![3], data: vec![6, 9, 9] };
/// let file = npy::encode_u8(&labels);
/// assert_eq!(file.len(), 128 + 3);
/// assert_eq!(npy::decode("y.npy", &file)?, Numbers::U8(labels));
/// # Ok::<(), manifest::Error>(())
/// ```
pub fn encode_u8(array: &Array<u8>) -> Vec<u8> {
    let mut file = head("|u1", &array.shape);
    file.extend_from_slice(&array.data);
    file
}

/// The file of an array in half precision, version 1: each number is rounded to the nearest half, ties to even.
///
/// # Errors
///
/// [`Error::NotFinite`] for a number that is not finite, or that becomes infinite: 65,520 and more.
///
/// # Examples
///
/// ```
/// use manifest::decode::{npy, Array, Numbers};
/// // Halves between 2048 and 4096 are even numbers; 2049 lies in the middle of two.
/// let numbers = Array { shape: vec![1, 3], data: vec![-0.5, 2049.0, 2050.5] };
/// let Numbers::F32(read) = npy::decode("x.npy", &npy::encode_f16("x.npy", &numbers)?)? else { unreachable!() };
/// assert_eq!(read, Array { shape: vec![1, 3], data: vec![-0.5, 2048.0, 2050.0] });
/// # Ok::<(), manifest::Error>(())
/// ```
pub fn encode_f16(file: &str, array: &Array<f32>) -> Result<Vec<u8>, Error> {
    let mut encoded = head("<f2", &array.shape);
    for (index, value) in array.data.iter().enumerate() {
        let half = f16_from_f32(*value);
        if !f16_to_f32(half).is_finite() {
            let (file, value) = (file.to_owned(), f64::from(*value));
            return Err(Error::NotFinite { file, index, value });
        }
        encoded.extend(half.to_le_bytes());
    }
    Ok(encoded)
}

/// Everything before the elements: the header filled with blanks so that it ends at a multiple of 64 bytes.
fn head(descr: &str, shape: &[usize]) -> Vec<u8> {
    let extents: String = match shape {
        [one] => format!("{one},"),
        _ => shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({extents}), }}");
    // Magic, version, and the header's length take ten bytes, the line's end one.
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    // At most 32 extents of 20 digits: far below the 2^16 of version 1.
    file.extend(u16::try_from(header.len()).unwrap_or(u16::MAX).to_le_bytes());
    file.extend(header.as_bytes());
    file
}

/// The dictionary at the start of the file.
struct Header<'a> {
    descr: &'a str,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl<'a> Header<'a> {
    /// Reads the three keys in any order, each once; `None` for anything else.
    fn parse(text: &'a str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix('{')?.trim_start();
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        while rest != "}" {
            let (key, after) = rest.strip_prefix('\'')?.split_once('\'')?;
            let value = after.trim_start().strip_prefix(':')?.trim_start();
            rest = match key {
                "descr" if descr.is_none() => {
                    let (text, rest) = value.strip_prefix('\'')?.split_once('\'')?;
                    descr = Some(text);
                    rest
                }
                "fortran_order" if fortran_order.is_none() => {
                    let (flag, rest) = match value.strip_prefix("False") {
                        Some(rest) => (false, rest),
                        None => (true, value.strip_prefix("True")?),
                    };
                    fortran_order = Some(flag);
                    rest
                }
                "shape" if shape.is_none() => {
                    let (text, rest) = value.strip_prefix('(')?.split_once(')')?;
                    shape = Some(extents(text)?);
                    rest
                }
                _ => return None,
            };
            rest = rest.trim_start();
            rest = match rest.strip_prefix(',') {
                Some(rest) => rest.trim_start(),
                None if rest == "}" => rest,
                None => return None,
            };
        }
        Some(Self { descr: descr?, fortran_order: fortran_order?, shape: shape? })
    }
}

/// Reads `2, 3` or `2,` or nothing.
fn extents(text: &str) -> Option<Vec<usize>> {
    let text = text.trim();
    let list = text.strip_suffix(',').unwrap_or(text);
    if list.is_empty() {
        return text.is_empty().then(Vec::new);
    }
    let shape = list.split(',').map(|e| e.trim().parse().ok()).collect::<Option<Vec<usize>>>()?;
    (shape.len() <= MAX_AXES).then_some(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        let length = u32::try_from(header.len()).unwrap().to_le_bytes();
        bytes.extend(if version == 1 { &length[..2] } else { &length[..] });
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn header(descr: &str, shape: &str) -> String {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}  \n")
    }

    fn message(version: u8, header: &str, data: &[u8]) -> String {
        decode("x.npy", &file(version, header, data)).unwrap_err().to_string()
    }

    #[test]
    fn every_type_and_version_reads_its_values() {
        let one = 1.5_f64.to_le_bytes();
        let f64s = decode("x", &file(2, &header("<f8", "(1,)"), &one)).unwrap();
        assert_eq!(f64s, Numbers::F64(Array { shape: vec![1], data: vec![1.5] }));
        let i64s = decode("x", &file(3, &header("<i8", "()"), &(-7_i64).to_le_bytes())).unwrap();
        assert_eq!(i64s, Numbers::I64(Array { shape: vec![], data: vec![-7] }));
        let u8s = decode("x", &file(1, &header("|u1", "(2, 3)"), &[1, 2, 3, 4, 5, 6])).unwrap();
        assert_eq!(u8s, Numbers::U8(Array { shape: vec![2, 3], data: vec![1, 2, 3, 4, 5, 6] }));
        let f32s = decode("x", &file(1, &header("<f4", "(1, 1)"), &2.5_f32.to_le_bytes())).unwrap();
        assert_eq!(f32s, Numbers::F32(Array { shape: vec![1, 1], data: vec![2.5] }));
    }

    #[test]
    fn what_is_encoded_is_decoded_and_too_large_a_number_refused() {
        for shape in [vec![], vec![1], vec![1, 1, 1]] {
            let array = Array { shape, data: vec![7] };
            let file = encode_u8(&array);
            assert_eq!(file.len(), 129);
            assert_eq!(decode("x", &file).unwrap(), Numbers::U8(array));
        }
        for value in [f32::NAN, f32::INFINITY, 65_520.0, -1e30] {
            let array = Array { shape: vec![2], data: vec![65_519.0, value] };
            let error = encode_f16("x.npy", &array).unwrap_err().to_string();
            assert!(error.contains("x.npy") && error.contains("index 1"), "{error}");
        }
    }

    #[test]
    fn fortran_order_objects_and_big_endian_are_refused_by_name() {
        let fortran = header("<f4", "(1,)").replace("False", "True");
        assert!(message(1, &fortran, &[0; 4]).contains("Fortran order"));
        assert!(message(1, &header("|O", "(1,)"), &[0; 8]).contains("|O"));
        assert!(message(1, &header(">f4", "(1,)"), &[0; 4]).contains(">f4"));
    }

    #[test]
    fn a_shape_that_lies_is_refused() {
        assert!(message(1, &header("<f4", "(2,)"), &[0; 4]).contains("4 bytes of data"));
        // 2^61 elements of 8 bytes overflow to 0 where the product is not checked.
        assert!(message(1, &header("<f8", "(2305843009213693952,)"), &[]).contains("0 bytes"));
        assert!(message(1, &header("<f4", "(-1,)"), &[]).contains("shape"));
    }

    #[test]
    fn doubled_and_unknown_keys_are_refused() {
        let twice = header("<f4", "(1,)").replace('{', "{'descr': '<f4', ");
        assert!(message(1, &twice, &[0; 4]).contains("descr"));
        let more = header("<f4", "(1,)").replace('{', "{'x': 1, ");
        assert!(message(1, &more, &[0; 4]).contains("'x'"));
        assert!(message(9, &header("<f4", "(1,)"), &[0; 4]).contains("version"));
    }
}
