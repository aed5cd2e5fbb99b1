//! The experiments of the workspace: names, binaries, descriptions.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use cargo_metadata::Message;
use record::key::Binary;
use record::{Description, Tier, Workspace};

use crate::index::{Index, Row};

/// The workspace with its index.
#[derive(Debug)]
pub struct Catalog {
    /// What cargo tells of the workspace.
    pub workspace: Workspace,
    /// paper/index.toml.
    pub index: Index,
    binaries: BTreeMap<String, Binary>,
}

/// An experiment that has been built and has described itself.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The executable.
    pub program: PathBuf,
    /// Its source file, relative to the root.
    pub source: PathBuf,
    /// What it says of itself.
    pub description: Description,
}

impl Catalog {
    /// Reads the workspace.
    ///
    /// # Errors
    /// A workspace that cargo cannot read, or a broken index.
    pub fn load(root: &Path) -> anyhow::Result<Self> {
        let workspace = Workspace::load(root, std::env::vars_os())?;
        let binaries = workspace.binaries();
        Ok(Self { index: Index::load(root)?, workspace, binaries })
    }

    /// Ids of all experiments.
    pub fn ids(&self) -> Vec<String> {
        self.binaries.keys().cloned().collect()
    }

    /// The experiment that a name means: an experiment's id, the part of it before the underscore
    /// (`a01`), or the id of a figure or table (`A-x03`), in any case.
    ///
    /// # Errors
    /// An unknown name; the error offers the nearest ones. A figure that waits for something.
    pub fn experiment_of(&self, name: &str) -> anyhow::Result<String> {
        let wanted = name.to_lowercase();
        let is_meant = |id: &&String| {
            let id = id.to_lowercase();
            id == wanted || id.split('_').next() == Some(&wanted)
        };
        match (self.binaries.keys().find(is_meant), self.row(name)) {
            (Some(id), _) => Ok(id.clone()),
            (None, Some(row)) => row.experiment.clone().with_context(|| {
                let awaited = row.waits_for.as_deref().unwrap_or_default();
                format!("{} waits for {awaited}; `just list` shows what can be made", row.id)
            }),
            (None, None) => {
                let names = self.binaries.keys().chain(self.index.output.iter().map(|row| &row.id));
                bail!("{}", unknown(name, names.map(String::as_str), LIST))
            }
        }
    }

