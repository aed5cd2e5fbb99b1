//! Paper B: how far a neuron moves that has no gradient.
//!
//! A neuron outside of the k winners has no gradient, and still moves by what the optimizer remembers: momentum and
//! Adam go on in the old direction, and RMSProp and Adam, which forget how large gradients were, answer the next one
//! with a leap. The paper shows it on a toy: one weight whose gradient is 0.2 at nine of a hundred steps.
//!
//! *Expected:* the updates of the authors' toy, to four digits. *Visible:* steps without a gradient on which momentum
//! and Adam move on, and leaps of RMSProp and Adam after silence. A lazy optimizer rests.
//! *Run:* `just run b01`; seconds.
//!
//! *Departures:* beside the toy's Adam, which divides by 1 − β at every step, stands Adam as it is defined. What the
//! authors' "pairwise" figure pairs is not known; here it is each two rules.

use std::process::ExitCode;

use anyhow::Result;
use experiment::figures::{Axis, Color, Figure, Mark, Panel, Width};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Number, Numbers, Tier};
use kernels::{Correction, Gradient, Optimizer, Rule};
use serde::{Deserialize, Serialize};

/// The toy's rules with rate 1: name, label, color.
const RULES: [(&str, &str, Rule, Color); 5] = [
    ("sgd", "SGD", Rule::Sgd { learning_rate: 1.0 }, Color::Ink),
    ("momentum", "momentum", Rule::Momentum { learning_rate: 1.0, momentum: 0.9 }, Color::Blue),
    ("rms_prop", "RMSProp", Rule::rms_prop(1.0), Color::Vermilion),
    ("adam_toy", "Adam of the toy", adam(Correction::Constant), Color::Green),
    ("adam", "Adam", adam(Correction::Standard), Color::Purple),
];

const fn adam(correction: Correction) -> Rule {
    Rule::Adam { learning_rate: 1.0, decays: (0.9, 0.999), correction }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Steps of the toy.
    n_steps: usize,
    /// Those with a gradient.
    gradient_at: Vec<usize>,
    /// The gradient there.
    gradient: f32,
}

/// What one rule does.
struct Moves {
    /// The update of every step.
    plain: Vec<f64>,
    /// The same of a lazy optimizer.
    lazy: Vec<f64>,
    /// The update of step i, if only steps 0, 1 and i have a gradient, less that of SGD.
    after_silence: Vec<f64>,
}

struct Measured {
    by_rule: Vec<Moves>,
}

struct StaleMomentum;

