//! Paper C, before its first figure: do dictionaries find features that are there?
//!
//! The paper judged features by eye, since nobody knows those of a language model. Here activations are sums of 1,024
//! features in 128 dimensions that are known: they fire by Zipf's law, with correlations, and two thirds of them in trees,
//! where a child fires with its parent only, and never with a sibling. Every architecture is trained on the same rows at
//! several sparsities, and compared where as many latents are active as features are: how well it reconstructs, which the
//! papers report, and how much of the truth it has, which they could not.
//!
//! *Expected:* no published values of this setting. *Visible:* fidelity and recovery against L0; at matched L0 beside
//! dictionaries that were not trained, or in part, and PCA and ICA. *Run:* `just run c00`; twelve minutes. *Data:* none.
//!
//! *Departures:* modeled on `SynthSAEBench` (arXiv 2602.14687), a sixteenth of its features. Learning rates (0.003) and
//! penalties were chosen on a toy of another seed, and thresholds of JumpReLU begin, and are as wide, as a third of a
//! feature's size, since runs have hundreds of steps where published ones have hundreds of thousands.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use dictionaries::{DrawnRows, Source};
use experiment::figures::{Axis, Cell, Color, Figure, Mark, Panel, Stroke, Table, Width};
use experiment::{
    Claim, Context, Cost, Drawing, Estimate, Experiment, Number, Numbers, Tier, dot_plot,
};
use interp::{
    IcaConfig, ToyScore, ToyTruth, at_l0, independent_components, principal_components, spearman,
};
use sae::{Architecture, Freeze, Member, Recipe, RunConfig, Scaling, Trainer};
use seed::Seed;
use serde::{Deserialize, Serialize};
use world::toy::{Sample, ToyConfig, ToyModel};

/// Who is compared, in the order of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Relu,
    UnitRelu,
    PAnneal,
    Gated,
    JumpRelu,
    TopK,
    BatchTopK,
    Matryoshka,
}

impl Kind {
    const fn label(self) -> &'static str {
        match self {
            Self::Relu => "ReLU (paper C)",
            Self::UnitRelu => "ReLU (2023)",
            Self::PAnneal => "p-annealing",
            Self::Gated => "Gated",
            Self::JumpRelu => "JumpReLU",
            Self::TopK => "TopK",
            Self::BatchTopK => "BatchTopK",
            Self::Matryoshka => "Matryoshka",
        }
    }

    /// `value` is the penalty, or the number of active latents where that is set.
    fn recipe(self, config: &Config, value: f64) -> Recipe {
        let Config { n_latents: n, n_steps, d_model: d, .. } = *config;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a k above 0")]
        let k = value as usize;
        let mut recipe = match self {
            Self::Relu => Recipe::paper_c(n),
            Self::UnitRelu => Recipe::unit_relu(n, value),
            Self::PAnneal => Recipe::p_anneal(n, value),
            Self::Gated => Recipe::gated(n, value),
            Self::JumpRelu => Recipe::jump_relu(n, d, value),
            Self::TopK => Recipe::top_k(n, d, k),
            Self::BatchTopK => Recipe::batch_top_k(n, d, k, n_steps),
            Self::Matryoshka => Recipe::matryoshka(n, d, k, n_steps),
        };
        match &mut recipe.architecture {
            Architecture::Relu(relu) => relu.penalty = value,
            Architecture::JumpRelu(jump) => {
                jump.bandwidth = config.threshold;
                jump.initial_threshold = config.threshold;
            }
            _ => {}
        }
        recipe.with_learning_rate(config.learning_rate)
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    n_features: usize,
    d_model: usize,
    n_latents: usize,
    n_steps: u32,
    batch_rows: usize,
    /// Rows that measure, none of them learned.
    n_test: usize,
    learning_rate: f32,
    /// θ at the beginning and ε of `JumpReLU`, where E‖x‖² is the width.
    threshold: f32,
    /// L0 at which all are compared.
    matched_l0: f64,
    /// Each with its penalties, or numbers of active latents.
    kinds: Vec<(Kind, Vec<f64>)>,
    n_resamples: usize,
    /// One toy and one start for each.
    seeds: Vec<u64>,
}

