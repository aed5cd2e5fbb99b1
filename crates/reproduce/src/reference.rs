//! The committed reference of an experiment, and the page of verdicts beside it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use manifest::Store;
use record::{Record, Tier, drift, schema};

use crate::catalog::Catalog;
use crate::plan::{State, states};
use crate::run::Options;
use crate::{data, verdicts};

/// The page of verdicts in the folder of a tier's reference.
pub const VERDICTS: &str = "VERDICTS.md";

fn folder(root: &Path, tier: Tier) -> PathBuf {
    root.join("reference").join(tier.word())
}

/// Where the reference of an experiment is committed.
fn path(root: &Path, tier: Tier, id: &str) -> PathBuf {
    folder(root, tier).join(format!("{id}.json"))
}

/// The stored reference of an experiment; none at the smoke tier and where none is committed.
///
/// # Errors
/// A reference that is there and broken.
pub fn read(root: &Path, tier: Tier, id: &str) -> anyhow::Result<Option<Record>> {
    let path = path(root, tier, id);
    if !path.is_file() {
        return Ok(None);
    }
    let parse = || -> anyhow::Result<Record> {
        let tree: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
        schema::validate("it", &tree)?;
        let record: Record = serde_json::from_value(tree)?;
        record.check()?;
        Ok(record)
    };
    let broken = || {
        format!(
            "{} is not a whole record; restore it with git, or store a new one with `just bless {tier} {id}`",
            path.display()
        )
    };
    parse().with_context(broken).map(Some)
}

/// Where the verdicts of the reference are to be read without a run.
pub fn hint(tier: Tier) -> String {
    format!("the verdicts of the stored reference: reference/{tier}/{VERDICTS}")
}

/// Stores the results of this tier as the reference, those of one experiment or of all.
///
/// # Errors
/// A result that is not up to date, that skipped something, or whose sources are not committed, unless
/// `dirty` allows that; the smoke tier, which has no reference.
pub fn bless(
    catalog: &Catalog,
    store: &Store,
    options: &Options,
    name: Option<&str>,
    dirty: bool,
) -> anyhow::Result<()> {
    if options.tier == Tier::Smoke || options.seed != 0 {
        bail!("a reference is stored for laptop and paper with the tier's own seeds only");
    }
    let ids = match name {
        Some(name) => vec![catalog.experiment_of(name)?],
        None => catalog.ids(),
    };
    let (results, root) = (options.folder(), catalog.workspace.root());
    let experiments = catalog.describe(&ids, options.tier, options.seed)?;
    let mut states = states(catalog, &experiments, store, options)?;
    for id in &ids {
        let state = states.remove(id).context("every experiment has a state")??;
        let (State::UpToDate, Some(mut record)) = (&state, results.record(id)?) else {
            bail!("{id} is not up to date ({}); run it first", state.words());
        };
        // The result follows from the sources as they stand now, whatever was committed when it ran.
        record.run.commit = record::commit(root, &results.key(id)?);
        if !dirty && record.run.commit.as_ref().is_none_or(|commit| commit.ends_with("+changes")) {
            bail!(
                "the sources of {id} are not committed; commit them first, or bless with --dirty"
            );
        }
        // What rests on a checkpoint that a user may exchange has no reference.
        let mut skipped = record.result.skipped.iter();
        if let Some(skip) = skipped.find(|skip| !is_pinned(store, &skip.missing)) {
            bail!(
                "{id} skipped {}: {}; a reference is whole",
                skip.id,
                data::missing(&skip.missing)
            );
        }
        let path = path(root, options.tier, id);
        // A broken one has nothing to compare with and is replaced.
        let former = read(root, options.tier, id).ok().flatten();
        for it in former.iter().flat_map(|former| drift::differences(former, &record)) {
            say!("{id}: {} moves: {it}", it.name);
        }
        fs::create_dir_all(path.parent().context("a reference has a folder")?)?;
        fs::write(&path, record.to_bytes()?).with_context(|| path.display().to_string())?;
        say!("stored {}", path.display());
        for figure in &record.result.figures {
            // The README shows these; one is added by putting a file of its name there.
            let shown = root.join(format!("paper/gallery/{}.svg", figure.id));
            if options.tier == Tier::Laptop && shown.is_file() {
                let made = results.place(id).join(format!("{}.svg", figure.id));
                fs::copy(&made, &shown).with_context(|| made.display().to_string())?;
                say!("stored {}", shown.display());
            }
        }
    }
    let page = folder(root, options.tier).join(VERDICTS);
    fs::write(&page, verdicts(root, options.tier)?).with_context(|| page.display().to_string())?;
    say!("stored {}", page.display());
    Ok(())
}

/// Whether a file's hash is not recorded, so that whatever is there first counts.
fn is_pinned(store: &Store, name: &str) -> bool {
    let row = name.split_once('/').and_then(|(set, path)| store.manifests().get(set)?.file(path));
    row.is_some_and(|row| row.sha256.is_none())
}

/// The page of verdicts of a tier's reference, as it follows from the stored records.
///
/// # Errors
/// A stored record that is broken.
pub fn verdicts(root: &Path, tier: Tier) -> anyhow::Result<String> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(folder(root, tier)).into_iter().flatten() {
        let path = entry?.path();
        if path.extension().is_some_and(|suffix| suffix == "json") {
            ids.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    ids.sort();
    let mut records = Vec::new();
    for id in ids {
        records.extend(read(root, tier, &id)?);
    }
    Ok(verdicts::page(tier, &records))
}
