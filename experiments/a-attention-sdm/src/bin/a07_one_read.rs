//! Paper A: what one read does to a query, and how far from a pattern it may start.
//!
//! A read at distance d_v from a stored pattern has a signal, the neurons shared with it, and a noise
//! (Eq. 25). Their ratio says how many of n bits come out wrong: the map from the old distance to the new
//! one, whose crossing with the diagonal is the critical distance. The appendix draws both, and redraws
//! the figure of Kanerva's book for n = 1000, r = 10^6, d = 451, m = 10^4.
//!
//! *Expected:* a critical distance of 188 in that figure (by a secondary source). *Visible:* curves that
//! hug zero, then cross the diagonal; the crossing moves by dozens of bits with the reading of the noise.
//! *Run:* `just run a07`; seconds.
//!
//! *Departures:* beside the noise of Eq. (25) stand our reading of the book's, and the exact one, which
//! averages over the distances of the other patterns where Eq. (25) takes every one at n/2; and a memory
//! whose patterns are stored at themselves (`OneRead`).

use std::process::ExitCode;

use anyhow::Result;
use experiment::figures::{Axis, Color, Figure, Mark, Panel, Width};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Number, Numbers, Tier, Tolerance};
use geometry::HammingSpace;
use sdm::optimal::{
    NoiseModel, OneRead, critical_distance, ln_expected_neurons, signal_to_noise,
    signal_to_noise_against, step_distances, step_distances_against,
};
use serde::{Deserialize, Serialize};

/// The critical distance of the canonical memory in App. Fig. 17a, by a secondary source.
const PRINTED_REACH: f64 = 188.0;
/// The canonical memory of the book and of that figure.
const CANONICAL: Memory = Memory { n: 1000, n_patterns: 10_000, n_neurons: 1e6 };
/// The readings of the noise, with names for readers.
const MODELS: [(NoiseModel, &str); 3] =
    [(NoiseModel::Book, "book"), (NoiseModel::Published, "Eq. (25)"), (NoiseModel::Exact, "exact")];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Memories with the radii that are drawn.
    memories: Vec<(Memory, Vec<usize>)>,
    /// The radius of App. Fig. 17a.
    canonical_radius: usize,
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
    /// New distances of the canonical memory, in the order of [`MODELS`].
    models: [Vec<Option<f64>>; 3],
    /// The same for patterns stored at themselves, with the exact noise and the pull of the query.
    own_address: Vec<Option<f64>>,
}

struct WhatOneReadDoes;

impl Experiment for WhatOneReadDoes {
    const ID: &'static str = "a07_one_read";
    const TITLE: &'static str = "What one read does to a query";
    const OUTPUTS: &'static [&'static str] = &["A-x22", "A-x23", "A-fig17a", "A-y14", "A-y15"];
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
            canonical_radius: 451, // App. Fig. 17a, by a secondary source
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
        let Memory { n, n_patterns, n_neurons } = CANONICAL;
        let space = HammingSpace::new(n)?;
        let ln_neurons = ln_expected_neurons(&space, config.canonical_radius, libm::log(n_neurons));
        let models = MODELS.map(|(model, _)| {
            let ln_second_moment = model.ln_second_moment(&space, &ln_neurons, n_neurons);
            step_distances_against(&ln_neurons, ln_second_moment, n_patterns)
        });
        let read = OneRead::new(&space, config.canonical_radius, n_neurons, n_patterns)?;
        let own_address = read.autoassociative().into_iter().map(Some).collect();
        Ok(Measured { maps: maps.collect::<Result<_>>()?, models, own_address })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
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
        for ((model, _), new) in MODELS.iter().zip(&measured.models) {
            let model = format!("{model:?}").to_lowercase();
            let id = format!("critical_distance.canonical.d{}.{model}", config.canonical_radius);
            numbers.insert(id, Number::exact(strict(new)).unit("bits"));
        }
        let id = format!("critical_distance.canonical.d{}.own_address", config.canonical_radius);
        numbers.insert(id, Number::exact(strict(&measured.own_address)).unit("bits"));
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        vec![
            ratios("A-x22", 0, &measured.maps).into(),
            new_distances("A-x23", 0, &measured.maps).into(),
            models(config, measured).into(),
            ratios("A-y14", 1, &measured.maps).into(),
            new_distances("A-y15", 1, &measured.maps).into(),
        ]
    }

    fn claims(_: &Config, measured: &Measured) -> Vec<Claim> {
        let [book, published, exact] =
            measured.models.each_ref().map(|new| Number::exact(strict(new)).unit("bits"));
        let about = |id: &str, text: &str| {
            Claim::about(id, "appendix, Fig. 17a (by a secondary source)", text)
        };
        let text = "critical distance 188 at n = 1000, r = 10^6, d = 451, m = 10^4";
        let note = format!(
            "no reading of the noise gives 188: Eq. (25) {:.1}, exact {:.1}, the book's {:.1}; nor does the exact \
             one with patterns stored at themselves, {:.1}; how that figure was made is not known to us",
            published.value,
            exact.value,
            book.value,
            strict(&measured.own_address)
        );
        vec![
            about("a07.reach", text)
                .equals(PRINTED_REACH, Tolerance::Absolute(0.5), &published)
                .note(&note),
            about(
                "a07.below_book",
                "the paper's noise shortens the critical distance of the book's",
            )
            .ordered(&[("book's noise", book), ("Eq. (25)", published)]),
        ]
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
             the noise. Curves end where no neuron is shared.",
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

fn models(config: &Config, measured: &Measured) -> Figure {
    let old = Axis::linear("old distance, d_{v} (bits)");
    let mut panel = Panel::new(old, Axis::linear("new distance (bits)"))
        .mark(
            Mark::line(&[0.0, 400.0], &[0.0, 400.0]).dotted().color(Color::Ink).label("unchanged"),
        )
        .mark(Mark::vline(PRINTED_REACH).dashed().color(Color::Gray).label("paper, 188"));
    let curves = MODELS.iter().map(|(_, name)| *name).zip(&measured.models);
    let curves = curves.chain([("exact, patterns at themselves", &measured.own_address)]);
    for (at, (name, new)) in curves.enumerate() {
        let (color, reach) = (Color::nth(at), strict(new));
        let label = format!("{name}, {reach:.0}");
        panel = panel
            .mark(over_distances(new, 400).color(color).label(&label))
            .mark(Mark::points(&[reach], &[reach]).color(color).series(&label));
    }
    let title = format!("New distance against old, n = 1000, d = {}", config.canonical_radius);
    Figure::new("A-fig17a", &title)
        .caption(
            "m = 10^4, r = 10^6, with three readings of the noise, and with patterns that are stored at \
             themselves, whose reads are pulled toward the query. Points and numbers are the critical \
             distances.",
        )
        .panel(panel)
}
