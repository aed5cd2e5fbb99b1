//! `just bench-peers`: the training step of a `TopK` dictionary beside the same in PyTorch, in one interleaved run.
//!
//! 8192 latents over a width of 256, 32 active, batches of 4096. PyTorch is timed as libraries write it, with a dense batch of
//! codes, and as sparse as it can be written (`embedding_bag`), each as it comes and with an allocator that keeps its
//! memory, as ours does here; all have the fused Adam. All begin with the same weights and see the same batches; the
//! losses must agree at every step. Each is given a pause, in which the threads of the one before it come to rest, and a
//! first step that does not count.
//! Writes results/bench/sae.json.

#![allow(clippy::print_stdout, reason = "a bench tells what it measured")]

#[path = "../../sdm/benches/peer/mod.rs"]
mod peer;

use std::thread::sleep;
use std::time::Instant;

use kernels::Matrix;
use mimalloc::MiMalloc;
use peer::{PAUSE, Peer, cpu, gflops, median, peak_mb};
use sae::{Step, TopK, TopKConfig};
use seed::{Rng, Seed};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const BATCH: usize = 4096;
const WIDTH: usize = 256;
const LATENTS: usize = 8192;
const K: usize = 32;
const ROUNDS: usize = 7;
const LEARNING_RATE: f32 = 1e-4;
/// Both compute in single precision, in their own order, and each step goes on from the one before.
const TOLERANCE: f64 = 1e-4;
const PEERS: [(&str, &str); 4] = [
    ("dense", "PyTorch: topk, scatter into a dense batch of codes, fused Adam"),
    ("sparse", "PyTorch: topk, embedding_bag, fused Adam"),
    ("dense-tuned", "dense, with the tunables of glibc by which it keeps its memory"),
    ("sparse-tuned", "sparse, with the same tunables"),
];

fn main() {
    let python = peer::python();
    let peak = gflops();
    println!("float product {peak:.0} GFLOP/s");
    let mut rng = Seed::new(0).stream("sae-peers", "rows");
    let sample = draw(&mut rng);
    let config = TopKConfig { n_latents: LATENTS, k: K, aux: None };
    let mut sae = TopK::new(&config, &sample, &mut rng).expect("a dictionary");
    let folder = tempfile::tempdir().expect("a folder for the data");
    let write = |name: &str, content: &[u8]| {
        std::fs::write(folder.path().join(name), content).expect("data on disk");
    };
    let shape = json!({ "n_latents": LATENTS, "width": WIDTH, "learning_rate": LEARNING_RATE });
    write("shape.json", shape.to_string().as_bytes());
    let begins = sae.dictionary().expect("a dictionary");
    let parameters = [
        begins.encoder().values(),
        begins.decoder().values(),
        &begins.parts().encoder_bias,
        &begins.parts().decoder_bias,
    ];
    write("parameters.bin", &bytes(&parameters.concat()));

    let mut peers: Vec<Peer> = (PEERS.iter())
        .map(|(name, _)| Peer::start(&python, "sae_peers.py", name, folder.path(), [BATCH, K]))
        .collect();
    let (mut own, mut others) = (Vec::new(), vec![Vec::new(); peers.len()]);
    let mut peaks = vec![0.0; peers.len()];
    let mut t = 0;
    for _ in 0..ROUNDS {
        let batches = [draw(&mut rng), draw(&mut rng)];
        let mut losses = [0.0; 2];
        sleep(PAUSE);
        for (batch, loss) in batches.iter().zip(&mut losses) {
            t += 1;
            let start = Instant::now();
            *loss = sae.step(batch, &Step::new(t, LEARNING_RATE)).expect("a step").loss;
            own.push(start.elapsed().as_secs_f64());
        }
        own.remove(own.len() - 2);
        for (at, peer) in peers.iter_mut().enumerate() {
            sleep(PAUSE);
            for (batch, loss) in batches.iter().zip(&losses) {
                write("batch.bin", &bytes(batch.values()));
                let answer = peer.ask("step");
                others[at].push(answer["s"].as_f64().expect("seconds"));
                peaks[at] = answer["peak_mb"].as_f64().expect("a peak");
                let theirs = answer["loss"].as_f64().expect("a loss");
                let name = PEERS[at].0;
                assert!((loss - theirs).abs() < TOLERANCE * theirs, "{loss}, {name}: {theirs}");
            }
            let first = others[at].len() - 2;
            others[at].remove(first);
        }
    }
    let ours_s = median(&mut own);
    let encoder = 2.0 * (BATCH * WIDTH * LATENTS) as f64;
    let share = encoder / ours_s / (peak * 1e9);
    println!(
        "ours {ours_s:.3} s, {:.0} rows a second; the encoder's product alone would take {share:.2} of that",
        BATCH as f64 / ours_s,
    );
    let rows: Vec<_> = (0..peers.len())
        .map(|at| {
            let (name, about) = PEERS[at];
            let s = median(&mut others[at]);
            println!("{name}: {s:.3} s, {:.1} times ours, {:.0} MB", s / ours_s, peaks[at]);
            json!({
                "name": name, "version": peers[at].version, "configuration": about, "s": s,
                "peak_mb": peaks[at], "ratio": s / ours_s,
            })
        })
        .collect();
    // This process holds the batches, and what was written to the peers, too.
    println!("ours: {:.0} MB with the batches", peak_mb().unwrap_or(f64::NAN));
    let row = json!({
        "what": "a training step of a TopK dictionary", "ours_s": ours_s, "ours_peak_mb": peak_mb(),
        "rows_per_s": BATCH as f64 / ours_s, "share_of_product": share, "peers": rows,
    });
    let about = format!(
        "{LATENTS} latents over {WIDTH}, {K} active, batches of {BATCH}, clipped gradients, rows of the decoder of length 1; \
         medians of {ROUNDS} interleaved rounds, each after a pause and a step that does not count; equal weights, losses \
         checked at every step; the share is that of the encoder's operations in the rate of a square product"
    );
    let machine =
        json!({ "cpu": cpu(), "threads": rayon::current_num_threads(), "peak_gflops": peak });
    peer::store("sae", &about, &machine, &[row]);
}

fn draw(rng: &mut Rng) -> Matrix {
    #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a bench")]
    let numbers = (0..BATCH * WIDTH).map(|_| rng.normal() as f32).collect();
    Matrix::from_rows(BATCH, WIDTH, numbers).expect("as many numbers")
}

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
