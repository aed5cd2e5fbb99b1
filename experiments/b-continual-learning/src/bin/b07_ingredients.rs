//! Paper B: the ingredients of the SDM layer, taken away one by one.
//!
//! The layer differs from a plain net in several ways at once: inputs and addresses of length 1, weights that are not
//! negative, no biases, k neurons that stay after the next one's excitation is subtracted, and a switch that lets
//! every neuron learn at first. The authors' code has a variant without each, and tells of five nets how many neurons
//! are alive after five tasks and how many classes a neuron answers to.
//!
//! *Expected:* the authors' order of alive neurons (SDM 0.994, annealed mask 0.979, free lengths 0.837, Top-K 0.448)
//! and of class entropies (0.891, 1.026, 1.049, 1.377, rectified neurons 2.240 nats). *Visible:* what each ingredient is worth, with
//! an interval over orders of classes. *Run:* `just run b07`; four minutes. *Data:* `just data cifar10-convmixer`.
//!
//! *Departures:* no pretraining, 20 epochs a task in the place of 300, and non-negative weights where the authors' runs
//! had both signs; so their values are not comparable, their orders are. Alive are neurons that are active for a
//! sample of the test set at least. Class entropies are those of the classes that a neuron is active for, whatever its
//! activation.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use continual::{
    Benchmark, Draws, Method, NetMethod, NeuronSummary, PaperMethod, Schedule, Student,
};
use experiment::figures::{Axis, Cell, Color, Figure, Mark, Panel, Table, Width};
use experiment::{
    Claim, Context, Cost, Drawing, Estimate, Experiment, Input, Numbers, Tier, curve, dot_plot,
};
use sdm::layer::{Activation, Anneal, Inhibition, NetConfig, Rows};
use seed::Seed;
use serde::{Deserialize, Serialize};

const DATA: Benchmark = Benchmark::Cifar10;
/// Active neurons (authors' code).
const K: usize = 10;

/// A net that lacks something of the SDM layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Variant {
    Full,
    FreeLengths,
    Signed,
    Biases,
    Mask,
    NoSwitch,
    AnnealedMask,
    AnnealedSubtraction,
    TopK,
    Relu,
}

