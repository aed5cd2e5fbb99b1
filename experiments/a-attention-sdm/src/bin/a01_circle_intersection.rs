//! Paper A: how many neurons two Hamming balls share, exactly, and how exponential that is.
//!
//! The paper weights a stored pattern by the neurons within distance d of both the pattern and the query
//! (Eq. 2), and says that this count falls nearly exponentially with their distance d_v: the bridge from
//! the memory to softmax. Here the exact count is computed in log space for every d_v, held against big
//! integers, and drawn with the paper's approximations (largest term, normal, Taylor), with bounds that
//! are proved, and with the continuous version (spherical caps).
//!
//! *Expected:* the published table of n = 1000 to its printed digits; an error below 1e-9 against big
//! integers. *Visible:* a staircase, I(2k−1) = I(2k), that is nearly straight on a log axis while d_v < d
//! and plunges towards 2d. *Run:* `just run a01`; seconds.
//!
//! *Departures:* the sum is Kanerva's lunes, the same integers at less cost; the bounds are ours, since
//! the authors' bound the Taylor exponential and not the count.

use std::f64::consts::{LN_2, LN_10};
use std::process::ExitCode;

use anyhow::Result;
use experiment::figures::{Axis, Cell, Color, Figure, Mark, Panel, Table, Width};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Number, Numbers, Tier, Tolerance};
use geometry::approximation::{
    kanerva_fraction, ln_largest_term_normal, ln_taylor, ln_taylor_bounds,
};
use geometry::{HammingSpace, cap, cosine_from_hamming, exact};
use rayon::prelude::*;
use sdm::{PAPER_RADII, SlopeEstimator, fit_beta};
use serde::{Deserialize, Serialize};

/// The authors' notebook prints, for n = 1000, r = 1e6 and d = 451: d_v, the exact count, the column
/// "continuous", and the numbers of Kanerva's book.
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
/// Figures of the largest term: id and n.
const LARGEST_TERM: [(&str, usize); 5] =
    [("A-x04", 64), ("A-x05", 100), ("A-x06", 128), ("A-x07", 500), ("A-x08", 1000)];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Dimensions, with the radii that are drawn for each.
    spaces: Vec<(usize, Vec<usize>)>,
    /// Fractions of the space in the panels of the largest term, as powers of ten.
    log10_fractions: Vec<i32>,
    /// n and d of the figures of one radius.
    example: (usize, usize),
}

/// All intersections of one n and d: ln of the count with r = 2^n.
struct Balls {
    n: usize,
    d: usize,
    exact: Vec<f64>,
    /// Spherical caps of the same angle, scaled to the same r = 2^n; up to d_v = 2d − 1.
    caps: Vec<f64>,
    /// Proved bounds of `exact`, for d_v = 0..=2d.
    lower: Vec<f64>,
    upper: Vec<f64>,
    /// Largest relative error of `exact` against big integers.
    error: f64,
}

