//! What there is, where it lies, and what a run would do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use comfy_table::Cell;
use manifest::Store;
use record::{Device, InputHash, Key, Record, Results, Tier};

use crate::catalog::{Catalog, Experiment, ordered};
use crate::index::{Kind, Row};
use crate::run::Options;
use crate::{data, reference, table, verdicts};

/// Whether the stored result of an experiment counts.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Nothing that it depends on has changed.
    UpToDate,
    /// It must run, and why.
    Stale(Vec<String>),
    /// A data file without which it cannot run is missing.
    MissingData(String),
    /// An experiment that it needs has no result yet.
    Waiting(String),
}

impl State {
    /// The state in a few words.
    pub fn words(&self) -> String {
        match self {
            Self::UpToDate => "up to date".to_owned(),
            Self::Stale(why) => format!("to run: {}", why.join(", ")),
            Self::MissingData(name) => format!("skipped: data ({name})"),
            Self::Waiting(id) => format!("waiting for {id}"),
        }
    }
}

impl State {
    /// The state in view of the states of what it needs (none: unknown, since it is broken): what stands
    /// on a need that will run will run after it.
    fn after<'a>(self, needs: impl Iterator<Item = (&'a str, Option<&'a Self>)>) -> Self {
        let mut changes = Vec::new();
        for (need, state) in needs {
            match state {
                Some(Self::UpToDate) => {}
                Some(Self::Stale(_)) => changes.push(format!("{need} will change")),
                _ if matches!(self, Self::MissingData(_)) => {}
                _ => return Self::Waiting(need.to_owned()),
            }
        }
        match self {
            _ if changes.is_empty() => self,
            Self::Stale(why) => Self::Stale([why, changes].concat()),
            Self::UpToDate | Self::Waiting(_) => Self::Stale(changes),
            Self::MissingData(_) => self,
        }
    }
}

/// The state of every experiment, by id; errors as in [`state`] stay with their experiment.
///
/// # Errors
/// A circle of needs.
pub fn states(
    catalog: &Catalog,
    experiments: &BTreeMap<String, Experiment>,
    store: &Store,
    options: &Options,
) -> anyhow::Result<BTreeMap<String, anyhow::Result<State>>> {
    let mut states: BTreeMap<String, anyhow::Result<State>> = BTreeMap::new();
    for id in ordered(experiments)? {
        let experiment = &experiments[&id];
        let needs = experiment.description.needs.iter();
        let needs = needs.map(|need| (need.as_str(), states[need].as_ref().ok()));
        let state = state(catalog, experiment, store, options).map(|state| state.after(needs));
        states.insert(id, state);
    }
    Ok(states)
}

/// Compares the stored result of an experiment with what its key would be now.
///
/// # Errors
/// Data that is there but does not match its manifest, or sources that cannot be read.
pub fn state(
    catalog: &Catalog,
    experiment: &Experiment,
    store: &Store,
    options: &Options,
) -> anyhow::Result<State> {
    let key = match key(catalog, experiment, store, options)? {
        Ok(key) => key,
        Err(state) => return Ok(state),
    };
    Ok(match options.folder().key(&experiment.description.id) {
        Err(error) => State::Stale(vec![error.to_string()]),
        Ok(stored) => {
            // A result that was made from data outlives them.
            let key = with_missing_as(key, &stored);
            if stored == key { State::UpToDate } else { State::Stale(key.changes_since(&stored)) }
        }
    })
}

/// The key with the hashes of missing inputs as they were.
fn with_missing_as(mut key: Key, stored: &Key) -> Key {
    for input in key.inputs.iter_mut().filter(|input| input.sha256.is_none()) {
        let was = stored.inputs.iter().find(|was| was.name == input.name);
        input.sha256 = was.and_then(|was| was.sha256.clone());
    }
    key
}

