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
use crate::plan::{State, state};
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
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    let tree: serde_json::Value =
        serde_json::from_slice(&bytes).with_context(|| path.display().to_string())?;
    schema::validate(&path.display().to_string(), &tree)?;
    let record: Record = serde_json::from_value(tree)?;
    record.check()?;
    Ok(Some(record))
}

/// Prints the verdict table of some experiments and what was skipped or failed.
///
/// # Errors
/// A broken record or reference.
pub fn summary(
    catalog: &Catalog,
    options: &Options,
    ended: &BTreeMap<String, Status>,
) -> anyhow::Result<()> {
    let results = options.folder();
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    let mut words = Vec::new();
    for (id, status) in ended {
        match status {
            Status::Failed => notes.push(format!("{id}: failed, see above")),
            Status::SkippedData(name) => notes.push(format!("{id}: skipped: data, {}", get(name))),
            Status::Waiting(need) => notes.push(format!("{id}: waiting for {need}")),
            Status::Done | Status::UpToDate => {}
        }
        // What lies there after a failure is of an earlier run.
        if *status == Status::Failed {
            continue;
        }
        let Some(record) = results.record(id)? else { continue };
        for skip in &record.result.skipped {
            notes.push(format!("{}: skipped: data, {}", skip.id, get(&skip.missing)));
        }
        let reference = reference(catalog.workspace.root(), options.tier, id)?;
        for claim in &record.result.claims {
            let former = reference.as_ref().and_then(|reference| {
                reference.result.claims.iter().find(|former| former.id == claim.id)
            });
            rows.push(row(claim, former));
            words.extend(claim.verdict.map(record::Verdict::word));
            if let (Some(note), Some(_)) = (&claim.note, claim.verdict) {
                notes.push(format!("{}: {note}", claim.id));
            }
        }
    }
    if options.tier == Tier::Smoke {
        println!("{} experiments ran at smoke, which judges no claim", rows_of(ended));
    } else if !rows.is_empty() {
        let header = ["claim", "says", "paper", "reference", "this run", "tolerance", "verdict"];
        println!("{}", table::of(&header, rows));
        println!("{}", table::counted(words.into_iter()));
    }
    for note in notes {
        println!("  {note}");
    }
    println!("figures and records: {}", results.folder().display());
    Ok(())
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
/// A build that fails, a broken record or reference.
pub fn verify(catalog: &Catalog, store: &Store, options: &Options) -> anyhow::Result<bool> {
    let results = options.folder();
    let experiments = catalog.describe(&catalog.ids(), options.tier, options.seed)?;
    let mut ended = BTreeMap::new();
    let mut wrong = Vec::new();
    for (id, experiment) in &experiments {
        let status = match state(catalog, experiment, store, options)? {
            State::UpToDate => Status::UpToDate,
            State::MissingData(name) => Status::SkippedData(name),
            State::Waiting(need) => Status::Waiting(need),
            State::Stale(why) => {
                wrong.push(format!(
                    "{id}: {}; run `just run {id} {}`",
                    why.join(", "),
                    options.tier
                ));
                Status::Failed
            }
        };
        if status == Status::UpToDate
            && options.tier != Tier::Smoke
            && options.seed == 0
            && let Some(record) = results.record(id)?
        {
            match reference(catalog.workspace.root(), options.tier, id)? {
                None => wrong
                    .push(format!("{id}: no reference; `just bless {}` stores one", options.tier)),
                Some(reference) => {
                    wrong.extend(drift::differences(&reference, &record).into_iter().map(|it| {
                        format!(
                            "{id}: {} drifted: reference {}, this run {}",
                            it.name, it.reference, it.run
                        )
                    }));
                }
            }
        }
        ended.insert(id.clone(), status);
    }
    summary(catalog, options, &ended)?;
    for line in &wrong {
        println!("drift: {line}");
    }
    match (options.tier, options.seed) {
        _ if !wrong.is_empty() => {}
        (Tier::Smoke, _) => println!("smoke has no reference to drift from"),
        (_, 0) => println!("no drift from the reference"),
        _ => println!("the reference has other seeds: drift was not looked for"),
    }
    Ok(wrong.is_empty())
}

/// Stores the results of this tier as the reference, those of one experiment or of all.
///
/// # Errors
/// A result that is not up to date, that skipped something, or the smoke tier, which has no reference.
pub fn bless(
    catalog: &Catalog,
    store: &Store,
    options: &Options,
    name: Option<&str>,
) -> anyhow::Result<()> {
    if options.tier == Tier::Smoke || options.seed != 0 {
        bail!("a reference is stored for laptop and paper with the tier's own seeds only");
    }
    let ids = match name {
        Some(name) => vec![catalog.experiment_of(name)?],
        None => catalog.ids(),
    };
    let results = options.folder();
    for (id, experiment) in &catalog.describe(&ids, options.tier, options.seed)? {
        let state = state(catalog, experiment, store, options)?;
        let (State::UpToDate, Some(record)) = (&state, results.record(id)?) else {
            bail!("{id} is not up to date ({}); run it first", state.words());
        };
        if let Some(skip) = record.result.skipped.first() {
            bail!("{id} skipped {}: {}; a reference is whole", skip.id, get(&skip.missing));
        }
        let path = reference_path(catalog.workspace.root(), options.tier, id);
        fs::create_dir_all(path.parent().context("a reference has a folder")?)?;
        fs::write(&path, record.to_bytes()?).with_context(|| path.display().to_string())?;
        println!("stored {}", path.display());
    }
    Ok(())
}
