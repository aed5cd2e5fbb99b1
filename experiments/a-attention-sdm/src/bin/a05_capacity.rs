//! Paper A: how many patterns a memory holds, and how large a radius must be to hold a neuron at all.
//!
//! The paper solves Eq. (25) for the number m of patterns at which a whole pattern is still read without
//! error with probability q, and draws it against n for r = 10^6 and r = 2^n, beside an approximation
//! that puts p²r in the place of I(n/2). It also draws the probability that some neuron lies within d.
//!
//! *Expected:* about 96,000 patterns by the full equation and 87,000 by the approximation at n = 1000 (read
//! off the authors' figure); the nearest of 10^6 neurons within 424 of 1000 bits. *Visible:* at large n the
//! curves fall together, as z grows; at small n the full equation leaves the others, since I(n/2) vanishes
//! long before p²r does. *Run:* `just run a05`; seconds.
//!
//! *Departures:* q = 0.5 (authors' code) and q = 0.99 (its comment) are both drawn. The third curve has the
//! exact noise of unrelated patterns (`NoiseModel::Exact`); only that one is bounded by the approximation.

use std::process::ExitCode;

use anyhow::Result;
use experiment::figures::{Axis, Color, Figure, Mark, Panel, Width};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Number, Numbers, Tier, Tolerance};
use geometry::HammingSpace;
use rayon::prelude::*;
use sdm::optimal::{
    NoiseModel, best_capacity, bit_z_score, capacity_against, capacity_approximation,
    capacity_optimal_fraction, ln_expected_neurons, probability_of_a_neuron,
};
use serde::{Deserialize, Serialize};
use stats::normal_cdf;

/// d, then the probability of a neuron within d: exact, and by the authors' normal approximation.
const PROBABILITIES: [(usize, f64, f64); 3] =
    [(424, 0.5769, 0.5358), (425, 0.6922, 0.6503), (430, 0.9953, 0.9916)];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Neurons r of the figures that do not have one at every address.
    n_neurons: f64,
    /// Dimensions of the figure with r neurons.
    dimensions: Vec<usize>,
    /// Dimensions of the figure with r = 2^n.
    dimensions_of_all: Vec<usize>,
    /// Probabilities q that a whole pattern is read without an error.
    pattern_probabilities: [f64; 2],
    /// n of the canonical memory, and its radii.
    canonical: usize,
    radii: (usize, usize),
}

/// The largest capacity over all radii, for one n, r and q.
#[derive(Clone)]
struct Capacity {
    n: usize,
    q: f64,
    approximation: f64,
    full: f64,
    exact: f64,
}

struct Measured {
    capacities: Vec<Capacity>,
    capacities_of_all: Vec<Capacity>,
    /// At n = 1000 and q = 0.5, by radius: approximation, full equation, exact noise.
    by_radius: Vec<(usize, [f64; 3])>,
    /// By radius: the probability of a neuron, exact and by the normal approximation.
    probabilities: Vec<(usize, f64, f64)>,
}

struct MemoryCapacity;

