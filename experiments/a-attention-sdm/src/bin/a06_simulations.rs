//! Paper A: neurons and patterns drawn at random, against the equations.
//!
//! The appendix checks two equations by simulation: the circle intersection (Eq. 2) and the noise of a
//! read (Eq. 25), the latter against the variance of Kanerva's book, which lacks the term I₀². Here real
//! neurons at random addresses are counted, and real patterns with random bits are read, many more times.
//!
//! *Expected:* the counts of 20 draws that the authors print, within what 20 draws allow. *Visible:* counts
//! on the exact line; a noise far above the book's where unrelated patterns share neurons, and above
//! Eq. (25) as well: other patterns lie around n/2, not at n/2, and the nearer ones gain more shared
//! neurons than the farther ones lose. The exact variance averages over the distances. *Run:* `just run a06`; half a minute.
//!
//! *Departures:* contents of patterns are independent of their addresses, as the equations assume. The
//! book's variance is our reading: `I(d_v) + (m−1)·I₀`. n, r and d of the authors' simulation of the noise
//! are not known to us; those of their intersections are taken.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use experiment::figures::{Axis, Color, Figure, Mark, Marker, Panel, Width};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Number, Numbers, Tier, Tolerance};
use geometry::HammingSpace;
use rayon::prelude::*;
use sdm::optimal::{NoiseModel, ln_expected_neurons};
use seed::{Rng, Seed};
use serde::{Deserialize, Serialize};
use stats::{bootstrap_ci, mean, normal_quantile, poisson_interval, poisson_quantile};

/// The authors' notebook prints, for n = 100, r = 10^4, d = 35: d_v and the mean count of 20 draws.
const PRINTED: [(usize, f64); 8] =
    [(0, 17.7), (2, 12.8), (4, 9.35), (8, 6.45), (10, 5.7), (20, 2.1), (40, 0.1), (50, 0.15)];
const PRINTED_DRAWS: f64 = 20.0;
/// The readings of the noise, with names for readers.
const MODELS: [(NoiseModel, &str, Color); 3] = [
    (NoiseModel::Book, "book", Color::Blue),
    (NoiseModel::Published, "Eq. (25)", Color::Vermilion),
    (NoiseModel::Exact, "exact", Color::Green),
];

/// On the one check of the simulation that fails.
const CHANCE: &str = "one seed in twenty fails a test at 95 %, and seed 0 does; seeds 1, 2 and 3 give 1.9, 1.7 \
     and 1.9. The distances share their draws, so that one surplus shows at several";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where neurons are counted; its memory has no other pattern.
    intersections: Setting,
    /// Where patterns are read.
    reads: Vec<Setting>,
    /// Resamples of the bootstrap over draws.
    n_resamples: usize,
    seeds: Vec<u64>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Setting {
    name: String,
    n: usize,
    n_neurons: usize,
    radius: usize,
    n_patterns: usize,
    /// Distances of the query from the pattern.
    distances: Vec<usize>,
    /// Draws of everything: neurons, patterns, query.
    n_draws: usize,
}

/// What a draw gives at one distance: the neurons shared with the pattern; the mean over all bits of
/// the sum that is read, counted positive where it is right; and of its squared distance from `I(d_v)`.
struct Reading {
    shared: f64,
    signal: f64,
    square: f64,
}

/// A simulation, with its readings by distance and draw, and the equations.
struct Simulation {
    setting: Setting,
    /// Expected neurons `I(d_v)` at each distance.
    expected: Vec<f64>,
    /// Mean number of shared neurons.
    counts: Vec<Number>,
    /// Variance of a sum, and signal over its standard deviation.
    variance: Vec<Number>,
    ratio: Vec<Number>,
    /// The variance under each of [`MODELS`].
    equations: [Vec<f64>; 3],
}

struct Measured {
    intersections: Simulation,
    reads: Vec<Simulation>,
}

struct Simulations;

