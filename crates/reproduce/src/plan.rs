//! What there is, where it lies, and what a run would do.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use comfy_table::Cell;
use manifest::Store;
use record::{Device, InputHash, Key, Results};

use crate::catalog::{Catalog, Experiment};
use crate::run::Options;
use crate::table;

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
        None => State::Stale(vec!["no whole result".to_owned()]),
        Some(stored) if stored == key => State::UpToDate,
        Some(stored) => State::Stale(key.changes_since(&stored)),
    })
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
        let (Some(_), Some(record)) = (results.key(id), results.record(id)?) else {
            return Ok(Err(State::Waiting(id.clone())));
        };
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

/// Prints every figure and table with its experiment, cost, state and verdicts.
///
/// # Errors
/// As [`Catalog::describe`] and [`state`].
pub fn list(catalog: &Catalog, store: &Store, options: &Options) -> anyhow::Result<()> {
    let results = options.folder();
    let experiments = catalog.describe(&catalog.ids(), options.tier, options.seed)?;
    let mut rows = Vec::new();
    for row in &catalog.index.output {
        let experiment = experiments
            .get(&row.experiment)
            .with_context(|| format!("paper/index.toml: no experiment {}", row.experiment))?;
        let state = state(catalog, experiment, store, options);
        let verdicts = |record: record::Record| {
            let claims = record.result.claims.into_iter();
            let claims = claims.filter(|claim| row.claims.contains(&claim.id));
            table::counted(claims.filter_map(|claim| claim.verdict).map(record::Verdict::word))
        };
        let state = match state {
            Ok(State::UpToDate) => results.record(&row.experiment)?.map_or(String::new(), verdicts),
            Ok(other) => other.words(),
            Err(error) => format!("{error:#}"),
        };
        let cost = experiment.description.cost;
        rows.push(vec![
            Cell::new(&row.id),
            Cell::new(&row.shows),
            Cell::new(&row.experiment),
            Cell::new(format!("{} min, {} MB", cost.minutes, cost.memory_mb)),
            Cell::new(state),
        ]);
    }
    println!("{}", table::of(&["id", "shows", "experiment", "cost", "state or verdicts"], rows));
    Ok(())
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
    let results = options.folder();
    let id = catalog.experiment_of(name)?;
    let experiments = catalog.describe(std::slice::from_ref(&id), options.tier, options.seed)?;
    let experiment = &experiments[&id];
    let root = catalog.workspace.root();
    let near = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    println!("experiment  {id}: {}", experiment.description.title);
    println!("source      {}", experiment.source.display());
    for input in &experiment.description.inputs {
        match store.locate(&input.name) {
            Ok(located) => println!("data        {} at {}", input.name, near(&located.path)),
            Err(error) => println!("data        {error}"),
        }
    }
    // A figure's name asks for that figure, an experiment's name for all of them.
    let wanted = name.to_lowercase();
    let outputs = &experiment.description.outputs;
    let is_output = outputs.iter().any(|output| output.to_lowercase() == wanted);
    for output in outputs.iter().filter(|output| !is_output || output.to_lowercase() == wanted) {
        let row = catalog.index.output.iter().find(|row| &row.id == output);
        let suffixes: &[&str] = match row.map(|row| row.kind) {
            Some(crate::index::Kind::Table) => &["md", "csv"],
            _ => &["svg", "png", "csv"],
        };
        for suffix in suffixes {
            let path = results.place(&id).join(format!("{output}.{suffix}"));
            let made = if path.is_file() { "" } else { "  (not made yet)" };
            println!("{output:<11} {}{made}", near(&path));
        }
        if let Some(authors) = row.and_then(|row| row.authors_file.as_ref()) {
            println!("            the authors' file: {authors}");
        }
    }
    println!("record      {}", near(&results.place(&id).join("record.json")));
    Ok(())
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
    for step in crate::catalog::ordered(&experiments)? {
        let experiment = &experiments[&step];
        let state = state(catalog, experiment, store, options)?;
        let seconds = expected_seconds(experiment, &results);
        let cost = experiment.description.cost;
        let words = state.words();
        println!("{step} at {tier}: {words}");
        if let Ok(key) = key(catalog, experiment, store, options)? {
            println!("  key {}", key.hash()?);
        }
        println!(
            "  about {}, {} MB of memory, {} MB of disk",
            table::duration(seconds),
            cost.memory_mb,
            cost.disk_mb
        );
        if state != State::UpToDate {
            total += seconds;
        }
        if step == id {
            println!("  makes {}", experiment.description.outputs.join(", "));
            println!("  config {}", serde_json::to_string_pretty(&experiment.description.config)?);
            let hash = record::canonical::hash("the config", &experiment.description.config)?;
            println!("  config hash {}", &hash[..8]);
        }
    }
    println!("in all about {}", table::duration(total));
    Ok(())
}
