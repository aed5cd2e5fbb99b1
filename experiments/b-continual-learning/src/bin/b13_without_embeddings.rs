//! Paper B: without the frozen network.
//!
//! The authors' main data are embeddings by a network that was trained on ImageNet32. They also learn from raw pixels,
//! and with a convolutional SDM layer; its numbers were not found. Here: pixels of CIFAR-10, pieces of the images,
//! features of pieces by k-means (after Coates and Ng), which need no labels and no pretraining; and the same on digits
//! drawn from typefaces, which need no data at all.
//!
//! *Expected:* the ranking of Fig. 3 wherever inputs tell classes apart. *Visible:* what is remembered, beside what
//! rectified neurons know of all classes at once. *Run:* `just run b13`; six minutes.
//! *Data:* `just data cifar10-subset`; drawn digits need none.
//!
//! *Departures:* 8,000 training images of CIFAR-10; no pretraining on pixels; fewer epochs than the authors' 2,000 (200
//! of the convolutional layer), fewer still for rectified neurons; the convolutional layer is defined here (pieces as
//! inputs, votes added up), since the paper's was not at hand; three orders of classes; strengths as published.

use std::process::ExitCode;

use anyhow::Result;
use continual::{Benchmark, Dataset, Draws, Form, PaperMethod, PatchFeaturesConfig, Setting};
use experiment::figures::{Axis, Color, Figure, Mark, Panel, Width};
use experiment::{
    Claim, Context, Cost, Drawing, Estimate, Experiment, Input, Number, Numbers, Tier, dot_plot,
};
use sdm::layer::Patches;
use seed::Seed;
use serde::{Deserialize, Serialize};

const CIFAR: Benchmark = Benchmark::Cifar10Pixels;
const DIGITS: Benchmark = Benchmark::Glyphs;

/// On what is claimed of inputs that are raw.
const FROM_PIXELS: &str = "from raw inputs the layer ends, after these epochs, below what knowing the last task alone \
    gives (0.2), near which rectified neurons stay; whether the authors' epochs would suffice was not tried, nor what \
    holds it back";

/// A setting with its name and its methods.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tried {
    name: String,
    label: String,
    setting: Setting,
    methods: Vec<PaperMethod>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    settings: Vec<Tried>,
    /// numpy seeds of the orders of classes; none: the natural order.
    orders: Vec<Option<u32>>,
    n_resamples: usize,
    /// One start for each order.
    seeds: Vec<u64>,
}

/// What became of a setting.
struct Outcome {
    /// By method, the final accuracy for each order.
    accuracies: Vec<(PaperMethod, Vec<f64>)>,
    /// Of rectified neurons that see all classes at once.
    joint: f64,
}

struct Measured {
    /// By setting; none where data are missing.
    outcomes: Vec<Option<Outcome>>,
    /// Some drawn digits of each class, `[class][example][pixel]`.
    examples: Vec<Vec<Vec<u8>>>,
}

impl Measured {
    fn estimate(&self, config: &Config, setting: usize, method: PaperMethod) -> Option<Estimate> {
        let outcome = self.outcomes[setting].as_ref()?;
        let (_, values) = outcome.accuracies.iter().find(|(other, _)| *other == method)?;
        let purpose = format!("bootstrap, {}, {}", config.settings[setting].name, method.name());
        let mut rng = Seed::new(config.seeds[0]).stream(WithoutEmbeddings::ID, &purpose);
        Estimate::of(values, config.n_resamples, &mut rng).ok()
    }
}

struct WithoutEmbeddings;

