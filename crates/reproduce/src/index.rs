//! paper/index.toml: every figure and table, what it shows, which experiment makes it, which claims it
//! carries; or what it waits for.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// The whole index.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// One row for each figure or table, in the order of the file.
    #[serde(default)]
    pub output: Vec<Row>,
}

/// A figure or table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// For instance `A-x03`.
    pub id: String,
    /// Figure or table.
    pub kind: Kind,
    /// What it shows, in one sentence.
    pub shows: String,
    /// Whether it can be made yet.
    #[serde(default)]
    pub status: Status,
    /// The experiment that makes it; none for one that waits.
    pub experiment: Option<String>,
    /// What one that waits is waiting for.
    pub waits_for: Option<String>,
    /// Ids of the claims that it carries.
    #[serde(default)]
    pub claims: Vec<String>,
    /// The file that the authors' code saves, where there is one.
    pub authors_file: Option<String>,
}

/// Figure or table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Drawn as SVG and PNG.
    Figure,
    /// Written as Markdown.
    Table,
}

/// Whether a figure or table can be made yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// An experiment makes it.
    #[default]
    Made,
    /// It waits for a part of the project that is not there yet.
    Waiting,
}

impl Row {
    /// Refuses a row that is neither made by an experiment nor waiting for something.
    fn check(&self) -> anyhow::Result<()> {
        let is_whole = match self.status {
            Status::Made => self.experiment.is_some() && self.waits_for.is_none(),
            Status::Waiting => {
                self.experiment.is_none() && self.waits_for.is_some() && self.claims.is_empty()
            }
        };
        ensure!(
            is_whole,
            "{} needs an `experiment`, or `status = \"waiting\"` with `waits_for` and without claims",
            self.id
        );
        Ok(())
    }
}

impl Index {
    /// Reads paper/index.toml.
    ///
    /// # Errors
    /// An unreadable file, an unknown field, or an id that stands twice.
    pub fn load(root: &Path) -> anyhow::Result<Self> {
        let path = root.join("paper/index.toml");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let index: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        index.check().with_context(|| path.display().to_string())?;
        Ok(index)
    }

    fn check(&self) -> anyhow::Result<()> {
        for (at, row) in self.output.iter().enumerate() {
            let stands_before = self.output[..at].iter().any(|before| before.id == row.id);
            ensure!(!stands_before, "{} stands twice", row.id);
            row.check()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_its_experiment_or_what_it_waits_for() {
        let check = |rest: &str| {
            let row =
                format!("[[output]]\nid = \"A-x01\"\nkind = \"figure\"\nshows = \"it\"\n{rest}");
            toml::from_str::<Index>(&row).unwrap().check()
        };
        check("experiment = \"a01_x\"\nclaims = [\"a01.y\"]").unwrap();
        check("status = \"waiting\"\nwaits_for = \"the crate\"").unwrap();
        for wrong in [
            "",
            "status = \"waiting\"",
            "waits_for = \"the crate\"",
            "experiment = \"a01_x\"\nwaits_for = \"the crate\"",
            "status = \"waiting\"\nwaits_for = \"the crate\"\nexperiment = \"a01_x\"",
            "status = \"waiting\"\nwaits_for = \"the crate\"\nclaims = [\"a01.y\"]",
        ] {
            assert!(check(wrong).unwrap_err().to_string().contains("A-x01"), "{wrong}");
        }
    }
}
