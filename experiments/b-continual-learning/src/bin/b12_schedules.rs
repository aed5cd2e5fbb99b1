//! Paper B: how long a task has to be.
//!
//! The authors learn each task of Split CIFAR-10 for 2,000 epochs. Elsewhere here it is 60. A secondary source ranks
//! their Fig. 3: SDMLP + EWC, FlyModel, SDMLP. Is that the ranking of long tasks, and do 60 epochs stand for 2,000?
//!
//! *Expected:* the ranking, at 2,000 epochs; the paper's accuracies were not found. *Visible:* accuracy against the
//! epochs of a task, and over the longest training. *Run:* `just run b12`; three minutes. The published schedule is in
//! the paper tier, `just run b12 paper`: an hour. A killed run goes on after the tasks that it had finished.
//! *Data:* `just data cifar10-convmixer`.
//!
//! *Departures:* no pretraining; at laptop at most 60 epochs a task and a switch after 0.8 of the first task's samples,
//! as in b03; the paper tier has one order of classes, and 2,000 epochs with that switch and with the published one. EWC has the exact
//! Fisher information of samples, with the strength that b03 chooses on held-out samples.

use std::process::ExitCode;

use anyhow::Result;
use continual::{
    Benchmark, Dataset, Draws, Evaluation, Method, PaperMethod, Schedule, Scores, Student,
};
use experiment::figures::{Axis, Color, Figure, Mark, Panel, Width};
use experiment::{
    Claim, Context, Cost, Drawing, Estimate, Experiment, Input, Number, Numbers, Tier, curve,
};
use rayon::prelude::*;
use seed::Seed;
use serde::{Deserialize, Serialize};

const DATA: Benchmark = Benchmark::Cifar10;
/// The methods that learn for as many epochs as they are given, with their colors.
const NETS: [(PaperMethod, Color); 2] =
    [(PaperMethod::SdmEwc, Color::Blue), (PaperMethod::Sdm, Color::Sky)];

/// The length of a task.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Length {
    epochs: usize,
    /// The GABA switch, as a part of the samples of the first task.
    switch: f64,
}

impl Length {
    /// With the switch of b03.
    const fn of(epochs: usize) -> Self {
        Self { epochs, switch: 0.8 }
    }

    fn name(self) -> String {
        format!("epochs_{}.switch_{}", self.epochs, self.switch)
    }
}

/// Authors' code: a switch after 5,000,000 samples, of 10,000 an epoch.
const PUBLISHED: Length = Length { epochs: 2000, switch: 0.25 };

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// From short to long, with the published one last.
    lengths: Vec<Length>,
    n_neurons: usize,
    /// Strength of EWC.
    strength: f32,
    /// numpy seeds of the orders of classes; none: the natural order.
    orders: Vec<Option<u32>>,
    classes_per_task: usize,
    batch: usize,
    /// Evaluations of a task.
    n_evaluations: usize,
    n_resamples: usize,
    /// One start for each order.
    seeds: Vec<u64>,
}

/// A training: a method, the place of its length of a task, the place of its order.
type Unit = (PaperMethod, usize, usize);

struct Measured {
    runs: Vec<(Unit, Scores)>,
}

impl Measured {
    fn runs(&self, method: PaperMethod, length: usize) -> Vec<&Scores> {
        let wanted = |unit: &Unit| unit.0 == method && unit.1 == length;
        self.runs.iter().filter(|(unit, _)| wanted(unit)).map(|(_, scores)| scores).collect()
    }

    fn estimate(&self, config: &Config, method: PaperMethod, length: usize) -> Option<Estimate> {
        let values: Vec<f64> = self.runs(method, length).iter().map(|run| run.last()).collect();
        let purpose = format!("bootstrap, {}, length {length}", method.name());
        let mut rng = Seed::new(config.seeds[0]).stream(Schedules::ID, &purpose);
        Estimate::of(&values, config.n_resamples, &mut rng).ok()
    }

