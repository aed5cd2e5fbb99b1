//! The folder of a run: what was asked for, the dictionaries, and what they are worth on rows that were kept back.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use dictionaries::ScalingRule;
use interp::Fidelity;
use sae::files::{self, About, Format};
use sae::{Architecture, Dictionary, RunConfig, Scaling};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::Settings;
use super::input::{Facts, Input};
use crate::terminal::say;

const RECORD: &str = "run.json";
const DRAFT: &str = "run.json.draft";

/// The folder of a run.
pub(super) struct Folder<'a> {
    pub(super) path: &'a Path,
    settings: &'a Settings,
    facts: &'a Facts,
    /// None for a matrix.
    pool_rows: Option<usize>,
}

/// What is in the folder.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    Nothing,
    /// This run, which was killed.
    Begun,
    Finished(Results),
}

/// The file that says how dictionaries came about.
#[derive(Serialize)]
struct Record<'a> {
    engram_version: &'static str,
    activations: &'a Facts,
    settings: Resolved<'a>,
    results: Option<&'a Results>,
}

#[derive(Serialize)]
struct Resolved<'a> {
    run: &'a RunConfig,
    scaling: ScalingRule,
    sample_rows: usize,
    pool_rows: Option<usize>,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Results {
    /// How activations were scaled for the training. What is written takes them as they are.
    scaling: Scaling,
    dictionaries: Vec<Measured>,
    /// What the numbers are.
    formulas: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Measured {
    name: String,
    n_latents: usize,
    /// None where no row was kept back.
    held_out: Option<HeldOut>,
}

/// Of the dictionary as it was written, read again, on the rows that were kept back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct HeldOut {
    n_rows: u64,
    l0: f64,
    fvu: Option<f64>,
    nmse_of_variance: Option<f64>,
    cosine: Option<f64>,
    l2_ratio: Option<f64>,
    dead_share: f64,
}

const FORMULAS: [(&str, &str); 6] = [
    ("l0", "mean number of active latents of a row"),
    ("fvu", "sum over columns of Var(x - y) / sum over columns of Var(x), y the reconstruction"),
    ("nmse_of_variance", "mean of |x - y|^2 / sum over columns of Var(x)"),
    ("cosine", "mean of cos(x, y)"),
    ("l2_ratio", "mean of |y| / |x|"),
    ("dead_share", "share of latents that are active in none of these rows"),
];

impl<'a> Folder<'a> {
    pub(super) fn new(
        path: &'a Path,
        settings: &'a Settings,
        facts: &'a Facts,
        pool_rows: usize,
    ) -> Self {
        let pool_rows = facts.capture.as_ref().map(|_| pool_rows);
        Self { path, settings, facts, pool_rows }
    }

    /// What is there of this run.
    ///
    /// # Errors
    /// A folder of another run, or of something else.
    pub(super) fn look(&self) -> anyhow::Result<Found> {
        let path = self.path.join(RECORD);
        if !path.exists() {
            return self.look_for_others();
        }
        let damaged =
            || format!("{} is damaged: take another --out, or remove the folder", path.display());
        let text = fs::read_to_string(&path).with_context(damaged)?;
        let mut there: Value = serde_json::from_str(&text).with_context(damaged)?;
        let results = there.get_mut("results").map_or(Value::Null, Value::take);
        let wanted: Value = serde_json::from_str(&self.record(None)?)?;
        if let Some((place, [is, should])) = difference(&there, &wanted, "") {
            bail!(
                "{} is the folder of another run: {place} is {is} there, and {should} here; take another --out",
                self.path.display()
            );
        }
        if results.is_null() {
            return Ok(Found::Begun);
        }
        let results: Results = serde_json::from_value(results).with_context(damaged)?;
        for Measured { name, .. } in &results.dictionaries {
            if !self.path.join(name).is_dir() {
                bail!(
                    "{} says that {name} was trained, but its folder is gone: remove {RECORD} and what is left to train it again",
                    path.display()
                );
            }
        }
        // A kill may have come right before this.
        dictionaries::finish(self.path)?;
        Ok(Found::Finished(results))
    }

