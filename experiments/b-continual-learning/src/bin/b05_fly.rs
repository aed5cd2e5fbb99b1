//! Paper B: the FlyModel on four data sets.
//!
//! Kenyon cells that each sum a few inputs at random, a hundredth of which stay active, and weights from cells to
//! classes that grow once with each sample. Nothing that a class learns touches another's weights, so that it makes no
//! difference whether classes come one after the other: there are no tasks here.
//!
//! *Expected:* the means of the authors' sweeps. *Visible:* dots on circles, above chance and below a linear read-out
//! of the same inputs. *Run:* `just run b05`; three minutes.
//! *Data:* `just data mnist fashion-mnist cifar10-convmixer cifar100-convmixer`.
//!
//! *Departures:* other random projections than the authors', of the same law; the inputs of a cell are not stated for
//! CIFAR-100 and are 32 here. The rates and numbers of inputs were chosen on the test set, by the authors.

use std::process::ExitCode;

use anyhow::Result;
use continual::{Benchmark, FlyConfig, FlyModel};
use experiment::figures::{Axis, Cell, Color, Figure, Mark, Marker, Panel, Table, Width};
use experiment::{
    Claim, Context, Cost, Drawing, Experiment, Input, Number, Numbers, Tier, Tolerance,
};
use rayon::prelude::*;
use seed::Seed;
use serde::{Deserialize, Serialize};
use stats::bootstrap_mean;

/// A cell of the authors' sweep: data, cells, rate, inputs of a cell, mean accuracy.
const PUBLISHED: [(Benchmark, usize, f32, usize, f64); 10] = [
    (Benchmark::Cifar10, 1000, 0.005, 32, 0.7042),
    (Benchmark::Cifar10, 10_000, 0.005, 64, 0.8224),
    (Benchmark::Cifar10, 10_000, 0.01, 32, 0.8193),
    (Benchmark::Cifar100, 1000, 0.01, 32, 0.3617),
    (Benchmark::Cifar100, 10_000, 0.2, 32, 0.5786),
    (Benchmark::Mnist, 1000, 0.005, 64, 0.7697),
    (Benchmark::Mnist, 10_000, 0.01, 32, 0.9058),
    (Benchmark::FashionMnist, 1000, 0.005, 64, 0.6569),
    (Benchmark::FashionMnist, 1000, 0.01, 32, 0.5544),
    (Benchmark::FashionMnist, 10_000, 0.005, 64, 0.7586),
];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The largest number of cells; larger ones of the sweep are left out.
    most_cells: usize,
    /// Training samples of each class; none: all.
    per_class: Option<usize>,
    /// Draws of the projection, for up to 1,000 cells and for more.
    n_draws: (usize, usize),
    /// Resamples of the bootstrap.
    n_resamples: usize,
    /// One for all draws.
    seeds: Vec<u64>,
}

/// One cell of the sweep: its place in it, and the accuracy of each draw.
struct Reached {
    place: usize,
    accuracies: Vec<f64>,
}

struct Measured {
    reached: Vec<Reached>,
}

fn name(place: usize) -> String {
    let (data, n_cells, rate, n_responses, _) = PUBLISHED[place];
    format!("{}.cells_{n_cells}.rate_{rate}.inputs_{n_responses}", data.name())
}

fn label(place: usize) -> String {
    let (data, n_cells, rate, n_responses, _) = PUBLISHED[place];
    format!(
        "{}, {n_cells} cells, {n_responses} inputs, rate {rate}",
        data.label().replace(" embeddings", "")
    )
}

fn summary(config: &Config, reached: &Reached) -> Option<Number> {
    let mut rng =
        Seed::new(config.seeds[0]).stream(Fly::ID, &format!("bootstrap, {}", name(reached.place)));
    let (mean, ci) = bootstrap_mean(&reached.accuracies, config.n_resamples, &mut rng).ok()?;
    Some(Number::estimate(mean, [ci.low, ci.high]).n(reached.accuracies.len() as u64))
}

struct Fly;

