//! `just bench-peers`: the training step of a GPT-2-like model beside the same in PyTorch, in one interleaved run.
//!
//! Forward pass, backward pass and `AdamW` of 4 layers, 256 wide, 4 heads, vocabulary 4096, on 32 texts of 128
//! tokens. PyTorch has scaled dot-product attention and the fused `AdamW`, and is timed as it comes and with an
//! allocator that keeps its memory, as ours does here. All begin with the same weights and see the same batches;
//! the losses must agree at every step. Each is given a pause, in which the threads of the one before it come to
//! rest, and a first step that does not count.
//! Writes results/bench/train.json.

#![allow(clippy::print_stdout, reason = "a bench tells what it measured")]

#[path = "../../sdm/benches/peer/mod.rs"]
mod peer;
#[path = "../../sdm/benches/peer/turns.rs"]
mod turns;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};
use kernels::transformer::AdamW;
use lm::{Config, Hooks, Tokens, Transformer};
use mimalloc::MiMalloc;
use peer::{Peer, cpu, gflops, peak_mb};
use seed::{Rng, Seed};
use serde_json::json;
use turns::{Turn, in_turns};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const BATCH: usize = 32;
const CONTEXT: usize = 128;
const LAYERS: usize = 4;
const WIDTH: usize = 256;
const VOCABULARY: usize = 4096;
const ROUNDS: usize = 7;
/// That of the peer stands in its script.
const LEARNING_RATE: f32 = 3e-4;
/// Both compute in single precision, in their own order, and each step goes on from the one before.
const TOLERANCE: f64 = 1e-4;
const PEERS: [(&str, &str); 2] = [
    (
        "pytorch",
        "scaled_dot_product_attention, one product for queries, keys and values, fused AdamW",
    ),
    ("pytorch-tuned", "the same, with the tunables of glibc by which it keeps its memory"),
];

/// A parameter, or the optimizer's two moments of it.
type Moments = [Vec<f32>; 2];

fn main() {
    let python = peer::python();
    let peak = gflops();
    println!("float product {peak:.0} GFLOP/s");
    let text = json!({
        "model_type": "gpt2", "vocab_size": VOCABULARY, "n_positions": CONTEXT, "n_embd": WIDTH, "n_layer": LAYERS,
        "n_head": 4, "activation_function": "gelu_new",
    });
    let text = text.to_string();
    let config = Config::from_json("the bench", text.as_bytes()).expect("a config");
    let device = device::DeviceName::Flex.open().expect("the default device").autodiff();
    let model = Transformer::random(config, Seed::new(0), &device).expect("a model");
    let folder = tempfile::tempdir().expect("a folder for the data");
    let write = |name: &str, content: &[u8]| {
        std::fs::write(folder.path().join(name), content).expect("data on disk");
    };
    write("config.json", text.as_bytes());
    write("parameters.bin", &parameters(&model));

    let mut run = Run::new(model);
    let mut peers: Vec<Peer> = (PEERS.iter())
        .map(|(name, _)| {
            Peer::start(&python, "train_peers.py", name, folder.path(), [BATCH, CONTEXT])
        })
        .collect();
    let mut rng = Seed::new(0).stream("train-peers", "tokens");
    let bytes = |batch: &Vec<Vec<u32>>| -> Vec<u8> {
        batch.iter().flatten().flat_map(|token| token.to_le_bytes()).collect()
    };
    let (ours_s, turns) = in_turns(
        ROUNDS,
        &mut peers,
        || draw(&mut rng),
        |batch| run.step(batch),
        |batch| write("tokens.bin", &bytes(batch)),
        |at, loss, answer| {
            let theirs = answer["loss"].as_f64().expect("a loss");
            let name = PEERS[at].0;
            assert!((loss - theirs).abs() < TOLERANCE * theirs, "{loss}, {name}: {theirs}");
        },
    );
    report(ours_s, &turns, &peers, peak);
}

