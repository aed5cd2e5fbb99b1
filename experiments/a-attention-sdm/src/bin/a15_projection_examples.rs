//! Paper A: images at learned keys, seen closer: finitely many neurons, single images, and preprocessing.
//!
//! The authors vary the number of neurons r of the memory at learned keys, and print how one image is perturbed
//! and read back by four algorithms. Both are done here with their projections, and what they do not say is
//! measured: how images must be prepared for their table to come out (a12).
//!
//! *Expected:* no published number but the means of a12. *Visible:* at d = 11 a million neurons reach hardly
//! anything, and queries stay as they are; from 10^16 on the limit does not show. Images of length 1 give the
//! published means as well as the authors' brightness does; without their mean image they do not. *Run:* `just fig A-x61`; a minute.
//! *Data:* `just data mnist attention-sdm`.
//!
//! *Departures:* some test images as queries; limited caps have the right number of neurons, not e²/2 times as
//! many (`published_caps`); grids show MNIST, since the owners of CIFAR state no license.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use experiment::figures::{Axis, Cell, Color, Figure, Mark, Panel, Table, Width};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Input, Number, Numbers, Tier};
use kernels::Matrix;
use manifest::decode::{gray_images, pytorch};
use sdm::projection::{
    ImageSet, PAPER_ALGORITHMS, PUBLISHED_RECALL, ProjectedMemory, RecallTest, brightness, part_of,
};
use sdm::separation::Separation;
use sdm::{Algorithm, Draws, Setting, perturb};
use seed::Seed;
use serde::{Deserialize, Serialize};
use stats::bootstrap_mean;

const SET: ImageSet = ImageSet::Mnist;
/// Dimensions of a key.
const N: usize = 64;
/// Ways to prepare images. The first is the authors'.
const PREPARED: [&str; 3] = ["brightness 0 to 1", "scaled to length 1", "mean image subtracted"];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Radius d of the projection.
    radius: usize,
    /// Which of the authors' three starts.
    start: u64,
    /// Perturbations P in bits; an image is turned to the cosine 1 − 2P/n of its n pixels.
    perturbations: Vec<usize>,
    /// The most images that are stored; none: all.
    n_stored: Option<usize>,
    /// Queries for the numbers of neurons, and for the preparations.
    n_queries: (usize, usize),
    /// Neurons r of the limited memories.
    n_neurons: Vec<f64>,
    /// Whether limited caps have the e²/2 times too many neurons of the authors' code.
    published_caps: bool,
    /// The most reads of a query.
    max_reads: usize,
    /// Resamples of the bootstrap.
    n_resamples: usize,
    /// Seeds of queries, perturbations, draws of neurons, and the bootstrap.
    seeds: Vec<u64>,
}

#[derive(Default)]
struct Measured {
    /// Mean cosines by perturbation, with what they are of.
    limited: [Vec<(String, Vec<Number>)>; 2],
    prepared: Vec<(String, Vec<Number>)>,
    /// A training image and a test image: rows of images by perturbation, the query's first.
    grids: Vec<Vec<Vec<Vec<u8>>>>,
}

struct ProjectionExamples;

