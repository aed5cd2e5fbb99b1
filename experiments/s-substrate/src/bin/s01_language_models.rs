//! Substrate: language models that learn the world.
//!
//! Papers C, D and E open models whose world nobody wrote down. Here it is known: a corpus of the world, in which every
//! token carries its concepts, and small transformers that learn to predict it. Others build on them as artefacts: three
//! starts of the model that paper C opens, one whose images have captions of other things, and three whose heads have a
//! learned inverse temperature β (paper A), which begins at the usual value, below it, or above.
//!
//! *Expected:* cross-entropy that comes near the information of the choices behind the text, which bounds its entropy.
//! *Visible:* how fast, and how the models part. *Run:* `just run s01`; 40 minutes. A killed run goes on from the last
//! checkpoint of each model. *Data:* none: the world writes it.
//!
//! *Departures:* 8 million tokens (2 of models with β) where the programme asks for 30 to 100; the paper tier has them.
//! The programme's world was made easier once, when models did not pass the gates: twice the documents with images, four
//! times those about behaviors and more transcripts among them, and false claims about countries instead of states.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use corpus::{Batches, BatchesConfig, Split, Splits, TrainingText};
use device::DeviceName;
use experiment::figures::{Axis, Cell, Color, Figure, Mark, Panel, Table, Width};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Number, Numbers, Tier};
use lm::{TrainConfig, Transformer};
use mimalloc::MiMalloc;
use seed::Seed;
use serde::{Deserialize, Serialize};
use substrate::{LearnConfig, WorldText, WorldTextConfig, batch, learn};
use world::{Behavior, Domain, Patch, WorldConfig};

/// It keeps large buffers, which the system's allocator asks for anew at every step.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The family whose heads have a learned inverse temperature.
const NORMED: &str = "gpt2_query_key_norm";
/// The artefact with the corpus.
const CORPUS: &str = "corpus";

/// A model to be trained, and an artefact of that name.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    name: String,
    label: String,
    /// `model_type` of config.json.
    family: String,
    /// Whether captions name other things than images show.
    shuffled_captions: bool,
    /// The inverse temperature that heads with query-key norm begin with, if not the usual one.
    beta: Option<f32>,
    n_steps: u64,
    /// Of weights and of the order of documents.
    seed: u64,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    text: WorldTextConfig,
    models: Vec<Model>,
    d_model: usize,
    n_layers: usize,
    n_heads: usize,
    n_ctx: usize,
    learning_rate: f64,
    /// What the rate of inverse temperatures is multiplied by.
    beta_rate: f64,
    /// Texts in a batch, each as long as the context.
    n_texts: usize,
    /// Steps between two checkpoints.
    save_every: u64,
    /// Batches of test documents.
    n_test_batches: u64,
    /// Of the base, of which each model's seed counts on.
    seeds: Vec<u64>,
}

impl Config {
    /// The rate falls to 0, and second moments are means over a hundred steps, so that the last steps average over many
    /// batches. With smaller batches this came nearer to rates of rare choices; which of these did was not tested.
    fn training(&self, model: &Model) -> TrainConfig {
        TrainConfig {
            final_fraction: 0.0,
            betas: [0.9, 0.99],
            beta_rate: self.beta_rate,
            ..TrainConfig::new(model.n_steps, self.learning_rate)
        }
    }
}

/// What a training came to.
#[derive(Clone, Serialize, Deserialize)]
struct Trained {
    /// By step.
    losses: Vec<f64>,
    /// Cross-entropy on test documents, of the model's own world and of the true one.
    test: f64,
    /// The same before training.
    untrained: f64,
    n_parameters: usize,
}

struct Measured {
    trained: Vec<Trained>,
    /// Nats per target of the choices behind the test documents.
    bound: f64,
    n_tokens: u64,
}

struct LanguageModels;

