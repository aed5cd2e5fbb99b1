//! Models of other layouts as Hugging Face folders: config.json, model.safetensors, tokenizer.json.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, TensorView};

use crate::Error;
use crate::decode::llama2c::{Kind, Model, Piece, Sizes};

/// config.json. What the layout does not say is what llama2.c computes with: epsilon 1e-5, theta 10,000.
pub(crate) fn config(model: &Model) -> Vec<u8> {
    let Sizes { d_model, d_hidden, n_layers, n_heads, n_kv_heads, vocab_size, n_ctx, is_tied } =
        model.sizes;
    format!(
        r#"{{
  "architectures": ["LlamaForCausalLM"],
  "model_type": "llama",
  "torch_dtype": "float32",
  "vocab_size": {vocab_size},
  "hidden_size": {d_model},
  "intermediate_size": {d_hidden},
  "num_hidden_layers": {n_layers},
  "num_attention_heads": {n_heads},
  "num_key_value_heads": {n_kv_heads},
  "max_position_embeddings": {n_ctx},
  "hidden_act": "silu",
  "rms_norm_eps": 1e-05,
  "rope_theta": 10000.0,
  "tie_word_embeddings": {is_tied},
  "bos_token_id": 1,
  "eos_token_id": 2
}}
"#
    )
    .into_bytes()
}

/// model.safetensors, with the halves of each head paired for the rotation.
pub(crate) fn weights(file: &str, model: &Model) -> Result<Vec<u8>, Error> {
    let d_head = model.sizes.d_model / model.sizes.n_heads;
    let mut tensors = BTreeMap::new();
    for (kind, name) in [
        (Kind::Embed, "model.embed_tokens"),
        (Kind::AttentionNorm, "input_layernorm"),
        (Kind::Query, "self_attn.q_proj"),
        (Kind::Key, "self_attn.k_proj"),
        (Kind::Value, "self_attn.v_proj"),
        (Kind::Output, "self_attn.o_proj"),
        (Kind::MlpNorm, "post_attention_layernorm"),
        (Kind::Gate, "mlp.gate_proj"),
        (Kind::Down, "mlp.down_proj"),
        (Kind::Up, "mlp.up_proj"),
        (Kind::FinalNorm, "model.norm"),
        (Kind::Unembed, "lm_head"),
    ] {
        let is_once = matches!(kind, Kind::Embed | Kind::FinalNorm | Kind::Unembed);
        let (shape, weights) = model.weights(kind);
        for (layer, weights) in weights.into_iter().enumerate() {
            let name = if is_once {
                format!("{name}.weight")
            } else {
                format!("model.layers.{layer}.{name}.weight")
            };
            let numbers = match kind {
                Kind::Query | Kind::Key => halves(weights, model.sizes.d_model, d_head),
                _ => weights.to_vec(),
            };
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            tensors.insert(name, (shape.clone(), bytes));
        }
    }
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?))
    });
    let written = views.collect::<Result<Vec<_>, _>>();
    let written = written.and_then(|views| safetensors::serialize(views, None));
    written.map_err(|error| {
        Error::decode(file, "model", "weights that fill their shapes", error.to_string())
    })
}

/// The rows of each head with its pairs, 2i and 2i + 1, taken apart: those of even index first.
fn halves(weights: &[f32], d_model: usize, d_head: usize) -> Vec<f32> {
    let rows: Vec<&[f32]> = weights.chunks_exact(d_model).collect();
    let heads = rows.chunks_exact(d_head);
    let parted =
        heads.flat_map(|head| head.iter().step_by(2).chain(head.iter().skip(1).step_by(2)));
    parted.flat_map(|row| row.iter().copied()).collect()
}

