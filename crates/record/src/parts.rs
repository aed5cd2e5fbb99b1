//! Parts of a long computation, kept so that a run need not repeat what a killed one had done.

use std::fs::{self, File};
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, canonical};

/// The parts that were computed under one cache key: same code, config, and data.
///
/// A part is written as JSON beside its SHA-256 and moved to its place when it is whole; one that is not
/// counts as absent. Numbers read back to the last bit.
#[derive(Clone, Debug)]
pub struct Parts {
    folder: PathBuf,
}

impl Parts {
    /// The parts in a folder, which is made.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(folder: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        Ok(Self { folder })
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.join(canonical::sha256(name.as_bytes()))
    }

    /// A part, if it was kept whole.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let content = fs::read_to_string(self.place(name)).ok()?;
        let (hash, text) = content.split_once('\n')?;
        (canonical::sha256(text.as_bytes()) == hash).then(|| serde_json::from_str(text).ok())?
    }

    /// Keeps a part.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::NotFinite`] and its like for what JSON cannot say.
    pub fn keep<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let text = canonical::text(name, value)?;
        let content = format!("{}\n{text}", canonical::sha256(text.as_bytes()));
        let (place, half) = (self.place(name), self.place(name).with_extension("half"));
        fs::write(&half, content).map_err(Error::io("write", &half))?;
        let synced = File::open(&half).and_then(|file| file.sync_all());
        synced.map_err(Error::io("flush", &half))?;
        fs::rename(&half, &place).map_err(Error::io("rename", &half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_read_back_exactly_and_broken_ones_are_absent() {
        let root = tempfile::tempdir().unwrap();
        let parts = Parts::open(root.path().join("parts")).unwrap();
        let numbers: Vec<f64> = vec![0.1, 1.0 / 3.0, -2.5e-300, 6.02e23];
        assert_eq!(parts.get::<Vec<f64>>("training, d = 5"), None);
        parts.keep("training, d = 5", &numbers).unwrap();
        let read: Vec<f64> = parts.get("training, d = 5").unwrap();
        assert!(read.iter().zip(&numbers).all(|(a, b)| a.to_bits() == b.to_bits()));
        assert_eq!(parts.get::<Vec<f64>>("training, d = 9"), None);
        let place = parts.place("training, d = 5");
        let cut = fs::read_to_string(&place).unwrap().replace("0.1", "0.2");
        fs::write(&place, cut).unwrap();
        assert_eq!(parts.get::<Vec<f64>>("training, d = 5"), None);
    }
}
