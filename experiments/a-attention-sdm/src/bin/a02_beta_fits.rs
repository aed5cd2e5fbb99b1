//! Paper A: the β of softmax attention that fits the memory, and the β that transformers learn.
//!
//! The paper fits the logarithm of the circle intersection by β·cos over d_v < d, which makes attention
//! approximate the memory, at three radii that are optimal in some sense: d*_CD (critical distance),
//! d*_SNR (noise), d*_Mem (capacity).
//! It then finds 90 β that query-key-normalized transformers learned between β_CD and β_Mem, near β_SNR.
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
//! *Departures:* the interval of the mean (the paper has none) resamples the five language pairs, not
//! the 90 values, since the values of one model are not independent; five pairs are few. Two panels stand
//! where the authors' figures of β, d and p have twin axes.

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use experiment::figures::{Axis, Cell, Color, Figure, Mark, Marker, Panel, Table, Width};
use experiment::{
    Claim, Context, Cost, Drawing, Experiment, Input, Number, Numbers, Tier, Tolerance,
};
use geometry::{HammingSpace, approximation::approximate_beta};
use manifest::decode::learned_betas;
use sdm::optimal::optimal_radii;
use sdm::{SlopeEstimator, fit_beta};
use serde::{Deserialize, Serialize};
use stats::{Histogram, bootstrap_ci_of_places, histogram, mean};

const LEARNED: &str = "attention-sdm/KeyQuery_Norm_Learnt_Betas.txt";
/// What the three radii are optimal for; the published radius (by a secondary source) and β (authors' code).
const OPTIMA: [(&str, &str, f64, f64); 3] = [
    ("CD", "the longest critical distance", 15.0, 10.1),
    ("SNR", "the best signal-to-noise ratio", 11.0, 15.9),
    ("Mem", "the largest capacity", 5.0, 35.5),
];

/// The setting of the published values: n, m, q (authors' notebooks and code).
const PUBLISHED: (usize, u64, f64) = (64, 1024, 0.5);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Bits n of an address; the memory has r = 2^n neurons.
    n: usize,
    /// Stored patterns m.
    n_patterns: u64,
    /// Probability q that a whole pattern is read without an error, for the capacity.
    pattern_probability: f64,
    /// Bins of the histogram.
    n_bins: usize,
    /// Resamples of the bootstrap.
    n_resamples: usize,
    /// Seeds of the bootstrap.
    seeds: Vec<u64>,
}

/// Both fits at one radius.
struct Fit {
    d: usize,
    fraction: f64,
    published: f64,
    least_squares: f64,
    r2: f64,
}

/// The learned β by language pair, and the mean of all with its interval over the pairs.
struct Learned {
    pairs: Vec<(String, Vec<f64>)>,
    all: Vec<f64>,
    bins: Histogram,
    mean: Number,
}

struct Measured {
    fits: Vec<Fit>,
    /// Fits at n = 784, the size of an MNIST image.
    large_fits: Vec<Fit>,
    /// Fits at d*_CD, d*_SNR, d*_Mem, in the order of [`OPTIMA`].
    optima: [Fit; 3],
    learned: Option<Learned>,
}

struct BetaFits;

