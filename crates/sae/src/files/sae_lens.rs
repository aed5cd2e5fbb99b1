//! `SAELens` 6: cfg.json and `sae_weights.safetensors`. The native format: it has a place for nearly every dictionary.
//!
//! | tensor | shape | of |
//! |---|---|---|
//! | `W_enc` | `[d, n]` | all |
//! | `W_dec` | `[n, d′]` | all |
//! | `b_dec` | `[d′]` | all |
//! | `b_enc` | `[n]` | all but `gated` |
//! | `threshold` | `[n]` | `jumprelu` and its transcoders |
//! | `b_gate`, `b_mag`, `r_mag` | `[n]` | `gated` |
//! | `W_skip` | `[d′, d]` | skip transcoders |
//!
//! `BatchTopK` and Matryoshka dictionaries are `jumprelu` there, with the same threshold for all latents. What is read:
//!
//! - `rescale_acts_by_decoder_norm` of `topk`: pre-activations are multiplied by the lengths of the decoder's rows before
//!   the largest are picked, so that values are as well; both are folded into the weights.
//! - `normalize_activations`: `none`, `constant_norm_rescale` and `layer_norm`. With `expected_average_only_in` the library
//!   scales nothing itself when a dictionary is used; checkpoints of a training have the factor beside them in
//!   `activation_scaler.json`, and it is taken from there. A folder without it is refused, as are `covariance_whitening`
//!   and, for transcoders, any normalization (the library would not undo it).
//! - `reshape_activations`: `hook_z` says that the heads of an attention layer are put together to one row, as rows are here.
//! - `dtype` is how the library computes; here that is single precision.
//!
//! Versions before 6 have other fields: load and save such a dictionary with `SAELens` 6 first.

mod write;

pub use write::write;

use std::path::Path;

use serde_json::Value;

use super::fields::Fields;
use super::tensors::Tensors;
use super::{About, FileError, Format, Loaded, fit};
use crate::{Activation, Dictionary, Parts, Scaling};

/// The names in the folder.
pub(super) const WEIGHTS: &str = "sae_weights.safetensors";
const CONFIG: &str = "cfg.json";
const SCALER: &str = "activation_scaler.json";
const NAME: &str = "SAELens";

/// What a checkpoint of a training says beside that, which changes nothing once it is trained.
const TRAINING: &[&str] = &[
    "aux_loss_coefficient",
    "b_dec_init_method",
    "decoder_init_norm",
    "jumprelu_bandwidth",
    "jumprelu_init_threshold",
    "jumprelu_sparsity_loss_mode",
    "jumprelu_ste_to_input",
    "jumprelu_tanh_scale",
    "l0_coefficient",
    "l0_warm_up_steps",
    "l1_coefficient",
    "l1_warm_up_steps",
    "lp_norm",
    "mse_loss_normalization",
    "noise",
    "pre_act_loss_coefficient",
    "target_l0",
    "use_sparse_activations",
];

/// An architecture of the library.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Architecture {
    Standard,
    TopK,
    JumpRelu,
    Gated,
    Transcoder,
    SkipTranscoder,
    JumpReluTranscoder,
    JumpReluSkipTranscoder,
}

impl Architecture {
    const ALL: [Self; 8] = [
        Self::Standard,
        Self::TopK,
        Self::JumpRelu,
        Self::Gated,
        Self::Transcoder,
        Self::SkipTranscoder,
        Self::JumpReluTranscoder,
        Self::JumpReluSkipTranscoder,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::TopK => "topk",
            Self::JumpRelu => "jumprelu",
            Self::Gated => "gated",
            Self::Transcoder => "transcoder",
            Self::SkipTranscoder => "skip_transcoder",
            Self::JumpReluTranscoder => "jumprelu_transcoder",
            Self::JumpReluSkipTranscoder => "jumprelu_skip_transcoder",
        }
    }

    const fn is_transcoder(self) -> bool {
        !matches!(self, Self::Standard | Self::TopK | Self::JumpRelu | Self::Gated)
    }

    const fn has_skip(self) -> bool {
        matches!(self, Self::SkipTranscoder | Self::JumpReluSkipTranscoder)
    }

    const fn has_thresholds(self) -> bool {
        matches!(self, Self::JumpRelu | Self::JumpReluTranscoder | Self::JumpReluSkipTranscoder)
    }
}

