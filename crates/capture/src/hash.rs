//! Hashes of what activations come from.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{CaptureError, Result};

/// SHA-256 of a file, 64 hexadecimal digits.
///
/// # Errors
///
/// [`CaptureError::Io`].
pub fn hash_file(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    update(&mut hash, path)?;
    Ok(hex(&hash.finalize()))
}

/// SHA-256 of a model's folder: of the name and the hash of config.json and of each `*.safetensors`, by
/// name. Other files do not count.
///
/// # Errors
///
/// [`CaptureError::Io`].
///
/// # Examples
///
/// ```
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("config.json"), "{}")?;
/// std::fs::write(folder.path().join("model.safetensors"), "weights")?;
/// let before = capture::hash_model(folder.path())?;
/// std::fs::write(folder.path().join("README.md"), "a model")?;
/// assert_eq!(capture::hash_model(folder.path())?, before);
/// std::fs::write(folder.path().join("model.safetensors"), "others")?;
/// assert_ne!(capture::hash_model(folder.path())?, before);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn hash_model(folder: &Path) -> Result<String> {
    let list = |folder: &Path| -> std::io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    };
    let mut files = list(folder).map_err(CaptureError::io("list", folder))?;
    files.retain(|path| {
        path.file_name().is_some_and(|name| name == "config.json")
            || path.extension().is_some_and(|suffix| suffix == "safetensors")
    });
    files.sort();
    let mut hash = Sha256::new();
    for path in &files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        hash.update(format!("{name} {}\n", hash_file(path)?));
    }
    Ok(hex(&hash.finalize()))
}

fn update(hash: &mut Sha256, path: &Path) -> Result<()> {
    let mut file = File::open(path).map_err(CaptureError::io("open", path))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = file.read(&mut buffer).map_err(CaptureError::io("read", path))?;
        if n == 0 {
            return Ok(());
        }
        hash.update(&buffer[..n]);
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
