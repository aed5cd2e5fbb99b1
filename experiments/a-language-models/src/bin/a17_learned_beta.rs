//! Paper A: the inverse temperature that transformers of our own learn.
//!
//! The authors train transformers whose queries and keys have length 1, so that a head's softmax has one learned inverse
//! temperature β, and find the 90 learned β between those of the memory's best radii (a02). Here the same is asked of
//! small models of a known world, and what the authors could not ask of others' checkpoints: does it depend on where β
//! begins? The usual beginning, log2(n² − n) for a context of n tokens, lies between the memory's lines already.
//!
//! *Expected:* β between 10.1 and 35.5, as the paper finds of others' checkpoints; ours need not agree. *Visible:* all
//! heads of models that began at 14, at 4 and at 40; and the effective β (a16) of models without that norm, layer by layer.
//! *Run:* `just run a17`; ten seconds after s01.
//! *Data:* none.
//!
//! *Departures:* models of four layers on the world's text, not the authors'; heads of 32 dimensions, where the memory's
//! lines are of 64. β has 30 times the learning rate of the weights (`beta_rate` of s01), since a training of a few
//! thousand steps could not move it from one line to another otherwise.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use corpus::{Split, Words};
use device::DeviceName;
use experiment::figures::{Axis, Color, Figure, Mark, Panel, Width};
use experiment::{
    Claim, Context, Cost, Drawing, Estimate, Experiment, Number, Numbers, Tier, curve,
};
use lm::Transformer;
use seed::Seed;
use serde::{Deserialize, Serialize};
use substrate::{Learned, WorldText};

const MODELS: &str = "s01_language_models";
/// Models with query-key norm, where their β began, and their colors.
const NORMED: [(&str, &str, Color); 3] = [
    ("query_key_norm_4", "from 4", Color::Green),
    ("query_key_norm", "from 14", Color::Blue),
    ("query_key_norm_40", "from 40", Color::Vermilion),
];
/// Models without it.
const PLAIN: [&str; 3] = ["lm_0", "lm_1", "lm_2"];
/// β of the memory at its best radii (a02): critical distance, signal to noise, capacity; published, and by least squares.
const MEMORY: [(&str, f64, f64); 3] =
    [("CD", 10.1, 9.436), ("SNR", 15.9, 14.41), ("Mem", 35.5, 28.39)];

/// On what moves β.
const REACH: &str = "a step of AdamW moves β by hardly more than the learning rate, so that a whole training can move it by \
    their sum at most (reach_of_beta in s01_language_models), here by less than lies between two lines";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Test documents, and the tokens that each has at least.
    texts: (usize, usize),
    /// Whether the trainings are long enough for β to move from one of the memory's lines to another.
    can_move: bool,
    n_resamples: usize,
    /// Of the random weights and the bootstrap.
    seeds: Vec<u64>,
}

struct Measured {
    /// By model with query-key norm: the learned β, `[layer][head]`.
    learned: Vec<Vec<Vec<f64>>>,
    /// By start, and at last of random weights: the effective β of the last token, `[text][layer]`, means over heads.
    effective: Vec<Vec<Vec<f64>>>,
}

struct LearnedBeta;

