//! A forward pass and its gradients are the same to the last bit for any number of threads.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use lm::{Config, Hook, Hooks, Site, Tokens, Transformer};
use seed::Seed;

/// Wide and long enough that its products are shared out.
const CONFIG: &str = r#"{"model_type": "gpt_oss", "vocab_size": 600, "max_position_embeddings": 128,
    "hidden_size": 128, "intermediate_size": 200, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32, "num_local_experts": 4, "num_experts_per_tok": 2,
    "sliding_window": 40, "rope_theta": 100.0, "rope_scaling": {"rope_type": "default"}}"#;

fn bits(n_threads: usize) -> (Vec<u32>, Vec<u32>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
    pool.install(|| {
        let device = device::DeviceName::Flex.open().unwrap().autodiff();
        let config = Config::from_json("config.json", CONFIG.as_bytes()).unwrap();
        let model = Transformer::random(config, Seed::new(8), &device).unwrap();
        let text = |text: u32| (0..96).map(|at| (at * 37 + text * 11) % 600).collect();
        let tokens = Tokens::new((0..6).map(text).collect()).unwrap();
        let hook = Hook::Block(0, Site::ResidPre);
        let mut hooks = Hooks::new().watch(hook);
        let logits = model.forward(&tokens, &mut hooks).unwrap();
        let difference = logits.clone().narrow(1, 95, 1).narrow(2, 5, 1).narrow(0, 2, 1);
        let gradient = hooks.gradient(hook, &difference.sum().backward()).unwrap();
        let to_bits = |tensor: burn::Tensor<3>| {
            let numbers = tensor.try_into_vec_as::<f32>().unwrap();
            numbers.into_iter().map(f32::to_bits).collect()
        };
        (to_bits(logits), to_bits(gradient))
    })
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let one = bits(1);
    assert!(one.1.iter().any(|bits| *bits << 1 != 0));
    assert!(one == bits(2));
    assert!(one == bits(4));
}