    /// The row of the figure or table with this name, in any case.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.index.output.iter().find(|row| row.id.eq_ignore_ascii_case(name))
    }

    /// The experiments that several names mean; a single letter means all of that paper.
    ///
    /// # Errors
    /// As [`Catalog::experiment_of`].
    pub fn ids_of(&self, names: &[String]) -> anyhow::Result<Vec<String>> {
        let mut ids = Vec::new();
        for name in names {
            let of_paper =
                self.binaries.keys().filter(|id| name.len() == 1 && id.starts_with(name));
            let before = ids.len();
            ids.extend(of_paper.cloned());
            if ids.len() == before {
                ids.push(self.experiment_of(name)?);
            }
        }
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// Builds experiments with cargo and asks each what it needs at a tier; the needs are built too.
    ///
    /// # Errors
    /// A build that fails, or a binary that does not describe itself.
    pub fn describe(
        &self,
        ids: &[String],
        tier: Tier,
        seed: u64,
    ) -> anyhow::Result<BTreeMap<String, Experiment>> {
        let mut known = BTreeMap::new();
        let mut wanted: Vec<String> = ids.to_vec();
        while !wanted.is_empty() {
            let mut needs = Vec::new();
            for (id, program) in self.build(&wanted)? {
                let description = describe(&program, tier, seed)?;
                ensure!(description.id == id, "{id} calls itself {}", description.id);
                needs.extend(description.needs.iter().cloned());
                let source = self.binaries[&id].source.clone();
                known.insert(id, Experiment { program, source, description });
            }
            needs.retain(|id| !known.contains_key(id));
            needs.sort();
            needs.dedup();
            wanted = needs;
        }
        Ok(known)
    }

    fn build(&self, ids: &[String]) -> anyhow::Result<BTreeMap<String, PathBuf>> {
        let mut command = cargo();
        command.current_dir(self.workspace.root());
        // All packages are named, so that dependencies have the same features, and are built once, whatever is run.
        let kind =
            ["build", "--locked", "--workspace", "--message-format", "json-render-diagnostics"];
        command.args(kind);
        for id in ids {
            if !self.binaries.contains_key(id) {
                bail!("{}", unknown(id, self.binaries.keys().map(String::as_str), LIST));
            }
            command.args(["--bin", id]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
        let output = child.stdout.take().context("cargo has no output")?;
        let mut programs = BTreeMap::new();
        for message in Message::parse_stream(BufReader::new(output)) {
            if let Message::CompilerArtifact(artifact) = message?
                && let Some(program) = artifact.executable
                && ids.contains(&artifact.target.name)
            {
                programs.insert(artifact.target.name, program.into_std_path_buf());
            }
        }
        ensure!(child.wait()?.success(), "the experiments do not build; see the messages above");
        for id in ids {
            ensure!(programs.contains_key(id), "cargo built no program for {id}");
        }
        Ok(programs)
    }
}

/// A call of cargo from inside a program that cargo may have started. What `cargo run` tells its program
/// about the program's own package must not reach the inner call: build scripts would see it change,
/// and everything built on them would be built again each time.
pub fn cargo() -> Command {
    let mut command = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

fn describe(program: &Path, tier: Tier, seed: u64) -> anyhow::Result<Description> {
    let output = Command::new(program)
        .args(["--describe", tier.word(), "--seed", &seed.to_string()])
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    ensure!(
        output.status.success(),
        "{} --describe {tier} failed: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{} --describe {tier} printed no description", program.display()))
}

const LIST: &str = "`just list` shows all";

/// Says that a name is unknown, which names are near, and where all of them are to be seen. A name that
/// ends as the unknown one does is the nearest: `x03` means `A-x03`.
pub fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>, all: &str) -> String {
    let lower = name.to_lowercase();
    let likeness = |other: &str| {
        let other = other.to_lowercase();
        let ends = other.strip_suffix(&lower).is_some_and(|front| front.ends_with(['-', '_']));
        if ends { 2.0 } else { strsim::jaro_winkler(&lower, &other) }
    };
    let mut near: Vec<_> = known.map(|other| (likeness(other), other)).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let near: Vec<_> = near.into_iter().take(3).map(|(_, other)| other).collect();
    format!("nothing is named {name}; nearest: {}. {all}", near.join(", "))
}

/// The ids in an order in which each comes after all that it needs; equals in the order of their ids.
///
/// # Errors
/// A circle of needs.
pub fn ordered(experiments: &BTreeMap<String, Experiment>) -> anyhow::Result<Vec<String>> {
    let mut order: Vec<String> = Vec::new();
    while order.len() < experiments.len() {
        let ready = experiments.iter().find(|(id, experiment)| {
            !order.contains(id)
                && experiment.description.needs.iter().all(|need| order.contains(need))
        });
        let Some((id, _)) = ready else {
            let left: Vec<_> = experiments.keys().filter(|id| !order.contains(id)).collect();
            bail!("these experiments need each other in a circle: {left:?}");
        };
        order.push(id.clone());
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::Cost;

    fn experiment(id: &str, needs: &[&str]) -> (String, Experiment) {
        let description = Description {
            id: id.to_owned(),
            title: String::new(),
            needs: needs.iter().map(ToString::to_string).collect(),
            inputs: Vec::new(),
            config: serde_json::Value::Null,
            seeds: Vec::new(),
            outputs: Vec::new(),
            cost: Cost { minutes: 0.0, memory_mb: 0, disk_mb: 0 },
        };
        let path = PathBuf::new();
        (id.to_owned(), Experiment { program: path.clone(), source: path, description })
    }

    #[test]
    fn needs_come_first() {
        let graph = [experiment("a", &["c"]), experiment("b", &[]), experiment("c", &["b"])];
        assert_eq!(ordered(&BTreeMap::from(graph)).unwrap(), ["b", "c", "a"]);
    }

    #[test]
    fn a_circle_is_an_error() {
        let graph = [experiment("a", &["b"]), experiment("b", &["a"]), experiment("c", &[])];
        let error = ordered(&BTreeMap::from(graph)).unwrap_err().to_string();
        assert!(error.contains('a') && error.contains('b'), "{error}");
    }

    #[test]
    fn an_unknown_name_offers_the_nearest() {
        let known = || ["A-x10", "A-x03", "B-tab1", "a01_circle"].into_iter();
        for name in ["A-x3", "x03", "X03"] {
            let message = unknown(name, known(), LIST);
            assert!(message.contains("nearest: A-x03"), "{message}");
        }
    }
}