/// A panel of the largest-term figures: for each curve d_v and log10 of the fraction of the space.
struct LargestTerm {
    n: usize,
    title: String,
    curves: Vec<(&'static str, Vec<f64>, Vec<f64>)>,
}

struct Measured {
    balls: Vec<Balls>,
    example: Balls,
    largest_terms: Vec<LargestTerm>,
    lunes_that_differ: usize,
    table: Vec<[f64; 2]>,
}

struct CircleIntersection;

impl Experiment for CircleIntersection {
    const ID: &'static str = "a01_circle_intersection";
    const TITLE: &'static str = "Neurons shared by two Hamming balls";
    const OUTPUTS: &'static [&'static str] = &[
        "A-x01", "A-x02", "A-x04", "A-x05", "A-x06", "A-x07", "A-x08", "A-x09", "A-x10", "A-x19",
        "A-y01",
    ];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let drawn = if tier == Tier::Smoke { 2 } else { 7 };
        let spaces = PAPER_RADII.map(|(n, radii)| (n, radii[7 - drawn..].to_vec()));
        // The panels and the example of the authors' figures.
        Config { spaces: spaces.into(), log10_fractions: vec![-13, -7, -4, -2], example: (64, 11) }
    }

    fn cost(_: Tier) -> Cost {
        Cost { minutes: 0.05, memory_mb: 80, disk_mb: 5 }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let spaces = config.spaces.iter();
        let cases: Vec<_> = spaces.flat_map(|(n, radii)| radii.iter().map(|d| (*n, *d))).collect();
        let balls = cases.par_iter().map(|&(n, d)| {
            context.step(cases.len());
            balls(n, d)
        });
        let panels = LARGEST_TERM.iter().flat_map(|(_, n)| {
            config.log10_fractions.iter().map(|exponent| largest_term(*n, *exponent))
        });
        // Eq. (2) as it is written, against the lunes.
        let differing = (0..=64).into_par_iter().map(|d| {
            let lunes = exact::intersections(64, d);
            let sum = |d_v| exact::intersection_double_sum(64, d, d_v);
            (0..=64).filter(|&d_v| sum(d_v).as_ref() != Some(&lunes[d_v])).count()
        });
        let (n, d, neurons) = (1000, 451, 1e6);
        let space = HammingSpace::new(n)?;
        let counts = space.ln_intersections(d);
        let table = PRINTED.iter().map(|&(d_v, ..)| {
            let fraction = libm::exp(counts[d_v] - space.ln_points());
            Ok([neurons * fraction, neurons * kanerva_fraction(n, d, d_v as f64)?])
        });
        Ok(Measured {
            balls: balls.collect::<Result<_>>()?,
            example: self::balls(config.example.0, config.example.1)?,
            largest_terms: panels.collect::<Result<_>>()?,
            lunes_that_differ: differing.sum(),
            table: table.collect::<Result<_>>()?,
        })
    }

    fn numbers(_: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for Balls { n, d, error, .. } in &measured.balls {
            numbers.insert(format!("max_relative_error.n{n}.d{d}"), Number::exact(*error));
        }
        for ((d_v, ..), [exact, kanerva]) in PRINTED.iter().zip(&measured.table) {
            let count = |value: &f64| Number::exact(*value).unit("neurons");
            numbers.insert(format!("n1000.d451.exact.{d_v:03}"), count(exact));
            numbers.insert(format!("n1000.d451.kanerva.{d_v:03}"), count(kanerva));
        }
        numbers
    }

    fn drawings(_: &Config, measured: &Measured) -> Vec<Drawing> {
        let mut drawings: Vec<Drawing> =
            vec![staircase(&measured.example).into(), every_radius(&measured.balls).into()];
        let panels = &measured.largest_terms;
        drawings.extend(LARGEST_TERM.map(|(id, n)| largest_terms(id, n, panels).into()));
        drawings.push(bounds_of_the_example(&measured.example).into());
        drawings.push(bounds_at_1000(&measured.balls).into());
        drawings.push(printed_table(&measured.table).into());
        drawings.push(errors(&measured.balls).into());
        drawings
    }

    fn claims(_: &Config, measured: &Measured) -> Vec<Claim> {
        let worst = measured.balls.iter().map(|balls| balls.error).fold(0.0, f64::max);
        let off = |column: usize| {
            let rows = PRINTED.iter().zip(&measured.table);
            let gaps = rows.map(|(row, values)| ([row.1, row.2][column] - values[column]).abs());
            Number::exact(gaps.fold(0.0, f64::max))
        };
        let excess = PRINTED.iter().zip(&measured.table).map(|(row, values)| values[0] - row.3);
        let excess = Number::exact(excess.fold(f64::INFINITY, f64::min));
        let differing = Number::exact(measured.lunes_that_differ as f64);
        let (table, gap) =
            ("authors' CircleIntersectionDisagreementsTable", "largest gap, neurons");
        vec![
            Claim::about("a01.log_space", "Eq. (2)", "the count in log space is the exact one")
                .at_most(
                    1e-9,
                    "largest relative error against big integers",
                    &Number::exact(worst),
                ),
            Claim::about("a01.lunes", "Eq. (2)", "double sum and lunes differ nowhere (n = 64)")
                .equals(0.0, Tolerance::Absolute(0.0), &differing),
            Claim::about("a01.table_exact", table, "the ten printed exact counts, to the digit")
                .at_most(5e-4, gap, &off(0)),
            Claim::about(
                "a01.table_continuous",
                table,
                "the ten of column `continuous`, to the digit",
            )
            .at_most(5e-4, gap, &off(1))
            .note(
                "the column is Kanerva's integral (1988, App. B), not the caps of continuous SDM",
            ),
            Claim::about(
                "a01.book",
                "comment in the authors' code",
                "exact counts bound the book's",
            )
            .at_least(
                0.0,
                "smallest excess over the ten counts of the book, neurons",
                &excess,
            ),
        ]
    }
}

