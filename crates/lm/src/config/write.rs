//! From a [`Config`] to config.json.

use serde_json::{Map, Value, json};

use super::{Activation, Config, Family, MlpForm, Positions};

impl Config {
    /// Writes config.json, as [`Config::from_json`] and other readers of Hugging Face folders take it.
    ///
    /// What the family has no field for is left out; [`Config::check`] tells.
    pub fn to_json(&self) -> Vec<u8> {
        let mut map = Map::new();
        let mut put = |field: &str, value: Value| map.insert(field.to_owned(), value);
        put("model_type", json!(self.family.model_type()));
        put("vocab_size", json!(self.vocab_size));
        put("tie_word_embeddings", json!(self.tied_embeddings));
        if let Some(width) = self.patch_width {
            put("engram", json!({ "patch_width": width }));
        }
        if let Some(class) = class(self.family) {
            put("architectures", json!([class]));
        }
        match self.family {
            Family::Gpt2 | Family::Gpt2QueryKeyNorm => self.put_gpt2(&mut map),
            Family::Llama | Family::Mistral | Family::Qwen3 | Family::GptOss => {
                self.put_llama(&mut map);
            }
        }
        let mut text = format!("{:#}", Value::Object(map)).into_bytes();
        text.push(b'\n');
        text
    }

    fn put_gpt2(&self, map: &mut Map<String, Value>) {
        let mut put = |field: &str, value: Value| map.insert(field.to_owned(), value);
        put("n_positions", json!(self.n_ctx));
        put("n_embd", json!(self.d_model));
        put("n_layer", json!(self.n_layers));
        put("n_head", json!(self.attention.n_heads));
        put("n_inner", json!(self.mlp.d_hidden));
        put("activation_function", json!(activation(self.mlp.activation, "gelu_new")));
        put("layer_norm_epsilon", json!(self.norm.eps));
    }

    fn put_llama(&self, map: &mut Map<String, Value>) {
        let attention = &self.attention;
        let mut put = |field: &str, value: Value| map.insert(field.to_owned(), value);
        put("hidden_size", json!(self.d_model));
        put("num_hidden_layers", json!(self.n_layers));
        put("max_position_embeddings", json!(self.n_ctx));
        put("num_attention_heads", json!(attention.n_heads));
        put("num_key_value_heads", json!(attention.n_kv_heads));
        put("head_dim", json!(attention.d_head));
        put("intermediate_size", json!(self.mlp.d_hidden));
        put("hidden_act", json!(activation(self.mlp.activation, "gelu_pytorch_tanh")));
        put("rms_norm_eps", json!(self.norm.eps));
        if self.family != Family::Mistral {
            put("attention_bias", json!(attention.bias));
        }
        let window = attention.windows.iter().flatten().next();
        if self.family != Family::Llama {
            put("sliding_window", json!(window));
        }
        if matches!(self.family, Family::Qwen3 | Family::GptOss) {
            let types = attention.windows.iter().map(|window| match window {
                Some(_) => "sliding_attention",
                None => "full_attention",
            });
            put("layer_types", json!(types.collect::<Vec<_>>()));
        }
        if self.family == Family::Qwen3 {
            put("use_sliding_window", json!(window.is_some()));
        }
        if self.family == Family::Llama {
            put("mlp_bias", json!(self.mlp.bias));
        }
        if let MlpForm::Experts { n_experts, n_active, limit } = self.mlp.form {
            put("num_local_experts", json!(n_experts));
            put("num_experts_per_tok", json!(n_active));
            put("swiglu_limit", json!(limit));
        }
        if let Positions::Rotary(rotary) = self.positions {
            rotary.put(map);
        }
    }
}

/// The class by which `transformers` loads the family.
const fn class(family: Family) -> Option<&'static str> {
    match family {
        Family::Gpt2 => Some("GPT2LMHeadModel"),
        Family::Gpt2QueryKeyNorm => None,
        Family::Llama => Some("LlamaForCausalLM"),
        Family::Mistral => Some("MistralForCausalLM"),
        Family::Qwen3 => Some("Qwen3ForCausalLM"),
        Family::GptOss => Some("GptOssForCausalLM"),
    }
}

const fn activation(activation: Activation, gelu_tanh: &'static str) -> &'static str {
    match activation {
        Activation::Gelu => "gelu",
        Activation::GeluTanh => gelu_tanh,
        Activation::Relu => "relu",
        Activation::Silu => "silu",
    }
}
