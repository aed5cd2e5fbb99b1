//! Paper A: how many neurons two Hamming balls share, exactly, and how exponential that is.
//!
//! The paper weights each stored pattern by the neurons within distance d of both the pattern and the
//! query (Eq. 2), and says that this count falls nearly exponentially with their distance d_v: the
//! bridge from the memory to softmax. Here the exact count is computed in log space for every d_v, held
//! against big integers, and drawn with the paper's approximations (largest term, normal, Taylor),
//! with bounds that are proved, and with the continuous version (spherical caps).
//!
//! *Expected:* the published table of n = 1000 to its printed digits; an error below 1e-9 against big
//! integers. *Visible:* a staircase, I(2k−1) = I(2k), that is straight on a log axis while d_v < d and
//! plunges towards 2d. *Run:* `just run a01`; seconds.
//!
//! *Departures:* the sum is Kanerva's lunes, the same integers at less cost; the bounds are ours, since
//! the authors' ones bound the Taylor exponential and not the count.

use std::process::ExitCode;

use anyhow::Result;
use experiment::figures::{Axis, Cell, Color, Figure, Mark, Panel, Table, Width};
use experiment::{
    Claim, Context, Cost, Direction, Drawing, Experiment, Number, Numbers, Tier, Tolerance,
};
use geometry::{HammingSpace, approximation, cap, exact};
use rayon::prelude::*;
use sdm::{SlopeEstimator, fit_beta};
use serde::{Deserialize, Serialize};

/// The authors' notebook prints, for n = 1000, r = 1e6 and d = 451: d_v, the exact count, Kanerva's
/// continuous approximation, and the numbers of Kanerva's book.
const PRINTED: [(usize, f64, f64, f64); 10] = [
    (0, 1071.850, 970.770, 1000.0),
    (1, 958.437, 888.215, 894.0),
    (10, 795.874, 713.057, 743.0),
    (50, 476.874, 426.702, 445.0),
    (100, 285.831, 254.636, 267.0),
    (150, 173.627, 153.930, 162.0),
    (200, 103.461, 91.252, 97.0),
    (300, 32.324, 28.197, 30.0),
    (400, 7.597, 6.553, 7.0),
    (500, 1.101, 0.942, 1.0),
];
const PRINTED_N: usize = 1000;
const PRINTED_D: usize = 451;
const PRINTED_NEURONS: f64 = 1e6;
/// Figures of the largest term: id and n.
const LARGEST_TERM: [(&str, usize); 5] =
    [("A-x04", 64), ("A-x05", 100), ("A-x06", 128), ("A-x07", 500), ("A-x08", 1000)];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Dimensions, with the radii that the paper draws for each.
    spaces: Vec<(usize, Vec<usize>)>,
    /// Fractions of the space for the panels of the largest term.
    fractions: Vec<f64>,
}

/// All intersections of one n and d, as natural logarithms of counts with r = 2^n.
struct Balls {
    n: usize,
    radius: usize,
    exact: Vec<f64>,
    /// Spherical caps of the same angle, scaled to the same r = 2^n.
    continuous: Vec<f64>,
    /// Largest relative error of `exact` against big integers.
    error: f64,
}