fn report(ours_s: f64, turns: &[Turn], peers: &[Peer], peak: f64) {
    let fastest = turns.iter().map(|turn| turn.s).fold(f64::INFINITY, f64::min);
    let n_tokens = (BATCH * CONTEXT) as f64;
    // Three products of two operations for each weight and token; of scores and values, half of which causality hides.
    let weights = (LAYERS * 12 * WIDTH * WIDTH + VOCABULARY * WIDTH) as f64;
    let useful = 6.0 * n_tokens * (weights + (LAYERS * CONTEXT * WIDTH) as f64);
    let (rate, share) = (useful / ours_s / 1e9, useful / ours_s / (peak * 1e9));
    println!(
        "{ours_s:.3} s, {:.0} tokens a second, {rate:.0} GFLOP/s, share of the peak {share:.2}; {} {:.3} s, {} {:.3} s \
         ({:.2} times the faster)",
        n_tokens / ours_s,
        PEERS[0].0,
        turns[0].s,
        PEERS[1].0,
        turns[1].s,
        fastest / ours_s
    );
    let rows: Vec<_> = (turns.iter().zip(peers).zip(PEERS))
        .map(|((turn, peer), (name, about))| turn.row(name, peer, about, ours_s))
        .collect();
    let row = json!({
        "what": "a training step of a GPT-2-like model", "ours_s": ours_s, "ours_peak_mb": peak_mb(), "peers": rows,
        "ratio_best_peer": fastest / ours_s, "share_of_peak": share, "tokens_per_s": n_tokens / ours_s,
        "gflops": rate,
    });
    let about = format!(
        "{LAYERS} layers, {WIDTH} wide, 4 heads, {BATCH} texts of {CONTEXT} tokens, vocabulary {VOCABULARY}; forward, \
         backward, AdamW; medians of {ROUNDS} interleaved rounds, each after a pause and a step that does not count; equal \
         weights, losses checked at every step; the share is that of the products' operations, causal ones halved, in the \
         rate of a square product"
    );
    let machine = json!({
        "cpu": cpu(), "threads": rayon::current_num_threads(), "peak_gflops": peak,
    });
    peer::store("train", &about, &machine, &[row]);
}

/// Texts of one token more than the context.
fn draw(rng: &mut Rng) -> Vec<Vec<u32>> {
    let mut token = || u32::try_from(rng.below(VOCABULARY)).expect("a token");
    (0..BATCH).map(|_| (0..=CONTEXT).map(|_| token()).collect()).collect()
}

/// Every parameter in the order in which the model holds them: embedding and positions first in the file.
fn parameters(model: &Transformer) -> Vec<u8> {
    struct Bytes(Vec<u8>);

    impl ModuleVisitor for Bytes {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let numbers = param.val().try_into_vec_as::<f32>().expect("numbers of a parameter");
            self.0.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        }
    }

    let mut bytes = Bytes(Vec::new());
    model.visit(&mut bytes);
    bytes.0
}

/// A training.
struct Run {
    model: Option<Transformer>,
    moments: Vec<Moments>,
    t: u32,
}

impl Run {
    fn new(model: Transformer) -> Self {
        struct Zeros(Vec<Moments>);

        impl ModuleVisitor for Zeros {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let n = param.val().shape().num_elements();
                self.0.push([vec![0.0; n], vec![0.0; n]]);
            }
        }

        let mut zeros = Zeros(Vec::new());
        model.visit(&mut zeros);
        Self { model: Some(model), moments: zeros.0, t: 0 }
    }

    /// One step; returns the loss before it.
    fn step(&mut self, texts: &[Vec<u32>]) -> f64 {
        let model = self.model.take().expect("a model");
        let inputs = texts.iter().map(|text| text[..CONTEXT].to_vec()).collect();
        let targets: Vec<u32> = texts.iter().flat_map(|text| text[1..].to_vec()).collect();
        let tokens = Tokens::new(inputs).expect("tokens");
        let logits = model.forward(&tokens, &mut Hooks::new()).expect("logits");
        let logits = logits.reshape([targets.len(), VOCABULARY]);
        let weights = vec![1.0; targets.len()];
        let loss = kernels::tensor::cross_entropy(logits, &targets, &weights).expect("a loss");
        let mut gradients = loss.backward();
        self.t += 1;
        let moments = &mut self.moments;
        self.model = Some(model.map(&mut Update {
            gradients: &mut gradients,
            moments: moments.iter_mut(),
            t: self.t,
        }));
        f64::from(loss.into_scalar::<f32>())
    }
}

struct Update<'a> {
    gradients: &'a mut Gradients,
    moments: std::slice::IterMut<'a, Moments>,
    t: u32,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let [first, second] = self.moments.next().expect("moments of every parameter");
        param.map(|weights| {
            let gradient = weights.grad_remove(self.gradients).expect("a gradient");
            let rule = AdamW::new(LEARNING_RATE);
            let stepped = rule.update(self.t, weights, [first, second], gradient, 1.0);
            stepped.expect("as many gradients as weights").autodiff().require_grad()
        })
    }
}