fn main() -> ExitCode {
    experiment::main::<CircleIntersection>()
}

fn balls(n: usize, d: usize) -> Result<Balls> {
    let space = HammingSpace::new(n)?;
    let exact = space.ln_intersections(d);
    let error = exact::max_relative_error(&exact, &exact::intersections(n, d));
    let caps = (0..2 * d).map(|d_v| {
        let separation = libm::acos(cosine_from_hamming(n, d_v as f64));
        let fraction = cap::ln_cap_intersection_fraction(n, cap::cap_angle(n, d), separation)?;
        Ok(fraction + space.ln_points())
    });
    let bounds = (0..=2 * d).map(|d_v| space.ln_intersection_bounds(d, d_v));
    let bounds = bounds.collect::<Result<Vec<_>, _>>()?.into_iter();
    let (lower, upper) = bounds.map(|bounds| (bounds.ln_lower, bounds.ln_upper)).unzip();
    Ok(Balls { n, d, caps: caps.collect::<Result<_>>()?, lower, upper, exact, error })
}

fn largest_term(n: usize, exponent: i32) -> Result<LargestTerm> {
    let space = HammingSpace::new(n)?;
    let d = space.radius_at_fraction(libm::exp10(f64::from(exponent)))?;
    let counts = space.ln_intersections(d);
    let fit = fit_beta(n, &counts, 0..d, SlopeEstimator::LeastSquares)?;
    let line = |d_v: usize| fit.intercept + fit.beta * cosine_from_hamming(n, d_v as f64);
    let curve = |name, every: usize, ln_count: &dyn Fn(usize) -> Result<f64>| {
        let log10 = |d_v| Ok((ln_count(d_v)? - space.ln_points()) / LN_10);
        let x: Vec<_> = (every..=n / 10).step_by(every).collect();
        let y = x.iter().map(|d_v| log10(*d_v)).collect::<Result<Vec<_>>>()?;
        anyhow::Ok((name, x.into_iter().map(|d_v| d_v as f64).collect(), y))
    };
    let curves = vec![
        curve("exact", 1, &|d_v| Ok(counts[d_v]))?,
        curve("least-squares β", 1, &|d_v| Ok(line(d_v)))?,
        // At odd d_v the term has no middle.
        curve("largest term", 2, &|d_v| Ok(space.ln_largest_term(d, d_v)?))?,
        curve("normal", 1, &|d_v| Ok(ln_largest_term_normal(n, d, d_v as f64)?))?,
        curve("Taylor", 1, &|d_v| Ok(ln_taylor(n, d, d_v as f64)?))?,
    ];
    Ok(LargestTerm {
        n,
        title: format!("p = 10^{{−{}}}, d = {d}", exponent.unsigned_abs()),
        curves,
    })
}

/// d_v = 0, 1, … against values given as logarithms, relative to `ln_unit`, as far as `keep` says.
fn curve(ln: &[f64], ln_unit: f64, keep: impl Fn(f64) -> bool) -> (Vec<f64>, Vec<f64>) {
    let values = ln.iter().map(|ln| libm::exp(ln - ln_unit)).take_while(|value| keep(*value));
    values.enumerate().map(|(d_v, value)| (d_v as f64, value)).unzip()
}