impl Experiment for MemoryCapacity {
    const ID: &'static str = "a05_capacity";
    const TITLE: &'static str = "How many patterns a memory holds";
    const OUTPUTS: &'static [&'static str] = &["A-x24", "A-x25", "A-x26", "A-y11"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let mut dimensions = vec![
            64, 80, 100, 128, 160, 200, 256, 350, 500, 784, 1000, 1500, 2000, 3072, 5000, 10_000,
            20_000, 50_000, 100_000, // the authors' figure ends here
        ];
        if tier == Tier::Smoke {
            dimensions.retain(|n| *n <= 1000);
        }
        Config {
            n_neurons: 1e6, // authors' figures
            dimensions,
            // 2^1000 is about the largest number of neurons that a double holds.
            dimensions_of_all: vec![16, 24, 32, 48, 64, 100, 150, 256, 400, 600, 784, 1000],
            pattern_probabilities: [0.5, 0.99], // authors' code; its comment
            canonical: 1000,
            radii: (405, 465),
        }
    }

    fn cost(_: Tier) -> Cost {
        Cost { minutes: 0.2, memory_mb: 100, disk_mb: 3 }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let steps = 2 * (config.dimensions.len() + config.dimensions_of_all.len());
        let curves = |dimensions: &[usize], neurons: &(dyn Fn(usize) -> f64 + Sync)| {
            let probabilities = config.pattern_probabilities.iter();
            let cases = probabilities.flat_map(|q| dimensions.iter().map(|n| (*n, *q)));
            let cases: Vec<_> = cases.collect();
            let capacities = cases.par_iter().map(|&(n, q)| {
                context.step(steps);
                capacity(n, neurons(n), q)
            });
            capacities.collect::<Result<Vec<_>>>()
        };
        let (n, r) = (config.canonical, config.n_neurons);
        let space = HammingSpace::new(n)?;
        let z = bit_z_score(config.pattern_probabilities[0], n)?;
        let radii = config.radii.0..=config.radii.1;
        let by_radius = radii.clone().map(|d| {
            let ln_neurons = ln_expected_neurons(&space, d, libm::log(r));
            let with = |model: NoiseModel| {
                let noise = model.ln_second_moment(&space, &ln_neurons, r);
                capacity_against(ln_neurons[0], noise, z)
            };
            let approximation = capacity_approximation(space.fraction_at_radius(d), r, z);
            (d, [approximation, with(NoiseModel::Published), with(NoiseModel::Exact)])
        });
        let probabilities = radii.map(|d| {
            let (half, spread) = (n as f64 / 2.0, (n as f64 / 4.0).sqrt());
            let normal = normal_cdf((d as f64 - half) / spread);
            let exact = space.fraction_at_radius(d);
            (d, probability_of_a_neuron(exact, r), probability_of_a_neuron(normal, r))
        });
        Ok(Measured {
            capacities: curves(&config.dimensions, &|_| r)?,
            capacities_of_all: curves(&config.dimensions_of_all, &|n| libm::exp2(n as f64))?,
            by_radius: by_radius.collect(),
            probabilities: probabilities.collect(),
        })
    }

    fn numbers(_: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        let patterns = |value: f64| Number::exact(value).unit("patterns");
        for Capacity { n, q, approximation, full, exact } in &measured.capacities {
            let of = |what: &str| format!("capacity.q{q}.n{n:06}.{what}");
            numbers.insert(of("approximation"), patterns(*approximation));
            numbers.insert(of("full"), patterns(*full));
            numbers.insert(of("exact_noise"), patterns(*exact));
        }
        for (d, exact, normal) in &measured.probabilities {
            let of = |what: &str| format!("probability.d{d}.{what}");
            numbers.insert(of("exact"), Number::exact(*exact));
            numbers.insert(of("normal"), Number::exact(*normal));
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        vec![
            probability(measured).into(),
            capacities(config, measured).into(),
            capacities_of_all(config, measured).into(),
            by_radius(measured).into(),
        ]
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        claims(config, measured)
    }
}

fn main() -> ExitCode {
    experiment::main::<MemoryCapacity>()
}

fn capacity(n: usize, n_neurons: f64, q: f64) -> Result<Capacity> {
    let space = HammingSpace::new(n)?;
    let z = bit_z_score(q, n)?;
    let fraction = capacity_optimal_fraction(n_neurons, z)?;
    let best = |model| anyhow::Ok(best_capacity(&space, n_neurons, z, model)?.1);
    Ok(Capacity {
        n,
        q,
        approximation: capacity_approximation(fraction, n_neurons, z),
        full: best(NoiseModel::Published)?,
        exact: best(NoiseModel::Exact)?,
    })
}