/// One panel of the largest-term figures: log10 of the fraction of the space, for d_v = 1, 2, ….
struct LargestTerm {
    n: usize,
    fraction: f64,
    radius: usize,
    curves: Vec<(&'static str, Vec<f64>)>,
}

struct Measured {
    balls: Vec<Balls>,
    largest_terms: Vec<LargestTerm>,
    bounds: Vec<(f64, f64)>,
    lunes_that_differ: usize,
    table: Vec<[f64; 2]>,
}

struct CircleIntersection;

impl Experiment for CircleIntersection {
    const ID: &'static str = "a01_circle_intersection";
    const TITLE: &'static str = "Neurons shared by two Hamming balls";
    const OUTPUTS: &'static [&'static str] = &[
        "A-x01", "A-x02", "A-x04", "A-x05", "A-x06", "A-x07", "A-x08", "A-x09", "A-x19", "A-y01",
    ];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        // The radii for p = 4e-13, 1e-9, 1e-8, 1e-5, 3.7e-4, 1e-3, 0.1 (authors' notebooks).
        let spaces = vec![
            (64, vec![5, 9, 11, 15, 19, 20, 27]),
            (100, vec![16, 21, 23, 29, 33, 35, 44]),
            (784, vec![292, 308, 314, 332, 345, 349, 374]),
            (1000, vec![387, 405, 411, 433, 447, 451, 480]),
        ];
        let fractions = vec![1e-13, 1e-7, 1e-4, 1e-2];
        match tier {
            Tier::Laptop | Tier::Paper => Config { spaces, fractions },
            Tier::Smoke => {
                let few = spaces.into_iter().map(|(n, radii)| (n, vec![radii[2], radii[5]]));
                Config { spaces: few.collect(), fractions }
            }
        }
    }

    fn cost(_: Tier) -> Cost {
        Cost { minutes: 0.2, memory_mb: 120, disk_mb: 5 }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let spaces = config.spaces.iter();
        let cases: Vec<_> = spaces.flat_map(|(n, radii)| radii.iter().map(|d| (*n, *d))).collect();
        let balls = cases.par_iter().map(|&(n, radius)| {
            let space = HammingSpace::new(n)?;
            let exact = space.ln_intersections(radius);
            let error = exact::max_relative_error(&exact, &exact::intersections(n, radius));
            let angle = cap::cap_angle(n, radius);
            let continuous = (0..=2 * radius).map(|d_v| {
                let separation = libm::acos(geometry::cosine_from_hamming(n, d_v as f64));
                let ln_fraction = cap::ln_cap_intersection_fraction(n, angle, separation)?;
                anyhow::Ok(ln_fraction + space.ln_points())
            });
            let continuous = continuous.collect::<Result<_>>()?;
            context.step(cases.len());
            anyhow::Ok(Balls { n, radius, exact, continuous, error })
        });
        let balls = balls.collect::<Result<_>>()?;

        let panels = LARGEST_TERM.iter().flat_map(|&(_, n)| {
            config.fractions.iter().map(move |&fraction| largest_term(n, fraction))
        });
        let space = HammingSpace::new(64)?;
        let bounds = (0..=22).map(|d_v| {
            let bounds = space.ln_intersection_bounds(11, d_v)?;
            anyhow::Ok((bounds.ln_lower, bounds.ln_upper))
        });
        let lunes_that_differ = (0..=64)
            .into_par_iter()
            .map(|radius| {
                let lunes = exact::intersections(64, radius);
                let differs = |&d_v: &usize| {
                    exact::intersection_double_sum(64, radius, d_v).as_ref() != Some(&lunes[d_v])
                };
                (0..=64).filter(differs).count()
            })
            .sum();
        let space = HammingSpace::new(PRINTED_N)?;
        let neurons_per_point = libm::log(PRINTED_NEURONS) - space.ln_points();
        let counts = space.ln_intersections(PRINTED_D);
        let table = PRINTED.iter().map(|&(d_v, ..)| {
            let kanerva = approximation::kanerva_fraction(PRINTED_N, PRINTED_D, d_v as f64)?;
            anyhow::Ok([libm::exp(counts[d_v] + neurons_per_point), kanerva * PRINTED_NEURONS])
        });
        Ok(Measured {
            balls,
            largest_terms: panels.collect::<Result<_>>()?,
            bounds: bounds.collect::<Result<_>>()?,
            lunes_that_differ,
            table: table.collect::<Result<_>>()?,
        })
    }

    fn numbers(_: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for balls in &measured.balls {
            let name = format!("max_relative_error.n{}.d{}", balls.n, balls.radius);
            numbers.insert(name, Number::exact(balls.error));
        }
        for (&(d_v, ..), [exact, kanerva]) in PRINTED.iter().zip(&measured.table) {
            let count = |value: f64| Number::exact(value).unit("neurons");
            numbers.insert(format!("neurons.n1000.d451.exact.{d_v:03}"), count(*exact));
            numbers.insert(format!("neurons.n1000.d451.kanerva.{d_v:03}"), count(*kanerva));
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        let mut drawings = vec![staircase(measured).into(), every_radius(config, measured).into()];
        for (id, n) in LARGEST_TERM {
            drawings.push(largest_terms(id, n, &measured.largest_terms).into());
        }
        drawings.push(bounds(measured).into());
        drawings.push(printed_table(measured).into());
        drawings.push(errors(config, measured).into());
        drawings
    }

    fn claims(_: &Config, measured: &Measured) -> Vec<Claim> {
        let worst = measured.balls.iter().map(|balls| balls.error).fold(0.0, f64::max);
        let off = |column: usize| {
            let rows = PRINTED.iter().zip(&measured.table);
            let gaps = rows.map(|(&(_, exact, kanerva, _), row)| (row[column] - [exact, kanerva][column]).abs());
            Number::exact(gaps.fold(0.0, f64::max))
        };
        let most = |bound| (Direction::Below, bound);
        vec![
            Claim::shape("a01.log_space", 'a', "Eq. (2)", "the count in log space is the exact one",
                "largest relative error against big integers, every n, d and d_v",
                most(1e-9), &Number::exact(worst)),
            Claim::value("a01.lunes", 'a', "Eq. (2), Kanerva 1988 App. B",
                "the double sum and Kanerva's lunes are the same integers (n = 64, every d and d_v)",
                0.0, Tolerance::Absolute(0.0), &Number::exact(measured.lunes_that_differ as f64)),
            Claim::shape("a01.table_exact", 'a', "authors' CircleIntersectionDisagreementsTable",
                "the ten exact counts of n = 1000, d = 451 agree to their printed digits",
                "largest deviation from a printed count, in neurons", most(5.01e-4), &off(0)),
            Claim::shape("a01.table_continuous", 'a', "authors' CircleIntersectionDisagreementsTable",
                "the ten counts of the column `continuous` agree to their printed digits",
                "largest deviation from a printed count, in neurons", most(5.01e-4), &off(1))
                .note("the column is Kanerva's integral (1988, App. B), not the caps of continuous SDM"),
            Claim::value("a01.book", 'a', "authors' table, comment in the code",
                "the exact count at d_v = 0 is the 1000 of Kanerva's book",
                PRINTED[0].3, Tolerance::Absolute(0.5), &Number::exact(measured.table[0][0]))
                .note("at d = 451 a ball holds p = 0.00107 of the space; the book's numbers are those of p = 0.001"),
        ]
    }
}

