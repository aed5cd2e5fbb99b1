//! Paper B: optimizers that remember, and the neurons that they kill.
//!
//! A neuron outside of the k most excited has no gradient, but an optimizer with an average still moves it by what it
//! remembers, away from the data (b01 has the toy). The authors train the SDM layer with four optimizers and count the
//! neurons that are never active any more. The direct cure is an optimizer that lets such neurons rest, with what it
//! remembers of them: lazy, or sparse, in the words of the frameworks.
//!
//! *Expected:* more neurons die with momentum, RMSProp and Adam than with plain descent; lazy ones keep them alive.
//! The paper's numbers were not found. *Visible:* neurons alive over training, and what is remembered. *Run:*
//! `just run b08`; four minutes. *Data:* `just data cifar10-convmixer`.
//!
//! *Departures:* embeddings in the place of pixels, no pretraining, 20 epochs a task in the place of 500 (learning
//! rates are the authors'). Alive are neurons that are active for a sample of the test set at least.

use std::process::ExitCode;

use anyhow::Result;
use continual::{
    Benchmark, Draws, Evaluation, Method, NetMethod, PaperMethod, Schedule, Scores, Student,
};
use experiment::figures::{Axis, Color, Figure, Mark, Panel, Width};
use experiment::{
    Claim, Context, Cost, Drawing, Estimate, Experiment, Input, Numbers, Tier, curve, dot_plot,
};
use kernels::Rule;
use sdm::layer::LearnerConfig;
use seed::Seed;
use serde::{Deserialize, Serialize};

const DATA: Benchmark = Benchmark::Cifar10;

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Optimizer {
    rule: Rule,
    lazy: bool,
}

impl Optimizer {
    /// Learning rates are those of the authors' comparison.
    const ALL: [Self; 7] = [
        Self { rule: Rule::Sgd { learning_rate: 0.08 }, lazy: false },
        Self { rule: MOMENTUM, lazy: false },
        Self { rule: MOMENTUM, lazy: true },
        Self { rule: RMS_PROP, lazy: false },
        Self { rule: RMS_PROP, lazy: true },
        Self { rule: ADAM, lazy: false },
        Self { rule: ADAM, lazy: true },
    ];

    const fn name(self) -> &'static str {
        match (self.rule, self.lazy) {
            (Rule::Sgd { .. }, _) => "sgd",
            (Rule::Momentum { .. }, false) => "momentum",
            (Rule::Momentum { .. }, true) => "lazy_momentum",
            (Rule::RmsProp { .. }, false) => "rms_prop",
            (Rule::RmsProp { .. }, true) => "lazy_rms_prop",
            (Rule::Adam { .. }, false) => "adam",
            (Rule::Adam { .. }, true) => "lazy_adam",
            (Rule::Adagrad { .. }, _) => "adagrad",
        }
    }

    const fn label(self) -> &'static str {
        match (self.rule, self.lazy) {
            (Rule::Sgd { .. }, _) => "SGD",
            (Rule::Momentum { .. }, false) => "momentum",
            (Rule::Momentum { .. }, true) => "lazy momentum",
            (Rule::RmsProp { .. }, false) => "RMSProp",
            (Rule::RmsProp { .. }, true) => "lazy RMSProp",
            (Rule::Adam { .. }, false) => "Adam",
            (Rule::Adam { .. }, true) => "lazy Adam",
            (Rule::Adagrad { .. }, _) => "Adagrad",
        }
    }
}

const MOMENTUM: Rule = Rule::Momentum { learning_rate: 0.03, momentum: 0.9 };
const RMS_PROP: Rule = Rule::rms_prop(5e-4);
const ADAM: Rule = Rule::adam(1e-3);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    optimizers: Vec<Optimizer>,
    n_neurons: usize,
    /// numpy seeds of the orders of classes; none: the natural order.
    orders: Vec<Option<u32>>,
    epochs: usize,
    batch: usize,
    /// The GABA switch, as a part of the samples of the first task.
    switch: f64,
    evaluate_every: usize,
    n_resamples: usize,
    /// One start for each order.
    seeds: Vec<u64>,
}

struct Measured {
    /// By optimizer, a run for each order.
    runs: Vec<(Optimizer, Vec<Run>)>,
}

struct Run {
    accuracy: f64,
    /// Epochs, and the part of the neurons that are alive after them.
    alive: Vec<(f64, f64)>,
}

impl Measured {
    fn estimate(&self, config: &Config, name: &str, of: impl Fn(&Run) -> f64) -> Option<Estimate> {
        let (_, runs) = self.runs.iter().find(|(optimizer, _)| optimizer.name() == name)?;
        let values: Vec<f64> = runs.iter().map(of).collect();
        let mut rng =
            Seed::new(config.seeds[0]).stream(Optimizers::ID, &format!("bootstrap, {name}"));
        Estimate::of(&values, config.n_resamples, &mut rng).ok()
    }
}

