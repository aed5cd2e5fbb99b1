//! Where each parameter stands in a checkpoint of its family: one table for loading and saving.

use crate::config::{NormKind, Positions, QueryKeyNorm};
use crate::{Config, Family, MlpForm};

/// A parameter, and the part of a stored tensor that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The parameter's name in this crate.
    pub name: String,
    /// Its shape in this crate; projections are `[in, out]`.
    pub shape: Vec<usize>,
    /// The stored tensor's name.
    pub tensor: String,
    part: Part,
}

/// Which numbers of a stored tensor make a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// All, in order.
    Whole,
    /// All, rows and columns exchanged.
    Transposed,
    /// Of several tensors side by side along the last axis, one.
    Beside { nth: usize, of: usize },
    /// Of several tensors whose last axes alternate, one.
    Alternating { nth: usize, of: usize },
}

impl Place {
    /// How many numbers the parameter has.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The shape of the stored tensor.
    pub(crate) fn stored_shape(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        match self.part {
            Part::Whole => {}
            Part::Transposed => shape.reverse(),
            Part::Beside { of, .. } | Part::Alternating { of, .. } => {
                if let Some(last) = shape.last_mut() {
                    *last *= of;
                }
            }
        }
        shape
    }

    /// Where number `index` of the parameter stands in the stored tensor.
    fn stored_index(&self, index: usize) -> usize {
        let n_columns = self.shape[self.shape.len() - 1];
        let (row, column) = (index / n_columns, index % n_columns);
        match self.part {
            Part::Whole => index,
            Part::Transposed => column * self.shape[0] + row,
            Part::Beside { nth, of } => row * n_columns * of + nth * n_columns + column,
            Part::Alternating { nth, of } => row * n_columns * of + column * of + nth,
        }
    }

    /// The parameter, from the stored tensor.
    pub(crate) fn extract(&self, stored: &[f32]) -> Vec<f32> {
        match self.part {
            Part::Whole => stored.to_vec(),
            _ => (0..self.len()).map(|index| stored[self.stored_index(index)]).collect(),
        }
    }

    /// Puts the parameter where it stands in the stored tensor.
    pub(crate) fn insert(&self, parameter: &[f32], stored: &mut [f32]) {
        for (index, value) in parameter.iter().enumerate() {
            stored[self.stored_index(index)] = *value;
        }
    }
}

/// Collects places under a common beginning of their names.
struct Table<'a> {
    places: Vec<Place>,
    config: &'a Config,
}

impl Table<'_> {
    fn add(&mut self, name: String, shape: &[usize], tensor: String, part: Part) {
        self.places.push(Place { name, shape: shape.to_vec(), tensor, part });
    }

    fn norm(&mut self, name: &str, width: usize, tensor: &str) {
        self.add(format!("{name}.weight"), &[width], format!("{tensor}.weight"), Part::Whole);
        if self.config.norm.kind == NormKind::Layer {
            self.add(format!("{name}.bias"), &[width], format!("{tensor}.bias"), Part::Whole);
        }
    }

    /// A projection that is stored as `[out, in]`.
    fn linear(&mut self, name: &str, shape: [usize; 2], has_bias: bool, tensor: &str) {
        self.add(format!("{name}.weight"), &shape, format!("{tensor}.weight"), Part::Transposed);
        if has_bias {
            self.add(format!("{name}.bias"), &shape[1..], format!("{tensor}.bias"), Part::Whole);
        }
    }

    /// A projection that is stored as `[in, out]`.
    fn columns(&mut self, name: &str, shape: [usize; 2], tensor: &str) {
        self.add(format!("{name}.weight"), &shape, format!("{tensor}.weight"), Part::Whole);
        self.add(format!("{name}.bias"), &shape[1..], format!("{tensor}.bias"), Part::Whole);
    }
}

/// The place of every parameter of a model; those that share a stored tensor stand together.
pub(crate) fn places(config: &Config) -> Vec<Place> {
    let mut table = Table { places: Vec::new(), config };
    let is_gpt2 = matches!(config.family, Family::Gpt2 | Family::Gpt2QueryKeyNorm);
    let (vocab_size, d_model) = (config.vocab_size, config.d_model);
    let (embed, blocks, norm) = if is_gpt2 {
        ("transformer.wte.weight", "transformer.h", "transformer.ln_f")
    } else {
        ("model.embed_tokens.weight", "model.layers", "model.norm")
    };
    table.add("embed".to_owned(), &[vocab_size, d_model], embed.to_owned(), Part::Whole);
    if config.positions == Positions::Learned {
        let tensor = "transformer.wpe.weight".to_owned();
        table.add("position_embed".to_owned(), &[config.n_ctx, d_model], tensor, Part::Whole);
    }
    if let Some(width) = config.patch_width {
        table.columns("patch_embed", [width, d_model], "engram.patch_embed");
    }
    for layer in 0..config.n_layers {
        let (name, tensor) = (format!("blocks.{layer}"), format!("{blocks}.{layer}"));
        if is_gpt2 {
            gpt2_block(&mut table, &name, &tensor);
        } else {
            llama_block(&mut table, &name, &tensor);
        }
    }
    table.norm("final_norm", d_model, norm);
    if !config.tied_embeddings {
        let tensor = "lm_head.weight".to_owned();
        table.add("unembed".to_owned(), &[d_model, vocab_size], tensor, Part::Transposed);
    }
    table.places
}

