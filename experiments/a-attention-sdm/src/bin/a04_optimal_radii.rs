//! Paper A: which Hamming radius is best.
//!
//! The paper asks for the radius d that is best for the signal-to-noise ratio of a read (d*_SNR), for
//! the critical distance, from below which reading again and again converges to the stored pattern
//! (d*_CD), and for capacity (d*_Mem), and tabulates them (appendix, Table 1).
//!
//! *Expected:* d*_SNR 447 and d*_CD 448 at n = 1000, r = 10^6, m = 10^4; 11, 15 and 5 at n = 64, r = 2^64,
//! m = 1024. *Visible:* a critical distance that rises with d as 2d+1 (the published routine) while
//! the balls of unrelated patterns hardly meet, and then falls; a strict routine, which asks that a
//! read without any neuron is not a success, is flat at the top. *Run:* `just run a04`; seconds.
//!
//! *Departures:* m is not stated for the authors' curves of the critical distance; here it is 1024, and
//! 10^4 once. The map from an old distance to a new one is that of a07.

use std::process::ExitCode;

use anyhow::Result;
use experiment::figures::{Axis, Cell, Color, Figure, Mark, Panel, Table, Width};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Number, Numbers, Tier, Tolerance};
use geometry::HammingSpace;
use rayon::prelude::*;
use sdm::optimal::{
    NoiseModel, OptimalRadii, critical_distance, ln_expected_neurons, optimal_radii,
    published_critical_distance, snr_optimal_fraction, step_distances, step_distances_against,
};
use sdm::{SlopeEstimator, fit_beta};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Memories of the table.
    memories: Vec<Memory>,
    /// n and m of the curves over all radii, with r = 2^n and r = 10^6.
    curves: Vec<(usize, u64)>,
    /// Probability q that a whole pattern is read without an error, for the capacity.
    pattern_probability: f64,
}