fn alive_in_the_end(run: &Run) -> f64 {
    run.alive.last().map_or(0.0, |(_, alive)| *alive)
}

struct Optimizers;

impl Experiment for Optimizers {
    const ID: &'static str = "b08_optimizers";
    const TITLE: &'static str = "Optimizers that remember, and the neurons that they kill";
    const OUTPUTS: &'static [&'static str] = &["B-x16", "B-x17"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let orders = [None, Some(3), Some(15), Some(27), Some(97)];
        let (n, epochs, n_neurons) = match tier {
            Tier::Smoke => (1, 1, 200),
            Tier::Laptop => (5, 20, 1000),
            // Authors' code.
            Tier::Paper => (5, 500, 1000),
        };
        Config {
            optimizers: Optimizer::ALL.into(),
            n_neurons,
            orders: orders[..n].into(),
            epochs,
            batch: 128,
            switch: 0.8,
            evaluate_every: (epochs / 10).max(1),
            n_resamples: if tier == Tier::Smoke { 200 } else { 2000 },
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
            Tier::Smoke => Cost { minutes: 0.2, memory_mb: 500, disk_mb: 1 },
            Tier::Laptop => Cost { minutes: 3.5, memory_mb: 600, disk_mb: 2 },
            Tier::Paper => Cost { minutes: 150.0, memory_mb: 600, disk_mb: 2 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let Some([train, test]) = DATA.read(|file| context.read(file))? else {
            return Ok(Measured { runs: Vec::new() });
        };
        let units: Vec<(Optimizer, usize)> = (config.optimizers.iter())
            .flat_map(|optimizer| (0..config.orders.len()).map(move |order| (*optimizer, order)))
            .collect();
        let name = |(optimizer, order): &(Optimizer, usize)| {
            format!("{}, order {order}", optimizer.name())
        };
        let histories: Vec<Vec<Evaluation>> = context.parts(&units, name, |unit| {
            let (optimizer, order) = *unit;
            let split = DATA.split(config.orders[order], 2)?;
            let first = train.of(&split.tasks()[0]).len();
            let switch = config.switch * (config.epochs * first) as f64;
            let method = PaperMethod::Sdm.method(DATA, config.n_neurons, switch, 0);
            let Method::Net(sdm) = method else { anyhow::bail!("the SDM layer is a net") };
            let learner =
                LearnerConfig { rule: optimizer.rule, lazy: optimizer.lazy, ..sdm.learner };
            let method = Method::Net(NetMethod { learner, ..sdm });
            // One name for all: they begin with the same weights and see the same batches.
            let draws = Draws {
                seed: Seed::new(config.seeds[order]),
                id: Self::ID,
                purpose: &format!("order {order}"),
            };
            let Config { epochs, batch, evaluate_every, .. } = *config;
            let schedule = Schedule { epochs, batch, evaluate_every };
            let student = Student::taught(method, &split, [&train, &test], schedule, draws)?;
            Ok(student.history().to_vec())
        })?;
        let mut runs: Vec<(Optimizer, Vec<Run>)> = Vec::new();
        for ((optimizer, order), history) in units.iter().zip(histories) {
            let split = DATA.split(config.orders[*order], 2)?;
            let n = config.n_neurons as f64;
            let alive =
                history.iter().map(|at| (at.epoch as f64, at.n_alive.unwrap_or(0) as f64 / n));
            let alive = alive.collect();
            let run = Run { accuracy: Scores::new(&split, &test, &history).last(), alive };
            match runs.last_mut() {
                Some((last, all)) if last == optimizer => all.push(run),
                _ => runs.push((*optimizer, vec![run])),
            }
        }
        Ok(Measured { runs })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for (optimizer, _) in &measured.runs {
            let name = optimizer.name();
            for (what, of) in
                [("accuracy", (|run| run.accuracy) as fn(&Run) -> f64), ("alive", alive_in_the_end)]
            {
                if let Some(estimate) = measured.estimate(config, name, of) {
                    // Training: last bits differ between CPU classes and grow.
                    numbers.insert(format!("{name}.{what}"), estimate.mean.drift_tol(0.03));
                }
            }
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        if measured.runs.is_empty() {
            return Vec::new();
        }
        vec![ends(config, measured).into(), over_training(config, measured).into()]
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let text = "momentum that is stale pushes weights off the data and kills neurons: fewer stay alive";
        let pairs = [
            ("sgd", "momentum", "the paper: stale momentum", text),
            ("sgd", "rms_prop", "the paper: stale momentum", text),
            ("sgd", "adam", "the paper: stale momentum", text),
            ("lazy_momentum", "momentum", Claim::OURS, "lazy momentum keeps more neurons alive"),
            ("lazy_rms_prop", "rms_prop", Claim::OURS, "lazy RMSProp keeps more neurons alive"),
            ("lazy_adam", "adam", Claim::OURS, "lazy Adam keeps more neurons alive"),
        ];
        let mut claims = Vec::new();
        for (more, less, source, text) in pairs {
            let of = |name| measured.estimate(config, name, alive_in_the_end);
            let (Some(one), Some(other)) = (of(more), of(less)) else { continue };
            let id = format!("b08.alive_{more}_{less}");
            let items = [(more, one.mean), (less, other.mean)];
            let note = match (more, source == Claim::OURS) {
                ("lazy_rms_prop" | "lazy_adam", _) => {
                    "an average that rests does not decay either, so that a neuron's first step after silence is no \
                     longer outsized, nor small; why more neurons die was not looked into"
                }
                (_, false) => {
                    "the authors count on pixels, over 1,000 epochs a task; here 20, on embeddings"
                }
                (_, true) => {
                    "with this schedule no neuron dies with momentum, so that there is nothing to cure"
                }
            };
            claims.push(Claim::about(&id, source, text).ordered(&items).note(note));
        }
        claims
    }
}

fn main() -> ExitCode {
    experiment::main::<Optimizers>()
}

fn ends(config: &Config, measured: &Measured) -> Figure {
    let rows = |of: fn(&Run) -> f64| -> Vec<(&str, Estimate)> {
        let rows = measured.runs.iter().filter_map(|(optimizer, _)| {
            Some((optimizer.label(), measured.estimate(config, optimizer.name(), of)?))
        });
        rows.collect()
    };
    let (alive, accuracy) = (rows(alive_in_the_end), rows(|run| run.accuracy));
    let panel = |label: &str, rows: &[(&str, Estimate)]| {
        let rows: Vec<_> = rows.iter().map(|(label, estimate)| (*label, estimate)).collect();
        dot_plot(Axis::linear(label).range(0.0, 1.0), &rows)
    };
    Figure::new("B-x16", "The SDM layer by optimizer: neurons alive, and what is remembered")
        .caption(&format!(
            "The part of {} neurons that are active for a test sample at least after five tasks on CIFAR-10 \
             embeddings, and the accuracy on all classes: each order of classes, the mean, and its 95 % interval by \
             bootstrap over orders. A lazy optimizer lets neurons without a gradient rest. Dotted: knowing the last \
             task only.",
            config.n_neurons
        ))
        .width(Width::Page)
        .columns(2)
        .panel_height_mm(50.0)
        .panel(panel("neurons alive", &alive))
        .panel(panel("accuracy", &accuracy).mark(Mark::vline(0.2).dotted().series("last task only")))
}

fn over_training(config: &Config, measured: &Measured) -> Figure {
    let mut figure = Figure::new("B-x17", "Neurons alive over training")
        .caption(
            "The part of the neurons that are active for a sample of the whole test set at least, over five tasks; \
             means and 95 % intervals over orders of classes. Dotted: a task ends.",
        )
        .width(Width::Page)
        .columns(2)
        .share_y();
    let panels = [
        ("usual", ["sgd", "momentum", "rms_prop", "adam"]),
        ("lazy", ["sgd", "lazy_momentum", "lazy_rms_prop", "lazy_adam"]),
    ];
    let colors = [Color::Blue, Color::Vermilion, Color::Amber, Color::Purple];
    for (title, names) in panels {
        let mut panel =
            Panel::new(Axis::linear("epoch"), Axis::linear("neurons alive").range(0.0, 1.0))
                .title(title)
                .legend();
        for end in 1..5 {
            let end = (end * config.epochs) as f64;
            panel = panel.mark(Mark::vline(end).dotted().series("a task ends"));
        }
        for (name, color) in names.into_iter().zip(colors) {
            let Some((optimizer, runs)) = measured.runs.iter().find(|(o, _)| o.name() == name)
            else {
                continue;
            };
            let x: Vec<f64> = runs[0].alive.iter().map(|(epoch, _)| *epoch).collect();
            let estimates: Vec<Estimate> = (0..x.len())
                .filter_map(|at| measured.estimate(config, name, |run| run.alive[at].1))
                .collect();
            panel = panel.marks(curve(&x, &estimates, optimizer.label(), color));
        }
        figure = figure.panel(panel);
    }
    figure
}
