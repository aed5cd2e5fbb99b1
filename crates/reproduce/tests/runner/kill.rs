#![cfg(unix)]

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use record::{Results, Tier, canonical};

/// Two experiments, one after the other.
const RUN: [&str; 4] = ["all", "smoke", "--only", "a01,a02"];

/// Waits until no experiment is running: those whose runner was killed still hold their locks.
fn wait_for_orphans(results: &Path) {
    let Ok(locks) = fs::read_dir(results.join("smoke/.locks")) else { return };
    for lock in locks {
        fs::File::open(lock.unwrap().path()).unwrap().lock().unwrap();
    }
}

/// Whatever counts as a result must be whole: a valid record, and every file that the key lists.
fn check_whole(results: &Path) {
    let tier = results.join("smoke");
    let Ok(entries) = fs::read_dir(&tier) else { return };
    for entry in entries {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let stored = Results::new(results, Tier::Smoke, 0);
        assert!(stored.key(&name).is_ok(), "{name} lies in its place and is not whole");
        assert!(
            stored.record(&name).unwrap().is_some(),
            "{name} lies in its place without a record"
        );
    }
}

fn result_hashes(results: &Path) -> Vec<String> {
    let stored = Results::new(results, Tier::Smoke, 0);
    let ids = ["a01_circle_intersection", "a02_beta_fits"];
    let hash = |id| canonical::hash(id, &stored.record(id).unwrap().unwrap().result).unwrap();
    ids.map(hash).to_vec()
}

#[test]
fn thirty_kills_at_random_moments_leave_nothing_half_written_and_change_no_bit() {
    let undisturbed = tempfile::tempdir().unwrap();
    super::succeed(super::runner(undisturbed.path(), &RUN));
    // Timed once more, since the first call may have had something to build.
    fs::remove_dir_all(undisturbed.path()).unwrap();
    let began = Instant::now();
    super::succeed(super::runner(undisturbed.path(), &RUN));
    let mut span = began.elapsed();
    let mut alive = 0;

    let results = tempfile::tempdir().unwrap();
    let mut rng = seed::Seed::new(0).stream("runner", "moments of death");
    for kill in 0..30 {
        let mut runner = super::runner(results.path(), &RUN)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        std::thread::sleep(span.mul_f64(rng.uniform()));
        // Other work on the machine changes how long a run takes: follow it, so that most kills hit.
        let is_alive = runner.try_wait().unwrap().is_none();
        alive += usize::from(is_alive);
        span = span.mul_f64(if is_alive { 1.1 } else { 0.6 });
        if kill % 2 == 0 {
            // The runner alone: the experiment goes on as an orphan and still publishes a whole result.
            runner.kill().unwrap();
        } else {
            let group = format!("-{}", runner.id());
            Command::new("kill").args(["-9", "--", &group]).stderr(Stdio::null()).status().unwrap();
        }
        runner.wait().unwrap();
        wait_for_orphans(results.path());
        check_whole(results.path());
        if kill % 6 == 5 {
            // Begin again from nothing, so that every stage of a run is hit; here no orphan is left.
            fs::remove_dir_all(results.path().join("smoke")).ok();
        }
    }
    assert!(alive >= 8, "only {alive} of 30 runs were still alive when they were killed");
    super::succeed(super::runner(results.path(), &RUN));
    check_whole(results.path());
    assert_eq!(result_hashes(results.path()), result_hashes(undisturbed.path()));
}
