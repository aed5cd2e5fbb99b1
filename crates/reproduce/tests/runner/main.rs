//! The runner on the project itself: what goes stale, what a kill leaves, what threads change, whether
//! the documents and the tree say the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails by a panic")]

mod kill;
mod scaffold;
mod staleness;
mod threads;
mod tidy;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The root of this workspace.
fn root() -> PathBuf {
    record::Workspace::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A call of the runner on this workspace, with results in a folder of the test's own and without
/// any real data, so that the tests say the same with and without a mirror.
fn runner(results: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reproduce"));
    command.current_dir(root()).args(arguments).arg("--results").arg(results);
    command.env_remove("ENGRAM_DATA_MIRROR").env("ENGRAM_DATA_CACHE", results.join("no-data"));
    command
}

fn succeed(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Copies a folder, without build outputs and results.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_owned();
        if path.is_dir() {
            if name != "target" && name != "results" && name != ".git" {
                copy(&path, &to.join(name));
            }
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[test]
fn an_unknown_id_offers_the_nearest_ones() {
    let results = tempfile::tempdir().unwrap();
    let output = runner(results.path(), &["run", "A-x30"]).output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("nearest: A-x03"), "{}", text(&output.stderr));
}

#[test]
fn a_second_run_does_nothing_and_a_lost_file_is_made_again() {
    let results = tempfile::tempdir().unwrap();
    succeed(runner(results.path(), &["run", "a01", "smoke"]));
    let place = results.path().join("smoke/a01_circle_intersection");
    let made =
        |name: &str| fs::metadata(place.join(name)).and_then(|file| file.modified()).unwrap();
    let first = made("record.json");
    succeed(runner(results.path(), &["run", "A-x01", "smoke"]));
    assert_eq!(made("record.json"), first, "an up-to-date result was made again");
    fs::remove_file(place.join("A-x01.svg")).unwrap();
    succeed(runner(results.path(), &["run", "A-x01", "smoke"]));
    assert!(place.join("A-x01.svg").is_file());
}

#[test]
fn figures_without_their_data_are_skipped_with_the_command_that_gets_it() {
    let results = tempfile::tempdir().unwrap();
    // Who asks for the experiment gets its other figures; who asks for this one does not get it.
    let experiment = succeed(runner(results.path(), &["run", "a02", "smoke"]));
    let figure = runner(results.path(), &["run", "A-x03", "smoke"]).output().unwrap();
    assert!(!figure.status.success());
    let before = text(&experiment.stderr);
    assert!(before.contains("data missing: 1 figure or table will be skipped"), "{before}");
    for told in [text(&experiment.stdout), text(&figure.stdout)] {
        assert!(
            told.contains("A-x03: skipped: data") && told.contains("just data attention-sdm"),
            "{told}"
        );
    }
    assert!(results.path().join("smoke/a02_beta_fits/A-x16.svg").is_file());
    let caption = fs::read_to_string(results.path().join("smoke/a02_beta_fits/A-x16.md")).unwrap();
    assert!(caption.contains("A-x16: β, radius and sparsity"), "{caption}");
    assert!(!results.path().join("smoke/a02_beta_fits/A-x03.svg").exists());
}

#[test]
fn a_dry_run_tells_the_config_and_makes_nothing() {
    let results = tempfile::tempdir().unwrap();
    let output = succeed(runner(results.path(), &["plan", "A-x03", "smoke"]));
    let told = text(&output.stdout);
    for expected in [
        "a02_beta_fits",
        "no whole result",
        "\"n_patterns\": 1024",
        "MB of memory",
        "skips A-x03: attention-sdm",
    ] {
        assert!(told.contains(expected), "{expected} is not in\n{told}");
    }
    assert!(!results.path().join("smoke").exists());
}

#[test]
fn a_figure_that_waits_is_listed_with_what_it_waits_for_and_cannot_be_run() {
    let results = tempfile::tempdir().unwrap();
    let listed = text(&succeed(runner(results.path(), &["list", "smoke"])).stdout);
    let row = listed.lines().find(|line| line.contains("B-x29")).unwrap();
    assert!(listed.contains("not run"), "{listed}");
    let of_paper = text(&succeed(runner(results.path(), &["list", "b", "smoke"])).stdout);
    assert!(of_paper.contains("B-x29") && of_paper.contains("b03_methods"), "{of_paper}");
    assert!(!of_paper.contains("a01_"), "{of_paper}");
    assert!(row.contains("waiting for a description of either method"), "{row}");
    let place = text(&succeed(runner(results.path(), &["where", "B-x29", "smoke"])).stdout);
    assert!(place.contains("waits for a description of either method"), "{place}");
    let output = runner(results.path(), &["run", "B-x29", "smoke"]).output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("B-x29 waits for"), "{}", text(&output.stderr));
}

#[test]
fn a_reader_who_leaves_ends_the_listing_quietly() {
    let results = tempfile::tempdir().unwrap();
    let mut listing = runner(results.path(), &["list", "smoke"]);
    let mut listing = listing.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(listing.stdout.take());
    let output = listing.wait_with_output().unwrap();
    // Cargo may tell there what it builds.
    let told = text(&output.stderr);
    assert!(output.status.success() && !told.contains("panicked"), "{told}");
}

#[test]
fn a_mirror_that_is_no_folder_is_named() {
    let results = tempfile::tempdir().unwrap();
    let mut command = runner(results.path(), &["list", "smoke"]);
    let output = command.env("ENGRAM_DATA_MIRROR", "no/such/folder").output().unwrap();
    let told = text(&output.stderr);
    assert!(!output.status.success() && told.contains("no/such/folder"), "{told}");
}

#[test]
fn a_reference_cut_in_half_is_an_error_with_its_remedy() {
    let root = tempfile::tempdir().unwrap();
    let read = || reproduce::reference::read(root.path(), record::Tier::Laptop, "a01_x");
    assert!(read().unwrap().is_none());
    fs::create_dir_all(root.path().join("reference/laptop")).unwrap();
    fs::write(root.path().join("reference/laptop/a01_x.json"), "{\"result\":").unwrap();
    let error = format!("{:#}", read().unwrap_err());
    for part in ["a01_x.json", "just bless laptop a01_x", "EOF"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_shifted_seed_has_a_folder_of_its_own() {
    let results = tempfile::tempdir().unwrap();
    succeed(runner(results.path(), &["run", "a02", "smoke", "--seed", "7"]));
    let record = record::Results::new(results.path(), record::Tier::Smoke, 7);
    let record = record.record("a02_beta_fits").unwrap().unwrap();
    assert_eq!(record.result.seeds, [7]);
    assert!(!results.path().join("smoke").exists());
}
