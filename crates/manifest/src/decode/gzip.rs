//! Inflating with a hard bound, so that a small file cannot fill the memory.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::Error;

/// Inflates a gzip stream of at most `limit` bytes of content.
///
/// **Determinism** none needed: the content is a function of the bytes.
///
/// # Errors
///
/// [`Error::Decode`] where the stream is broken, cut short, or holds more than `limit` bytes; no
/// more than `limit` + 1 bytes are ever inflated.
///
/// # Examples
///
/// ```
/// // "ab" as one stored deflate block.
/// let packed = [
///     0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1, 2, 0, 253, 255, b'a', b'b', 0x6d, 0x48, 0x83,
///     0x9e, 2, 0, 0, 0,
/// ];
/// assert_eq!(manifest::decode::gzip::inflate("ab.gz", &packed, 2)?, b"ab");
/// assert!(manifest::decode::gzip::inflate("ab.gz", &packed, 1).is_err());
/// # Ok::<(), manifest::Error>(())
/// ```
pub fn inflate(file: &str, packed: &[u8], limit: u64) -> Result<Vec<u8>, Error> {
    inflate_stream(file, packed, limit)
}

/// [`inflate`] from a reader.
pub(crate) fn inflate_stream(file: &str, packed: impl Read, limit: u64) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    stream(packed)
        .take(limit.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|e| broken(file, &e))?;
    if content.len() as u64 > limit {
        let expected = format!("at most {limit} bytes of content");
        return Err(Error::decode(file, "gzip", expected, "more"));
    }
    Ok(content)
}

pub(crate) fn broken(file: &str, error: &std::io::Error) -> Error {
    Error::decode(file, "gzip", "a complete deflate stream", error.to_string())
}

/// The inflated content as a stream; the caller bounds it.
pub(crate) fn stream(packed: impl Read) -> impl Read {
    MultiGzDecoder::new(packed)
}