/// Reads a folder.
///
/// # Errors
/// [`FileError::Io`] and [`FileError::Syntax`] for files that cannot be read; [`FileError::Field`] and
/// [`FileError::UnknownField`] for a config that cannot be honored; [`FileError::Tensor`] for tensors that are missing, left
/// over or of other shapes; [`FileError::Dictionary`] for numbers that are not finite or out of range.
///
/// # Examples
///
/// ```
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/lens-topk/given");
/// let read = sae::files::sae_lens::read(folder.as_ref())?;
/// assert_eq!(read.dictionary.parts().activation, sae::Activation::TopK { k: 3 });
/// assert_eq!(read.about.model.as_deref(), Some("tiny"));
/// # Ok::<(), sae::files::FileError>(())
/// ```
pub fn read(folder: &Path) -> Result<Loaded, FileError> {
    let mut fields = Fields::read(&folder.join(CONFIG))?;
    let architecture = architecture(&mut fields)?;
    let about = about(&mut fields)?;
    let (d, n) = (fields.size("d_in")?, fields.size("d_sae")?);
    let out = if architecture.is_transcoder() { fields.size("d_out")? } else { d };
    let choice = "true or false: whether b_dec is taken from activations before they are encoded";
    let centers = fields.required("apply_b_dec_to_input", choice)?;
    if centers && architecture.is_transcoder() {
        return Err(fields.error("apply_b_dec_to_input", "false for a transcoder", "true"));
    }
    let scaling = scaling(&mut fields, folder, architecture)?;
    let shapes = "none or hook_z";
    match fields.optional::<String>("reshape_activations", shapes)?.as_deref() {
        None | Some("none" | "hook_z") => {}
        Some(other) => return Err(fields.error("reshape_activations", shapes, other)),
    }
    let (mut k, mut rescales) = (0, false);
    if architecture == Architecture::TopK {
        k = fields.size("k")?;
        let rescale = fields.optional("rescale_acts_by_decoder_norm", "true or false")?;
        rescales = rescale.unwrap_or(false);
    }
    let text = "a text";
    fields.optional::<String>("dtype", text)?;
    fields.optional::<String>("device", text)?;
    fields.keep(TRAINING);
    fields.finish()?;

    let mut tensors = Tensors::read(&folder.join(WEIGHTS))?;
    let gated = architecture == Architecture::Gated;
    let mut parts = Parts {
        encoder: tensors.transposed("W_enc", [d, n])?,
        decoder: tensors.matrix("W_dec", [n, out])?,
        encoder_bias: tensors.vector(if gated { "b_gate" } else { "b_enc" }, n)?,
        decoder_bias: tensors.vector("b_dec", out)?,
        activation: match architecture {
            Architecture::TopK => Activation::TopK { k },
            Architecture::Gated => gates(&mut tensors, n, "b_mag")?,
            _ if architecture.has_thresholds() => Activation::JumpRelu {
                thresholds: fit::thresholds(tensors.vector("threshold", n)?),
            },
            _ => Activation::Relu,
        },
        centers,
        skip: if architecture.has_skip() {
            Some(tensors.matrix("W_skip", [out, d])?)
        } else {
            None
        },
        scaling,
    };
    scaling_factor(&mut tensors, n)?;
    let file = tensors.file().to_owned();
    tensors.finish()?;
    if rescales {
        fit::fold(&mut parts).map_err(FileError::dictionary(&file))?;
    }
    let dictionary = Dictionary::new(parts).map_err(FileError::dictionary(&file))?;
    Ok(Loaded { dictionary, about, format: Format::SaeLens })
}