impl Experiment for Simulations {
    const ID: &'static str = "a06_simulations";
    const TITLE: &'static str = "Monte Carlo against the equations";
    const OUTPUTS: &'static [&'static str] = &["A-x27", "A-x28", "A-y12", "A-y13"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let draws = |smoke, more| if tier == Tier::Smoke { smoke } else { more };
        let setting = |name: &str, radius, n_patterns, distances: &[usize], n_draws| Setting {
            name: name.to_owned(),
            n: 100,            // authors' code
            n_neurons: 10_000, // authors' code
            radius,
            n_patterns,
            distances: distances.to_vec(),
            n_draws,
        };
        let counted = [0, 2, 4, 8, 10, 15, 20, 25, 30, 35, 40, 45, 50];
        let read = [0, 2, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50];
        let smoke = tier == Tier::Smoke;
        let reads = vec![
            setting("sparse", 35, 100, &read, draws(50, 4000)), // m: authors' code, with 200 draws
            setting("crowded", 42, 100, &read, draws(20, 1000)), // 44 neurons shared by unrelated patterns
            Setting {
                n: 1000, // the canonical memory
                n_neurons: if smoke { 100_000 } else { 1_000_000 },
                ..setting(
                    "canonical",
                    451,
                    if smoke { 500 } else { 10_000 },
                    &[0, 100, 200],
                    draws(4, 16),
                )
            },
        ];
        Config {
            intersections: setting("intersections", 35, 1, &counted, draws(200, 10_000)),
            reads,
            n_resamples: draws(100, 1000),
            seeds: vec![0],
        }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn cost(tier: Tier) -> Cost {
        let minutes = if tier == Tier::Smoke { 0.05 } else { 0.7 };
        Cost { minutes, memory_mb: 120, disk_mb: 3 }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let seed = Seed::new(*config.seeds.first().context("a seed is needed")?);
        let steps = config.reads.iter().chain([&config.intersections]).map(|one| one.n_draws).sum();
        let run =
            |setting: &Setting| simulate(setting, seed, config.n_resamples, || context.step(steps));
        Ok(Measured {
            intersections: run(&config.intersections)?,
            reads: config.reads.iter().map(run).collect::<Result<_>>()?,
        })
    }

    fn numbers(_: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        let Simulation { setting, counts, .. } = &measured.intersections;
        for (d_v, count) in setting.distances.iter().zip(counts) {
            numbers.insert(format!("shared.d_v{d_v:02}"), count.clone());
        }
        for Simulation { setting, variance, ratio, .. } in &measured.reads {
            for ((d_v, variance), ratio) in setting.distances.iter().zip(variance).zip(ratio) {
                numbers.insert(format!("variance.{}.d_v{d_v:03}", setting.name), variance.clone());
                numbers.insert(format!("ratio.{}.d_v{d_v:03}", setting.name), ratio.clone());
            }
        }
        numbers
    }

    fn drawings(_: &Config, measured: &Measured) -> Vec<Drawing> {
        let reads = ["A-x28", "A-y12", "A-y13"].into_iter().zip(&measured.reads);
        let reads = reads.map(|(id, simulation)| noise(id, simulation).into());
        [intersections(&measured.intersections).into()].into_iter().chain(reads).collect()
    }

    fn claims(_: &Config, measured: &Measured) -> Vec<Claim> {
        claims(measured)
    }
}

fn main() -> ExitCode {
    experiment::main::<Simulations>()
}