/// The name in the record, the label, and how it is read.
type Quantity = (&'static str, &'static str, fn(&ToyScore) -> f64);
const QUANTITIES: [Quantity; 7] = [
    ("fvu", "unexplained variance", |point| point.fvu),
    ("mcc", "MCC", |point| point.mcc),
    ("alone", "features alone, found", |point| point.alone),
    ("tree", "features in trees, found", |point| point.tree),
    ("tree_cosine", "cosine of features in trees", |point| point.tree_cosine),
    ("precision", "latents that are features", |point| point.precision),
    ("f1", "mean F1 of firing", |point| point.f1),
];
/// Labels and names of what is compared beside trained dictionaries.
const BASELINES: [(&str, &str); 6] = [
    ("soft_frozen", "TopK, decoder within 0.8"),
    ("frozen_decoder", "TopK, decoder frozen"),
    ("frozen_encoder", "TopK, encoder frozen"),
    ("untrained", "TopK, untrained"),
    ("ica", "ICA"),
    ("pca", "PCA"),
];

/// What was measured of one toy.
#[derive(Serialize, Deserialize)]
struct Trained {
    /// Features that fire in a row, on average.
    true_l0: f64,
    /// The share of features that stand alone.
    share_alone: f64,
    /// Of the times that a feature with children fires, those at which a child does.
    with_child: f64,
    /// By kind and value.
    points: Vec<Vec<ToyScore>>,
    /// In the order of [`BASELINES`].
    baselines: Vec<ToyScore>,
}

struct Measured {
    toys: Vec<Trained>,
}

impl Measured {
    /// A quantity of each toy where L0 is the matched one; none where a toy has none there.
    fn matched(&self, config: &Config, kind: usize, of: fn(&ToyScore) -> f64) -> Option<Vec<f64>> {
        let of_toy = |toy: &Trained| {
            let points: Vec<_> =
                toy.points[kind].iter().map(|point| (point.l0, of(point))).collect();
            at_l0(&points, config.matched_l0)
        };
        self.toys.iter().map(of_toy).collect()
    }

    /// All that is compared at the matched L0: name, label, and a quantity of each toy.
    fn rows(
        &self,
        config: &Config,
        of: fn(&ToyScore) -> f64,
    ) -> Vec<(String, &'static str, Vec<f64>)> {
        let kinds = config.kinds.iter().enumerate().filter_map(|(at, (kind, _))| {
            let values = self.matched(config, at, of)?;
            Some((format!("{kind:?}").to_lowercase(), kind.label(), values))
        });
        let baselines = BASELINES.iter().enumerate().map(|(at, (name, label))| {
            let values = self.toys.iter().map(|toy| of(&toy.baselines[at])).collect();
            ((*name).to_owned(), *label, values)
        });
        kinds.chain(baselines).collect()
    }
}

fn estimate(config: &Config, name: &str, values: &[f64]) -> Result<Estimate> {
    let mut rng = Seed::new(config.seeds[0]).stream(Calibration::ID, &format!("bootstrap {name}"));
    Estimate::of(values, config.n_resamples, &mut rng)
}

struct Calibration;

impl Experiment for Calibration {
    const ID: &'static str = "c00_calibration";
    const TITLE: &'static str = "Dictionaries of features that are known";
    const OUTPUTS: &'static [&'static str] = &["C-y01", "C-y02", "C-y03"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let smoke = tier == Tier::Smoke;
        let kinds = vec![
            (Kind::Relu, vec![3.0, 5.0, 8.0]),
            (Kind::UnitRelu, vec![2.0, 3.0, 4.0]),
            (Kind::PAnneal, vec![0.7, 2.0, 3.0]),
            (Kind::Gated, vec![2.0, 4.0, 8.0]),
            (Kind::JumpRelu, vec![8.0, 16.0, 32.0]),
            (Kind::TopK, vec![8.0, 16.0, 32.0]),
            (Kind::BatchTopK, vec![8.0, 16.0, 32.0]),
            (Kind::Matryoshka, vec![8.0, 16.0, 32.0]),
        ];
        Config {
            n_features: if smoke { 700 } else { 1024 },
            d_model: if smoke { 32 } else { 128 },
            n_latents: if smoke { 128 } else { 1024 },
            n_steps: match tier {
                Tier::Smoke => 20,
                Tier::Laptop => 1000,
                Tier::Paper => 20_000,
            },
            batch_rows: if smoke { 128 } else { 512 },
            n_test: if smoke { 500 } else { 8192 },
            learning_rate: if tier == Tier::Paper { 1e-3 } else { 3e-3 },
            threshold: 1.0,
            matched_l0: 16.0,
            kinds,
            n_resamples: if smoke { 200 } else { 2000 },
            seeds: if smoke { vec![0] } else { vec![0, 1, 2, 3, 4] },
        }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.2, memory_mb: 300, disk_mb: 1 },
            Tier::Laptop => Cost { minutes: 12.0, memory_mb: 600, disk_mb: 2 },
            Tier::Paper => Cost { minutes: 240.0, memory_mb: 600, disk_mb: 2 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let mut toys = Vec::new();
        for seed in &config.seeds {
            toys.push(context.part(&format!("toy {seed}"), || trained(config, *seed, context))?);
        }
        Ok(Measured { toys })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        let mut put = |name: String, values: &[f64]| {
            if let Ok(estimate) = estimate(config, &name, values) {
                // Trainings: last bits differ between CPU classes and grow.
                numbers.insert(name, estimate.mean.drift_tol(0.02));
            }
        };
        let each = |of: fn(&Trained) -> f64| measured.toys.iter().map(of).collect::<Vec<f64>>();
        put("true_l0".to_owned(), &each(|toy| toy.true_l0));
        put("share_alone".to_owned(), &each(|toy| toy.share_alone));
        put("with_child".to_owned(), &each(|toy| toy.with_child));
        for (quantity, _, of) in QUANTITIES {
            for (name, _, values) in measured.rows(config, of) {
                put(format!("{name}.{quantity}"), &values);
            }
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        let mut drawings: Vec<Drawing> = vec![curves(config, measured).into()];
        drawings.extend(at_matched(config, measured).map(Drawing::from));
        drawings.push(table(config, measured).into());
        drawings
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        claims(config, measured)
    }
}