impl Experiment for WithoutEmbeddings {
    const ID: &'static str = "b13_without_embeddings";
    const TITLE: &'static str = "Without the frozen network";
    const OUTPUTS: &'static [&'static str] = &["B-x28", "B-y05", "B-y06"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        use PaperMethod::{Fly, Relu, Sdm, SdmEwc, TopK};
        let smoke = tier == Tier::Smoke;
        let epochs = |laptop: usize, paper: usize| match tier {
            Tier::Smoke => 1,
            Tier::Laptop => laptop,
            Tier::Paper => paper,
        };
        let tried = |name: &str, label: &str, data, form, n_neurons, epochs: usize| {
            let methods = match form {
                // The Fisher information of a sample is no product of sums over pieces.
                Form::Pieces(_) => vec![Sdm, Relu],
                Form::Plain => vec![SdmEwc, Sdm, Fly, Relu],
                Form::Features(_) => vec![SdmEwc, Sdm, Fly, TopK, Relu],
            };
            let setting = Setting {
                data,
                form,
                n_neurons: if smoke { 100 } else { n_neurons },
                classes_per_task: 2,
                epochs,
                epochs_dense: epochs.min(20),
                batch: 128,
                switch: 0.8,
                anneal: 0.2,
            };
            Tried { name: name.to_owned(), label: label.to_owned(), setting, methods }
        };
        let features = |side, channels| {
            Form::Features(PatchFeaturesConfig {
                patches: Patches { side, channels, size: 6, stride: if smoke { 4 } else { 1 } },
                // As many features as the embeddings have.
                n_centers: 64,
                n_samples: if smoke { 2000 } else { 50_000 },
                n_rounds: if smoke { 2 } else { 15 },
            })
        };
        let pieces = Patches { side: 32, channels: 3, size: 6, stride: if smoke { 13 } else { 4 } };
        let settings = vec![
            tried("cifar10_pixels", "pixels", CIFAR, Form::Plain, 1000, epochs(40, 2000)),
            tried("cifar10_pieces", "pieces", CIFAR, Form::Pieces(pieces), 400, epochs(40, 200)),
            tried("cifar10_features", "features", CIFAR, features(32, 3), 1000, epochs(200, 2000)),
            tried("digits_pixels", "pixels", DIGITS, Form::Plain, 1000, epochs(50, 500)),
            tried("digits_features", "features", DIGITS, features(28, 1), 1000, epochs(200, 2000)),
        ];
        let orders = match tier {
            Tier::Smoke => vec![None],
            Tier::Laptop => vec![None, Some(3), Some(15)],
            Tier::Paper => vec![None, Some(3), Some(15), Some(27), Some(97)],
        };
        let seeds = (0..orders.len() as u64).collect();
        Config { settings, orders, n_resamples: if smoke { 200 } else { 2000 }, seeds }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn inputs(_: &Config) -> Vec<Input> {
        Input::each(CIFAR.files(), &["B-x28"])
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.3, memory_mb: 900, disk_mb: 1 },
            Tier::Laptop => Cost { minutes: 6.5, memory_mb: 1500, disk_mb: 2 },
            Tier::Paper => Cost { minutes: 300.0, memory_mb: 2000, disk_mb: 2 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let mut outcomes = Vec::new();
        for tried in &config.settings {
            let data = tried.setting.data.read(|file| context.read(file))?;
            outcomes.push(data.map(|data| learned(config, tried, context, data)).transpose()?);
        }
        let [train, _] = DIGITS.decode(&[])?;
        Ok(Measured { outcomes, examples: examples(&train) })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for (at, tried) in config.settings.iter().enumerate() {
            for method in &tried.methods {
                if let Some(estimate) = measured.estimate(config, at, *method) {
                    let name = format!("{}.{}.accuracy", tried.name, method.name());
                    // Training: last bits differ between CPU classes and grow.
                    numbers.insert(name, estimate.mean.drift_tol(0.03));
                }
            }
            if let Some(outcome) = &measured.outcomes[at] {
                let joint = Number::exact(outcome.joint).drift_tol(0.03);
                numbers.insert(format!("{}.joint", tried.name), joint);
            }
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        let mut drawings = Vec::new();
        if measured.outcomes.iter().all(Option::is_some) {
            let figure = Figure::new("B-x28", "Split CIFAR-10 without the frozen network");
            drawings.push(finals(config, measured, CIFAR, figure).into());
        }
        let figure = Figure::new("B-y05", "Digits drawn from typefaces, two classes a task");
        drawings.push(finals(config, measured, DIGITS, figure).into());
        drawings.push(drawn_digits(measured).into());
        drawings
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        use PaperMethod::{Relu, Sdm, SdmEwc, TopK};
        let mut claims = Vec::new();
        for (at, tried) in config.settings.iter().enumerate() {
            for (better, worse) in [(SdmEwc, Sdm), (Sdm, TopK), (Sdm, Relu)] {
                let of = |method| measured.estimate(config, at, method);
                let (Some(one), Some(other)) = (of(better), of(worse)) else { continue };
                let id = format!("b13.{}_{}_{}", tried.name, better.name(), worse.name());
                let data = tried.setting.data.label();
                let text = format!(
                    "{data}, {}: {} remembers more than {}, as with embeddings",
                    tried.label,
                    better.label(),
                    worse.label()
                );
                let items = [(better.label(), one.mean), (worse.label(), other.mean)];
                let claim = Claim::about(&id, Claim::OURS, &text).ordered(&items);
                claims.push(match tried.setting.form {
                    Form::Features(_) => claim,
                    Form::Plain | Form::Pieces(_) => claim.note(FROM_PIXELS),
                });
            }
        }
        claims
    }
}

fn main() -> ExitCode {
    experiment::main::<WithoutEmbeddings>()
}

fn learned(
    config: &Config,
    tried: &Tried,
    context: &Context,
    data: [Dataset; 2],
) -> Result<Outcome> {
    let setting = tried.setting;
    let seed = Seed::new(config.seeds[0]);
    let mut rng = seed.stream(WithoutEmbeddings::ID, &format!("features, {}", tried.name));
    let [train, test] = setting.formed(data, &mut rng)?;
    let units: Vec<(PaperMethod, usize)> = (tried.methods.iter())
        .flat_map(|method| (0..config.orders.len()).map(move |order| (*method, order)))
        .collect();
    let name = |(method, order): &(PaperMethod, usize)| {
        format!("{}, {}, order {order}", tried.name, method.name())
    };
    let taught = |setting: Setting, method, order: usize, purpose: &str| {
        let seed = Seed::new(config.seeds[order]);
        let draws = Draws { seed, id: WithoutEmbeddings::ID, purpose };
        let student = setting.taught(method, config.orders[order], [&train, &test], draws)?;
        anyhow::Ok(student.accuracy(&test)?)
    };
    let accuracies: Vec<f64> = context.parts(&units, name, |unit| {
        let (method, order) = *unit;
        taught(setting, method, order, &name(unit))
    })?;
    let by_method = tried.methods.iter().zip(accuracies.chunks(config.orders.len()));
    let joint = format!("{}, joint", tried.name);
    let all = Setting { classes_per_task: setting.data.n_classes(), ..setting };
    Ok(Outcome {
        accuracies: by_method.map(|(method, all)| (*method, all.to_vec())).collect(),
        joint: context.part(&joint, || taught(all, PaperMethod::Relu, 0, &joint))?,
    })
}

/// Final accuracies of all methods on a data set, a panel for each form.
fn finals(config: &Config, measured: &Measured, data: Benchmark, figure: Figure) -> Figure {
    let lengths: Vec<String> = (config.settings.iter())
        .filter(|tried| tried.setting.data == data)
        .map(|tried| format!("{} for {}", tried.setting.epochs, tried.label))
        .collect();
    let mut figure = figure
        .caption(&format!(
            "Accuracy on all ten classes after five tasks of two classes: each order of classes, the mean, and its 95 % \
             interval by bootstrap over {} orders. Epochs of a task: {}; 20 at most for rectified neurons, one for the \
             FlyModel. Pieces: a convolutional layer. Features: of pieces, by k-means. Dotted: knowing the last task \
             only. Dashed: rectified neurons that see all classes at once.",
            config.orders.len(),
            lengths.join(", ")
        ))
        .width(Width::Page)
        .panel_height_mm(38.0);
    let mut n_panels = 0;
    for (at, tried) in config.settings.iter().enumerate() {
        let (true, Some(outcome)) = (tried.setting.data == data, &measured.outcomes[at]) else {
            continue;
        };
        let rows: Vec<(&str, Estimate)> = (tried.methods.iter())
            .filter_map(|method| Some((method.label(), measured.estimate(config, at, *method)?)))
            .collect();
        let rows: Vec<(&str, &Estimate)> = rows.iter().map(|(label, e)| (*label, e)).collect();
        let panel: Panel = dot_plot(Axis::linear("accuracy").range(0.0, 1.0), &rows)
            .mark(Mark::vline(0.2).dotted().color(Color::Gray).label("last task"))
            .mark(Mark::vline(outcome.joint).dashed().color(Color::Gray).label("at once"))
            .title(&tried.label);
        figure = figure.panel(panel);
        n_panels += 1;
    }
    figure.columns(n_panels.max(1))
}

/// The first few training images of each class.
fn examples(train: &Dataset) -> Vec<Vec<Vec<u8>>> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 255")]
    let gray = |ink: &f32| (255.0 * (1.0 - ink)).round() as u8;
    let class = |class: usize| {
        let images = train.of(&[class]);
        images.inputs().rows().take(6).map(|row| row.iter().map(gray).collect()).collect()
    };
    (0..train.n_classes()).map(class).collect()
}

fn drawn_digits(measured: &Measured) -> Figure {
    let classes: Vec<String> =
        (0..measured.examples.len()).map(|class| class.to_string()).collect();
    let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
    let n = measured.examples.first().map_or(0, Vec::len);
    let mut panel = Panel::new(
        Axis::categories("class", &classes),
        Axis::linear("").range(-0.5, n as f64 - 0.5).ticks(Vec::new()),
    );
    for (class, examples) in measured.examples.iter().enumerate() {
        for (at, pixels) in examples.iter().enumerate() {
            let image = Mark::image(class as f64, at as f64, 28, pixels);
            panel = panel.mark(image.series(&format!("{class}, {at}")));
        }
    }
    Figure::new("B-y06", "Drawn digits")
        .caption(
            "Six training images of each class: a digit of one of the typefaces that ship with the project's libraries, \
             sheared, turned, stretched and shifted at random, with noise.",
        )
        .panel_height_mm(50.0)
        .panel(panel)
}
