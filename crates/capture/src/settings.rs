//! What is taken, and how; kept beside the store, so that a run that goes on is the same run.

use std::path::{Path, PathBuf};

use lm::{Config, Hook};
use serde::{Deserialize, Serialize};
use store::{BosRule, Capture, Dtype, Normalization, RowLayout};

use crate::error::{CaptureError, Result};

/// Sequences at once at most.
const MOST_BATCH: usize = 1 << 16;
/// The file beside a store's shards.
const FILE: &str = "capture.json";

/// The hashes of what activations come from, 64 hexadecimal digits each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Of the model: [`crate::hash_model`].
    pub model_sha256: String,
    /// Of the tokenizer.
    pub tokenizer_sha256: String,
    /// Of the text.
    pub text_sha256: String,
}

/// What is taken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where, in the order of the store.
    pub hooks: Vec<Hook>,
    /// The type of the stored numbers.
    pub dtype: Dtype,
    /// Where the token that begins texts is put.
    pub bos: BosRule,
    /// Tokens of a sequence at most, that one included.
    pub context: usize,
    /// Sequences that the model reads at once.
    pub batch: usize,
    /// Rows after which to stop; none takes the whole text.
    pub most_rows: Option<u64>,
    /// Rows of a shard, rounded up to whole chunks: what a killed run loses at most. None: about 64
    /// megabytes of all hooks.
    pub shard_rows: Option<usize>,
    /// The name of the device, since others round otherwise.
    pub device: String,
}

/// What decides the numbers, and is no attribute of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    context: usize,
    batch: usize,
    most_rows: Option<u64>,
    device: String,
}

impl Settings {
    /// What the store says of itself.
    ///
    /// # Errors
    ///
    /// [`CaptureError::NoRows`] and [`CaptureError::Lm`] for a hook that the model does not have, or
    /// that has no rows; [`CaptureError::Range`] for settings that cannot be.
    pub fn capture(&self, config: &Config, origin: &Origin) -> Result<Capture> {
        self.check(config)?;
        let hooks = self.hooks.iter().map(|hook| {
            Ok(store::Hook {
                name: hook.to_string(),
                width: hook.width(config)?.ok_or(CaptureError::NoRows { hook: *hook })?,
                normalization: Normalization::Raw,
            })
        });
        Ok(Capture {
            model_sha256: origin.model_sha256.clone(),
            tokenizer_sha256: origin.tokenizer_sha256.clone(),
            text_sha256: origin.text_sha256.clone(),
            bos: self.bos,
            dtype: self.dtype,
            hooks: hooks.collect::<Result<_>>()?,
        })
    }

    /// Chunks of about a megabyte of the widest hook, or a shard if that is less; and shards as asked for.
    pub fn layout(&self, capture: &Capture) -> RowLayout {
        let widths = capture.hooks.iter().map(|hook| hook.width);
        let (widest, all) =
            widths.fold((1, 0), |(widest, all), width| (width.max(widest), all + width));
        let layout = RowLayout::for_width(widest, self.dtype);
        match self.shard_rows {
            None => RowLayout { shard_chunks: (64 * widest / all.max(1)).max(1), ..layout },
            Some(rows) => {
                let chunk_rows = layout.chunk_rows.min(rows).max(1);
                RowLayout { chunk_rows, shard_chunks: rows.div_ceil(chunk_rows).max(1) }
            }
        }
    }

    /// The rows of a document of so many tokens: they, and each token that the rule puts before some.
    ///
    /// # Examples
    ///
    /// ```
    /// # use capture::Settings;
    /// # use store::{BosRule, Dtype};
    /// # let bos = BosRule::EachSequence { token: 0 };
    /// # let settings = Settings { hooks: vec![], dtype: Dtype::F32, bos, context: 4, batch: 1,
    /// #     most_rows: None, shard_rows: None, device: String::new() };
    /// // A context of 4 holds 3 of the document's tokens behind the one that begins it.
    /// assert_eq!(settings.n_rows(7), 7 + 3);
    /// ```
    pub fn n_rows(&self, n_tokens: u64) -> u64 {
        let room = (self.context as u64).saturating_sub(1).max(1);
        n_tokens
            + match self.bos {
                BosRule::Absent => 0,
                BosRule::EachSequence { .. } => n_tokens.div_ceil(room),
                BosRule::EachDocument { .. } => n_tokens.min(1),
            }
    }

    fn check(&self, config: &Config) -> Result<()> {
        let least = match self.bos {
            BosRule::Absent => 1,
            BosRule::EachSequence { .. } | BosRule::EachDocument { .. } => 2,
        };
        if !(least..=config.n_ctx).contains(&self.context) {
            let interval = format!("[{least}, {}], the model's context", config.n_ctx);
            return Err(CaptureError::Range { what: "the context", got: self.context, interval });
        }
        if !(1..=MOST_BATCH).contains(&self.batch) {
            let interval = format!("[1, {MOST_BATCH}]");
            return Err(CaptureError::Range { what: "the batch", got: self.batch, interval });
        }
        for (what, is_zero) in [
            ("the number of rows", self.most_rows == Some(0)),
            ("the rows of a shard", self.shard_rows == Some(0)),
        ] {
            if is_zero {
                return Err(CaptureError::Range { what, got: 0, interval: "[1, ∞)".to_owned() });
            }
        }
        Ok(())
    }

    fn kept(&self) -> Kept {
        let Self { context, batch, most_rows, device, .. } = self;
        Kept { context: *context, batch: *batch, most_rows: *most_rows, device: device.clone() }
    }

    /// Whether a run was begun in this folder; if so with the same settings.
    pub(crate) fn is_begun(&self, folder: &Path) -> Result<bool> {
        let path = file(folder);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(CaptureError::io("read", path)(error)),
        };
        let syntax = |problem: String| CaptureError::Syntax { path: path.clone(), problem };
        let found: Kept =
            serde_json::from_slice(&text).map_err(|error| syntax(error.to_string()))?;
        let own = self.kept();
        let rows = |most: Option<u64>| most.map_or("all".to_owned(), |rows| rows.to_string());
        let pairs = [
            ("context", own.context.to_string(), found.context.to_string()),
            ("batch", own.batch.to_string(), found.batch.to_string()),
            ("rows", rows(own.most_rows), rows(found.most_rows)),
            ("device", own.device, found.device),
        ];
        let differs = pairs.into_iter().find(|(_, expected, found)| expected != found);
        differs.map_or(Ok(true), |(field, expected, found)| {
            Err(CaptureError::Settings { path, field: field.to_owned(), expected, found })
        })
    }

    /// Says in the folder how its run was begun.
    pub(crate) fn keep(&self, folder: &Path) -> Result<()> {
        let path = file(folder);
        let draft = folder.join(format!("{FILE}.draft"));
        let text = serde_json::to_vec_pretty(&self.kept()).map_err(|error| {
            CaptureError::Syntax { path: path.clone(), problem: error.to_string() }
        })?;
        std::fs::write(&draft, text).map_err(CaptureError::io("write", &draft))?;
        std::fs::rename(&draft, &path).map_err(CaptureError::io("write", &path))
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}
