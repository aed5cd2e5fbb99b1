//! Paper A: which Hamming radius is best.
//!
//! The paper asks for the radius d that is best for the signal-to-noise ratio of a read (d*_SNR), for
//! the critical distance, from below which reading again and again converges to the stored pattern
//! (d*_CD), and for capacity (d*_Mem), and tabulates them (appendix, Table 1).
//!
//! *Expected:* d*_SNR 447 and d*_CD 448 at n = 1000, r = 10^6, m = 10^4; 11, 15 and 5 at n = 64, r = 2^64,
//! m = 1024. *Visible:* for r = 2^n a d*_CD of about n/4, the radius from which balls n/2 apart meet (why:
//! a08); no d*_CD at all where the patterns are more than the capacity. *Run:* `just run a04`; a second.
//!
//! *Departures:* a second d*_CD, by a strict routine for which a read without any neuron is no success.

use std::process::ExitCode;

use anyhow::Result;
use experiment::figures::{Cell, Table};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Number, Numbers, Tier, Tolerance};
use geometry::HammingSpace;
use rayon::prelude::*;
use sdm::optimal::{
    OptimalRadii, critical_distance, ln_expected_neurons, optimal_radii,
    published_critical_distance, step_distances,
};
use sdm::{SlopeEstimator, fit_beta};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Memories of the table.
    memories: Vec<Memory>,
    /// Probability q that a whole pattern is read without an error, for the capacity.
    pattern_probability: f64,
}

/// n bits, m patterns, and r neurons.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    n: usize,
    n_patterns: u64,
    n_neurons: f64,
}

/// One memory with its optimal radii, and β as published and by least squares at each of them.
struct Optimum {
    memory: Memory,
    radii: OptimalRadii,
    /// The radius of the longest critical distance in the strict sense.
    strict: Option<usize>,
    /// d, fraction p of the space within it, both β, both critical distances; for SNR, CD and Mem.
    at: [Option<Radius>; 3],
}

struct Radius {
    d: usize,
    fraction: f64,
    published_beta: f64,
    least_squares: f64,
    published_distance: usize,
    strict_distance: f64,
}

struct Measured {
    optima: Vec<Optimum>,
}

const CANONICAL: Memory = Memory { n: 1000, n_patterns: 10_000, n_neurons: 1e6 };

struct OptimalRadiiOfTheMemory;

impl Experiment for OptimalRadiiOfTheMemory {
    const ID: &'static str = "a04_optimal_radii";
    const TITLE: &'static str = "Which radius is best";
    const OUTPUTS: &'static [&'static str] = &["A-tab1", "A-y10"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let memory = |n, n_patterns, n_neurons| Memory { n, n_patterns, n_neurons };
        let every_address = |n: usize| libm::exp2(n as f64);
        let mut memories = vec![
            CANONICAL,                             // App. Table 1, by a secondary source
            memory(64, 1024, every_address(64)),   // authors' notebooks
            memory(64, 100, every_address(64)),    // the m of the authors' simulations
            memory(64, 60_000, every_address(64)), // authors' notebooks
            memory(1000, 1000, 1e6),               // ours, from here on
            memory(1000, 100_000, 1e6),
            memory(64, 1024, 1e6),
            memory(256, 1024, 1e6),
            memory(784, 1024, 1e6),
            memory(256, 1024, every_address(256)),
            memory(784, 1024, every_address(784)),
            memory(1000, 1024, every_address(1000)),
        ];
        if tier == Tier::Smoke {
            memories.truncate(4);
        }
        // q: authors' code; its comment says 99 %.
        Config { memories, pattern_probability: 0.5 }
    }

    fn cost(_: Tier) -> Cost {
        Cost { minutes: 0.1, memory_mb: 80, disk_mb: 5 }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let optima = config.memories.par_iter().map(|&memory| {
            context.step(config.memories.len());
            optimum(memory, config.pattern_probability)
        });
        Ok(Measured { optima: optima.collect::<Result<_>>()? })
    }

    fn numbers(_: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        let bits = |value: f64| Number::exact(value).unit("bits");
        for optimum in &measured.optima {
            for (name, radius) in NAMES.iter().zip(&optimum.at) {
                let Some(radius) = radius else { continue };
                let id = format!("d.{}.{name}", optimum.memory.id());
                numbers.insert(id, bits(radius.d as f64));
                let id = format!("critical_distance.{}.{name}", optimum.memory.id());
                numbers.insert(id, bits(radius.strict_distance));
            }
        }
        numbers
    }

    fn drawings(_: &Config, measured: &Measured) -> Vec<Drawing> {
        vec![table_of_radii(&measured.optima).into(), table_of_beta(&measured.optima).into()]
    }

    fn claims(_: &Config, measured: &Measured) -> Vec<Claim> {
        claims(measured)
    }
}