fn probability(measured: &Measured) -> Figure {
    let column = |of: fn(&(usize, f64, f64)) -> f64| -> Vec<f64> {
        measured.probabilities.iter().map(of).collect()
    };
    let d = column(|row| row.0 as f64);
    let panel = Panel::new(
        Axis::linear("radius d (bits)").range(410.0, 435.0),
        Axis::linear("P(at least one neuron within d)"),
    )
    .mark(Mark::vline(424.0).dashed().color(Color::Gray).label("d = 424"))
    .mark(Mark::line(&d, &column(|row| row.2)).color(Color::Vermilion).label("normal"))
    .mark(Mark::points(&d, &column(|row| row.1)).color(Color::Ink).label("exact"));
    Figure::new("A-x24", "Is there a neuron within the radius? n = 1000, r = 10^{6}")
        .caption("Exact, and by the authors' normal approximation of the ball; their line at 424.")
        .panel(panel)
}

/// The curves of one q, against n.
fn panel_of(
    all: &[Capacity],
    q: f64,
    axis: Axis,
    y: impl Fn(usize, f64) -> f64,
    full: bool,
) -> Panel {
    let rows: Vec<&Capacity> = all.iter().filter(|row| row.q.total_cmp(&q).is_eq()).collect();
    let n: Vec<f64> = rows.iter().map(|row| row.n as f64).collect();
    let curve = |of: fn(&Capacity) -> f64| -> Vec<f64> {
        rows.iter().map(|row| y(row.n, of(row))).collect()
    };
    let mut panel = Panel::new(Axis::log10("bits n"), axis).title(&format!("q = {q}"));
    if full {
        let line = Mark::line(&n, &curve(|row| row.full)).color(Color::Blue);
        panel = panel.mark(line.label("full equation"));
    }
    panel
        .mark(
            Mark::line(&n, &curve(|row| row.approximation))
                .color(Color::Vermilion)
                .label("approximation"),
        )
        .mark(
            Mark::line(&n, &curve(|row| row.exact))
                .color(Color::Green)
                .dashed()
                .label("exact noise"),
        )
        .legend()
}

fn capacities(config: &Config, measured: &Measured) -> Figure {
    let figure = Figure::new("A-x25", "Capacity against dimension, r = 10^{6}")
        .caption(
            "The most patterns of which each is read without error with probability q, at the best radius: \
             Eq. (25), the approximation by p²r, and the exact noise. The full equation leaves the figure at \
             small n, where I(n/2) vanishes and p²r does not.",
        )
        .width(Width::Page)
        .columns(2)
        .share_y();
    config.pattern_probabilities.iter().fold(figure, |figure, q| {
        let axis = Axis::linear("patterns m").range(0.0, 4e5);
        figure.panel(panel_of(&measured.capacities, *q, axis, |_, m| m, true))
    })
}

fn capacities_of_all(config: &Config, measured: &Measured) -> Figure {
    let figure = Figure::new("A-x26", "Capacity with r = 2^{n} neurons")
        .caption(
            "Bits by which the number of patterns falls short of that of addresses. The full equation has \
             no bound here: at radii below n/4 its noise I(n/2) is zero.",
        )
        .width(Width::Page)
        .columns(2)
        .share_y();
    config.pattern_probabilities.iter().fold(figure, |figure, q| {
        let axis = Axis::linear("n − log_{2} m (bits)");
        let short = |n: usize, m: f64| n as f64 - libm::log2(m);
        figure.panel(panel_of(&measured.capacities_of_all, *q, axis, short, false))
    })
}

fn by_radius(measured: &Measured) -> Figure {
    let d: Vec<f64> = measured.by_radius.iter().map(|row| row.0 as f64).collect();
    let mut panel =
        Panel::new(Axis::linear("radius d (bits)").range(425.0, 465.0), Axis::linear("patterns m"));
    let names = [
        ("approximation", Color::Vermilion),
        ("full equation", Color::Blue),
        ("exact noise", Color::Green),
    ];
    for (at, (name, color)) in names.into_iter().enumerate() {
        // Below 1, not even one pattern is read.
        let m: Vec<f64> = measured.by_radius.iter().map(|row| row.1[at].max(0.0)).collect();
        let line = Mark::line(&d, &m).color(color).label(name);
        panel = panel.mark(if at == 2 { line.dashed() } else { line });
    }
    Figure::new("A-y11", "Capacity against radius, n = 1000, r = 10^{6}")
        .caption("The most patterns that are read without error with probability 0.5.")
        .panel(panel)
}

fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
    let independent = "the authors' equations, evaluated independently";
    let exactly = Tolerance::Absolute(0.0);
    let half = |of: fn(&(usize, f64, f64)) -> f64| {
        let first = measured.probabilities.iter().find(|row| of(row) >= 0.5);
        Number::exact(first.map_or(0.0, |row| row.0 as f64)).unit("bits")
    };
    let gap = |column: usize| {
        let rows = PROBABILITIES.iter().filter_map(|printed| {
            let row = measured.probabilities.iter().find(|row| row.0 == printed.0)?;
            Some(([printed.1, printed.2][column] - [row.1, row.2][column]).abs())
        });
        Number::exact(rows.fold(0.0, f64::max))
    };
    let line = "authors' figure SDMProbAddressWithinDistanceD";
    let overlay = "authors' figure RealSDMMemoryCapacityOverlay (read off)";
    let patterns = |value: f64| Number::exact(value).unit("patterns");
    let mut claims =
        vec![
            Claim::about(
                "a05.nearest",
                line,
                "the nearest of 10^6 neurons lies within 424, as likely as not",
            )
            .equals(424.0, exactly, &half(|row| row.1)),
            Claim::about("a05.nearest_normal", line, "so says the normal approximation, too")
                .equals(424.0, exactly, &half(|row| row.2)),
            Claim::about(
                "a05.probability",
                independent,
                "P at d = 424, 425, 430 is 0.5769, 0.6922, 0.9953",
            )
            .at_most(5e-5, "largest gap", &gap(0)),
            Claim::about(
                "a05.probability_normal",
                independent,
                "the normal approximation gives 0.5358, 0.6503, 0.9916",
            )
            .at_most(5e-5, "largest gap", &gap(1))
            .note("at d = 430 the value is 0.991549: the 0.9916 was rounded twice"),
        ];
    let at = |n: usize| measured.capacities.iter().find(|row| row.n == n);
    if let Some(canonical) = at(config.canonical) {
        let note =
            "read off a picture, at an n known only roughly; the equations give this run's value";
        for (id, text, printed, value) in [
            (
                "a05.full",
                "the full equation gives about 96,000 patterns at n = 1000",
                96e3,
                canonical.full,
            ),
            (
                "a05.approximation",
                "the approximation gives about 87,000 there",
                87e3,
                canonical.approximation,
            ),
        ] {
            let claim = Claim::about(id, overlay, text);
            claims.push(
                claim.equals(printed, Tolerance::Relative(0.05), &patterns(value)).note(note),
            );
        }
    }
    let largest = |of: fn(&Capacity) -> f64| {
        let ratios = measured.capacities.iter().map(|row| of(row) / row.approximation);
        Number::exact(ratios.fold(0.0, f64::max))
    };
    let bound = "largest ratio to the approximation, over all n and q";
    claims.push(
        Claim::about("a05.bounds_full", "authors' figure RealSDMMemoryCapacityOverlay", "the approximation is an upper bound of the full equation")
            .at_most(1.0, bound, &largest(|row| row.full))
            .note("I(n/2) falls short of p²r at the best radii, far short at small n: Eq. (25) has less noise there than the approximation, and so more capacity"),
    );
    claims.push(
        Claim::about(
            "a05.bounds_exact",
            Claim::OURS,
            "the approximation is an upper bound with the exact noise",
        )
        .at_most(1.0, bound, &largest(|row| row.exact)),
    );
    // z = 2.33, a bit that is right with probability 99 %.
    for (id, r, fraction) in [("1e6", 1e6, 1.4226e-4), ("1e9", 1e9, 1.397_676e-6)] {
        let Ok(value) = capacity_optimal_fraction(r, 2.33) else { continue };
        let text = format!("p* of capacity is {fraction:e} at r = {r:e}, z = 2.33");
        let claim = Claim::about(&format!("a05.fraction_{id}"), independent, &text);
        claims.push(claim.equals(fraction, Tolerance::Relative(5e-5), &Number::exact(value)));
    }
    claims
}
