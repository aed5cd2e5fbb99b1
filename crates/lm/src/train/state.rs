//! Checkpoints of a training.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::TrainConfig;
use super::adamw::State;
use crate::checkpoint::{Precision, TensorFile};
use crate::{Config, LmError, Parameters, Transformer};

/// Files of a checkpoint beside those of the model.
const TRAINING: &str = "training.json";
const MOMENTS: &str = "moments.safetensors";

/// training.json.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Training {
    /// Steps that were made.
    n_done: u64,
    config: TrainConfig,
}

/// What a checkpoint held.
pub(super) struct Read {
    pub(super) model: Transformer,
    pub(super) state: State,
    pub(super) n_done: u64,
}

/// Writes a checkpoint beside its place and moves it there; the former one goes last.
pub(super) fn write(
    folder: &Path,
    model: &Transformer,
    state: &State,
    config: &TrainConfig,
    n_done: u64,
) -> Result<(), LmError> {
    let (new, former) = (beside(folder, ".new"), beside(folder, ".former"));
    if folder.exists() && !folder.join(TRAINING).exists() {
        return Err(LmError::Checkpoint {
            folder: folder.to_owned(),
            field: TRAINING.to_owned(),
            expected: "a checkpoint to replace".to_owned(),
            got: "missing".to_owned(),
        });
    }
    remove(&new)?;
    model.save(&new, Precision::F32, u64::MAX)?;
    let mut bytes = Vec::new();
    for (name, moments) in state {
        for (kind, values) in ["first", "second"].into_iter().zip(moments) {
            let of = format!("{name}.{kind}");
            bytes.push((of, values.len(), Precision::F32.encode(values)));
        }
    }
    let path = new.join(MOMENTS);
    let failed = |error| LmError::io("write", &path)(std::io::Error::other(error));
    let views = bytes
        .iter()
        .map(|(name, n, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, vec![*n], bytes)?)));
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(failed)?;
    safetensors::serialize_to_file(views, None, &path).map_err(failed)?;
    let path = new.join(TRAINING);
    let training = Training { n_done, config: config.clone() };
    let text = serde_json::to_string_pretty(&training)
        .map_err(|error| LmError::io("write", &path)(error.into()))?;
    fs::write(&path, text).map_err(LmError::io("write", &path))?;
    for entry in fs::read_dir(&new).map_err(LmError::io("read", &new))? {
        let path = entry.map_err(LmError::io("read", &new))?.path();
        let synced = fs::File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(LmError::io("flush", &path))?;
    }
    // Where a run was killed between the renames, the former one is the only one until the last rename.
    if folder.exists() {
        remove(&former)?;
        fs::rename(folder, &former).map_err(LmError::io("rename", folder))?;
    }
    fs::rename(&new, folder).map_err(LmError::io("rename", &new))?;
    remove(&former)
}

/// Reads a checkpoint of this model and these settings. One that was killed between its two renames is
/// found under its former name by [`find`].
pub(super) fn read(
    folder: &Path,
    model: &Config,
    config: &TrainConfig,
    device: &Device,
) -> Result<Read, LmError> {
    let path = folder.join(TRAINING);
    let text = fs::read(&path).map_err(LmError::io("read", &path))?;
    let training: Training = serde_json::from_slice(&text).map_err(|error| LmError::Syntax {
        file: path.display().to_string(),
        what: "the state of a training",
        problem: error.to_string(),
    })?;
    let of = |config: &Config| serde_json::from_slice::<Value>(&config.to_json()).ok();
    let there = Transformer::load(folder, device)?;
    let settings = |config: &TrainConfig| serde_json::to_value(config).ok();
    refuse_other(folder, of(there.config()), of(model))?;
    refuse_other(folder, settings(&training.config), settings(config))?;
    let path = folder.join(MOMENTS);
    let state = moments(&path)?;
    let parameters = Parameters::of(&there)?;
    for (name, moments) in &state {
        let n = parameters.get(name).map_or(0, <[f32]>::len);
        let got = moments.each_ref().map(Vec::len);
        if got != [n, n] {
            return Err(LmError::Tensor {
                file: path.display().to_string(),
                tensor: name.clone(),
                expected: format!("two moments of {n} numbers, as the model has"),
                got: format!("{got:?}"),
            });
        }
        if let Some(value) = moments.iter().flatten().find(|value| !value.is_finite()) {
            return Err(LmError::NotFinite {
                what: format!("{}: a moment of {name}", path.display()),
                value: *value,
                remedy: "the checkpoint is broken: go on from another",
            });
        }
    }
    Ok(Read { model: there, state, n_done: training.n_done })
}

/// Where the latest whole checkpoint lies: at its place, or beside it if a run was killed while it
/// moved a new one there.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    [folder.to_owned(), beside(folder, ".former")].into_iter().find(|folder| folder.exists())
}

fn moments(path: &Path) -> Result<State, LmError> {
    let mut file = TensorFile::open(path)?;
    let mut read: BTreeMap<String, [Option<Vec<f32>>; 2]> = BTreeMap::new();
    for name in file.names() {
        let n = file.len(&name);
        let values = file.read(&name, &[n])?;
        let (parameter, kind) = name.rsplit_once('.').unwrap_or((&name, ""));
        let at = usize::from(kind == "second");
        read.entry(parameter.to_owned()).or_default()[at] = Some(values);
    }
    let whole = read.into_iter().map(|(name, moments)| match moments {
        [Some(first), Some(second)] => Ok((name, [first, second])),
        _ => Err(LmError::Tensor {
            file: path.display().to_string(),
            tensor: name,
            expected: "a first and a second moment".to_owned(),
            got: "one of them".to_owned(),
        }),
    });
    whole.collect()
}

/// Refuses a checkpoint whose settings differ, and names the first that does.
fn refuse_other(folder: &Path, there: Option<Value>, asked: Option<Value>) -> Result<(), LmError> {
    let fields = |value: Option<Value>| match value {
        Some(Value::Object(map)) => map,
        _ => serde_json::Map::new(),
    };
    let (there, asked) = (fields(there), fields(asked));
    let names: std::collections::BTreeSet<&String> = there.keys().chain(asked.keys()).collect();
    let differs = names.into_iter().find(|name| there.get(*name) != asked.get(*name));
    differs.map_or(Ok(()), |name| {
        let told = |map: &serde_json::Map<String, Value>| {
            map.get(name).map_or_else(|| "nothing".to_owned(), ToString::to_string)
        };
        Err(LmError::Checkpoint {
            folder: folder.to_owned(),
            field: name.clone(),
            expected: told(&asked),
            got: told(&there),
        })
    })
}

fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes what a former or a killed save left; a folder that holds anything else is not ours.
fn remove(folder: &Path) -> Result<(), LmError> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(LmError::io("read", folder))? {
        let name = entry.map_err(LmError::io("read", folder))?.file_name();
        if !["config.json", "model.safetensors", MOMENTS, TRAINING].iter().any(|own| name == *own) {
            return Err(LmError::Checkpoint {
                folder: folder.to_owned(),
                field: "the folder".to_owned(),
                expected: "one that a checkpoint left, to be removed".to_owned(),
                got: format!("one with {}", name.display()),
            });
        }
    }
    fs::remove_dir_all(folder).map_err(LmError::io("remove", folder))
}
