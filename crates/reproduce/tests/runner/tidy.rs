use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use record::{Tier, Workspace};
use reproduce::catalog::Catalog;
use reproduce::reference;

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every tracked or trackable file of the project.
fn files() -> Vec<PathBuf> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(super::root());
    let listed = super::text(&super::succeed(git).stdout);
    let files = listed.lines().map(|line| super::root().join(line));
    files.filter(|path| path.is_file()).collect()
}

/// The rows of the floors table in ARCHITECTURE.md: floor by crate.
fn floors() -> BTreeMap<String, u32> {
    let document = read(&super::root().join("ARCHITECTURE.md"));
    let rows = document.lines().filter_map(|line| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let floor = cells.next()?.parse().ok()?;
        Some((cells.next()?.trim_matches('`').to_owned(), floor))
    });
    rows.collect()
}

#[test]
fn every_crate_stands_on_a_floor_and_depends_on_lower_floors_only() {
    let floors = floors();
    let workspace = Workspace::load(&super::root(), []).unwrap();
    let edges = workspace.crate_edges();
    let experiments: BTreeSet<_> =
        workspace.binaries().into_values().map(|binary| binary.package).collect();
    let crates: BTreeSet<_> = edges.keys().filter(|name| !experiments.contains(*name)).collect();
    assert_eq!(
        floors.keys().collect::<BTreeSet<_>>(),
        crates,
        "ARCHITECTURE.md lists other crates"
    );
    for (name, below) in &edges {
        for other in below {
            let stands = floors.get(name).copied().unwrap_or(u32::MAX);
            assert!(
                floors[other] < stands,
                "{name} depends on {other}, which is not on a lower floor"
            );
        }
    }
}

#[test]
fn the_index_and_the_experiments_name_the_same_figures_and_fit_the_budget() {
    let catalog = Catalog::load(&super::root()).unwrap();
    let budget: BTreeMap<String, toml::Value> =
        toml::from_str(&read(&super::root().join("paper/budget.toml"))).unwrap();
    let minutes = |tier: &str, letter: &str| budget[tier][letter].as_float().unwrap();
    for tier in [Tier::Smoke, Tier::Laptop] {
        let experiments = catalog.describe(&catalog.ids(), tier, 0).unwrap();
        let mut made = BTreeSet::new();
        let mut spent: BTreeMap<String, f64> = BTreeMap::new();
        for (id, experiment) in &experiments {
            made.extend(
                experiment.description.outputs.iter().map(|output| (output.clone(), id.clone())),
            );
            let group = if tier == Tier::Smoke { "all" } else { &id[..1] };
            *spent.entry(group.to_owned()).or_default() += experiment.description.cost.minutes;
        }
        let rows = catalog.index.output.iter();
        let listed = rows.filter_map(|row| Some((row.id.clone(), row.experiment.clone()?)));
        let listed = listed.collect();
        assert_eq!(made, listed, "paper/index.toml and OUTPUTS differ");
        for (group, spent) in spent {
            assert!(spent <= minutes(tier.word(), &group), "{group} at {tier}: {spent} minutes");
        }
    }
}

#[test]
fn every_experiment_has_a_reference_whose_claims_the_index_lists() {
    let catalog = Catalog::load(&super::root()).unwrap();
    let (mut claims, mut skipped) = (BTreeSet::new(), BTreeSet::new());
    for id in catalog.ids() {
        let reference = reference::read(&super::root(), Tier::Laptop, &id).unwrap();
        let reference = reference.unwrap_or_else(|| panic!("{id} has no reference at laptop"));
        claims.extend(reference.result.claims.into_iter().map(|claim| claim.id));
        skipped.extend(reference.result.skipped.into_iter().map(|skip| skip.id));
    }
    // Claims about a checkpoint that is not at hand are in no record.
    let rows = catalog.index.output.iter().filter(|row| !skipped.contains(&row.id));
    let listed: BTreeSet<_> = rows.flat_map(|row| row.claims.iter().cloned()).collect();
    assert_eq!(listed, claims, "paper/index.toml lists other claims than the records hold");
}

#[test]
fn the_page_of_verdicts_is_the_one_that_follows_from_the_reference() {
    let page = super::root().join("reference/laptop").join(reference::VERDICTS);
    let follows = reference::verdicts(&super::root(), Tier::Laptop).unwrap();
    assert!(read(&page) == follows, "{}: `just bless laptop` writes it anew", page.display());
}

#[test]
fn crates_and_modules_have_names_that_say_what_they_hold() {
    for path in files() {
        for part in path.strip_prefix(super::root()).unwrap().components() {
            let name = part.as_os_str().to_string_lossy();
            let stem = name.split('.').next().unwrap_or_default();
            let banned = ["utils", "util", "common", "core", "helpers", "helper", "misc"];
            assert!(!banned.contains(&stem), "{}: name it after what it holds", path.display());
        }
    }
}

#[test]
fn modules_begin_with_what_they_are_and_stay_readable() {
    for path in files() {
        let is_library = path.strip_prefix(super::root().join("crates")).is_ok();
        if path.extension().is_none_or(|suffix| suffix != "rs") {
            continue;
        }
        let source = read(&path);
        let program = source.split("#[cfg(test)]").next().unwrap_or_default().lines().count();
        let limit = if is_library { 460 } else { 540 };
        assert!(program <= limit, "{}: {program} lines before its tests", path.display());
        let unfinished = ["todo", "unimplemented"].map(|word| format!("{word}!("));
        let switched_off = format!("#[{}", "ignore");
        for banned in unfinished.iter().chain([&switched_off]) {
            assert!(!source.contains(banned), "{}: {banned}", path.display());
        }
    }
}

#[test]
fn no_two_experiments_are_copies_of_each_other() {
    let binaries = Workspace::load(&super::root(), []).unwrap().binaries();
    let lines = |source: &Path| -> BTreeSet<String> {
        let source = read(&super::root().join(source));
        let lines = source.lines().map(str::trim).filter(|line| line.len() > 20);
        lines
            .filter(|line| !line.starts_with("use ") && !line.starts_with("//"))
            .map(str::to_owned)
            .collect()
    };
    let all: Vec<_> = binaries.values().map(|binary| (&binary.id, lines(&binary.source))).collect();
    for (at, (one, its)) in all.iter().enumerate() {
        for (other, others) in &all[..at] {
            let shared = its.intersection(others).count();
            let share = shared as f64 / its.len().min(others.len()).max(1) as f64;
            assert!(share < 0.5, "{one} and {other} share {shared} lines: move them into a crate");
        }
    }
}

#[test]
fn the_readme_names_recipes_that_exist() {
    let recipes = read(&super::root().join("justfile"));
    let exists = |name: &str| {
        recipes.lines().any(|line| {
            let head = line.split(':').next().unwrap_or_default();
            head.split_whitespace().next() == Some(name) && line.contains(':')
        })
    };
    for document in ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"] {
        let document = read(&super::root().join(document));
        for part in document.split("just ").skip(1) {
            let preceding_is_code = part.chars().next().is_some_and(char::is_lowercase);
            let name: String =
                part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            let is_code = part[name.len()..].starts_with(['`', '\n', ' ']);
            let spoken = ["does", "is", "the", "a", "for", "in", "as", "under", "or"];
            if preceding_is_code && is_code && !spoken.contains(&name.as_str()) {
                assert!(exists(&name), "no recipe `{name}` in the justfile");
            }
        }
    }
}
