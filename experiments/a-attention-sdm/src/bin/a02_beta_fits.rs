//! Paper A: the β of softmax attention that fits the memory, and the β that transformers learn.
//!
//! The paper fits ln I(d_v) by β·cos over d_v < d, which makes attention approximate the memory, at three
//! radii that are optimal in some sense: d*_CD (critical distance), d*_SNR (noise), d*_Mem (capacity).
//! It then draws 90 β that query-key-normalized transformers learned between β_CD and β_Mem, near β_SNR.
//!
//! The authors' code divides a covariance with N−1 by a variance with N, so every published β is the
//! slope of least squares times N/(N−1), with N = d points. Here both are computed and drawn: the
//! paper's statistic, and the one that least squares gives.
//!
//! *Expected:* published 10.1, 15.9, 35.5; least squares 9.44, 14.41, 28.39; all 90 learned β between
//! the outer lines either way. *Visible:* the dashed lines (least squares) left of the solid ones, and
//! five language pairs whose β differ from each other more than the two β_SNR do.
//! *Run:* `just fig A-x03`; seconds. *Data:* `just data attention-sdm`.
//!
//! *Departures:* intervals (the paper has none) resample the five language pairs, not the 90 values,
//! since the values of one model are not independent.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use experiment::figures::{Axis, Cell, Color, Figure, Mark, Panel, Table, Width};
use experiment::{
    Claim, Context, Cost, Direction, Drawing, Experiment, Input, Null, Number, Numbers, Tier,
    Tolerance,
};
use geometry::{HammingSpace, approximation, cap, cosine_from_hamming};
use manifest::decode::learned_betas;
use sdm::optimal::{
    bit_z_score, capacity_optimal_fraction, published_critical_distance, snr_optimal_fraction,
    step_distances,
};
use sdm::{SlopeEstimator, fit_beta, softmax_weights, weights_from_ln_counts};
use serde::{Deserialize, Serialize};
use stats::{bootstrap_ci, histogram, mean};

const LEARNED: &str = "attention-sdm/KeyQuery_Norm_Learnt_Betas.txt";
/// Figures of the weights at every radius: id and n.
const WEIGHTS: [(&str, usize); 4] =
    [("A-x12", 64), ("A-x13", 100), ("A-x14", 784), ("A-x15", 1000)];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Bits of an address in the headline figure.
    n: usize,
    /// Stored patterns m; the number of neurons is r = 2^n.
    n_patterns: u64,
    /// Probability q that a whole pattern is read without an error, for the capacity.
    pattern_probability: f64,
    /// Dimensions, with the radii that the paper draws for each.
    spaces: Vec<(usize, Vec<usize>)>,
    /// Bins of the histogram.
    n_bins: usize,
    /// Resamples of the bootstrap.
    n_resamples: usize,
    /// Seeds of the bootstrap.
    seeds: Vec<u64>,
}

/// A fit at one radius; the weights over d_v = 0..=n of the memory, its continuous version, and softmax.
struct Fit {
    n: usize,
    d: usize,
    fraction: f64,
    published: f64,
    least_squares: f64,
    r2: f64,
}

struct Weights {
    n: usize,
    d: usize,
    curves: [Vec<f64>; 4],
}

/// The learned β by language pair, and the mean with its interval over the pairs.
struct Learned {
    pairs: Vec<(String, Vec<f64>)>,
    mean: f64,
    ci: [f64; 2],
}

struct Measured {
    fits: Vec<Fit>,
    /// d*_CD, d*_SNR, d*_Mem.
    optimal: [usize; 3],
    weights: Vec<Weights>,
    learned: Option<Learned>,
}

impl Measured {
    /// Published and least-squares β at d*_CD, d*_SNR, d*_Mem.
    fn lines(&self, n: usize) -> [(f64, f64); 3] {
        self.optimal.map(|d| {
            let fit = self.fits.iter().find(|fit| (fit.n, fit.d) == (n, d));
            fit.map_or((f64::NAN, f64::NAN), |fit| (fit.published, fit.least_squares))
        })
    }
}