fn main() -> ExitCode {
    experiment::main::<CircleIntersection>()
}

fn largest_term(n: usize, fraction: f64) -> Result<LargestTerm> {
    let space = HammingSpace::new(n)?;
    let radius = space.radius_at_fraction(fraction)?;
    let counts = space.ln_intersections(radius);
    let fit = fit_beta(n, &counts, 0..radius, SlopeEstimator::LeastSquares)?;
    let log10 = |ln_count: f64| (ln_count - space.ln_points()) / std::f64::consts::LN_10;
    let curve = |ln_count: &dyn Fn(usize) -> Result<f64>| {
        (1..=n / 10).map(|d_v| Ok(log10(ln_count(d_v)?))).collect::<Result<Vec<_>>>()
    };
    let at = |d_v: usize| geometry::cosine_from_hamming(n, d_v as f64);
    let curves = vec![
        ("exact", curve(&|d_v| Ok(counts[d_v]))?),
        ("least-squares β", curve(&|d_v| Ok(fit.intercept + fit.beta * at(d_v)))?),
        ("largest term", curve(&|d_v| Ok(space.ln_largest_term(radius, d_v)?))?),
        ("normal", curve(&|d_v| Ok(approximation::ln_largest_term_normal(n, radius, d_v as f64)?))?),
        ("Taylor", curve(&|d_v| Ok(approximation::ln_taylor(n, radius, d_v as f64)?))?),
    ];
    Ok(LargestTerm { n, fraction, radius, curves })
}