impl Experiment for Fly {
    const ID: &'static str = "b05_fly";
    const TITLE: &'static str = "The FlyModel on four data sets";
    const OUTPUTS: &'static [&'static str] = &["B-x08", "B-x09"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let (most_cells, per_class, n_draws) = match tier {
            Tier::Smoke => (1000, Some(20), (2, 0)),
            Tier::Laptop => (10_000, None, (5, 2)),
            Tier::Paper => (10_000, None, (5, 5)),
        };
        let n_resamples = if tier == Tier::Smoke { 200 } else { 2000 };
        Config { most_cells, per_class, n_draws, n_resamples, seeds: vec![0] }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn inputs(_: &Config) -> Vec<Input> {
        let sets =
            [Benchmark::Mnist, Benchmark::FashionMnist, Benchmark::Cifar10, Benchmark::Cifar100];
        Input::each(sets.into_iter().flat_map(Benchmark::files), Self::OUTPUTS)
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.1, memory_mb: 1200, disk_mb: 1 },
            Tier::Laptop => Cost { minutes: 1.5, memory_mb: 1500, disk_mb: 1 },
            Tier::Paper => Cost { minutes: 12.0, memory_mb: 1500, disk_mb: 1 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let mut reached = Vec::new();
        let places: Vec<usize> =
            (0..PUBLISHED.len()).filter(|at| PUBLISHED[*at].1 <= config.most_cells).collect();
        for place in &places {
            let (data, n_cells, learning_rate, n_responses, _) = PUBLISHED[*place];
            let Some([train, test]) = data.read(|file| context.read(file))? else {
                return Ok(Measured { reached: Vec::new() });
            };
            let accuracies = context.part(&name(*place), || {
                let seed = Seed::new(config.seeds[0]);
                let mut rng = seed.stream(Self::ID, data.name());
                let train = match config.per_class {
                    Some(per_class) => train.draw(per_class, &mut rng).0,
                    None => train,
                };
                let (n_inputs, n_classes) = (data.n_inputs(), data.n_classes());
                let fly = FlyConfig {
                    n_inputs,
                    n_cells,
                    n_responses,
                    n_classes,
                    active: 0.01,
                    learning_rate,
                };
                let n_draws = if n_cells > 1000 { config.n_draws.1 } else { config.n_draws.0 };
                let accuracies = (0..n_draws).into_par_iter().map(|draw| {
                    let mut rng = seed.stream(Self::ID, &format!("{}, draw {draw}", name(*place)));
                    let mut fly = FlyModel::new(fly, &mut rng)?;
                    fly.learn(&train)?;
                    Ok(fly.accuracy(&test)?)
                });
                accuracies.collect::<Result<Vec<f64>>>()
            })?;
            context.step(places.len());
            reached.push(Reached { place: *place, accuracies });
        }
        Ok(Measured { reached })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let each = measured.reached.iter().filter_map(|reached| {
            // Equal sums of a cell may be broken otherwise by another CPU class.
            Some((name(reached.place), summary(config, reached)?.drift_tol(2e-3)))
        });
        each.collect()
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        if measured.reached.is_empty() {
            return Vec::new();
        }
        vec![figure(config, measured).into(), table(config, measured).into()]
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let claims = measured.reached.iter().filter_map(|reached| {
            let (data, _, _, _, published) = PUBLISHED[reached.place];
            let chance = 1.0 / data.n_classes() as f64;
            let id = format!("b05.{}", name(reached.place).replace('.', "_"));
            let claim = Claim::about(&id, "the authors' sweep", &label(reached.place))
                .equals(published, Tolerance::Absolute(0.015), &summary(config, reached)?)
                .null("chance", chance);
            let claim = match data {
                Benchmark::Cifar100 => {
                    claim.note("the authors' number of inputs of a cell is not known")
                }
                _ => claim,
            };
            Some(claim.when(config.per_class.is_none(), "fewer samples"))
        });
        claims.collect()
    }
}

fn main() -> ExitCode {
    experiment::main::<Fly>()
}

fn figure(config: &Config, measured: &Measured) -> Figure {
    let labels: Vec<String> = measured.reached.iter().map(|reached| label(reached.place)).collect();
    let names: Vec<&str> = labels.iter().map(String::as_str).collect();
    let mut panel =
        Panel::new(Axis::linear("accuracy").range(0.0, 1.0), Axis::categories("", &names)).legend();
    let rows: Vec<f64> = (0..labels.len()).map(|at| at as f64).collect();
    let published: Vec<f64> =
        measured.reached.iter().map(|reached| PUBLISHED[reached.place].4).collect();
    let chance: Vec<f64> = measured
        .reached
        .iter()
        .map(|reached| 1.0 / PUBLISHED[reached.place].0.n_classes() as f64)
        .collect();
    let own = measured
        .reached
        .iter()
        .map(|reached| summary(config, reached).map_or(0.0, |number| number.value));
    panel = panel
        .mark(
            Mark::points(&published, &rows)
                .color(Color::Amber)
                .marker(Marker::Square)
                .label("authors' sweep"),
        )
        .mark(Mark::points(&own.collect::<Vec<_>>(), &rows).color(Color::Blue).label("this run"))
        .mark(Mark::points(&chance, &rows).color(Color::Gray).label("chance"));
    Figure::new("B-x08", "The FlyModel: the authors' sweep and this run")
        .caption(
            "Accuracy on all classes after one pass over the training samples. Points are means over draws of the \
             projection, whose spread is smaller than they are (intervals in the table).",
        )
        .width(Width::Page)
        .panel_height_mm(64.0)
        .panel(panel)
}

fn table(config: &Config, measured: &Measured) -> Table {
    let mut table = Table::new("B-x09", "The FlyModel: the authors' sweep and this run")
        .column("data", "")
        .column("cells", "")
        .column("inputs of a cell", "")
        .column("rate", "")
        .column("authors' mean", "")
        .column("this run", "")
        .column("95 % interval", "over draws");
    for reached in &measured.reached {
        let (data, n_cells, rate, n_responses, published) = PUBLISHED[reached.place];
        let Some(number) = summary(config, reached) else { continue };
        let [low, high] = number.ci().unwrap_or([number.value; 2]);
        table = table.row(vec![
            Cell::text(data.label()),
            Cell::number(n_cells as f64, 0),
            Cell::number(n_responses as f64, 0),
            Cell::text(&rate.to_string()),
            Cell::number(published, 4),
            Cell::number(number.value, 4),
            Cell::text(&format!("{low:.4} to {high:.4}")),
        ]);
    }
    table
}
