//! What a capture will take, before it is begun.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use capture::{Document, Run, Settings};
use corpus::TextFiles;
use indicatif::{BinaryBytes, HumanCount, HumanDuration};
use lm::{Tokenizer, Transformer};
use store::{Capture, Dtype};

use crate::inputs;
use crate::terminal::say;

/// Bytes of text that are tokenized for the plan; of a longer one the rest is taken to be alike.
const MOST_SAMPLED: u64 = 4 << 20;

/// What a capture will take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Tokens of the text that are taken.
    pub(crate) n_tokens: u64,
    /// Rows of the store.
    pub(crate) n_rows: u64,
    /// Whether both are counted, not estimated.
    pub(crate) is_exact: bool,
    /// Bytes of the store.
    pub(crate) n_bytes: u64,
    /// Rows a second, of one batch.
    pub(crate) rows_per_s: f64,
}

impl Plan {
    /// Counts tokens, and times one batch after another that warms up.
    ///
    /// # Errors
    /// A text without a token or that cannot be read; a model that fails.
    pub(crate) fn measure(
        model: &Transformer,
        tokenizer: &Tokenizer,
        text: &TextFiles,
        settings: &Settings,
        capture: &Capture,
    ) -> anyhow::Result<Self> {
        let (mut n_sampled, mut n_tokens, mut n_rows) = (0, 0, 0);
        let mut first = Vec::new();
        let n_batch = settings.batch.saturating_mul(settings.context);
        for document in text.documents() {
            let document = document?;
            let tokens = inputs::tokenize(&document, tokenizer)?;
            n_sampled += document.text.len() as u64;
            n_tokens += tokens.len() as u64;
            n_rows += settings.n_rows(tokens.len() as u64);
            if first.len() < n_batch {
                first.extend(tokens);
            }
            if n_sampled >= MOST_SAMPLED {
                break;
            }
        }
        if first.is_empty() {
            bail!("the text has no token");
        }
        let is_exact = n_sampled == text.n_bytes();
        if !is_exact {
            let ratio = text.n_bytes() as f64 / n_sampled as f64;
            n_tokens = scaled(n_tokens, ratio);
            n_rows = scaled(n_rows, ratio);
        }
        if let Some(most) = settings.most_rows.filter(|most| *most < n_rows) {
            n_tokens = scaled(n_tokens, most as f64 / n_rows as f64);
            n_rows = most;
        }
        let is_exact = is_exact || settings.most_rows == Some(n_rows);
        let width: usize = capture.hooks.iter().map(|hook| hook.width).sum();
        let row_bytes = width * bytes(settings.dtype) + PROVENANCE_BYTES;
        // A last chunk is whole on the disk.
        let chunk_rows = settings.layout(capture).chunk_rows as u64;
        let n_bytes = n_rows.div_ceil(chunk_rows) * chunk_rows * row_bytes as u64;
        let rows_per_s = speed(model, settings, first)?;
        Ok(Self { n_tokens, n_rows, is_exact, n_bytes, rows_per_s })
    }

    /// The time that so many rows take.
    pub(crate) fn time(&self, n_rows: u64) -> Duration {
        Duration::try_from_secs_f64(n_rows as f64 / self.rows_per_s).unwrap_or(Duration::MAX)
    }

    /// Prints the plan.
    pub(crate) fn print(&self, free: u64, memory: Option<u64>) {
        let about = if self.is_exact { "" } else { "about " };
        say(format_args!("tokens   {about}{}", HumanCount(self.n_tokens)));
        say(format_args!("rows     {about}{}", HumanCount(self.n_rows)));
        let (needed, free) = (BinaryBytes(self.n_bytes), BinaryBytes(free));
        say(format_args!("disk     {about}{needed}, of {free} that are free"));
        match memory {
            Some(bytes) => {
                say(format_args!(
                    "memory   {} at its peak, measured on one batch",
                    BinaryBytes(bytes)
                ));
            }
            None => say(format_args!("memory   not measured on this system")),
        }
        let time = HumanDuration(self.time(self.n_rows));
        let speed = HumanCount(scaled(1, self.rows_per_s));
        say(format_args!("time     {time} at {speed} rows a second, measured on one batch"));
    }
}

/// Token, position and document of a row.
const PROVENANCE_BYTES: usize = 4 + 4 + 8;

const fn bytes(dtype: Dtype) -> usize {
    match dtype {
        Dtype::F32 => 4,
        Dtype::F16 | Dtype::Bf16 => 2,
    }
}

/// A count times a ratio, rounded.
fn scaled(count: u64, ratio: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "neither is negative, and what is too large is the largest"
    )]
    let scaled = (count as f64 * ratio).round() as u64;
    scaled
}

/// Rows a second: one batch to a store that is thrown away, after another that warms up.
fn speed(model: &Transformer, settings: &Settings, mut tokens: Vec<u32>) -> anyhow::Result<f64> {
    tokens.truncate(settings.batch.saturating_mul((settings.context - 1).max(1)));
    let origin = capture::Origin {
        model_sha256: "0".repeat(64),
        tokenizer_sha256: "0".repeat(64),
        text_sha256: "0".repeat(64),
    };
    let mut seconds = 0.0;
    let mut n_rows = 0;
    for _ in 0..2 {
        let folder = tempfile::tempdir().context("cannot make a folder for a trial")?;
        let run = Run::begin(model, &origin, settings, folder.path())?;
        let document = Document { id: 0, tokens: tokens.clone() };
        let begun = Instant::now();
        n_rows = run.write([anyhow::Ok(document)].into_iter(), &mut |_| {})?;
        seconds = begun.elapsed().as_secs_f64();
    }
    Ok(n_rows as f64 / seconds)
}

/// Refuses a folder for which there is no room, as far as it is not there already.
///
/// # Errors
/// Too little room.
pub(crate) fn check_disk(
    out: &Path,
    n_bytes: u64,
    n_there: u64,
    free: u64,
    remedy: &str,
) -> anyhow::Result<()> {
    let needed = n_bytes.saturating_sub(n_there);
    if needed <= free {
        return Ok(());
    }
    bail!(
        "{} takes {} more and {} are free: {remedy}",
        out.display(),
        BinaryBytes(needed),
        BinaryBytes(free)
    )
}

/// The bytes of the files in a folder; none where it is not there.
pub(crate) fn bytes_there(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.flatten().filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

/// Bytes that are free where a folder is or will be.
///
/// # Errors
/// A system that does not say.
pub(crate) fn free_disk(folder: &Path) -> anyhow::Result<u64> {
    let folder = std::path::absolute(folder)?;
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(&folder);
    let disk = rustix::fs::statvfs(there)
        .with_context(|| format!("cannot tell how much is free at {}", there.display()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The most memory that this program held so far, in bytes, where the system says.
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_too_small_is_told_with_what_to_do() {
        let out = Path::new("store");
        assert!(check_disk(out, 3 << 30, 0, 3 << 30, "").is_ok());
        assert!(check_disk(out, 3 << 30, 2 << 30, 1 << 30, "").is_ok());
        let error = check_disk(out, 3 << 30, 1 << 30, 1 << 30, "take less").unwrap_err();
        let error = error.to_string();
        for part in ["store", "2.00 GiB more", "1.00 GiB are free", "take less"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_is_free_is_told_of_folders_that_are_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_disk(&folder.path().join("not/yet")).unwrap() > 0);
        std::fs::write(folder.path().join("a"), "four").unwrap();
        assert_eq!(bytes_there(folder.path()), 4);
        assert_eq!(bytes_there(&folder.path().join("not")), 0);
    }
}
