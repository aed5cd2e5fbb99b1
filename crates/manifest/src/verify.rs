//! Hashes of files, remembered by path, size and modification time.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::decode::gzip;
use crate::manifest::{FileRow, Packing, Size};

/// What a file's content is, after inflating where it is packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Content {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: sha256(bytes) }
    }
}

/// The SHA-256 of some bytes, in lower-case hexadecimal.
///
/// ```
/// assert!(manifest::sha256(b"abc").starts_with("ba7816bf8f01cfea"));
/// ```
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hashes a file's content as a stream, never reading past the row's bound.
pub(crate) fn hash_content(path: &Path, row: &FileRow) -> Result<Content, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    match row.packing {
        Packing::None => hash_stream(path, file, row.size.limit()),
        Packing::Gzip => hash_stream(path, gzip::stream(file), row.size.limit()).map_err(|error| {
            match error {
                // Not the system's refusal: the stream itself is broken or cut short.
                Error::Io { source, .. } if source.raw_os_error().is_none() => {
                    gzip::broken(&path.display().to_string(), &source)
                }
                error => error,
            }
        }),
    }
}

fn hash_stream(path: &Path, reader: impl Read, limit: u64) -> Result<Content, Error> {
    // One byte more than allowed is read, so that a longer content shows as longer.
    let mut reader = reader.take(limit.saturating_add(1));
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 16];
    let mut bytes = 0_u64;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                hasher.update(&buffer[..n]);
                bytes += n as u64;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::Io { op: "read", path: path.to_owned(), source }),
        }
    }
    Ok(Content { bytes, sha256: hex(&hasher.finalize()) })
}

/// Compares a content with the size of its row, and with the hash it should have, where one is known.
pub(crate) fn check(
    path: &Path,
    row: &FileRow,
    expected: Option<&str>,
    content: &Content,
    remedy: &str,
) -> Result<(), Error> {
    let mismatch = |expected: String, got: String| Error::Mismatch {
        path: path.to_owned(),
        expected,
        got,
        remedy: remedy.to_owned(),
    };
    match row.size {
        Size::Exact(bytes) if content.bytes > bytes => {
            return Err(mismatch(format!("{bytes} bytes"), format!("more than {bytes}")));
        }
        Size::Exact(bytes) if content.bytes != bytes => {
            return Err(mismatch(format!("{bytes} bytes"), format!("{} bytes", content.bytes)));
        }
        Size::AtMost(bytes) if content.bytes > bytes => {
            return Err(mismatch(format!("at most {bytes} bytes"), "more".to_owned()));
        }
        Size::Exact(_) | Size::AtMost(_) => {}
    }
    match expected {
        Some(expected) if expected != content.sha256 => {
            Err(mismatch(format!("sha256 {expected}"), format!("sha256 {}", content.sha256)))
        }
        _ => Ok(()),
    }
}

/// A remembered hash, valid while size and modification time stay the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    file_bytes: u64,
    modified_ns: String,
    packing: String,
    content_bytes: u64,
    sha256: String,
}

/// The hashes of files that were read before, so that an up-to-date run reads none again.
///
/// It only saves time: a cache file that is missing, broken or not writable changes nothing else.
#[derive(Debug)]
pub(crate) struct HashCache {
    path: PathBuf,
    entries: Mutex<BTreeMap<String, Remembered>>,
}

impl HashCache {
    pub(crate) fn open(path: PathBuf) -> Self {
        let entries = Mutex::new(load(&path));
        Self { path, entries }
    }

    /// The content of `path`, from memory where size and modification time still agree.
    pub(crate) fn content(&self, path: &Path, row: &FileRow) -> Result<Content, Error> {
        let stamp = |found: &Metadata| {
            let modified = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
            Some((found.len(), modified.as_nanos().to_string()))
        };
        let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
        if row.packing == Packing::None && metadata.len() > row.size.limit() {
            // Too long to be the file: there is nothing to learn from reading it.
            return Ok(Content { bytes: metadata.len(), sha256: "not computed".to_owned() });
        }
        let before = stamp(&metadata);
        let key = path.to_str().map(str::to_owned);
        let packing = format!("{:?}", row.packing).to_lowercase();
        if let (Some(key), Some((len, modified))) = (&key, &before) {
            let entries = self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(seen) = entries.get(key)
                && seen.file_bytes == *len
                && seen.modified_ns == *modified
                && seen.packing == packing
            {
                return Ok(Content { bytes: seen.content_bytes, sha256: seen.sha256.clone() });
            }
        }
        let content = hash_content(path, row)?;
        let after = std::fs::metadata(path).ok().as_ref().and_then(stamp);
        if let (Some(key), Some((file_bytes, modified_ns))) = (key, before.clone())
            && before == after
        {
            let seen = Remembered {
                file_bytes,
                modified_ns,
                packing,
                content_bytes: content.bytes,
                sha256: content.sha256.clone(),
            };
            self.remember(key, seen);
        }
        Ok(content)
    }

    fn remember(&self, key: String, seen: Remembered) {
        let mut entries = self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Another process may have added to the file since it was read.
        for (key, seen) in load(&self.path) {
            entries.entry(key).or_insert(seen);
        }
        entries.insert(key, seen);
        if let Ok(text) = toml::to_string(&*entries) {
            // A cache that cannot be written costs time at the next run, nothing else.
            let _ = replace(&self.path, text.as_bytes());
        }
    }
}

fn load(path: &Path) -> BTreeMap<String, Remembered> {
    std::fs::read_to_string(path).ok().and_then(|t| toml::from_str(&t).ok()).unwrap_or_default()
}

/// Writes a file beside its final place and renames it there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut temporary, bytes)?;
    temporary.persist(path).map_err(|e| e.error)?;
    Ok(())
}
