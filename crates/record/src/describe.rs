//! What an experiment binary says of itself with `--describe <tier>`: all that the runner knows of it.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How much an experiment does.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Tiny settings, to prove that the experiment runs; its claims are not judged.
    Smoke,
    /// The manuscript's figures at honest small scale, with seeds and intervals.
    Laptop,
    /// Published sizes.
    Paper,
}

impl Tier {
    /// Every tier, the cheapest first.
    pub const ALL: [Self; 3] = [Self::Smoke, Self::Laptop, Self::Paper];

    /// The word that names the tier on the command line and in paths.
    pub fn word(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Laptop => "laptop",
            Self::Paper => "paper",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Tier {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let tier = Self::ALL.into_iter().find(|tier| tier.word() == word);
        tier.ok_or_else(|| format!("no tier named {word}; expected smoke, laptop or paper"))
    }
}

/// Where tensors live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// The pure-Rust CPU path, the default, on which results are bit-identical.
    Cpu,
}

impl FromStr for Device {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        if word == "cpu" {
            Ok(Self::Cpu)
        } else {
            Err(format!("no device named {word}; expected cpu"))
        }
    }
}

/// What a run is expected to cost on two cores, from an empty cache.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Wall-clock minutes.
    pub minutes: f64,
    /// Peak resident memory, in MB.
    pub memory_mb: u64,
    /// Size of the results, in MB.
    pub disk_mb: u64,
}

/// A file of a data set that an experiment reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// `<data set>/<path>`, as in data-manifests/.
    pub name: String,
    /// The figures and tables that need it. If the file is missing these are skipped and the others
    /// are drawn; none listed: the whole experiment needs it.
    pub outputs: Vec<String>,
}

impl Input {
    /// Files that all of these figures and tables need.
    pub fn each(names: impl IntoIterator<Item = String>, outputs: &[&str]) -> Vec<Self> {
        let outputs: Vec<String> = outputs.iter().map(|id| (*id).to_owned()).collect();
        names.into_iter().map(|name| Self { name, outputs: outputs.clone() }).collect()
    }
}

/// What an experiment says of itself for one tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The id: binary, file and results folder.
    pub id: String,
    /// One line.
    pub title: String,
    /// Ids of experiments whose artefacts it reads.
    pub needs: Vec<String>,
    /// Data that it reads.
    pub inputs: Vec<Input>,
    /// The resolved configuration.
    pub config: Value,
    /// Seeds, also part of the configuration.
    pub seeds: Vec<u64>,
    /// Ids of the figures and tables that it makes.
    pub outputs: Vec<String>,
    /// What it costs.
    pub cost: Cost,
}
