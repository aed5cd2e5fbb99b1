//! Artefacts: folders that an experiment leaves for others, such as trained models and stores.
//!
//! They lie in `results/artefacts/<tier>/<id>/<cache key>/<name>`, outside of the result, since they are large. One is
//! made in a folder of its name with `.partial`, which a run that follows a killed one finds as it was left, and takes
//! its name when it is whole. Those of former keys go when a result is published.

use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Error, canonical};

/// A folder that an experiment made for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Artefact {
    /// Its name, unique in the experiment.
    pub name: String,
    /// SHA-256 over the paths, sizes and contents of its files, in the order of their paths.
    pub sha256: String,
    /// Size of all files.
    pub bytes: u64,
}

/// The artefacts of one experiment under one cache key.
#[derive(Clone, Debug)]
pub struct Artefacts {
    folder: PathBuf,
}

impl Artefacts {
    /// Those in a folder; see [`crate::Results::artefacts`] for where that is.
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where an artefact lies, or will lie.
    pub fn place(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes an artefact unless it is there, and says what it holds.
    ///
    /// `make` fills a folder. What a killed run had left there is still in it; whether that is of use is for `make` to
    /// say.
    ///
    /// # Errors
    /// What `make` says; [`Error::Io`]; [`Error::ArtefactName`] for a name that is not letters, digits, `_` and `-`.
    pub fn make<E: From<Error>>(
        &self,
        name: &str,
        make: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Artefact, E> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(Error::ArtefactName { name: name.to_owned() }.into());
        }
        let (place, partial) = (self.place(name), self.folder.join(format!("{name}.partial")));
        if !place.is_dir() {
            fs::create_dir_all(&partial).map_err(Error::io("create", &partial))?;
            make(&partial)?;
            for (_, path) in files(&partial)? {
                let synced = fs::File::open(&path).and_then(|file| file.sync_all());
                synced.map_err(Error::io("flush", &path))?;
            }
            fs::rename(&partial, &place).map_err(Error::io("rename", &partial))?;
        }
        Ok(describe(name, &place)?)
    }

    /// Where an artefact lies, once its content is found to be what the record says.
    ///
    /// # Errors
    /// [`Error::NotWhole`] if a file is missing or differs; [`Error::Io`].
    pub fn find(&self, artefact: &Artefact) -> Result<PathBuf, Error> {
        let place = self.place(&artefact.name);
        if !place.is_dir() || describe(&artefact.name, &place)? != *artefact {
            let complaint = format!("{} is missing or was changed", place.display());
            return Err(Error::NotWhole { complaint });
        }
        Ok(place)
    }

    /// Every file of finished artefacts with its size, by path below `root`.
    pub(crate) fn sizes(&self, artefacts: &[Artefact], root: &Path) -> Result<Sizes, Error> {
        let mut sizes = Vec::new();
        for artefact in artefacts {
            for (_, path) in files(&self.place(&artefact.name))? {
                let bytes = fs::metadata(&path).map_err(Error::io("read", &path))?.len();
                let below = path.strip_prefix(root).unwrap_or(&path);
                sizes.push((below.to_string_lossy().into_owned(), bytes));
            }
        }
        Ok(sizes)
    }

    /// Removes what other keys of the experiment left.
    pub(crate) fn remove_others(&self) -> Result<(), Error> {
        let Some(all) = self.folder.parent().filter(|all| all.is_dir()) else { return Ok(()) };
        for entry in fs::read_dir(all).map_err(Error::io("read", all))? {
            let path = entry.map_err(Error::io("read", all))?.path();
            if path != self.folder {
                fs::remove_dir_all(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }
}

/// Paths and sizes of files.
pub(crate) type Sizes = Vec<(String, u64)>;

fn describe(name: &str, place: &Path) -> Result<Artefact, Error> {
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    for (below, path) in files(place)? {
        let mut file = fs::File::open(&path).map_err(Error::io("read", &path))?;
        let len = file.metadata().map_err(Error::io("read", &path))?.len();
        hash.update((below.len() as u64).to_le_bytes());
        hash.update(below.as_bytes());
        hash.update(len.to_le_bytes());
        std::io::copy(&mut file, &mut hash).map_err(Error::io("read", &path))?;
        bytes += len;
    }
    Ok(Artefact { name: name.to_owned(), sha256: canonical::hex(&hash.finalize()), bytes })
}

/// Every file below a folder, as a path with `/` and as it is on disk, in the order of the former.
fn files(folder: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).map_err(Error::io("read", &at))? {
            let path = entry.map_err(Error::io("read", &at))?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let below = path.strip_prefix(folder).unwrap_or(&path).components();
            let below: Vec<_> = below.map(|part| part.as_os_str().to_string_lossy()).collect();
            found.push((below.join("/"), path));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artefact_is_made_once_and_a_killed_run_finds_what_it_left() {
        let root = tempfile::tempdir().unwrap();
        let artefacts = Artefacts::new(root.path().join("laptop/s01_x/key"));
        let killed = artefacts.make("model", |folder| {
            fs::write(folder.join("half"), b"1").unwrap();
            Err(Error::NotWhole { complaint: "killed".to_owned() })
        });
        assert!(killed.is_err() && !artefacts.place("model").exists());
        let fill = |folder: &Path| {
            assert_eq!(fs::read(folder.join("half")).unwrap(), b"1");
            fs::create_dir(folder.join("inner")).unwrap();
            fs::write(folder.join("inner/whole"), b"22").unwrap();
            Ok::<(), Error>(())
        };
        let made = artefacts.make("model", fill).unwrap();
        assert_eq!(made.bytes, 3);
        let again = artefacts.make("model", |_| -> Result<(), Error> { panic!("made twice") });
        assert_eq!(again.unwrap(), made);
        assert_eq!(artefacts.find(&made).unwrap(), artefacts.place("model"));
        fs::write(artefacts.place("model").join("inner/whole"), b"23").unwrap();
        assert!(matches!(artefacts.find(&made), Err(Error::NotWhole { .. })));
        fs::remove_dir_all(artefacts.place("model")).unwrap();
        assert!(matches!(artefacts.find(&made), Err(Error::NotWhole { .. })));
    }

    #[test]
    fn the_hash_tells_paths_from_contents() {
        let root = tempfile::tempdir().unwrap();
        let artefacts = Artefacts::new(root.path().join("key"));
        let of = |name: &str, file: &str, content: &str| {
            let write = |folder: &Path| {
                fs::write(folder.join(file), content).unwrap();
                Ok::<(), Error>(())
            };
            artefacts.make(name, write).unwrap().sha256
        };
        assert_eq!(of("one", "a", "b"), of("two", "a", "b"));
        assert_ne!(of("one", "a", "b"), of("three", "ab", ""));
        assert!(artefacts.make("../up", |_| Ok::<(), Error>(())).is_err());
    }
}
