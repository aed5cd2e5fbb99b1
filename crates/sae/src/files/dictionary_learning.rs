//! `dictionary_learning`: config.json, and ae.safetensors or ae.pt.
//!
//! | `dict_class` | tensors | what is computed |
//! |---|---|---|
//! | `AutoEncoder` | bias, encoder.weight `[n, d]`, encoder.bias, decoder.weight `[d, n]` | rectified; centered; the library makes rows of the decoder those of length 1 when it loads, here the same is done |
//! | `AutoEncoderNew` | encoder and decoder, both with bias | rectified; not centered |
//! | `AutoEncoderTopK` | k, threshold, encoder, decoder.weight, `b_dec` | the k largest of a row, as `encode` does unless asked for thresholds; centered |
//! | `BatchTopKSAE` | the same | those above threshold; centered |
//! | `MatryoshkaBatchTopKSAE` | k, threshold, `group_sizes`, `W_enc` `[d, n]`, `b_enc`, `W_dec` `[n, d]`, `b_dec` | those above threshold; centered |
//! | `GatedAutoEncoder` | `decoder_bias`, `r_mag`, `gate_bias`, `mag_bias`, encoder.weight, decoder.weight | gates; centered |
//! | `JumpReluAutoEncoder` | `W_enc` `[d, n]`, `b_enc`, `W_dec` `[n, d]`, `b_dec`, threshold `[n]` | those above thresholds; not centered |
//!
//! A batch's threshold of −1 was never set. The library would then pass every positive value, about half of all latents, so
//! that is refused; of `AutoEncoderTopK` the threshold is kept in [`About::rest`] and not used. Values are those of
//! `encode`: `AutoEncoderNew` returns them from `forward` times the lengths of the decoder's rows, which is
//! [`Dictionary::folded`].
//!
//! `SAELens` 6.54.12 reads these files too (`dictionary_learning_sae_huggingface_loader_1`), with the same values but for two
//! classes: an `AutoEncoder` keeps its rows of unlike lengths, so that values of latents are others than those that this
//! library's own loading gives, and an `AutoEncoderNew` is not loaded, since its decoder.bias is overlooked.
//!
//! # Checkpoints
//!
//! The library stores ae.pt, a pickle. One is read if it holds nothing but tensors of floating-point numbers; no code in it
//! is run. Those with k are refused, since it is stored as a 32-bit whole number. Pickles are never written. In Python,
//! from ae.pt and to it:
//!
//! ```python
//! import safetensors.torch, torch
//!
//! state = torch.load("ae.pt", map_location="cpu", weights_only=True)
//! state = {name: tensor.contiguous() for name, tensor in state.items()}
//! safetensors.torch.save_file(state, "ae.safetensors")
//!
//! torch.save(safetensors.torch.load_file("ae.safetensors"), "ae.pt")
//! ```

use std::path::Path;

use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::sae_lens::gates;
use super::tensors::{self, Stored, Tensors};
use super::{About, FileError, Format, Loaded, complete, fit, write_json};
use crate::{Activation, Dictionary, Parts, Scaling};

/// The names in the folder.
pub(super) const WEIGHTS: &str = "ae.safetensors";
pub(super) const CHECKPOINT: &str = "ae.pt";
const CONFIG: &str = "config.json";
const NAME: &str = "dictionary_learning";

/// What a config says of a training, which changes nothing once it is over.
const TRAINING: &[&str] = &[
    "anneal_start",
    "auxk_alpha",
    "bandwidth",
    "decay_start",
    "device",
    "group_fractions",
    "group_sizes",
    "group_weights",
    "l1_penalty",
    "layer",
    "lr",
    "n_sparsity_updates",
    "norm_factor",
    "p_end",
    "p_start",
    "resample_steps",
    "seed",
    "sparsity_function",
    "sparsity_penalty",
    "sparsity_queue_length",
    "sparsity_warmup_steps",
    "steps",
    "target_l0",
    "threshold_beta",
    "threshold_start_step",
    "top_k_aux",
    "trainer_class",
    "wandb_name",
    "warmup_steps",
];

/// A class of the library.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Standard,
    New,
    TopK,
    BatchTopK,
    Matryoshka,
    Gated,
    JumpRelu,
}

