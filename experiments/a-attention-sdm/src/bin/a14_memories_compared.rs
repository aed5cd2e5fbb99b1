//! Beyond paper A: every memory on the same patterns, against what it costs.
//!
//! SDM with real neurons, SDM in the pattern view, softmax attention, sparsemax and top-k differ in how
//! they weigh patterns. Here they store the same random patterns of 64 bits and are asked the same
//! queries: how far may a query start (critical distance), and how many patterns can be stored (capacity),
//! for how much memory and how many operations a read?
//!
//! The nearest pattern (top-1) is the cheap baseline and the ceiling: no read can do better than to answer
//! with the pattern that is nearest. Each memory has the radius, or the published β of the fit to the
//! radius, that reaches farthest on a data set of its own: d*_SNR or up to four bits less.
//!
//! *Visible:* memories that keep the patterns themselves reach nearly as far as the nearest pattern, at n
//! bits a pattern; real neurons need a thousand times the memory and more, and pay it at each read as well.
//! *Run:* `just fig A-y50`; two minutes.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use experiment::figures::{Axis, Cell, Color, Figure, Mark, Marker, Panel, Table, Width};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Number, Numbers, Tier};
use geometry::HammingSpace;
use kernels::BitMatrix;
use sdm::optimal::snr_optimal_fraction;
use sdm::separation::{Circles, Cue, Separation, Similarities, Softmax, Sparsemax, TopK};
use sdm::{
    BinaryMemory, Draws, Memory, NeuronStore, SlopeEstimator, States as _, converge, fit_beta,
    perturb,
};
use seed::Seed;
use serde::{Deserialize, Serialize};
use stats::{bootstrap_ci_of_places, last_fall};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Bits n of an address.
    n: usize,
    /// Numbers of stored patterns m.
    n_patterns: Vec<usize>,
    /// The m at which costs are compared.
    compared_at: usize,
    /// Numbers of neurons r of the real stores.
    n_neurons: Vec<usize>,
    /// Radii that are tried: d*_SNR less each of these.
    radii_below: Vec<usize>,
    /// Flipped bits of the queries.
    flips: Vec<usize>,
    /// Flipped bits of the queries by which capacity is judged.
    capacity_flips: usize,
    /// Patterns that are queried, in each data set.
    n_targets: usize,
    /// The most reads of one query.
    max_reads: usize,
    /// Resamples of the bootstrap.
    n_resamples: usize,
    /// One seed for each data set.
    seeds: Vec<u64>,
}

/// A kind of memory.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// This many real neurons.
    Neurons(usize),
    /// SDM in the pattern view, a neuron at every address.
    Circles,
    Softmax,
    Sparsemax,
    /// Softmax over this many nearest patterns.
    TopK(usize),
}

impl Kind {
    fn name(self) -> String {
        match self {
            Self::Neurons(r) => {
                let exponent = (0..12).find(|exponent| 10_usize.pow(*exponent) == r);
                exponent
                    .map_or(format!("{r} neurons"), |exponent| format!("10^{{{exponent}}} neurons"))
            }
            Self::Circles => "SDM, pattern view".to_owned(),
            Self::Softmax => "softmax".to_owned(),
            Self::Sparsemax => "sparsemax".to_owned(),
            Self::TopK(1) => "nearest pattern".to_owned(),
            Self::TopK(k) => format!("top-{k}"),
        }
    }
}

/// One memory at one m.
struct Point {
    kind: Kind,
    m: usize,
    /// The radius that it uses, or whose β.
    radius: usize,
    /// Flips from which half of the queries find their pattern.
    critical: Number,
    /// Share of queries with `capacity_flips` flips that find it.
    found: f64,
    /// Bytes that it keeps.
    bytes: f64,
    /// Word comparisons and additions of one read.
    operations: f64,
}

struct Measured {
    points: Vec<Point>,
}

struct MemoriesCompared;

