//! Fetching data and freeing results.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use continual::ConvMixer;
use indicatif::{ProgressBar, ProgressStyle};
use manifest::{Outcome, Store};
use record::Tier;
use record::results::ARTEFACTS;

use crate::catalog::unknown;

/// Says that a file is missing, and how to get it.
pub fn missing(name: &str) -> String {
    let set = name.split('/').next().unwrap_or(name);
    format!(
        "{name} is missing; get it with ./just data {set}, or name your copy in ENGRAM_DATA_MIRROR"
    )
}

/// Fetches and verifies one data set or all, with the network that recipes of embeddings ask for, and
/// prints where every file stands; true if every file asked for is usable.
///
/// # Errors
/// An unknown data set; the error offers the nearest ones.
pub fn fetch(store: Store, name: Option<&str>) -> anyhow::Result<bool> {
    let store = store.with_extractor(ConvMixer::extract);
    let known: Vec<String> = store.manifests().keys().cloned().collect();
    let sets = match name {
        None => known,
        Some(name) if known.iter().any(|set| set == name) => vec![name.to_owned()],
        Some(name) => anyhow::bail!(
            "{}",
            unknown(name, known.iter().map(String::as_str), "`just data` fetches all")
        ),
    };
    let mut complete = true;
    for set in &sets {
        let bar = ProgressBar::new(0);
        let style = "{prefix} {wide_bar:.dim} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
        bar.set_style(ProgressStyle::with_template(style)?);
        let report = store.fetch(set, &mut |progress| {
            bar.set_prefix(progress.name.to_owned());
            bar.set_length(progress.total.unwrap_or(progress.done));
            bar.set_position(progress.done);
        })?;
        bar.finish_and_clear();
        complete &= report.is_complete();
        let there = report.files.iter().filter(|(_, outcome)| outcome.is_ok()).count();
        say!("{set}: {there} of {} files there and verified", report.files.len());
        for (file, outcome) in &report.files {
            match outcome {
                Ok(Outcome::AlreadyThere) => {}
                Ok(Outcome::Downloaded) => say!("  {file}: downloaded"),
                Ok(Outcome::Made { differs, pinned }) => {
                    say!("  {file}: made by its recipe");
                    if let Some(why) = differs {
                        say!(
                            "  warning: {file}: not the recorded file ({why}); its own hash now stands for it, and \
                             numbers may drift from the reference"
                        );
                    }
                    if let Some((from, sha256)) = pinned {
                        warn_of_pin(from, sha256);
                    }
                }
                Ok(Outcome::Pinned { sha256 }) => warn_of_pin(file, sha256),
                Ok(_) => say!("  {file}: there"),
                Err(error) => say!("  {file}: {error}"),
            }
        }
    }
    Ok(complete)
}

fn warn_of_pin(file: &str, sha256: &str) {
    say!("  warning: {file}: its hash was not known; {sha256} now stands for it");
}

/// Frees the results and artefacts of one tier, with any seed; without a tier it only says what there is to free.
///
/// # Errors
/// A folder that cannot be read or removed.
pub fn clean(results: &Path, tier: Option<Tier>) -> anyhow::Result<()> {
    let mut found = false;
    for of in Tier::ALL.into_iter().filter(|of| tier.is_none_or(|tier| tier == *of)) {
        let of_artefacts = folders_of(&results.join(ARTEFACTS), of)?;
        for folder in folders_of(results, of)?.into_iter().chain(of_artefacts) {
            found = true;
            let megabytes = size(&folder)? as f64 / 1e6;
            if tier.is_some() {
                fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
                say!("freed {megabytes:.1} MB in {}", folder.display());
            } else {
                say!("{megabytes:.1} MB in {}: just clean {of}", folder.display());
            }
        }
    }
    if !found {
        say!("nothing to free in {}", results.display());
    }
    Ok(())
}

fn folders_of(results: &Path, tier: Tier) -> anyhow::Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(results) else { return Ok(Vec::new()) };
    let seeded = format!("{tier}-seed");
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name == tier.word() || name.starts_with(&seeded)
    };
    let mut folders = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    folders.retain(is_meant);
    folders.sort();
    Ok(folders)
}

fn size(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        bytes += if kind.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}
