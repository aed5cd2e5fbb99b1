//! The folder of a store: its files, its lock, and what counts as complete.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{During, Error, Result};

const INDEX: &str = "index.h5";
const LOCK: &str = "writer.lock";
const PARTIAL: &str = ".partial";

/// The files of a store.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
}

/// Held while a writer is at work; the system frees it when the process ends, however it ends.
pub(crate) struct WriterLock(#[expect(dead_code, reason = "held for its lock alone")] File);

impl Folder {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.path.join(INDEX)
    }

    pub(crate) fn shard(&self, shard_idx: usize) -> PathBuf {
        self.path.join(format!("shard-{shard_idx:06}.h5"))
    }

    /// The name under which a file is written, until it is complete.
    pub(crate) fn partial(complete: &Path) -> PathBuf {
        let mut name = complete.as_os_str().to_owned();
        name.push(PARTIAL);
        PathBuf::from(name)
    }

    /// Makes the folder if it is not there, and keeps other writers out of it.
    pub(crate) fn lock(&self) -> Result<WriterLock> {
        fs::create_dir_all(&self.path).during("create", &self.path)?;
        let path = self.path.join(LOCK);
        let file = File::options().create(true).append(true).open(&path).during("open", &path)?;
        match file.try_lock() {
            Ok(()) => Ok(WriterLock(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { path: self.path.clone() }),
            Err(TryLockError::Error(source)) => Err(source).during("lock", &path),
        }
    }

    /// How many shards are complete; a gap before the last one is an error.
    pub(crate) fn n_complete(&self) -> Result<usize> {
        let mut shards = Vec::new();
        for entry in fs::read_dir(&self.path).during("list", &self.path)? {
            let name = entry.during("list", &self.path)?.file_name();
            let name = name.to_string_lossy();
            let number = name.strip_prefix("shard-").and_then(|name| name.strip_suffix(".h5"));
            shards.extend(number.and_then(|number| number.parse::<usize>().ok()));
        }
        shards.sort_unstable();
        match shards.iter().enumerate().find(|(expected, found)| expected != *found) {
            None => Ok(shards.len()),
            Some((missing, _)) => {
                Err(Error::MissingShard { path: self.shard(missing), n_shards: shards.len() + 1 })
            }
        }
    }

    /// Whether a writer has left anything here.
    pub(crate) fn is_used(&self) -> Result<bool> {
        let first = self.shard(0);
        Ok(self.index().exists() || self.n_complete()? > 0 || Self::partial(&first).exists())
    }

    /// Removes what a killed writer left half-written.
    pub(crate) fn remove_partial(complete: &Path) -> Result<()> {
        let path = Self::partial(complete);
        if path.symlink_metadata().is_err() {
            return Ok(());
        }
        fs::remove_file(&path).during("remove", &path)
    }

    /// Gives a file that is complete its name, once its bytes are on the disk.
    pub(crate) fn publish(&self, complete: &Path) -> Result<()> {
        let partial = Self::partial(complete);
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        sync(&partial).during("write to disk", &partial)?;
        fs::rename(&partial, complete).during("rename", &partial)?;
        sync(&self.path).during("write to disk", &self.path)
    }
}
