//! From config.json to a [`Config`].

use serde_json::{Value, json};

use super::fields::Fields;
use super::{
    Activation, Attention, Config, Family, Mlp, MlpForm, Norm, NormKind, Positions, QueryKeyNorm,
    Rotary, SWIGLU_ALPHA,
};
use crate::LmError;

/// Deeper models than this are refused.
const MOST_LAYERS: usize = 1024;

/// Fields that say nothing about what a forward pass computes.
const HARMLESS: &[&str] = &[
    "_attn_implementation_autoset",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "attn_pdrop",
    "auto_map",
    "bad_words_ids",
    "bos_token_id",
    "chunk_size_feed_forward",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "embd_pdrop",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "id2label",
    "initial_context_length",
    "initializer_range",
    "label2id",
    "length_penalty",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "remove_invalid_values",
    "reorder_and_upcast_attn",
    "repetition_penalty",
    "resid_pdrop",
    "return_dict",
    "return_dict_in_generate",
    "router_aux_loss_coef",
    "sep_token_id",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "use_bfloat16",
    "use_cache",
];

impl Config {
    /// Reads config.json; `file` names it in errors.
    ///
    /// What a checkpoint leaves out takes the default that its family has there.
    ///
    /// # Errors
    ///
    /// [`LmError::Syntax`] for what is no JSON object, [`LmError::Config`] for a value that cannot be
    /// honored (another model, activation or scaling of positions, sizes that do not go together),
    /// [`LmError::UnknownField`] for a field whose meaning is not known.
    pub fn from_json(file: &str, text: &[u8]) -> Result<Self, LmError> {
        let mut fields = Fields::parse(file, text)?;
        let name = fields.text("model_type", "")?;
        let Some(family) = Family::ALL.into_iter().find(|family| family.model_type() == name)
        else {
            let known = Family::ALL.map(Family::model_type).join(", ");
            return Err(fields.invalid(
                "model_type",
                format!("one of {known}"),
                format!("{name:?}"),
            ));
        };
        fields.ignore(HARMLESS);
        for (field, honored) in [
            ("add_cross_attention", json!(false)),
            ("cross_attention_hidden_size", Value::Null),
            ("is_decoder", json!(false)),
            ("is_encoder_decoder", json!(false)),
            ("pruned_heads", json!({})),
        ] {
            fields.only(field, &honored)?;
        }
        let config = match family {
            Family::Gpt2 | Family::Gpt2QueryKeyNorm => gpt2(&mut fields, family)?,
            Family::Llama | Family::Mistral | Family::Qwen3 | Family::GptOss => {
                llama(&mut fields, family)?
            }
        };
        if config.n_layers > MOST_LAYERS {
            let expected = format!("at most {MOST_LAYERS} layers");
            return Err(fields.invalid("the number of layers", expected, config.n_layers));
        }
        fields.finish()?;
        Ok(config)
    }
}

/// What this project adds to a family, in an object of its own.
fn patch_width(fields: &mut Fields) -> Result<Option<usize>, LmError> {
    let Some(mut ours) = fields.object("engram")? else { return Ok(None) };
    let width = ours.size("patch_width")?;
    ours.finish()?;
    Ok(width)
}

fn gpt2(fields: &mut Fields, family: Family) -> Result<Config, LmError> {
    fields.only("scale_attn_weights", &json!(true))?;
    fields.only("scale_attn_by_inverse_layer_idx", &json!(false))?;
    let d_model = fields.required_size("n_embd")?;
    let n_layers = fields.required_size("n_layer")?;
    let n_heads = fields.required_size("n_head")?;
    if !d_model.is_multiple_of(n_heads) {
        return Err(fields.invalid("n_head", format!("a divisor of n_embd, {d_model}"), n_heads));
    }
    // Older files give the context twice.
    let n_ctx = fields.required_size("n_positions")?;
    fields.only("n_ctx", &json!(n_ctx))?;
    let query_key_norm = match family {
        Family::Gpt2QueryKeyNorm => QueryKeyNorm::Unit,
        _ => QueryKeyNorm::None,
    };
    Ok(Config {
        family,
        vocab_size: fields.required_size("vocab_size")?,
        n_ctx,
        d_model,
        n_layers,
        norm: Norm {
            kind: NormKind::Layer,
            eps: fields.positive("layer_norm_epsilon")?.unwrap_or(1e-5),
        },
        positions: Positions::Learned,
        attention: Attention {
            n_heads,
            n_kv_heads: n_heads,
            d_head: d_model / n_heads,
            bias: true,
            query_key_norm,
            sinks: false,
            windows: vec![None; n_layers],
        },
        mlp: Mlp {
            d_hidden: fields.size("n_inner")?.unwrap_or(4 * d_model),
            activation: activation(fields, "activation_function", "gelu_new")?,
            bias: true,
            form: MlpForm::Plain,
        },
        tied_embeddings: fields.flag("tie_word_embeddings", true)?,
        patch_width: patch_width(fields)?,
    })
}