/// n bits, m patterns, and r neurons.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    n: usize,
    n_patterns: u64,
    neurons: Neurons,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Neurons {
    /// One at every address, 2^n.
    EveryAddress,
    /// 10 to this power.
    PowerOfTen(u32),
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

/// Critical distances over radii.
struct Curve {
    memory: Memory,
    radii: Vec<usize>,
    published: Vec<usize>,
    strict: Vec<f64>,
    /// Strict, with the exact noise in the place of Eq. (25).
    exact: Vec<f64>,
    /// d*_SNR; none where r is out of the range of doubles.
    snr: Option<usize>,
}

struct Measured {
    optima: Vec<Optimum>,
    curves: Vec<Curve>,
    /// The strict critical distance of the canonical memory at d = 448 and 451.
    canonical: [f64; 2],
    /// Published critical distances that claims are about.
    lists: [Vec<usize>; 3],
}

const CANONICAL: Memory = Memory { n: 1000, n_patterns: 10_000, neurons: Neurons::PowerOfTen(6) };

struct OptimalRadiiOfTheMemory;

impl Experiment for OptimalRadiiOfTheMemory {
    const ID: &'static str = "a04_optimal_radii";
    const TITLE: &'static str = "Which radius is best";
    const OUTPUTS: &'static [&'static str] = &["A-tab1", "A-x20", "A-x21", "A-y10"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        use Neurons::{EveryAddress, PowerOfTen};
        let memory = |n, n_patterns, neurons| Memory { n, n_patterns, neurons };
        let mut memories = vec![
            CANONICAL,                         // App. Table 1, by a secondary source
            memory(64, 1024, EveryAddress),    // authors' notebooks
            memory(64, 100, EveryAddress),     // the m of the authors' simulations
            memory(64, 60_000, EveryAddress),  // authors' notebooks
            memory(1000, 1000, PowerOfTen(6)), // ours, from here on
            memory(1000, 100_000, PowerOfTen(6)),
            memory(64, 1024, PowerOfTen(6)),
            memory(256, 1024, PowerOfTen(6)),
            memory(784, 1024, PowerOfTen(6)),
            memory(256, 1024, EveryAddress),
            memory(784, 1024, EveryAddress),
            memory(1000, 1024, EveryAddress),
        ];
        // The authors' dimensions.
        let mut curves =
            vec![(64, 1024), (256, 1024), (784, 1024), (1000, 1024), (1000, 10_000), (3072, 1024)];
        if tier == Tier::Smoke {
            memories.truncate(4);
            curves.truncate(2);
        }
        // q: authors' code; its comment says 99 %.
        Config { memories, curves, pattern_probability: 0.5 }
    }

    fn cost(_: Tier) -> Cost {
        Cost { minutes: 0.1, memory_mb: 80, disk_mb: 5 }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let everywhere = config.curves.iter().map(|&(n, n_patterns)| Memory {
            n,
            n_patterns,
            neurons: Neurons::EveryAddress,
        });
        let million =
            everywhere.clone().map(|memory| Memory { neurons: Neurons::PowerOfTen(6), ..memory });
        let memories: Vec<Memory> = everywhere.chain(million).collect();
        let steps = memories.len() + config.memories.len();
        let curves = memories.par_iter().map(|&memory| {
            context.step(steps);
            curve(memory)
        });
        let optima = config.memories.par_iter().map(|&memory| {
            context.step(steps);
            optimum(memory, config.pattern_probability)
        });
        let list = |n, n_patterns, neurons, radii: std::ops::RangeInclusive<usize>| {
            let memory = Memory { n, n_patterns, neurons };
            let space = HammingSpace::new(n)?;
            let reach = radii.map(|d| published_critical_distance(&memory.steps(&space, d)));
            anyhow::Ok(reach.collect::<Vec<_>>())
        };
        let canonical = HammingSpace::new(CANONICAL.n)?;
        Ok(Measured {
            curves: curves.collect::<Result<_>>()?,
            optima: optima.collect::<Result<_>>()?,
            canonical: [448, 451].map(|d| strict(&CANONICAL.steps(&canonical, d))),
            lists: [
                list(64, 1024, Neurons::EveryAddress, 9..=23)?,
                list(64, 1024, Neurons::PowerOfTen(6), 15..=22)?,
                list(1000, 1000, Neurons::PowerOfTen(6), 450..=452)?,
            ],
        })
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
        for curve in &measured.curves {
            let Some(best) = place_of_largest(&curve.exact) else { continue };
            let of = |what: &str| format!("{what}.exact_noise.{}", curve.memory.id());
            numbers.insert(of("d"), bits(curve.radii[best] as f64));
            numbers.insert(of("critical_distance"), bits(curve.exact[best]));
        }
        numbers
    }

    fn drawings(_: &Config, measured: &Measured) -> Vec<Drawing> {
        vec![
            table_of_radii(&measured.optima).into(),
            critical_distances("A-x20", Neurons::EveryAddress, &measured.curves).into(),
            critical_distances("A-x21", Neurons::PowerOfTen(6), &measured.curves).into(),
            table_of_beta(&measured.optima).into(),
        ]
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
    /// +∞ for one at every address of 1024 bits or more.
    fn neurons(self) -> f64 {
        match self.neurons {
            Neurons::EveryAddress => libm::exp2(self.n as f64),
            Neurons::PowerOfTen(exponent) => libm::exp10(f64::from(exponent)),
        }
    }

    fn ln_neurons(self) -> f64 {
        match self.neurons {
            Neurons::EveryAddress => self.n as f64 * std::f64::consts::LN_2,
            Neurons::PowerOfTen(exponent) => f64::from(exponent) * std::f64::consts::LN_10,
        }
    }

    fn steps(self, space: &HammingSpace, d: usize) -> Vec<Option<f64>> {
        step_distances(&ln_expected_neurons(space, d, self.ln_neurons()), self.n_patterns)
    }

    /// For numbers.
    fn id(self) -> String {
        let r = match self.neurons {
            Neurons::EveryAddress => format!("2e{}", self.n),
            Neurons::PowerOfTen(exponent) => format!("1e{exponent}"),
        };
        format!("n{}.m{}.r{r}", self.n, self.n_patterns)
    }

    /// For readers.
    fn r(self) -> String {
        match self.neurons {
            Neurons::EveryAddress => format!("2^{{{}}}", self.n),
            Neurons::PowerOfTen(exponent) => format!("10^{{{exponent}}}"),
        }
    }
}

/// The critical distance in the strict sense; 0 if not even the pattern itself is stable.
fn strict(steps: &[Option<f64>]) -> f64 {
    critical_distance(steps).unwrap_or(0.0)
}

/// The first, of equal ones.
fn place_of_largest(values: &[f64]) -> Option<usize> {
    (0..values.len()).rev().max_by(|&a, &b| values[a].total_cmp(&values[b]))
}

fn optimum(memory: Memory, pattern_probability: f64) -> Result<Optimum> {
    let space = HammingSpace::new(memory.n)?;
    let (m, neurons) = (memory.n_patterns, memory.neurons());
    let radii = optimal_radii(&space, m, neurons, pattern_probability)?;
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

fn curve(memory: Memory) -> Result<Curve> {
    let space = HammingSpace::new(memory.n)?;
    let m = memory.n_patterns;
    let at = |d: usize| {
        let ln_neurons = ln_expected_neurons(&space, d, memory.ln_neurons());
        let steps = step_distances(&ln_neurons, m);
        let noise = NoiseModel::Exact.ln_second_moment(&space, &ln_neurons, memory.neurons());
        let exact = step_distances_against(&ln_neurons, noise, m);
        (published_critical_distance(&steps), strict(&steps), strict(&exact))
    };
    let radii: Vec<usize> = (1..memory.n / 2).collect();
    let values: Vec<_> = radii.par_iter().map(|d| at(*d)).collect();
    let fraction = memory.neurons().is_finite().then(|| snr_optimal_fraction(m, memory.neurons()));
    let snr = fraction.transpose()?.map(|p| space.radius_at_fraction(p)).transpose()?;
    Ok(Curve {
        memory,
        published: values.iter().map(|value| value.0).collect(),
        strict: values.iter().map(|value| value.1).collect(),
        exact: values.iter().map(|value| value.2).collect(),
        snr,
        radii,
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
        let published = match (*memory == CANONICAL, memory.n, memory.n_patterns, memory.neurons) {
            (true, ..) => [count(447), count(448)],
            (_, 64, 1024, Neurons::EveryAddress) => [count(11), count(15)],
            _ => [Cell::Missing, Cell::Missing],
        };
        let r = Cell::text(&memory.r().replace(['{', '}'], ""));
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
                Cell::text(&memory.r().replace(['{', '}'], "")),
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

fn critical_distances(id: &str, neurons: Neurons, curves: &[Curve]) -> Figure {
    let r = match neurons {
        Neurons::EveryAddress => "2^{n}",
        Neurons::PowerOfTen(_) => "10^{6}",
    };
    let mut figure = Figure::new(id, &format!("Critical distance against radius, r = {r}"))
        .caption(
            "How far a query may start and still converge: by the published routine, by a strict one, and \
             by the strict one with the exact noise. Points mark the maxima, the dotted line d*_SNR. Where \
             a curve stands at n, the map never rises above the diagonal, not even at n/2, where all other \
             patterns are: the equation no longer describes a memory.",
        )
        .width(Width::Page)
        .columns(3)
        .panel_height_mm(36.0);
    for curve in curves.iter().filter(|curve| curve.memory.neurons == neurons) {
        let x: Vec<f64> = curve.radii.iter().map(|d| *d as f64).collect();
        let published: Vec<f64> = curve.published.iter().map(|d| *d as f64).collect();
        // From the first radius with a reach to the last.
        let reaches = |at: &usize| published[*at] > 0.0 || curve.exact[*at] > 0.0;
        let first = (0..x.len()).find(|at| reaches(at)).unwrap_or(0);
        let last = (0..x.len()).rev().find(|at| reaches(at)).unwrap_or(x.len() - 1);
        let title = format!("n = {}, m = {}", curve.memory.n, curve.memory.n_patterns);
        let radius = Axis::linear("radius d (bits)").range(x[first] - 1.0, x[last] + 1.0);
        let mut panel =
            Panel::new(radius, Axis::linear("critical distance (bits)")).title(&title).legend();
        if let Some(snr) = curve.snr {
            let line = Mark::vline(snr as f64).dotted().color(Color::Ink);
            panel = panel.mark(line.series("d*_SNR"));
        }
        for (name, y, color) in [
            ("published routine", &published, Color::Blue),
            ("strict", &curve.strict, Color::Vermilion),
            ("strict, exact noise", &curve.exact, Color::Green),
        ] {
            let line = Mark::line(&x, y).color(color).label(name);
            let line = if name == "strict" { line.dashed() } else { line };
            let best: Vec<usize> = place_of_largest(y).into_iter().collect();
            let at = |values: &[f64]| best.iter().map(|at| values[*at]).collect::<Vec<_>>();
            let point = Mark::points(&at(&x), &at(y)).color(color);
            panel = panel.mark(line).mark(point.series(&format!("maximum, {name}")));
        }
        figure = figure.panel(panel);
    }
    figure
}

fn claims(measured: &Measured) -> Vec<Claim> {
    let exactly = Tolerance::Absolute(0.0);
    let table = "appendix, Table 1 (by a secondary source)";
    let notebook = "authors' notebook on optimal d";
    let routine = "the authors' routine, evaluated independently";
    let of = |n: usize, n_patterns: u64, neurons: Neurons| {
        let memory = Memory { n, n_patterns, neurons };
        measured.optima.iter().find(|optimum| optimum.memory == memory)
    };
    let bits = |d: usize| Number::exact(d as f64).unit("bits");
    let mut claims = Vec::new();
    for (id, name, source, found, d) in [
        (
            "canonical",
            "n = 1000, r = 10^6, m = 10^4",
            table,
            of(1000, 10_000, Neurons::PowerOfTen(6)),
            [Some(447), Some(448), None],
        ),
        (
            "1000",
            "n = 1000, r = 10^6, m = 10^3",
            routine,
            of(1000, 1000, Neurons::PowerOfTen(6)),
            [Some(450), Some(451), None],
        ),
        (
            "m100",
            "n = 64, r = 2^64, m = 100",
            routine,
            of(64, 100, Neurons::EveryAddress),
            [Some(12), None, None],
        ),
        (
            "m60000",
            "n = 64, r = 2^64, m = 60,000",
            notebook,
            of(64, 60_000, Neurons::EveryAddress),
            [Some(10), None, Some(5)],
        ),
    ] {
        let Some(optimum) = found else { continue };
        for ((criterion, published), radius) in NAMES.iter().zip(d).zip(&optimum.at) {
            let (Some(published), Some(radius)) = (published, radius) else { continue };
            let id = format!("a04.d_{}_{id}", criterion.to_lowercase());
            let text = format!("d*_{criterion} is {published} at {name}");
            let claim = Claim::about(&id, source, &text);
            claims.push(claim.equals(f64::from(published), exactly, &bits(radius.d)));
        }
    }
    let lists: [(&str, &str, &[usize]); 3] = [
        (
            "64",
            "n = 64, r = 2^64, m = 1024, d = 9..23",
            &[19, 21, 23, 25, 27, 29, 31, 30, 30, 28, 26, 24, 20, 12, 0],
        ),
        ("64_finite", "n = 64, r = 10^6, m = 1024, d = 15..22", &[4, 14, 18, 20, 22, 22, 18, 10]),
        ("1000", "n = 1000, r = 10^6, m = 10^3, d = 450..452", &[330, 332, 330]),
    ];
    for ((id, name, published), list) in lists.iter().zip(&measured.lists) {
        let gap = published.iter().zip(list).map(|(one, other)| one.abs_diff(*other)).max();
        let text = format!("critical distances at {name}");
        claims.push(Claim::about(&format!("a04.reach_{id}"), routine, &text).at_most(
            0.0,
            "largest gap to the published routine's, bits",
            &bits(gap.unwrap_or(usize::MAX)),
        ));
    }
    let items = [("d = 448", 0), ("d = 451", 1)]
        .map(|(name, at)| (name, Number::exact(measured.canonical[at]).unit("bits")));
    let text = "at n = 1000, r = 10^6, m = 10^4 the radius 448 reaches farther than Kanerva's 451";
    claims.push(Claim::about("a04.reach_448_451", routine, text).ordered(&items));
    let flat = measured.curves.iter().find(|curve| curve.memory.neurons == Neurons::EveryAddress);
    if let Some(curve) = flat {
        // Radii begin at 1; the first curve is that of n = 64.
        let top = &curve.strict[14..17];
        let spread =
            top.iter().copied().fold(0.0, f64::max) - top.iter().copied().fold(f64::MAX, f64::min);
        let text = "n = 64, r = 2^64: strictly, the radii 15, 16 and 17 reach equally far";
        claims.push(
            Claim::about(
                "a04.flat_top",
                "strict iteration of the authors' map, evaluated independently",
                text,
            )
            .at_most(
                0.1,
                "largest gap between the three, bits",
                &Number::exact(spread),
            ),
        );
        let best = place_of_largest(&curve.exact);
        let text = "d*_CD is 15 at n = 64, r = 2^64, m = 1024, with the exact noise too";
        let note = "it is the radius that stays; the distance falls from 31 to 19 bits, since Eq. (25) has no \
                    noise but the signal's own where balls n/2 apart do not meet, at d < n/4";
        claims.push(
            Claim::about("a04.d_cd_exact_noise", "main text (by a secondary source)", text)
                .equals(15.0, exactly, &bits(best.map_or(0, |at| curve.radii[at])))
                .note(note),
        );
    }
    claims
}