fn steps(values: impl IntoIterator<Item = f64>) -> (Vec<f64>, Vec<f64>) {
    values.into_iter().enumerate().map(|(d_v, value)| (d_v as f64, value)).unzip()
}

fn staircase(measured: &Measured) -> Figure {
    let balls = measured.balls.iter().find(|balls| (balls.n, balls.radius) == (64, 11));
    let mut panel = Panel::new(
        Axis::linear("Hamming distance of pattern and query, d_{v} (bits)").range(0.0, 24.0),
        Axis::log10("neurons in both balls (r = 2^{n})"),
    );
    if let Some(balls) = balls {
        let (x, exact) = steps(balls.exact.iter().take(23).map(|ln| libm::exp(*ln)));
        let (cx, continuous) = steps(balls.continuous.iter().take(22).map(|ln| libm::exp(*ln)));
        let low: Vec<_> = measured.bounds.iter().map(|(low, _)| libm::exp(*low)).collect();
        let high: Vec<_> = measured.bounds.iter().map(|(_, high)| libm::exp(*high)).collect();
        panel = panel
            .mark(Mark::band(&x, &low, &high).color(Color::Gray).label("proved bounds"))
            .mark(Mark::line(&cx, &continuous).color(Color::Vermilion).label("spherical caps"))
            .mark(Mark::line(&x, &exact).color(Color::Blue).series("exact"))
            .mark(Mark::points(&x, &exact).color(Color::Blue).label("exact"))
            .mark(Mark::vline(11.0).dashed().color(Color::Gray).label("d = 11"));
    }
    Figure::new("A-x01", "Circle intersection, n = 64, d = 11")
        .caption("Neurons within d of both a pattern and a query, against their distance.")
        .panel(panel)
}

fn every_radius(config: &Config, measured: &Measured) -> Figure {
    let mut figure = Figure::new("A-x02", "Circle intersection at every radius")
        .caption("Share of the ball that remains in the intersection: points exact, lines spherical caps.")
        .width(Width::Page)
        .columns(2);
    for (n, radii) in &config.spaces {
        let mut panel = Panel::new(
            Axis::linear("d_{v} (bits)"),
            Axis::log10("share of the ball, I(d_{v}) / I(0)").range(1e-12, 2.0),
        )
        .title(&format!("n = {n}"));
        for (at, balls) in measured.balls.iter().filter(|balls| balls.n == *n).enumerate() {
            let share = |values: &[f64], from: usize| {
                let step = (n / 64).max(1);
                let kept = values.iter().enumerate().skip(from).step_by(step);
                let kept = kept.map(|(d_v, ln)| (d_v as f64, libm::exp(ln - values[0])));
                kept.take_while(|(_, share)| *share >= 1e-12).unzip::<_, _, Vec<_>, Vec<_>>()
            };
            let color = Color::sequential(at, radii.len());
            let ((x, exact), (cx, caps)) = (share(&balls.exact, 0), share(&balls.continuous, 0));
            panel = panel
                .mark(Mark::points(&x, &exact).color(color).series(&format!("exact, d = {}", balls.radius)))
                .mark(Mark::line(&cx, &caps).color(color).label(&format!("d = {}", balls.radius)));
        }
        figure = figure.panel(panel);
    }
    figure
}

fn largest_terms(id: &str, n: usize, panels: &[LargestTerm]) -> Figure {
    let mut figure = Figure::new(id, &format!("Exponential approximations, n = {n}"))
        .caption("Fraction of all neurons in both balls, with the approximations that lead to softmax.")
        .width(Width::Page)
        .columns(2);
    for case in panels.iter().filter(|case| case.n == n) {
        let mut panel = Panel::new(
            Axis::linear("d_{v} (bits)"),
            Axis::linear("log_{10} of the fraction of neurons"),
        )
        .title(&format!("p = {:e}, d = {}", case.fraction, case.radius));
        for (at, (name, values)) in case.curves.iter().enumerate() {
            let x: Vec<_> = (1..=values.len()).map(|d_v| d_v as f64).collect();
            let mark = match *name {
                "exact" => Mark::points(&x, values).color(Color::Ink),
                "largest term" | "normal" => Mark::line(&x, values).color(Color::nth(at)).dashed(),
                _ => Mark::line(&x, values).color(Color::nth(at)),
            };
            panel = panel.mark(mark.label(name));
        }
        figure = figure.panel(panel);
    }
    figure
}