impl Variant {
    const ALL: [Self; 10] = [
        Self::Full,
        Self::FreeLengths,
        Self::Signed,
        Self::Biases,
        Self::Mask,
        Self::NoSwitch,
        Self::AnnealedMask,
        Self::AnnealedSubtraction,
        Self::TopK,
        Self::Relu,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::FreeLengths => "free_lengths",
            Self::Signed => "signed",
            Self::Biases => "biases",
            Self::Mask => "mask",
            Self::NoSwitch => "no_switch",
            Self::AnnealedMask => "annealed_mask",
            Self::AnnealedSubtraction => "annealed_subtraction",
            Self::TopK => "top_k",
            Self::Relu => "relu",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Full => "SDM layer",
            Self::FreeLengths => "rows of any length",
            Self::Signed => "weights of both signs",
            Self::Biases => "biases",
            Self::Mask => "mask, no switch",
            Self::NoSwitch => "subtraction, no switch",
            Self::AnnealedMask => "annealed mask",
            Self::AnnealedSubtraction => "annealed subtraction",
            Self::TopK => "Top-K, nothing else",
            Self::Relu => "ReLU, nothing at all",
        }
    }

    /// What the authors' code tells of its alive neurons, their parts by task, and its mean class entropy in nats.
    const fn published(self) -> Option<(f64, [f64; 5], f64)> {
        match self {
            Self::Full => Some((0.994, [0.939, 0.833, 0.761, 0.893, 0.791], 0.891)),
            Self::AnnealedMask => Some((0.979, [0.905, 0.785, 0.754, 0.864, 0.748], 1.026)),
            Self::FreeLengths => Some((0.837, [0.742, 0.553, 0.496, 0.642, 0.578], 1.049)),
            Self::TopK => Some((0.448, [0.425, 0.426, 0.413, 0.427, 0.407], 1.377)),
            Self::Relu => Some((1.0, [1.0; 5], 2.240)),
            _ => None,
        }
    }

    fn method(self, config: &Config, switch: f64) -> Result<NetMethod> {
        let paper = match self {
            Self::Relu => PaperMethod::Relu,
            Self::TopK => PaperMethod::TopK,
            _ => PaperMethod::Sdm,
        };
        let Method::Net(of_paper) = paper.method(DATA, config.n_neurons, switch, config.anneal)
        else {
            anyhow::bail!("{} is no net", paper.name());
        };
        let sdm = of_paper.net;
        let top_k =
            |inhibition| NetConfig { activation: Activation::TopK { k: K, inhibition }, ..sdm };
        let annealed = Anneal::Epochs(config.anneal);
        let net = match self {
            Self::Full | Self::TopK | Self::Relu => sdm,
            Self::FreeLengths => NetConfig { rows: Rows::Free, ..sdm },
            Self::Signed => NetConfig { non_negative: false, ..sdm },
            Self::Biases => NetConfig { biases: true, ..sdm },
            Self::Mask => top_k(Inhibition::Mask(Anneal::None)),
            Self::NoSwitch => top_k(Inhibition::Subtract(Anneal::None)),
            Self::AnnealedMask => top_k(Inhibition::Mask(annealed)),
            Self::AnnealedSubtraction => top_k(Inhibition::Subtract(annealed)),
        };
        Ok(NetMethod { net, ..of_paper })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    variants: Vec<Variant>,
    n_neurons: usize,
    /// numpy seeds of the orders of classes; none: the natural order.
    orders: Vec<Option<u32>>,
    epochs: usize,
    batch: usize,
    /// The GABA switch, as a part of the samples of the first task.
    switch: f64,
    /// Epochs over which k falls, where it does.
    anneal: usize,
    n_resamples: usize,
    /// One start for each order.
    seeds: Vec<u64>,
}

/// A number of one net.
type Of = fn(&Reached) -> f64;

/// What became of one net.
#[derive(Serialize, Deserialize)]
struct Reached {
    accuracy: f64,
    neurons: NeuronSummary,
    /// In the first order: class entropies of neurons, and the samples that they are active for.
    entropies: Vec<(f64, usize)>,
}

struct Measured {
    /// By variant, for each order.
    reached: Vec<(Variant, Vec<Reached>)>,
}

impl Measured {
    fn of(&self, variant: Variant) -> &[Reached] {
        let found = self.reached.iter().find(|(other, _)| *other == variant);
        found.map_or(&[], |(_, reached)| reached)
    }

    /// One number of a variant over orders; none if the variant was not run.
    fn estimate(
        &self,
        config: &Config,
        variant: Variant,
        of: impl Fn(&Reached) -> f64,
    ) -> Option<Estimate> {
        let values: Vec<f64> = self.of(variant).iter().map(of).collect();
        summed_up(config, variant, &values)
    }

    /// What a variant reaches less what the full layer reaches, order by order.
    fn change(&self, config: &Config, variant: Variant) -> Option<Estimate> {
        let pairs = self.of(variant).iter().zip(self.of(Variant::Full));
        let values: Vec<f64> = pairs.map(|(one, full)| one.accuracy - full.accuracy).collect();
        summed_up(config, variant, &values)
    }
}

fn summed_up(config: &Config, variant: Variant, values: &[f64]) -> Option<Estimate> {
    let purpose = format!("bootstrap, {}", variant.name());
    let mut rng = Seed::new(config.seeds[0]).stream(Ingredients::ID, &purpose);
    Estimate::of(values, config.n_resamples, &mut rng).ok()
}

struct Ingredients;

