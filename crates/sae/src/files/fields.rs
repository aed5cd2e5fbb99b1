//! The fields of a config in JSON: each is asked for, or known and kept, or an error.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::FileError;

/// Larger files of JSON are refused unread.
const MOST_JSON_BYTES: u64 = 16 << 20;
/// Of a value that an error shows.
const MOST_SHOWN: usize = 80;

/// Fields that were not asked for yet.
pub(super) struct Fields {
    file: String,
    /// The names of the objects around, each with a dot.
    path: String,
    left: BTreeMap<String, Value>,
}

impl Fields {
    pub(super) fn read(path: &Path) -> Result<Self, FileError> {
        let n_bytes = std::fs::metadata(path).map_err(FileError::io("open", path))?.len();
        let file = path.display().to_string();
        let syntax = |problem: String| FileError::Syntax {
            file: file.clone(),
            what: "a config in JSON",
            problem,
        };
        if n_bytes > MOST_JSON_BYTES {
            return Err(syntax(format!("{n_bytes} bytes; at most {MOST_JSON_BYTES} are read")));
        }
        let bytes = std::fs::read(path).map_err(FileError::io("read", path))?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => {
                Ok(Self { file, path: String::new(), left: fields.into_iter().collect() })
            }
            Ok(_) => Err(syntax("no object".to_owned())),
            Err(error) => Err(syntax(error.to_string())),
        }
    }

    /// The error of a field.
    pub(super) fn error(&self, field: &str, expected: &str, got: impl Into<String>) -> FileError {
        FileError::field(&self.file, &format!("{}{field}", self.path), expected, got)
    }

    /// A field that may be missing or null.
    pub(super) fn optional<T: DeserializeOwned>(
        &mut self,
        field: &str,
        expected: &str,
    ) -> Result<Option<T>, FileError> {
        match self.left.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match T::deserialize(&value) {
                Ok(read) => Ok(Some(read)),
                Err(_) => Err(self.error(field, expected, shown(&value))),
            },
        }
    }

    /// A field that must be there.
    pub(super) fn required<T: DeserializeOwned>(
        &mut self,
        field: &str,
        expected: &str,
    ) -> Result<T, FileError> {
        let found = self.optional(field, expected)?;
        found.ok_or_else(|| self.error(field, expected, "none"))
    }

    /// A number of things, 1 or more.
    pub(super) fn size(&mut self, field: &str) -> Result<usize, FileError> {
        let expected = "a whole number, 1 or more";
        match self.required(field, expected)? {
            0 => Err(self.error(field, expected, "0")),
            n => Ok(n),
        }
    }

    /// The fields of an object that must be there.
    pub(super) fn within(&mut self, field: &str, expected: &str) -> Result<Self, FileError> {
        let left = self.required(field, expected)?;
        Ok(Self { file: self.file.clone(), path: format!("{}{field}.", self.path), left })
    }

    /// Those of these fields that are there and not null.
    pub(super) fn keep(&mut self, fields: &[&str]) -> BTreeMap<String, Value> {
        let found = fields.iter().filter_map(|field| self.left.remove_entry(*field));
        found.filter(|(_, value)| !value.is_null()).collect()
    }

    /// All that are left and not null.
    pub(super) fn keep_all(self) -> BTreeMap<String, Value> {
        self.left.into_iter().filter(|(_, value)| !value.is_null()).collect()
    }

    /// Refuses what is left.
    pub(super) fn finish(self) -> Result<(), FileError> {
        match self.left.iter().next() {
            None => Ok(()),
            Some((field, value)) => Err(FileError::UnknownField {
                field: format!("{}{field}", self.path),
                value: shown(value),
                file: self.file,
            }),
        }
    }
}

/// A value as JSON, shortened.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MOST_SHOWN) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
