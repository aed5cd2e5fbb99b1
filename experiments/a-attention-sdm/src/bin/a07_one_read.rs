//! Paper A: what one read does to a query, and how far from a pattern it may start.
//!
//! A read at distance d_v from a stored pattern has a signal, the neurons shared with it, and a noise
//! (Eq. 25). Their ratio says how many of n bits come out wrong: the map from the old distance to the new
//! one, whose crossing with the diagonal is the critical distance. The appendix draws both. What real
//! neurons make of it is a09.
//!
//! *Visible:* curves that hug zero, then cross the diagonal; the crossing moves with the radius and with the
//! reading of the noise. *Run:* `just run a07`; seconds.
//!
//! *Departures:* beside the noise of Eq. (25) stands the exact one, which averages over the distances of the
//! other patterns where Eq. (25) takes every one at n/2.

use std::process::ExitCode;

use anyhow::Result;
use experiment::figures::{Axis, Color, Figure, Mark, Panel, Width};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Number, Numbers, Tier};
use geometry::HammingSpace;
use sdm::optimal::{
    NoiseModel, critical_distance, ln_expected_neurons, signal_to_noise, signal_to_noise_against,
    step_distances, step_distances_against,
};
use serde::{Deserialize, Serialize};

/// The canonical memory of Kanerva's book.
const CANONICAL: Memory = Memory { n: 1000, n_patterns: 10_000, n_neurons: 1e6 };
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Memories with the radii that are drawn.
    memories: Vec<(Memory, Vec<usize>)>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    n: usize,
    n_patterns: u64,
    n_neurons: f64,
}

/// For every old distance 0..=n, the ratio and the new distance, by Eq. (25) and with the exact noise.
struct Read {
    d: usize,
    ratios: [Vec<Option<f64>>; 2],
    new: [Vec<Option<f64>>; 2],
}

struct Measured {
    maps: Vec<(Memory, Vec<Read>)>,
}

struct WhatOneReadDoes;

impl Experiment for WhatOneReadDoes {
    const ID: &'static str = "a07_one_read";
    const TITLE: &'static str = "What one read does to a query";
    const OUTPUTS: &'static [&'static str] = &["A-x22", "A-x23", "A-y14", "A-y15"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let drawn = if tier == Tier::Smoke { 2 } else { 6 };
        let memory = Memory { n: 64, n_patterns: 1024, n_neurons: libm::exp2(64.0) }; // authors' notebooks
        // Around d*_Mem, d*_SNR and d*_CD, and beyond.
        let memories =
            [(memory, [5, 9, 11, 15, 19, 23]), (CANONICAL, [433, 443, 447, 451, 460, 470])];
        Config {
            memories: memories.map(|(memory, radii)| (memory, radii[6 - drawn..].to_vec())).into(),
        }
    }

    fn cost(_: Tier) -> Cost {
        Cost { minutes: 0.05, memory_mb: 80, disk_mb: 3 }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let maps = config.memories.iter().map(|(memory, radii)| {
            context.step(config.memories.len());
            let reads = radii.iter().map(|d| read(*memory, *d));
            anyhow::Ok((*memory, reads.collect::<Result<_>>()?))
        });
        Ok(Measured { maps: maps.collect::<Result<_>>()? })
    }

    fn numbers(_: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for (memory, reads) in &measured.maps {
            for Read { d, ratios, new } in reads {
                for (noise, name) in ["published", "exact"].into_iter().enumerate() {
                    let id = format!("n{}.d{d:03}.{name}", memory.n);
                    let reach = Number::exact(strict(&new[noise])).unit("bits");
                    numbers.insert(format!("critical_distance.{id}"), reach);
                    let peak = Number::exact(ratios[noise][0].unwrap_or(0.0));
                    numbers.insert(format!("ratio_at_0.{id}"), peak);
                }
            }
        }
        numbers
    }

    fn drawings(_: &Config, measured: &Measured) -> Vec<Drawing> {
        vec![
            ratios("A-x22", 0, &measured.maps).into(),
            new_distances("A-x23", 0, &measured.maps).into(),
            ratios("A-y14", 1, &measured.maps).into(),
            new_distances("A-y15", 1, &measured.maps).into(),
        ]
    }

    fn claims(_: &Config, _: &Measured) -> Vec<Claim> {
        Vec::new()
    }
}

fn main() -> ExitCode {
    experiment::main::<WhatOneReadDoes>()
}

