//! Paper A: learning the keys of images.
//!
//! The paper trains the projection W of the keys W·x by the error with which attention over all training images
//! reads a perturbed image back, once, at the β that fits a radius. Here W is trained as there, on fewer images,
//! and asked beside the authors' own W and random keys, of memories of the same size: once of the training
//! images, once of test images stored at keys that were learned without them.
//!
//! *Expected:* no published number (the authors print losses as pictures). *Visible:* losses that fall; learned
//! keys above random ones, on held-out images as on those of training, and the authors' keys above these.
//! *Run:* `just fig A-x63`; two minutes. A killed run goes on after the trainings that it had finished.
//! *Data:* `just data mnist cifar10-subset attention-sdm`.
//!
//! *Departures:* 2,048 images in the place of 60,000 (gray CIFAR: 50,000), so 160 steps of Adam in the place of
//! 4,690; the paper tier trains on all of MNIST and on the 8,000 CIFAR images that are here. Attention with the β
//! of the circles recalls; the other algorithms are in a12.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use experiment::figures::{Axis, Color, Figure, Mark, Panel, Width};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Input, Number, Numbers, Tier};
use kernels::Matrix;
use manifest::decode::{gray_images, pytorch};
use rayon::prelude::*;
use sdm::projection::{
    ImageSet, RecallTest, Trainer, TrainingPlan, brightness, part_of, random_projection,
};
use sdm::{Algorithm, Draws, Setting, fitted_beta};
use seed::Seed;
use serde::{Deserialize, Serialize};
use stats::bootstrap_mean;

/// Dimensions of a key.
const N: usize = 64;
/// The figures of each set: losses, training images, held-out images.
const SETS: [(ImageSet, &str, [&str; 3]); 2] = [
    (ImageSet::Mnist, "MNIST", ["A-x63", "A-x64", "A-y33"]),
    (ImageSet::GrayCifar, "Gray CIFAR", ["A-x65", "A-x66", "A-y34"]),
];
/// The keys that are asked: name, label, and color.
const KEYS: [(&str, &str, Color); 3] = [
    ("learned", "learned here", Color::Blue),
    ("published", "learned by the authors", Color::Amber),
    ("random", "random keys", Color::Vermilion),
];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Radii d whose β is trained with.
    radii: Vec<usize>,
    /// The most images that are trained on and stored; none: all.
    n_stored: Option<usize>,
    /// Adam's learning rate.
    learning_rate: f64,
    /// Passes over the images.
    n_epochs: usize,
    /// Images of a step.
    batch: usize,
    /// Perturbations of training are uniform between these, in bits.
    training_perturbation: (f64, f64),
    /// Perturbations P of the queries, in bits; an image is turned to the cosine 1 − 2P/n of its n pixels.
    perturbations: Vec<usize>,
    /// Queries of each projection.
    n_queries: usize,
    /// The most reads of a query.
    max_reads: usize,
    /// Resamples of the bootstrap.
    n_resamples: usize,
    /// One for each training; the authors' three starts go with them.
    seeds: Vec<u64>,
}

/// Mean cosines by perturbation.
struct Curve {
    set: ImageSet,
    held_out: bool,
    radius: usize,
    what: &'static str,
    cosines: Vec<Number>,
}

#[derive(Default)]
struct Measured {
    /// Mean loss of each epoch, by set, radius and seed.
    losses: Vec<(ImageSet, usize, Vec<f64>)>,
    curves: Vec<Curve>,
}

impl Measured {
    fn find(&self, set: ImageSet, held_out: bool, radius: usize, what: &str) -> Option<&Curve> {
        let key = (set, held_out, radius, what);
        self.curves.iter().find(|c| (c.set, c.held_out, c.radius, c.what) == key)
    }
}

struct TrainProjections;