impl Experiment for ProjectionExamples {
    const ID: &'static str = "a15_projection_examples";
    const TITLE: &'static str = "Images at learned keys, seen closer";
    const OUTPUTS: &'static [&'static str] = &["A-x60", "A-x61", "A-x62", "A-y32"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let smoke = tier == Tier::Smoke;
        Config {
            radius: 11, // authors' notebook, as those below
            start: 0,
            perturbations: (0..7).map(|step| 50 * step).collect(),
            n_stored: if smoke { Some(1000) } else { None },
            n_queries: match tier {
                Tier::Smoke => (4, 8),
                Tier::Laptop => (32, 256),
                Tier::Paper => (1000, 10_000),
            },
            n_neurons: [6.0, 9.5, 13.0, 16.5, 20.0].map(|r| libm::exp10(r).round()).into(),
            published_caps: false,
            max_reads: 10,
            n_resamples: if smoke { 200 } else { 1000 },
            seeds: vec![0],
        }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn inputs(config: &Config) -> Vec<Input> {
        let files = SET.files().map(str::to_owned).into_iter();
        Input::each(
            files.chain([SET.published_projection(config.radius, config.start)]),
            Self::OUTPUTS,
        )
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.05, memory_mb: 400, disk_mb: 4 },
            Tier::Laptop => Cost { minutes: 1.0, memory_mb: 900, disk_mb: 8 },
            Tier::Paper => Cost { minutes: 60.0, memory_mb: 1500, disk_mb: 8 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let mut images = Vec::new();
        for file in SET.files() {
            let Some(bytes) = context.read(file)? else { return Ok(Measured::default()) };
            let read = brightness(SET.n_pixels(), &gray_images(file, &bytes)?.data)?;
            let n_stored = config.n_stored.unwrap_or(usize::MAX).min(read.n_rows());
            images.push(read.select(&(0..n_stored).collect::<Vec<_>>()));
        }
        let [train, test] = <[Matrix; 2]>::try_from(images).ok().context("two files")?;
        let file = SET.published_projection(config.radius, config.start);
        let Some(bytes) = context.read(&file)? else { return Ok(Measured::default()) };
        let w = pytorch::decode_matrix(&file, &bytes)?;
        let keys = Matrix::from_rows(w.shape[0], w.shape[1], w.data)?;
        let seed = Seed::new(*config.seeds.first().context("a seed is needed")?);

        let mut measured = Measured::default();
        for (limited, algorithm) in measured.limited.iter_mut().zip(LIMITED) {
            for r in config.n_neurons.iter().map(|r| Some(*r)).chain([None]) {
                let name = neurons(r);
                let of = if r.is_some() { algorithm.1 } else { algorithm.2 };
                let separation = separation(config, of, r.unwrap_or(f64::INFINITY))?;
                let targets = queries(&test, config.n_queries.0, seed, "test");
                let ends = ask(config, &train, targets, &keys, separation, seed)?;
                limited.push((name, ends));
                context.step(2 * config.n_neurons.len() + 6);
            }
        }
        for (place, name) in PREPARED.into_iter().enumerate() {
            let prepared = prepare(&train, place);
            let attention = separation(config, Algorithm::ContinuousSoftmax, f64::INFINITY)?;
            let targets = queries(&prepared, config.n_queries.1, seed, "train");
            let ends = ask(config, &prepared, targets, &keys, attention, seed)?;
            measured.prepared.push((name.to_owned(), ends));
            context.step(2 * config.n_neurons.len() + 6);
        }
        let memory = ProjectedMemory::new(&train, keys)?;
        for (name, images) in [("train", &train), ("test", &test)] {
            let target = queries(images, 1, seed, name);
            measured.grids.push(grid(config, &memory, &target, seed)?);
        }
        context.step(2 * config.n_neurons.len() + 6);
        Ok(measured)
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        let limited = measured.limited.iter().zip(LIMITED);
        let limited =
            limited.flat_map(|(curves, (name, ..))| curves.iter().map(move |c| (name, c)));
        let prepared = measured.prepared.iter().map(|curve| ("prepared", curve));
        for (kind, (name, cosines)) in limited.chain(prepared) {
            let kind = kind.replace([' ', ','], "_");
            let name = name.replace(['{', '}', '^'], "").replace([' ', ','], "_");
            for (perturbation, cosine) in config.perturbations.iter().zip(cosines) {
                let key = format!("{kind}.{name}.p{perturbation:03}");
                // Matrix products: last bits differ between CPU classes.
                numbers.insert(key, cosine.clone().drift_tol(1e-3));
            }
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        let [train, test] = &measured.grids[..] else { return Vec::new() };
        vec![
            limited_neurons(config, measured).into(),
            grid_figure(config, "A-x61", "A training image at learned keys", train).into(),
            grid_figure(config, "A-x62", "A test image asked of the training images", test).into(),
            preparations(config, measured).into(),
        ]
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let place = config.perturbations.iter().position(|p| *p == 100).unwrap_or(0);
        let mut claims = Vec::new();
        for (curves, (name, ..)) in measured.limited.iter().zip(LIMITED) {
            let at = |of: &str| curves.iter().find(|(r, _)| r == of).map(|(_, c)| &c[place]);
            let (Some(none), Some(all)) = (at("10^{6}"), at("∞")) else { continue };
            let id = format!("a15.limit_{}", if name == LIMITED[0].0 { "caps" } else { "circles" });
            let text =
                format!("{name}, d = {}, P = 100: 10⁶ neurons recall less than ∞", config.radius);
            claims.push(Claim::about(&id, "authors' code, r too small for d", &text).exceeds(
                "the memory of 10⁶ neurons",
                none.value,
                all,
            ));
        }
        claims
    }
}

fn main() -> ExitCode {
    experiment::main::<ProjectionExamples>()
}

/// What legends call it, with limited neurons and without a limit.
const LIMITED: [(&str, Algorithm, Algorithm); 2] = [
    ("SDM", Algorithm::ContinuousLimit, Algorithm::ContinuousSdm),
    ("SDM, cosines as distances", Algorithm::BinaryLimit, Algorithm::ContinuousCircles),
];

fn neurons(r: Option<f64>) -> String {
    r.map_or("∞".to_owned(), |r| format!("10^{{{}}}", (10.0 * libm::log10(r)).round() / 10.0))
}

fn separation(config: &Config, of: Algorithm, n_neurons: f64) -> Result<Box<dyn Separation>> {
    let (radius, published_caps) = (config.radius, config.published_caps);
    let setting = Setting { n: N, radius, n_neurons, published_caps };
    of.separation(&setting)?.context("an algorithm of vectors")
}

fn queries(images: &Matrix, n: usize, seed: Seed, purpose: &str) -> Matrix {
    let mut rng = seed.stream(ProjectionExamples::ID, &format!("{purpose} queries"));
    part_of(images, n, 0, &mut rng)
}

/// Mean cosines by perturbation, with their 95 % bootstrap intervals over queries.
fn ask(
    config: &Config,
    stored: &Matrix,
    targets: Matrix,
    keys: &Matrix,
    separation: Box<dyn Separation>,
    seed: Seed,
) -> Result<Vec<Number>> {
    let draws = Draws { seed, id: ProjectionExamples::ID, purpose: "reads" };
    let (perturbations, max_reads) = (&config.perturbations[..], config.max_reads);
    let test = RecallTest { stored, targets, perturbations, max_reads, draws };
    let ends = test.recall(keys, &[separation])?.pop().unwrap_or_default();
    let mut rng = seed.stream(ProjectionExamples::ID, "bootstrap");
    let number = |values: Vec<f64>| {
        let (mean, ci) = bootstrap_mean(&values, config.n_resamples, &mut rng)?;
        Ok(Number::estimate(mean, [ci.low, ci.high]).n(values.len() as u64))
    };
    ends.into_iter().map(number).collect()
}

fn prepare(images: &Matrix, place: usize) -> Matrix {
    let mut prepared = images.clone();
    if place == 1 {
        prepared.normalize_rows();
    }
    if place == 2 {
        let mut mean = vec![0.0_f64; images.n_columns()];
        for row in images.rows() {
            mean.iter_mut().zip(row).for_each(|(sum, pixel)| *sum += f64::from(*pixel));
        }
        for row in 0..images.n_rows() {
            for (pixel, sum) in prepared.row_mut(row).iter_mut().zip(&mean) {
                #[expect(clippy::cast_possible_truncation, reason = "pixels in 32 bits")]
                let mean = (sum / images.n_rows() as f64) as f32;
                *pixel -= mean;
            }
        }
    }
    prepared
}

/// Dark ink on white, cut off at both ends of the scale.
fn gray(image: &[f32]) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a gray level")]
    let level = |pixel: &f32| (255.0 - 255.0 * pixel.clamp(0.0, 1.0)).round() as u8;
    image.iter().map(level).collect()
}