fn main() -> ExitCode {
    experiment::main::<Calibration>()
}

/// A toy, what is learned of it, and what that has of the truth.
fn trained(config: &Config, seed: u64, context: &Context) -> Result<Trained> {
    let mut options = ToyConfig::synth_sae_mini(seed);
    options.d_model = config.d_model;
    options.firing.n_features = config.n_features;
    let toy = ToyModel::new(&options)?;
    let draw = |number: u64, row: &mut [f32]| {
        let mut sample = Sample::default();
        toy.write(number, &mut sample);
        row.copy_from_slice(&sample.x);
    };
    let mut rows = DrawnRows::new(config.d_model, config.batch_rows, draw);
    let mut members = Vec::new();
    let mut add = |name: String, recipe: Recipe| members.push(Member { name, recipe });
    for (kind, values) in &config.kinds {
        for value in values {
            add(format!("{kind:?} {value}"), kind.recipe(config, *value));
        }
    }
    let soft = Freeze::SoftDecoder { least_cosine: 0.8 };
    let frozen = [soft, Freeze::Decoder, Freeze::Encoder];
    for freeze in frozen {
        let recipe = Kind::TopK.recipe(config, config.matched_l0).frozen(freeze);
        add(format!("{freeze:?}"), recipe);
    }
    let run = RunConfig {
        n_steps: config.n_steps,
        batch_rows: config.batch_rows,
        dead_after: 0.05,
        seed,
        members,
    };
    let sample = rows.sample(8192.min(config.n_test))?;
    let scaling = Scaling::of(&sample.inputs)?;
    let mut trainer = Trainer::new(run, scaling, sample.batch())?;
    let judge = ToyTruth::new(&toy, 1 << 62, config.n_test)?;
    // Before the first step.
    let (_, untrained) = trainer.dictionaries()?.pop().context("there are dictionaries")?;
    let untrained = judge.score(&untrained)?;
    let total = config.seeds.len() * 20;
    while !trainer.is_done() {
        trainer.step(rows.next()?.batch())?;
        if trainer.n_steps().is_multiple_of(config.n_steps / 20) {
            context.step(total);
        }
    }
    let mut points: Vec<ToyScore> = Vec::new();
    for (_, dictionary) in trainer.dictionaries()? {
        points.push(judge.score(&dictionary)?);
    }
    let mut points = points.into_iter();
    let by_kind =
        config.kinds.iter().map(|(_, values)| points.by_ref().take(values.len()).collect());
    let by_kind = by_kind.collect();
    let mut baselines: Vec<ToyScore> = points.take(frozen.len()).collect();
    baselines.push(untrained);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a k above 0")]
    let k = Some(config.matched_l0 as usize);
    let inputs = &sample.inputs;
    let options = IcaConfig { n_components: config.d_model, max_iterations: 200, tolerance: 1e-4 };
    let mut rng = Seed::new(seed).stream(Calibration::ID, "ICA");
    baselines
        .push(judge.score(&independent_components(inputs, &options, &mut rng)?.dictionary(k)?)?);
    baselines.push(judge.score(&principal_components(inputs, config.d_model)?.dictionary(k)?)?);
    Ok(Trained {
        true_l0: judge.l0(),
        share_alone: judge.share_alone(),
        with_child: judge.share_with_child().unwrap_or(0.0),
        points: by_kind,
        baselines,
    })
}