impl Experiment for MemoriesCompared {
    const ID: &'static str = "a14_memories_compared";
    const TITLE: &'static str = "Every memory on the same patterns, against what it costs";
    const OUTPUTS: &'static [&'static str] = &["A-y50", "A-y51"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let smoke = tier == Tier::Smoke;
        Config {
            n: 64, // as the paper's memories of random patterns
            n_patterns: match tier {
                Tier::Smoke => vec![10, 100],
                _ => vec![10, 30, 100, 300, 1000, 3000, 10_000],
            },
            compared_at: if smoke { 100 } else { 1000 },
            n_neurons: match tier {
                Tier::Smoke => vec![1000, 10_000],
                _ => vec![1000, 10_000, 100_000, 1_000_000],
            },
            radii_below: if smoke { vec![0] } else { (0..=4).collect() },
            flips: (0..=15).map(|step| 2 * step).collect(),
            capacity_flips: 6,
            n_targets: match tier {
                Tier::Smoke => 10,
                Tier::Laptop => 60,
                Tier::Paper => 1000,
            },
            max_reads: 30,
            n_resamples: if smoke { 100 } else { 1000 },
            seeds: if smoke { vec![0] } else { vec![0, 1, 2] },
        }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.05, memory_mb: 100, disk_mb: 2 },
            Tier::Laptop => Cost { minutes: 2.0, memory_mb: 400, disk_mb: 2 },
            Tier::Paper => Cost { minutes: 40.0, memory_mb: 1000, disk_mb: 2 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let stores = config.n_neurons.iter().map(|r| Kind::Neurons(*r));
        let kinds: Vec<Kind> = stores
            .chain([Kind::Circles, Kind::Softmax, Kind::Sparsemax, Kind::TopK(16), Kind::TopK(1)])
            .collect();
        let cases = kinds.iter().flat_map(|kind| config.n_patterns.iter().map(|m| (*kind, *m)));
        let n_cases = kinds.len() * config.n_patterns.len();
        let points = cases.map(|(kind, m)| {
            let point =
                point(config, kind, m).with_context(|| format!("{} with m = {m}", kind.name()));
            context.step(n_cases);
            point
        });
        Ok(Measured { points: points.collect::<Result<_>>()? })
    }

    fn numbers(_: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for point in &measured.points {
            let of = |what: &str| {
                let name = point.kind.name().replace(['{', '}', '^', ','], "").replace(' ', "_");
                format!("{what}.{name}.m{:05}", point.m)
            };
            numbers.insert(of("critical"), point.critical.clone().unit("bits"));
            numbers.insert(of("bytes"), Number::exact(point.bytes).unit("bytes"));
            numbers.insert(of("operations"), Number::exact(point.operations));
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        vec![figure(config, measured).into(), table(config, measured).into()]
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let at = |kind: Kind| {
            let mut points = measured.points.iter();
            points.find(|point| point.kind == kind && point.m == config.compared_at)
        };
        let (Some(softmax), Some(circles)) = (at(Kind::Softmax), at(Kind::Circles)) else {
            return Vec::new();
        };
        let gap = (softmax.critical.value - circles.critical.value).abs();
        vec![
            Claim::about(
                "a14.softmax_is_sdm",
                Claim::OURS,
                "softmax reaches as far as SDM in the pattern view, within two bits",
            )
            .at_most(2.0, "gap of the critical distances, bits", &Number::exact(gap))
            .note(
                "the paper compares convergence curves and gives no critical distance of softmax",
            ),
        ]
    }
}

fn main() -> ExitCode {
    experiment::main::<MemoriesCompared>()
}