/// The critical distance in the strict sense; 0 if not even the pattern itself is stable.
fn strict(new: &[Option<f64>]) -> f64 {
    critical_distance(new).unwrap_or(0.0)
}

fn read(memory: Memory, d: usize) -> Result<Read> {
    let Memory { n, n_patterns, n_neurons } = memory;
    let space = HammingSpace::new(n)?;
    let ln_neurons = ln_expected_neurons(&space, d, libm::log(n_neurons));
    let noise = NoiseModel::Exact.ln_second_moment(&space, &ln_neurons, n_neurons);
    let published = |ln: &f64| signal_to_noise(*ln, ln_neurons[n / 2], n_patterns);
    let exact = |ln: &f64| signal_to_noise_against(*ln, noise, n_patterns);
    Ok(Read {
        d,
        ratios: [
            ln_neurons.iter().map(published).collect(),
            ln_neurons.iter().map(exact).collect(),
        ],
        new: [
            step_distances(&ln_neurons, n_patterns),
            step_distances_against(&ln_neurons, noise, n_patterns),
        ],
    })
}

/// The first of the two noises of [`Read`] is that of Eq. (25).
fn with_noise(what: &str, noise: usize) -> String {
    let name = if noise == 0 { "Eq. (25)" } else { "exact noise" };
    format!("{what}, {name}")
}

fn title(memory: &Memory) -> String {
    let r = if memory.n == 64 { "2^{64}" } else { "10^{6}" };
    format!("n = {}, m = {}, r = {r}", memory.n, memory.n_patterns)
}

/// Old distances 0..=upto against values; none where nothing is read.
fn over_distances(values: &[Option<f64>], upto: usize) -> Mark {
    let y: Vec<f64> = values.iter().take(upto + 1).map(|y| y.unwrap_or(f64::NAN)).collect();
    let x: Vec<f64> = (0..y.len()).map(|d_v| d_v as f64).collect();
    Mark::line(&x, &y).allow_gaps()
}

fn ratios(id: &str, noise: usize, maps: &[(Memory, Vec<Read>)]) -> Figure {
    let figure = Figure::new(id, &with_noise("Signal-to-noise ratio of a read", noise))
        .caption(
            "Against the distance of the query from the pattern. The dotted line is a signal as large as \
             the noise. Curves end where no neuron is shared, or at a hundredth.",
        )
        .width(Width::Page)
        .columns(2);
    maps.iter().fold(figure, |figure, (memory, reads)| {
        let most = if memory.n == 64 { 1e8 } else { 20.0 };
        let ratio = Axis::log10("signal-to-noise ratio").range(0.01, most);
        let mut panel = Panel::new(Axis::linear("d_{v} (bits)"), ratio)
            .title(&title(memory))
            .legend()
            .mark(Mark::hline(1.0).dotted().color(Color::Ink).series("signal = noise"));
        for (at, Read { d, ratios, .. }) in reads.iter().enumerate() {
            let shown = ratios[noise].iter().map(|ratio| ratio.filter(|x| *x > 0.01));
            let line = over_distances(&shown.collect::<Vec<_>>(), memory.n / 2);
            let color = Color::sequential(at, reads.len());
            panel = panel.mark(line.color(color).label(&format!("d = {d}")));
        }
        figure.panel(panel)
    })
}

fn new_distances(id: &str, noise: usize, maps: &[(Memory, Vec<Read>)]) -> Figure {
    let figure = Figure::new(id, &with_noise("One read: new distance against old", noise))
        .caption(
            "The expected distance to the pattern after one read. Below the dotted diagonal a read comes \
             closer. Curves end where no neuron is read.",
        )
        .width(Width::Page)
        .columns(2);
    maps.iter().fold(figure, |figure, (memory, reads)| {
        let half = (memory.n / 2) as f64;
        let old = Axis::linear("old distance, d_{v} (bits)");
        let diagonal = Mark::line(&[0.0, half], &[0.0, half]).dotted().color(Color::Ink);
        let mut panel = Panel::new(old, Axis::linear("new distance (bits)"))
            .title(&title(memory))
            .legend()
            .mark(diagonal.label("unchanged"));
        for (at, Read { d, new, .. }) in reads.iter().enumerate() {
            let line = over_distances(&new[noise], memory.n / 2);
            let color = Color::sequential(at, reads.len());
            panel = panel.mark(line.color(color).label(&format!("d = {d}")));
        }
        figure.panel(panel)
    })
}
