//! Canonical JSON and SHA-256: equal values give equal bytes.
//!
//! Object keys are sorted, there is no white space, and a number is printed in the shortest form that
//! reads back to the same bits. JSON has no NaN and no infinity: [`crate::Record::check`] refuses them
//! before a record is written.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Error;

/// The value as a JSON tree with sorted keys.
///
/// # Errors
/// [`Error::NotJson`] if the value holds a map whose keys are not strings.
pub fn tree<T: Serialize>(what: &str, value: &T) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(|source| Error::NotJson { what: what.to_owned(), source })
}

/// The value as canonical JSON text.
///
/// # Errors
/// As [`tree`].
///
/// # Examples
/// ```
/// use std::collections::BTreeMap;
/// let value = BTreeMap::from([("b", 0.1), ("a", 2.0)]);
/// assert_eq!(record::canonical::text("example", &value)?, r#"{"a":2.0,"b":0.1}"#);
/// # Ok::<(), record::Error>(())
/// ```
pub fn text<T: Serialize>(what: &str, value: &T) -> Result<String, Error> {
    Ok(tree(what, value)?.to_string())
}

/// SHA-256 of bytes, as 64 lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        hex
    })
}

/// SHA-256 of the canonical JSON of a value.
///
/// # Errors
/// As [`tree`].
pub fn hash<T: Serialize>(what: &str, value: &T) -> Result<String, Error> {
    Ok(sha256(text(what, value)?.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sha256_of_abc_is_the_published_test_vector() {
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    proptest! {
        #[test]
        fn a_number_reads_back_to_the_same_bits(x in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO) {
            let back: f64 = serde_json::from_str(&text("x", &x).unwrap()).unwrap();
            prop_assert_eq!(back.to_bits(), x.to_bits());
        }
    }
}
