//! Paper B: what pretraining is worth.
//!
//! The authors train nets on ImageNet32 before the first task, head and all, and give them a fresh head then; without
//! it the layer must find its addresses while tasks go by. ImageNet32 is not to be had; embeddings of CIFAR-100, through
//! the same ConvMixer, stand in for it here. They share no image and no class with CIFAR-10.
//!
//! *Expected:* with few active neurons much is gained: the authors' pretrained nets remember most with k = 1 (0.737),
//! while b06 finds, without pretraining, least there. *Visible:* both curves against k. *Run:* `just run b11`; four
//! minutes. *Data:* `just data cifar10-convmixer cifar100-convmixer`.
//!
//! *Departures:* CIFAR-100 in the place of ImageNet32, 10 epochs of it in the place of 300, 10 epochs a task in the
//! place of 500. As in the authors' runs for this figure, weights may be negative, and after pretraining no neuron
//! switches any more but those that were hardly ever active.

use std::process::ExitCode;

use anyhow::Result;
use continual::{
    Benchmark, Dataset, Draws, Method, NetMethod, PaperMethod, Schedule, Split, Student,
};
use experiment::figures::{Axis, Color, Figure, Mark, Panel};
use experiment::{
    Claim, Context, Cost, Drawing, Estimate, Experiment, Input, Numbers, Tier, Tolerance, curve,
};
use kernels::Rule;
use sdm::layer::{LearnerConfig, NetConfig};
use seed::Seed;
use serde::{Deserialize, Serialize};

const DATA: Benchmark = Benchmark::Cifar10;
const BEFORE: Benchmark = Benchmark::Cifar100;
/// k and the accuracy of the authors' pretrained nets on Split CIFAR-10.
const PUBLISHED: [(usize, f64); 6] =
    [(1, 0.737), (3, 0.68), (10, 0.61), (20, 0.50), (50, 0.41), (250, 0.339)];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Active neurons.
    ks: Vec<usize>,
    n_neurons: usize,
    /// Epochs of pretraining, and of a task.
    epochs: (usize, usize),
    batch: usize,
    /// The GABA switch: in samples of pretraining, and as a part of the first task's without it.
    switches: (f64, f64),
    n_resamples: usize,
    seeds: Vec<u64>,
}

/// By k, for each seed: accuracy after five tasks without and with pretraining.
struct Measured {
    reached: Vec<(usize, Vec<[f64; 2]>)>,
}

impl Measured {
    fn estimate(&self, config: &Config, k: usize, pretrained: usize) -> Option<Estimate> {
        let (_, reached) = self.reached.iter().find(|(other, _)| *other == k)?;
        let values: Vec<f64> = reached.iter().map(|both| both[pretrained]).collect();
        let purpose = format!("bootstrap, {k}, {pretrained}");
        let mut rng = Seed::new(config.seeds[0]).stream(Pretraining::ID, &purpose);
        Estimate::of(&values, config.n_resamples, &mut rng).ok()
    }
}

struct Pretraining;

