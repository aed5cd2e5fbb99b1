//! Writing what `SAELens` 6 reads.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Architecture, CONFIG, NAME, WEIGHTS};
use crate::files::tensors::{self, Stored};
use crate::files::{About, FileError, complete, fit, write_json};
use crate::{Activation, Dictionary, Parts, Scaling};

/// The version of the format, where the dictionary comes from none: a later one reads it, an earlier one has other fields.
const VERSION: &str = "6.0.0";

/// Writes a folder, which must not exist yet.
///
/// A scale of all activations is folded into the weights. A dictionary that predicts (a skip connection, another width, or
/// `hook_name_out` in [`About::rest`]) becomes a transcoder, with its center, if it has one, in the encoder's bias. A hook
/// whose name ends in `_z` gets `hook_z`: the library then takes activations head by head.
///
/// # Errors
/// [`FileError::Unwritable`] for a prediction by gates or k largest, and for one that scales row by row;
/// [`FileError::Io`].
pub fn write(folder: &Path, dictionary: &Dictionary, about: &About) -> Result<(), FileError> {
    let unscaled = dictionary.unscaled().map_err(FileError::dictionary(NAME))?;
    let mut parts = unscaled.into_parts();
    let architecture = architecture(&parts, about)?;
    if architecture.is_transcoder() {
        fit::center(&mut parts, false);
    }
    let config = config(&parts, architecture, about);
    let mut stored = vec![
        Stored::matrix("W_enc", &parts.encoder.transposed()),
        Stored::matrix("W_dec", &parts.decoder),
        Stored::vector("b_dec", &parts.decoder_bias),
    ];
    match &parts.activation {
        Activation::Gated { scales, magnitude_bias } => {
            let logs: Vec<f32> = scales.iter().map(|scale| libm::logf(*scale)).collect();
            stored.push(Stored::vector("b_gate", &parts.encoder_bias));
            stored.push(Stored::vector("b_mag", magnitude_bias));
            stored.push(Stored::vector("r_mag", &logs));
        }
        Activation::JumpRelu { thresholds } => {
            stored.push(Stored::vector("b_enc", &parts.encoder_bias));
            stored.push(Stored::vector("threshold", thresholds));
        }
        Activation::Relu | Activation::TopK { .. } => {
            stored.push(Stored::vector("b_enc", &parts.encoder_bias));
        }
    }
    stored.extend(parts.skip.iter().map(|skip| Stored::matrix("W_skip", skip)));
    complete(folder, |draft| {
        write_json(&draft.join(CONFIG), &config)?;
        tensors::write(&draft.join(WEIGHTS), &stored)
    })
}

/// The architecture that computes the same.
fn architecture(parts: &Parts, about: &About) -> Result<Architecture, FileError> {
    let (skips, out) = (parts.skip.is_some(), parts.decoder.n_columns());
    let predicts = skips
        || out != parts.encoder.n_columns()
        || about.rest.get("hook_name_out").is_some_and(|hook| !hook.is_null());
    let lacks = |why| FileError::Unwritable { format: NAME, why };
    if predicts && parts.scaling != Scaling::None {
        return Err(lacks("a transcoder there never undoes that it scales row by row"));
    }
    Ok(match (&parts.activation, predicts, skips) {
        (Activation::Relu, false, _) => Architecture::Standard,
        (Activation::Relu, true, false) => Architecture::Transcoder,
        (Activation::Relu, true, true) => Architecture::SkipTranscoder,
        (Activation::JumpRelu { .. }, false, _) => Architecture::JumpRelu,
        (Activation::JumpRelu { .. }, true, false) => Architecture::JumpReluTranscoder,
        (Activation::JumpRelu { .. }, true, true) => Architecture::JumpReluSkipTranscoder,
        (Activation::TopK { .. }, false, _) => Architecture::TopK,
        (Activation::Gated { .. }, false, _) => Architecture::Gated,
        (Activation::TopK { .. } | Activation::Gated { .. }, true, _) => {
            return Err(lacks("its transcoders know rectified values and thresholds only"));
        }
    })
}

fn config(parts: &Parts, architecture: Architecture, about: &About) -> Value {
    let mut metadata: Map<String, Value> =
        [("sae_lens_version".to_owned(), Value::from(VERSION))].into_iter().collect();
    metadata.extend(about.rest.clone());
    let said = [
        ("model_name", about.model.clone().map(Value::from)),
        ("hook_name", about.hook.clone().map(Value::from)),
        ("context_size", about.context.map(Value::from)),
    ];
    metadata.extend(said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    let is_heads = about.hook.as_ref().is_some_and(|hook| hook.ends_with("_z"));
    let mut config = json!({
        "architecture": architecture.name(),
        "d_in": parts.encoder.n_columns(),
        "d_sae": parts.encoder.n_rows(),
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": parts.centers,
        "normalize_activations": match parts.scaling {
            Scaling::Length => "constant_norm_rescale",
            Scaling::LayerNorm => "layer_norm",
            // A single factor was folded into the weights.
            Scaling::None | Scaling::By { .. } => "none",
        },
        "reshape_activations": if is_heads { "hook_z" } else { "none" },
        "metadata": metadata,
    });
    if architecture.is_transcoder() {
        config["d_out"] = parts.decoder.n_columns().into();
    }
    if let Activation::TopK { k } = parts.activation {
        config["k"] = k.into();
        config["rescale_acts_by_decoder_norm"] = false.into();
    }
    config
}
