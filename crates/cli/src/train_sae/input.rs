//! Where activations come from: a store, or a matrix in a file; and what is known of them.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use dictionaries::{MemoryRows, Rows, Source, StoreRows, StoreRowsConfig};
use indicatif::BinaryBytes;
use kernels::Matrix;
use manifest::decode::{Numbers, npy};
use seed::Seed;
use serde::Serialize;
use store::{ActivationReader, BosRule, Dtype, Normalization};

use super::config::Config;
use super::plan::Room;

/// Rows to train on, and those that are kept back.
pub(super) enum Input {
    Store(Box<StoreRows>),
    Memory { rows: Box<MemoryRows>, held_out: Rows },
}

/// What is known of activations. It is written beside results, and decides whether a run may go on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Facts {
    /// Of the file of a matrix, or of a store's index, which has the checksums of its rows.
    pub(super) sha256: String,
    /// The hook or the tensor.
    pub(super) name: Option<String>,
    pub(super) target: Option<String>,
    /// d and d′.
    pub(super) widths: Vec<usize>,
    /// Rows that are trained on.
    pub(super) n_rows: u64,
    pub(super) n_held_out: u64,
    /// What a store knows besides.
    pub(super) capture: Option<Capture>,
}

/// Where the rows of a store come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Capture {
    pub(super) model_sha256: String,
    pub(super) tokenizer_sha256: String,
    pub(super) text_sha256: String,
    pub(super) bos_rule: &'static str,
    pub(super) bos_token: Option<u32>,
    pub(super) dtype: &'static str,
    pub(super) normalization: String,
}

/// What was opened.
pub(super) struct Opened {
    pub(super) input: Input,
    pub(super) facts: Facts,
    /// Bytes that rows take: while a matrix is read, or while a sample is drawn from a store.
    pub(super) memory_bytes: u64,
}

/// Opens a store or a file.
///
/// # Errors
/// What is neither; what cannot be read, or does not fit into memory; a number that is not finite.
pub(super) fn open(path: &Path, config: &Config, room: &Room) -> anyhow::Result<Opened> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        _ if path.is_dir() => open_store(path, config, room),
        Some("npy" | "safetensors") => open_matrix(path, config, room),
        _ if path.exists() => bail!(
            "{}: activations are the folder of a store (engram capture), or a file *.npy or *.safetensors",
            path.display()
        ),
        _ => bail!("{} is not there: name a store of activations", path.display()),
    }
}

fn open_store(path: &Path, config: &Config, room: &Room) -> anyhow::Result<Opened> {
    let (hook, target) = config.hooks()?;
    let description = ActivationReader::describe(path)?;
    let hooks = description.capture.hooks.iter();
    let is_read = |name: &str| hook.is_none_or(|hook| hook == name) || target == Some(name);
    let width: usize = hooks.filter(|hook| is_read(&hook.name)).map(|hook| hook.width).sum();
    let pool_rows = (config.pool_rows() as u64).min(description.n_rows);
    // Two pools, before they are read.
    room.check(2 * pool_rows * 4 * width as u64).context("pool_rows: take fewer")?;
    let rows_config = StoreRowsConfig {
        hook: hook.map(str::to_owned),
        target: target.map(str::to_owned),
        batch_rows: config.batch_rows(),
        pool_rows: config.pool_rows(),
        seed: config.seed(),
        held_out: config.held_out(description.n_rows),
    };
    let rows = StoreRows::open(path, &rows_config)?;
    let capture = rows.capture();
    let (bos_rule, bos_token) = match capture.bos {
        BosRule::Absent => ("absent", None),
        BosRule::EachSequence { token } => ("each_sequence", Some(token)),
        BosRule::EachDocument { token } => ("each_document", Some(token)),
    };
    let mut normalization = String::new();
    for hook in &capture.hooks {
        let between = if normalization.is_empty() { "" } else { ", " };
        match hook.normalization {
            Normalization::Raw => write!(normalization, "{between}raw")?,
            Normalization::Scaled { scale } => write!(normalization, "{between}scaled by {scale}")?,
            Normalization::LayerNorm => write!(normalization, "{between}layer_norm")?,
        }
    }
    let facts = Facts {
        sha256: capture::hash_file(&path.join("index.h5"))?,
        name: capture.hooks.first().map(|hook| hook.name.clone()),
        target: target.map(str::to_owned),
        widths: rows.widths().to_vec(),
        n_rows: rows.n_rows(),
        n_held_out: rows.n_held_out(),
        capture: Some(Capture {
            model_sha256: capture.model_sha256.clone(),
            tokenizer_sha256: capture.tokenizer_sha256.clone(),
            text_sha256: capture.text_sha256.clone(),
            bos_rule,
            bos_token,
            dtype: match capture.dtype {
                Dtype::F32 => "f32",
                Dtype::F16 => "f16",
                Dtype::Bf16 => "bf16",
            },
            normalization,
        }),
    };
    let memory_bytes = 2 * rows.memory_bytes();
    Ok(Opened { input: Input::Store(Box::new(rows)), facts, memory_bytes })
}

