//! Hashes of first downloads, for rows whose manifest knows none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::verify;

fn file(cache: &Path) -> PathBuf {
    cache.join("pins.toml")
}

/// All pins. Unlike the hash cache a broken file is an error: silence would pin anew.
fn load(cache: &Path) -> Result<BTreeMap<String, String>, Error> {
    let path = file(cache);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(e) => return Err(Error::io("read", path)(e)),
    };
    toml::from_str(&text).map_err(|e| Error::Syntax {
        file: path.display().to_string(),
        problem: format!("{e}; remove the file to pin the next downloads anew"),
    })
}

pub(crate) fn get(cache: &Path, name: &str) -> Result<Option<String>, Error> {
    Ok(load(cache)?.remove(name))
}

pub(crate) fn record(cache: &Path, name: &str, sha256: &str) -> Result<(), Error> {
    let mut pins = load(cache)?;
    pins.insert(name.to_owned(), sha256.to_owned());
    store(cache, &pins)
}

pub(crate) fn forget(cache: &Path, name: &str) -> Result<(), Error> {
    let mut pins = load(cache)?;
    pins.remove(name);
    store(cache, &pins)
}

fn store(cache: &Path, pins: &BTreeMap<String, String>) -> Result<(), Error> {
    let path = file(cache);
    let text = toml::to_string(pins)
        .map_err(|e| Error::Syntax { file: path.display().to_string(), problem: e.to_string() })?;
    verify::replace(&path, text.as_bytes()).map_err(Error::io("write", path))
}