impl Experiment for LearnedBeta {
    const ID: &'static str = "a17_learned_beta";
    const TITLE: &'static str = "The inverse temperature that our transformers learn";
    const OUTPUTS: &'static [&'static str] = &["A-y62", "A-y63"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let smoke = tier == Tier::Smoke;
        let texts = if smoke { (2, 64) } else { (9, 64) };
        // By the sum of learning rates (reach_of_beta in s01_language_models): 45 at laptop, 48 times that in the paper tier.
        let can_move = !smoke;
        Config { texts, can_move, n_resamples: if smoke { 200 } else { 2000 }, seeds: vec![0] }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn needs() -> &'static [&'static str] {
        &[MODELS]
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.1, memory_mb: 300, disk_mb: 1 },
            Tier::Laptop | Tier::Paper => Cost { minutes: 0.3, memory_mb: 500, disk_mb: 2 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let device = DeviceName::Flex.open()?;
        let text = WorldText::open(&context.needed(MODELS, "corpus")?)?;
        let load = |name: &str| -> Result<Transformer> {
            Ok(Learned::load(&context.needed(MODELS, name)?, &device)?.model)
        };
        let mut learned = Vec::new();
        for (name, ..) in NORMED {
            let betas = load(name)?.betas()?;
            let layers = betas.iter().map(|layer| layer.iter().map(|b| f64::from(*b)).collect());
            learned.push(layers.collect());
        }
        let (n_texts, n_tokens) = config.texts;
        let mut texts = Vec::new();
        for document in text.documents(Split::Test, None) {
            let is_text = document.patches().is_empty();
            if is_text && document.pieces().len() >= n_tokens && texts.len() < n_texts {
                let ids = text.words().tokens(&document)?;
                texts.push([&[Words::END], &ids[..n_tokens - 1]].concat());
            }
        }
        let mut effective = Vec::new();
        let mut last = None;
        for name in PLAIN {
            let model = load(name)?;
            effective.push(asked(&model, &texts)?);
            last = Some(model);
        }
        let seed = Seed::new(*config.seeds.first().context("a seed is needed")?);
        let described = last.context("a model is needed")?.config().clone();
        effective.push(asked(&Transformer::random(described, seed, &device)?, &texts)?);
        Ok(Measured { learned, effective })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for ((name, ..), betas) in NORMED.iter().zip(&measured.learned) {
            let betas = betas.concat();
            let [least, most] = ends(&betas);
            // Training: last bits differ between CPU classes and grow.
            let mut put = |what: &str, value: f64| {
                numbers.insert(format!("{name}.{what}"), Number::exact(value).drift_tol(0.3));
            };
            put("least", least);
            put("most", most);
            put("mean", betas.iter().sum::<f64>() / betas.len() as f64);
        }
        for (at, texts) in measured.effective.iter().enumerate() {
            let name = PLAIN.get(at).copied().unwrap_or("random");
            if let Some(mean) = estimate(config, &texts.concat(), name) {
                numbers.insert(format!("{name}.effective"), mean.mean.drift_tol(0.3));
            }
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        vec![histogram(measured).into(), by_layer(config, measured).into()]
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let [_, usual, _] = &measured.learned[..] else { return Vec::new() };
        let usual = usual.concat();
        let within = |betas: &[f64], [low, high]: [f64; 2]| {
            let inside = betas.iter().filter(|beta| (low..=high).contains(*beta)).count();
            Number::exact(inside as f64 / betas.len() as f64).n(betas.len() as u64)
        };
        let lines = [MEMORY[0].1, MEMORY[2].1];
        let statistic = "share of heads";
        let text = "β that begin at the usual value end between the published β_CD and β_Mem";
        let by_fit = within(&usual, [MEMORY[0].2, MEMORY[2].2]).value;
        let [least, most] = ends(&usual);
        let between = Claim::about("a17.between", Claim::OURS, text)
            .at_least(1.0, statistic, &within(&usual, lines))
            .note(&format!(
                "the usual value lies there already; heads ended between {least:.1} and {most:.1}. Between the lines by \
                 least squares {by_fit:.2} of the heads. Whether a longer training ends there is for the paper tier"
            ))
            .when(config.can_move, REACH);
        let others: Vec<f64> =
            [0, 2].into_iter().flat_map(|at| measured.learned[at].concat()).collect();
        let means: Vec<String> = (NORMED.iter().zip(&measured.learned))
            .map(|((_, label, _), betas)| {
                let mean = stats::mean(&betas.concat()).unwrap_or(f64::NAN);
                format!("{label} {mean:.1}")
            })
            .collect();
        let text = "β that begin at 4 and at 40 end between these lines too";
        let start = Claim::about("a17.start", Claim::OURS, text)
            .at_least(0.9, statistic, &within(&others, lines))
            .note(&format!("means over heads: {}", means.join(", ")))
            .when(config.can_move, REACH);
        vec![between, start]
    }
}

fn main() -> ExitCode {
    experiment::main::<LearnedBeta>()
}

fn ends(values: &[f64]) -> [f64; 2] {
    let start = [f64::INFINITY, f64::NEG_INFINITY];
    values.iter().fold(start, |[least, most], value| [least.min(*value), most.max(*value)])
}

