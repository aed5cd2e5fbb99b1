//! `just bench-peers`: the memory of a million neurons beside NumPy and PyTorch, in one interleaved run.
//!
//! Each round times ours and then each peer on the same command; the medians over the rounds are compared. Each is
//! given a pause, in which the threads of the one before it come to rest, and a first run that does not count.
//! Every answer's checksum must equal ours, so that what is timed is the same computation. The limits of
//! the machine are measured in the same run. Writes results/bench/sdm.json.

#![allow(clippy::print_stdout, reason = "a bench tells what it measured")]

mod peer;

use std::hint::black_box;
use std::thread::sleep;
use std::time::Instant;

use geometry::HammingSpace;
use kernels::{BLOCK_ROWS, BitMatrix, Queries, Scanner};
use peer::{PAUSE, Peer, best, cpu, gflops, median, peak_mb};
use rayon::prelude::*;
use sdm::NeuronStore;
use seed::Seed;
use serde_json::{Value, json};

const N: usize = 1000;
const RADIUS: usize = 451;
const WRITES: usize = 64;
const QUERIES: usize = 64;
const ROUNDS: usize = 5;

/// What is timed, how the peers are asked for it, and which limit of the machine it meets.
const ROWS: [(&str, &str, Limit); 4] = [
    ("write 64 patterns", "write", Limit::Comparison(WRITES)),
    ("read one query", "read 1", Limit::Bandwidth),
    ("read 64 queries at once", "read all", Limit::Comparison(QUERIES)),
    ("all circle intersections, n = 1000, d = 451", "table", Limit::None),
];
const PEERS: [(&str, &str); 3] = [
    ("numpy-packed", "64-bit words, bitwise_count, one array for each word"),
    ("numpy-float", "addresses as ±1 in float32, matrix product, threshold"),
    ("pytorch-float", "addresses as ±1 in float32, matrix product, threshold, on the CPU"),
];

#[derive(Clone, Copy)]
enum Limit {
    /// Reading all addresses once.
    Bandwidth,
    /// Comparing all addresses with this many queries.
    Comparison(usize),
    None,
}

/// The memory under test with its answers' checksums.
struct Ours {
    store: NeuronStore,
    patterns: BitMatrix,
    queries: BitMatrix,
}

impl Ours {
    fn run(&mut self, command: &str) -> f64 {
        match command {
            "write" => {
                self.store.write(&self.patterns, &self.patterns).expect("a write");
                0.0
            }
            "read 1" => checksum(&self.store.sums(&self.queries.select(&[0])).expect("a read")),
            "read all" => checksum(&self.store.sums(&self.queries).expect("a read")),
            _ => {
                let space = HammingSpace::new(N).expect("a space");
                let counts = space.ln_intersections(black_box(RADIUS));
                counts.into_iter().filter(|ln_count| ln_count.is_finite()).sum()
            }
        }
    }
}

fn checksum(sums: &[i32]) -> f64 {
    sums.iter().map(|sum| f64::from(sum.abs())).sum()
}

