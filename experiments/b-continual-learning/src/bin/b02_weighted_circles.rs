//! Paper B: neurons that answer by degrees still make an exponential.
//!
//! In the memory of paper A a neuron takes part or it does not. In the SDM layer it answers the more, the nearer it
//! is. The appendix asks whether the weight of a pattern, the sum over neurons near both pattern and query, still
//! falls exponentially with their distance: it weighs each neuron by a linear or an exponential function of its two
//! distances.
//!
//! *Expected:* no published number. *Visible:* three lines that coincide: the weighting does not matter. They are
//! straight but for the staircase I(2k−1) = I(2k), whose few steps at d = 5 spoil the fit of a line. *Run:* `just run b02`; seconds.

use std::process::ExitCode;

use anyhow::Result;
use experiment::figures::{Axis, Color, Figure, Mark, Panel, Width};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Number, Numbers, Tier};
use geometry::HammingSpace;
use serde::{Deserialize, Serialize};
use stats::linear_regression;

/// How a neuron's answer falls with its distance from a point: name, label, color.
const WEIGHTINGS: [(&str, &str, Color); 3] = [
    ("binary", "in or out", Color::Blue),
    ("linear", "by matching bits", Color::Vermilion),
    ("exponential", "exponentially", Color::Green),
];

/// What counts as a straight line.
const BOUND: f64 = 0.98;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Bits of an address.
    n: usize,
    /// Radii within which neurons answer.
    radii: Vec<usize>,
    /// The exponential's rate by differing bit.
    rate: f64,
}

/// For one radius, ln of the shared weight at each distance relative to that at 0, by weighting.
struct Curves {
    radius: usize,
    ln_shares: [Vec<f64>; 3],
}

struct Measured {
    curves: Vec<Curves>,
}

struct WeightedCircles;

impl Experiment for WeightedCircles {
    const ID: &'static str = "b02_weighted_circles";
    const TITLE: &'static str = "Neurons that answer by degrees still make an exponential";
    const OUTPUTS: &'static [&'static str] = &["B-x06"];
    type Config = Config;
    type Measured = Measured;

    fn config(_: Tier) -> Config {
        // Authors' notebook.
        Config { n: 64, radii: vec![5, 15, 25], rate: 0.01 }
    }

    fn cost(_: Tier) -> Cost {
        Cost { minutes: 0.02, memory_mb: 60, disk_mb: 1 }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let curves = config.radii.iter().map(|radius| {
            context.step(config.radii.len());
            let n = config.n as f64;
            let linear = |k: usize| libm::log((n - k as f64) / n);
            let shares = [
                ln_shares(config.n, *radius, |_| 0.0)?,
                ln_shares(config.n, *radius, linear)?,
                ln_shares(config.n, *radius, |k| -config.rate * k as f64)?,
            ];
            Ok(Curves { radius: *radius, ln_shares: shares })
        });
        Ok(Measured { curves: curves.collect::<Result<_>>()? })
    }

    fn numbers(_: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for curves in &measured.curves {
            for ((name, ..), shares) in WEIGHTINGS.iter().zip(&curves.ln_shares) {
                let (slope, r_squared) = fit(curves.radius, shares);
                numbers.insert(
                    format!("d{:02}.{name}.slope", curves.radius),
                    Number::exact(slope).unit("1/bit"),
                );
                numbers.insert(
                    format!("d{:02}.{name}.r_squared", curves.radius),
                    Number::exact(r_squared),
                );
            }
        }
        numbers
    }

    fn drawings(_: &Config, measured: &Measured) -> Vec<Drawing> {
        let mut figure = Figure::new("B-x06", "Shared neurons, weighted by how near they are")
            .caption(
                "The sum over neurons within d bits of both pattern and query of their weights for each, relative to \
                 that at distance 0, n = 64. A neuron counts 1, or the product of its shares of matching bits, or the \
                 product of two exponentials, e to the −0.01 by differing bit. Below: the weighted sums, divided by \
                 that in which a neuron counts 1.",
            )
            .width(Width::Page)
            .columns(3)
            .panel_height_mm(40.0);
        let mut ratios = Vec::new();
        for curves in &measured.curves {
            let mut panel = Panel::new(
                Axis::linear("distance (bits)"),
                Axis::log10("shared weight (of that at 0)"),
            )
            .title(&format!("d = {}", curves.radius))
            .legend();
            for ((_, label, color), shares) in WEIGHTINGS.iter().zip(&curves.ln_shares) {
                let (x, y) = points(shares.iter().map(|share| libm::exp(*share)));
                let line = Mark::line(&x, &y).color(*color).label(label);
                panel = panel.mark(if *color == Color::Green { line.dashed() } else { line });
            }
            figure = figure.panel(panel);
            let mut panel = Panel::new(Axis::linear("distance (bits)"), Axis::linear("ratio"));
            let [plain, weighted @ ..] = &curves.ln_shares;
            for ((_, label, color), shares) in WEIGHTINGS.iter().skip(1).zip(weighted) {
                let ratio = shares.iter().zip(plain).map(|(share, plain)| libm::exp(share - plain));
                let (x, y) = points(ratio);
                panel = panel.mark(Mark::line(&x, &y).color(*color).series(label));
            }
            ratios.push(panel);
        }
        for panel in ratios {
            figure = figure.panel(panel);
        }
        vec![figure.into()]
    }

    fn claims(_: &Config, measured: &Measured) -> Vec<Claim> {
        let mut claims = Vec::new();
        for curves in &measured.curves {
            let fits = curves.ln_shares.each_ref().map(|shares| fit(curves.radius, shares));
            let worst = fits.iter().map(|(_, r_squared)| *r_squared).fold(1.0, f64::min);
            let text = format!(
                "at d = {} all three weightings fall exponentially up to distance d",
                curves.radius
            );
            let id = format!("b02.exponential_{:02}", curves.radius);
            let claim = Claim::about(&id, "the appendix's figure", &text).at_least(
                BOUND,
                "smallest r² of a line through the logarithm",
                &Number::exact(worst),
            );
            let why = "the bound is this project's; up to d = 5 there are three steps of the staircase only";
            claims.push(if worst < BOUND && curves.radius == 5 { claim.note(why) } else { claim });
        }
        claims
    }
}

