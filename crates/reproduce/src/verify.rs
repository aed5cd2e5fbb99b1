//! Comparing results with the stored reference (drift) and with the papers (verdicts).

use std::collections::BTreeMap;
use std::path::Path;

use comfy_table::Cell;
use manifest::Store;
use record::{Claim, Tier, drift};

use crate::catalog::Catalog;
use crate::index::Row;
use crate::plan::{State, states};
use crate::run::{Options, Status};
use crate::{data, reference, table, verdicts};

/// Prints the verdict table of some experiments, and what was skipped or failed; where only one figure
/// or table was asked for, its claims only.
pub fn summary(
    catalog: &Catalog,
    options: &Options,
    ended: &BTreeMap<String, Status>,
    asked: Option<&Row>,
) {
    let results = options.folder();
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    let mut judged = Vec::new();
    let mut others = 0;
    for (id, status) in ended {
        match status {
            Status::Failed => note(&mut notes, id, "failed, see above"),
            Status::SkippedData(name) => {
                note(&mut notes, id, &format!("skipped: data, {}", data::missing(name)));
            }
            Status::Waiting(need) => note(&mut notes, id, &format!("waiting for {need}")),
            Status::Done | Status::UpToDate | Status::Stale => {}
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
            note(&mut notes, &skip.id, &format!("skipped: data, {}", data::missing(&skip.missing)));
        }
        // A broken one is what `verify` complains of.
        let reference = reference::read(catalog.workspace.root(), options.tier, id).ok().flatten();
        for claim in record.result.claims {
            if asked.is_some_and(|row| !row.claims.contains(&claim.id)) {
                others += 1;
                continue;
            }
            let former = reference.as_ref().and_then(|reference| {
                reference.result.claims.iter().find(|former| former.id == claim.id)
            });
            rows.push(row(&claim, former));
            if let (Some(text), Some(_)) = (&claim.note, claim.verdict) {
                note(&mut notes, &claim.id, text);
            }
            judged.push(claim);
        }
    }
    if options.tier == Tier::Smoke {
        let ran = ended.values().filter(|it| matches!(it, Status::Done | Status::UpToDate));
        say!("{} ran at smoke, which judges no claim", table::several(ran.count(), "experiment"));
    } else if !rows.is_empty() {
        let header = ["claim", "says", "test", "stored reference", "this run", "verdict"];
        say!("{}", table::of(&header, rows));
        for line in verdicts::counts(judged.iter()) {
            say!("{line}");
        }
    }
    if let (Some(row), 1..) = (asked, others)
        && options.tier != Tier::Smoke
    {
        let experiment = row.experiment.as_deref().unwrap_or_default();
        let others = table::several(others, "other claim");
        say!("{experiment} judges {others}; `./just run {experiment} {}` shows all", options.tier);
    }
    for (status, word) in [(Status::Failed, "failed"), (Status::Stale, "not up to date")] {
        let n = ended.values().filter(|other| **other == status).count();
        if n > 0 {
            say!("{n} of {} {word}", table::several(ended.len(), "experiment"));
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

fn row(claim: &Claim, reference: Option<&Claim>) -> Vec<Cell> {
    vec![
        Cell::new(&claim.id),
        Cell::new(&claim.text),
        Cell::new(verdicts::test(claim)),
        Cell::new(reference.map(verdicts::measured).unwrap_or_default()),
        Cell::new(verdicts::measured(claim)),
        Cell::new(verdicts::told(claim)),
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
    let (mut stale, mut broken, mut drifts) = (Vec::new(), Vec::new(), Vec::new());
    for (id, state) in states(catalog, &experiments, store, options)? {
        let status = match state {
            Ok(State::UpToDate) => {
                let drifted = drifted(catalog.workspace.root(), options, &id);
                let drifted = drifted.unwrap_or_else(|error| vec![format!("{error:#}")]);
                drifts.extend(drifted.into_iter().map(|what| format!("{id}: {what}")));
                Status::UpToDate
            }
            Ok(State::MissingData(name)) => Status::SkippedData(name),
            Ok(State::Waiting(need)) => Status::Waiting(need),
            Ok(State::Stale(why)) => {
                note(&mut stale, &id, &why.join(", "));
                Status::Stale
            }
            Err(error) => {
                broken.push(format!("{id}: {error:#}"));
                Status::Failed
            }
        };
        ended.insert(id, status);
    }
    summary(catalog, options, &ended, None);
    for line in &broken {
        say!("broken: {line}");
    }
    for (ids, why) in &stale {
        say!("not compared: {ids}: {why}");
    }
    if !stale.is_empty() {
        say!("not all was compared; `./just reproduce-all {}` runs what is missing", options.tier);
        if options.tier != Tier::Smoke {
            say!("{}", reference::hint(options.tier));
        }
    }
    for line in &drifts {
        say!("drift: {line}");
    }
    let compared = ended.values().filter(|status| **status == Status::UpToDate).count();
    match (options.tier, options.seed) {
        _ if !drifts.is_empty() || compared == 0 => {}
        (Tier::Smoke, _) => say!("smoke has no reference to drift from"),
        (_, 0) => {
            say!("no drift from the reference in {}", table::several(compared, "experiment"));
        }
        _ => say!("the reference has other seeds: drift was not looked for"),
    }
    Ok(broken.is_empty() && stale.is_empty() && drifts.is_empty())
}

/// How the stored result of an experiment differs from its reference, in words.
fn drifted(root: &Path, options: &Options, id: &str) -> anyhow::Result<Vec<String>> {
    if options.tier == Tier::Smoke || options.seed != 0 {
        return Ok(Vec::new());
    }
    let Some(record) = options.folder().record(id)? else { return Ok(Vec::new()) };
    let Some(reference) = reference::read(root, options.tier, id)? else {
        return Ok(vec![format!("no reference; `just bless {}` stores one", options.tier)]);
    };
    let differences = drift::differences(&reference, &record).into_iter();
    Ok(differences.map(|it| format!("{} drifted: {it}", it.name)).collect())
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
