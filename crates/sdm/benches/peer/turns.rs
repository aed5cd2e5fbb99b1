//! Ours and peers in turns on the same batches, as `train_peers` and `sae_peers` run them.

use std::thread::sleep;
use std::time::Instant;

use serde_json::{Value, json};

use crate::peer::{PAUSE, Peer, median};

/// What steps of a peer took.
pub(crate) struct Turn {
    /// Seconds of a step, the median.
    pub(crate) s: f64,
    /// The largest memory of its process.
    pub(crate) peak_mb: f64,
}

impl Turn {
    /// As it stands in a result.
    pub(crate) fn row(&self, name: &str, peer: &Peer, about: &str, ours_s: f64) -> Value {
        json!({
            "name": name, "version": peer.version, "configuration": about, "s": self.s,
            "peak_mb": self.peak_mb, "ratio": self.s / ours_s,
        })
    }
}

/// Steps in turns: in every round each side is given a pause, in which the threads of the one before it come to rest, and
/// two batches, the first of which does not count. `ours` takes a step and tells what `check` compares with the answer of
/// the peer of that place. Returns the median seconds of a step of ours, and those of the peers.
pub(crate) fn in_turns<B>(
    n_rounds: usize,
    peers: &mut [Peer],
    mut draw: impl FnMut() -> B,
    mut ours: impl FnMut(&B) -> f64,
    write: impl Fn(&B),
    check: impl Fn(usize, f64, &Value),
) -> (f64, Vec<Turn>) {
    let (mut own, mut others) = (Vec::new(), vec![Vec::new(); peers.len()]);
    let mut peaks = vec![0.0; peers.len()];
    for _ in 0..n_rounds {
        let batches = [draw(), draw()];
        let mut found = [0.0; 2];
        sleep(PAUSE);
        for at in 0..2 {
            let start = Instant::now();
            found[at] = ours(&batches[at]);
            if at == 1 {
                own.push(start.elapsed().as_secs_f64());
            }
        }
        for (place, peer) in peers.iter_mut().enumerate() {
            sleep(PAUSE);
            for at in 0..2 {
                write(&batches[at]);
                let answer = peer.ask("step");
                check(place, found[at], &answer);
                if at == 1 {
                    others[place].push(answer["s"].as_f64().expect("seconds"));
                    peaks[place] = answer["peak_mb"].as_f64().expect("a peak");
                }
            }
        }
    }
    let turns = others.iter_mut().zip(peaks);
    let turns = turns.map(|(seconds, peak_mb)| Turn { s: median(seconds), peak_mb }).collect();
    (median(&mut own), turns)
}