impl Experiment for StaleMomentum {
    const ID: &'static str = "b01_stale_momentum";
    const TITLE: &'static str = "How far a neuron moves without a gradient";
    const OUTPUTS: &'static [&'static str] = &["B-x01", "B-x02", "B-x03", "B-x04", "B-x05"];
    type Config = Config;
    type Measured = Measured;

    fn config(_: Tier) -> Config {
        // Authors' notebook.
        Config { n_steps: 100, gradient_at: vec![0, 1, 20, 22, 23, 24, 25, 50, 90], gradient: 0.2 }
    }

    fn cost(_: Tier) -> Cost {
        Cost { minutes: 0.02, memory_mb: 60, disk_mb: 3 }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let at = |steps: &[usize]| -> Vec<f32> {
            (0..config.n_steps)
                .map(|step| if steps.contains(&step) { config.gradient } else { 0.0 })
                .collect()
        };
        let by_rule = RULES.iter().map(|(.., rule, _)| {
            context.step(RULES.len());
            let gradients = at(&config.gradient_at);
            let after = |step: usize| {
                let moves = updates(*rule, false, &at(&[0, 1, step]));
                moves[step] - f64::from(config.gradient)
            };
            Moves {
                plain: updates(*rule, false, &gradients),
                lazy: updates(*rule, true, &gradients),
                after_silence: (2..config.n_steps).map(after).collect(),
            }
        });
        Ok(Measured { by_rule: by_rule.collect() })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for ((name, ..), moves) in RULES.iter().zip(&measured.by_rule) {
            for step in &config.gradient_at {
                numbers.insert(
                    format!("{name}.update_at_{step:02}"),
                    Number::exact(moves.plain[*step]),
                );
            }
            let silent = (0..config.n_steps).filter(|step| !config.gradient_at.contains(step));
            let drift: f64 = silent.map(|step| moves.plain[step].abs()).sum();
            numbers.insert(format!("{name}.moved_without_gradient"), Number::exact(drift));
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        vec![
            spikes(config, measured).into(),
            components(config).into(),
            after_silence("B-x03", measured, false).into(),
            after_silence("B-x04", measured, true).into(),
            pairs(config, measured).into(),
        ]
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let toy = "the authors' notebook, recomputed independently";
        let gap = |pairs: &[(usize, f64)], of: &dyn Fn(usize) -> Option<f64>| {
            let gaps = pairs
                .iter()
                .map(|(step, value)| (of(*step).unwrap_or(f64::INFINITY) - value).abs());
            Number::exact(gaps.fold(0.0, f64::max))
        };
        let published = [
            (
                1,
                [(1, 0.3800), (25, 0.8362), (50, 0.2600), (90, 0.2038)],
                [(9, 0.1636), (49, 0.0024), (98, 0.0)],
            ),
            (
                2,
                [(1, 7.0888), (25, 3.9360), (50, 4.0754), (90, 4.4598)],
                [(9, 5.7378), (49, 6.4989), (98, 7.3578)],
            ),
            (
                3,
                [(1, 1.3438), (25, 1.5870), (50, 0.4665), (90, 0.3503)],
                [(9, 0.8525), (49, 0.3938), (98, 0.3962)],
            ),
        ];
        let mut claims = Vec::new();
        for (rule, updates, silences) in published {
            let (name, label, ..) = RULES[rule];
            let moves = &measured.by_rule[rule];
            let text = format!("updates of {label} at steps 1, 25, 50 and 90");
            let largest = gap(&updates, &|step| moves.plain.get(step).copied());
            claims.push(Claim::about(&format!("b01.{name}"), toy, &text).at_most(
                6e-5,
                "largest gap to the published",
                &largest,
            ));
            let text = format!(
                "what {label} does more than SGD at steps 9, 49 and 98, after silence from step 2"
            );
            let largest = gap(&silences, &|step| moves.after_silence.get(step - 2).copied());
            claims.push(Claim::about(&format!("b01.{name}_after_silence"), toy, &text).at_most(
                6e-5,
                "largest gap to the published",
                &largest,
            ));
        }
        let silent = (0..config.n_steps).filter(|step| !config.gradient_at.contains(step));
        let silent: Vec<usize> = silent.collect();
        let lazy = measured
            .by_rule
            .iter()
            .flat_map(|moves| silent.iter().map(|step| moves.lazy[*step].abs()));
        let largest = Number::exact(lazy.fold(0.0, f64::max));
        let text = "a lazy optimizer, of any of these rules, moves no weight without a gradient";
        claims.push(Claim::about("b01.lazy", Claim::OURS, text).at_most(
            0.0,
            "largest update without a gradient",
            &largest,
        ));
        claims
    }
}

fn main() -> ExitCode {
    experiment::main::<StaleMomentum>()
}

/// What is taken from the weight at each step. A step without a gradient is one of a neuron that did not win.
fn updates(rule: Rule, lazy: bool, gradients: &[f32]) -> Vec<f64> {
    let mut optimizer = Optimizer::new(rule, lazy, 1, 1);
    let mut step = |gradient: &f32| {
        let mut weight = [0.0];
        let own = [*gradient];
        let (rows, values): (&[u32], &[f32]) =
            if *gradient == 0.0 { (&[], &[]) } else { (&[0], &own) };
        optimizer.step(&mut weight, Gradient { rows: Some(rows), values });
        f64::from(-weight[0])
    };
    gradients.iter().map(&mut step).collect()
}

fn steps(n: usize) -> Vec<f64> {
    (0..n).map(|step| step as f64).collect()
}

fn spikes(config: &Config, measured: &Measured) -> Figure {
    let mut figure = Figure::new("B-x01", "Updates of one weight whose gradient is mostly zero")
        .caption(
            "What is taken from the weight at each step, rate 1; dots stand at the steps with a gradient of 0.2. Dashed: \
             the same rule when it is lazy, and rests without a gradient.",
        )
        .width(Width::Page)
        .columns(3)
        .panel_height_mm(34.0);
    let x = steps(config.n_steps);
    for ((_, label, _, color), moves) in RULES.iter().zip(&measured.by_rule) {
        let at: Vec<f64> = config.gradient_at.iter().map(|step| *step as f64).collect();
        let y: Vec<f64> = config.gradient_at.iter().map(|step| moves.plain[*step]).collect();
        figure = figure.panel(
            Panel::new(Axis::linear("step"), Axis::linear("update"))
                .title(label)
                .mark(Mark::line(&x, &moves.plain).color(*color).series("update"))
                .mark(Mark::line(&x, &moves.lazy).color(Color::Gray).dashed().series("lazy"))
                .mark(Mark::points(&at, &y).color(*color).series("with a gradient")),
        );
    }
    figure
}

