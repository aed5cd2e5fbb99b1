//! The model in single precision, on fused operations, beside itself in double precision, on the tensor library's own.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Gradients, Tensor};
use lm::{Config, Hook, Hooks, Site, Tokens, Transformer};
use seed::Seed;

/// What rounding to 24 bits may change of the numbers of a tensor, relative to the largest: sums have some hundred
/// terms, one after the other in three layers.
const TOLERANCE: f64 = 2e-5;

/// What a tensor's largest number counts at least, relative to the largest of all gradients. That by the biases of keys
/// vanishes: softmax does not see what all scores of a query share.
const SMALLEST: f64 = 1e-4;

/// Families with what sets them apart: windows, groups, norms of queries and keys, experts, biases.
const CONFIGS: [&str; 6] = [
    r#"{"model_type": "gpt2", "vocab_size": 61, "n_positions": 40, "n_embd": 24, "n_layer": 2, "n_head": 3}"#,
    r#"{"model_type": "gpt2_query_key_norm", "vocab_size": 61, "n_positions": 40, "n_embd": 24, "n_layer": 2,
        "n_head": 3, "activation_function": "gelu", "tie_word_embeddings": false}"#,
    r#"{"model_type": "llama", "vocab_size": 61, "max_position_embeddings": 40, "hidden_size": 24,
        "intermediate_size": 50, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 6, "rope_theta": 100.0, "rms_norm_eps": 1e-5, "attention_bias": true}"#,
    r#"{"model_type": "mistral", "vocab_size": 61, "max_position_embeddings": 40, "hidden_size": 24,
        "intermediate_size": 50, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 1,
        "head_dim": 6, "sliding_window": 7, "rope_theta": 100.0}"#,
    r#"{"model_type": "qwen3", "vocab_size": 61, "max_position_embeddings": 40, "hidden_size": 24,
        "intermediate_size": 50, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 8, "rope_theta": 100.0}"#,
    r#"{"model_type": "gpt_oss", "vocab_size": 61, "max_position_embeddings": 40, "hidden_size": 24,
        "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 6, "num_local_experts": 3, "num_experts_per_tok": 2, "sliding_window": 9, "rope_theta": 100.0,
        "rope_scaling": {"rope_type": "default"}}"#,
];

/// Parameters become double, with gradients.
struct Doubled;

impl ModuleMapper for Doubled {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(DType::F64).detach().require_grad())
    }
}

/// The gradient by every parameter.
struct Collector<'a> {
    gradients: &'a Gradients,
    found: Vec<Vec<f64>>,
}

impl ModuleVisitor for Collector<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients).unwrap();
        self.found.push(gradient.try_into_vec_as::<f64>().unwrap());
    }
}

/// Logits, and the gradients of the loss of a weighted sum by every parameter.
fn run(model: &Transformer, tokens: &Tokens, hooks: &mut Hooks) -> Vec<Vec<f64>> {
    let logits = model.forward(tokens, hooks).unwrap();
    let [batch, len, vocab] = logits.dims();
    let n = batch * len;
    let targets: Vec<u32> = (0..n).map(|at| u32::try_from(at * 17 % vocab).unwrap()).collect();
    let weights: Vec<f32> = (0..n).map(|at| if at % 5 == 0 { 0.0 } else { 1.0 }).collect();
    let rows = logits.clone().reshape([n, vocab]);
    let loss = kernels::tensor::cross_entropy(rows, &targets, &weights).unwrap();
    let mut found = vec![
        loss.clone().try_into_vec_as::<f64>().unwrap(),
        logits.try_into_vec_as::<f64>().unwrap(),
    ];
    let gradients = loss.backward();
    let mut collector = Collector { gradients: &gradients, found: Vec::new() };
    model.visit(&mut collector);
    found.append(&mut collector.found);
    found
}

/// That loss, logits and gradients are the same but for rounding.
fn compare(config: &str, fused: &[Vec<f64>], plain: &[Vec<f64>]) {
    let largest_of = |x: &[f64]| x.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    let of_all = plain[2..].iter().map(|x| largest_of(x)).fold(0.0, f64::max);
    assert!(of_all > 0.0);
    assert_eq!(fused.len(), plain.len());
    for (at, (fused, plain)) in fused.iter().zip(plain).enumerate() {
        assert_eq!(fused.len(), plain.len());
        let largest = largest_of(plain).max(SMALLEST * of_all);
        for (fused, plain) in fused.iter().zip(plain) {
            let apart = (fused - plain).abs();
            assert!(apart <= TOLERANCE * largest, "{config}: {at}: {fused}, not {plain}");
        }
    }
}

fn model(config: &str) -> Transformer {
    let device = device::DeviceName::Flex.open().unwrap().autodiff();
    let config = Config::from_json("config.json", config.as_bytes()).unwrap();
    Transformer::random(config, Seed::new(8), &device).unwrap()
}

fn tokens() -> Tokens {
    let text = |text: u32| (0..33).map(|at| (at * 37 + text * 11) % 61).collect();
    Tokens::new((0..3).map(text).collect()).unwrap()
}

#[test]
fn every_family_as_in_double_precision() {
    for config in CONFIGS {
        let (single, tokens) = (model(config), tokens());
        let double = single.clone().map(&mut Doubled);
        let fused = run(&single, &tokens, &mut Hooks::new());
        compare(config, &fused, &run(&double, &tokens, &mut Hooks::new()));
    }
}

#[test]
fn looking_at_the_pattern_changes_next_to_nothing() {
    for config in CONFIGS {
        let (model, tokens) = (model(config), tokens());
        let pattern = Hook::Block(0, Site::AttnPattern);
        let mut hooks = Hooks::new().capture(pattern);
        let (seen, fused) =
            (run(&model, &tokens, &mut hooks), run(&model, &tokens, &mut Hooks::new()));
        assert_eq!(hooks.captured(pattern).unwrap().dims()[0], 3);
        compare(config, &fused, &seen);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for config in CONFIGS {
        let with = |n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| run(&model(config), &tokens(), &mut Hooks::new()))
        };
        let one = with(1);
        assert!(one == with(2) && one == with(4), "{config}");
    }
}