/// Asks one memory of m patterns from every distance, on every data set, with the radius that is best on
/// another.
fn point(config: &Config, kind: Kind, m: usize) -> Result<Point> {
    let farthest = radius(config.n, m, kind)?;
    let mut best = (0, f64::NEG_INFINITY);
    for d in config.radii_below.iter().map(|below| farthest.saturating_sub(*below).max(2)) {
        let base = *config.seeds.first().context("a seed is needed")?;
        let found = ask(config, kind, m, d, Seed::new(base), "tuning, ")?.found;
        let reach = critical(config, &found, &(0..found.len()).collect::<Vec<_>>());
        if reach > best.1 {
            best = (d, reach);
        }
    }
    let (mut found, mut bytes, mut operations) = (Vec::new(), 0.0, 0.0);
    for seed in &config.seeds {
        let answers = ask(config, kind, m, best.0, Seed::new(*seed), "")?;
        found.extend(answers.found);
        (bytes, operations) = (answers.bytes, answers.operations);
    }
    let seed = Seed::new(*config.seeds.first().context("the bootstrap needs a seed")?);
    let mut rng = seed.stream(MemoriesCompared::ID, &format!("bootstrap, {}, {m}", kind.name()));
    let reach = |places: &[usize]| critical(config, &found, places);
    let ci = bootstrap_ci_of_places(found.len(), reach, config.n_resamples, 0.95, &mut rng)?;
    let every: Vec<usize> = (0..found.len()).collect();
    let judged = config.flips.iter().position(|flips| *flips == config.capacity_flips);
    Ok(Point {
        kind,
        m,
        radius: best.0,
        critical: Number::estimate(reach(&every), [ci.low, ci.high]).n(found.len() as u64),
        found: share(&found, judged.context("capacity_flips is not among flips")?, &every),
        bytes,
        operations,
    })
}

/// The share of these queries that find their pattern from the flips at a place of the list.
fn share(found: &[Vec<f64>], at: usize, places: &[usize]) -> f64 {
    stats::sum(places.iter().map(|place| found[*place][at])) / places.len() as f64
}

/// Flips from which half of these queries find their pattern.
fn critical(config: &Config, found: &[Vec<f64>], places: &[usize]) -> f64 {
    let flips: Vec<f64> = config.flips.iter().map(|flips| *flips as f64).collect();
    let shares: Vec<f64> = (0..flips.len()).map(|at| share(found, at, places)).collect();
    last_fall(&flips, &shares, 0.5)
}

/// What a memory answers on one data set.
struct Answers {
    /// By target, then by flips: 1 if the query finds its pattern, else 0.
    found: Vec<Vec<f64>>,
    bytes: f64,
    operations: f64,
}

fn ask(config: &Config, kind: Kind, m: usize, d: usize, seed: Seed, data: &str) -> Result<Answers> {
    let stream = |what: &str| seed.stream(MemoriesCompared::ID, &format!("{data}{what}"));
    let n = config.n as f64;
    let patterns = BitMatrix::random(m, config.n, &mut stream(&format!("{m} patterns")));
    let targets = patterns.select(&(0..config.n_targets.min(m)).collect::<Vec<_>>());
    let queries: Vec<BitMatrix> = (config.flips.iter())
        .map(|flips| perturb::flip_bits(&targets, *flips, &mut stream(&format!("{flips} flips"))))
        .collect();
    if let Kind::Neurons(r) = kind {
        let addresses =
            BitMatrix::random(r, config.n, &mut stream(&format!("addresses of {r} neurons")));
        let mut store = NeuronStore::new(addresses, config.n, d)?;
        store.write(&patterns, &patterns)?;
        let active = r as f64 * HammingSpace::new(config.n)?.fraction_at_radius(d);
        return Ok(Answers {
            found: found(config, &store, &targets, &queries)?,
            bytes: store.n_bytes() as f64,
            operations: r as f64 * n / 64.0 + active * n,
        });
    }
    let separation = separation(config.n, kind, d)?;
    let operations = m as f64 * n / 64.0 + n * support(&*separation, &patterns, &queries);
    let memory = BinaryMemory::new(patterns, separation);
    let found = found(config, &memory, &targets, &queries)?;
    Ok(Answers { found, bytes: m as f64 * n / 8.0, operations })
}