impl Experiment for LanguageModels {
    const ID: &'static str = "s01_language_models";
    const TITLE: &'static str = "Language models that learn the world";
    const OUTPUTS: &'static [&'static str] = &["S-y01", "S-y02"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let smoke = tier == Tier::Smoke;
        // Tokens of the corpus; steps of the models, and of those with query-key norm.
        let (n_tokens, n_steps, n_steps_normed) = match tier {
            Tier::Smoke => (1_000_000, 30, 10),
            Tier::Laptop => (16_000_000, 4000, 1000),
            Tier::Paper => (100_000_000, 48_000, 48_000),
        };
        let mut world = WorldConfig::default();
        // Their documents are the shortest, and what the gates ask of them is seldom said elsewhere.
        world.shares.extend([(Domain::Images, 2.0), (Domain::Behaviors, 4.0)]);
        world.behaviors.transcripts = 0.8;
        // Rates that differ, so that a model that knows nothing of them is found out.
        for (at, behavior) in Behavior::ALL.iter().enumerate() {
            world.behaviors.rates.insert(*behavior, [0.2, 0.35, 0.5, 0.65, 0.8][at % 5]);
        }
        let model = |name: &str, label: &str, family: &str, seed| Model {
            name: name.to_owned(),
            label: label.to_owned(),
            family: family.to_owned(),
            shuffled_captions: false,
            beta: None,
            n_steps,
            seed,
        };
        let shuffled = model("shuffled_captions", "shuffled captions", "gpt2", 0);
        let normed = |name: &str, label: &str, beta| Model {
            beta,
            n_steps: n_steps_normed,
            ..model(name, label, NORMED, 0)
        };
        Config {
            text: WorldTextConfig {
                world,
                splits: Splits { dictionary: 0.2, test: if smoke { 0.3 } else { 0.03 }, seed: 0 },
                n_tokens,
            },
            models: vec![
                model("lm_0", "start 0", "gpt2", 0),
                model("lm_1", "start 1", "gpt2", 1),
                model("lm_2", "start 2", "gpt2", 2),
                Model { shuffled_captions: true, ..shuffled },
                normed("query_key_norm", "β from 14", None),
                normed("query_key_norm_4", "β from 4", Some(4.0)),
                normed("query_key_norm_40", "β from 40", Some(40.0)),
            ],
            d_model: if smoke { 32 } else { 128 },
            n_layers: if smoke { 2 } else { 4 },
            n_heads: 4,
            n_ctx: 128,
            learning_rate: 3e-3,
            beta_rate: 30.0,
            n_texts: 16,
            save_every: if smoke { 20 } else { 400 },
            n_test_batches: if smoke { 1 } else { 120 },
            seeds: vec![0],
        }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.3, memory_mb: 700, disk_mb: 20 },
            Tier::Laptop => Cost { minutes: 40.0, memory_mb: 1500, disk_mb: 700 },
            Tier::Paper => Cost { minutes: 660.0, memory_mb: 3000, disk_mb: 3000 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let folder = context.artefact(CORPUS, |folder| {
            WorldText::make(folder, &config.text, &mut |_| {})?;
            Ok(())
        })?;
        let text = WorldText::open(&folder)?;
        let (train, test) = (text.training(Split::Train)?, text.training(Split::Test)?);
        let mut trained = Vec::new();
        for model in &config.models {
            trained.push(taught(config, context, model, &text, [&train, &test])?);
        }
        let bound = text.nats_per_target(Split::Test).context("the corpus has no test document")?;
        let n_tokens = (train.n_tokens() + train.n_documents()) as u64;
        Ok(Measured { trained, bound, n_tokens })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for (model, trained) in config.models.iter().zip(&measured.trained) {
            // Training: last bits differ between CPU classes and grow.
            let mut put = |what: &str, value: f64| {
                let number = Number::exact(value).unit("nats").drift_tol(0.02);
                numbers.insert(format!("{}.{what}", model.name), number);
            };
            put("test", trained.test);
            put("train", last(&trained.losses));
            if model.family == NORMED {
                // A step of AdamW moves a parameter by the learning rate at most, or hardly more.
                let rates = config.training(model);
                let reach: f64 = (0..model.n_steps).map(|step| rates.learning_rate(step)).sum();
                let reach = Number::exact(reach * rates.beta_rate);
                numbers.insert(format!("{}.reach_of_beta", model.name), reach);
            }
        }
        numbers.insert("bound".to_owned(), Number::exact(measured.bound).unit("nats"));
        let n_tokens = Number::exact(measured.n_tokens as f64).unit("tokens");
        numbers.insert("training_tokens".to_owned(), n_tokens);
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        vec![curves(config, measured).into(), table(config, measured).into()]
    }

    fn claims(_: &Config, _: &Measured) -> Vec<Claim> {
        // What the models must know is claimed in s02_gates.
        Vec::new()
    }
}

fn main() -> ExitCode {
    experiment::main::<LanguageModels>()
}

/// Trains a model, and asks it before and after.
fn taught(
    config: &Config,
    context: &Context,
    model: &Model,
    text: &WorldText,
    [train, test]: [&TrainingText; 2],
) -> Result<Trained> {
    let device = DeviceName::Flex.open()?;
    let json = format!(
        r#"{{"model_type": "{}", "vocab_size": {}, "n_positions": {}, "n_embd": {}, "n_layer": {}, "n_head": {},
        "engram": {{"patch_width": {}}}}}"#,
        model.family,
        text.words().vocab_size(),
        config.n_ctx,
        config.d_model,
        config.n_layers,
        config.n_heads,
        Patch::default().len()
    );
    let seed = config.seeds[0] + model.seed;
    let described = lm::Config::from_json(&model.name, json.as_bytes())?;
    let mut untrained = Transformer::random(described, Seed::new(seed), &device)?;
    if let Some(beta) = model.beta {
        untrained = untrained.with_betas(beta)?;
    }
    let learning = LearnConfig {
        train: config.training(model),
        n_texts: config.n_texts,
        n_positions: config.n_ctx,
        seed,
        save_every: config.save_every,
    };
    let every = 10;
    let total = config.models.iter().map(|model| model.n_steps / every).sum::<u64>();
    let total = usize::try_from(total)?;
    let mut tell = |step: u64| {
        if step.is_multiple_of(every) {
            context.step(total);
        }
    };
    let folder = context.artefact(&model.name, |folder| {
        if model.shuffled_captions {
            shuffled(config, &untrained, &learning, folder, &mut tell)
        } else {
            learn(&untrained, train, &learning, folder, &mut tell)?;
            Ok(())
        }
    })?;
    context.part(&format!("{}, asked", model.name), || {
        let learned = substrate::Learned::load(&folder, &device)?;
        Ok(Trained {
            losses: learned.losses,
            test: tested(config, &learned.model, test)?,
            untrained: tested(config, &untrained, test)?,
            n_parameters: n_parameters(&untrained)?,
        })
    })
}