/// Independent draws, each with a stream of its own.
fn simulate(
    setting: &Setting,
    seed: Seed,
    n_resamples: usize,
    step: impl Fn() + Sync,
) -> Result<Simulation> {
    let Setting { n, n_neurons, radius, n_patterns, .. } = *setting;
    let space = HammingSpace::new(n)?;
    let ln_neurons = ln_expected_neurons(&space, radius, libm::log(n_neurons as f64));
    let expected: Vec<f64> =
        setting.distances.iter().map(|d_v| libm::exp(ln_neurons[*d_v])).collect();
    let draws = (0..setting.n_draws).into_par_iter().map(|number| {
        let mut rng = seed.stream(Simulations::ID, &format!("{} draw {number}", setting.name));
        step();
        draw(setting, &expected, &mut rng)
    });
    let draws: Vec<Vec<Reading>> = draws.collect();
    let others = n_patterns as f64 - 1.0;
    let equations = MODELS.map(|(model, ..)| {
        let second_moment =
            libm::exp(model.ln_second_moment(&space, &ln_neurons, n_neurons as f64));
        let own = |count: &f64| match model {
            // The number of shared neurons is binomial.
            NoiseModel::Exact => count * (1.0 - count / n_neurons as f64),
            NoiseModel::Book | NoiseModel::Published => *count,
        };
        expected.iter().map(|count| own(count) + others * second_moment).collect()
    });
    let estimates = setting.distances.par_iter().enumerate().map(|(at, d_v)| {
        let column =
            |of: fn(&Reading) -> f64| draws.iter().map(|draw| of(&draw[at])).collect::<Vec<_>>();
        let (shared, signal) = (column(|one| one.shared), column(|one| one.signal));
        let square = column(|one| one.square);
        let n_draws = shared.len() as u64;
        let interval = poisson_interval(&shared, 0.95)?;
        let count = Number::estimate(mean(&shared)?, [interval.low, interval.high]).n(n_draws);
        let mut rng = seed.stream(Simulations::ID, &format!("{} bootstrap {d_v}", setting.name));
        let average = |values: &[f64], drawn: &[f64]| {
            stats::sum(drawn.iter().map(|place| values[place_of(*place)])) / drawn.len() as f64
        };
        let variance_of = |drawn: &[f64]| average(&square, drawn);
        let ratio_of = |drawn: &[f64]| average(&signal, drawn) / average(&square, drawn).sqrt();
        let places: Vec<f64> = (0..shared.len()).map(|place| place as f64).collect();
        let mut estimate = |statistic: &dyn Fn(&[f64]) -> f64| {
            let interval = bootstrap_ci(&places, statistic, n_resamples, 0.95, &mut rng)?;
            anyhow::Ok(
                Number::estimate(statistic(&places), [interval.low, interval.high]).n(n_draws),
            )
        };
        anyhow::Ok((count, estimate(&variance_of)?, estimate(&ratio_of)?))
    });
    let estimates = estimates.collect::<Result<Vec<_>>>()?;
    let mut simulation = Simulation {
        setting: setting.clone(),
        expected,
        counts: Vec::new(),
        variance: Vec::new(),
        ratio: Vec::new(),
        equations,
    };
    for (count, variance, ratio) in estimates {
        simulation.counts.push(count);
        simulation.variance.push(variance);
        simulation.ratio.push(ratio);
    }
    Ok(simulation)
}

/// A place of a list that the bootstrap carries as a number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small count, made from one"
)]
fn place_of(place: f64) -> usize {
    place as usize
}

/// Fresh neurons, patterns and a query; every distance is read from the same ones.
fn draw(setting: &Setting, expected: &[f64], rng: &mut Rng) -> Vec<Reading> {
    let Setting { n, n_neurons, radius, n_patterns, .. } = *setting;
    let words = n.div_ceil(64);
    let random = |rng: &mut Rng, to: &mut [u64]| {
        to.fill_with(|| rng.next_u64());
        if n % 64 > 0 {
            to[words - 1] &= (1 << (n % 64)) - 1;
        }
    };
    let distance = |a: &[u64], b: &[u64]| -> usize {
        a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones() as usize).sum()
    };
    let mut addresses = vec![0; n_patterns * words];
    let mut contents = addresses.clone();
    for row in addresses.chunks_exact_mut(words).chain(contents.chunks_exact_mut(words)) {
        random(rng, row);
    }
    // The query departs from the first pattern, bit by bit in a random order.
    let mut order: Vec<usize> = (0..n).collect();
    rng.shuffle(&mut order);
    let queries = setting.distances.iter().map(|d_v| {
        let mut query = addresses[..words].to_vec();
        order[..*d_v].iter().for_each(|bit| query[bit / 64] ^= 1 << (bit % 64));
        query
    });
    let queries: Vec<Vec<u64>> = queries.collect();
    // Only the neurons that a query reaches are kept.
    let mut reached: Vec<Vec<u64>> = vec![Vec::new(); queries.len()];
    let mut neuron = vec![0; words];
    for _ in 0..n_neurons {
        random(rng, &mut neuron);
        for (query, reached) in queries.iter().zip(&mut reached) {
            if distance(query, &neuron) <= radius {
                reached.extend_from_slice(&neuron);
            }
        }
    }
    let bit = |content: &[u64], bit: usize| content[bit / 64] >> (bit % 64) & 1 == 1;
    let read = reached.iter().zip(expected).map(|(reached, expected)| {
        let mut sums = vec![0.0; n];
        let mut shared = 0.0;
        for (at, address) in addresses.chunks_exact(words).enumerate() {
            let neurons = reached.chunks_exact(words);
            let count = neurons.filter(|neuron| distance(address, neuron) <= radius).count() as f64;
            if at == 0 {
                shared = count;
            }
            if count > 0.0 {
                let content = &contents[at * words..][..words];
                for (place, sum) in sums.iter_mut().enumerate() {
                    *sum += if bit(content, place) { count } else { -count };
                }
            }
        }
        let right = sums.iter().enumerate();
        let right = right.map(|(place, sum)| if bit(&contents, place) { *sum } else { -sum });
        let right: Vec<f64> = right.collect();
        let squares = right.iter().map(|sum| (sum - expected) * (sum - expected));
        Reading {
            shared,
            signal: stats::sum(right.iter().copied()) / n as f64,
            square: stats::sum(squares) / n as f64,
        }
    });
    read.collect()
}