/// Scales `exp(r_mag)` of magnitudes, and their bias.
pub(super) fn gates(tensors: &mut Tensors, n: usize, bias: &str) -> Result<Activation, FileError> {
    Ok(Activation::Gated {
        scales: tensors.vector("r_mag", n)?.into_iter().map(libm::expf).collect(),
        magnitude_bias: tensors.vector(bias, n)?,
    })
}

fn architecture(fields: &mut Fields) -> Result<Architecture, FileError> {
    let names = Architecture::ALL.map(Architecture::name).join(", ");
    let expected = format!("one of {names}");
    let got: String = fields.required("architecture", &expected)?;
    let found = Architecture::ALL.into_iter().find(|architecture| architecture.name() == got);
    let batch = "batchtopk and matryoshka_batchtopk are names of a training: save the dictionary with \
                 save_inference_model, which makes it a jumprelu; else one of";
    let expected = if got.ends_with("batchtopk") { format!("{batch} {names}") } else { expected };
    found.ok_or_else(|| fields.error("architecture", &expected, got))
}

/// What is said of the dictionary, whose version must be one that the fields are of.
fn about(fields: &mut Fields) -> Result<About, FileError> {
    let expected = "6 or later: load and save it with SAELens 6, older configs mean other things";
    let outer: Option<String> = fields.optional("sae_lens_version", expected)?;
    let mut metadata = fields.within("metadata", "an object with sae_lens_version")?;
    let version = match outer {
        Some(version) => version,
        None => metadata.required("sae_lens_version", expected)?,
    };
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 6) {
        return Err(metadata.error("sae_lens_version", expected, version));
    }
    let text = "a text";
    let model = metadata.optional("model_name", text)?;
    let hook = metadata.optional("hook_name", text)?;
    let context = metadata.optional("context_size", "a whole number")?;
    let mut rest = metadata.keep_all();
    rest.insert("sae_lens_version".to_owned(), Value::String(version));
    Ok(About { model, hook, context, rest })
}

fn scaling(
    fields: &mut Fields,
    folder: &Path,
    architecture: Architecture,
) -> Result<Scaling, FileError> {
    let field = "normalize_activations";
    let known = "none, constant_norm_rescale, layer_norm or expected_average_only_in";
    let name: String = fields.required(field, known)?;
    if name != "none" && architecture.is_transcoder() {
        let expected = "none for a transcoder: SAELens scales what it reads and never undoes it";
        return Err(fields.error(field, expected, name));
    }
    match name.as_str() {
        "none" => Ok(Scaling::None),
        "constant_norm_rescale" => Ok(Scaling::Length),
        "layer_norm" => Ok(Scaling::LayerNorm),
        "expected_average_only_in" if folder.join(SCALER).exists() => {
            let mut scaler = Fields::read(&folder.join(SCALER))?;
            let factor = "the number that activations are multiplied by";
            let factor = scaler.required("scaling_factor", factor)?;
            let whitens = "false: whitening is to be folded with SAELens";
            if scaler.optional("has_whitening", whitens)?.unwrap_or(false) {
                return Err(scaler.error("has_whitening", whitens, "true"));
            }
            scaler.finish()?;
            Ok(Scaling::By { factor })
        }
        "expected_average_only_in" => {
            let expected = "the factor in activation_scaler.json beside it; without, fold the factor in \
                            with fold_activation_norm_scaling_factor of SAELens and save again";
            Err(fields.error(field, expected, "expected_average_only_in alone"))
        }
        _ => Err(fields.error(field, known, name)),
    }
}

/// A tensor of old times that multiplies values; all 1 it may be there.
fn scaling_factor(tensors: &mut Tensors, n: usize) -> Result<(), FileError> {
    let name = "scaling_factor";
    if !tensors.has(name) {
        return Ok(());
    }
    let factors = tensors.vector(name, n)?;
    match factors.iter().find(|factor| (**factor - 1.0).abs() > 1e-5 || factor.is_nan()) {
        None => Ok(()),
        Some(factor) => Err(tensors.error(name, "nothing but 1", factor.to_string())),
    }
}