/// tokenizer.json: a byte-pair encoding whose merges go by the scores of what they make, with a space
/// before the text, a token for each byte without one, and `<s>` to begin a text.
pub(crate) fn tokenizer(file: &str, pieces: &[Piece]) -> Result<Vec<u8>, Error> {
    let wrong =
        |expected: &str, got: String| Error::decode(file, "llama2.c tokenizer", expected, got);
    let mut vocab = BTreeMap::new();
    for (id, piece) in pieces.iter().enumerate() {
        let token = match id {
            1 => "<s>".to_owned(),
            2 => "</s>".to_owned(),
            _ => piece.text.replace(' ', "▁"),
        };
        if vocab.insert(token, id).is_some() {
            return Err(wrong("different tokens", format!("{:?} again", piece.text)));
        }
    }
    if vocab.get("<unk>") != Some(&0) || vocab.len() < 259 {
        return Err(wrong("<unk>, <s>, </s>, and 256 bytes first", "others".to_owned()));
    }
    let mut merges = Vec::new();
    for (token, id) in vocab.iter().filter(|(_, id)| **id >= 259) {
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(l), Some(r)) = (vocab.get(left), vocab.get(right)) {
                merges.push((pieces[*id].score, *id, (*l, *r), [left, right]));
            }
        }
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let merges: Vec<[&str; 2]> = merges.into_iter().map(|(.., pair)| pair).collect();
    let json = |error: serde_json::Error| wrong("what JSON can hold", error.to_string());
    let vocab = serde_json::to_string(&vocab).map_err(json)?;
    let merges = serde_json::to_string(&merges).map_err(json)?;
    let special = |id: usize, token: &str| {
        format!(
            r#"{{"id":{id},"content":"{token}","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}}"#
        )
    };
    let (unk, bos, eos) = (special(0, "<unk>"), special(1, "<s>"), special(2, "</s>"));
    Ok(format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,
"added_tokens":[{unk},{bos},{eos}],
"normalizer":{{"type":"Sequence","normalizers":[{{"type":"Prepend","prepend":"▁"}},{{"type":"Replace","pattern":{{"String":" "}},"content":"▁"}}]}},
"pre_tokenizer":null,
"post_processor":{{"type":"TemplateProcessing","single":[{{"SpecialToken":{{"id":"<s>","type_id":0}}}},{{"Sequence":{{"id":"A","type_id":0}}}}],"pair":[{{"SpecialToken":{{"id":"<s>","type_id":0}}}},{{"Sequence":{{"id":"A","type_id":0}}}},{{"SpecialToken":{{"id":"<s>","type_id":1}}}},{{"Sequence":{{"id":"B","type_id":1}}}}],"special_tokens":{{"<s>":{{"id":"<s>","ids":[1],"tokens":["<s>"]}}}}}},
"decoder":{{"type":"Sequence","decoders":[{{"type":"Replace","pattern":{{"String":"▁"}},"content":" "}},{{"type":"ByteFallback"}},{{"type":"Fuse"}},{{"type":"Strip","content":" ","start":1,"stop":0}}]}},
"model":{{"type":"BPE","dropout":null,"unk_token":"<unk>","continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":true,"byte_fallback":true,"ignore_merges":false,
"vocab":{vocab},
"merges":{merges}}}}}
"#
    )
    .into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two heads of four rows of one number: pairs (0, 1), (2, 3) become halves (0, 2), (1, 3).
    #[test]
    fn pairs_become_halves_head_by_head() {
        let rows = [0., 1., 2., 3., 10., 11., 12., 13.];
        assert_eq!(halves(&rows, 1, 4), [0., 2., 1., 3., 10., 12., 11., 13.]);
    }

    #[test]
    fn merges_go_by_the_score_of_what_they_make() {
        let mut texts: Vec<(f32, String)> =
            ["<unk>", "\n<s>\n", "\n</s>\n"].map(|text| (0.0, text.to_owned())).to_vec();
        texts.extend((0..=u8::MAX).map(|byte| (0.0, format!("<0x{byte:02X}>"))));
        for (score, text) in
            [(-5.0, "a"), (-6.0, "b"), (-7.0, " "), (-2.0, "ab"), (-1.0, " a"), (-3.0, " ab")]
        {
            texts.push((score, text.to_owned()));
        }
        let pieces: Vec<Piece> =
            texts.into_iter().map(|(score, text)| Piece { score, text }).collect();
        let json: serde_json::Value =
            serde_json::from_slice(&tokenizer("t", &pieces).unwrap()).unwrap();
        let expected = serde_json::json!([["▁", "a"], ["a", "b"], ["▁", "ab"], ["▁a", "b"]]);
        assert_eq!(json["model"]["merges"], expected);
        assert_eq!(json["model"]["vocab"]["▁ab"], 264);
        assert!(tokenizer("t", &pieces[1..]).is_err());
        let again = [pieces.clone(), vec![pieces[260].clone()]].concat();
        assert!(tokenizer("t", &again).unwrap_err().to_string().contains("\"b\" again"));
    }
}