impl Experiment for Ingredients {
    const ID: &'static str = "b07_ingredients";
    const TITLE: &'static str = "The ingredients of the SDM layer, taken away one by one";
    const OUTPUTS: &'static [&'static str] = &["B-x12", "B-x13", "B-x14", "B-x15"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let orders = [None, Some(3), Some(15), Some(27), Some(97)];
        let (n, epochs) = match tier {
            Tier::Smoke => (1, 1),
            Tier::Laptop => (5, 20),
            // Authors' code.
            Tier::Paper => (5, 300),
        };
        let smoke = tier == Tier::Smoke;
        Config {
            variants: Variant::ALL.into(),
            n_neurons: if smoke { 200 } else { 1000 },
            orders: orders[..n].into(),
            epochs,
            batch: 128,
            switch: 0.8,
            anneal: if tier == Tier::Paper { 100 } else { epochs.div_ceil(4) },
            n_resamples: if smoke { 200 } else { 2000 },
            seeds: (0..n as u64).collect(),
        }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn inputs(_: &Config) -> Vec<Input> {
        Input::each(DATA.files(), Self::OUTPUTS)
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.3, memory_mb: 500, disk_mb: 1 },
            Tier::Laptop => Cost { minutes: 3.5, memory_mb: 600, disk_mb: 2 },
            Tier::Paper => Cost { minutes: 120.0, memory_mb: 600, disk_mb: 2 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let Some([train, test]) = DATA.read(|file| context.read(file))? else {
            return Ok(Measured { reached: Vec::new() });
        };
        let units: Vec<(Variant, usize)> = (config.variants.iter())
            .flat_map(|variant| (0..config.orders.len()).map(move |order| (*variant, order)))
            .collect();
        let name =
            |(variant, order): &(Variant, usize)| format!("{}, order {order}", variant.name());
        let reached = context.parts(&units, name, |unit| {
            let (variant, order) = *unit;
            let split = DATA.split(config.orders[order], 2)?;
            let first = train.of(&split.tasks()[0]).len();
            let switch = config.switch * (config.epochs * first) as f64;
            let purpose = name(unit);
            let draws =
                Draws { seed: Seed::new(config.seeds[order]), id: Self::ID, purpose: &purpose };
            let Config { epochs, batch, .. } = *config;
            let schedule = Schedule { epochs, batch, evaluate_every: epochs };
            let method = Method::Net(variant.method(config, switch)?);
            let student = Student::taught(method, &split, [&train, &test], schedule, draws)?;
            let neurons = student.neurons(&test)?.context("a net has neurons")?;
            Ok(Reached {
                accuracy: student.accuracy(&test)?,
                neurons: neurons.summary(&split),
                entropies: if order == 0 { neurons.class_entropies() } else { Vec::new() },
            })
        })?;
        let mut reached = reached.into_iter();
        let by_variant = config
            .variants
            .iter()
            .map(|variant| (*variant, reached.by_ref().take(config.orders.len()).collect()));
        Ok(Measured { reached: by_variant.collect() })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for variant in &config.variants {
            let of = |what: fn(&Reached) -> f64| measured.estimate(config, *variant, what);
            let all = [
                ("accuracy", of(|r| r.accuracy)),
                ("change", measured.change(config, *variant)),
                ("alive", of(|r| r.neurons.alive)),
                ("class_entropy", of(|r| r.neurons.class_entropy)),
                ("weighted_entropy", of(|r| r.neurons.weighted_entropy)),
                ("active_per_sample", of(|r| r.neurons.active_per_sample)),
            ];
            for (what, estimate) in all {
                if let Some(estimate) = estimate {
                    // Training: last bits differ between CPU classes and grow.
                    let reach = 0.03 * estimate.mean.value.abs().max(1.0);
                    let number = estimate.mean.drift_tol(reach);
                    numbers.insert(format!("{}.{what}", variant.name()), number);
                }
            }
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        if measured.reached.is_empty() {
            return Vec::new();
        }
        vec![
            changes(config, measured).into(),
            table(config, measured).into(),
            alive(config, measured).into(),
            entropies(measured).into(),
        ]
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let mut claims = Vec::new();
        let ingredients = [
            (Variant::FreeLengths, "addresses of length 1 help"),
            (Variant::Signed, "weights that are not negative help"),
            (Variant::Biases, "leaving biases out helps"),
            (Variant::NoSwitch, "the GABA switch helps"),
            (
                Variant::AnnealedMask,
                "inhibition that is subtracted and switched beats an annealed mask",
            ),
        ];
        for (variant, text) in ingredients {
            if let Some(change) = measured.change(config, variant) {
                let id = format!("b07.without_{}", variant.name());
                let claim = Claim::about(&id, Claim::OURS, text);
                claims.push(claim.falls_short_of("the full layer", 0.0, &change.mean));
            }
        }
        let source = "the authors' code";
        let alive = [Variant::Full, Variant::AnnealedMask, Variant::FreeLengths, Variant::TopK];
        let entropy = [
            Variant::Relu,
            Variant::TopK,
            Variant::FreeLengths,
            Variant::AnnealedMask,
            Variant::Full,
        ];
        let orders: [(&str, &str, &[Variant], Of); 2] = [
            ("alive", "has more neurons alive than", &alive, |r| r.neurons.alive),
            ("entropy", "has neurons of more classes than", &entropy, |r| r.neurons.class_entropy),
        ];
        for (what, says, variants, of) in orders {
            for pair in variants.windows(2) {
                let [more, less] = [pair[0], pair[1]];
                let estimate = |variant| measured.estimate(config, variant, of);
                let (Some(one), Some(other)) = (estimate(more), estimate(less)) else { continue };
                let id = format!("b07.{what}_{}_{}", more.name(), less.name());
                let text = format!("{} {says} {}", more.label(), less.label());
                let items = [(more.label(), one.mean), (less.label(), other.mean)];
                claims.push(Claim::about(&id, source, &text).ordered(&items).note(
                    "the authors' nets were pretrained, learned 300 epochs a task and had weights of both signs; \
                     which of these matters where the orders differ was not tested",
                ));
            }
        }
        claims
    }
}

fn main() -> ExitCode {
    experiment::main::<Ingredients>()
}

fn changes(config: &Config, measured: &Measured) -> Figure {
    let rows: Vec<(&str, Estimate)> = (config.variants.iter().skip(1))
        .filter_map(|variant| Some((variant.label(), measured.change(config, *variant)?)))
        .collect();
    let rows: Vec<_> = rows.iter().map(|(label, change)| (*label, change)).collect();
    let axis = Axis::linear("accuracy after five tasks, less that of the SDM layer");
    Figure::new("B-x12", "The SDM layer without one of its ingredients")
        .caption(
            "Accuracy on CIFAR-10 embeddings after five tasks of two classes less that of the full layer at the same \
             order of classes: each order, the mean, and its 95 % interval by bootstrap over orders. A row says what \
             the layer has in the place of one ingredient. Dotted: no change.",
        )
        .width(Width::Page)
        .panel_height_mm(60.0)
        .panel(dot_plot(axis, &rows).mark(Mark::vline(0.0).dotted().series("no change")))
}

fn table(config: &Config, measured: &Measured) -> Table {
    let mut table = Table::new("B-x13", "Ingredients of the SDM layer: accuracy and neurons")
        .column("net", "")
        .column("accuracy", "mean over orders")
        .column("95 % interval", "")
        .column("change", "95 % interval")
        .column("alive", "")
        .column("alive, authors", "other schedule")
        .column("class entropy", "nats")
        .column("class entropy, authors", "nats")
        .column("weighted entropy", "nats")
        .column("active for a sample", "");
    for variant in &config.variants {
        let of = |what: fn(&Reached) -> f64| measured.estimate(config, *variant, what);
        let (Some(accuracy), Some(change)) =
            (of(|r| r.accuracy), measured.change(config, *variant))
        else {
            continue;
        };
        let cell = |what: fn(&Reached) -> f64, digits| {
            of(what).map_or(Cell::Missing, |e| Cell::number(e.mean.value, digits))
        };
        let published = |of: fn((f64, [f64; 5], f64)) -> f64| {
            variant.published().map_or(Cell::Missing, |all| Cell::number(of(all), 3))
        };
        table = table.row(vec![
            Cell::text(variant.label()),
            Cell::number(accuracy.mean.value, 3),
            Cell::text(&accuracy.interval()),
            if *variant == Variant::Full { Cell::Missing } else { Cell::text(&change.interval()) },
            cell(|r| r.neurons.alive, 3),
            published(|(alive, ..)| alive),
            cell(|r| r.neurons.class_entropy, 3),
            published(|(.., entropy)| entropy),
            cell(|r| r.neurons.weighted_entropy, 3),
            cell(|r| r.neurons.active_per_sample, 1),
        ]);
    }
    table
}

const DRAWN: [(Variant, Color); 5] = [
    (Variant::Full, Color::Blue),
    (Variant::AnnealedMask, Color::Green),
    (Variant::FreeLengths, Color::Amber),
    (Variant::TopK, Color::Purple),
    (Variant::Relu, Color::Vermilion),
];

/// The part of the neurons that are alive for each task.
fn alive(config: &Config, measured: &Measured) -> Figure {
    let x: Vec<f64> = (1..=5).map(f64::from).collect();
    let axis = || Axis::linear("task").ticks(x.clone());
    let mut here = Panel::new(axis(), Axis::linear("neurons alive").range(0.0, 1.0)).title("here");
    let mut theirs = Panel::new(axis(), Axis::linear("neurons alive").range(0.0, 1.0))
        .title("authors, one net each");
    for (variant, color) in DRAWN {
        let by_task: Vec<Estimate> = (0..5)
            .filter_map(|task| {
                measured.estimate(config, variant, |r| r.neurons.alive_by_task[task])
            })
            .collect();
        if by_task.len() == x.len() {
            here = here.marks(curve(&x, &by_task, variant.label(), color));
        }
        if let Some((_, alive, _)) = variant.published() {
            theirs = theirs.mark(Mark::line(&x, &alive).color(color).label(variant.label()));
        }
    }
    Figure::new("B-x14", "Neurons that are alive for each task, after five")
        .caption(&format!(
            "The part of {} neurons that are active for a test sample of the task at least, after all five tasks; \
             means and 95 % intervals over orders of classes. Right: the authors' nets of 1,000, pretrained and trained \
             for 300 epochs a task.",
            config.n_neurons
        ))
        .width(Width::Page)
        .columns(2)
        .share_y()
        .panel(here)
        .panel(theirs)
}

/// Class entropies of single neurons against how often they are active.
fn entropies(measured: &Measured) -> Figure {
    let mut figure = Figure::new("B-x15", "How many classes a neuron answers to")
        .caption(
            "Each point is a neuron after five tasks in the natural order: the entropy of the classes of the test \
             samples that it is active for, 0 for one class and ln 10 (dotted) for ten alike, against the number of \
             those samples. Dead neurons are not shown.",
        )
        .width(Width::Page)
        .columns(5)
        .share_y();
    for (variant, color) in DRAWN {
        let Some(first) = measured.of(variant).first() else { continue };
        let (entropy, n): (Vec<f64>, Vec<f64>) =
            first.entropies.iter().map(|(entropy, n)| (*entropy, *n as f64)).unzip();
        let panel = Panel::new(
            Axis::log10("active for samples").range(1.0, 1e4),
            Axis::linear("class entropy (nats)").range(0.0, 2.5),
        );
        let points = Mark::points(&n, &entropy).color(color).series(variant.label());
        let bound = Mark::hline(libm::log(10.0)).dotted().series("ln 10");
        figure = figure.panel(panel.title(variant.label()).mark(bound).mark(points));
    }
    figure
}