impl Experiment for Pretraining {
    const ID: &'static str = "b11_pretraining";
    const TITLE: &'static str = "What pretraining is worth";
    const OUTPUTS: &'static [&'static str] = &["B-x27"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let (ks, n_neurons, epochs, seeds) = match tier {
            Tier::Smoke => (vec![1, 10], 200, (1, 1), vec![0]),
            Tier::Laptop => (vec![1, 3, 10, 50], 1000, (10, 10), vec![0, 1, 2]),
            Tier::Paper => (PUBLISHED.map(|(k, _)| k).into(), 1000, (300, 500), vec![0, 1, 2]),
        };
        let n_resamples = if tier == Tier::Smoke { 200 } else { 2000 };
        // Authors' code: 500,000 samples of pretraining.
        let switches = (5e5, 0.8);
        Config { ks, n_neurons, epochs, batch: 128, switches, n_resamples, seeds }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn inputs(_: &Config) -> Vec<Input> {
        Input::each([DATA, BEFORE].into_iter().flat_map(Benchmark::files), Self::OUTPUTS)
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.2, memory_mb: 700, disk_mb: 1 },
            Tier::Laptop => Cost { minutes: 3.0, memory_mb: 800, disk_mb: 1 },
            Tier::Paper => Cost { minutes: 600.0, memory_mb: 800, disk_mb: 1 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let read = |data: Benchmark| data.read(|file| context.read(file));
        let (Some([train, test]), Some([before, _])) = (read(DATA)?, read(BEFORE)?) else {
            return Ok(Measured { reached: Vec::new() });
        };
        let units: Vec<(usize, u64)> = (config.ks.iter())
            .flat_map(|k| config.seeds.iter().map(move |seed| (*k, *seed)))
            .collect();
        let name = |(k, seed): &(usize, u64)| format!("k {k}, seed {seed}");
        let reached: Vec<[f64; 2]> = context.parts(&units, name, |unit| {
            let (k, seed) = *unit;
            let purpose = name(unit);
            let draws = Draws { seed: Seed::new(seed), id: Self::ID, purpose: &purpose };
            let split = DATA.split(None, 2)?;
            let n_first = config.epochs.1 * train.of(&split.tasks()[0]).len();
            let plain =
                Student::new(method(config, DATA, k, config.switches.1 * n_first as f64)?, draws)?;
            let pretrained = pretrained(config, k, &before, draws)?;
            let accuracy = |student| taught(config, student, &split, [&train, &test], draws);
            Ok([accuracy(plain)?, accuracy(pretrained)?])
        })?;
        let by_k = config.ks.iter().zip(reached.chunks(config.seeds.len()));
        Ok(Measured { reached: by_k.map(|(k, reached)| (*k, reached.to_vec())).collect() })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for k in &config.ks {
            for (at, what) in ["plain", "pretrained"].iter().enumerate() {
                if let Some(estimate) = measured.estimate(config, *k, at) {
                    // Training: last bits differ between CPU classes and grow.
                    numbers.insert(format!("k{k:03}.{what}"), estimate.mean.drift_tol(0.03));
                }
            }
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        if measured.reached.is_empty() { Vec::new() } else { vec![by_k(config, measured).into()] }
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let of = |k, pretrained| measured.estimate(config, k, pretrained);
        let mut claims = Vec::new();
        for (k, published) in PUBLISHED {
            if let Some(estimate) = of(k, 1) {
                let text = format!("k = {k} of 1,000 neurons, pretrained, Split CIFAR-10");
                claims.push(
                    Claim::about(&format!("b11.k{k:03}"), "the authors' code", &text)
                        .equals(published, Tolerance::Absolute(0.03), &estimate.mean)
                        .null("last task only", 0.2)
                        .not_comparable("pretrained on CIFAR-100 embeddings, not on ImageNet32, and fewer epochs"),
                );
            }
        }
        for (low, high) in [(1, 10), (10, 50)] {
            let (Some(few), Some(many)) = (of(low, 1), of(high, 1)) else { continue };
            let text = format!("after pretraining {low} active neurons remember more than {high}");
            let names = [low, high].map(|k| format!("k = {k}"));
            let items = [(names[0].as_str(), few.mean), (names[1].as_str(), many.mean)];
            let id = format!("b11.fall_{low}_{high}");
            let claim = Claim::about(&id, "the authors' code", &text).ordered(&items);
            claims.push(claim.note(&departures(config)));
        }
        for k in [1, 10] {
            let (Some(plain), Some(pretrained)) = (of(k, 0), of(k, 1)) else { continue };
            let text = format!("pretraining helps to remember with k = {k}");
            let items = [("pretrained", pretrained.mean), ("not", plain.mean)];
            let id = format!("b11.helps_k{k:03}");
            let claim = Claim::about(&id, Claim::OURS, &text).ordered(&items);
            claims.push(claim.note(&departures(config)));
        }
        claims
    }
}

/// On what is claimed of pretraining.
fn departures(config: &Config) -> String {
    let Config { epochs: (before, task), ref seeds, .. } = *config;
    format!(
        "after {before} epochs of CIFAR-100 and {task} a task, where the authors have 300 of ImageNet32 and 500; over \
         starts (n = {}), which part widely where few neurons are active",
        seeds.len()
    )
}

fn main() -> ExitCode {
    experiment::main::<Pretraining>()
}

/// The SDM layer with k active neurons and weights of both signs.
fn method(config: &Config, data: Benchmark, k: usize, switch: f64) -> Result<Method> {
    let Method::Net(sdm) = PaperMethod::Sdm.method(data, config.n_neurons, switch, 0) else {
        anyhow::bail!("the SDM layer is a net");
    };
    let net = NetConfig::sdm(data.n_inputs(), config.n_neurons, data.n_classes(), k, switch);
    Ok(Method::Net(NetMethod { net: NetConfig { non_negative: false, ..net }, ..sdm }))
}

/// A student whose net learned all classes of the other data at once, with momentum, and has a fresh head.
fn pretrained(config: &Config, k: usize, before: &Dataset, draws: Draws) -> Result<Student> {
    let switch = config.switches.0;
    let Method::Net(usual) = method(config, BEFORE, k, switch)? else {
        anyhow::bail!("the SDM layer is a net");
    };
    let momentum = Rule::Momentum { learning_rate: 0.03, momentum: 0.9 };
    let learner = LearnerConfig::with(momentum);
    let purpose = format!("{}, pretraining", draws.purpose);
    let own = Draws { purpose: &purpose, ..draws };
    let all = BEFORE.split(None, BEFORE.n_classes())?;
    let schedule =
        Schedule { epochs: config.epochs.0, batch: config.batch, evaluate_every: config.epochs.0 };
    // It is asked a few samples only: what it answers is of no use here.
    let few = before.select(&(0..config.batch.min(before.len())).collect::<Vec<_>>());
    let method = Method::Net(NetMethod { learner, ..usual });
    let student = Student::taught(method, &all, [before, &few], schedule, own)?;
    let Some(net) = student.net().cloned() else { anyhow::bail!("the student has a net") };
    let mut rng = draws.seed.stream(draws.id, &format!("{}, head", draws.purpose));
    Ok(Student::with_net(net.with_new_head(DATA.n_classes(), &mut rng)?, usual)?)
}

fn taught(
    config: &Config,
    mut student: Student,
    split: &Split,
    [train, test]: [&Dataset; 2],
    draws: Draws,
) -> Result<f64> {
    let epochs = config.epochs.1;
    let schedule = Schedule { epochs, batch: config.batch, evaluate_every: epochs };
    for _ in split.tasks() {
        student.learn_next(split, train, test, schedule, draws)?;
    }
    Ok(student.accuracy(test)?)
}

fn by_k(config: &Config, measured: &Measured) -> Figure {
    let mut panel =
        Panel::new(Axis::log10("active neurons k"), Axis::linear("accuracy").range(0.0, 1.0));
    let x: Vec<f64> = measured.reached.iter().map(|(k, _)| *k as f64).collect();
    for (at, label, color) in [(1, "pretrained", Color::Blue), (0, "not pretrained", Color::Sky)] {
        let estimates: Vec<Estimate> =
            config.ks.iter().filter_map(|k| measured.estimate(config, *k, at)).collect();
        panel = panel.marks(curve(&x, &estimates, label, color));
    }
    let (k, published): (Vec<f64>, Vec<f64>) =
        PUBLISHED.map(|(k, accuracy)| (k as f64, accuracy)).into_iter().unzip();
    panel = panel
        .mark(Mark::points(&k, &published).color(Color::Amber).label("authors, pretrained"))
        .mark(Mark::hline(0.2).dotted().color(Color::Gray).series("last task only"));
    Figure::new("B-x27", "Pretraining on other images")
        .caption(&format!(
            "Accuracy on CIFAR-10 embeddings after five tasks of two classes against the number of active neurons, \
             with and without pretraining on embeddings of CIFAR-100 (which stands in for ImageNet32); means and \
             95 % intervals over starts (n = {}). Points: the authors' nets, pretrained on ImageNet32. Dotted: knowing the \
             last task only.",
            config.seeds.len()
        ))
        .panel(panel)
}