fn open_matrix(path: &Path, config: &Config, room: &Room) -> anyhow::Result<Opened> {
    let (tensor, target) = config.tensors()?;
    let at = || path.display().to_string();
    let file_bytes = std::fs::metadata(path).with_context(at)?.len();
    // The file, and its numbers in single precision.
    let loading = file_bytes.saturating_mul(2);
    room.check(loading).with_context(|| {
        let file = BinaryBytes(file_bytes);
        format!(
            "{} has {file}, and a matrix is read as a whole; capture to a store, which is not",
            at()
        )
    })?;
    let is_npy = path.extension().is_some_and(|extension| extension == "npy");
    let (inputs, targets) = if is_npy {
        ensure!(
            tensor.is_none() && target.is_none(),
            "{}: a file *.npy has one matrix; tensor and target are for *.safetensors",
            at()
        );
        (read_npy(path)?, None)
    } else {
        let target = target.map(|name| sae::files::read_matrix(path, Some(name))).transpose()?;
        (sae::files::read_matrix(path, tensor)?, target)
    };
    for (matrix, what) in [(Some(&inputs), tensor), (targets.as_ref(), target)] {
        let Some(matrix) = matrix else { continue };
        let width = matrix.n_columns();
        ensure!(width > 0 && matrix.n_rows() > 0, "{}: there is no number in it", at());
        if let Some(bad) = matrix.values().iter().position(|number| !number.is_finite()) {
            let what = what.map_or_else(String::new, |name| format!(", {name}"));
            bail!(
                "{}{what}: number {} of row {} is {}; leave such rows out, a dictionary cannot learn from them",
                at(),
                bad % width,
                bad / width,
                matrix.values()[bad]
            );
        }
    }
    let mut widths = vec![inputs.n_columns()];
    widths.extend(targets.iter().map(Matrix::n_columns));
    let n_all = inputs.n_rows();
    let n_held_out = config.held_out(n_all as u64);
    let n_rows = n_all.saturating_sub(usize::try_from(n_held_out).unwrap_or(usize::MAX));
    let (rows, held_out) = Rows { inputs, targets }.split_at(n_rows).with_context(at)?;
    let rows =
        MemoryRows::new(rows, config.batch_rows(), Seed::new(config.seed())).with_context(at)?;
    let width: usize = widths.iter().sum();
    let held = n_all as u64 * (4 * width as u64 + size_of::<usize>() as u64);
    let facts = Facts {
        sha256: capture::hash_file(path)?,
        name: tensor.map(str::to_owned),
        target: target.map(str::to_owned),
        widths,
        n_rows: n_rows as u64,
        n_held_out,
        capture: None,
    };
    let input = Input::Memory { rows: Box::new(rows), held_out };
    Ok(Opened { input, facts, memory_bytes: held.max(loading) })
}

fn read_npy(path: &Path) -> anyhow::Result<Matrix> {
    let at = || path.display().to_string();
    let bytes = std::fs::read(path).with_context(at)?;
    let array = match npy::decode(&at(), &bytes)? {
        Numbers::F32(array) => array,
        other => bail!("{}: numbers are {}; store them as float32 or float16", at(), other.dtype()),
    };
    let [n_rows, n_columns] = array.shape[..] else {
        bail!("{}: its shape is {:?}; activations are a matrix, a row each", at(), array.shape);
    };
    Ok(Matrix::from_rows(n_rows, n_columns, array.data)?)
}

impl Input {
    /// As a training takes it.
    pub(super) fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Store(rows) => rows.as_mut(),
            Self::Memory { rows, .. } => rows.as_mut(),
        }
    }

    /// Hands on the rows that are kept back, some at a time.
    ///
    /// # Errors
    /// What the store says, and those of `each`.
    pub(super) fn held_out(
        &self,
        mut each: impl FnMut(&Rows) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match self {
            Self::Store(rows) => {
                for from in (0..rows.n_held_out()).step_by(HELD_OUT_ROWS) {
                    each(&rows.held_out(from, HELD_OUT_ROWS)?)?;
                }
            }
            Self::Memory { held_out, .. } => {
                let all: Vec<usize> = (0..held_out.inputs.n_rows()).collect();
                for some in all.chunks(HELD_OUT_ROWS) {
                    let targets = held_out.targets.as_ref();
                    let targets = targets.map(|targets| targets.select(some));
                    each(&Rows { inputs: held_out.inputs.select(some), targets })?;
                }
            }
        }
        Ok(())
    }
}

/// Rows that are measured at once.
const HELD_OUT_ROWS: usize = 1024;