impl Class {
    const ALL: [Self; 7] = [
        Self::Standard,
        Self::New,
        Self::TopK,
        Self::BatchTopK,
        Self::Matryoshka,
        Self::Gated,
        Self::JumpRelu,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Standard => "AutoEncoder",
            Self::New => "AutoEncoderNew",
            Self::TopK => "AutoEncoderTopK",
            Self::BatchTopK => "BatchTopKSAE",
            Self::Matryoshka => "MatryoshkaBatchTopKSAE",
            Self::Gated => "GatedAutoEncoder",
            Self::JumpRelu => "JumpReluAutoEncoder",
        }
    }

    /// The name of the decoder's bias.
    const fn decoder_bias(self) -> &'static str {
        match self {
            Self::Standard => "bias",
            Self::New => "decoder.bias",
            Self::Gated => "decoder_bias",
            Self::TopK | Self::BatchTopK | Self::Matryoshka | Self::JumpRelu => "b_dec",
        }
    }

    const fn encoder_bias(self) -> &'static str {
        match self {
            Self::Gated => "gate_bias",
            Self::Matryoshka | Self::JumpRelu => "b_enc",
            Self::Standard | Self::New | Self::TopK | Self::BatchTopK => "encoder.bias",
        }
    }

    /// Whether weights lie as `W_enc` and `W_dec`, with latents along the other axis.
    const fn is_bare(self) -> bool {
        matches!(self, Self::Matryoshka | Self::JumpRelu)
    }

    const fn has_k(self) -> bool {
        matches!(self, Self::TopK | Self::BatchTopK | Self::Matryoshka)
    }

    const fn centers(self) -> bool {
        !matches!(self, Self::New | Self::JumpRelu)
    }
}

/// Reads a folder; of both kinds of weights, ae.safetensors.
///
/// # Errors
/// [`FileError::Io`], [`FileError::Syntax`] and [`FileError::Decode`] for files that cannot be read; [`FileError::Field`]
/// and [`FileError::UnknownField`] for a config that cannot be honored; [`FileError::Tensor`] for tensors that are missing,
/// left over, of other shapes, or of other values than the config says; [`FileError::Dictionary`] for numbers that are not
/// finite or out of range.
///
/// # Examples
///
/// ```
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/learning-batchtopk/given");
/// let read = sae::files::dictionary_learning::read(folder.as_ref())?;
/// let thresholds = vec![0.45; 10];
/// assert_eq!(read.dictionary.parts().activation, sae::Activation::JumpRelu { thresholds });
/// assert_eq!(read.about.rest["k"], 3);
/// # Ok::<(), sae::files::FileError>(())
/// ```
pub fn read(folder: &Path) -> Result<Loaded, FileError> {
    let mut fields = Fields::read(&folder.join(CONFIG))?;
    let mut trainer = fields.within("trainer", "an object with dict_class")?;
    let names = Class::ALL.map(Class::name).join(", ");
    let expected = format!("one of {names}");
    let name: String = trainer.required("dict_class", &expected)?;
    let class = Class::ALL.into_iter().find(|class| class.name() == name);
    let class = class.ok_or_else(|| trainer.error("dict_class", &expected, name))?;
    let (d, n) = (trainer.size("activation_dim")?, trainer.size("dict_size")?);
    let k = if class.has_k() { Some(trainer.size("k")?) } else { None };
    let text = "a text";
    let mut about = About {
        model: trainer.optional("lm_name", text)?,
        hook: trainer.optional("submodule_name", text)?,
        context: None,
        rest: trainer.keep(TRAINING),
    };
    trainer.finish()?;
    if let Some(mut buffer) = fields.optional::<Map<String, Value>>("buffer", "an object")? {
        about.context = buffer.remove("ctx_len").and_then(|n| usize::try_from(n.as_u64()?).ok());
        about.rest.insert("buffer".to_owned(), Value::Object(buffer));
    }
    fields.finish()?;

    let mut tensors = read_tensors(folder)?;
    let (encoder, decoder) = if class.is_bare() {
        (tensors.transposed("W_enc", [d, n])?, tensors.matrix("W_dec", [n, d])?)
    } else {
        (tensors.matrix("encoder.weight", [n, d])?, tensors.transposed("decoder.weight", [d, n])?)
    };
    let activation = activation(class, &mut tensors, n, k, &mut about)?;
    let mut parts = Parts {
        encoder,
        decoder,
        encoder_bias: tensors.vector(class.encoder_bias(), n)?,
        decoder_bias: tensors.vector(class.decoder_bias(), d)?,
        activation,
        centers: class.centers(),
        skip: None,
        scaling: Scaling::None,
    };
    let file = tensors.file().to_owned();
    tensors.finish()?;
    if class == Class::Standard && !fit::has_unit_rows(&parts) {
        fit::fold(&mut parts).map_err(FileError::dictionary(&file))?;
    }
    let dictionary = Dictionary::new(parts).map_err(FileError::dictionary(&file))?;
    Ok(Loaded { dictionary, about, format: Format::DictionaryLearning })
}