/// Estimates with intervals, over the distances.
fn error_bars(distances: &[f64], numbers: &[Number], of: fn(f64) -> f64) -> Mark {
    let column =
        |end: fn(&Number) -> f64| -> Vec<f64> { numbers.iter().map(|one| of(end(one))).collect() };
    let low = column(|one| one.ci_low.unwrap_or(one.value));
    let high = column(|one| one.ci_high.unwrap_or(one.value));
    Mark::error_bars(distances, &column(|one| one.value), &low, &high).color(Color::Ink)
}

fn as_numbers(distances: &[usize]) -> Vec<f64> {
    distances.iter().map(|d_v| *d_v as f64).collect()
}

fn intersections(simulation: &Simulation) -> Figure {
    let d_v = as_numbers(&simulation.setting.distances);
    let (px, py): (Vec<_>, Vec<_>) = PRINTED.iter().map(|row| (row.0 as f64, row.1)).unzip();
    let label = format!("simulated, {} draws", simulation.setting.n_draws);
    let panel = Panel::new(Axis::linear("d_{v} (bits)"), Axis::log10("neurons in both balls"))
        .mark(Mark::line(&d_v, &simulation.expected).color(Color::Green).label("exact"))
        .mark(error_bars(&d_v, &simulation.counts, |x| x).allow_gaps().label(&label))
        .mark(
            Mark::points(&px, &py)
                .color(Color::Vermilion)
                .marker(Marker::Ring)
                .label("authors, 20 draws"),
        )
        .legend();
    Figure::new("A-x27", "Shared neurons, counted: n = 100, r = 10^{4}, d = 35")
        .caption(
            "The mean number of neurons within d of two points, with 95 % intervals over draws.",
        )
        .panel(panel)
}

fn noise(id: &str, simulation: &Simulation) -> Figure {
    let Setting { n, n_neurons, radius, n_patterns, n_draws, .. } = simulation.setting;
    let d_v = as_numbers(&simulation.setting.distances);
    let axis = || Axis::linear("d_{v} (bits)");
    let mut sigma = Panel::new(axis(), Axis::linear("standard deviation σ (neurons)")).legend();
    let mut ratio = Panel::new(axis(), Axis::log10("signal-to-noise ratio")).legend();
    for ((_, name, color), variance) in MODELS.iter().zip(&simulation.equations) {
        let line = |y: Vec<f64>| {
            let line = Mark::line(&d_v, &y).color(*color).label(name);
            if *name == "Eq. (25)" { line.dashed() } else { line }
        };
        sigma = sigma.mark(line(variance.iter().map(|variance| variance.sqrt()).collect()));
        let signals = simulation.expected.iter().zip(variance);
        ratio =
            ratio.mark(line(signals.map(|(signal, variance)| signal / variance.sqrt()).collect()));
    }
    let label = format!("simulated, {n_draws} draws");
    sigma = sigma.mark(error_bars(&d_v, &simulation.variance, f64::sqrt).label(&label));
    ratio = ratio.mark(error_bars(&d_v, &simulation.ratio, |x| x).allow_gaps().label(&label));
    let digits = libm::log10(n_neurons as f64); // every r here is a power of ten
    let title =
        format!("Noise of a read: n = {n}, r = 10^{{{digits:.0}}}, d = {radius}, m = {n_patterns}");
    Figure::new(id, &title)
        .caption(
            "The sum that is read for a bit: its standard deviation, and its mean over that. Intervals: 95 %, \
             bootstrap over draws of neurons, patterns and query. Lines: three readings of the noise.",
        )
        .width(Width::Page)
        .columns(2)
        .panel(sigma)
        .panel(ratio)
}