fn gpt2_block(table: &mut Table<'_>, name: &str, tensor: &str) {
    let config = table.config;
    let (d_model, d_hidden) = (config.d_model, config.mlp.d_hidden);
    table.norm(&format!("{name}.attention_norm"), d_model, &format!("{tensor}.ln_1"));
    for (stored, shape) in [("weight", &[d_model, d_model][..]), ("bias", &[d_model])] {
        for (nth, part) in ["query", "key", "value"].into_iter().enumerate() {
            let tensor = format!("{tensor}.attn.c_attn.{stored}");
            let name = format!("{name}.attention.{part}.{stored}");
            table.add(name, shape, tensor, Part::Beside { nth, of: 3 });
        }
    }
    let (output, of) = (format!("{name}.attention.output"), format!("{tensor}.attn.c_proj"));
    table.columns(&output, [d_model, d_model], &of);
    if config.attention.query_key_norm == QueryKeyNorm::Unit {
        let (scale, of) = (format!("{name}.attention.scale"), format!("{tensor}.attn.scale"));
        table.add(scale, &[config.attention.n_heads], of, Part::Whole);
    }
    table.norm(&format!("{name}.mlp_norm"), d_model, &format!("{tensor}.ln_2"));
    for (part, of, shape) in
        [("input", "c_fc", [d_model, d_hidden]), ("output", "c_proj", [d_hidden, d_model])]
    {
        let (name, tensor) = (format!("{name}.mlp.{part}"), format!("{tensor}.mlp.{of}"));
        table.columns(&name, shape, &tensor);
    }
}

fn llama_block(table: &mut Table<'_>, name: &str, tensor: &str) {
    let config = table.config;
    let attention = &config.attention;
    let (d_model, d_heads, d_kv) = (config.d_model, config.d_heads(), config.d_kv_heads());
    let bias = attention.bias;
    table.norm(&format!("{name}.attention_norm"), d_model, &format!("{tensor}.input_layernorm"));
    for (part, of, shape) in [
        ("query", "q_proj", [d_model, d_heads]),
        ("key", "k_proj", [d_model, d_kv]),
        ("value", "v_proj", [d_model, d_kv]),
        ("output", "o_proj", [d_heads, d_model]),
    ] {
        let (name, tensor) =
            (format!("{name}.attention.{part}"), format!("{tensor}.self_attn.{of}"));
        table.linear(&name, shape, bias, &tensor);
    }
    if attention.query_key_norm == QueryKeyNorm::Rms {
        for (part, of) in [("query_norm", "q_norm"), ("key_norm", "k_norm")] {
            let tensor = format!("{tensor}.self_attn.{of}");
            table.norm(&format!("{name}.attention.{part}"), attention.d_head, &tensor);
        }
    }
    if attention.sinks {
        let (sinks, of) = (format!("{name}.attention.sinks"), format!("{tensor}.self_attn.sinks"));
        table.add(sinks, &[attention.n_heads], of, Part::Whole);
    }
    let norm = format!("{tensor}.post_attention_layernorm");
    table.norm(&format!("{name}.mlp_norm"), d_model, &norm);
    let (name, tensor) = (format!("{name}.mlp"), format!("{tensor}.mlp"));
    let d_hidden = config.mlp.d_hidden;
    let MlpForm::Experts { n_experts, .. } = config.mlp.form else {
        for (part, of, shape) in [
            ("gate", "gate_proj", [d_model, d_hidden]),
            ("input", "up_proj", [d_model, d_hidden]),
            ("output", "down_proj", [d_hidden, d_model]),
        ] {
            let bias = config.mlp.bias;
            table.linear(&format!("{name}.{part}"), shape, bias, &format!("{tensor}.{of}"));
        }
        return;
    };
    table.linear(
        &format!("{name}.router"),
        [d_model, n_experts],
        true,
        &format!("{tensor}.router"),
    );
    let experts = format!("{tensor}.experts");
    let weights = [n_experts, d_model, d_hidden];
    for (kind, stored, shape) in
        [("w", "gate_up_proj", &weights[..]), ("b", "gate_up_proj_bias", &[n_experts, d_hidden])]
    {
        for (nth, part) in ["gate", "in"].into_iter().enumerate() {
            let tensor = format!("{experts}.{stored}");
            let part_of = Part::Alternating { nth, of: 2 };
            table.add(format!("{name}.{kind}_{part}"), shape, tensor, part_of);
        }
    }
    let shape = [n_experts, d_hidden, d_model];
    table.add(format!("{name}.w_out"), &shape, format!("{experts}.down_proj"), Part::Whole);
    let (bias, of) = (format!("{name}.b_out"), format!("{experts}.down_proj_bias"));
    table.add(bias, &[n_experts, d_model], of, Part::Whole);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(part: Part) -> Place {
        Place { name: String::new(), shape: vec![2, 3], tensor: String::new(), part }
    }

    #[test]
    fn parts_are_found_where_they_stand_and_put_back() {
        let stored: Vec<f32> = (0..12_u8).map(f32::from).collect();
        for (part, shape, expected) in [
            (Part::Whole, vec![2, 3], [0., 1., 2., 3., 4., 5.]),
            (Part::Transposed, vec![3, 2], [0., 2., 4., 1., 3., 5.]),
            (Part::Beside { nth: 1, of: 2 }, vec![2, 6], [3., 4., 5., 9., 10., 11.]),
            (Part::Alternating { nth: 1, of: 2 }, vec![2, 6], [1., 3., 5., 7., 9., 11.]),
        ] {
            let place = place(part);
            assert_eq!(place.stored_shape(), shape);
            let n = shape.iter().product::<usize>();
            let found = place.extract(&stored[..n]);
            assert_eq!(found, expected, "{part:?}");
            let mut again = vec![-1.0; n];
            place.insert(&found, &mut again);
            for (new, old) in again.iter().zip(&stored) {
                assert!(new.to_bits() == old.to_bits() || (*new < 0.0 && n == 12));
            }
            assert_eq!(again.iter().filter(|value| **value >= 0.0).count(), 6);
        }
    }
}