fn activation(
    class: Class,
    tensors: &mut Tensors,
    n: usize,
    k: Option<usize>,
    about: &mut About,
) -> Result<Activation, FileError> {
    if let Some(k) = k {
        let stored = tensors.whole("k")?;
        if stored != [k] {
            return Err(tensors.error(
                "k",
                &format!("{k}, as the config says"),
                format!("{stored:?}"),
            ));
        }
    }
    match (class, k) {
        (Class::TopK, Some(k)) => {
            let threshold = tensors.scalar("threshold")?;
            about.rest.insert("threshold".to_owned(), threshold.into());
            Ok(Activation::TopK { k })
        }
        (Class::BatchTopK | Class::Matryoshka, _) => {
            let threshold = tensors.scalar("threshold")?;
            if threshold < 0.0 {
                let expected = "0 or more: it was never set (the training ended before \
                                threshold_start_step), and without it about half of all latents \
                                would be active; train on, or store a threshold";
                return Err(tensors.error("threshold", expected, threshold.to_string()));
            }
            if class == Class::Matryoshka {
                let groups = tensors.whole("group_sizes")?;
                let sum = groups.iter().try_fold(0_usize, |sum, n| sum.checked_add(*n));
                if sum != Some(n) {
                    let expected = format!("sizes that add up to {n}");
                    return Err(tensors.error("group_sizes", &expected, format!("{sum:?}")));
                }
                about.rest.insert("group_sizes".to_owned(), groups.into());
            }
            about.rest.insert("k".to_owned(), k.into());
            Ok(Activation::JumpRelu { thresholds: vec![threshold; n] })
        }
        (Class::Gated, _) => gates(tensors, n, "mag_bias"),
        (Class::JumpRelu, _) => Ok(Activation::JumpRelu {
            thresholds: fit::thresholds(tensors.vector("threshold", n)?),
        }),
        (Class::Standard | Class::New | Class::TopK, _) => Ok(Activation::Relu),
    }
}

fn read_tensors(folder: &Path) -> Result<Tensors, FileError> {
    let (weights, checkpoint) = (folder.join(WEIGHTS), folder.join(CHECKPOINT));
    if weights.exists() || !checkpoint.exists() {
        return Tensors::read(&weights);
    }
    let bytes = std::fs::read(&checkpoint).map_err(FileError::io("read", &checkpoint))?;
    let mut tensors = Tensors::new(&checkpoint);
    let decoded = manifest::decode::pytorch::decode_state_dict(tensors.file(), &bytes);
    let remedy =
        "; make it ae.safetensors: the documentation of this format has the lines of Python";
    let decoded =
        decoded.map_err(|source| FileError::Decode { source: Box::new(source), remedy })?;
    for (name, numbers) in decoded {
        tensors.insert(&name, numbers)?;
    }
    Ok(tensors)
}

