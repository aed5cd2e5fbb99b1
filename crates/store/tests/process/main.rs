//! Stores and processes: writers that are killed, a disk that is full, memory that is limited.
//!
//! A program of its own, since it starts itself as the process that writes or reads. Called without
//! arguments it runs all tests; a word runs those that have it in their names.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
#![allow(clippy::cast_possible_truncation, reason = "numbers of tests are small")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is a program that tells what it does"
)]

mod role;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use role::{N_ROWS, ROW_BYTES, Role};
use seed::Seed;
use store::{ActivationReader, Error};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(role) = Role::parse(&arguments) {
        role.play();
        return;
    }
    let tests: [(&str, fn()); 5] = [
        ("a_capture_that_is_killed_ends_with_the_same_bytes", || killed(Role::capture)),
        ("a_corpus_that_is_killed_ends_with_the_same_bytes", || killed(Role::corpus)),
        ("a_full_disk_is_told_and_destroys_nothing", full_disk),
        ("a_store_larger_than_the_memory_is_written_and_shuffled", limited_memory),
        ("damaged_files_take_no_more_memory_than_whole_ones", damaged_in_limited_memory),
    ];
    let word = arguments.iter().find(|argument| !argument.starts_with('-'));
    for (name, test) in tests {
        if word.is_none_or(|word| name.contains(word.as_str())) {
            if name.contains("memory") && !cfg!(target_os = "linux") {
                println!("test {name} ... only on Linux, whose shell limits memory");
                continue;
            }
            test();
            println!("test {name} ... ok");
        }
    }
}

/// This program in a role, under limits that the shell sets first.
fn child(limits: &str, role: &Role) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limits} exec \"$0\" \"$@\"")]);
    command.arg(std::env::current_exe().unwrap()).args(role.arguments());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn succeed(limits: &str, role: &Role) {
    let output = child(limits, role).output().unwrap();
    assert!(output.status.success(), "{role:?}: {}", told(&output));
}

/// The names and bytes of the files of a store.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut all: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    all.sort();
    all
}

/// Kills a writer at random moments, resumes it until it is through, and compares.
fn killed(role: impl Fn(&Path) -> Role) {
    let whole = tempfile::tempdir().unwrap();
    succeed("", &role(whole.path()));
    let mut moments = Seed::new(3).stream("store", "moments of kills");
    let mut n_killed = 0;
    for _ in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let mut longest_ms = 5;
        loop {
            let mut writer = child("", &role(folder.path())).spawn().unwrap();
            sleep(Duration::from_millis(moments.below(longest_ms) as u64));
            writer.kill().unwrap();
            let output = writer.wait_with_output().unwrap();
            if output.status.success() {
                break;
            }
            // One that ends by itself with an error would be started for ever.
            assert_eq!(output.status.code(), None, "the writer failed: {}", told(&output));
            n_killed += 1;
            // Longer each time, so that it is killed early, late, and at last not at all.
            longest_ms += longest_ms / 2;
        }
        let (found, expected) = (files(folder.path()), files(whole.path()));
        let names = |files: &[(String, Vec<u8>)]| files.iter().map(|file| file.0.clone()).collect();
        let (found_names, expected_names): (Vec<_>, Vec<_>) = (names(&found), names(&expected));
        assert_eq!(found_names, expected_names);
        assert!(found == expected, "the bytes of a file differ");
    }
    assert!(n_killed > 0, "no writer was killed");
    // Called once more, as after a kill between its last rename and its end: all is there.
    succeed("", &role(whole.path()));
}

/// A limit on the size of files stands in for the end of the disk: writing past it fails.
fn full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let whole = tempfile::tempdir().unwrap();
    let role = Role::capture(folder.path());
    succeed("", &Role::capture(whole.path()));
    // Less than a shard: the first one fails. The shell's unit is 512 or 1024 bytes.
    let output = child("trap '' XFSZ; ulimit -f 64;", &role).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("shard-000000.h5.partial"), "{}", told(&output));
    let capture = role::capture();
    let unread = ActivationReader::open(folder.path(), &capture).err().unwrap();
    assert!(matches!(unread, Error::Unfinished { n_shards: 0, .. }), "{unread}");
    // With room again, the same command goes on.
    succeed("", &role);
    assert!(files(folder.path()) == files(whole.path()));
}

/// Writes and shuffles a store of twice the memory that the process may have.
fn limited_memory() {
    let folder = tempfile::tempdir().unwrap();
    let store_kb = N_ROWS * ROW_BYTES as u64 / 1024;
    let limit_kb = store_kb / 2;
    let limits = format!("ulimit -v {limit_kb};");
    succeed(&limits, &Role::Large(folder.path().to_owned()));
    let on_disk: u64 = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(on_disk / 1024 > 2 * limit_kb, "{on_disk} bytes on disk, {limit_kb} KB of memory");
    succeed(&limits, &Role::Shuffle(folder.path().to_owned()));
    // The limit is one: a process that asks for the whole store does not get it.
    let output = child(&limits, &Role::Everything(folder.path().to_owned())).output().unwrap();
    assert!(!output.status.success());
}

/// Opens and reads damaged files under a limit that a wrong length would break.
fn damaged_in_limited_memory() {
    let folder = tempfile::tempdir().unwrap();
    succeed("", &Role::capture(folder.path()));
    succeed("ulimit -v 400000;", &Role::Damage(folder.path().to_owned()));
}