/// The moments that Adam and RMSProp remember, by their definitions.
fn components(config: &Config) -> Figure {
    let gradient = |step: usize| {
        f64::from(if config.gradient_at.contains(&step) { config.gradient } else { 0.0 })
    };
    let average = |decay: f64, power: i32| -> Vec<f64> {
        let mut value = 0.0;
        let terms = (0..config.n_steps).map(|step| {
            let term = if power == 2 { gradient(step) * gradient(step) } else { gradient(step) };
            value = decay * value + (1.0 - decay) * term;
            value
        });
        terms.collect()
    };
    let x = steps(config.n_steps);
    let root = |values: Vec<f64>| values.into_iter().map(f64::sqrt).collect::<Vec<f64>>();
    let panels = [
        ("Adam: mean of gradients", average(0.9, 1), Color::Green),
        ("Adam: root mean square", root(average(0.999, 2)), Color::Green),
        ("RMSProp: root mean square", root(average(0.99, 2)), Color::Vermilion),
    ];
    let mut figure = Figure::new("B-x02", "What Adam and RMSProp remember")
        .caption(
            "The averages that the rules divide and multiply by, without correction for their start: Adam's mean fades \
             within tens of steps, the mean square that it is divided by within thousands; RMSProp's within hundreds.",
        )
        .width(Width::Page)
        .columns(3)
        .panel_height_mm(34.0);
    for (title, y, color) in panels {
        let panel = Panel::new(Axis::linear("step"), Axis::linear("average")).title(title);
        figure = figure.panel(panel.mark(Mark::line(&x, &y).color(color).series(title)));
    }
    figure
}

/// What a rule does more than SGD on the first gradient after silence.
fn after_silence(id: &str, measured: &Measured, log: bool) -> Figure {
    let excess = "update, less SGD's 0.2";
    let y = if log { Axis::log10(excess).range(1e-4, 30.0) } else { Axis::linear(excess) };
    let mut panel = Panel::new(Axis::linear("step of the third gradient"), y);
    for ((_, label, _, color), moves) in RULES.iter().zip(&measured.by_rule).skip(1) {
        let pairs = (2..).map(f64::from).zip(moves.after_silence.iter().copied());
        let (x, y): (Vec<f64>, Vec<f64>) = pairs.filter(|(_, y)| !log || *y > 1e-4).unzip();
        panel = panel.mark(Mark::line(&x, &y).color(*color).label(label));
    }
    Figure::new(id, if log { "A gradient after silence, logarithmic" } else { "A gradient after silence" })
        .caption(
            "Gradients of 0.2 at steps 0 and 1 and at one more: how much more than SGD's 0.2 is taken there. Momentum's \
             excess fades with silence; RMSProp's grows, since it forgets how large gradients were.",
        )
        .panel(panel)
}

/// The updates of each two rules, less each other.
fn pairs(config: &Config, measured: &Measured) -> Figure {
    let mut figure = Figure::new("B-x05", "Updates of two rules, less each other")
        .caption("The update of the first rule less that of the second at every step of the toy, for each two rules.")
        .width(Width::Page)
        .columns(3)
        .panel_height_mm(30.0);
    let x = steps(config.n_steps);
    let rules: Vec<_> = RULES.iter().zip(&measured.by_rule).take(4).collect();
    for (place, ((_, first, ..), moves)) in rules.iter().enumerate() {
        for ((_, second, ..), others) in &rules[..place] {
            let pair = moves.plain.iter().zip(&others.plain);
            let y: Vec<f64> = pair.map(|(a, b)| a - b).collect();
            let title = format!("{first} − {second}");
            let panel = Panel::new(Axis::linear("step"), Axis::linear("difference")).title(&title);
            figure = figure.panel(panel.mark(Mark::line(&x, &y).color(Color::Blue).series(&title)));
        }
    }
    figure
}
