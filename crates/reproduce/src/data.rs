//! Fetching data and freeing results.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use manifest::{Outcome, Store};
use record::Tier;

use crate::catalog::unknown;

/// Fetches and verifies one data set or all, and prints where every file stands; true if every file
/// asked for is usable.
///
/// # Errors
/// An unknown data set; the error offers the nearest ones.
pub fn fetch(store: &Store, name: Option<&str>) -> anyhow::Result<bool> {
    let known: Vec<String> = store.manifests().keys().cloned().collect();
    let sets = match name {
        None => known,
        Some(name) if known.iter().any(|set| set == name) => vec![name.to_owned()],
        Some(name) => anyhow::bail!("{}", unknown(name, known.iter().map(String::as_str))),
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
        println!("{set}: {there} of {} files there and verified", report.files.len());
        for (file, outcome) in &report.files {
            match outcome {
                Ok(Outcome::AlreadyThere) => {}
                Ok(Outcome::Downloaded) => println!("  {file}: downloaded"),
                Ok(Outcome::Made) => println!("  {file}: made by its recipe"),
                Ok(Outcome::Pinned { sha256 }) => println!(
                    "  warning: {file}: its hash was not known; {sha256} now stands for it"
                ),
                Ok(_) => println!("  {file}: there"),
                Err(error) => println!("  {file}: {error}"),
            }
        }
    }
    Ok(complete)
}

/// Frees the results of one tier, with any seed, or of all.
///
/// # Errors
/// A folder that cannot be removed.
pub fn clean(results: &Path, tier: Option<Tier>) -> anyhow::Result<()> {
    let tiers = tier.map_or(Tier::ALL.to_vec(), |tier| vec![tier]);
    if !results.is_dir() {
        println!("there are no results");
        return Ok(());
    }
    for entry in fs::read_dir(results)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_meant = tiers
            .iter()
            .any(|tier| name == tier.word() || name.starts_with(&format!("{}-seed", tier.word())));
        if is_meant {
            fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
            println!("freed {}", path.display());
        }
    }
    Ok(())
}
