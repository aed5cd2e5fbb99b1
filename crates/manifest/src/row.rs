//! The manifest as it stands in the file, and the checks that make it a [`Manifest`].

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::Error;
use crate::decode::cifar;
use crate::manifest::{
    FileRow, Kind, Manifest, Origin, Packing, Paper, Program, Recipe, Redistribution, Size,
};

/// The largest file a row may promise: 1 TiB.
const MAX_BYTES: u64 = 1 << 40;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawManifest {
    name: String,
    title: String,
    serves: Vec<Paper>,
    kind: Kind,
    license: String,
    redistribution: Redistribution,
    credit: String,
    origin: String,
    commit: Option<String>,
    note: Option<String>,
    file: Vec<RawFile>,
    recipe: Option<RawRecipe>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    path: String,
    kind: Option<Kind>,
    #[serde(default)]
    packing: Packing,
    bytes: Option<u64>,
    max_bytes: Option<u64>,
    sha256: Option<String>,
    sha256_unknown: Option<String>,
    url: Option<String>,
    url_unknown: Option<String>,
    how: Option<String>,
    made_differs: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecipe {
    text: String,
    cifar10_subset: Option<RawCifar10Subset>,
    embedding: Option<RawEmbedding>,
    llama2c: Option<RawLlama2c>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCifar10Subset {
    archive: RawFile,
    train: String,
    test: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEmbedding {
    archive: RawFile,
    images: cifar::Set,
    weights: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLlama2c {
    model: String,
    tokenizer: String,
}

/// Names the manifest and the field for every complaint.
struct Check<'a> {
    file: &'a str,
    row: String,
}

impl Check<'_> {
    fn fail(&self, field: &str, expected: &'static str, got: impl Into<String>) -> Error {
        Error::Invalid {
            file: self.file.to_owned(),
            field: format!("{}{field}", self.row),
            expected,
            got: got.into(),
        }
    }

    fn text(&self, field: &str, text: &str) -> Result<(), Error> {
        if text.trim().is_empty() {
            return Err(self.fail(field, "some text", "nothing"));
        }
        Ok(())
    }

    fn hex(&self, field: &str, text: &str, digits: usize) -> Result<(), Error> {
        let valid =
            text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if valid {
            return Ok(());
        }
        let expected = if digits == 64 {
            "64 lower-case hexadecimal digits"
        } else {
            "40 lower-case hexadecimal digits"
        };
        Err(self.fail(field, expected, text))
    }

    fn path(&self, path: &str) -> Result<(), Error> {
        const EXPECTED: &str =
            "a relative path of plain names with `/` between them, at most 200 bytes";
        let component = |name: &str| {
            !name.is_empty()
                && name != "."
                && name != ".."
                && !name.ends_with(['.', ' '])
                && !name.contains(|c: char| c.is_control() || "\\:*?\"<>|".contains(c))
        };
        if path.len() > 200 || !path.split('/').all(component) {
            return Err(self.fail("path", EXPECTED, path));
        }
        if path.to_lowercase().ends_with(".part") {
            return Err(self.fail("path", "no `.part` at the end: downloads use it", path));
        }
        Ok(())
    }

    /// The name of a file of a data set.
    fn full_name(&self, field: &str, name: &str) -> Result<(), Error> {
        if name.split_once('/').is_none_or(|(set, _)| set.is_empty()) {
            return Err(self.fail(field, "`data-set/path`", name));
        }
        Ok(())
    }

    fn url(&self, url: &str) -> Result<(), Error> {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let valid = rest.is_some_and(|rest| {
            let host = rest.split('/').next().unwrap_or_default();
            !host.is_empty() && !host.contains('@')
        });
        if valid && url.len() <= 2000 && url.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(());
        }
        Err(self.fail("url", "an http or https URL without user name or blanks", url))
    }
}

impl RawManifest {
    pub(crate) fn validate(self, file: &str) -> Result<Manifest, Error> {
        let check = Check { file, row: String::new() };
        if self.name.is_empty()
            || !self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        {
            return Err(check.fail("name", "letters, digits and hyphens", self.name));
        }
        for (field, text) in [
            ("title", &self.title),
            ("license", &self.license),
            ("credit", &self.credit),
            ("origin", &self.origin),
        ] {
            check.text(field, text)?;
        }
        if self.serves.is_empty() {
            return Err(check.fail("serves", "at least one paper", "none"));
        }
        if let Some(commit) = &self.commit {
            check.hex("commit", commit, 40)?;
        }
        if self.file.is_empty() {
            return Err(check.fail("file", "at least one file", "none"));
        }
        let recipe = self.recipe.map(|recipe| recipe.validate(file)).transpose()?;
        let files = self
            .file
            .into_iter()
            .map(|row| row.validate(file, self.kind, recipe.is_some()))
            .collect::<Result<Vec<_>, _>>()?;
        distinct(&check, &files)?;
        Ok(Manifest {
            name: self.name,
            title: self.title,
            serves: self.serves,
            license: self.license,
            redistribution: self.redistribution,
            credit: self.credit,
            origin: self.origin,
            commit: self.commit,
            note: self.note,
            files,
            recipe,
        })
    }
}

/// No two rows share a path, also not on a file system that ignores case, and no file's path is
/// another file's folder.
fn distinct(check: &Check<'_>, files: &[FileRow]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for row in files {
        if !seen.insert(row.path.to_lowercase()) {
            return Err(check.fail("file.path", "one row per path", row.path.as_str()));
        }
    }
    for row in files {
        let lower = row.path.to_lowercase();
        for (end, _) in lower.match_indices('/') {
            if seen.contains(&lower[..end]) {
                return Err(check.fail("file.path", "no file inside a file", row.path.as_str()));
            }
        }
    }
    Ok(())
}

