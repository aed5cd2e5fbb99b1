//! The fields of one JSON object, each to be taken once; what is left over is an error.

use serde_json::{Map, Value};

use crate::LmError;

/// No size of a model is larger, so that products of three sizes stay far inside 64 bits.
const LARGEST_SIZE: u64 = 1 << 20;

/// The fields of a JSON object that were not taken yet.
pub(super) struct Fields {
    file: String,
    /// Put before a field's name in errors.
    prefix: String,
    map: Map<String, Value>,
}

impl Fields {
    /// The fields of the object that a text holds.
    pub(super) fn parse(file: &str, text: &[u8]) -> Result<Self, LmError> {
        let map = serde_json::from_slice(text).map_err(|error| LmError::Syntax {
            file: file.to_owned(),
            what: "a config.json",
            problem: error.to_string(),
        })?;
        Ok(Self { file: file.to_owned(), prefix: String::new(), map })
    }

    /// An error about a field.
    pub(super) fn invalid(
        &self,
        field: &str,
        expected: impl Into<String>,
        got: impl std::fmt::Display,
    ) -> LmError {
        LmError::Config {
            file: self.file.clone(),
            field: format!("{}{field}", self.prefix),
            expected: expected.into(),
            got: got.to_string(),
        }
    }

    /// The value of a field; none if it is absent or null.
    pub(super) fn take(&mut self, field: &str) -> Option<Value> {
        self.map.remove(field).filter(|value| !value.is_null())
    }

    /// The object that a field holds.
    pub(super) fn object(&mut self, field: &str) -> Result<Option<Self>, LmError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Object(map)) => {
                let prefix = format!("{}{field}.", self.prefix);
                Ok(Some(Self { file: self.file.clone(), prefix, map }))
            }
            Some(other) => Err(self.invalid(field, "an object", other)),
        }
    }

    /// A size of the model, at least one.
    pub(super) fn size(&mut self, field: &str) -> Result<Option<usize>, LmError> {
        match self.whole(field)? {
            Some(0) => Err(self.invalid(field, "at least 1", 0)),
            size => Ok(size),
        }
    }

    /// A count, which may be 0.
    pub(super) fn whole(&mut self, field: &str) -> Result<Option<usize>, LmError> {
        let Some(value) = self.take(field) else { return Ok(None) };
        let whole = value.as_u64().filter(|whole| *whole <= LARGEST_SIZE);
        let whole = whole.and_then(|whole| usize::try_from(whole).ok());
        let expected = || format!("a whole number up to {LARGEST_SIZE}");
        whole.map(Some).ok_or_else(|| self.invalid(field, expected(), value))
    }

    /// A size that the family has no default for.
    pub(super) fn required_size(&mut self, field: &str) -> Result<usize, LmError> {
        self.size(field)?.ok_or_else(|| self.invalid(field, "a whole number", "no such field"))
    }

    /// A number above 0, of which single precision has a positive finite neighbor.
    pub(super) fn positive(&mut self, field: &str) -> Result<Option<f64>, LmError> {
        let Some(value) = self.take(field) else { return Ok(None) };
        let number = value.as_f64().filter(|number| *number >= 1e-30 && *number <= 1e30);
        number.map(Some).ok_or_else(|| self.invalid(field, "a number from 1e-30 to 1e30", value))
    }

    /// A truth value, or the default.
    pub(super) fn flag(&mut self, field: &str, default: bool) -> Result<bool, LmError> {
        match self.take(field) {
            None => Ok(default),
            Some(value) => {
                value.as_bool().ok_or_else(|| self.invalid(field, "true or false", value))
            }
        }
    }

    /// A text, or the default.
    pub(super) fn text(&mut self, field: &str, default: &str) -> Result<String, LmError> {
        match self.take(field) {
            None => Ok(default.to_owned()),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.invalid(field, "a text", other)),
        }
    }

    /// Texts, one for each of so many layers.
    pub(super) fn texts(&mut self, field: &str, n: usize) -> Result<Option<Vec<String>>, LmError> {
        let Some(value) = self.take(field) else { return Ok(None) };
        let texts: Option<Vec<String>> = value
            .as_array()
            .filter(|list| list.len() == n)
            .and_then(|list| list.iter().map(|item| item.as_str().map(str::to_owned)).collect());
        texts.map(Some).ok_or_else(|| self.invalid(field, format!("a list of {n} texts"), value))
    }

    /// Refuses any value but the only one that can be honored; absent and null count as it.
    pub(super) fn only(&mut self, field: &str, honored: &Value) -> Result<(), LmError> {
        match self.take(field) {
            Some(value) if !equal(&value, honored) => {
                Err(self.invalid(field, format!("{honored}, the only one honored"), value))
            }
            _ => Ok(()),
        }
    }

    /// Drops fields that do not change what a model computes.
    pub(super) fn ignore(&mut self, fields: &[&str]) {
        for field in fields {
            self.map.remove(*field);
        }
    }

    /// Refuses what was not taken.
    pub(super) fn finish(self) -> Result<(), LmError> {
        match self.map.into_iter().next() {
            None => Ok(()),
            Some((field, value)) => Err(LmError::UnknownField {
                file: self.file,
                field: format!("{}{field}", self.prefix),
                value: value.to_string(),
            }),
        }
    }
}

/// Whether two values are the same, 1 and 1.0 included.
fn equal(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().is_some_and(|a| Some(a) == b.as_f64())
}
