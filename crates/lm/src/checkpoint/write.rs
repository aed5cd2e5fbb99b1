//! Saving a Hugging Face folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use serde_json::json;

use super::folder::{CONFIG, INDEX, WEIGHTS};
use super::{Parameters, Precision, places};
use crate::{Config, LmError};

/// A tensor as it goes into a file.
struct Stored {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Writes config and weights into a draft beside the folder, which takes its name when it is complete.
pub(super) fn write(
    folder: &Path,
    config: &Config,
    parameters: &Parameters,
    precision: Precision,
    max_shard_bytes: u64,
) -> Result<(), LmError> {
    if folder.exists() {
        let exists = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(LmError::io("save a model over", folder)(exists));
    }
    let mut draft = folder.as_os_str().to_owned();
    draft.push(".draft");
    let draft = PathBuf::from(draft);
    if draft.exists() {
        fs::remove_dir_all(&draft).map_err(LmError::io("clear", &draft))?;
    }
    fs::create_dir_all(&draft).map_err(LmError::io("create", &draft))?;
    let path = draft.join(CONFIG);
    fs::write(&path, config.to_json()).map_err(LmError::io("write", &path))?;
    write_shards(&draft, shards(config, parameters, precision, max_shard_bytes)?, precision)?;
    fs::rename(&draft, folder).map_err(LmError::io("complete", folder))
}

/// The stored tensors, shared out to files.
fn shards(
    config: &Config,
    parameters: &Parameters,
    precision: Precision,
    max_shard_bytes: u64,
) -> Result<Vec<Vec<Stored>>, LmError> {
    let mut shards: Vec<Vec<Stored>> = vec![Vec::new()];
    let mut n_bytes = 0;
    let places = places(config);
    for parts in places.chunk_by(|a, b| a.tensor == b.tensor) {
        let shape = parts[0].stored_shape();
        let mut values = vec![0.0; shape.iter().product()];
        for part in parts {
            let parameter = parameters.get(&part.name).filter(|found| found.len() == part.len());
            let parameter = parameter.ok_or_else(|| LmError::Tensor {
                file: "the model".to_owned(),
                tensor: part.name.clone(),
                expected: format!("the shape {:?}", part.shape),
                got: "none".to_owned(),
            })?;
            part.insert(parameter, &mut values);
        }
        let name = parts[0].tensor.clone();
        // Only half precision has a bound that finite numbers pass.
        let largest = half::f16::MAX.to_f32();
        let beyond = values.iter().find(|value| value.abs() > largest);
        if let (Precision::F16, Some(value)) = (precision, beyond) {
            return Err(LmError::NotFinite {
                what: format!("in half precision a number of {name}"),
                value: *value,
                remedy: "it is beyond 65504; save in F32 or BF16",
            });
        }
        let stored = Stored { name, shape, bytes: precision.encode(&values) };
        let more = stored.bytes.len() as u64;
        if n_bytes > 0 && n_bytes + more > max_shard_bytes {
            shards.push(Vec::new());
            n_bytes = 0;
        }
        n_bytes += more;
        if let Some(shard) = shards.last_mut() {
            shard.push(stored);
        }
    }
    Ok(shards)
}

fn write_shards(
    folder: &Path,
    shards: Vec<Vec<Stored>>,
    precision: Precision,
) -> Result<(), LmError> {
    let n_shards = shards.len();
    let mut weight_map = BTreeMap::new();
    let mut total_size = 0;
    for (shard, tensors) in (1..).zip(shards) {
        let name = if n_shards == 1 {
            WEIGHTS.to_owned()
        } else {
            format!("model-{shard:05}-of-{n_shards:05}.safetensors")
        };
        let path = folder.join(&name);
        let views = tensors.iter().map(|tensor| {
            let view = TensorView::new(precision.dtype(), tensor.shape.clone(), &tensor.bytes);
            Ok((tensor.name.as_str(), view?))
        });
        // The library leaves a file that its owner alone can read; this one gets the rights of any other new file.
        let new = fs::File::create(&path).and_then(|file| file.metadata());
        let rights = new.map_err(LmError::io("create", &path))?.permissions();
        let written = views.collect::<Result<Vec<_>, _>>().and_then(|views| {
            let format = [("format".to_owned(), "pt".to_owned())];
            safetensors::serialize_to_file(views, Some(format.into()), &path)
        });
        written.map_err(|error| LmError::io("write", &path)(std::io::Error::other(error)))?;
        fs::set_permissions(&path, rights).map_err(LmError::io("write", &path))?;
        for tensor in tensors {
            total_size += tensor.bytes.len();
            weight_map.insert(tensor.name, name.clone());
        }
    }
    if n_shards == 1 {
        return Ok(());
    }
    let index = json!({"metadata": {"total_size": total_size}, "weight_map": weight_map});
    let path = folder.join(INDEX);
    fs::write(&path, format!("{index:#}\n")).map_err(LmError::io("write", &path))
}
