//! Paper A: the weights of the memory and the weights of attention, side by side.
//!
//! The paper shows that softmax(β·cos), with β fitted to a radius, gives a stored pattern nearly the
//! weight that the memory gives it, at n = 64, d = 11 in the text and at 28 radii in the appendix. Here
//! the binary memory, its continuous version (spherical caps) and softmax are drawn over all distances,
//! with β as published (inflated by N/(N−1), see a02) and by least squares.
//!
//! *Expected:* at n = 64, d = 11 weights 0.464, 0.156, … against 0.391, 0.238, … of softmax, an L1
//! distance of 0.2211. *Visible:* near agreement while d_v < d; beyond it softmax keeps falling
//! exponentially where the memory plunges to zero at 2d. *Run:* `just run a03`; seconds.
//!
//! *Departures:* the log scale has panels of its own where the paper has insets.

use std::process::ExitCode;

use anyhow::Result;
use experiment::figures::{Axis, Color, Figure, Mark, Panel, Width};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Number, Numbers, Tier, Tolerance};
use geometry::{HammingSpace, cap, cosine_from_hamming};
use rayon::prelude::*;
use sdm::{PAPER_RADII, SlopeEstimator, fit_beta, softmax_weights, weights_from_ln_counts};
use serde::{Deserialize, Serialize};

/// Figures of every radius: id and n.
const FIGURES: [(&str, usize); 4] =
    [("A-x12", 64), ("A-x13", 100), ("A-x14", 784), ("A-x15", 1000)];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Dimensions, with the radii that are drawn for each.
    spaces: Vec<(usize, Vec<usize>)>,
    /// n and d of the figure in the text.
    example: (usize, usize),
}

/// Normalized weights over d_v = 0..=n.
struct Weights {
    n: usize,
    d: usize,
    /// As published.
    beta: f64,
    memory: Vec<f64>,
    caps: Vec<f64>,
    published: Vec<f64>,
    least_squares: Vec<f64>,
}

impl Weights {
    /// Memory, caps and softmax, as published and by least squares.
    fn curves(&self) -> [&Vec<f64>; 4] {
        [&self.memory, &self.caps, &self.published, &self.least_squares]
    }
}

struct Measured {
    all: Vec<Weights>,
    example: Weights,
}

struct AttentionWeights;

impl Experiment for AttentionWeights {
    const ID: &'static str = "a03_attention_weights";
    const TITLE: &'static str = "Weights of the memory and of attention";
    const OUTPUTS: &'static [&'static str] = &["A-x11", "A-x12", "A-x13", "A-x14", "A-x15"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let drawn = if tier == Tier::Smoke { 2 } else { 7 };
        let spaces = PAPER_RADII.map(|(n, radii)| (n, radii[7 - drawn..].to_vec()));
        Config { spaces: spaces.into(), example: (64, 11) } // the figure in the text
    }

    fn cost(_: Tier) -> Cost {
        Cost { minutes: 0.05, memory_mb: 80, disk_mb: 6 }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let spaces = config.spaces.iter();
        let cases: Vec<_> = spaces.flat_map(|(n, radii)| radii.iter().map(|d| (*n, *d))).collect();
        let all = cases.par_iter().map(|&(n, d)| {
            context.step(cases.len());
            weights(n, d)
        });
        let example = weights(config.example.0, config.example.1)?;
        Ok(Measured { all: all.collect::<Result<_>>()?, example })
    }

    fn numbers(_: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for weights in &measured.all {
            let of = |what: &str| format!("l1.n{}.d{}.{what}", weights.n, weights.d);
            let distance = |other: &[f64]| Number::exact(l1(&weights.memory, other));
            numbers.insert(of("caps"), distance(&weights.caps));
            numbers.insert(of("published"), distance(&weights.published));
            numbers.insert(of("least_squares"), distance(&weights.least_squares));
        }
        numbers
    }

    fn drawings(_: &Config, measured: &Measured) -> Vec<Drawing> {
        let appendix = FIGURES.map(|(id, n)| every_radius(id, n, &measured.all).into());
        [text_figure(&measured.example).into()].into_iter().chain(appendix).collect()
    }

    fn claims(config: &Config, Measured { example, .. }: &Measured) -> Vec<Claim> {
        let beta = Number::exact(example.beta);
        let mut claims = vec![
            Claim::about(
                "a03.beta",
                "title of the authors' figure",
                "β at n = 64, d = 11 is 15.853",
            )
            .equals(15.853, Tolerance::Absolute(5e-4), &beta),
        ];
        // The authors' notebook prints these for n = 64, d = 11.
        for (d_v, weight) in [0.5454, 0.2029, 0.1101, 0.0621].into_iter().enumerate() {
            let text = format!("the caps give d_v = {d_v} the weight {weight}");
            claims.push(
                Claim::about(&format!("a03.caps_{d_v}"), "authors' notebook", &text).equals(
                    weight,
                    Tolerance::Absolute(5e-5),
                    &Number::exact(example.caps[d_v]),
                ),
            );
        }
        let elsewhere = format!("n, d = {:?}; published for (64, 11)", config.example);
        let claims = claims.into_iter();
        claims.map(|claim| claim.when(config.example == (64, 11), &elsewhere)).collect()
    }
}

fn main() -> ExitCode {
    experiment::main::<AttentionWeights>()
}