fn staircase(balls: &Balls) -> Figure {
    let (x, exact) = curve(&balls.exact, 0.0, |count| count > 0.0);
    let (cx, caps) = curve(&balls.caps, 0.0, |count| count > 0.0);
    let panel = Panel::new(
        Axis::linear("Hamming distance of pattern and query, d_{v} (bits)"),
        Axis::log10("neurons in both balls (r = 2^{n})"),
    )
    .mark(Mark::line(&cx, &caps).color(Color::Vermilion).label("spherical caps"))
    .mark(Mark::line(&x, &exact).color(Color::Blue).series("exact, line"))
    .mark(Mark::points(&x, &exact).color(Color::Blue).label("exact"))
    .mark(
        Mark::vline(balls.d as f64).dashed().color(Color::Gray).label(&format!("d = {}", balls.d)),
    );
    Figure::new("A-x01", &format!("Circle intersection, n = {}, d = {}", balls.n, balls.d))
        .caption("Neurons within d of both a pattern and a query, against their distance.")
        .panel(panel)
}

fn every_radius(all: &[Balls]) -> Figure {
    let title = "Circle intersection at every radius (dots: exact, lines: spherical caps)";
    let mut figure = Figure::new("A-x02", title)
        .caption(
            "Share of a ball that lies in the other, against the distance of their centers. Dots are the \
             exact counts of Hamming balls, lines the spherical caps of the same angle; each color is a \
             radius d.",
        )
        .width(Width::Page)
        .columns(2);
    for balls in all.chunk_by(|one, next| one.n == next.n) {
        let share = Axis::log10("share of the ball, I(d_{v})/I(0)").range(1e-12, 2.0);
        let title = format!("n = {}", balls[0].n);
        let mut panel = Panel::new(Axis::linear("d_{v} (bits)"), share).title(&title).legend();
        for (at, Balls { n, d, exact, caps, .. }) in balls.iter().enumerate() {
            let color = Color::sequential(at, balls.len());
            let (x, y) = curve(exact, exact[0], |share| share >= 1e-12);
            // Some 60 points a curve: pairs of a step, at small n every distance.
            let thin = |values: Vec<f64>| values.into_iter().step_by(n / 64).collect::<Vec<_>>();
            let (cx, cy) = curve(caps, caps[0], |share| share >= 1e-12);
            panel = panel
                .mark(
                    Mark::points(&thin(x), &thin(y))
                        .color(color)
                        .series(&format!("exact, d = {d}")),
                )
                .mark(Mark::line(&cx, &cy).color(color).label(&format!("d = {d}")));
        }
        figure = figure.panel(panel);
    }
    figure
}

fn largest_terms(id: &str, n: usize, panels: &[LargestTerm]) -> Figure {
    let mut figure = Figure::new(id, &format!("Exponential approximations, n = {n}"))
        .caption(
            "Fraction of all neurons in both balls, with the approximations that lead to softmax. The line of \
             least squares is fitted at distances below d only, as the authors' is, and drawn beyond.",
        )
        .width(Width::Page)
        .columns(2);
    for case in panels.iter().filter(|case| case.n == n) {
        let fraction = Axis::linear("log_{10} of the fraction of neurons");
        let mut panel =
            Panel::new(Axis::linear("d_{v} (bits)"), fraction).title(&case.title).legend();
        for (at, (name, x, y)) in case.curves.iter().enumerate() {
            let mark = match *name {
                "exact" => Mark::points(x, y).color(Color::Ink),
                "normal" => Mark::line(x, y).color(Color::nth(at)).dashed(),
                _ => Mark::line(x, y).color(Color::nth(at)),
            };
            panel = panel.mark(mark.label(name));
        }
        figure = figure.panel(panel);
    }
    figure
}

