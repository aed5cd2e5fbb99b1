//! The machine and the moment of a run.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime};

use crate::{Cost, Key, Run};

/// Measures a run from its beginning: the only clock whose reading reaches a file.
#[derive(Debug)]
pub struct Stopwatch {
    started: SystemTime,
    clock: Instant,
}

impl Stopwatch {
    /// Starts now.
    #[allow(clippy::disallowed_methods, reason = "the one clock whose reading reaches a file")]
    pub fn start() -> Self {
        Self { started: SystemTime::now(), clock: Instant::now() }
    }

    /// The record of how and where the run was made, until now.
    pub fn finish(&self, workspace: &Path, key: &Key, threads: usize, cost: Cost) -> Run {
        Run {
            commit: commit(workspace, key),
            device: key.device,
            cpu: cpu(),
            cpu_class: cpu_class(),
            threads,
            runtime_s: self.clock.elapsed().as_secs_f64(),
            peak_rss_mb: peak_rss_mb(),
            started: humantime::format_rfc3339_seconds(self.started).to_string(),
            cost,
        }
    }
}

/// The Git commit that the sources behind a key stand in, with `+changes` if one of them differs from
/// it; none outside a repository.
pub fn commit(workspace: &Path, key: &Key) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(workspace).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let head = git(&["rev-parse", "HEAD"])?;
    let mut status = vec!["status", "--porcelain", "--", "Cargo.toml", "Cargo.lock"];
    status.extend(["experiments/*/Cargo.toml", ".cargo/config.toml"]);
    status.extend(key.code.keys().map(String::as_str));
    let clean = git(&status)?.is_empty();
    Some(if clean { head } else { format!("{head}+changes") })
}

fn cpu() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| format!("unnamed {}", std::env::consts::ARCH))
}

/// Operating system, architecture and the widest vector instructions that run-time dispatch would
/// pick, for instance `linux-x86_64-avx512`.
pub fn cpu_class() -> String {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("{os}-{arch}-{}", vectors())
}

#[cfg(target_arch = "x86_64")]
fn vectors() -> &'static str {
    if is_x86_feature_detected!("avx512f") {
        "avx512"
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        "avx2"
    } else {
        "baseline"
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn vectors() -> &'static str {
    "baseline"
}

fn peak_rss_mb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kib * 1024).div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_of_sources_mark_the_commit() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.arg("-C").arg(root.path()).args(["-c", "user.name=x", "-c", "user.email=x"]);
            assert!(command.args(arguments).output().unwrap().status.success(), "{arguments:?}");
        };
        let key = crate::results::tests::key("a01_x"); // built on crates/geometry
        write("crates/geometry/src/lib.rs", "");
        write("README.md", "");
        assert_eq!(commit(root.path(), &key), None);
        git(&["init", "--quiet"]);
        git(&["add", "."]);
        git(&["commit", "--quiet", "--message", "first"]);
        let head = commit(root.path(), &key).unwrap();
        write("README.md", "changed");
        assert_eq!(commit(root.path(), &key).unwrap(), head);
        write("crates/geometry/src/new.rs", "");
        assert_eq!(commit(root.path(), &key).unwrap(), format!("{head}+changes"));
    }
}