/// Trains a model on the same corpus but for its captions, which is not kept.
fn shuffled(
    config: &Config,
    model: &Transformer,
    learning: &LearnConfig,
    folder: &Path,
    tell: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut text = config.text.clone();
    text.world.images.shuffled_captions = true;
    let place = folder.join(CORPUS);
    let remove =
        || fs::remove_dir_all(&place).with_context(|| format!("remove {}", place.display()));
    if place.exists() {
        // A killed run may have removed a part of it.
        remove()?;
    }
    let text = WorldText::make(&place, &text, &mut |_| {})?;
    let train = text.training(Split::Train)?;
    remove()?;
    learn(model, &train, learning, folder, tell)?;
    Ok(())
}

/// Cross-entropy on test documents.
fn tested(config: &Config, model: &Transformer, test: &TrainingText) -> Result<f64> {
    let Config { n_texts, n_ctx: n_positions, .. } = *config;
    let mut batches = Batches::new(test, BatchesConfig { n_texts, n_positions, seed: 0 })?;
    let n = config.n_test_batches.min(batches.steps_per_epoch());
    let batches = (0..n).map(|at| batches.get(at)).collect::<corpus::Result<Vec<_>>>()?;
    let batches = batches.into_iter().map(|one| batch(one, test.patch_len()));
    Ok(lm::evaluate(model, batches)?.cross_entropy)
}

fn n_parameters(model: &Transformer) -> Result<usize> {
    let parameters = lm::Parameters::of(model)?;
    Ok(parameters.names().filter_map(|name| Some(parameters.get(name)?.len())).sum())
}

/// The mean of the last hundred steps.
fn last(losses: &[f64]) -> f64 {
    let last = &losses[losses.len().saturating_sub(100)..];
    last.iter().sum::<f64>() / last.len().max(1) as f64
}

const COLORS: [Color; 7] = [
    Color::Blue,
    Color::Sky,
    Color::Green,
    Color::Vermilion,
    Color::Purple,
    Color::Amber,
    Color::Gray,
];

fn curves(config: &Config, measured: &Measured) -> Figure {
    let of_batch = (config.n_texts * config.n_ctx) as f64 / 1e6;
    let longest = config.models.iter().map(|model| model.n_steps).max().unwrap_or(1);
    let window = (longest / 60).max(1);
    let mut panel = Panel::new(
        Axis::log10("training tokens (millions)"),
        Axis::linear("cross-entropy (nats per token)"),
    )
    .legend();
    for ((model, trained), color) in config.models.iter().zip(&measured.trained).zip(COLORS) {
        let means = trained.losses.chunks(usize::try_from(window).unwrap_or(usize::MAX));
        let y: Vec<f64> = means.map(|part| part.iter().sum::<f64>() / part.len() as f64).collect();
        let x: Vec<f64> = (1..=y.len()).map(|at| (at as u64 * window) as f64 * of_batch).collect();
        panel = panel.mark(Mark::line(&x, &y).color(color).label(&model.label));
    }
    let bound = Mark::hline(measured.bound).dotted().color(Color::Gray);
    Figure::new("S-y01", "Learning the world")
        .caption(&format!(
            "Cross-entropy of training batches, means over {window} steps, against the tokens read. Dotted: what the \
             choices behind the test documents cost for each token, which bounds their entropy from above.",
        ))
        .width(Width::Page)
        .panel(panel.mark(bound.label("choices")))
}

fn table(config: &Config, measured: &Measured) -> Table {
    let mut table = Table::new("S-y02", "Language models of the world")
        .column("model", "")
        .column("family", "")
        .column("parameters", "")
        .column("tokens read", "millions")
        .column("cross-entropy, untrained", "nats")
        .column("in training", "nats, last 100 steps")
        .column("on test documents", "nats")
        .column("less the bound", "nats");
    for (model, trained) in config.models.iter().zip(&measured.trained) {
        table = table.row(vec![
            Cell::text(&model.label),
            Cell::text(&model.family),
            Cell::number(trained.n_parameters as f64, 0),
            Cell::number((config.n_texts * config.n_ctx) as f64 * model.n_steps as f64 / 1e6, 2),
            Cell::number(trained.untrained, 3),
            Cell::number(last(&trained.losses), 3),
            Cell::number(trained.test, 3),
            Cell::number(trained.test - measured.bound, 3),
        ]);
    }
    table
}
