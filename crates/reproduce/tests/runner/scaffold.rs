use std::fs;

/// The recipe of CONTRIBUTING.md, followed in a workspace beside this one that shares its crates, its
/// lock file and its build outputs.
#[test]
fn a_new_experiment_builds_runs_and_is_judged() {
    let here = super::root();
    let beside = tempfile::tempdir().unwrap();
    let root = beside.path();
    fs::create_dir_all(root.join("experiments")).unwrap();
    fs::create_dir_all(root.join("paper")).unwrap();
    super::copy(&here.join("data-manifests"), &root.join("data-manifests"));
    fs::copy(here.join("paper/index.toml"), root.join("paper/index.toml")).unwrap();
    for file in ["Cargo.lock", "rustfmt.toml"] {
        fs::copy(here.join(file), root.join(file)).unwrap();
    }
    let manifest = fs::read_to_string(here.join("Cargo.toml")).unwrap();
    let crates = format!("path = \"{}/crates/", here.display());
    let manifest = manifest
        .replace("path = \"crates/", &crates)
        .replace("members = [\"crates/*\", \"experiments/*\"]", "members = [\"experiments/*\"]");
    fs::write(root.join("Cargo.toml"), manifest).unwrap();

    // A long name and a long title, which move the line breaks.
    let id = "b07_running_mean_of_uniform_numbers";
    let title = "A running mean of numbers drawn uniformly, with a bootstrap interval at its end";
    reproduce::scaffold::new_experiment(root, id, title).unwrap();
    let source = root.join("experiments/b-continual-learning/src/bin").join(format!("{id}.rs"));
    let mut rustfmt = std::process::Command::new("rustfmt");
    rustfmt.args(["--check", "--edition", "2024"]).arg(source);
    super::succeed(rustfmt);
    let again = reproduce::scaffold::new_experiment(root, id, "Again");
    assert!(again.is_err(), "an experiment was overwritten");
    for (id, title) in [("b07_other", "Same number"), ("b08_quoted", "A \"title\"")] {
        assert!(reproduce::scaffold::new_experiment(root, id, title).is_err(), "{id}");
    }

    let metadata =
        cargo_metadata::MetadataCommand::new().current_dir(&here).no_deps().exec().unwrap();
    let mut cargo = reproduce::catalog::cargo();
    cargo.args(["run", "--quiet", "--offline", "--locked", "--bin", id, "--"]);
    cargo.args(["--tier", "laptop"]).current_dir(root);
    cargo.env("CARGO_TARGET_DIR", &metadata.target_directory);
    super::succeed(cargo);
    let results = record::Results::new(&root.join("results"), record::Tier::Laptop, 0);
    let record = results.record(id).unwrap().unwrap();
    assert_eq!(record.result.figures.len(), 1);
    assert_eq!(record.result.claims[0].verdict, Some(record::Verdict::Reproduced));
}
