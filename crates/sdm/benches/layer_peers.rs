//! `just bench-peers`: an epoch of the SDM layer beside the same in PyTorch, in one interleaved run.
//!
//! After the GABA switch k of the neurons stay active for a sample. PyTorch is timed as the authors write the layer
//! (dense gradients by autograd), and in the sparsest form that was found for it (gathered rows, gradients and steps for
//! active rows only). All begin with the same weights and see the same batches; their weights must agree in the end.
//! Each is given a pause, in which the threads of the one before it come to rest, and a first epoch that does not count.
//! Writes results/bench/layer.json.

#![allow(clippy::print_stdout, reason = "a bench tells what it measured")]

mod peer;

use std::thread::sleep;
use std::time::Instant;

use kernels::{Matrix, Rule};
use peer::{PAUSE, Peer, cpu, gflops, median, peak_mb};
use sdm::layer::{Learner, LearnerConfig, Net, NetConfig};
use seed::{Rng, Seed};
use serde_json::{Value, json};

const N_SAMPLES: usize = 10_000;
const N_CLASSES: usize = 10;
const BATCH: usize = 128;
const K: usize = 10;
const ROUNDS: usize = 5;
/// Inputs and neurons, the smallest net first, so that the peak of memory is each one's own.
const SIZES: [(usize, usize); 4] = [(256, 1000), (784, 1000), (256, 10_000), (784, 10_000)];
const PEERS: [(&str, &str); 2] = [
    (
        "pytorch-dense",
        "as the authors write it: dense gradients by autograd, SGD, clamp and scale all rows",
    ),
    (
        "pytorch-sparse",
        "by hand: gathered rows, gradients and steps for rows that were active in the batch",
    ),
];

fn main() {
    let python = peer::python();
    let peak = gflops();
    println!("float product {peak:.0} GFLOP/s");
    let rows: Vec<Value> = SIZES.iter().map(|sizes| row(&python, *sizes, peak)).collect();
    let about = format!(
        "an epoch of {N_SAMPLES} samples in batches of {BATCH}, k = {K}, every neuron switched; medians of {ROUNDS} \
         interleaved rounds, each after a pause and an epoch that does not count; equal weights checked; the share is \
         that of the excitations W·x, 2·samples·inputs·neurons operations, in the rate of a square product"
    );
    let machine = json!({
        "cpu": cpu(), "threads": rayon::current_num_threads(), "peak_gflops": peak,
    });
    peer::store("layer", &about, &machine, &rows);
}

fn row(python: &std::path::Path, (n_inputs, n_neurons): (usize, usize), peak: f64) -> Value {
    let mut rng = Seed::new(0).stream("layer-peers", "data");
    let config = NetConfig::sdm(n_inputs, n_neurons, N_CLASSES, K, 1.0);
    let mut net = Net::new(config, &mut rng).expect("a net");
    net.counts.fill(1.0);
    let x = net.prepare(&samples(n_inputs, &mut rng)).expect("samples of the width of the net");
    let labels: Vec<usize> = (0..N_SAMPLES).map(|_| rng.below(N_CLASSES)).collect();
    let folder = tempfile::tempdir().expect("a folder for the data");
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let write = |name: &str, content: Vec<u8>| {
        std::fs::write(folder.path().join(name), content).expect("data on disk");
    };
    write("x.bin", bytes(x.values()));
    write("w.bin", bytes(net.w.values()));
    write("v.bin", bytes(net.v.values()));
    write(
        "labels.bin",
        labels.iter().map(|label| u8::try_from(*label).expect("a class")).collect(),
    );

    let rule = Rule::Sgd { learning_rate: 0.05 };
    let mut learner = Learner::new(net, LearnerConfig::with(rule)).expect("a learner");
    let sizes = [n_inputs, n_neurons];
    let mut peers: Vec<Peer> = (PEERS.iter())
        .map(|(name, _)| Peer::start(python, "layer_peers.py", name, folder.path(), sizes))
        .collect();
    let mut own = Vec::new();
    let mut others = vec![Vec::new(); peers.len()];
    let mut peaks = vec![0.0; peers.len()];
    for _ in 0..ROUNDS {
        sleep(PAUSE);
        epoch(&mut learner, &x, &labels, &mut rng);
        let start = Instant::now();
        epoch(&mut learner, &x, &labels, &mut rng);
        own.push(start.elapsed().as_secs_f64());
        for (at, peer) in peers.iter_mut().enumerate() {
            sleep(PAUSE);
            peer.ask("epoch");
            let answer = peer.ask("epoch");
            others[at].push(answer["s"].as_f64().expect("seconds"));
            peaks[at] = answer["peak_mb"].as_f64().expect("a peak");
            let theirs = answer["check"].as_f64().expect("a checksum");
            let ours: f64 = learner.net().v.values().iter().map(|v| f64::from(*v)).sum();
            // Sums of 32 bits in another order turn a few winners.
            assert!((ours - theirs).abs() < 0.02 * ours.abs(), "{ours}, {}: {theirs}", PEERS[at].0);
        }
    }
    let ours_s = median(&mut own);
    let seconds: Vec<f64> = others.iter_mut().map(|seconds| median(seconds)).collect();
    let fastest = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let useful = 2.0 * (N_SAMPLES * n_inputs * n_neurons) as f64;
    let share = useful / ours_s / (peak * 1e9);
    println!(
        "{n_inputs} inputs, {n_neurons} neurons: {ours_s:.3} s, {} {:.3} s, {} {:.3} s ({:.1} times the faster), \
         share of the peak {share:.2}",
        PEERS[0].0,
        seconds[0],
        PEERS[1].0,
        seconds[1],
        fastest / ours_s
    );
    let peers: Vec<Value> = (0..peers.len())
        .map(|at| {
            json!({
                "name": PEERS[at].0, "version": peers[at].version, "configuration": PEERS[at].1,
                "s": seconds[at], "peak_mb": peaks[at],
            })
        })
        .collect();
    json!({
        "what": format!("an epoch, {n_inputs} inputs, {n_neurons} neurons"), "ours_s": ours_s,
        "ours_peak_mb": peak_mb(), "peers": peers, "ratio_best_peer": fastest / ours_s,
        "share_of_peak": share,
    })
}

/// Inputs around ten centers, so that neurons find something to divide among them.
fn samples(n_inputs: usize, rng: &mut Rng) -> Matrix {
    let mut draw = |n: usize| -> Vec<f64> { (0..n).map(|_| rng.uniform()).collect() };
    let (centers, noise) = (draw(N_CLASSES * n_inputs), draw(N_SAMPLES * n_inputs));
    #[expect(clippy::cast_possible_truncation, reason = "inputs in 32 bits")]
    let values = (noise.iter().enumerate())
        .map(|(at, noise)| {
            (centers[(at / n_inputs % N_CLASSES) * n_inputs + at % n_inputs] + noise) as f32
        })
        .collect();
    Matrix::from_rows(N_SAMPLES, n_inputs, values).expect("samples")
}

fn epoch(learner: &mut Learner, x: &Matrix, labels: &[usize], rng: &mut Rng) {
    let order: Vec<usize> = (0..N_SAMPLES).collect();
    for places in order.chunks(BATCH) {
        let labels: Vec<usize> = places.iter().map(|place| labels[*place]).collect();
        learner.step(&x.select(places), &labels, 0, rng, |_, gradients| gradients).expect("a step");
    }
}