fn bounds(measured: &Measured) -> Figure {
    let exact = measured.balls.iter().find(|balls| (balls.n, balls.radius) == (64, 11));
    let x: Vec<_> = (0..measured.bounds.len()).map(|d_v| d_v as f64).collect();
    let points = 64.0 * std::f64::consts::LN_2;
    let fraction = |ln: f64| libm::exp(ln - points);
    let line = |values: Vec<f64>| Mark::line(&x[1..], &values[1..]);
    let taylor: Vec<_> =
        x.iter().map(|d_v| approximation::ln_taylor_bounds(64, 11, *d_v)).collect();
    let mut panel = Panel::new(
        Axis::linear("d_{v} (bits)"),
        Axis::log10("fraction of neurons in both balls"),
    )
    .mark(line(measured.bounds.iter().map(|(_, high)| fraction(*high)).collect()).color(Color::Green).label("upper, proved"))
    .mark(line(measured.bounds.iter().map(|(low, _)| fraction(*low)).collect()).color(Color::Green).dashed().label("lower, proved"))
    .mark(line(taylor.iter().map(|(_, high)| fraction(*high)).collect()).color(Color::Vermilion).label("upper, Taylor"))
    .mark(line(taylor.iter().map(|(low, _)| fraction(*low)).collect()).color(Color::Vermilion).dashed().label("lower, Taylor"));
    if let Some(balls) = exact {
        let values: Vec<_> = balls.exact.iter().take(23).map(|ln| fraction(*ln)).collect();
        panel = panel.mark(Mark::points(&x[1..], &values[1..]).color(Color::Ink).label("exact"));
    }
    Figure::new("A-x09", "Bounds of the circle intersection, n = 64, d = 11")
        .caption("The proved bounds hold the exact count; the authors' bounds hold the Taylor exponential.")
        .panel(panel)
}

fn printed_table(measured: &Measured) -> Table {
    let mut table = Table::new("A-x19", "Circle intersections, n = 1000, r = 10^6, d = 451")
        .column("d_v", "bits")
        .column("exact", "neurons")
        .column("printed", "neurons")
        .column("Kanerva's integral", "neurons")
        .column("printed", "neurons")
        .column("Kanerva's book", "neurons");
    for (&(d_v, exact, kanerva, book), row) in PRINTED.iter().zip(&measured.table) {
        table = table.row(vec![
            Cell::number(d_v as f64, 0),
            Cell::number(row[0], 3),
            Cell::number(exact, 3),
            Cell::number(row[1], 3),
            Cell::number(kanerva, 3),
            Cell::number(book, 0),
        ]);
    }
    table
}

fn errors(config: &Config, measured: &Measured) -> Figure {
    let mut panel = Panel::new(
        Axis::log10("fraction of the space in a ball, p"),
        Axis::log10("largest relative error of a count"),
    );
    for (at, (n, _)) in config.spaces.iter().enumerate() {
        let of_n = measured.balls.iter().filter(|balls| balls.n == *n);
        let (x, y): (Vec<_>, Vec<_>) = of_n
            .map(|balls| {
                let ln_points = *n as f64 * std::f64::consts::LN_2;
                // An error of zero has no place on a log axis; half a unit in the last place does.
                (libm::exp(balls.exact[0] - ln_points), balls.error.max(f64::EPSILON / 2.0))
            })
            .unzip();
        panel = panel.mark(Mark::points(&x, &y).color(Color::nth(at)).label(&format!("n = {n}")));
    }
    Figure::new("A-y01", "Error of the log-space counts against big integers")
        .caption("The largest error over all distances, for every dimension and radius of A-x02.")
        .panel(panel)
}