impl Experiment for TrainProjections {
    const ID: &'static str = "a13_train_projections";
    const TITLE: &'static str = "Learning the keys of images";
    const OUTPUTS: &'static [&'static str] =
        &["A-x63", "A-x64", "A-x65", "A-x66", "A-y33", "A-y34"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let smoke = tier == Tier::Smoke;
        Config {
            // Authors' notebook, as those below.
            radii: if smoke { vec![11] } else { vec![5, 9, 11, 15] },
            n_stored: match tier {
                Tier::Smoke => Some(256),
                Tier::Laptop => Some(2048),
                Tier::Paper => None,
            },
            learning_rate: 0.005,
            n_epochs: if smoke { 2 } else { 10 },
            batch: 128,
            training_perturbation: (10.0, 100.0),
            perturbations: (0..7).map(|step| 50 * step).collect(),
            n_queries: match tier {
                Tier::Smoke => 8,
                Tier::Laptop => 128,
                Tier::Paper => 1000,
            },
            max_reads: 10,
            n_resamples: if smoke { 200 } else { 1000 },
            seeds: if smoke { vec![0] } else { vec![0, 1, 2] },
        }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn inputs(config: &Config) -> Vec<Input> {
        let mut inputs = Vec::new();
        for (set, _, outputs) in SETS {
            let published = config.radii.iter().flat_map(|radius| {
                (0..config.seeds.len() as u64).map(|at| set.published_projection(*radius, at))
            });
            let names = set.files().map(str::to_owned).into_iter().chain(published);
            inputs.extend(Input::each(names, &outputs));
        }
        inputs
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.1, memory_mb: 400, disk_mb: 3 },
            Tier::Laptop => Cost { minutes: 2.0, memory_mb: 500, disk_mb: 5 },
            Tier::Paper => Cost { minutes: 2400.0, memory_mb: 3000, disk_mb: 5 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let mut measured = Measured::default();
        for (set, ..) in SETS {
            let Some([train, test]) = images(config, context, set)? else { continue };
            let mut units = Vec::new();
            for radius in &config.radii {
                for (at, seed) in config.seeds.iter().enumerate() {
                    let file = set.published_projection(*radius, at as u64);
                    let Some(bytes) = context.read(&file)? else { continue };
                    let w = pytorch::decode_matrix(&file, &bytes)?;
                    let published = Matrix::from_rows(w.shape[0], w.shape[1], w.data)?;
                    units.push(Unit {
                        set,
                        radius: *radius,
                        at,
                        seed: Seed::new(*seed),
                        published,
                    });
                }
            }
            if units.len() < config.radii.len() * config.seeds.len() {
                continue;
            }
            let asked = units.par_iter().map(|unit| {
                let name = format!("{}, d = {}, {}", set.name(), unit.radius, unit.at);
                let asked = context.part(&name, || unit.run(config, &train, &test));
                context.step(SETS.len() * units.len());
                asked
            });
            let asked: Vec<Asked> = asked.collect::<Result<_>>()?;
            for (asked, radius) in asked.chunks(config.seeds.len()).zip(&config.radii) {
                let losses = asked.iter().map(|asked| (set, *radius, asked.losses.clone()));
                measured.losses.extend(losses);
                measured.curves.extend(curves(config, set, *radius, asked)?);
            }
        }
        Ok(measured)
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for (place, (set, radius, losses)) in measured.losses.iter().enumerate() {
            let seed = config.seeds[place % config.seeds.len()];
            let last = losses.last().copied().unwrap_or(0.0);
            // Training: last bits differ between CPU classes and grow.
            let key = format!("{}.d{radius:02}.seed{seed}.last_loss", set.name());
            numbers.insert(key, Number::exact(last).drift_tol(0.05 * last));
        }
        for Curve { set, held_out, radius, what, cosines } in &measured.curves {
            let asked = if *held_out { "held_out" } else { "train" };
            let what = what.replace(' ', "_");
            for (perturbation, cosine) in config.perturbations.iter().zip(cosines) {
                let key = format!("{}.{asked}.d{radius:02}.{what}.p{perturbation:03}", set.name());
                numbers.insert(key, cosine.clone().drift_tol(2e-3));
            }
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        let mut drawings: Vec<Drawing> = Vec::new();
        for (set, name, [losses, train, held_out]) in SETS {
            if measured.curves.iter().any(|curve| curve.set == set) {
                drawings.push(loss_figure(config, measured, losses, (set, name)).into());
                drawings.push(recall(config, measured, train, (set, name), false).into());
                drawings.push(recall(config, measured, held_out, (set, name), true).into());
            }
        }
        drawings
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let mut claims = Vec::new();
        let place = config.perturbations.iter().position(|p| *p == 100).unwrap_or(0);
        for (set, name, _) in SETS {
            for (held_out, asked) in [(false, "training"), (true, "held-out")] {
                let at = |what| measured.find(set, held_out, 11, what).map(|c| &c.cosines[place]);
                let nulls = ["random", "mean image"].map(at);
                let null = nulls.into_iter().flatten().map(|number| number.value);
                let (Some(learned), Some(null)) = (at("learned"), null.reduce(f64::max)) else {
                    continue;
                };
                let id = format!("a13.{}_{}", set.name(), asked.replace('-', "_"));
                let text =
                    format!("{name}: keys learned here recall {asked} images, d = 11, P = 100");
                claims.push(
                    Claim::about(&id, "this project, after the authors' training", &text).exceeds(
                        "the better of random keys and the mean image",
                        null,
                        learned,
                    ),
                );
            }
        }
        claims
    }
}

fn main() -> ExitCode {
    experiment::main::<TrainProjections>()
}

/// Training and test images that are stored; none where a file is missing.
fn images(config: &Config, context: &Context, set: ImageSet) -> Result<Option<[Matrix; 2]>> {
    let mut read = Vec::new();
    for file in set.files() {
        let Some(bytes) = context.read(file)? else { return Ok(None) };
        let images = brightness(set.n_pixels(), &gray_images(file, &bytes)?.data)?;
        let seed = Seed::new(*config.seeds.first().context("a seed is needed")?);
        let mut rng = seed.stream(TrainProjections::ID, &format!("images of {file}"));
        let n_stored = config.n_stored.unwrap_or(images.n_rows());
        read.push(part_of(&images, n_stored, 0, &mut rng));
    }
    Ok(<[Matrix; 2]>::try_from(read).ok())
}

/// One training, and the start of the authors that goes with it.
struct Unit {
    set: ImageSet,
    radius: usize,
    at: usize,
    seed: Seed,
    published: Matrix,
}

/// Losses by epoch, and the cosines of each kind of key by perturbation and query: training images, held-out
/// images.
#[derive(Serialize, Deserialize)]
struct Asked {
    losses: Vec<f64>,
    cosines: [BTreeMap<String, Vec<Vec<f64>>>; 2],
}

impl Unit {
    fn run(&self, config: &Config, train: &Matrix, test: &Matrix) -> Result<Asked> {
        let id = TrainProjections::ID;
        let about = format!("{}, d = {}", self.set.name(), self.radius);
        let plan = TrainingPlan {
            n_key: N,
            beta: fitted_beta(N, self.radius, false)?,
            learning_rate: config.learning_rate,
            n_epochs: config.n_epochs,
            batch: config.batch,
            perturbation: config.training_perturbation,
        };
        let start = format!("start, {about}");
        let trainer = Trainer::new(train, plan, self.seed, id, &start);
        let (learned, losses) = trainer.run(self.seed, id, &about)?;
        let random = random_projection(N, self.set.n_pixels(), self.seed, id, &start);
        let setting =
            Setting { n: N, radius: self.radius, n_neurons: f64::INFINITY, published_caps: false };
        let attention = Algorithm::ContinuousSoftmax.separation(&setting)?;
        let attention = [attention.context("an algorithm of vectors")?];
        let mut cosines = [BTreeMap::new(), BTreeMap::new()];
        for (stored, cosines) in [train, test].into_iter().zip(&mut cosines) {
            let mut rng = self.seed.stream(id, &format!("queries, {}", self.set.name()));
            let test = RecallTest {
                stored,
                targets: part_of(stored, config.n_queries, self.at, &mut rng),
                perturbations: &config.perturbations,
                max_reads: config.max_reads,
                draws: Draws { seed: self.seed, id, purpose: self.set.name() },
            };
            for (keys, name) in
                [(&learned, "learned"), (&self.published, "published"), (&random, "random")]
            {
                cosines.extend(
                    test.recall(keys, &attention)?.pop().map(|ends| (name.to_owned(), ends)),
                );
            }
            let mean = vec![test.mean_image()?; config.perturbations.len()];
            cosines.insert("mean image".to_owned(), mean);
        }
        Ok(Asked { losses, cosines })
    }
}

/// The curves of one set and radius, over all trainings.
fn curves(config: &Config, set: ImageSet, radius: usize, asked: &[Asked]) -> Result<Vec<Curve>> {
    let seed = Seed::new(*config.seeds.first().context("a seed is needed")?);
    let mut curves = Vec::new();
    for (place, held_out) in [false, true].into_iter().enumerate() {
        for what in ["learned", "published", "random", "mean image"] {
            let purpose = format!("bootstrap, {}, {radius}, {what}, {held_out}", set.name());
            let mut rng = seed.stream(TrainProjections::ID, &purpose);
            let cosines = (0..config.perturbations.len()).map(|at| {
                let pool: Vec<f64> =
                    asked.iter().flat_map(|asked| asked.cosines[place][what][at].clone()).collect();
                let (mean, ci) = bootstrap_mean(&pool, config.n_resamples, &mut rng)?;
                Ok(Number::estimate(mean, [ci.low, ci.high]).n(pool.len() as u64))
            });
            let cosines = cosines.collect::<Result<_>>()?;
            curves.push(Curve { set, held_out, radius, what, cosines });
        }
    }
    Ok(curves)
}

fn loss_figure(
    config: &Config,
    measured: &Measured,
    id: &str,
    (set, name): (ImageSet, &str),
) -> Figure {
    let mut panel = Panel::new(
        Axis::linear("epoch").ticks(vec![1.0, 4.0, 7.0, 10.0]),
        Axis::log10("squared error of an image"),
    );
    for (place, radius) in config.radii.iter().enumerate() {
        let color = Color::sequential(place, config.radii.len());
        let of = measured.losses.iter().filter(|(s, d, _)| (s, d) == (&set, radius));
        for (at, (.., losses)) in of.enumerate() {
            let epochs: Vec<f64> = (1..=losses.len()).map(|epoch| epoch as f64).collect();
            let line = Mark::line(&epochs, losses).color(color);
            let label = format!("d = {radius}");
            panel = panel.mark(match at {
                0 => line.label(&label),
                _ => line.series(&format!("{label}, {at}")),
            });
        }
    }
    Figure::new(id, &format!("{name}: learning keys"))
        .caption(
            "Mean loss of each epoch: the squared error with which a perturbed image is read back, summed over its \
             pixels, of brightness 0 to 1. Three trainings for each radius d whose β attention has.",
        )
        .panel(panel)
}

fn recall(
    config: &Config,
    measured: &Measured,
    id: &str,
    (set, name): (ImageSet, &str),
    held_out: bool,
) -> Figure {
    let n = set.n_pixels() as f64;
    let x: Vec<f64> = config.perturbations.iter().map(|p| *p as f64).collect();
    let query: Vec<f64> = x.iter().map(|p| 1.0 - 2.0 * p / n).collect();
    let (title, asked) = if held_out {
        ("held-out images", "Test images, stored at keys that were learned without them. ")
    } else {
        ("training images", "Images that the keys were learned on, and stored. ")
    };
    let stored = config.n_stored.map_or("all".to_owned(), |n| n.to_string());
    let caption = format!(
        "{asked}Mean cosine with the image after at most {} reads by attention, of a memory of {stored} images, by \
         the radius d that gives β. The authors' keys were learned on all training images. Dotted: the perturbed \
         image; dashed: the mean of the stored images. Intervals: 95 % over the queries of all trainings, other \
         queries for each; points are moved apart sideways.",
        config.max_reads
    );
    let mut figure = Figure::new(id, &format!("{name}: {title} at keys learned here"))
        .caption(&caption)
        .width(Width::Page)
        .panel_height_mm(38.0)
        .columns(config.radii.len())
        .share_x()
        .share_y();
    // Gray CIFAR images have much in common.
    let bottom = if set == ImageSet::Mnist { 0.2 } else { 0.4 };
    for radius in &config.radii {
        let mut panel = Panel::new(
            Axis::linear("perturbation P (bits)").ticks(vec![0.0, 100.0, 200.0, 300.0]),
            Axis::linear("cosine with the image").range(bottom, 1.02),
        )
        .title(&format!("d = {radius}"))
        .legend()
        .mark(Mark::line(&x, &query).color(Color::Gray).dotted().label("query"));
        if let Some(mean) = measured.find(set, held_out, *radius, "mean image") {
            let y: Vec<f64> = mean.cosines.iter().map(|number| number.value).collect();
            panel = panel.mark(Mark::line(&x, &y).color(Color::Gray).dashed().label("mean image"));
        }
        for (place, (what, label, color)) in KEYS.into_iter().enumerate() {
            let Some(curve) = measured.find(set, held_out, *radius, what) else { continue };
            let values =
                |end: fn(&Number) -> f64| curve.cosines.iter().map(end).collect::<Vec<_>>();
            let y = values(|number| number.value);
            let low = values(|number| number.ci_low.unwrap_or(number.value));
            let high = values(|number| number.ci_high.unwrap_or(number.value));
            let x: Vec<f64> = x.iter().map(|x| x + 4.0 * (place as f64 - 1.0)).collect();
            panel = panel
                .mark(Mark::line(&x, &y).color(color).series(&format!("{label}, line")))
                .mark(Mark::error_bars(&x, &y, &low, &high).color(color).label(label));
        }
        figure = figure.panel(panel);
    }
    figure
}
