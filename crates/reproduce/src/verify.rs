//! Comparing results with the stored reference (drift) and with the papers (verdicts).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use comfy_table::Cell;
use manifest::Store;
use record::claim::Kind;
use record::{Claim, Record, Tier, Tolerance, drift, schema};

use crate::catalog::Catalog;
use crate::plan::{State, states};
use crate::run::{Options, Status};
use crate::table;

/// Where the reference of an experiment is committed.
pub fn reference_path(root: &Path, tier: Tier, id: &str) -> PathBuf {
    root.join("reference").join(tier.word()).join(format!("{id}.json"))
}

/// The stored reference of an experiment; none at the smoke tier and where none is committed.
///
/// # Errors
/// A reference that is there and broken.
pub fn reference(root: &Path, tier: Tier, id: &str) -> anyhow::Result<Option<Record>> {
    let path = reference_path(root, tier, id);
    if !path.is_file() {
        return Ok(None);
    }
    let read = || -> anyhow::Result<Record> {
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
    read().with_context(broken).map(Some)
}

/// Prints the verdict table of some experiments and what was skipped or failed.
pub fn summary(catalog: &Catalog, options: &Options, ended: &BTreeMap<String, Status>) {
    let results = options.folder();
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    let mut words = Vec::new();
    for (id, status) in ended {
        match status {
            Status::Failed => note(&mut notes, id, "failed, see above"),
            Status::Stale => note(&mut notes, id, "not up to date, see below"),
            Status::SkippedData(name) => {
                note(&mut notes, id, &format!("skipped: data, {}", get(name)));
            }
            Status::Waiting(need) => note(&mut notes, id, &format!("waiting for {need}")),
            Status::Done | Status::UpToDate => {}
        }
        // What lies there is of an earlier run.
        if matches!(status, Status::Failed | Status::Stale) {
            continue;
        }
        let record = match results.record(id) {
            Ok(Some(record)) => record,
            Ok(None) => continue,
            Err(error) => {
                note(&mut notes, id, &format!("{:#}", anyhow::Error::from(error)));
                continue;
            }
        };
        for skip in &record.result.skipped {
            note(&mut notes, &skip.id, &format!("skipped: data, {}", get(&skip.missing)));
        }
        // A broken one is what `verify` complains of.
        let reference = reference(catalog.workspace.root(), options.tier, id).ok().flatten();
        for claim in &record.result.claims {
            let former = reference.as_ref().and_then(|reference| {
                reference.result.claims.iter().find(|former| former.id == claim.id)
            });
            rows.push(row(claim, former));
            words.extend(claim.verdict.map(record::Verdict::word));
            if let (Some(text), Some(_)) = (&claim.note, claim.verdict) {
                note(&mut notes, &claim.id, text);
            }
        }
    }
    if options.tier == Tier::Smoke {
        say!("{} experiments ran at smoke, which judges no claim", rows_of(ended));
    } else if !rows.is_empty() {
        let header = ["claim", "says", "paper", "reference", "this run", "tolerance", "verdict"];
        say!("{}", table::of(&header, rows));
        say!("{}", table::counted(words.into_iter()));
    }
    for (status, word) in [(Status::Failed, "failed"), (Status::Stale, "not up to date")] {
        let n = ended.values().filter(|other| **other == status).count();
        if n > 0 {
            say!("{n} of {} experiments {word}", ended.len());
        }
    }
    for (about, text) in notes {
        say!("  {about}: {text}");
    }
    say!("figures and records: {}", results.folder().display());
}

/// Adds a note, to the ids that have the same one if there are any.
fn note(notes: &mut Vec<(String, String)>, id: &str, text: &str) {
    match notes.iter_mut().find(|(_, other)| other == text) {
        Some((ids, _)) => ids.extend([", ", id]),
        None => notes.push((id.to_owned(), text.to_owned())),
    }
}

fn rows_of(ended: &BTreeMap<String, Status>) -> usize {
    ended.values().filter(|status| matches!(status, Status::Done | Status::UpToDate)).count()
}

fn get(name: &str) -> String {
    let set = name.split('/').next().unwrap_or(name);
    format!("{name} is missing; get it with: just data {set}")
}

fn row(claim: &Claim, reference: Option<&Claim>) -> Vec<Cell> {
    let with_ci = |claim: &Claim| match claim.ci {
        Some([low, high]) => format!(
            "{} [{}, {}]",
            table::number(claim.value),
            table::number(low),
            table::number(high)
        ),
        None => table::number(claim.value),
    };
    let (paper, tolerance) = match (&claim.kind, claim.tolerance) {
        (Kind::Value, Some(Tolerance::Absolute(reach))) => {
            (claim.paper_value.map(table::number), format!("±{}", table::number(reach)))
        }
        (Kind::Value, Some(Tolerance::Relative(reach))) => {
            (claim.paper_value.map(table::number), format!("±{}%", table::number(reach * 100.0)))
        }
        (Kind::Shape { side, bound, .. }, _) => {
            let sign = if *side == record::Direction::Above { "≥" } else { "≤" };
            (Some(format!("{sign} {}", table::number(*bound))), String::new())
        }
        (Kind::Sign { paper }, _) => {
            let null = claim.null.as_ref().map_or(0.0, |null| null.value);
            let sign = if *paper == record::Direction::Above { ">" } else { "<" };
            (Some(format!("{sign} {}", table::number(null))), String::new())
        }
        (Kind::Order { items }, _) => {
            let names: Vec<_> = items.iter().map(|item| item.name.as_str()).collect();
            (Some(names.join(" > ")), String::new())
        }
        (Kind::Value, None) => (None, String::new()),
    };
    vec![
        Cell::new(&claim.id),
        Cell::new(&claim.text),
        Cell::new(paper.unwrap_or_default()),
        Cell::new(reference.map(with_ci).unwrap_or_default()),
        Cell::new(with_ci(claim)),
        Cell::new(tolerance),
        Cell::new(claim.verdict.map_or("not judged", record::Verdict::word)),
    ]
}

/// Compares every experiment's stored result with its reference and prints the verdicts; true if
/// nothing failed, is stale or drifted.
///
/// # Errors
/// A build that fails.
pub fn verify(catalog: &Catalog, store: &Store, options: &Options) -> anyhow::Result<bool> {
    let experiments = catalog.describe(&catalog.ids(), options.tier, options.seed)?;
    let mut ended = BTreeMap::new();
    let mut wrong = Vec::new();
    for (id, state) in states(catalog, &experiments, store, options)? {
        let status = match state {
            Ok(State::UpToDate) => {
                let drifted = drifted(catalog.workspace.root(), options, &id);
                let drifted = drifted.unwrap_or_else(|error| vec![format!("{error:#}")]);
                wrong.extend(drifted.into_iter().map(|what| format!("{id}: {what}")));
                Status::UpToDate
            }
            Ok(State::MissingData(name)) => Status::SkippedData(name),
            Ok(State::Waiting(need)) => Status::Waiting(need),
            Ok(State::Stale(why)) => {
                let why = why.join(", ");
                wrong.push(format!("{id}: {why}; run `just run {id} {}`", options.tier));
                Status::Stale
            }
            Err(error) => {
                wrong.push(format!("{id}: {error:#}"));
                Status::Failed
            }
        };
        ended.insert(id, status);
    }
    summary(catalog, options, &ended);
    for line in &wrong {
        say!("drift: {line}");
    }
    match (options.tier, options.seed) {
        _ if !wrong.is_empty() => {}
        (Tier::Smoke, _) => say!("smoke has no reference to drift from"),
        (_, 0) => say!("no drift from the reference"),
        _ => say!("the reference has other seeds: drift was not looked for"),
    }
    Ok(wrong.is_empty())
}

/// How the stored result of an experiment differs from its reference, in words.
fn drifted(root: &Path, options: &Options, id: &str) -> anyhow::Result<Vec<String>> {
    if options.tier == Tier::Smoke || options.seed != 0 {
        return Ok(Vec::new());
    }
    let Some(record) = options.folder().record(id)? else { return Ok(Vec::new()) };
    let Some(reference) = reference(root, options.tier, id)? else {
        return Ok(vec![format!("no reference; `just bless {}` stores one", options.tier)]);
    };
    let differences = drift::differences(&reference, &record).into_iter();
    Ok(differences.map(|it| format!("{} drifted: {it}", it.name)).collect())
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
        if let Some(skip) = record.result.skipped.first() {
            bail!("{id} skipped {}: {}; a reference is whole", skip.id, get(&skip.missing));
        }
        let path = reference_path(root, options.tier, id);
        // A broken one has nothing to compare with and is replaced.
        let former = reference(root, options.tier, id).ok().flatten();
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
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_notes_are_told_once() {
        let mut notes = Vec::new();
        for (id, text) in [("a01.x", "n is 48"), ("a01.y", "see above"), ("a02.x", "n is 48")] {
            note(&mut notes, id, text);
        }
        let told: Vec<_> = notes.iter().map(|(ids, text)| format!("{ids}: {text}")).collect();
        assert_eq!(told, ["a01.x, a02.x: n is 48", "a01.y: see above"]);
    }
}