/// Writes a folder with config.json and ae.safetensors, which must not exist yet.
///
/// A scale of all activations is folded into the weights, and a center into biases where the class that the library has for
/// such values does not center, or out of them where it does. Thresholds that are the same for all latents become a
/// `BatchTopKSAE` if [`About::rest`] has its `k`. Rectified values become an `AutoEncoder` if they are centered and the
/// decoder's rows have length 1, which the library would else give them, and an `AutoEncoderNew` otherwise.
///
/// # Errors
/// [`FileError::Unwritable`] for predictions and for scaling row by row; [`FileError::Io`].
pub fn write(folder: &Path, dictionary: &Dictionary, about: &About) -> Result<(), FileError> {
    let mut parts = fit::unscaled(dictionary, NAME)?;
    let lacks = |why| FileError::Unwritable { format: NAME, why };
    let (n, d) = (parts.encoder.n_rows(), parts.encoder.n_columns());
    if parts.skip.is_some() || parts.decoder.n_columns() != d {
        return Err(lacks("it predicts other activations"));
    }
    let (class, k) = class(&parts, about);
    fit::center(&mut parts, class.centers());
    let mut stored = vec![
        Stored::vector(class.encoder_bias(), &parts.encoder_bias),
        Stored::vector(class.decoder_bias(), &parts.decoder_bias),
    ];
    if class.is_bare() {
        stored.push(Stored::matrix("W_enc", &parts.encoder.transposed()));
        stored.push(Stored::matrix("W_dec", &parts.decoder));
    } else {
        stored.push(Stored::matrix("encoder.weight", &parts.encoder));
        stored.push(Stored::matrix("decoder.weight", &parts.decoder.transposed()));
    }
    let k = k.map(i32::try_from).transpose().map_err(|_| lacks("k is beyond 32 bits"))?;
    stored.extend(k.map(|k| Stored::count("k", k)));
    match &parts.activation {
        Activation::Relu => {}
        Activation::TopK { .. } => {
            let threshold = about.rest.get("threshold").and_then(Value::as_f64);
            #[expect(clippy::cast_possible_truncation, reason = "it was single precision")]
            let threshold = threshold.map_or(-1.0, |threshold| threshold as f32);
            stored.push(Stored::scalar("threshold", threshold));
        }
        Activation::JumpRelu { thresholds } if class == Class::BatchTopK => {
            stored.push(Stored::scalar("threshold", thresholds[0]));
        }
        Activation::JumpRelu { thresholds } => {
            stored.push(Stored::vector("threshold", thresholds));
        }
        Activation::Gated { scales, magnitude_bias } => {
            let logs: Vec<f32> = scales.iter().map(|scale| libm::logf(*scale)).collect();
            stored.push(Stored::vector("r_mag", &logs));
            stored.push(Stored::vector("mag_bias", magnitude_bias));
        }
    }
    let mut trainer = json!({
        "dict_class": class.name(),
        "activation_dim": d,
        "dict_size": n,
        "lm_name": about.model,
        "submodule_name": about.hook,
    });
    if let Some(k) = k {
        trainer["k"] = k.into();
    }
    for name in TRAINING {
        if let Some(value) = about.rest.get(*name) {
            trainer[*name] = Value::clone(value);
        }
    }
    let buffer = about.rest.get("buffer").cloned();
    let mut buffer = buffer.filter(Value::is_object).unwrap_or_else(|| json!({}));
    buffer["ctx_len"] = about.context.into();
    let config = json!({ "trainer": trainer, "buffer": buffer });
    complete(folder, |draft| {
        write_json(&draft.join(CONFIG), &config)?;
        tensors::write(&draft.join(WEIGHTS), &stored)
    })
}

/// The class that computes the same, and its k.
fn class(parts: &Parts, about: &About) -> (Class, Option<usize>) {
    match &parts.activation {
        Activation::Relu if parts.centers && fit::has_unit_rows(parts) => (Class::Standard, None),
        Activation::Relu => (Class::New, None),
        Activation::TopK { k } => (Class::TopK, Some(*k)),
        Activation::Gated { .. } => (Class::Gated, None),
        Activation::JumpRelu { thresholds } => {
            let is_one = thresholds.windows(2).all(|two| two[0].to_bits() == two[1].to_bits());
            let k = about.rest.get("k").and_then(|k| usize::try_from(k.as_u64()?).ok());
            match k.filter(|k| is_one && *k > 0 && !thresholds.is_empty()) {
                Some(k) => (Class::BatchTopK, Some(k)),
                None => (Class::JumpRelu, None),
            }
        }
    }
}
