//! `sparsify` of `EleutherAI`: cfg.json and sae.safetensors, with encoder.weight `[n, d]`, encoder.bias `[n]`, `W_dec`
//! `[n, d]`, `b_dec` `[d]` and, with `skip_connection`, `W_skip` `[d, d]`.
//!
//! z = π for the k largest positive π. Activations are centered by `b_dec` unless `transcode` is true; `normalize_decoder`
//! is a matter of training. Fields that older versions did not write have that library's own defaults.
//!
//! # By way of `SAELens`
//!
//! `SAELens` 6.54.12 has a loader of its own for these files, `sparsify_disk_loader`, whose dictionaries compute something
//! else, as `just test-interchange` shows. It transposes `W_dec`, so that nothing with n ≠ d is loaded at all, and of n = d
//! the reconstructions are others (by 1.2 of their length on the fixture). With `W_dec` put right a transcoder is the same
//! (4e-8), and an autoencoder still another (by 0.24 to 0.56), since it is centered only if `normalize_decoder` is false,
//! which has nothing to do with it; `W_skip` is left out, and of `num_latents` 0 no latent is made. A dictionary read here and written by [`super::sae_lens::write`]
//! is the same in `SAELens`.

use std::path::Path;

use serde_json::{Value, json};

use super::fields::Fields;
use super::tensors::{self, Stored, Tensors};
use super::{About, FileError, Format, Loaded, complete, fit, write_json};
use crate::{Activation, Dictionary, Parts, Scaling};

/// The names in the folder.
pub(super) const WEIGHTS: &str = "sae.safetensors";
const CONFIG: &str = "cfg.json";
const NAME: &str = "sparsify";

/// What a config may say beside that, which changes nothing.
const KEPT: &[&str] = &["multi_topk", "normalize_decoder"];

/// Reads a folder.
///
/// # Errors
/// [`FileError::Io`] and [`FileError::Syntax`] for files that cannot be read; [`FileError::Field`] and
/// [`FileError::UnknownField`] for a config that cannot be honored (`groupmax` and signed values, which a [`Dictionary`]
/// lacks); [`FileError::Tensor`] for tensors that are missing, left over or of other shapes; [`FileError::Dictionary`] for
/// numbers that are not finite.
///
/// # Examples
///
/// ```
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sparsify-transcoder/given");
/// let read = sae::files::sparsify::read(folder.as_ref())?;
/// assert_eq!((read.dictionary.n_latents(), read.dictionary.width()), (10, 6));
/// assert!(!read.dictionary.parts().centers);
/// # Ok::<(), sae::files::FileError>(())
/// ```
pub fn read(folder: &Path) -> Result<Loaded, FileError> {
    let mut fields = Fields::read(&folder.join(CONFIG))?;
    let d = fields.size("d_in")?;
    let k = fields.size("k")?;
    let whole = "a whole number";
    let n_latents: Option<usize> = fields.optional("num_latents", whole)?;
    let expansion: Option<usize> = fields.optional("expansion_factor", whole)?;
    let n = match n_latents {
        None | Some(0) => expansion.and_then(|factor| d.checked_mul(factor)).filter(|n| *n > 0),
        given => given,
    };
    let n = n.ok_or_else(|| {
        fields.error("num_latents", "it, or expansion_factor to multiply d_in by", "neither")
    })?;
    let topk = "topk, the only one that a dictionary here can have";
    match fields.optional::<String>("activation", topk)?.as_deref() {
        None | Some("topk") => {}
        Some(other) => return Err(fields.error("activation", topk, other)),
    }
    let flag = "true or false";
    if fields.optional("signed", flag)?.unwrap_or(false) {
        return Err(fields.error("signed", "false: values are positive", "true"));
    }
    let is_transcoder = fields.optional("transcode", flag)?.unwrap_or(false);
    let has_skip = fields.optional("skip_connection", flag)?.unwrap_or(false);
    let about = About { rest: fields.keep(KEPT), ..About::default() };
    fields.finish()?;

    let mut tensors = Tensors::read(&folder.join(WEIGHTS))?;
    let parts = Parts {
        encoder: tensors.matrix("encoder.weight", [n, d])?,
        decoder: tensors.matrix("W_dec", [n, d])?,
        encoder_bias: tensors.vector("encoder.bias", n)?,
        decoder_bias: tensors.vector("b_dec", d)?,
        activation: Activation::TopK { k },
        centers: !is_transcoder,
        skip: if has_skip { Some(tensors.matrix("W_skip", [d, d])?) } else { None },
        scaling: Scaling::None,
    };
    let file = tensors.file().to_owned();
    tensors.finish()?;
    let dictionary = Dictionary::new(parts).map_err(FileError::dictionary(&file))?;
    Ok(Loaded { dictionary, about, format: Format::Sparsify })
}

/// Writes a folder, which must not exist yet. A scale of all activations is folded into the weights.
///
/// # Errors
/// [`FileError::Unwritable`] unless the k largest are active, for predictions of another width, and for scaling row by row;
/// [`FileError::Io`].
pub fn write(folder: &Path, dictionary: &Dictionary, about: &About) -> Result<(), FileError> {
    let parts = fit::unscaled(dictionary, NAME)?;
    let lacks = |why| FileError::Unwritable { format: NAME, why };
    let Activation::TopK { k } = parts.activation else {
        return Err(lacks("only k largest can be active in it"));
    };
    let (n, d) = (parts.encoder.n_rows(), parts.encoder.n_columns());
    if parts.decoder.n_columns() != d {
        return Err(lacks("it predicts activations of another width"));
    }
    let mut config = json!({
        "activation": "topk",
        "d_in": d,
        "k": k,
        "num_latents": n,
        "skip_connection": parts.skip.is_some(),
        "transcode": !parts.centers,
    });
    for name in KEPT {
        if let Some(value) = about.rest.get(*name) {
            config[*name] = Value::clone(value);
        }
    }
    let mut stored = vec![
        Stored::matrix("encoder.weight", &parts.encoder),
        Stored::vector("encoder.bias", &parts.encoder_bias),
        Stored::matrix("W_dec", &parts.decoder),
        Stored::vector("b_dec", &parts.decoder_bias),
    ];
    stored.extend(parts.skip.iter().map(|skip| Stored::matrix("W_skip", skip)));
    complete(folder, |draft| {
        write_json(&draft.join(CONFIG), &config)?;
        tensors::write(&draft.join(WEIGHTS), &stored)
    })
}