/// The three criteria, in the order of `Optimum::at`.
const NAMES: [&str; 3] = ["SNR", "CD", "Mem"];

fn main() -> ExitCode {
    experiment::main::<OptimalRadiiOfTheMemory>()
}

impl Memory {
    fn steps(self, space: &HammingSpace, d: usize) -> Vec<Option<f64>> {
        step_distances(&ln_expected_neurons(space, d, libm::log(self.n_neurons)), self.n_patterns)
    }

    /// r as a power: of ten where it is a million, else of two.
    fn r(self) -> String {
        if self.n_neurons.total_cmp(&1e6).is_eq() {
            "10^6".to_owned()
        } else {
            format!("2^{}", self.n)
        }
    }

    fn id(self) -> String {
        format!("n{}.m{}.r{}", self.n, self.n_patterns, self.r().replace('^', "e"))
    }
}

/// The critical distance in the strict sense; 0 if not even the pattern itself is stable.
fn strict(steps: &[Option<f64>]) -> f64 {
    critical_distance(steps).unwrap_or(0.0)
}

fn optimum(memory: Memory, pattern_probability: f64) -> Result<Optimum> {
    let space = HammingSpace::new(memory.n)?;
    let Memory { n_patterns, n_neurons, .. } = memory;
    let radii = optimal_radii(&space, n_patterns, n_neurons, pattern_probability)?;
    // The smallest of equally good radii.
    let reach = (1..memory.n / 2).rev().map(|d| (d, strict(&memory.steps(&space, d))));
    let farthest = reach.max_by(|one, other| one.1.total_cmp(&other.1));
    let radius = |d: usize| {
        let counts = space.ln_intersections(d);
        let beta =
            |estimator| Ok::<_, sdm::SdmError>(fit_beta(memory.n, &counts, 0..d, estimator)?.beta);
        let steps = memory.steps(&space, d);
        anyhow::Ok(Radius {
            d,
            fraction: space.fraction_at_radius(d),
            published_beta: beta(SlopeEstimator::Published)?,
            least_squares: beta(SlopeEstimator::LeastSquares)?,
            published_distance: published_critical_distance(&steps),
            strict_distance: strict(&steps),
        })
    };
    Ok(Optimum {
        memory,
        radii,
        strict: farthest.filter(|(_, reach)| *reach > 0.0).map(|(d, _)| d),
        at: [
            Some(radius(radii.snr)?),
            radii.critical_distance.map(radius).transpose()?,
            Some(radius(radii.memory)?),
        ],
    })
}