fn main() -> ExitCode {
    experiment::main::<WeightedCircles>()
}

/// What is positive, by distance; elsewhere no neuron is shared.
fn points(by_distance: impl Iterator<Item = f64>) -> (Vec<f64>, Vec<f64>) {
    (0..).map(f64::from).zip(by_distance).filter(|(_, value)| *value > 0.0).unzip()
}

/// For each distance v from 0 to n, ln of Σ over points within `radius` of two points v apart of the product of
/// their weights, less that at v = 0.
///
/// A point that differs from the first in t of the v bits and in s others is t + s from the first and v − t + s from
/// the second; there are C(v, t)·C(n − v, s) of them.
fn ln_shares(n: usize, radius: usize, ln_weight: impl Fn(usize) -> f64) -> Result<Vec<f64>> {
    let ln_sum = |v: usize| -> Result<f64> {
        // ln C(0, 0) = 0, where there is no space of 0 bits.
        let inside = if v > 0 { Some(HammingSpace::new(v)?) } else { None };
        let outside = if v < n { Some(HammingSpace::new(n - v)?) } else { None };
        let ln_binomial = |space: &Option<HammingSpace>, k: usize| match space {
            Some(space) => space.ln_sphere(k),
            None => {
                if k == 0 {
                    0.0
                } else {
                    f64::NEG_INFINITY
                }
            }
        };
        let mut terms = Vec::new();
        for t in 0..=v {
            for s in 0..=n - v {
                let (first, second) = (t + s, v - t + s);
                if first <= radius && second <= radius {
                    let ln_count = ln_binomial(&inside, t) + ln_binomial(&outside, s);
                    terms.push(ln_count + ln_weight(first) + ln_weight(second));
                }
            }
        }
        let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = terms.iter().map(|term| libm::exp(term - largest)).sum();
        Ok(if terms.is_empty() { f64::NEG_INFINITY } else { largest + libm::log(sum) })
    };
    let ln_sums: Vec<f64> = (0..=n).map(ln_sum).collect::<Result<_>>()?;
    Ok(ln_sums.iter().map(|sum| sum - ln_sums[0]).collect())
}

/// Slope and r² of a line through the logarithms up to distance d.
fn fit(radius: usize, ln_shares: &[f64]) -> (f64, f64) {
    let y = &ln_shares[..=radius];
    let x: Vec<f64> = (0..y.len()).map(|at| at as f64).collect();
    linear_regression(&x, y).map_or((0.0, 0.0), |fit| (fit.slope, fit.r2))
}