fn estimate(config: &Config, values: &[f64], purpose: &str) -> Option<Estimate> {
    let mut rng = Seed::new(*config.seeds.first()?).stream(LearnedBeta::ID, purpose);
    Estimate::of(values, config.n_resamples, &mut rng).ok()
}

/// The largest input of each head's softmax at the last token of each text, means over the heads of a layer.
fn asked(model: &Transformer, texts: &[Vec<u32>]) -> Result<Vec<Vec<f64>>> {
    let by_layer = |text: &Vec<u32>| -> Result<Vec<f64>> {
        let layers = model.last_queries(text)?;
        let mean = |heads: &Vec<lm::LastQuery>| {
            heads.iter().map(|head| head.scores[head.best_key()]).sum::<f64>() / heads.len() as f64
        };
        Ok(layers.iter().map(mean).collect())
    };
    texts.iter().map(by_layer).collect()
}

fn histogram(measured: &Measured) -> Figure {
    let all: Vec<f64> = measured.learned.iter().flatten().flatten().copied().collect();
    let [least, most] = ends(&all);
    let (low, high) = ((least.min(0.0) / 2.0).floor() * 2.0, most.max(40.0));
    let mut edges = vec![low];
    while edges[edges.len() - 1] <= high {
        edges.push(edges[edges.len() - 1] + 2.0);
    }
    let mut figure = Figure::new("A-y62", "Where learned inverse temperatures end, by where they began")
        .caption(
            "The β of every head of models with query-key norm that learned the world, by the value at which β began (black \
             line; 14 is the usual one, log2(n² − n) for a context of n = 128): 4 layers of 4 heads of 32 dimensions. β has 30 \
             times the learning rate of the weights. The memory's lines are of 64 dimensions; dashed: β of the memory at its \
             best radii as published, dotted: by least squares (a02).",
        )
        .width(Width::Page)
        .columns(3)
        .share_y()
        .panel_height_mm(42.0);
    for ((_, label, color), betas) in NORMED.iter().zip(&measured.learned) {
        let betas = betas.concat();
        let counts = edges.windows(2).map(|edge| {
            betas.iter().filter(|beta| (edge[0]..edge[1]).contains(beta)).count() as f64
        });
        let counts: Vec<f64> = counts.collect();
        let bars = Mark::histogram(&edges, &counts).color(*color).series(label);
        let begins: f64 = label.trim_start_matches("from ").parse().unwrap_or(0.0);
        let mut panel =
            Panel::new(Axis::linear("learned β"), Axis::linear("heads")).title(label).mark(bars);
        for (of, published, least_squares) in MEMORY {
            let line = Mark::vline(published).dashed().color(Color::Gray);
            panel = panel.mark(line.label(&format!("β_{{{of}}}")));
            let line = Mark::vline(least_squares).dotted().color(Color::Gray);
            panel = panel.mark(line.series(&format!("{of}, least squares")));
        }
        figure = figure.panel(panel.mark(Mark::vline(begins).color(Color::Ink).series("begins")));
    }
    figure
}

fn by_layer(config: &Config, measured: &Measured) -> Figure {
    let n_layers = measured.effective.first().and_then(|texts| texts.first()).map_or(0, Vec::len);
    let x: Vec<f64> = (0..n_layers).map(|layer| layer as f64).collect();
    let mut panel = Panel::new(Axis::linear("layer").ticks(x.clone()), Axis::linear("effective β"));
    let (trained, random) = measured.effective.split_at(PLAIN.len());
    for (label, models, color) in
        [("trained", trained, Color::Blue), ("random weights", random, Color::Gray)]
    {
        let estimates: Vec<Estimate> = (0..n_layers)
            .filter_map(|layer| {
                let values: Vec<f64> =
                    models.iter().flatten().map(|layers| layers[layer]).collect();
                estimate(config, &values, &format!("{label}, layer {layer}"))
            })
            .collect();
        if estimates.len() == n_layers {
            panel = panel.marks(curve(&x, &estimates, label, color));
        }
    }
    Figure::new("A-y63", "Effective β of the models of the world")
        .caption(
            "The largest input of a head's softmax at the last token of test documents, means over the heads of a layer: \
             three starts together, and random weights. Bands: 95 % intervals over documents and starts.",
        )
        .panel(panel)
}