/// Llama and the families that vary it.
fn llama(fields: &mut Fields, family: Family) -> Result<Config, LmError> {
    let is_oss = family == Family::GptOss;
    fields.only("pretraining_tp", &json!(1))?;
    let d_model = fields.required_size("hidden_size")?;
    let n_layers = fields.required_size("num_hidden_layers")?;
    let n_ctx = fields.required_size("max_position_embeddings")?;
    let attention = attention(fields, family, d_model, n_layers)?;
    let form = if is_oss {
        let n_experts = fields.required_size("num_local_experts")?;
        let older = fields.size("experts_per_token")?;
        let n_active = fields.size("num_experts_per_tok")?.or(older).unwrap_or(4);
        if n_active > n_experts {
            let expected = format!("at most num_local_experts, {n_experts}");
            return Err(fields.invalid("num_experts_per_tok", expected, n_active));
        }
        let limit = fields.positive("swiglu_limit")?.unwrap_or(7.0);
        fields.only("swiglu_alpha", &json!(SWIGLU_ALPHA))?;
        MlpForm::Experts { n_experts, n_active, limit }
    } else {
        MlpForm::Gated
    };
    let activation = activation(fields, "hidden_act", "silu")?;
    if is_oss && activation != Activation::Silu {
        return Err(fields.invalid("hidden_act", "silu", format!("{activation:?}")));
    }
    let bias = if family == Family::Llama { fields.flag("mlp_bias", false)? } else { is_oss };
    let default_theta = if is_oss { None } else { Some(10_000.0) };
    Ok(Config {
        family,
        vocab_size: fields.required_size("vocab_size")?,
        n_ctx,
        d_model,
        n_layers,
        norm: Norm {
            kind: NormKind::Rms,
            eps: fields.positive("rms_norm_eps")?.unwrap_or(if is_oss { 1e-5 } else { 1e-6 }),
        },
        positions: Positions::Rotary(Rotary::take(fields, default_theta, n_ctx)?),
        attention,
        mlp: Mlp { d_hidden: fields.required_size("intermediate_size")?, activation, bias, form },
        tied_embeddings: fields.flag("tie_word_embeddings", false)?,
        patch_width: patch_width(fields)?,
    })
}

fn attention(
    fields: &mut Fields,
    family: Family,
    d_model: usize,
    n_layers: usize,
) -> Result<Attention, LmError> {
    let n_heads = fields.required_size("num_attention_heads")?;
    let default_kv_heads = match family {
        Family::Mistral | Family::GptOss => 8,
        Family::Qwen3 => 32,
        _ => n_heads,
    };
    let n_kv_heads = fields.size("num_key_value_heads")?.unwrap_or(default_kv_heads);
    if !n_heads.is_multiple_of(n_kv_heads) {
        let expected = format!("a divisor of num_attention_heads, {n_heads}");
        return Err(fields.invalid("num_key_value_heads", expected, n_kv_heads));
    }
    let default_d_head = match family {
        Family::Qwen3 => 128,
        Family::GptOss => 64,
        _ => d_model / n_heads,
    };
    let d_head = fields.size("head_dim")?.unwrap_or(default_d_head);
    if d_head == 0 || !d_head.is_multiple_of(2) {
        return Err(fields.invalid("head_dim", "an even number", d_head));
    }
    let bias = match family {
        Family::Mistral => false,
        _ => fields.flag("attention_bias", family == Family::GptOss)?,
    };
    Ok(Attention {
        n_heads,
        n_kv_heads,
        d_head,
        bias,
        query_key_norm: match family {
            Family::Qwen3 => QueryKeyNorm::Rms,
            _ => QueryKeyNorm::None,
        },
        sinks: family == Family::GptOss,
        windows: windows(fields, family, n_layers)?,
    })
}

/// The window of each layer.
fn windows(
    fields: &mut Fields,
    family: Family,
    n_layers: usize,
) -> Result<Vec<Option<usize>>, LmError> {
    if family == Family::Llama {
        return Ok(vec![None; n_layers]);
    }
    let default_window = if family == Family::GptOss { Some(128) } else { None };
    let mut window = fields.size("sliding_window")?.or(default_window);
    if family == Family::Mistral {
        return Ok(vec![window; n_layers]);
    }
    let slides: Vec<bool> = if family == Family::Qwen3 {
        if !fields.flag("use_sliding_window", false)? {
            window = None;
        }
        let first = fields.whole("max_window_layers")?.unwrap_or(28);
        (0..n_layers).map(|layer| window.is_some() && layer >= first).collect()
    } else {
        (0..n_layers).map(|layer| layer % 2 == 0).collect()
    };
    let slides = match fields.texts("layer_types", n_layers)? {
        None => slides,
        Some(types) => {
            let slides = types.iter().map(|name| match name.as_str() {
                "sliding_attention" => Ok(true),
                "full_attention" => Ok(false),
                other => {
                    let expected = "sliding_attention or full_attention";
                    Err(fields.invalid("layer_types", expected, other))
                }
            });
            slides.collect::<Result<_, _>>()?
        }
    };
    if window.is_none() && slides.contains(&true) {
        let expected = "a number of tokens that is in use, since a layer has a window";
        return Err(fields.invalid("sliding_window", expected, "none"));
    }
    Ok(slides.into_iter().map(|slides| window.filter(|_| slides)).collect())
}

fn activation(fields: &mut Fields, field: &str, default: &str) -> Result<Activation, LmError> {
    let name = fields.text(field, default)?;
    match name.as_str() {
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        "silu" | "swish" => Ok(Activation::Silu),
        _ => {
            let expected = "gelu, gelu_new, gelu_pytorch_tanh, relu, silu or swish";
            Err(fields.invalid(field, expected, name))
        }
    }
}