fn table_of_radii(optima: &[Optimum]) -> Table {
    let mut table = Table::new("A-tab1", "Optimal Hamming radii");
    for name in ["n", "m", "r"] {
        table = table.column(name, "");
    }
    for name in
        ["d*_SNR", "d*_CD", "d*_CD, strict", "d*_Mem", "d*_SNR, published", "d*_CD, published"]
    {
        table = table.column(name, "bits");
    }
    optima.iter().fold(table, |table, Optimum { memory, radii, strict, .. }| {
        let count = |value: usize| Cell::number(value as f64, 0);
        // App. Table 1 and the main text, by secondary sources.
        let published = match memory.id().as_str() {
            "n1000.m10000.r10e6" => [count(447), count(448)],
            "n64.m1024.r2e64" => [count(11), count(15)],
            _ => [Cell::Missing, Cell::Missing],
        };
        let r = Cell::text(&memory.r());
        let of = [count(memory.n), Cell::number(memory.n_patterns as f64, 0), r];
        let own = [Some(radii.snr), radii.critical_distance, *strict, Some(radii.memory)];
        let own = own.map(|d| d.map_or(Cell::Missing, count));
        table.row(of.into_iter().chain(own).chain(published).collect())
    })
}

fn table_of_beta(optima: &[Optimum]) -> Table {
    let title = "β, sparsity and critical distance at the optimal radii";
    let mut table = Table::new("A-y10", title);
    for name in ["n", "m", "r", "best for", "log10 p*", "log10 p", "β published", "β least squares"]
    {
        table = table.column(name, "");
    }
    for name in ["d*", "critical distance", "critical distance, strict"] {
        table = table.column(name, "bits");
    }
    for Optimum { memory, radii, at, .. } in optima {
        let asked = [Some(radii.snr_fraction), None, Some(radii.memory_fraction)];
        for ((name, asked), radius) in NAMES.iter().zip(asked).zip(at) {
            let Some(radius) = radius else { continue };
            let log10 = |p: f64| Cell::number(libm::log10(p), 3);
            table = table.row(vec![
                Cell::number(memory.n as f64, 0),
                Cell::number(memory.n_patterns as f64, 0),
                Cell::text(&memory.r()),
                Cell::text(name),
                asked.map_or(Cell::Missing, log10),
                log10(radius.fraction),
                Cell::number(radius.published_beta, 3),
                Cell::number(radius.least_squares, 3),
                Cell::number(radius.d as f64, 0),
                Cell::number(radius.published_distance as f64, 0),
                Cell::number(radius.strict_distance, 2),
            ]);
        }
    }
    table
}

fn claims(measured: &Measured) -> Vec<Claim> {
    let exactly = Tolerance::Absolute(0.0);
    let table = "appendix, Table 1 (by a secondary source)";
    let notebook = "authors' notebook on optimal d";
    let routine = "the authors' routine, evaluated independently";
    let bits = |d: usize| Number::exact(d as f64).unit("bits");
    let mut claims = Vec::new();
    let published = [
        (
            "canonical",
            "n1000.m10000.r10e6",
            "n = 1000, r = 10^6, m = 10^4",
            table,
            [Some(447_u32), Some(448), None],
        ),
        (
            "1000",
            "n1000.m1000.r10e6",
            "n = 1000, r = 10^6, m = 10^3",
            routine,
            [Some(450), Some(451), None],
        ),
        ("m100", "n64.m100.r2e64", "n = 64, r = 2^64, m = 100", routine, [Some(12), None, None]),
        (
            "m60000",
            "n64.m60000.r2e64",
            "n = 64, r = 2^64, m = 60,000",
            notebook,
            [Some(10), None, Some(5)],
        ),
    ];
    for (id, memory, name, source, d) in published {
        let found = measured.optima.iter().find(|optimum| optimum.memory.id() == memory);
        let Some(optimum) = found else { continue };
        for ((criterion, published), radius) in NAMES.iter().zip(d).zip(&optimum.at) {
            let (Some(published), Some(radius)) = (published, radius) else { continue };
            let id = format!("a04.d_{}_{id}", criterion.to_lowercase());
            let text = format!("d*_{criterion} is {published} at {name}");
            let claim = Claim::about(&id, source, &text);
            claims.push(claim.equals(f64::from(published), exactly, &bits(radius.d)));
        }
    }
    claims
}