struct BetaFits;

impl Experiment for BetaFits {
    const ID: &'static str = "a02_beta_fits";
    const TITLE: &'static str = "The β of attention that fits the memory, and the β that is learned";
    const OUTPUTS: &'static [&'static str] = &[
        "A-x03", "A-x11", "A-x12", "A-x13", "A-x14", "A-x15", "A-x16", "A-x17", "A-x18", "A-y02",
    ];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let spaces = vec![
            (64, vec![5, 9, 11, 15, 19, 20, 27]),
            (100, vec![16, 21, 23, 29, 33, 35, 44]),
            (784, vec![292, 308, 314, 332, 345, 349, 374]),
            (1000, vec![387, 405, 411, 433, 447, 451, 480]),
        ];
        let few = spaces.iter().map(|(n, radii)| (*n, vec![radii[2], radii[5]])).collect();
        let smoke = tier == Tier::Smoke;
        Config {
            n: 64,                    // authors' notebooks
            n_patterns: 1024,         // authors' notebooks
            pattern_probability: 0.5, // authors' code; its comment says 99 %
            spaces: if smoke { few } else { spaces },
            n_bins: 50, // authors' code
            n_resamples: if smoke { 200 } else { 10_000 },
            seeds: vec![0],
        }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn inputs(_: &Config) -> Vec<Input> {
        vec![Input { name: LEARNED.to_owned(), outputs: vec!["A-x03".to_owned()] }]
    }

    fn cost(_: Tier) -> Cost {
        Cost { minutes: 0.2, memory_mb: 120, disk_mb: 5 }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let space = HammingSpace::new(config.n)?;
        let neurons = libm::exp(space.ln_points());
        let snr = snr_optimal_fraction(config.n_patterns, neurons)?;
        let z = bit_z_score(config.pattern_probability, config.n)?;
        let memory = capacity_optimal_fraction(neurons, z)?;
        let critical = (1..config.n / 2)
            .map(|d| {
                let steps = step_distances(&space.ln_intersections(d), config.n_patterns);
                (published_critical_distance(&steps), d)
            })
            .max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)))
            .context("no radius has a critical distance")?;
        let optimal =
            [critical.1, space.radius_at_fraction(snr)?, space.radius_at_fraction(memory)?];

        let mut fits = Vec::new();
        for (n, radii) in [(config.n, 2..config.n / 2), (784, 285..384)] {
            for d in radii {
                fits.push(fit(n, d)?);
            }
        }
        let mut weights_of = Vec::new();
        for (n, radii) in &config.spaces {
            for d in radii {
                weights_of.push(weights(*n, *d)?);
                context.step(config.spaces.iter().map(|(_, radii)| radii.len()).sum());
            }
        }
        let learned = context.read(LEARNED)?.map(|bytes| learned(config, &bytes)).transpose()?;
        Ok(Measured { fits, optimal, weights: weights_of, learned })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for (name, d) in ["cd", "snr", "mem"].iter().zip(measured.optimal) {
            numbers.insert(format!("d_{name}"), Number::exact(d as f64).unit("bits"));
        }
        for fit in measured.fits.iter().filter(|fit| fit.n == config.n) {
            let of = |what: &str| format!("beta.{what}.n{}.d{:02}", fit.n, fit.d);
            numbers.insert(of("published"), Number::exact(fit.published));
            numbers.insert(of("least_squares"), Number::exact(fit.least_squares));
            numbers.insert(of("r2"), Number::exact(fit.r2));
        }
        for weights in &measured.weights {
            let [memory, _, published, least_squares] = &weights.curves;
            let gap = |softmax: &[f64]| {
                Number::exact(memory.iter().zip(softmax).map(|(a, b)| (a - b).abs()).sum())
            };
            let of = |what: &str| format!("l1_gap.{what}.n{}.d{:03}", weights.n, weights.d);
            numbers.insert(of("published"), gap(published));
            numbers.insert(of("least_squares"), gap(least_squares));
        }
        if let Some(learned) = &measured.learned {
            let n_pairs = learned.pairs.len() as u64;
            numbers.insert("learned.mean".into(), Number::estimate(learned.mean, learned.ci).n(n_pairs));
            for (pair, values) in &learned.pairs {
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                numbers.insert(format!("learned.mean.{pair}"), Number::exact(mean).n(values.len() as u64));
            }
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        let mut drawings: Vec<Drawing> = Vec::new();
        if let Some(learned) = &measured.learned {
            drawings.push(headline(config, measured, learned).into());
        }
        if let Some(weights) = measured.weights.iter().find(|it| (it.n, it.d) == (64, 11)) {
            drawings.push(main_comparison(weights).into());
        }
        for (id, n) in WEIGHTS {
            drawings.push(every_radius(id, n, &measured.weights).into());
        }
        drawings.push(beta_d_p("A-x16", 64, measured).into());
        drawings.push(beta_d_p("A-x17", 784, measured).into());
        drawings.push(approximate_betas(measured).into());
        drawings.push(fit_table(config, measured).into());
        drawings
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let lines = measured.lines(config.n);
        let printed = [
            ("cd", 15.0, 10.1, "the longest critical distance"),
            ("snr", 11.0, 15.9, "the best signal-to-noise ratio"),
            ("mem", 5.0, 35.5, "the largest capacity"),
        ];
        let mut claims = Vec::new();
        for (at, (name, d, beta, sense)) in printed.into_iter().enumerate() {
            let (published, least_squares) = lines[at];
            let half_digit = Tolerance::Absolute(0.05);
            claims.push(Claim::value(&format!("a02.d_{name}"), 'a', "text and App. Table 1",
                &format!("the radius of {sense} is {d}"), d, Tolerance::Absolute(0.0),
                &Number::exact(measured.optimal[at] as f64)));
            claims.push(Claim::value(&format!("a02.beta_{name}"), 'a', "authors' code",
                &format!("β at that radius is {beta}, by the authors' formula"), beta, half_digit,
                &Number::exact(published)));
            claims.push(Claim::value(&format!("a02.beta_{name}_least_squares"), 'a', "authors' code",
                &format!("β at that radius is {beta}, by least squares"), beta, half_digit,
                &Number::exact(least_squares))
                .note(&format!("the authors divide np.cov (N−1) by np.var (N), which multiplies the slope by {d}/{}", d - 1.0)));
        }
        let Some(learned) = &measured.learned else { return claims };
        let all: Vec<f64> = learned.pairs.iter().flat_map(|(_, values)| values).copied().collect();
        let inside = |low: f64, high: f64| {
            let n = all.iter().filter(|beta| (low..=high).contains(*beta)).count();
            Number::exact(n as f64 / all.len() as f64)
        };
        // How much of all radii lies between the two lines: what a radius drawn blindly would give.
        let blind = |low: f64, high: f64, beta: fn(&Fit) -> f64| {
            let of_n: Vec<_> = measured.fits.iter().filter(|fit| fit.n == config.n).collect();
            let n = of_n.iter().filter(|fit| (low..=high).contains(&beta(fit))).count();
            Null { name: "the β of a radius drawn uniformly".into(), value: n as f64 / of_n.len() as f64 }
        };
        let [cd, snr, mem] = lines;
        let mean = Number::estimate(learned.mean, learned.ci).n(learned.pairs.len() as u64);
        let between = "learned β lie between β_CD and β_Mem more often than the β of a random radius";
        claims.extend([
            Claim::shape("a02.learned_range", 'a', "text", "learned β lie between 10 and 25",
                "share of the 90 within [10, 25]", (Direction::Above, 1.0), &inside(10.0, 25.0)),
            Claim::sign("a02.between_published", 'a', "LearnedAttentionCoefficients.png", between,
                Direction::Above, blind(cd.0, mem.0, |fit| fit.published), &inside(cd.0, mem.0)),
            Claim::sign("a02.between_least_squares", 'a', "LearnedAttentionCoefficients.png",
                &format!("{between} (least squares)"), Direction::Above,
                blind(cd.1, mem.1, |fit| fit.least_squares), &inside(cd.1, mem.1))
                .note("the finding survives the correction: all 90 stay between the lines"),
            Claim::value("a02.center_published", 'a', "LearnedAttentionCoefficients.png",
                "learned β center on β_SNR, by the authors' formula", snr.0,
                Tolerance::Absolute(0.05), &mean).null("β_CD", cd.0),
            Claim::value("a02.center_least_squares", 'a', "LearnedAttentionCoefficients.png",
                "learned β center on β_SNR, by least squares", snr.1,
                Tolerance::Absolute(0.05), &mean).null("β_CD", cd.1)
                .note("with five language pairs the mean cannot tell the two β_SNR apart"),
        ]);
        claims
    }
}