/// By target, then by flips: 1 if the query finds its pattern, to the bit, else 0.
fn found(
    config: &Config,
    memory: &impl Memory<States = BitMatrix>,
    targets: &BitMatrix,
    queries: &[BitMatrix],
) -> Result<Vec<Vec<f64>>> {
    let draws =
        Draws { seed: Seed::new(0), id: MemoriesCompared::ID, purpose: "no draws are made" };
    let mut found = vec![vec![0.0; queries.len()]; targets.n_rows()];
    for (at, queries) in queries.iter().enumerate() {
        let ends = converge(memory, queries, config.max_reads, 0.0, draws)?;
        for (target, found) in found.iter_mut().enumerate() {
            found[at] = f64::from(u8::from(ends.states.is_near(target, targets, target, 0.0)));
        }
    }
    Ok(found)
}

/// d*_SNR, for m patterns and as many neurons as there are, or one at every address.
fn radius(n: usize, m: usize, kind: Kind) -> Result<usize> {
    let r = match kind {
        Kind::Neurons(r) => r as f64,
        _ => libm::exp2(n as f64),
    };
    let fraction = snr_optimal_fraction(m as u64, r)?;
    Ok(HammingSpace::new(n)?.radius_at_fraction(fraction)?)
}

fn separation(n: usize, kind: Kind, d: usize) -> Result<Box<dyn Separation>> {
    let counts = HammingSpace::new(n)?.ln_intersections(d);
    #[expect(clippy::cast_possible_truncation, reason = "β in 32 bits")]
    let beta = fit_beta(n, &counts, 0..d, SlopeEstimator::Published)?.beta as f32;
    Ok(match kind {
        Kind::Neurons(_) | Kind::Circles => Box::new(Circles::new(n, d)?),
        Kind::Softmax => Box::new(Softmax::new(beta)?),
        Kind::Sparsemax => Box::new(Sparsemax::new(beta)?),
        Kind::TopK(k) => Box::new(TopK::new(k, beta)?),
    })
}

/// The mean number of patterns with weight, over the first reads of all queries.
fn support(separation: &dyn Separation, patterns: &BitMatrix, queries: &[BitMatrix]) -> f64 {
    let mut rng = Seed::new(0).stream(MemoriesCompared::ID, "no draws are made");
    let (mut n_weights, mut n_queries) = (0, 0);
    let mut weights = vec![0.0; patterns.n_rows()];
    for (queries, row) in
        queries.iter().flat_map(|queries| (0..queries.n_rows()).map(move |row| (queries, row)))
    {
        let distances: Vec<u32> = (0..patterns.n_rows())
            .map(|pattern| patterns.distance(pattern, queries, row))
            .collect();
        let similarities =
            Similarities::Distances { n_bits: patterns.n_bits(), distances: &distances };
        let cue = Cue { address: queries.row(row), similarities };
        separation.weigh(&cue, &mut rng, &mut weights);
        n_weights += weights.iter().filter(|weight| **weight > 0.0).count();
        n_queries += 1;
    }
    n_weights as f64 / f64::from(n_queries.max(1))
}

fn color(config: &Config, kind: Kind) -> Color {
    match kind {
        Kind::Neurons(r) => {
            let place = config.n_neurons.iter().position(|other| *other == r).unwrap_or(0);
            Color::sequential(place, config.n_neurons.len())
        }
        Kind::Circles => Color::Vermilion,
        Kind::Softmax => Color::Blue,
        Kind::Sparsemax => Color::Amber,
        Kind::TopK(1) => Color::Ink,
        Kind::TopK(_) => Color::Purple,
    }
}

fn marker(kind: Kind) -> Marker {
    match kind {
        Kind::Neurons(_) => Marker::Circle,
        Kind::Circles | Kind::Softmax => Marker::Square,
        Kind::Sparsemax | Kind::TopK(16) => Marker::Triangle,
        Kind::TopK(_) => Marker::Ring,
    }
}

