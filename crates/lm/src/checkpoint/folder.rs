//! A Hugging Face folder: which files it has, and every parameter from them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::Device;

use super::file::TensorFile;
use super::{Parameters, Place, places};
use crate::{Config, LmError};

/// The names in the folder.
pub(super) const CONFIG: &str = "config.json";
pub(super) const WEIGHTS: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// Larger files of JSON are refused unread.
const MOST_JSON_BYTES: u64 = 64 << 20;

/// Config and parameters of a folder.
pub(super) fn read(folder: &Path, device: &Device) -> Result<(Config, Parameters), LmError> {
    let config = read_config(folder)?;
    let mut shards = Shards::open(folder)?;
    let mut parameters = Parameters::new(&folder.display().to_string(), device);
    let mut used = BTreeSet::new();
    // Parameters that share a stored tensor stand one after the other.
    let mut latest: Option<(String, Vec<f32>)> = None;
    for place in places(&config) {
        let stored = match latest.take() {
            Some((tensor, stored)) if tensor == place.tensor => stored,
            _ => shards.read(&place, &mut used)?,
        };
        parameters.put(&place.name, &place.shape, place.extract(&stored))?;
        latest = Some((place.tensor, stored));
    }
    if config.tied_embeddings {
        shards.check_tied(&config, &parameters, &mut used)?;
    }
    shards.check_all_used(&used)?;
    Ok((config, parameters))
}

pub(super) fn read_config(folder: &Path) -> Result<Config, LmError> {
    let path = folder.join(CONFIG);
    Config::from_json(&path.display().to_string(), &read_json(&path)?)
}

fn read_json(path: &Path) -> Result<Vec<u8>, LmError> {
    let n_bytes = std::fs::metadata(path).map_err(LmError::io("open", path))?.len();
    if n_bytes > MOST_JSON_BYTES {
        return Err(LmError::Syntax {
            file: path.display().to_string(),
            what: "a JSON file of a checkpoint",
            problem: format!("{n_bytes} bytes; at most {MOST_JSON_BYTES} are read"),
        });
    }
    std::fs::read(path).map_err(LmError::io("read", path))
}

/// The files that hold the tensors, and which holds which.
struct Shards {
    folder: String,
    files: Vec<TensorFile>,
    /// The file of each tensor.
    of: BTreeMap<String, usize>,
}

/// model.safetensors.index.json.
#[derive(serde::Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Shards {
    fn open(folder: &Path) -> Result<Self, LmError> {
        let index = folder.join(INDEX);
        let mut shards =
            Self { folder: folder.display().to_string(), files: Vec::new(), of: BTreeMap::new() };
        if !index.exists() {
            shards.add(&folder.join(WEIGHTS))?;
            return Ok(shards);
        }
        let file = index.display().to_string();
        let syntax = |problem: String| LmError::Syntax {
            file: file.clone(),
            what: "an index of shards",
            problem,
        };
        let Index { weight_map } = serde_json::from_slice(&read_json(&index)?)
            .map_err(|error| syntax(error.to_string()))?;
        let names: BTreeSet<&String> = weight_map.values().collect();
        for name in names {
            let is_plain = Path::new(name).file_name().is_some_and(|plain| plain == name.as_str());
            if !is_plain {
                return Err(syntax(format!("{name:?} is no name of a file in this folder")));
            }
            shards.add(&folder.join(name))?;
        }
        for (tensor, name) in &weight_map {
            let holder = shards.of.get(tensor).map(|file| &shards.files[*file]);
            if holder.is_none_or(|holder| holder.name() != folder.join(name).display().to_string())
            {
                return Err(syntax(format!("tensor {tensor} is not in {name}")));
            }
        }
        Ok(shards)
    }

    fn add(&mut self, path: &Path) -> Result<(), LmError> {
        let file = TensorFile::open(path)?;
        for tensor in file.names() {
            if let Some(other) = self.of.insert(tensor.clone(), self.files.len()) {
                return Err(LmError::Tensor {
                    file: file.name(),
                    tensor,
                    expected: "each tensor in one file".to_owned(),
                    got: format!("it again, after {}", self.files[other].name()),
                });
            }
        }
        self.files.push(file);
        Ok(())
    }

    /// The stored name of a tensor: that of a model with its head or, in older files, without it.
    fn stored_name<'a>(&self, tensor: &'a str) -> &'a str {
        let bare = tensor.strip_prefix("transformer.").or_else(|| tensor.strip_prefix("model."));
        match bare {
            Some(bare) if !self.of.contains_key(tensor) && self.of.contains_key(bare) => bare,
            _ => tensor,
        }
    }

    fn read(&mut self, place: &Place, used: &mut BTreeSet<String>) -> Result<Vec<f32>, LmError> {
        let (name, shape) = (self.stored_name(&place.tensor), place.stored_shape());
        used.insert(name.to_owned());
        match self.of.get(name) {
            Some(file) => self.files[*file].read(name, &shape),
            None => Err(LmError::Tensor {
                file: self.folder.clone(),
                tensor: name.to_owned(),
                expected: format!("the shape {shape:?}, as the config says"),
                got: "none".to_owned(),
            }),
        }
    }

    /// A head that is stored although the config ties it to the embedding must be the embedding.
    fn check_tied(
        &mut self,
        config: &Config,
        parameters: &Parameters,
        used: &mut BTreeSet<String>,
    ) -> Result<(), LmError> {
        let head = "lm_head.weight";
        let Some(file) = self.of.get(head) else { return Ok(()) };
        let file = &mut self.files[*file];
        used.insert(head.to_owned());
        let stored = file.read(head, &[config.vocab_size, config.d_model])?;
        if parameters.get("embed") == Some(&stored) {
            return Ok(());
        }
        Err(LmError::Tensor {
            file: file.name(),
            tensor: head.to_owned(),
            expected: "the token embedding, since tie_word_embeddings is true".to_owned(),
            got: "other numbers".to_owned(),
        })
    }

    /// Refuses tensors that the config has no use for. Masks and frequencies that older files keep are
    /// no parameters.
    fn check_all_used(&self, used: &BTreeSet<String>) -> Result<(), LmError> {
        let constants = [".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"];
        let is_constant = |name: &str| constants.iter().any(|constant| name.ends_with(constant));
        let mut left = self.of.iter().filter(|(name, _)| !used.contains(*name));
        match left.find(|(name, _)| !is_constant(name)) {
            None => Ok(()),
            Some((tensor, file)) => Err(LmError::Tensor {
                file: self.files[*file].name(),
                tensor: tensor.clone(),
                expected: "only tensors that the config has a use for".to_owned(),
                got: "this one: does the config belong to these weights?".to_owned(),
            }),
        }
    }
}
