//! Beyond paper A: every memory on the same patterns, against what it costs.
//!
//! SDM with real neurons, SDM in the pattern view, softmax attention, sparsemax and top-k differ in how
//! they weigh patterns. Here they store the same random patterns of 64 bits and are asked the same
//! queries: how far may a query start (critical distance), and how many patterns can be stored (capacity),
//! for how much memory and how many operations a read?
//!
//! The nearest pattern (top-1) is the cheap baseline and the ceiling: no read can do better than to answer
//! with the pattern that is nearest. Radius and β are the paper's: d*_SNR for the memory at hand, and the
//! published β of the fit to it; β of sparsemax and of top-k is the same.
//!
//! *Visible:* memories that keep the patterns themselves reach nearly as far as the nearest pattern, at n
//! bits a pattern; neurons buy the same reach with a hundred to a thousand times the memory, and pay it at
//! each read as well. *Run:* `just fig A-y50`; two minutes.

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
                "main text: attention approximates SDM",
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

/// Asks one memory of m patterns from every distance, on every data set.
fn point(config: &Config, kind: Kind, m: usize) -> Result<Point> {
    let (mut found, mut bytes, mut operations) = (Vec::new(), 0.0, 0.0);
    for seed in &config.seeds {
        let seed = Seed::new(*seed);
        let stream = |purpose: &str| seed.stream(MemoriesCompared::ID, purpose);
        let patterns = BitMatrix::random(m, config.n, &mut stream(&format!("{m} patterns")));
        let targets = patterns.select(&(0..config.n_targets.min(m)).collect::<Vec<_>>());
        let queries: Vec<BitMatrix> = (config.flips.iter())
            .map(|flips| {
                perturb::flip_bits(&targets, *flips, &mut stream(&format!("{flips} flips")))
            })
            .collect();
        let ask = Ask { config, seed, targets: &targets, queries: &queries };
        let n = config.n as f64;
        if let Kind::Neurons(r) = kind {
            let d = radius(config.n, m, r as f64)?;
            let mut addresses = stream(&format!("addresses of {r} neurons"));
            let mut store =
                NeuronStore::new(BitMatrix::random(r, config.n, &mut addresses), config.n, d)?;
            store.write(&patterns, &patterns)?;
            found.push(ask.found(&store)?);
            bytes = store.n_bytes() as f64;
            let active = r as f64 * HammingSpace::new(config.n)?.fraction_at_radius(d);
            operations = r as f64 * n / 64.0 + active * n;
        } else {
            let separation = separation(config.n, kind, m)?;
            operations = m as f64 * n / 64.0 + n * support(&*separation, &patterns, &queries);
            bytes = m as f64 * n / 8.0;
            found.push(ask.found(&BinaryMemory::new(patterns, separation))?);
        }
    }
    let flips: Vec<f64> = config.flips.iter().map(|flips| *flips as f64).collect();
    let all: Vec<Vec<f64>> = found.into_iter().flatten().collect();
    let share = |at: usize, places: &[usize]| {
        stats::sum(places.iter().map(|place| all[*place][at])) / places.len() as f64
    };
    let critical = |places: &[usize]| {
        let shares: Vec<f64> = (0..flips.len()).map(|at| share(at, places)).collect();
        last_fall(&flips, &shares, 0.5)
    };
    let seed = Seed::new(*config.seeds.first().context("the bootstrap needs a seed")?);
    let mut rng = seed.stream(MemoriesCompared::ID, &format!("bootstrap, {}, {m}", kind.name()));
    let ci = bootstrap_ci_of_places(all.len(), critical, config.n_resamples, 0.95, &mut rng)?;
    let every: Vec<usize> = (0..all.len()).collect();
    let judged = config.flips.iter().position(|flips| *flips == config.capacity_flips);
    Ok(Point {
        kind,
        m,
        critical: Number::estimate(critical(&every), [ci.low, ci.high]).n(all.len() as u64),
        found: share(judged.context("capacity_flips is not among flips")?, &every),
        bytes,
        operations,
    })
}

/// d*_SNR, for m patterns and r neurons.
fn radius(n: usize, m: usize, r: f64) -> Result<usize> {
    let fraction = snr_optimal_fraction(m as u64, r)?;
    Ok(HammingSpace::new(n)?.radius_at_fraction(fraction)?)
}

fn separation(n: usize, kind: Kind, m: usize) -> Result<Box<dyn Separation>> {
    let d = radius(n, m, libm::exp2(n as f64))?;
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

/// The queries of one data set.
struct Ask<'a> {
    config: &'a Config,
    seed: Seed,
    targets: &'a BitMatrix,
    queries: &'a [BitMatrix],
}