fn main() {
    let python = peer::python();
    let n_neurons: usize = std::env::args()
        .skip_while(|word| word != "--neurons")
        .nth(1)
        .map_or(1_000_000, |count| count.parse().expect("a number of neurons"));
    let folder = tempfile::tempdir().expect("a folder for the data");
    let mut rng = Seed::new(0).stream("bench-peers", "data");
    let addresses = BitMatrix::random(n_neurons, N, &mut rng);
    let patterns = BitMatrix::random(WRITES, N, &mut rng);
    let queries =
        sdm::perturb::flip_bits(&patterns, 100, &mut rng).select(&(0..QUERIES).collect::<Vec<_>>());
    for (name, rows) in [("addresses", &addresses), ("patterns", &patterns), ("queries", &queries)]
    {
        let bytes: Vec<u8> = rows.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        std::fs::write(folder.path().join(format!("{name}.bin")), bytes).expect("data on disk");
    }
    let address_bytes = 8.0 * addresses.words().len() as f64;
    let (bandwidth, comparison, gflops) = (bandwidth(), comparison(), gflops());
    println!(
        "memory {:.1} GB/s, rows compared {:.1} GB/s, float product {gflops:.0} GFLOP/s",
        bandwidth / 1e9,
        comparison / 1e9
    );
    let mut ours =
        Ours { store: NeuronStore::new(addresses, N, RADIUS).expect("a store"), patterns, queries };
    let mut peers: Vec<Peer> = PEERS
        .iter()
        .map(|(name, _)| Peer::start(&python, "peers.py", name, folder.path(), [N, RADIUS]))
        .collect();

    let mut rows = Vec::new();
    for (what, command, limit) in ROWS {
        let mut own = Vec::new();
        let mut others = vec![Vec::new(); peers.len()];
        let mut peaks = vec![0.0; peers.len()];
        for _ in 0..if command == "table" { 3 } else { ROUNDS } {
            sleep(PAUSE);
            ours.run(command);
            let start = Instant::now();
            let check = ours.run(command);
            own.push(start.elapsed().as_secs_f64());
            for (at, peer) in peers.iter_mut().enumerate() {
                sleep(PAUSE);
                peer.ask(command);
                let answer = peer.ask(command);
                others[at].push(answer["s"].as_f64().expect("seconds"));
                peaks[at] = answer["peak_mb"].as_f64().expect("a peak");
                let theirs = answer["check"].as_f64().expect("a checksum");
                let near = (check - theirs).abs() <= 1e-9 * check.abs();
                assert!(
                    command == "write" || near,
                    "{what}: ours {check}, {} {theirs}",
                    PEERS[at].0
                );
            }
        }
        let ours_s = median(&mut own);
        let best = others.iter_mut().map(|seconds| median(seconds)).fold(f64::INFINITY, f64::min);
        let limit_s = match limit {
            Limit::Bandwidth => Some(address_bytes / bandwidth),
            Limit::Comparison(queries) => Some(address_bytes * queries as f64 / comparison),
            Limit::None => None,
        };
        let share = limit_s.map(|limit| limit / ours_s);
        println!(
            "{what}: {:.4} s, best peer {best:.4} s ({:.1} times), share of the limit {share:.2?}",
            ours_s,
            best / ours_s
        );
        let peers: Vec<Value> = others
            .iter_mut()
            .enumerate()
            .map(|(at, seconds)| {
                json!({
                    "name": PEERS[at].0, "version": peers[at].version, "configuration": PEERS[at].1,
                    "s": median(seconds), "peak_mb": peaks[at],
                })
            })
            .collect();
        rows.push(json!({
            "what": what, "ours_s": ours_s, "ours_peak_mb": peak_mb(), "peers": peers,
            "ratio_best_peer": best / ours_s, "share_of_peak": share,
        }));
    }
    let about = format!(
        "n = {N}, d = {RADIUS}, r = {n_neurons}; medians of {ROUNDS} interleaved rounds (3 for the table), each after a \
         pause and a run that does not count; equal answers checked; the share is of memory bandwidth for one query, of \
         the rate of comparing rows in the cache for many"
    );
    let machine = json!({
        "cpu": cpu(), "threads": rayon::current_num_threads(), "peak_gflops": gflops,
        "memory_gb_s": bandwidth / 1e9, "comparison_gb_s": comparison / 1e9,
    });
    peer::store("sdm", &about, &machine, &rows);
}

/// Bytes a second that all threads read from memory.
fn bandwidth() -> f64 {
    let words = vec![1_u64; 64 << 20];
    best(8.0 * words.len() as f64, || {
        let sums = words.par_chunks(1 << 16).map(|chunk| chunk.iter().fold(0_u64, |a, b| a ^ b));
        black_box(sums.reduce(|| 0, |a, b| a ^ b));
    })
}

/// Bytes a second that all threads compare with queries, from the first-level cache, where nothing is done with
/// what is found: a radius that no row meets, and the faster of counting words and looking nibbles up. A scan does
/// this and more, so that it cannot be faster.
fn comparison() -> f64 {
    let mut rng = Seed::new(0).stream("bench-peers", "comparison");
    let block = BitMatrix::random(BLOCK_ROWS / 4, N, &mut rng);
    let queries = BitMatrix::random(QUERIES, N, &mut rng);
    let (scanner, prepared, repeats) = (Scanner::new(), Queries::new(&queries), 1000);
    let threads = rayon::current_num_threads();
    let bytes = 8.0 * block.words().len() as f64 * f64::from(repeats) * (threads * QUERIES) as f64;
    let words = best(bytes, || {
        (0..threads).into_par_iter().for_each(|_| {
            for query in (0..repeats).flat_map(|_| 0..QUERIES) {
                let query = black_box(queries.row(query));
                scanner.within(black_box(block.words()), query, 0, |row, _| {
                    black_box(row);
                });
            }
        });
    });
    let nibbles = best(bytes, || {
        (0..threads).into_par_iter().for_each(|_| {
            for _ in 0..repeats {
                prepared.within(black_box(block.words()), 0, |_, row| {
                    black_box(row);
                });
            }
        });
    });
    words.max(nibbles)
}