/// Fidelity and recovery of every dictionary against its L0.
fn curves(config: &Config, measured: &Measured) -> Figure {
    let true_l0 =
        measured.toys.iter().map(|toy| toy.true_l0).sum::<f64>() / measured.toys.len() as f64;
    let mut figure = Figure::new("C-y01", "Fidelity and truth")
        .caption(&format!(
            "Dictionaries of {} latents after {} batches of {} rows of a toy with {} features in {} dimensions: means over {} \
             toys, at each penalty or k. (a) The share of variance that is not explained. (b) Of features that stand alone, \
             those with a latent at a cosine of {}. (c) Mean over features in trees of the largest cosine with a latent. \
             Dotted: features that fire in a row.",
            config.n_latents,
            config.n_steps,
            config.batch_rows,
            config.n_features,
            config.d_model,
            config.seeds.len(),
            ToyTruth::FOUND
        ))
        .width(Width::Page)
        .panel_height_mm(58.0)
        .columns(3);
    for (at, (_, label, of)) in [QUANTITIES[0], QUANTITIES[2], QUANTITIES[4]].iter().enumerate() {
        let mut panel = Panel::new(
            Axis::log10("L0, active latents of a row"),
            Axis::linear(label).range(0.0, if at == 0 { 0.8 } else { 1.0 }),
        )
        .mark(Mark::vline(true_l0).dotted().color(Color::Gray));
        for (which, (kind, values)) in config.kinds.iter().enumerate() {
            let mean = |point: usize, of: &dyn Fn(&ToyScore) -> f64| {
                let sum: f64 = measured.toys.iter().map(|toy| of(&toy.points[which][point])).sum();
                sum / measured.toys.len() as f64
            };
            let mut points: Vec<[f64; 2]> = (0..values.len())
                .map(|point| [mean(point, &|it| it.l0), mean(point, of)])
                .collect();
            points.sort_by(|a, b| a[0].total_cmp(&b[0]));
            let [x, y] = [0, 1].map(|axis| points.iter().map(|it| it[axis]).collect::<Vec<f64>>());
            let line = Mark::line(&x, &y).color(Color::nth(which)).stroke(if which < 5 {
                Stroke::Dashed
            } else {
                Stroke::Solid
            });
            let line = if at == 0 { line.label(kind.label()) } else { line.series(kind.label()) };
            let dots = Mark::points(&x, &y).color(Color::nth(which));
            panel = panel.mark(line).mark(dots.series(&format!("{}, each", kind.label())));
        }
        figure = figure.panel(if at == 0 { panel.legend() } else { panel });
    }
    figure
}

/// All at the matched L0, beside baselines.
fn at_matched(config: &Config, measured: &Measured) -> Option<Figure> {
    let mut figure = Figure::new("C-y02", "At matched L0, beside baselines")
        .caption(&format!(
            "Where {} latents are active, as many as features about: each toy, the mean, and its 95 % interval by bootstrap over \
             {} toys; between two penalties or k along ln L0. MCC: mean |cosine| of features with latents under the best \
             assignment, one to one. F1: how well a feature's own latent tells that it fires. Baselines: a TopK dictionary \
             whose decoder may turn to a cosine of 0.8 from where it began, one whose decoder or encoder stays, one that was \
             not trained; independent and principal components, both signs of each.",
            config.matched_l0,
            config.seeds.len()
        ))
        .width(Width::Page)
        .panel_height_mm(62.0)
        .columns(3)
        .share_y();
    for (name, label, of) in [QUANTITIES[0], QUANTITIES[1], QUANTITIES[6]] {
        let rows = measured.rows(config, of);
        let estimates = rows.iter().map(|(row, label, values)| {
            Some((*label, estimate(config, &format!("{row}.{name}"), values).ok()?))
        });
        let estimates: Vec<(&str, Estimate)> = estimates.collect::<Option<_>>()?;
        let rows: Vec<(&str, &Estimate)> =
            estimates.iter().map(|(label, it)| (*label, it)).collect();
        figure = figure.panel(dot_plot(Axis::linear(label).range(0.0, 1.0), &rows));
    }
    Some(figure)
}