/// Critical distances with intervals, and a line through them.
fn reach(config: &Config, points: &[&Point], x: fn(&Point) -> f64) -> Vec<Mark> {
    let Some(kind) = points.first().map(|point| point.kind) else { return Vec::new() };
    let of =
        |end: fn(&Point) -> f64| -> Vec<f64> { points.iter().map(|point| end(point)).collect() };
    let (x, y) = (of(x), of(|point| point.critical.value));
    let low = of(|point| point.critical.ci_low.unwrap_or(point.critical.value));
    let high = of(|point| point.critical.ci_high.unwrap_or(point.critical.value));
    let color = color(config, kind);
    let bars = Mark::error_bars(&x, &y, &low, &high).marker(marker(kind));
    vec![
        Mark::line(&x, &y).color(color).series(&format!("{}, line", kind.name())),
        bars.color(color).label(&kind.name()),
    ]
}

fn figure(config: &Config, measured: &Measured) -> Figure {
    let mut kinds: Vec<Kind> = Vec::new();
    for point in &measured.points {
        if !kinds.contains(&point.kind) {
            kinds.push(point.kind);
        }
    }
    let of = |kind: Kind, m: Option<usize>| -> Vec<&Point> {
        let is_meant = |point: &&Point| point.kind == kind && m.is_none_or(|m| point.m == m);
        measured.points.iter().filter(is_meant).collect()
    };
    let panel = |label: &str, title: &str, m: Option<usize>, x: fn(&Point) -> f64| {
        let reach_axis = Axis::linear("critical distance (bits)").range(-1.0, 32.0);
        let mut panel = Panel::new(Axis::log10(label), reach_axis).title(title).legend();
        if m.is_some() {
            let stores = kinds.iter().filter(|kind| matches!(kind, Kind::Neurons(_)));
            let stores: Vec<&Point> = stores.flat_map(|kind| of(*kind, m)).collect();
            let y: Vec<f64> = stores.iter().map(|point| point.critical.value).collect();
            let x: Vec<f64> = stores.iter().map(|point| x(point)).collect();
            panel = panel.mark(Mark::line(&x, &y).color(Color::Gray).series("real neurons"));
        }
        for kind in &kinds {
            panel = panel.marks(reach(config, &of(*kind, m), x));
        }
        panel
    };
    let m = Some(config.compared_at);
    Figure::new("A-y50", &format!("Reach and cost of memories, n = {}, random patterns", config.n))
        .caption(&format!(
            "Critical distance: flips from which half of the queries find their pattern, with 95 % intervals over              queries and data sets. a: against the number of stored patterns. b, c: at m = {}, against the bytes              that are kept, and against the word comparisons and additions of one read. The nearest pattern is              what no memory can exceed.",
            config.compared_at
        ))
        .width(Width::Page)
        .columns(3)
        .panel(panel("stored patterns m", "reach", None, |point| point.m as f64))
        .panel(panel("bytes kept", "reach for memory", m, |point| point.bytes))
        .panel(panel("operations a read", "reach for compute", m, |point| point.operations))
}

fn table(config: &Config, measured: &Measured) -> Table {
    let mut table = Table::new("A-y51", "Capacity, reach and cost of every memory")
        .column("memory", "")
        .column("radius", "bits")
        .column("capacity, at least", "patterns")
        .column("critical distance", "bits")
        .column("kept", "bytes a pattern")
        .column("read", "operations");
    for point in measured.points.iter().filter(|point| point.m == config.compared_at) {
        // The largest m at which nine of ten queries with few flips find their pattern.
        let holds = |other: &&Point| other.kind == point.kind && other.found >= 0.9;
        let capacity = measured.points.iter().filter(holds).map(|other| other.m).max();
        table = table.row(vec![
            Cell::text(&point.kind.name().replace(['{', '}'], "")),
            // The nearest pattern is the same at every β.
            if point.kind == Kind::TopK(1) {
                Cell::Missing
            } else {
                Cell::number(point.radius as f64, 0)
            },
            capacity.map_or(Cell::Missing, |m| Cell::number(m as f64, 0)),
            Cell::number(point.critical.value, 1),
            Cell::number(point.bytes / point.m as f64, 0),
            Cell::number(point.operations, 0),
        ]);
    }
    table
}