impl RawFile {
    fn validate(self, file: &str, default_kind: Kind, recipe: bool) -> Result<FileRow, Error> {
        let check = Check { file, row: format!("file {:?}: ", self.path) };
        check.path(&self.path)?;
        let size = match (self.bytes, self.max_bytes) {
            (Some(bytes), None) => Size::Exact(bytes),
            (None, Some(bytes)) => Size::AtMost(bytes),
            _ => return Err(check.fail("bytes", "either `bytes` or `max_bytes`", "both or none")),
        };
        if size.limit() > MAX_BYTES {
            return Err(check.fail("bytes", "at most 2^40", size.limit().to_string()));
        }
        match (&self.sha256, &self.sha256_unknown) {
            (Some(hash), None) => check.hex("sha256", hash, 64)?,
            (None, Some(reason)) => check.text("sha256_unknown", reason)?,
            _ => {
                return Err(check.fail(
                    "sha256",
                    "either `sha256` or `sha256_unknown`",
                    "both or none",
                ));
            }
        }
        let kind = self.kind.unwrap_or(default_kind);
        let origin = match (kind, self.url, self.url_unknown, self.how) {
            (Kind::Official, Some(url), None, None) => {
                check.url(&url)?;
                Origin::Url(url)
            }
            (Kind::Official, None, Some(reason), None) => {
                check.text("url_unknown", &reason)?;
                Origin::NoUrl(reason)
            }
            (Kind::Official, ..) => {
                return Err(check.fail("url", "either `url` or `url_unknown`", "something else"));
            }
            (Kind::MirrorOnly, None, None, Some(how)) => {
                check.text("how", &how)?;
                Origin::NoUrl(how)
            }
            (Kind::MirrorOnly, ..) => {
                return Err(check.fail("how", "`how` it came about, and no URL", "something else"));
            }
            (Kind::Derived, None, None, None) if recipe && self.sha256.is_some() => Origin::Recipe,
            (Kind::Derived, ..) => {
                return Err(check.fail(
                    "kind",
                    "for `derived`: a recipe, the output's hash and no URL",
                    "something else",
                ));
            }
        };
        if let Some(reason) = &self.made_differs {
            check.text("made_differs", reason)?;
            if origin != Origin::Recipe {
                return Err(check.fail("made_differs", "a file that a recipe makes", "another"));
            }
        }
        Ok(FileRow {
            path: self.path,
            kind,
            packing: self.packing,
            size,
            sha256: self.sha256,
            origin,
            made_differs: self.made_differs,
        })
    }
}

impl RawRecipe {
    fn validate(self, file: &str) -> Result<Recipe, Error> {
        let check = Check { file, row: "recipe: ".to_owned() };
        check.text("text", &self.text)?;
        let program = match (self.cifar10_subset, self.embedding, self.llama2c) {
            (Some(subset), None, None) => Program::Cifar10Subset {
                archive: subset.archive.validate(file, Kind::Official, false)?,
                train: indices(&check, "train", &subset.train, 50_000)?,
                test: indices(&check, "test", &subset.test, 10_000)?,
            },
            (None, Some(embedding), None) => {
                check.full_name("weights", &embedding.weights)?;
                Program::Embedding {
                    archive: embedding.archive.validate(file, Kind::Official, false)?,
                    images: embedding.images,
                    weights: embedding.weights,
                }
            }
            (None, None, Some(RawLlama2c { model, tokenizer })) => {
                check.full_name("model", &model)?;
                check.full_name("tokenizer", &tokenizer)?;
                Program::HuggingFace { model, tokenizer }
            }
            _ => return Err(check.fail("program", "one program", "several or none")),
        };
        Ok(Recipe { text: self.text, program })
    }
}

/// Reads `0-4,7,9-12` as ascending indices below `end`.
fn indices(check: &Check<'_>, field: &str, text: &str, end: u32) -> Result<Vec<u32>, Error> {
    const EXPECTED: &str = "ascending indices and ranges such as `0-4,7`, inside the official set";
    let number = |text: &str| -> Result<u32, Error> {
        text.trim().parse().map_err(|_| check.fail(field, EXPECTED, text))
    };
    let mut list: Vec<u32> = Vec::new();
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        let ascending = list.last().is_none_or(|&before| before < first);
        if !ascending || first > last || last >= end {
            return Err(check.fail(field, EXPECTED, part.trim()));
        }
        list.extend(first..=last);
    }
    Ok(list)
}
