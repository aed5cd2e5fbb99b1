use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::number::finite;
use crate::{Artefact, Claim, Cost, Device, Error, Numbers, Tier, canonical};

/// Version of the record's form. It rises when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// The file `record.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What came out: canonical, hashed, compared with the reference.
    pub result: Outcome,
    /// How and where it was made: not compared.
    pub run: Run,
}

/// What an experiment was asked and what came out: a pure function of code, config and data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// [`SCHEMA_VERSION`] at the time of writing.
    pub schema_version: u32,
    /// The experiment's id.
    pub id: String,
    /// The tier.
    pub tier: Tier,
    /// One line.
    pub title: String,
    /// The resolved configuration.
    pub config: Value,
    /// SHA-256 of the canonical configuration.
    pub config_hash: String,
    /// Data that was read.
    pub inputs: Vec<InputHash>,
    /// SHA-256 over the sources of the binary and of the workspace crates it is built on.
    pub code_hash: String,
    /// Seeds, also part of the configuration.
    pub seeds: Vec<u64>,
    /// Named numbers.
    pub numbers: Numbers,
    /// Claims with their verdicts.
    pub claims: Vec<Claim>,
    /// Figures drawn.
    pub figures: Vec<Output>,
    /// Tables made.
    pub tables: Vec<Output>,
    /// Figures and tables that were not made, and why.
    pub skipped: Vec<Skipped>,
    /// Folders made for other experiments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artefacts: Vec<Artefact>,
}

/// A data file and the hash of what was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputHash {
    /// `<data set>/<path>`.
    pub name: String,
    /// SHA-256 of the content; none: the file was missing and the figures that need it were skipped.
    pub sha256: Option<String>,
}

/// A figure or table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Its id in paper/index.toml.
    pub id: String,
    /// One line.
    pub title: String,
    /// SHA-256 of its data as CSV.
    pub data_sha256: String,
}

/// A figure or table that was not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// Its id in paper/index.toml.
    pub id: String,
    /// The missing data file.
    pub missing: String,
}

/// How and where a result was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Git commit of the sources, with `+changes` if one of them differed from it; none outside a
    /// repository.
    pub commit: Option<String>,
    /// Where the tensors lived.
    pub device: Device,
    /// The processor's name.
    pub cpu: String,
    /// Architecture and instruction set: on one class, results are bit-identical.
    pub cpu_class: String,
    /// Threads used.
    pub threads: usize,
    /// Wall-clock seconds.
    pub runtime_s: f64,
    /// Peak resident memory in MB; none where the system does not tell.
    pub peak_rss_mb: Option<u64>,
    /// When the run began (UTC, RFC 3339).
    pub started: String,
    /// What it was expected to cost.
    pub cost: Cost,
}

impl Record {
    /// Refuses what no record may hold: a number that is not finite, an interval without its value, a
    /// claim without its verdict.
    ///
    /// # Errors
    /// [`Error::NotFinite`] or [`Error::Claim`].
    pub fn check(&self) -> Result<(), Error> {
        for (name, number) in &self.result.numbers {
            number.check(name)?;
        }
        for (at, claim) in self.result.claims.iter().enumerate() {
            if self.result.claims[..at].iter().any(|before| before.id == claim.id) {
                let complaint = "its id stands twice in one record".to_owned();
                return Err(Error::Claim { id: claim.id.clone(), complaint });
            }
            let judged = claim.clone().judge(self.result.tier)?;
            if judged.verdict != claim.verdict {
                let complaint = "its verdict does not follow from its value".to_owned();
                return Err(Error::Claim { id: claim.id.clone(), complaint });
            }
        }
        finite("runtime_s", [Some(self.run.runtime_s)])
    }

    /// The record as the bytes of `record.json`: keys sorted, indented for reading.
    ///
    /// # Errors
    /// As [`Record::check`], and [`Error::NotJson`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        let what = format!("the record of {}", self.result.id);
        let tree = canonical::tree(&what, self)?;
        crate::schema::validate(&what, &tree)?;
        let mut bytes =
            serde_json::to_vec_pretty(&tree).map_err(|source| Error::NotJson { what, source })?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// SHA-256 of the canonical `result`.
    ///
    /// # Errors
    /// [`Error::NotJson`].
    pub fn result_hash(&self) -> Result<String, Error> {
        canonical::hash(&format!("the result of {}", self.result.id), &self.result)
    }
}