fn grid(
    config: &Config,
    memory: &ProjectedMemory,
    target: &Matrix,
    seed: Seed,
) -> Result<Vec<Vec<Vec<u8>>>> {
    let mut rng = seed.stream(ProjectionExamples::ID, "perturbations of one image");
    let length = target.row(0).iter().map(|x| x * x).sum::<f32>().sqrt();
    let n = SET.n_pixels();
    let mut queries = Matrix::zeros(config.perturbations.len(), n);
    for (row, perturbation) in config.perturbations.iter().enumerate() {
        let cosine = geometry::cosine_from_hamming(n, *perturbation as f64);
        let query = perturb::rotate(target, cosine, &mut rng);
        // As bright as the image.
        let pixels = queries.row_mut(row).iter_mut().zip(query.row(0));
        pixels.for_each(|(to, from)| *to = length * from);
    }
    let mut rows = vec![queries.rows().map(gray).collect()];
    for algorithm in PAPER_ALGORITHMS {
        let separation = separation(config, algorithm, f64::INFINITY)?;
        let draws = Draws { seed, id: ProjectionExamples::ID, purpose: "one image" };
        let read = memory.recall(&queries, &separation, config.max_reads, draws)?.images;
        rows.push(read.rows().map(gray).collect());
    }
    Ok(rows)
}