/// The key that a run would have now, or why there is none.
fn key(
    catalog: &Catalog,
    experiment: &Experiment,
    store: &Store,
    options: &Options,
) -> anyhow::Result<Result<Key, State>> {
    let (description, results) = (&experiment.description, options.folder());
    let mut inputs = Vec::new();
    for input in &description.inputs {
        let sha256 = match store.locate(&input.name) {
            Ok(located) => Some(located.sha256),
            Err(manifest::Error::Missing { .. }) if !input.outputs.is_empty() => None,
            Err(manifest::Error::Missing { .. }) => {
                return Ok(Err(State::MissingData(input.name.clone())));
            }
            Err(error) => return Err(error).context(description.id.clone()),
        };
        inputs.push(InputHash { name: input.name.clone(), sha256 });
    }
    let mut needs = BTreeMap::new();
    for id in &description.needs {
        // What is not whole may have a record that cannot be read.
        let record = if results.key(id).is_ok() { results.record(id)? } else { None };
        let Some(record) = record else { return Ok(Err(State::Waiting(id.clone()))) };
        needs.insert(id.clone(), record.result_hash()?);
    }
    Ok(Ok(catalog.workspace.key(description, options.tier, inputs, needs, Device::Cpu)?))
}

/// Seconds that a run is expected to take: those of the stored result where there is one, else the
/// stated cost.
pub fn expected_seconds(experiment: &Experiment, results: &Results) -> f64 {
    let record = results.record(&experiment.description.id).ok().flatten();
    record.map_or(experiment.description.cost.minutes * 60.0, |record| record.run.runtime_s)
}

/// The data file without which one figure or table is skipped although the rest of its experiment runs.
fn missing_for(experiment: &Experiment, store: &Store, output: &str) -> Option<String> {
    let mut inputs = experiment.description.inputs.iter();
    let is_missing =
        |name: &str| matches!(store.locate(name), Err(manifest::Error::Missing { .. }));
    let missing = inputs
        .find(|input| input.outputs.iter().any(|other| other == output) && is_missing(&input.name));
    missing.map(|input| input.name.clone())
}

/// What to say before a run of experiments for which data are missing: how many figures and tables will be skipped,
/// and how to get the data; none if all are there.
pub fn lacking(experiments: &BTreeMap<String, Experiment>, store: &Store) -> Option<String> {
    let mut sets = BTreeSet::new();
    let mut skipped = BTreeSet::new();
    for experiment in experiments.values() {
        for input in &experiment.description.inputs {
            if !matches!(store.locate(&input.name), Err(manifest::Error::Missing { .. })) {
                continue;
            }
            sets.insert(input.name.split('/').next().unwrap_or(&input.name));
            let all = &experiment.description.outputs;
            skipped.extend(if input.outputs.is_empty() { all } else { &input.outputs });
        }
    }
    if sets.is_empty() {
        return None;
    }
    let (n, each) = (skipped.len(), sets.into_iter().collect::<Vec<_>>());
    let figures = if n == 1 { "figure or table" } else { "figures and tables" };
    Some(format!(
        "data missing: {n} {figures} will be skipped. Get {} with ./just data, or name your copy in \
         ENGRAM_DATA_MIRROR.",
        each.join(", ")
    ))
}