    fn look_for_others(&self) -> anyhow::Result<Found> {
        let Ok(entries) = fs::read_dir(self.path) else { return Ok(Found::Nothing) };
        for entry in entries {
            let name = entry?.file_name();
            if name != DRAFT {
                bail!(
                    "{} is not empty and no folder of a run: {} is there; take another --out",
                    self.path.display(),
                    name.display()
                );
            }
        }
        Ok(Found::Nothing)
    }

    /// Makes the folder this run's, and keeps other processes out of it while what comes back lives.
    ///
    /// # Errors
    /// A folder that cannot be made, or that another process is at work in.
    pub(super) fn begin(&self) -> anyhow::Result<File> {
        let at = || self.path.display().to_string();
        fs::create_dir_all(self.path).with_context(at)?;
        let lock = File::open(self.path).with_context(at)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another process trains in {}: wait for it, or take another --out", at())
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(at),
        }
        // Another process may have come first.
        if self.look()? == Found::Nothing {
            self.write_record(None)?;
        }
        Ok(lock)
    }

    fn record(&self, results: Option<&Results>) -> anyhow::Result<String> {
        let Settings { run, scaling, sample_rows, .. } = self.settings;
        let record = Record {
            engram_version: env!("CARGO_PKG_VERSION"),
            activations: self.facts,
            settings: Resolved {
                run,
                scaling: *scaling,
                sample_rows: *sample_rows,
                pool_rows: self.pool_rows,
            },
            results,
        };
        Ok(serde_json::to_string_pretty(&record)? + "\n")
    }

    fn write_record(&self, results: Option<&Results>) -> anyhow::Result<()> {
        let (draft, path) = (self.path.join(DRAFT), self.path.join(RECORD));
        let write = || -> anyhow::Result<()> {
            fs::write(&draft, self.record(results)?)?;
            File::open(&draft)?.sync_all()?;
            Ok(fs::rename(&draft, &path)?)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a dictionary, unless it is there already: it would have the same bytes.
    ///
    /// # Errors
    /// A folder that cannot be written, a dictionary that no format has a place for.
    pub(super) fn write(&self, name: &str, dictionary: &Dictionary) -> anyhow::Result<()> {
        let members = &self.settings.run.members;
        let member = members.iter().find(|member| member.name == name);
        let recipe = &member.with_context(|| format!("there is no {name}"))?.recipe;
        let folder = self.folder(name);
        if folder.exists() {
            return Ok(());
        }
        let format = match recipe.architecture {
            // SAELens has none of k largest latents.
            Architecture::Transcoder(_) => Format::Sparsify,
            _ => Format::SaeLens,
        };
        let recipe = serde_json::from_str(&serde_json::to_string(recipe)?)?;
        files::write(&folder, format, dictionary, &self.about(recipe))?;
        Ok(())
    }

    fn about(&self, recipe: Value) -> About {
        let Facts { sha256, name, target, capture, .. } = self.facts;
        let mut rest: BTreeMap<String, Value> = BTreeMap::new();
        let mut put = |name: &str, value: Value| {
            rest.insert(name.to_owned(), value);
        };
        put("engram_version", env!("CARGO_PKG_VERSION").into());
        put("activations_sha256", sha256.as_str().into());
        put("seed", self.settings.run.seed.into());
        put("recipe", recipe);
        if let Some(target) = target {
            put("hook_name_out", target.as_str().into());
        }
        if let Some(capture) = capture {
            put("model_sha256", capture.model_sha256.as_str().into());
            put("tokenizer_sha256", capture.tokenizer_sha256.as_str().into());
            put("text_sha256", capture.text_sha256.as_str().into());
            put("activations_dtype", capture.dtype.into());
            put("activations_normalization", capture.normalization.as_str().into());
            put("bos_rule", capture.bos_rule.into());
            if capture.bos_rule != "each_document" {
                put("prepend_bos", capture.bos_token.is_some().into());
            }
        }
        About { hook: name.clone(), rest, ..About::default() }
    }

    /// Reads the dictionaries as they were written, and measures them on the rows that were kept back.
    ///
    /// # Errors
    /// What cannot be read, or measured.
    pub(super) fn measure(&self, input: &Input, scaling: Scaling) -> anyhow::Result<Results> {
        let widths = &self.facts.widths;
        let width = *widths.last().unwrap_or(&widths[0]);
        let mut dictionaries = Vec::new();
        for member in &self.settings.run.members {
            let dictionary = files::read(&self.folder(&member.name))?.dictionary;
            let mut fidelity = Fidelity::new(width, dictionary.n_latents())?;
            input.held_out(|rows| {
                let codes = dictionary.encode(&rows.inputs)?;
                let predicted = dictionary.reconstruct(&rows.inputs)?;
                let truth = rows.targets.as_ref().unwrap_or(&rows.inputs);
                Ok(fidelity.add(truth, &predicted, &codes)?)
            })?;
            let held_out = if self.facts.n_held_out == 0 { None } else { Some(fidelity.report()?) };
            let held_out = held_out.map(|report| HeldOut {
                n_rows: report.n_rows,
                l0: report.l0,
                fvu: report.fvu,
                nmse_of_variance: report.nmse_of_variance,
                cosine: report.cosine,
                l2_ratio: report.l2_ratio,
                dead_share: report.dead_share,
            });
            let (name, n_latents) = (member.name.clone(), dictionary.n_latents());
            dictionaries.push(Measured { name, n_latents, held_out });
        }
        let formulas = FORMULAS.map(|(name, formula)| (name.to_owned(), formula.to_owned()));
        Ok(Results { scaling, dictionaries, formulas: formulas.into() })
    }

    /// Writes what came out, and removes the checkpoint.
    ///
    /// # Errors
    /// A file that cannot be written or removed.
    pub(super) fn finish(&self, results: &Results) -> anyhow::Result<()> {
        self.write_record(Some(results))?;
        dictionaries::finish(self.path)?;
        Ok(())
    }
}

/// The first place where two values differ, and both there.
fn difference(there: &Value, here: &Value, place: &str) -> Option<(String, [String; 2])> {
    let join = |name: &str| {
        if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
    };
    match (there, here) {
        (Value::Object(there), Value::Object(here)) => {
            let names = there.keys().chain(here.keys().filter(|name| !there.contains_key(*name)));
            let of = |values: &serde_json::Map<String, Value>, name: &str| {
                values.get(name).cloned().unwrap_or(Value::Null)
            };
            let mut names = names.map(|name| (join(name), of(there, name), of(here, name)));
            names.find_map(|(place, there, here)| difference(&there, &here, &place))
        }
        (Value::Array(there), Value::Array(here)) if there.len() == here.len() => {
            let mut pairs = there.iter().zip(here).enumerate();
            pairs.find_map(|(at, (there, here))| difference(there, here, &join(&at.to_string())))
        }
        _ if there == here => None,
        _ => Some((place.to_owned(), [there, here].map(ToString::to_string))),
    }
}

/// Prints a row for each dictionary.
pub(super) fn print(results: &Results) {
    let measured = || results.dictionaries.iter();
    let n_rows = measured().find_map(|one| Some(one.held_out.as_ref()?.n_rows));
    let Some(n_rows) = n_rows else {
        say(format_args!("no row was kept back, so nothing was measured"));
        return;
    };
    let longest = measured().map(|one| one.name.len()).max().unwrap_or(0).max(10);
    say(format_args!("on {} rows that were kept back:", indicatif::HumanCount(n_rows)));
    say(format_args!(
        "{:longest$} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "dictionary", "latents", "L0", "FVU", "cosine", "dead"
    ));
    for Measured { name, n_latents, held_out } in measured() {
        let Some(HeldOut { l0, fvu, cosine, dead_share, .. }) = held_out else { continue };
        let number = |number: &Option<f64>| number.map_or("-".to_owned(), |x| format!("{x:.4}"));
        let (fvu, cosine, dead) = (number(fvu), number(cosine), 100.0 * dead_share);
        say(format_args!(
            "{name:longest$} {n_latents:>8} {l0:>8.2} {fvu:>8} {cosine:>8} {dead:>6.1} %"
        ));
    }
}