fn bounds(balls: &Balls) -> Panel {
    let ln_points = balls.n as f64 * LN_2;
    // On the scale of powers of ten that `f64` has; the Taylor exponential has no value at d_v = 0.
    let log10 = |ln: &[f64]| -> (Vec<f64>, Vec<f64>) {
        let values = ln.iter().map(|ln| (ln - ln_points) / LN_10).enumerate().skip(1);
        let above = values.take_while(|(_, log10)| *log10 > f64::NEG_INFINITY);
        above.map(|(d_v, log10)| (d_v as f64, log10)).unzip()
    };
    let line = |ln: &[f64]| {
        let (x, y) = log10(ln);
        Mark::line(&x, &y)
    };
    let (x, exact) = log10(&balls.exact);
    // Some 50 points, so that the lines behind them are seen.
    let thin = |values: &[f64]| -> Vec<f64> {
        values.iter().copied().step_by(values.len().div_ceil(50)).collect()
    };
    let taylor = |d_v: usize| ln_taylor_bounds(balls.n, balls.d, d_v as f64);
    let (low, high): (Vec<_>, Vec<_>) = (0..=2 * balls.d).map(taylor).unzip();
    let fraction = Axis::linear("log_{10} of the fraction of neurons");
    Panel::new(Axis::linear("d_{v} (bits)"), fraction)
        .mark(line(&high).color(Color::Vermilion).label("upper, Taylor"))
        .mark(line(&low).color(Color::Vermilion).dashed().label("lower, Taylor"))
        .mark(line(&balls.upper).color(Color::Green).label("upper, proved"))
        .mark(line(&balls.lower).color(Color::Green).dashed().label("lower, proved"))
        .mark(Mark::points(&thin(&x), &thin(&exact)).color(Color::Ink).label("exact"))
}

fn bounds_of_the_example(balls: &Balls) -> Figure {
    let title = format!("Bounds of the circle intersection, n = {}, d = {}", balls.n, balls.d);
    Figure::new("A-x09", &title)
        .caption(
            "The proved bounds hold the exact count; the authors' hold the Taylor exponential.",
        )
        .panel(bounds(balls))
}

fn bounds_at_1000(all: &[Balls]) -> Figure {
    // The radii of the authors' figures; the smoke tier has fewer.
    let drawn = all.iter().filter(|balls| balls.n == 1000 && [405, 451, 480].contains(&balls.d));
    let figure = Figure::new("A-x10", "Bounds of the circle intersection, n = 1000")
        .caption(
            "At three radii: the proved bounds hold the exact count; the authors' hold the Taylor \
             exponential.",
        )
        .width(Width::Page)
        .columns(3);
    drawn.fold(figure, |figure, balls| {
        figure.panel(bounds(balls).title(&format!("d = {}", balls.d)).legend())
    })
}

fn printed_table(table: &[[f64; 2]]) -> Table {
    let columns = ["exact", "exact, printed", "Kanerva's integral", "continuous, printed", "book"];
    let mut made = Table::new("A-x19", "Circle intersections, n = 1000, r = 10^6, d = 451");
    made =
        columns.iter().fold(made.column("d_v", "bits"), |made, name| made.column(name, "neurons"));
    for (&(d_v, exact, continuous, book), row) in PRINTED.iter().zip(table) {
        let values = [(row[0], 3), (exact, 3), (row[1], 3), (continuous, 3), (book, 0)];
        let cells = values.map(|(value, digits)| Cell::number(value, digits));
        made = made.row([Cell::number(d_v as f64, 0)].into_iter().chain(cells).collect());
    }
    made
}

fn errors(all: &[Balls]) -> Figure {
    let fraction = Axis::log10("fraction of the space in a ball, p");
    let mut panel = Panel::new(fraction, Axis::log10("largest relative error of a count"));
    for (at, balls) in all.chunk_by(|one, next| one.n == next.n).enumerate() {
        let ln_points = balls[0].n as f64 * LN_2;
        let x: Vec<_> = balls.iter().map(|balls| libm::exp(balls.exact[0] - ln_points)).collect();
        // An error of zero has no place on a log axis; half a unit in the last place does.
        let y: Vec<_> = balls.iter().map(|balls| balls.error.max(f64::EPSILON / 2.0)).collect();
        let label = format!("n = {}", balls[0].n);
        panel = panel.mark(Mark::points(&x, &y).color(Color::nth(at)).label(&label));
    }
    Figure::new("A-y01", "Error of the log-space counts against big integers")
        .caption("The largest error over all distances, for every dimension and radius of A-x02.")
        .panel(panel)
}