fn main() -> ExitCode {
    experiment::main::<BetaFits>()
}

fn fit(n: usize, d: usize) -> Result<Fit> {
    let space = HammingSpace::new(n)?;
    let counts = space.ln_intersections(d);
    let published = fit_beta(n, &counts, 0..d, SlopeEstimator::Published)?;
    let least_squares = fit_beta(n, &counts, 0..d, SlopeEstimator::LeastSquares)?;
    Ok(Fit {
        n,
        d,
        fraction: space.fraction_at_radius(d),
        published: published.beta,
        least_squares: least_squares.beta,
        r2: least_squares.r2,
    })
}

fn weights(n: usize, d: usize) -> Result<Weights> {
    let counts = HammingSpace::new(n)?.ln_intersections(d);
    let fit = fit(n, d)?;
    let cosines: Vec<_> = (0..=n).map(|d_v| cosine_from_hamming(n, d_v as f64)).collect();
    let angle = cap::cap_angle(n, d);
    let caps = cosines.iter().map(|cosine| {
        cap::ln_cap_intersection_fraction(n, angle, libm::acos(*cosine))
    });
    let caps: Vec<f64> = caps.collect::<Result<_, _>>()?;
    let curves = [
        weights_from_ln_counts(&counts)?,
        weights_from_ln_counts(&caps)?,
        softmax_weights(fit.published, &cosines)?,
        softmax_weights(fit.least_squares, &cosines)?,
    ];
    Ok(Weights { n, d, curves })
}

