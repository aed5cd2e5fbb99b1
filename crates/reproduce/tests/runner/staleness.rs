use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use record::{Cost, Description, Device, Key, Tier, Workspace};

/// The keys of every experiment of a tree, by id.
fn keys(root: &Path) -> BTreeMap<String, Key> {
    let workspace = Workspace::load(root, []).unwrap();
    let key = |id: String| {
        let description = Description {
            id: id.clone(),
            title: String::new(),
            needs: Vec::new(),
            inputs: Vec::new(),
            config: serde_json::json!({"n": 64}),
            seeds: vec![0],
            outputs: Vec::new(),
            cost: Cost { minutes: 0.0, memory_mb: 0, disk_mb: 0 },
        };
        let key =
            workspace.key(&description, Tier::Smoke, Vec::new(), BTreeMap::new(), Device::Cpu);
        (id, key.unwrap())
    };
    workspace.binaries().into_keys().map(key).collect()
}

/// What goes stale when a comment is added to a file: (experiment, what the key says changed).
fn stale_after(root: &Path, file: &str) -> Vec<(String, Vec<String>)> {
    let before = keys(root);
    let path = root.join(file);
    let source = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{source}\n// A comment.\n")).unwrap();
    let after = keys(root);
    fs::write(&path, source).unwrap();
    let changes = after.into_iter().map(|(id, key)| {
        let changes = key.changes_since(&before[&id]);
        assert_eq!(changes.is_empty(), key.hash().unwrap() == before[&id].hash().unwrap());
        (id, changes)
    });
    changes.filter(|(_, changes)| !changes.is_empty()).collect()
}

#[test]
fn editing_a_crate_makes_exactly_the_experiments_built_on_it_stale() {
    let copy = tempfile::tempdir().unwrap();
    let (root, here) = (copy.path(), super::root());
    for part in ["crates", "experiments"] {
        super::copy(&here.join(part), &root.join(part));
    }
    fs::create_dir_all(root.join("paper")).unwrap();
    for file in ["Cargo.toml", "Cargo.lock", "paper/index.toml"] {
        fs::copy(here.join(file), root.join(file)).unwrap();
    }
    // A second package, built on `stats` and not on `geometry`.
    let other = root.join("experiments/z-other");
    fs::create_dir_all(other.join("src/bin")).unwrap();
    fs::write(other.join("src/bin/z01_other.rs"), "fn main() {}\n").unwrap();
    fs::write(
        other.join("Cargo.toml"),
        "[package]\nname = \"z-other\"\nversion.workspace = true\nedition.workspace = true\n\
         [dependencies]\nstats.workspace = true\n",
    )
    .unwrap();
    let mut lock = Command::new("cargo");
    lock.args(["metadata", "--offline", "--format-version", "1"]).current_dir(root);
    super::succeed(lock);

    let one = |id: &str, what: &str| (id.to_owned(), vec![format!("{what} changed")]);
    let all = Workspace::load(root, []).unwrap().binaries();
    let of = |packages: &[&str], what: &str| -> Vec<_> {
        let built = all.values().filter(|binary| packages.contains(&binary.package.as_str()));
        built.map(|binary| one(&binary.id, what)).collect()
    };
    let (a, b, z) = ("a-attention-sdm", "b-continual-learning", "z-other");
    let (l, s, c) = ("a-language-models", "s-substrate", "c-monosemanticity");
    for (crate_name, file, packages) in [
        ("crates/geometry", "src/space.rs", [a, b, c].as_slice()),
        ("crates/manifest", "src/lib.rs", &[a, b, c, l, s]),
        ("crates/continual", "src/lib.rs", &[b]),
        ("crates/world", "src/lib.rs", &[c, l, s]),
        ("crates/stats", "src/lib.rs", &[a, b, c, l, s, z]),
    ] {
        let expected = of(packages, crate_name);
        assert!(!expected.is_empty());
        assert_eq!(stale_after(root, &format!("{crate_name}/{file}")), expected);
    }
    assert_eq!(stale_after(root, "crates/reproduce/src/run.rs"), []);
    let own = "experiments/a-attention-sdm/src/bin/a01_circle_intersection.rs";
    assert_eq!(stale_after(root, own), [one("a01_circle_intersection", own)]);
}