/// All quantities at the matched L0.
fn table(config: &Config, measured: &Measured) -> Table {
    let mut table = Table::new("C-y03", "At matched L0, in numbers").column("", "");
    for (_, label, _) in QUANTITIES {
        table = table.column(label, "");
    }
    let columns: Vec<_> = QUANTITIES.iter().map(|(_, _, of)| measured.rows(config, *of)).collect();
    let n_rows = columns.first().map_or(0, Vec::len);
    for row in 0..n_rows {
        let mut cells = vec![Cell::text(columns[0][row].1)];
        for column in &columns {
            let values = &column[row].2;
            cells.push(Cell::number(values.iter().sum::<f64>() / values.len() as f64, 3));
        }
        table = table.row(cells);
    }
    table
}

const TREES: &str = "no architecture has a latent for a feature in a tree at a cosine of 0.9: where a parent fires a child \
    nearly always does too (with_child), and one latent for a whole path of a tree costs less than one for each feature";
const NO_MATCH: &str = "a penalty or k to both sides of the matched L0 is missing";

/// What is said of two architectures at equal L0: id, source, text, both, a quantity, and whether the first has more of it.
type Said = (&'static str, &'static str, &'static str, ([Kind; 2], usize, bool));
const SAID: [Said; 4] = [
    (
        "c00.top_k_reconstructs_better",
        "Circuits Updates June 2024, replication of TopK",
        "at equal L0 TopK leaves less variance unexplained than ReLU with an L1 penalty",
        ([Kind::TopK, Kind::Relu], 0, false),
    ),
    (
        "c00.gated_reconstructs_better",
        "arXiv 2404.16014, abstract",
        "at equal L0 Gated leaves less variance unexplained than ReLU with an L1 penalty",
        ([Kind::Gated, Kind::Relu], 0, false),
    ),
    (
        "c00.matryoshka_reconstructs_worse",
        "arXiv 2503.17547",
        "at equal L0 Matryoshka leaves more variance unexplained than BatchTopK",
        ([Kind::Matryoshka, Kind::BatchTopK], 0, true),
    ),
    (
        "c00.matryoshka_finds_trees",
        "arXiv 2503.17547, on absorption",
        "at equal L0 Matryoshka finds more features in trees than BatchTopK",
        ([Kind::Matryoshka, Kind::BatchTopK], 3, true),
    ),
];

fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
    let of = |kind: Kind, quantity: usize| {
        let at = config.kinds.iter().position(|(other, _)| *other == kind)?;
        measured.matched(config, at, QUANTITIES[quantity].2)
    };
    // Of each toy one less the other; none where L0 cannot be matched.
    let gap = |one: Option<Vec<f64>>, other: Option<Vec<f64>>| -> Option<Vec<f64>> {
        Some(one?.iter().zip(&other?).map(|(one, other)| one - other).collect())
    };
    let tested =
        |id: &str, source: &str, text: &str, values: Option<Vec<f64>>, null: &str, more| {
            let mean = values.as_ref().and_then(|it| estimate(config, id, it).ok());
            let claim = Claim::about(id, source, text);
            let number = mean.map_or(Number::exact(0.0), |estimate| estimate.mean);
            let claim = if more {
                claim.exceeds(null, 0.0, &number)
            } else {
                claim.falls_short_of(null, 0.0, &number)
            };
            claim.when(values.is_some(), NO_MATCH)
        };
    let mut claims: Vec<Claim> = (SAID.iter())
        .map(|(id, source, text, ([one, other], quantity, more))| {
            let values = gap(of(*one, *quantity), of(*other, *quantity));
            let null = format!("the same as {}", other.label());
            let claim = tested(id, source, text, values, &null, *more);
            if *quantity == 3 { claim.note(TREES) } else { claim }
        })
        .collect();
    let frozen = measured.toys.iter().map(|toy| toy.baselines[1].mcc).collect();
    claims.push(tested(
        "c00.training_finds_features",
        Claim::OURS,
        "trained decoders have more of the truth (MCC) than decoders frozen at random",
        gap(of(Kind::TopK, 1), Some(frozen)),
        "the same as the frozen decoder",
        true,
    ));
    let ranks = (0..measured.toys.len()).map(|toy| {
        let column = |quantity: usize| -> Option<Vec<f64>> {
            config.kinds.iter().map(|(kind, _)| Some(of(*kind, quantity)?[toy])).collect()
        };
        spearman(&column(0)?, &column(1)?).ok().flatten()
    });
    claims.push(tested(
        "c00.fidelity_ranks_recovery",
        Claim::OURS,
        "of architectures at equal L0, those that reconstruct better have more of the truth (MCC)",
        ranks.collect(),
        "unrelated ranks",
        false,
    ));
    claims
}