impl Experiment for BetaFits {
    const ID: &'static str = "a02_beta_fits";
    const TITLE: &'static str =
        "The β of attention that fits the memory, and the β that is learned";
    const OUTPUTS: &'static [&'static str] = &["A-x03", "A-x16", "A-x17", "A-x18", "A-y02"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        Config {
            n: 64,                    // authors' notebooks
            n_patterns: 1024,         // authors' notebooks
            pattern_probability: 0.5, // authors' code; its comment says 99 %
            n_bins: 50,               // authors' code
            n_resamples: if tier == Tier::Smoke { 200 } else { 10_000 },
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
        Cost { minutes: 0.05, memory_mb: 80, disk_mb: 5 }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let n = config.n;
        // Two points make no fit worth drawing, and the published one is twice the slope there.
        let fits = (3..n / 2).map(|d| fit(n, d)).collect::<Result<_>>()?;
        let large_fits = (285..384).map(|d| fit(784, d)).collect::<Result<_>>()?;
        let neurons = libm::exp2(n as f64);
        let space = HammingSpace::new(n)?;
        let radii = optimal_radii(&space, config.n_patterns, neurons, config.pattern_probability)?;
        let cd = radii.critical_distance.context("no query converges: too many patterns")?;
        let learned = context.read(LEARNED)?.map(|bytes| learned(config, &bytes)).transpose()?;
        context.step(1);
        Ok(Measured {
            fits,
            large_fits,
            optima: [fit(n, cd)?, fit(n, radii.snr)?, fit(n, radii.memory)?],
            learned,
        })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for ((name, ..), fit) in OPTIMA.iter().zip(&measured.optima) {
            numbers.insert(format!("d.{name}"), Number::exact(fit.d as f64).unit("bits"));
        }
        for fit in &measured.fits {
            let of = |what: &str| format!("beta.n{}.d{:02}.{what}", config.n, fit.d);
            numbers.insert(of("published"), Number::exact(fit.published));
            numbers.insert(of("least_squares"), Number::exact(fit.least_squares));
            numbers.insert(of("r2"), Number::exact(fit.r2));
        }
        let Some(learned) = &measured.learned else { return numbers };
        numbers.insert("learned.mean".to_owned(), learned.mean.clone());
        for (name, beta) in [
            ("published", measured.optima[1].published),
            ("least_squares", measured.optima[1].least_squares),
        ] {
            let Number { value, ci_low, ci_high, n, .. } = learned.mean.clone();
            let less = |x: Option<f64>| x.map(|x| x - beta);
            let gap = Number {
                ci_low: less(ci_low),
                ci_high: less(ci_high),
                n,
                ..Number::exact(value - beta)
            };
            numbers.insert(format!("learned.mean_minus_beta_snr.{name}"), gap);
        }
        for (pair, values) in &learned.pairs {
            let mean = Number::exact(mean_of(values)).n(values.len() as u64);
            numbers.insert(format!("learned.mean.{pair}"), mean);
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        let learned = measured.learned.as_ref();
        let headline = learned.map(|learned| headline(config.n, measured, learned).into());
        let others = [
            beta_d_p("A-x16", config.n, &measured.fits).into(),
            beta_d_p("A-x17", 784, &measured.large_fits).into(),
            taylor(config, &measured.fits).into(),
            table(config, &measured.fits).into(),
        ];
        headline.into_iter().chain(others).collect()
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let (n, n_patterns, probability) = PUBLISHED;
        let is_published = config.n == n
            && config.n_patterns == n_patterns
            && config.pattern_probability.total_cmp(&probability).is_eq();
        let elsewhere = format!(
            "n = {}, m = {}, q = {}; published for {n}, {n_patterns}, {probability}",
            config.n, config.n_patterns, config.pattern_probability
        );
        let mut claims = Vec::new();
        for ((name, sense, d, beta), fit) in OPTIMA.iter().zip(&measured.optima) {
            let lower = name.to_lowercase();
            let source = "authors' notebooks (β); a secondary source (d*)";
            let about =
                |id: &str, text: &str| Claim::about(&format!("a02.{id}_{lower}"), source, text);
            let half_a_digit = Tolerance::Absolute(0.05);
            let radius = Number::exact(fit.d as f64);
            claims.push(about("d", &format!("the radius of {sense} is {d}")).equals(
                *d,
                Tolerance::Absolute(0.0),
                &radius,
            ));
            claims.push(about("beta", &format!("β_{name} is {beta} (published formula)")).equals(
                *beta,
                half_a_digit,
                &Number::exact(fit.published),
            ));
            claims.push(
                about("least_squares", &format!("the published β_{name} of {beta} is the slope of the least-squares line"))
                    .equals(*beta, half_a_digit, &Number::exact(fit.least_squares))
                    .note(&format!(
                        "the authors divide np.cov (N−1) by np.var (N): their slope is {}/{} of this one",
                        fit.d,
                        fit.d - 1
                    )),
            );
        }
        if let Some(learned) = &measured.learned {
            claims.extend(claims_of_optima(measured, learned));
        }
        let mut claims: Vec<_> =
            claims.into_iter().map(|claim| claim.when(is_published, &elsewhere)).collect();
        claims.extend(measured.learned.as_ref().map(claim_of_range));
        claims
    }
}

fn main() -> ExitCode {
    experiment::main::<BetaFits>()
}

/// The share of values in an interval.
fn share(values: &[f64], low: f64, high: f64) -> f64 {
    let within = values.iter().filter(|beta| (low..=high).contains(*beta)).count();
    within as f64 / values.len() as f64
}

fn claim_of_range(learned: &Learned) -> Claim {
    let within = Number::exact(share(&learned.all, 10.0, 25.0)).n(90);
    let source = "authors' file of learned β";
    Claim::about("a02.learned_range", source, "learned β lie in [10, 25]").at_least(
        1.0,
        "share of the 90 learned β",
        &within,
    )
}

fn claims_of_optima(measured: &Measured, learned: &Learned) -> Vec<Claim> {
    let [cd, snr, mem] = &measured.optima;
    let figure = "authors' LearnedAttentionCoefficients.png";
    let mut claims = Vec::new();
    for (suffix, name, beta) in [
        ("", "published", (|fit| fit.published) as fn(&Fit) -> f64),
        ("_least_squares", "least squares", |fit| fit.least_squares),
    ] {
        let within = Number::exact(share(&learned.all, beta(cd), beta(mem))).n(90);
        let blind = share(&column(&measured.fits, beta), beta(cd), beta(mem));
        claims.push(
            Claim::about(
                &format!("a02.between{suffix}"),
                figure,
                &format!("all learned β lie between β_CD and β_Mem ({name})"),
            )
            .at_least(1.0, "share of the 90 learned β", &within)
            .null("share of the radii 3..n/2 whose β lies there", blind),
        );
        let items = [("β_Mem", beta(mem)), ("β_SNR", beta(snr)), ("β_CD", beta(cd))];
        claims.push(
            Claim::about(
                &format!("a02.order{suffix}"),
                figure,
                &format!("β_CD, β_SNR and β_Mem rise ({name})"),
            )
            .ordered(&items.map(|(name, beta)| (name, Number::exact(beta)))),
        );
    }
    claims
}

fn fit(n: usize, d: usize) -> Result<Fit> {
    let space = HammingSpace::new(n)?;
    let counts = space.ln_intersections(d);
    let published = fit_beta(n, &counts, 0..d, SlopeEstimator::Published)?;
    let least_squares = fit_beta(n, &counts, 0..d, SlopeEstimator::LeastSquares)?;
    Ok(Fit {
        d,
        fraction: space.fraction_at_radius(d),
        published: published.beta,
        least_squares: least_squares.beta,
        r2: least_squares.r2,
    })
}

fn mean_of(values: &[f64]) -> f64 {
    stats::sum(values.iter().copied()) / values.len() as f64
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
    ensure!(all.len() == 90, "{LEARNED} holds {} β; expected 90", all.len());
    let seed = *config.seeds.first().context("the bootstrap needs a seed")?;
    let mut rng = seed::Seed::new(seed).stream(BetaFits::ID, "bootstrap over language pairs");
    // A resample draws as many pairs as there are, with replacement, and pools their values.
    let pooled_mean = |places: &[usize]| {
        mean_of(&places.iter().flat_map(|place| &pairs[*place].1).copied().collect::<Vec<_>>())
    };
    let n = config.n_resamples;
    let ci = bootstrap_ci_of_places(pairs.len(), pooled_mean, n, 0.95, &mut rng)?;
    let mean = Number::estimate(mean(&all)?, [ci.low, ci.high]).n(pairs.len() as u64);
    Ok(Learned { pairs, bins: histogram(&all, config.n_bins)?, all, mean })
}

fn headline(n: usize, measured: &Measured, learned: &Learned) -> Figure {
    let optima = measured.optima.iter().flat_map(|fit| [fit.published, fit.least_squares]);
    let shown: Vec<f64> = optima.chain(learned.all.iter().copied()).collect();
    let low = shown.iter().copied().fold(f64::INFINITY, f64::min);
    let high = shown.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let margin = 0.05 * (high - low);
    let beta = || Axis::linear("β").range(low - margin, high + margin);
    let mut counts = Panel::new(beta(), Axis::linear("learned β (of 90)"))
        .title("solid: as published; dashed: least squares");
    let heights: Vec<f64> = learned.bins.counts.iter().map(|count| *count as f64).collect();
    let bars = Mark::histogram(&learned.bins.edges, &heights).color(Color::Gray);
    counts = counts.mark(bars.series("learned β"));
    let names = learned.pairs.iter().map(|(name, _)| name.as_str());
    let names: Vec<&str> = names.chain(["mean of 90"]).collect();
    let mut pairs = Panel::new(beta(), Axis::categories("", &names)).title("by language pair");
    for (place, (name, values)) in learned.pairs.iter().enumerate() {
        // Equal values would hide each other: spread them over the row by steps of the golden ratio.
        let golden = 2.0 / (1.0 + 5.0_f64.sqrt());
        let spread = |at: usize| place as f64 + 0.6 * ((at as f64 * golden).fract() - 0.5);
        let row: Vec<f64> = (0..values.len()).map(spread).collect();
        let rings = Mark::points(values, &row).marker(Marker::Ring).color(Color::Gray);
        pairs = pairs.mark(rings.series(name));
    }
    let row = learned.pairs.len() as f64;
    if let Some(ci) = learned.mean.ci() {
        let interval = Mark::line(&ci, &[row, row]).color(Color::Ink);
        pairs = pairs.mark(interval.series("95 % interval over pairs"));
    }
    pairs =
        pairs.mark(Mark::points(&[learned.mean.value], &[row]).color(Color::Ink).series("mean"));
    for (at, ((name, ..), fit)) in OPTIMA.iter().zip(&measured.optima).enumerate() {
        let solid = Mark::vline(fit.published).color(Color::nth(at));
        let dashed = Mark::vline(fit.least_squares).color(Color::nth(at)).dashed();
        pairs = pairs
            .mark(solid.clone().series(&format!("β_{name}, published")))
            .mark(dashed.clone().series(&format!("β_{name}, least squares")));
        counts = counts
            .mark(solid.label(&format!("β_{{{name}}} {:.1}", fit.published)))
            .mark(dashed.label(&format!("{:.1}", fit.least_squares)));
    }
    let title = format!("Learned β and the memory's optima, n = {n}");
    let caption = format!(
        "90 β that query-key-normalized transformers learned, and the β of a memory of n = {n} bits at \
         its radii of longest critical distance (CD), best signal-to-noise ratio (SNR) and largest \
         capacity (Mem): solid lines as published, dashed by least squares. Below by language pair, with \
         the mean and its 95 % bootstrap interval over the five pairs; the heights of the rings within a \
         row mean nothing. The pair called unnamed has no name in the authors' file either."
    );
    Figure::new("A-x03", &title).caption(&caption).panel(counts).panel(pairs)
}

fn column(fits: &[Fit], of: impl Fn(&Fit) -> f64) -> Vec<f64> {
    fits.iter().map(of).collect()
}

fn beta_d_p(id: &str, n: usize, fits: &[Fit]) -> Figure {
    let published = column(fits, |fit| fit.published);
    let least_squares = column(fits, |fit| fit.least_squares);
    let panel = |axis: Axis, y: Vec<f64>| {
        Panel::new(Axis::log10("fitted β"), axis)
            .mark(Mark::line(&published, &y).color(Color::Blue).label("published"))
            .mark(
                Mark::line(&least_squares, &y)
                    .color(Color::Vermilion)
                    .dashed()
                    .label("least squares"),
            )
    };
    Figure::new(id, &format!("β, radius and sparsity, n = {n}"))
        .caption(
            "The radius d, and the fraction p of neurons within it, that a fitted β stands for.",
        )
        .width(Width::Page)
        .columns(2)
        .panel(panel(Axis::linear("Hamming radius d (bits)"), column(fits, |fit| fit.d as f64)))
        .panel(panel(Axis::log10("fraction of neurons, p"), column(fits, |fit| fit.fraction)))
}

fn taylor(config: &Config, fits: &[Fit]) -> Figure {
    let d = column(fits, |fit| fit.d as f64);
    let beta = column(fits, |fit| approximate_beta(config.n, fit.d));
    let thrice: Vec<f64> = beta.iter().map(|beta| 3.0 * beta).collect();
    let fitted = |of: fn(&Fit) -> f64| Mark::line(&d, &column(fits, of));
    let panel = Panel::new(Axis::linear("Hamming radius d (bits)"), Axis::log10("β"))
        .mark(fitted(|fit| fit.published).color(Color::Blue).label("published fit"))
        .mark(
            fitted(|fit| fit.least_squares).color(Color::Vermilion).dashed().label("least squares"),
        )
        .mark(Mark::line(&d, &beta).color(Color::Green).label("(n−2d)^{2}/4n"))
        .mark(Mark::line(&d, &thrice).color(Color::Green).dotted().label("3(n−2d)^{2}/4n"));
    Figure::new("A-x18", &format!("Taylor's β against the fits, n = {}", config.n))
        .caption(
            "The β of the Taylor exponential (solid green), and three times it (dotted), with both fits: \
             as published (solid blue) and by least squares (dashed).",
        )
        .panel(panel)
}

fn table(config: &Config, fits: &[Fit]) -> Table {
    let title = format!("β fitted to the memory, n = {}, over d_v = 0..d−1", config.n);
    let columns = ["β published", "β least squares", "published / least squares", "R²"];
    let table = Table::new("A-y02", &title).column("d", "bits");
    let table = columns.iter().fold(table, |table, name| table.column(name, ""));
    fits.iter().fold(table, |table, fit| {
        let inflation = fit.published / fit.least_squares;
        let values = [(fit.published, 4), (fit.least_squares, 4), (inflation, 4), (fit.r2, 3)];
        let cells = values.map(|(value, digits)| Cell::number(value, digits));
        table.row([Cell::number(fit.d as f64, 0)].into_iter().chain(cells).collect())
    })
}
