//! Canonical JSON and SHA-256: equal values give equal bytes.
//!
//! Object keys are sorted, there is no white space, and a number is printed in the shortest form that
//! reads back to the same bits. JSON has no NaN and no infinity: [`crate::Record::check`] refuses them
//! before a record is written.

use std::collections::BTreeSet;

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
    hex(&Sha256::digest(bytes))
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
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

/// The fields in which two JSON trees differ, each with its old and new value, for instance
/// `n: 64 → 32`. Fields of objects inside objects are named by their path, `train.rate`; a list is one
/// value.
pub fn differing_fields(old: &Value, new: &Value) -> Vec<String> {
    let (Value::Object(was), Value::Object(is)) = (old, new) else {
        return if old == new {
            Vec::new()
        } else {
            vec![format!("{} → {}", brief(old), brief(new))]
        };
    };
    let mut found = Vec::new();
    let names: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    for name in names {
        match (was.get(name), is.get(name)) {
            (Some(was), Some(is)) => {
                let nested = was.is_object() && is.is_object();
                let separator = if nested { "." } else { ": " };
                let inside = differing_fields(was, is).into_iter();
                found.extend(inside.map(|field| format!("{name}{separator}{field}")));
            }
            (Some(_), None) => found.push(format!("{name}: removed")),
            (None, _) => found.push(format!("{name}: added")),
        }
    }
    found
}

/// A value as JSON, if it is short enough to be read in a line.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 40 { text } else { "…".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn sha256_of_abc_is_the_published_test_vector() {
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn differing_fields_are_named_with_both_values() {
        let old = json!({"n": 64, "train": {"rate": 0.1, "steps": 5}, "gone": 1, "list": [1, 2]});
        let new = json!({"n": 32, "train": {"rate": 0.2, "steps": 5}, "here": 1, "list": [1]});
        let expected = [
            "gone: removed",
            "here: added",
            "list: [1,2] → [1]",
            "n: 64 → 32",
            "train.rate: 0.1 → 0.2",
        ];
        assert_eq!(differing_fields(&old, &new), expected);
        assert_eq!(differing_fields(&old, &old), Vec::<String>::new());
        let long = json!({"list": vec![0.25; 20]});
        assert_eq!(differing_fields(&json!({"list": []}), &long), ["list: [] → …"]);
    }

    proptest! {
        #[test]
        fn a_number_reads_back_to_the_same_bits(x in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO) {
            let back: f64 = serde_json::from_str(&text("x", &x).unwrap()).unwrap();
            prop_assert_eq!(back.to_bits(), x.to_bits());
        }
    }
}