fn weights(n: usize, d: usize) -> Result<Weights> {
    let counts = HammingSpace::new(n)?.ln_intersections(d);
    let cosines: Vec<_> = (0..=n).map(|d_v| cosine_from_hamming(n, d_v as f64)).collect();
    let angle = cap::cap_angle(n, d);
    let caps = cosines.iter();
    let caps = caps.map(|cosine| cap::ln_cap_intersection_fraction(n, angle, libm::acos(*cosine)));
    let published = fit_beta(n, &counts, 0..d, SlopeEstimator::Published)?.beta;
    let least_squares = fit_beta(n, &counts, 0..d, SlopeEstimator::LeastSquares)?.beta;
    Ok(Weights {
        n,
        d,
        memory: weights_from_ln_counts(&counts)?,
        caps: weights_from_ln_counts(&caps.collect::<Result<Vec<_>, _>>()?)?,
        published: softmax_weights(published, &cosines)?,
        least_squares: softmax_weights(least_squares, &cosines)?,
        beta: published,
    })
}

fn l1(one: &[f64], other: &[f64]) -> f64 {
    stats::sum(one.iter().zip(other).map(|(a, b)| (a - b).abs()))
}

/// The four curves in the look and with the names that all panels share. The memory is drawn at some 30
/// points: enough to see it, few enough to see the lines behind them.
fn four(
    panel: Panel,
    [memory, caps, published, least_squares]: [(Vec<f64>, Vec<f64>); 4],
) -> Panel {
    let thin = |values: &[f64]| -> Vec<f64> {
        values.iter().copied().step_by(values.len().div_ceil(30).max(1)).collect()
    };
    let line = |(x, y): &(Vec<f64>, Vec<f64>)| Mark::line(x, y);
    panel
        .mark(line(&caps).color(Color::Vermilion).label("spherical caps"))
        .mark(line(&published).color(Color::Blue).label("softmax, published β"))
        .mark(line(&least_squares).color(Color::Sky).dashed().label("softmax, least squares"))
        .mark(Mark::points(&thin(&memory.0), &thin(&memory.1)).color(Color::Ink).label("memory"))
}

/// Weights up to a distance, as far as they stay above `floor`.
fn curves(panel: Panel, weights: &Weights, upto: usize, floor: f64) -> Panel {
    let curve = |values: &Vec<f64>| -> (Vec<f64>, Vec<f64>) {
        let kept = values.iter().take(upto + 1).take_while(|weight| **weight > floor);
        kept.enumerate().map(|(d_v, weight)| (d_v as f64, *weight)).unzip()
    };
    four(panel, weights.curves().map(curve))
}

/// One number of each curve against the radius.
fn by_radius(y: Axis, all: &[&Weights], of: impl Fn(&Weights, &[f64]) -> f64) -> Panel {
    let series = |at: usize| {
        let values =
            all.iter().map(|weights| (weights.d as f64, of(weights, weights.curves()[at])));
        values.unzip()
    };
    let panel = Panel::new(Axis::linear("Hamming radius d (bits)"), y).title("every d").legend();
    four(panel, [0, 1, 2, 3].map(series))
}

fn text_figure(weights: &Weights) -> Figure {
    let linear = Panel::new(Axis::linear("d_{v} (bits)"), Axis::linear("weight of a pattern"));
    let log = Axis::log10("weight of a pattern").range(1e-8, 1.0);
    let log = Panel::new(Axis::linear("d_{v} (bits)"), log);
    Figure::new("A-x11", &format!("Memory and attention, n = {}, d = {}", weights.n, weights.d))
        .caption(
            "Weight of a pattern at distance d_v from the query, normalized over all distances.",
        )
        .width(Width::Page)
        .columns(2)
        .panel(curves(linear, weights, 14, -1.0))
        .panel(curves(log, weights, 2 * weights.d, 1e-8))
}

fn every_radius(id: &str, n: usize, all: &[Weights]) -> Figure {
    let mut figure = Figure::new(id, &format!("Memory and attention at every radius, n = {n}"))
        .caption(
            "For each radius d the weight of a pattern against its distance d_v from the query, linear as \
             far as the memory gives 99 % of its weight, and on a log scale up to 2d, where the memory ends. \
             The last two panels: the L1 distance of each curve from the memory's, and the weight that a \
             pattern gets at the query itself, at every radius.",
        )
        .width(Width::Page)
        .columns(4)
        .panel_height_mm(30.0);
    let all: Vec<_> = all.iter().filter(|weights| weights.n == n).collect();
    for weights in &all {
        let mut sum = 0.0;
        let near = weights.memory.iter().take_while(|weight| {
            sum += **weight;
            sum < 0.99
        });
        let near = near.count().max(6) + 2;
        let end = 2 * weights.d;
        // Softmax falls least; three decades below it the memory is seen to leave it.
        let least = weights.published[..=end].iter().copied().fold(1.0, f64::min);
        let floor = (least * 1e-3).max(1e-12);
        let linear = Panel::new(Axis::linear("d_{v} (bits)"), Axis::linear("weight"));
        let log = Axis::log10("weight").range(floor, 1.0);
        let log = Panel::new(Axis::linear("d_{v} (bits)"), log);
        let title = format!("d = {}", weights.d);
        figure = figure
            .panel(curves(linear.title(&title).legend(), weights, near, -1.0))
            .panel(curves(log.title(&title), weights, end, floor));
    }
    let distance = Axis::linear("L1 from memory");
    figure
        .panel(by_radius(distance, &all, |weights, curve| l1(&weights.memory, curve)))
        .panel(by_radius(Axis::linear("weight at d_{v} = 0"), &all, |_, curve| curve[0]))
}
