//! paper/index.toml: every figure and table, what it shows, which experiment makes it, which claims it
//! carries.

use std::path::Path;

use anyhow::{Context as _, bail};
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
    /// The experiment that makes it.
    pub experiment: String,
    /// Ids of the claims that it carries.
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

impl Index {
    /// Reads paper/index.toml.
    ///
    /// # Errors
    /// An unreadable file, an unknown field, or an id that stands twice.
    pub fn load(root: &Path) -> anyhow::Result<Self> {
        let path = root.join("paper/index.toml");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let index: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        for (at, row) in index.output.iter().enumerate() {
            if index.output[..at].iter().any(|before| before.id == row.id) {
                bail!("{}: {} stands twice", path.display(), row.id);
            }
        }
        Ok(index)
    }
}