fn claims(measured: &Measured) -> Vec<Claim> {
    let Simulation { setting, expected, counts, .. } = &measured.intersections;
    let mut claims = Vec::new();
    // The tolerance is what 20 draws allow, the eight printed means at 95 % together: each within the
    // central 1 − 0.05/8 of a Poisson count.
    let tail = 0.05 / PRINTED.len() as f64 / 2.0;
    for (d_v, printed) in PRINTED {
        let Some(at) = setting.distances.iter().position(|drawn| *drawn == d_v) else { continue };
        let total = PRINTED_DRAWS * expected[at];
        let ends = [tail, 1.0 - tail].map(|p| poisson_quantile(total, p).unwrap_or(0) as f64);
        let reach =
            ends.map(|end| (end - total).abs() / PRINTED_DRAWS).into_iter().fold(0.0, f64::max);
        let text = format!("20 draws give {printed} shared neurons at d_v = {d_v}");
        claims.push(
            Claim::about(&format!("a06.shared_{d_v:02}"), "authors' notebook", &text).equals(
                printed,
                Tolerance::Absolute(reach),
                &Number::exact(expected[at]).unit("neurons"),
            ),
        );
    }
    let deviations = counts.iter().zip(expected).map(|(count, expected)| {
        (count.value - expected).abs() / (expected / setting.n_draws as f64).sqrt()
    });
    let largest = Number::exact(deviations.fold(0.0, f64::max));
    let bound = normal_quantile(1.0 - 0.025 / counts.len() as f64).unwrap_or(0.0);
    let claim =
        Claim::about("a06.intersections", "Eq. (2)", "simulated counts agree with the exact ones")
            .at_most(bound, "largest deviation, in standard errors (95 % together)", &largest);
    claims.push(if largest.value > bound { claim.note(CHANCE) } else { claim });
    for Simulation { setting, variance, equations, .. } in &measured.reads {
        // At the farthest query, where the other patterns make most of the noise.
        let Some(variance) = variance.last() else { continue };
        let [book, published, exact] =
            equations.each_ref().map(|curve| curve.last().copied().unwrap_or(0.0));
        let d_v = setting.distances.last().copied().unwrap_or(0);
        let place = format!("n = {}, d = {}, d_v = {d_v}", setting.n, setting.radius);
        let about = |id: &str, source: &str, text: &str| {
            Claim::about(&format!("a06.{id}_{}", setting.name), source, text)
        };
        claims.push(
            about("above_book", "Eq. (25)", &format!("σ² exceeds the book's at {place}")).exceeds(
                "the book's variance",
                book,
                variance,
            ),
        );
        claims.push(
            about("eq25", "Eq. (25)", &format!("σ² is that of Eq. (25) at {place}"))
                .equals(published, Tolerance::Relative(0.05), variance)
                .null("the book's variance", book)
                .note(
                    "Eq. (25) takes every other pattern at n/2; their distances spread, and those that are \
                     nearer share more neurons than those that are farther share fewer",
                ),
        );
        claims.push(
            about(
                "exact",
                Claim::OURS,
                &format!("σ² is the exact one, over all distances, at {place}"),
            )
            .equals(exact, Tolerance::Relative(0.05), variance)
            .null("the book's variance", book),
        );
    }
    claims
}