/// Prints every figure and table with its experiment, cost, state and verdicts; where no result counts,
/// with the verdicts of the stored reference.
///
/// # Errors
/// As [`Catalog::describe`] and [`state`].
pub fn list(
    catalog: &Catalog,
    store: &Store,
    options: &Options,
    only: &[String],
) -> anyhow::Result<()> {
    let (results, root) = (options.folder(), catalog.workspace.root());
    let asked = if only.is_empty() { catalog.ids() } else { catalog.ids_of(only)? };
    let experiments = catalog.describe(&asked, options.tier, options.seed)?;
    let states = states(catalog, &experiments, store, options)?;
    let is_asked = |row: &&Row| match &row.experiment {
        Some(id) => asked.contains(id),
        None => only.is_empty() || only.iter().any(|name| waits_under(row, name)),
    };
    let mut rows = Vec::new();
    for row in catalog.index.output.iter().filter(is_asked) {
        let shows = in_short(&row.shows);
        let Some(id) = &row.experiment else {
            let awaited = row.waits_for.as_deref().unwrap_or_default();
            let state = format!("waiting for {awaited}");
            rows.push([&row.id, &shows, "", "", &state].map(Cell::new).to_vec());
            continue;
        };
        let experiment =
            experiments.get(id).with_context(|| format!("paper/index.toml: no experiment {id}"))?;
        let verdicts = |record: Option<Record>| {
            let claims = record.into_iter().flat_map(|record| record.result.claims);
            let claims: Vec<_> = claims.filter(|claim| row.claims.contains(&claim.id)).collect();
            let told: Vec<String> = claims.iter().map(verdicts::told).collect();
            table::counted(told.iter().map(String::as_str))
        };
        let words = match &states[id] {
            Ok(State::UpToDate) => {
                let record = results.record(id)?;
                let mut skipped = record.iter().flat_map(|record| &record.result.skipped);
                let skip = skipped.find(|skip| skip.id == row.id);
                skip.map(|skip| State::MissingData(skip.missing.clone()).words())
            }
            Ok(State::Stale(why)) => Some(match missing_for(experiment, store, &row.id) {
                Some(name) => State::MissingData(name).words(),
                None if results.record(id).ok().flatten().is_none() => "not run".to_owned(),
                None => State::Stale(why.clone()).words(),
            }),
            Ok(other) => Some(other.words()),
            Err(error) => Some(format!("{error:#}")),
        };
        let state = match words {
            None => verdicts(results.record(id)?),
            Some(words) => {
                let stored = verdicts(reference::read(root, options.tier, id).ok().flatten());
                if stored.is_empty() { words } else { format!("{words}; stored: {stored}") }
            }
        };
        let cost = experiment.description.cost;
        rows.push(vec![
            Cell::new(&row.id),
            Cell::new(&shows),
            Cell::new(id),
            Cell::new(format!("{} min, {} MB", cost.minutes, cost.memory_mb)),
            Cell::new(state),
        ]);
    }
    say!("{}", table::of(&["id", "shows", "experiment", "cost", "state or verdicts"], rows));
    if options.tier != Tier::Smoke {
        say!("{}", reference::hint(options.tier));
    }
    Ok(())
}

/// Whether a row that no experiment makes yet is meant by a name: its own, or its paper's letter.
fn waits_under(row: &Row, name: &str) -> bool {
    let (id, name) = (row.id.to_lowercase(), name.to_lowercase());
    id == name || (name.len() == 1 && id.starts_with(&name))
}

/// What a row shows, as far as a line of a listing has room; `where` tells all of it.
fn in_short(shows: &str) -> String {
    const MOST: usize = 64;
    if shows.chars().count() <= MOST {
        return shows.to_owned();
    }
    let cut: String = shows.chars().take(MOST).collect();
    let end = cut.rfind(' ').unwrap_or(cut.len());
    format!("{} …", &cut[..end])
}

/// Prints where the code, the data and the results of a figure lie.
///
/// # Errors
/// An unknown name, or as [`Catalog::describe`].
pub fn location(
    catalog: &Catalog,
    store: &Store,
    options: &Options,
    name: &str,
) -> anyhow::Result<()> {
    if let Some(row) = catalog.row(name)
        && let Some(awaited) = &row.waits_for
    {
        say!("{} (not made yet, it waits for {awaited}): {}", row.id, row.shows);
        if let Some(authors) = &row.authors_file {
            say!("the authors' file: {authors}");
        }
        return Ok(());
    }
    let results = options.folder();
    let id = catalog.experiment_of(name)?;
    let experiments = catalog.describe(std::slice::from_ref(&id), options.tier, options.seed)?;
    let experiment = &experiments[&id];
    let root = catalog.workspace.root();
    let near = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    say!("experiment  {id}: {}", experiment.description.title);
    say!("source      {}", experiment.source.display());
    for input in &experiment.description.inputs {
        let asked = catalog
            .row(name)
            .is_none_or(|row| input.outputs.is_empty() || input.outputs.contains(&row.id));
        match store.locate(&input.name) {
            _ if !asked => {}
            Ok(located) => say!("data        {} at {}", input.name, near(&located.path)),
            Err(manifest::Error::Missing { .. }) => {
                say!("data        {}", data::missing(&input.name));
            }
            Err(error) => say!("data        {error}"),
        }
    }
    files(catalog, options, &id, name);
    say!("record      {}", near(&results.place(&id).join("record.json")));
    Ok(())
}