fn learned(config: &Config, bytes: &[u8]) -> Result<Learned> {
    let mut pairs: Vec<(String, Vec<f64>)> = Vec::new();
    for beta in learned_betas::decode(LEARNED, bytes)? {
        let pair = beta.block.unwrap_or_else(|| "unnamed".to_owned());
        match pairs.iter_mut().find(|(name, _)| *name == pair) {
            Some((_, values)) => values.push(beta.value),
            None => pairs.push((pair, vec![beta.value])),
        }
    }
    let all: Vec<f64> = pairs.iter().flat_map(|(_, values)| values).copied().collect();
    let seed = *config.seeds.first().context("the bootstrap needs a seed")?;
    let mut rng = seed::Seed::new(seed).stream(BetaFits::ID, "bootstrap over language pairs");
    // Each resample draws five pairs with replacement and takes the mean of all their values.
    let indices: Vec<f64> = (0..pairs.len()).map(|at| at as f64).collect();
    let pooled = |drawn: &[f64]| {
        let of = |at: &f64| {
            let is_drawn = |&(other, _): &(usize, &(String, Vec<f64>))| other as f64 == *at;
            pairs.iter().enumerate().find(is_drawn).map_or(&[][..], |(_, (_, values))| values)
        };
        let values: Vec<f64> = drawn.iter().flat_map(of).copied().collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let ci = bootstrap_ci(&indices, pooled, config.n_resamples, 0.95, &mut rng)?;
    Ok(Learned { mean: mean(&all)?, ci: [ci.low, ci.high], pairs })
}

fn headline(config: &Config, measured: &Measured, learned: &Learned) -> Figure {
    let all: Vec<f64> = learned.pairs.iter().flat_map(|(_, values)| values).copied().collect();
    let mut counts = Panel::new(Axis::linear("β").range(5.0, 40.0), Axis::linear("learned β (of 90)"));
    if let Ok(histogram) = histogram(&all, config.n_bins) {
        let heights: Vec<f64> = histogram.counts.iter().map(|n| *n as f64).collect();
        counts = counts.mark(Mark::histogram(&histogram.edges, &heights).color(Color::Gray).series("learned β"));
    }
    let names: Vec<&str> = learned.pairs.iter().map(|(name, _)| name.as_str()).collect();
    let names: Vec<&str> = names.iter().copied().chain(["mean"]).collect();
    let mut pairs = Panel::new(
        Axis::linear("β").range(5.0, 40.0),
        Axis::categories("language pair", &names),
    );
    for (at, (name, values)) in learned.pairs.iter().enumerate() {
        let y = vec![at as f64; values.len()];
        pairs = pairs.mark(Mark::points(values, &y).color(Color::Gray).series(name));
    }
    let row = learned.pairs.len() as f64;
    pairs = pairs
        .mark(Mark::line(&learned.ci, &[row, row]).color(Color::Ink).series("95 % interval of the mean over pairs"))
        .mark(Mark::points(&[learned.mean], &[row]).color(Color::Ink).series("mean of the 90"));
    let lines = measured.lines(config.n).into_iter().zip(["CD", "SNR", "Mem"]).enumerate();
    for (at, ((published, least_squares), name)) in lines {
        let color = Color::nth(at);
        counts = counts
            .mark(Mark::vline(published).color(color).label(&format!("β_{{{name}}} {published:.1}")))
            .mark(Mark::vline(least_squares).color(color).dashed().label(&format!("{least_squares:.1}")));
        pairs = pairs
            .mark(Mark::vline(published).color(color).series(&format!("β_{name}, published")))
            .mark(Mark::vline(least_squares).color(color).dashed().series(&format!("β_{name}, least squares")));
    }
    Figure::new("A-x03", "Learned β lie between the memory's optima")
        .caption("90 β that query-key-normalized transformers learned, with the β of the memory at its three \
                  optimal radii: solid as published, dashed by least squares. Below: by language pair, and \
                  their mean with its 95 % bootstrap interval over the five pairs.")
        .panel(counts)
        .panel(pairs)
}

fn comparison(panel: Panel, weights: &Weights, upto: usize, floor: f64) -> Panel {
    let names = ["memory", "spherical caps", "softmax, published β", "softmax, least squares"];
    let colors = [Color::Ink, Color::Vermilion, Color::Blue, Color::Sky];
    let mut panel = panel;
    for (at, ((name, color), values)) in names.iter().zip(colors).zip(&weights.curves).enumerate() {
        let kept = values.iter().enumerate().take(upto + 1).take_while(|(_, weight)| **weight > floor);
        let (x, y): (Vec<_>, Vec<_>) = kept.map(|(d_v, weight)| (d_v as f64, *weight)).unzip();
        let mark = match at {
            0 => Mark::points(&x, &y),
            3 => Mark::line(&x, &y).dashed(),
            _ => Mark::line(&x, &y),
        };
        panel = panel.mark(mark.color(color).label(name));
    }
    panel
}

fn main_comparison(weights: &Weights) -> Figure {
    let linear = Panel::new(Axis::linear("d_{v} (bits)").range(0.0, 20.0), Axis::linear("weight"));
    let log = Panel::new(
        Axis::linear("d_{v}").range(0.0, 24.0),
        Axis::log10("weight").range(1e-8, 1.0),
    );
    let inset = comparison(log, weights, 22, 1e-8);
    Figure::new("A-x11", "Memory and attention, n = 64, d = 11")
        .caption("Weight of a pattern at distance d_v from the query, over all distances; inset: log scale.")
        .panel(comparison(linear, weights, 20, -1.0).legend())
        .panel(inset)
        .columns(2)
        .width(Width::Page)
}

fn every_radius(id: &str, n: usize, weights: &[Weights]) -> Figure {
    let mut figure = Figure::new(id, &format!("Memory and attention at every radius, n = {n}"))
        .caption("Weight of a pattern against its distance, left linear, right on a log scale.")
        .width(Width::Page)
        .columns(4)
        .panel_height_mm(30.0);
    for weights in weights.iter().filter(|weights| weights.n == n) {
        // As far as the memory gives 99 % of its weight.
        let mut sum = 0.0;
        let mass = weights.curves[0].iter().take_while(|weight| {
            sum += **weight;
            sum < 0.99
        });
        let near = (mass.count() + 2).max(8);
        let linear = Panel::new(Axis::linear("d_{v}"), Axis::linear("weight"));
        let log = Panel::new(Axis::linear("d_{v}"), Axis::log10("weight").range(1e-12, 1.0));
        let title = format!("d = {}", weights.d);
        figure = figure
            .panel(comparison(linear.title(&title), weights, near, -1.0))
            .panel(comparison(log.title(&title), weights, 2 * weights.d, 1e-12));
    }
    figure
}

fn beta_d_p(id: &str, n: usize, measured: &Measured) -> Figure {
    let of_n = || measured.fits.iter().filter(|fit| fit.n == n);
    let (d, p): (Vec<_>, Vec<_>) = of_n().map(|fit| (fit.d as f64, fit.fraction)).unzip();
    let (published, least_squares): (Vec<_>, Vec<_>) =
        of_n().map(|fit| (fit.published, fit.least_squares)).unzip();
    let panel = |y: Axis, values: &[f64]| {
        Panel::new(Axis::linear("fitted β"), y)
            .mark(Mark::line(&published, values).color(Color::Blue).label("published"))
            .mark(Mark::line(&least_squares, values).color(Color::Vermilion).dashed().label("least squares"))
    };
    Figure::new(id, &format!("β, radius and sparsity, n = {n}"))
        .caption("The radius d, and the fraction p of neurons within it, that a β stands for.")
        .width(Width::Page)
        .columns(2)
        .panel(panel(Axis::linear("Hamming radius d (bits)"), &d))
        .panel(panel(Axis::log10("fraction of neurons, p"), &p))
}

fn approximate_betas(measured: &Measured) -> Figure {
    let of_n = || measured.fits.iter().filter(|fit| fit.n == 64);
    let d: Vec<_> = of_n().map(|fit| fit.d as f64).collect();
    let line = |of: &dyn Fn(&Fit) -> f64| Mark::line(&d, &of_n().map(of).collect::<Vec<_>>());
    let taylor = |fit: &Fit| approximation::approximate_beta(64, fit.d);
    let panel = Panel::new(Axis::linear("Hamming radius d (bits)"), Axis::linear("β"))
        .mark(line(&|fit| fit.published).color(Color::Blue).label("published fit"))
        .mark(line(&|fit| fit.least_squares).color(Color::Vermilion).dashed().label("least squares"))
        .mark(line(&taylor).color(Color::Green).label("(n−2d)^{2}/4n"))
        .mark(line(&|fit| 3.0 * taylor(fit)).color(Color::Green).dashed().label("3(n−2d)^{2}/4n"));
    Figure::new("A-x18", "Taylor's β against the fits, n = 64")
        .caption("The β of the Taylor exponential, and three times it, with both fits.")
        .panel(panel)
}

fn fit_table(config: &Config, measured: &Measured) -> Table {
    let mut table = Table::new("A-y02", "β fitted to the memory, n = 64, over d_v = 0..d−1")
        .column("d", "bits")
        .column("β published", "")
        .column("β least squares", "")
        .column("ratio", "")
        .column("R²", "");
    for fit in measured.fits.iter().filter(|fit| fit.n == config.n) {
        table = table.row(vec![
            Cell::number(fit.d as f64, 0),
            Cell::number(fit.published, 4),
            Cell::number(fit.least_squares, 4),
            Cell::number(fit.published / fit.least_squares, 4),
            Cell::number(fit.r2, 3),
        ]);
    }
    table
}