impl Ask<'_> {
    /// By target, then by flips: 1 if the query finds its pattern, else 0.
    fn found(&self, memory: &impl Memory<States = BitMatrix>) -> Result<Vec<Vec<f64>>> {
        let n_targets = self.targets.n_rows();
        let mut found = vec![vec![0.0; self.queries.len()]; n_targets];
        let draws =
            Draws { seed: self.seed, id: MemoriesCompared::ID, purpose: "no draws are made" };
        for (at, queries) in self.queries.iter().enumerate() {
            let ends = converge(memory, queries, self.config.max_reads, 0.0, draws)?;
            for (target, found) in found.iter_mut().enumerate() {
                let is_found = ends.states.is_near(target, self.targets, target, 0.0);
                found[at] = f64::from(u8::from(is_found));
            }
        }
        Ok(found)
    }
}

fn color(kind: Kind) -> Color {
    match kind {
        Kind::Neurons(_) => Color::Gray,
        Kind::Circles => Color::Vermilion,
        Kind::Softmax => Color::Blue,
        Kind::Sparsemax => Color::Green,
        Kind::TopK(1) => Color::Ink,
        Kind::TopK(_) => Color::Purple,
    }
}

fn figure(config: &Config, measured: &Measured) -> Figure {
    let mut kinds: Vec<Kind> = Vec::new();
    for point in &measured.points {
        if !kinds.contains(&point.kind) {
            kinds.push(point.kind);
        }
    }
    let reach = || Axis::linear("critical distance (bits)").range(0.0, 32.0);
    let mut over_m = Panel::new(Axis::log10("stored patterns m"), reach()).title("reach");
    for kind in &kinds {
        let points: Vec<&Point> =
            measured.points.iter().filter(|point| point.kind == *kind).collect();
        let m: Vec<f64> = points.iter().map(|point| point.m as f64).collect();
        let value = |end: fn(&Number) -> f64| -> Vec<f64> {
            points.iter().map(|point| end(&point.critical)).collect()
        };
        let line = Mark::line(&m, &value(|number| number.value)).color(color(*kind));
        let band = Mark::band(
            &m,
            &value(|number| number.ci_low.unwrap_or(number.value)),
            &value(|number| number.ci_high.unwrap_or(number.value)),
        );
        let line = if matches!(kind, Kind::TopK(1)) { line.dashed() } else { line };
        over_m = over_m
            .mark(band.color(color(*kind)).series(&format!("{}, 95 %", kind.name())))
            .mark(line.label(&kind.name()));
    }
    let against = |label: &str, title: &str, cost: fn(&Point) -> f64| {
        let mut panel = Panel::new(Axis::log10(label), reach()).title(title);
        let at: Vec<&Point> =
            measured.points.iter().filter(|point| point.m == config.compared_at).collect();
        let stores: Vec<&&Point> =
            at.iter().filter(|point| matches!(point.kind, Kind::Neurons(_))).collect();
        let x: Vec<f64> = stores.iter().map(|point| cost(point)).collect();
        let y: Vec<f64> = stores.iter().map(|point| point.critical.value).collect();
        panel = panel.mark(Mark::line(&x, &y).color(Color::Gray).series("real neurons"));
        for point in at {
            let [low, high] = point.critical.ci().unwrap_or([point.critical.value; 2]);
            let bar = Mark::error_bars(&[cost(point)], &[point.critical.value], &[low], &[high]);
            let bar =
                if matches!(point.kind, Kind::TopK(1)) { bar.marker(Marker::Ring) } else { bar };
            panel = panel.mark(bar.color(color(point.kind)).label(&point.kind.name()));
        }
        panel
    };
    let title = format!("n = {}, random patterns", config.n);
    Figure::new("A-y50", &title)
        .caption(&format!(
            "Critical distance: flips from which half of the queries find their pattern. Left: against the number \
             of stored patterns, with 95 % intervals over queries and data sets. Middle and right: at m = {}, \
             against the bytes that are kept, and against the word comparisons and additions of one read. The \
             nearest pattern is what no memory can exceed.",
            config.compared_at
        ))
        .width(Width::Page)
        .columns(3)
        .panel(over_m)
        .panel(against("bytes kept", "reach for memory", |point| point.bytes))
        .panel(against("operations a read", "reach for compute", |point| point.operations))
}

fn table(config: &Config, measured: &Measured) -> Table {
    let mut table = Table::new("A-y51", "Capacity, reach and cost of every memory")
        .column("memory", "")
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
            capacity.map_or(Cell::Missing, |m| Cell::number(m as f64, 0)),
            Cell::number(point.critical.value, 1),
            Cell::number(point.bytes / point.m as f64, 0),
            Cell::number(point.operations, 0),
        ]);
    }
    table
}