/// Prints where the files of an experiment's figures and tables lie: a figure's name asks for that
/// figure, any other name for all of them.
pub fn files(catalog: &Catalog, options: &Options, id: &str, name: &str) {
    let (place, root) = (options.folder().place(id), catalog.workspace.root());
    let rows = catalog.index.output.iter().filter(|row| row.experiment.as_deref() == Some(id));
    let rows: Vec<_> = rows.collect();
    let is_meant = |row: &Row| row.id.eq_ignore_ascii_case(name);
    let is_output = rows.iter().any(|row| is_meant(row));
    for row in rows.iter().filter(|row| !is_output || is_meant(row)) {
        let files: &[(&str, &str)] = match row.kind {
            Kind::Table => &[("md", ""), ("csv", "")],
            Kind::Figure => &[
                ("svg", ""),
                ("png", ""),
                ("md", "  (title and caption)"),
                ("csv", "  (its data)"),
            ],
        };
        for (suffix, holds) in files {
            let path = place.join(format!("{}.{suffix}", row.id));
            let remark = if path.is_file() { holds } else { "  (not made yet)" };
            let path = path.strip_prefix(root).unwrap_or(&path);
            say!("{:<11} {}{remark}", row.id, path.display());
        }
        if let Some(authors) = &row.authors_file {
            say!("            the authors' file: {authors}");
        }
    }
}

/// Prints what running an experiment would do, without doing it.
///
/// # Errors
/// An unknown name, or as [`Catalog::describe`] and [`state`].
pub fn dry_run(
    catalog: &Catalog,
    store: &Store,
    options: &Options,
    name: &str,
) -> anyhow::Result<()> {
    let (tier, results) = (options.tier, options.folder());
    let id = catalog.experiment_of(name)?;
    let experiments = catalog.describe(std::slice::from_ref(&id), tier, options.seed)?;
    let mut total = 0.0;
    let mut states = states(catalog, &experiments, store, options)?;
    for step in ordered(&experiments)? {
        let experiment = &experiments[&step];
        let state = states.remove(&step).context("every experiment has a state")??;
        let seconds = expected_seconds(experiment, &results);
        let cost = experiment.description.cost;
        let words = state.words();
        say!("{step} at {tier}: {words}");
        if let Ok(key) = key(catalog, experiment, store, options)? {
            say!("  key {}", key.hash()?);
        }
        say!(
            "  about {}, {} MB of memory, {} MB of disk",
            table::duration(seconds),
            cost.memory_mb,
            cost.disk_mb
        );
        if state != State::UpToDate {
            total += seconds;
        }
        if step == id {
            say!("  makes {}", experiment.description.outputs.join(", "));
            for output in &experiment.description.outputs {
                if let Some(missing) = missing_for(experiment, store, output) {
                    say!("  skips {output}: {}", data::missing(&missing));
                }
            }
            say!("  config {}", serde_json::to_string_pretty(&experiment.description.config)?);
            let hash = record::canonical::hash("the config", &experiment.description.config)?;
            say!("  config hash {}", &hash[..8]);
        }
    }
    say!("in all about {}", table::duration(total));
    let inputs = experiments.values().flat_map(|experiment| &experiment.description.inputs);
    let there = inputs.filter(|input| store.locate(&input.name).is_ok()).count();
    say!("data there: {}", table::several(there, "file"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_on_a_need_that_will_run_will_run_too() {
        let stale = || State::Stale(vec!["rustc changed".to_owned()]);
        let after = |own: State, need: Option<&State>| own.after([("a01_x", need)].into_iter());
        let follows = State::Stale(vec!["a01_x will change".to_owned()]);
        assert_eq!(after(State::UpToDate, Some(&State::UpToDate)), State::UpToDate);
        assert_eq!(after(State::UpToDate, Some(&stale())), follows);
        assert_eq!(after(State::Waiting("a01_x".to_owned()), Some(&stale())), follows);
        let both = ["rustc changed", "a01_x will change"].map(str::to_owned).to_vec();
        assert_eq!(after(stale(), Some(&stale())), State::Stale(both));
        // A third one follows from the second.
        assert_eq!(after(State::UpToDate, Some(&follows)), follows);
        let waiting = State::Waiting("a01_x".to_owned());
        let missing = State::MissingData("set/file".to_owned());
        assert_eq!(after(State::UpToDate, Some(&missing)), waiting);
        assert_eq!(after(State::UpToDate, None), waiting);
        assert_eq!(after(missing.clone(), Some(&stale())), missing);
    }
}