fn grid_figure(config: &Config, id: &str, title: &str, grid: &[Vec<Vec<u8>>]) -> Figure {
    let columns: Vec<String> = config.perturbations.iter().map(ToString::to_string).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let rows = ["attention, caps", "attention, circles", "SDM, distances", "SDM", "query"];
    let x = Axis::categories("perturbation P (bits)", &columns);
    let mut panel = Panel::new(x, Axis::categories("", &rows));
    for (row, images) in grid.iter().enumerate() {
        for (column, pixels) in images.iter().enumerate() {
            let place = (rows.len() - 1 - row) as f64;
            let image = Mark::image(column as f64, place, 28, pixels);
            panel =
                panel.mark(image.series(&format!("{}, P = {}", rows[4 - row], columns[column])));
        }
    }
    Figure::new(id, &format!("{title}, d = {}", config.radius))
        .caption(&format!(
            "An image of MNIST, perturbed (top), and what each algorithm reads after at most {} reads; attention \
             with the β of the caps and of the circles. Brightness is cut off at 0 and 1. Image: MNIST, Y. LeCun \
             and C. Cortes, CC BY-SA 3.0.",
            config.max_reads
        ))
        .width(Width::Page)
        .panel_height_mm(104.0)
        .panel(panel)
}

fn limited_neurons(config: &Config, measured: &Measured) -> Figure {
    let x: Vec<f64> = config.perturbations.iter().map(|p| *p as f64).collect();
    let query: Vec<f64> = x.iter().map(|p| 1.0 - 2.0 * p / SET.n_pixels() as f64).collect();
    let title = format!("MNIST: finitely many neurons at learned keys, d = {}", config.radius);
    let mut figure = Figure::new("A-x60", &title)
        .caption(&format!(
            "Test images asked of the memory of the training images, with r neurons that are drawn anew at each of \
             at most {} reads. Dotted: the perturbed image, where a query stays that reaches no neuron. Intervals: \
             95 % over queries; points are moved apart sideways.",
            config.max_reads
        ))
        .width(Width::Page)
        .columns(2)
        .share_x()
        .share_y();
    for (curves, (name, ..)) in measured.limited.iter().zip(LIMITED) {
        let mut panel = Panel::new(
            Axis::linear("perturbation P (bits)"),
            Axis::linear("cosine with the image").range(0.0, 1.04),
        )
        .title(name)
        .legend()
        .mark(Mark::line(&x, &query).color(Color::Gray).dotted().label("query"));
        for (place, (r, cosines)) in curves.iter().enumerate() {
            let color = Color::sequential(place, curves.len());
            let values = |end: fn(&Number) -> f64| cosines.iter().map(end).collect::<Vec<_>>();
            let y = values(|number| number.value);
            let low = values(|number| number.ci_low.unwrap_or(number.value));
            let high = values(|number| number.ci_high.unwrap_or(number.value));
            let x: Vec<f64> = x.iter().map(|x| x + 2.5 * (place as f64 - 2.5)).collect();
            let bars = Mark::error_bars(&x, &y, &low, &high).color(color);
            panel = panel
                .mark(Mark::line(&x, &y).color(color).series(&format!("r = {r}, line")))
                .mark(bars.label(&format!("r = {r}")));
        }
        figure = figure.panel(panel);
    }
    figure
}

fn preparations(config: &Config, measured: &Measured) -> Table {
    let title = "How images are prepared: attention, β of circles, training images of MNIST";
    let title = format!("{title}, d = {}", config.radius);
    let mut table = Table::new("A-y32", &title).column("P", "bits").column("published", "");
    for (name, _) in &measured.prepared {
        table = table.column(name, "").column("± 95 %", "");
    }
    let published = PUBLISHED_RECALL.iter().find(|(radius, _)| *radius == config.radius);
    for (place, perturbation) in config.perturbations.iter().enumerate() {
        let mean = published.and_then(|(_, means)| means[2].get(place));
        let mean = mean.map_or(Cell::Missing, |mean| Cell::number(*mean, 4));
        let mut row = vec![Cell::number(*perturbation as f64, 0), mean];
        for (_, cosines) in &measured.prepared {
            let half = cosines[place].ci().map_or(0.0, |[low, high]| (high - low) / 2.0);
            row.extend([Cell::number(cosines[place].value, 4), Cell::number(half, 4)]);
        }
        table = table.row(row);
    }
    table
}