    /// The `FlyModel`, which passes over its samples once whatever the length.
    fn fly(&self, config: &Config) -> Option<Estimate> {
        self.estimate(config, PaperMethod::Fly, 0)
    }
}

struct Schedules;

impl Experiment for Schedules {
    const ID: &'static str = "b12_schedules";
    const TITLE: &'static str = "How long a task has to be";
    const OUTPUTS: &'static [&'static str] = &["B-y03", "B-y04"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let (lengths, orders) = match tier {
            Tier::Smoke => (vec![Length::of(1), Length::of(2)], vec![None]),
            Tier::Laptop => ([6, 20, 60].map(Length::of).to_vec(), vec![None, Some(3), Some(15)]),
            Tier::Paper => {
                let lengths = [60, 300, 2000].map(Length::of).into_iter().chain([PUBLISHED]);
                (lengths.collect(), vec![None])
            }
        };
        let seeds = (0..orders.len() as u64).collect();
        Config {
            lengths,
            n_neurons: if tier == Tier::Smoke { 200 } else { 1000 },
            strength: 10.0,
            orders,
            classes_per_task: 2,
            batch: 128,
            n_evaluations: if tier == Tier::Paper { 20 } else { 6 },
            n_resamples: if tier == Tier::Smoke { 200 } else { 2000 },
            seeds,
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
            Tier::Smoke => Cost { minutes: 0.1, memory_mb: 500, disk_mb: 2 },
            Tier::Laptop => Cost { minutes: 3.0, memory_mb: 700, disk_mb: 2 },
            Tier::Paper => Cost { minutes: 60.0, memory_mb: 700, disk_mb: 2 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let Some([train, test]) = DATA.read(|file| context.read(file))? else {
            return Ok(Measured { runs: Vec::new() });
        };
        // The longest first, so that none is left alone at the end.
        let nets = (0..config.lengths.len())
            .rev()
            .flat_map(|length| NETS.map(|(method, _)| (method, length)));
        let methods = nets.chain([(PaperMethod::Fly, 0)]);
        let units: Vec<Unit> = methods
            .flat_map(|(method, length)| {
                (0..config.orders.len()).map(move |order| (method, length, order))
            })
            .collect();
        let n_steps = units.iter().map(|unit| n_steps(config, *unit)).sum();
        let runs = units.par_iter().map(|unit| {
            let history = learned(config, context, *unit, [&train, &test], n_steps)?;
            let split = DATA.split(config.orders[unit.2], config.classes_per_task)?;
            Ok((*unit, Scores::new(&split, &test, &history)))
        });
        Ok(Measured { runs: runs.collect::<Result<_>>()? })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        // Training: last bits differ between CPU classes and grow.
        for (method, _) in NETS {
            for (at, length) in config.lengths.iter().enumerate() {
                if let Some(accuracy) = measured.estimate(config, method, at) {
                    let name = format!("{}.{}.accuracy", method.name(), length.name());
                    numbers.insert(name, accuracy.mean.drift_tol(0.03));
                }
            }
        }
        if let Some(accuracy) = measured.fly(config) {
            numbers.insert("fly.accuracy".to_owned(), accuracy.mean.drift_tol(0.03));
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        if measured.runs.is_empty() {
            return Vec::new();
        }
        vec![by_length(config, measured).into(), over_training(config, measured).into()]
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let last = config.lengths.len() - 1;
        let published = config.lengths[last] == PUBLISHED && config.n_neurons == 1000;
        let net = |method| measured.estimate(config, method, last).map(|e| e.mean);
        let (Some(ewc), Some(sdm)) = (net(PaperMethod::SdmEwc), net(PaperMethod::Sdm)) else {
            return Vec::new();
        };
        let Some(fly) = measured.fly(config).map(|estimate| estimate.mean) else {
            return Vec::new();
        };
        let source = "a secondary source on the paper's Fig. 3";
        let why_not = "it is of tasks of 2,000 epochs, which the paper tier has; b03_methods judges the order at 60";
        let ranked = |id: &str, [better, worse]: [(&str, &Number); 2]| {
            let text = format!("{} remembers more than {} after long tasks", better.0, worse.0);
            Claim::about(&format!("b12.{id}"), source, &text)
                .ordered(&[(better.0, better.1.clone()), (worse.0, worse.1.clone())])
                .when(published, why_not)
        };
        let mut claims = vec![
            ranked("sdm_ewc_fly", [("SDMLP + EWC", &ewc), ("FlyModel", &fly)]),
            ranked("fly_sdm", [("FlyModel", &fly), ("SDMLP", &sdm)]),
        ];
        for (method, _) in NETS {
            let at = |length| measured.estimate(config, method, length).map(|e| e.mean.value);
            let (Some(short), Some(long)) = (at(0), at(last)) else { continue };
            let text = format!("{} at 60 epochs a task is as good as at 2,000", method.label());
            let gap = Number::exact((long - short).abs());
            claims.push(
                Claim::about(&format!("b12.{}_60_for_2000", method.name()), Claim::OURS, &text)
                    .at_most(0.05, "difference of mean accuracies", &gap)
                    .when(published, why_not)
                    .note("at the published length and switch, without pretraining"),
            );
        }
        claims
    }
}

fn main() -> ExitCode {
    experiment::main::<Schedules>()
}

/// The work of a training, counted in tasks of the shortest length.
fn n_steps(config: &Config, (method, length, order): Unit) -> usize {
    let n_tasks = DATA.n_classes().div_ceil(config.classes_per_task);
    match method {
        PaperMethod::Fly => usize::from(order == 0),
        _ => n_tasks * config.lengths[length].epochs / config.lengths[0].epochs,
    }
}

/// What a student was evaluated to while it learned all tasks, each task a part that is not repeated.
fn learned(
    config: &Config,
    context: &Context,
    unit: Unit,
    [train, test]: [&Dataset; 2],
    total: usize,
) -> Result<Vec<Evaluation>> {
    let (method, length, order) = unit;
    let Length { epochs, switch } = config.lengths[length];
    let split = DATA.split(config.orders[order], config.classes_per_task)?;
    let switch = switch * (epochs * train.of(&split.tasks()[0]).len()) as f64;
    let name = format!("{}, {}, order {order}", method.name(), config.lengths[length].name());
    // One name for all lengths: they begin with the same weights.
    let purpose = format!("{}, order {order}", method.name());
    let draws =
        Draws { seed: Seed::new(config.seeds[order]), id: Schedules::ID, purpose: &purpose };
    let evaluate_every = epochs.div_ceil(config.n_evaluations);
    let schedule = Schedule { epochs, batch: config.batch, evaluate_every };
    let kind: Method =
        method.method(DATA, config.n_neurons, switch, 0).with_strength(config.strength);
    let mut student = Student::new(kind, draws)?;
    let n_tasks = split.tasks().len();
    for task in 0..n_tasks {
        student = context.part(&format!("{name}, task {task}"), || {
            student.learn_next(&split, train, test, schedule, draws)?;
            Ok(student)
        })?;
        let n_done = |task| n_steps(config, unit) * task / n_tasks;
        (n_done(task)..n_done(task + 1)).for_each(|_| context.step(total));
    }
    Ok(student.history().to_vec())
}

/// What is remembered in the end against the epochs of a task.
fn by_length(config: &Config, measured: &Measured) -> Figure {
    let mut panel =
        Panel::new(Axis::log10("epochs of a task"), Axis::linear("accuracy").range(0.0, 1.0));
    for (method, color) in NETS {
        let all = config
            .lengths
            .iter()
            .enumerate()
            .filter_map(|(at, length)| Some((*length, measured.estimate(config, method, at)?)));
        let (published, others): (Vec<_>, Vec<_>) = all.partition(|(at, _)| *at == PUBLISHED);
        let (x, estimates): (Vec<f64>, Vec<Estimate>) =
            others.into_iter().map(|(length, estimate)| (length.epochs as f64, estimate)).unzip();
        let mean: Vec<f64> = estimates.iter().map(|estimate| estimate.mean.value).collect();
        panel = panel.marks(curve(&x, &estimates, method.label(), color)).mark(
            Mark::points(&x, &mean).color(color).series(&format!("{}, means", method.label())),
        );
        for (length, estimate) in published {
            let point = Mark::points(&[length.epochs as f64], &[estimate.mean.value]);
            let label = format!("{}, published switch", method.label());
            panel = panel.mark(point.color(Color::Vermilion).series(&label));
        }
    }
    if let Some(fly) = measured.fly(config) {
        panel = panel.mark(Mark::hline(fly.mean.value).color(Color::Green).label("FlyModel, once"));
    }
    panel = panel.mark(Mark::hline(0.2).dotted().label("last task only"));
    let published = if config.lengths.contains(&PUBLISHED) {
        " Vermilion points: the published switch, a quarter into the first task."
    } else {
        ""
    };
    Figure::new("B-y03", "What is remembered against the length of a task")
        .caption(&format!(
            "Accuracy on all ten classes of CIFAR-10 embeddings after five tasks of two classes, against the epochs of \
             a task, with the switch 0.8 into the first task: {}.{published} The FlyModel passes over its samples once. \
             Dotted: knowing the last task only.",
            orders(config)
        ))
        .panel(panel)
}

/// The running accuracy of the longest trainings.
fn over_training(config: &Config, measured: &Measured) -> Figure {
    let longest = config.lengths.iter().map(|length| length.epochs).max().unwrap_or(0);
    let mut figure = Figure::new("B-y04", &format!("Accuracy over training, {longest} epochs a task"))
        .caption(&format!(
            "Accuracy on the test samples of the classes seen so far, times the part of the tasks that was seen, as the \
             paper's Fig. 3 has it, for the longest tasks of this tier: {}. The FlyModel's single pass is stretched \
             to the same width. Dotted: nothing is forgotten.",
            orders(config)
        ))
        .width(Width::Page)
        .columns(2)
        .share_y();
    let n_tasks = DATA.n_classes().div_ceil(config.classes_per_task) as f64;
    for (at, length) in config.lengths.iter().enumerate().filter(|(_, l)| l.epochs == longest) {
        let mut panel = Panel::new(
            Axis::linear("tasks learned").range(0.0, n_tasks),
            Axis::linear("accuracy so far").range(0.0, 1.0),
        )
        .title(&format!("switch {} into the first task", length.switch));
        let bound = Mark::line(&[0.0, n_tasks], &[0.0, 1.0]).color(Color::Gray).dotted();
        panel = panel.mark(bound.series("nothing forgotten"));
        let nets = NETS.map(|(method, color)| (method, at, color));
        for (method, length, color) in nets.into_iter().chain([(PaperMethod::Fly, 0, Color::Green)])
        {
            let runs: Vec<Scores> = measured.runs(method, length).into_iter().cloned().collect();
            let Ok(over_time) = Scores::running_mean(&runs) else { continue };
            let (x, y): (Vec<f64>, Vec<f64>) =
                over_time.iter().map(|[part, mean, _]| (n_tasks * part, *mean)).unzip();
            panel = panel.mark(Mark::line(&x, &y).color(color).label(method.label()));
        }
        figure = figure.panel(panel);
    }
    figure
}

fn orders(config: &Config) -> String {
    match config.orders.len() {
        1 => "one order of classes, the natural one".to_owned(),
        n => format!("means over {n} orders of classes, with 95 % intervals where bands are drawn"),
    }
}
