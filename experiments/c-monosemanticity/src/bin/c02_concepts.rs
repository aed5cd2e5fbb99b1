//! Paper C: concepts that have a latent of their own.
//!
//! Of the features of Claude 3 Sonnet nobody knows which there are. The model of the world read texts whose every token carries
//! its concepts, so those can be counted that a dictionary of c01 has a latent for: one that is active where the concept is,
//! and nowhere else. Beside them stand dictionaries whose decoder was held near where it began, or never moved, one of a model
//! of random weights, neurons, axes, components, the same dictionary on labels that were shuffled, single words, and probes
//! that were trained on labels.
//!
//! *Expected:* no published values: paper C could not count them. *Visible:* shares of concepts recovered, with baselines;
//! how often parts of a concept take its place. *Run:* `just run c02`; two minutes after c01. *Data:* none.
//!
//! *Departures:* none known; the match is defined here: thresholds and best latents are chosen on one half of test rows, and F1
//! counts on the other.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use corpus::Split;
use device::DeviceName;
use experiment::figures::{Axis, Cell, Figure, Table, Width};
use experiment::{
    Claim, Context, Cost, Drawing, Estimate, Experiment, Number, Numbers, Tier, dot_plot,
};
use inside::{Sequences, Sweep, activations, dictionary, middle};
use interp::{
    Absorption, AbsorptionRule, ConceptScores, ConceptSets, Explained, IcaConfig, Labeled, Parent,
    Skyline, SkylineConfig, absorption, difference_of_means, independent_components, one_sided,
    principal_components, two_sided,
};
use kernels::Matrix;
use kernels::dictionary::Codes;
use lm::{Hook, Site, Transformer};
use sae::Dictionary;
use seed::Seed;
use serde::{Deserialize, Serialize};
use substrate::{Learned, WorldText};

const MODELS: &str = "s01_language_models";
const MODEL: &str = "lm_0";
const DICTIONARIES: &str = "c01_three_dictionaries";
/// F1 from which on a concept counts as recovered.
const TAU: [f64; 2] = [0.5, 0.8];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    n_positions: usize,
    /// Rows of each of the halves that concepts are tested on, and those that probes and components are fitted to.
    n_test: usize,
    n_fit: usize,
    /// Rows that a concept needs in each half, and to be fitted.
    at_least: u64,
    n_resamples: usize,
    /// Of what is random here; dictionaries have their own.
    seeds: Vec<u64>,
}

/// What something has of the concepts.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Found {
    name: String,
    label: String,
    /// The share of concepts whose best latent has an F1 of each of [`TAU`].
    recovered: [f64; 2],
    /// The same at the first of [`TAU`], of concepts that no single word tells as well.
    beyond_words: f64,
    /// Mean F1 of best latents.
    f1: f64,
    /// Of latents of recovered concepts, the share of those of one concept.
    unique: Option<f64>,
    /// Of rows with a recovered concept that has parts, the share where its latent is silent and a part's takes its place.
    absorbed: Option<f64>,
}

#[derive(Serialize, Deserialize)]
struct Measured {
    /// Those of one name are of several trainings.
    found: Vec<Found>,
    /// Concepts that could be scored, and those of them with parts.
    n_concepts: [usize; 2],
}

/// What is told: the name in the record, the label, and how it is read.
type Quantity = (&'static str, &'static str, fn(&Found) -> Option<f64>);
const QUANTITIES: [Quantity; 6] = [
    ("recovered", "share recovered, F1 ≥ 0.5", |it| Some(it.recovered[0])),
    ("beyond_words", "share of what no word tells", |it| Some(it.beyond_words)),
    ("recovered_well", "share recovered, F1 ≥ 0.8", |it| Some(it.recovered[1])),
    ("f1", "mean F1 of best latents", |it| Some(it.f1)),
    ("unique", "latents of one concept only", |it| it.unique),
    ("absorbed", "absorbed", |it| it.absorbed),
];

struct OfConcepts;

impl Experiment for OfConcepts {
    const ID: &'static str = "c02_concepts";
    const TITLE: &'static str = "Concepts that have a latent of their own";
    const OUTPUTS: &'static [&'static str] = &["C-y05", "C-y06"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let smoke = tier == Tier::Smoke;
        Config {
            n_positions: 128,
            n_test: if smoke { 2000 } else { 40_000 },
            n_fit: if smoke { 2000 } else { 60_000 },
            at_least: if smoke { 3 } else { 10 },
            n_resamples: if smoke { 200 } else { 2000 },
            seeds: vec![0],
        }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn needs() -> &'static [&'static str] {
        &[MODELS, DICTIONARIES]
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.2, memory_mb: 500, disk_mb: 1 },
            Tier::Laptop | Tier::Paper => Cost { minutes: 3.0, memory_mb: 3000, disk_mb: 1 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let device = DeviceName::Flex.open()?;
        let seed = Seed::new(config.seeds[0]);
        let text = WorldText::open(&context.needed(MODELS, "corpus")?)?;
        let model = Learned::load(&context.needed(MODELS, MODEL)?, &device)?.model;
        let folder = context.needed(DICTIONARIES, "dictionaries")?;
        let of_random = context.needed(DICTIONARIES, "dictionary_of_random_weights")?;
        let sweep = Sweep::open(&folder)?;

        let judge = Judge::new(config, &text)?;
        let own = judge.read(&model, middle(&model))?;
        let mut found = Vec::new();
        for point in sweep.points().iter().filter(|point| sweep.is_central(point)) {
            let name = format!("of_{}", point.n_latents);
            found.push(judge.dictionary(
                [&name, &point.label()],
                &sweep.find(&folder, point)?,
                &own,
            )?);
        }
        for (name, label) in [("soft_frozen", "decoder within 0.8"), ("frozen", "decoder frozen")] {
            let held = dictionary(&folder, sweep.seeds[0], name)?;
            found.push(judge.dictionary([name, label], &held, &own)?);
        }
        let random = Transformer::load(&of_random.join("model"), &device)?;
        let x = judge.read(&random, middle(&random))?;
        let of_random_sweep = Sweep::open(&of_random)?;
        let point = of_random_sweep.points()[0];
        let untrained = of_random_sweep.find(&of_random, &point)?;
        found.push(judge.dictionary(
            ["random_weights", "model of random weights"],
            &untrained,
            &x,
        )?);
        found.extend(judge.untrained(&model, &own, seed)?);
        let points = sweep.points();
        let is_middle = |n: usize| Some(&n) == sweep.n_latents.get(1);
        let point = points.iter().find(|it| sweep.is_central(it) && is_middle(it.n_latents));
        let point = point.context("c01 has a dictionary of middle size")?;
        found.push(judge.shuffled(&sweep.find(&folder, point)?, &own, seed)?);
        found.push(judge.found(["words", "single words"], &judge.words()?)?);
        found.push(judge.labels(&own, seed)?);
        Ok(Measured { found, n_concepts: judge.n_concepts() })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for (name, _) in names(measured) {
            for (what, _, of) in QUANTITIES {
                if let Some(estimate) = estimate(config, measured, name, (what, of)) {
                    // Of trained models: last bits differ between CPU classes and grow.
                    numbers.insert(format!("{name}.{what}"), estimate.mean.drift_tol(0.05));
                }
            }
        }
        let [all, parents] = measured.n_concepts.map(|n| Number::exact(n as f64));
        numbers.insert("concepts".to_owned(), all);
        numbers.insert("concepts_with_parts".to_owned(), parents);
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        vec![figure(config, measured).into(), table(config, measured).into()]
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        claims(config, measured)
    }
}

fn main() -> ExitCode {
    experiment::main::<OfConcepts>()
}

/// Rows with their concepts: to fit to, to choose by, and to test.
struct Judge {
    sequences: [Sequences; 3],
    concepts: [ConceptSets; 3],
    parents: Vec<Option<u32>>,
    at_least: u64,
    n_words: usize,
    /// Concepts that single words tell in the first half, ascending.
    told_by_words: Vec<u32>,
}

impl Judge {
    fn new(config: &Config, text: &WorldText) -> Result<Self> {
        let rows = |split, n| Sequences::of_world(text, split, config.n_positions, n);
        let (validation, test) = rows(Split::Test, 2 * config.n_test)?.split_at(config.n_test);
        let sequences = [rows(Split::Dictionary, config.n_fit)?, validation, test];
        let registry = text.world().concepts();
        let parents = interp::parents(registry);
        let mut concepts = Vec::new();
        for part in &sequences {
            let labels =
                part.concepts(registry.len())?.context("texts of the world have labels")?;
            concepts.push(labels.with_ancestors(&parents)?);
        }
        let concepts = <[ConceptSets; 3]>::try_from(concepts);
        let concepts = concepts.map_err(|_| anyhow::anyhow!("three sets of rows have labels"))?;
        let (at_least, n_words) = (config.at_least, text.words().vocab_size() as usize);
        let mut judge =
            Self { sequences, concepts, parents, at_least, n_words, told_by_words: Vec::new() };
        let words = judge.words()?;
        let is_told = |concept: &u32| {
            words.best_latent(*concept).is_some_and(|best| best.validation_f1 >= TAU[0])
        };
        let concepts = (0..).take(words.n_concepts());
        judge.told_by_words = concepts.filter(is_told).collect();
        Ok(judge)
    }

    /// Activations of the three sets of rows.
    fn read(&self, model: &Transformer, hook: Hook) -> Result<[Matrix; 3]> {
        let [fit, validation, test] = &self.sequences;
        let read = |part| activations(model, hook, part);
        Ok([read(fit)?, read(validation)?, read(test)?])
    }

    fn scores(&self, codes: &[Codes; 2], concepts: [&ConceptSets; 2]) -> Result<ConceptScores> {
        let of = |at: usize| Labeled { codes: &codes[at], concepts: concepts[at] };
        Ok(ConceptScores::new(of(0), of(1), self.at_least)?)
    }

    fn found(&self, [name, label]: [&str; 2], scores: &ConceptScores) -> Result<Found> {
        let mut f1 = Vec::new();
        for concept in (0..).take(scores.n_concepts()).filter(|it| scores.is_scored(*it)) {
            f1.push(scores.best_latent(concept).and_then(|pair| pair.test.f1()).unwrap_or(0.0));
        }
        let [half, well] = [scores.recovered(TAU[0])?, scores.recovered(TAU[1])?];
        let told = |concept: u32| self.told_by_words.binary_search(&concept).is_ok();
        let n_beyond = half.concepts.iter().filter(|(concept, _)| !told(*concept)).count();
        let n_untold = f1.len() - self.told_by_words.len();
        Ok(Found {
            name: name.to_owned(),
            label: label.to_owned(),
            recovered: [half.share().unwrap_or(0.0), well.share().unwrap_or(0.0)],
            beyond_words: n_beyond as f64 / n_untold.max(1) as f64,
            f1: stats::mean(&f1).unwrap_or(0.0),
            unique: half.uniqueness(),
            absorbed: None,
        })
    }

    fn dictionary(
        &self,
        names: [&str; 2],
        dictionary: &Dictionary,
        x: &[Matrix; 3],
    ) -> Result<Found> {
        let [_, validation, test] = x;
        let codes = [dictionary.encode(validation)?, dictionary.encode(test)?];
        let scores = self.scores(&codes, [&self.concepts[1], &self.concepts[2]])?;
        let absorbed = self.absorbed(dictionary, &codes[1], &scores, x)?;
        Ok(Found { absorbed, ..self.found(names, &scores)? })
    }

    /// Absorption of concepts that have parts and a latent.
    fn absorbed(
        &self,
        dictionary: &Dictionary,
        codes: &Codes,
        scores: &ConceptScores,
        [fit, _, test]: &[Matrix; 3],
    ) -> Result<Option<f64>> {
        let recovered = scores.recovered(TAU[0])?.concepts;
        let concept_of: Vec<Option<u32>> = (0..)
            .take(scores.n_latents())
            .map(|latent| {
                let best = scores.best_concept(latent)?;
                (best.test.f1()? >= TAU[0]).then_some(best.concept)
            })
            .collect();
        let explained = Explained {
            x: test,
            center: &dictionary.parts().decoder_bias,
            codes,
            decoder: dictionary.decoder(),
            concepts: &self.concepts[2],
        };
        let mut all = Absorption::default();
        for (concept, latent) in recovered.iter().filter(|(it, _)| self.has_parts(*it)) {
            let direction = difference_of_means(fit, &self.concepts[0].rows_with(*concept))?;
            let parent = Parent { concept: *concept, main: &[*latent], direction: &direction };
            let rule = AbsorptionRule::SAE_BENCH;
            let of = absorption(explained, parent, &concept_of, &self.parents, rule)?;
            all.n_rows += of.n_rows;
            all.n_full += of.n_full;
        }
        Ok(all.full())
    }

    fn has_parts(&self, concept: u32) -> bool {
        self.parents.contains(&Some(concept))
    }

    /// Neurons of the block before, axes of the stream, and its components.
    fn untrained(&self, model: &Transformer, own: &[Matrix; 3], seed: Seed) -> Result<Vec<Found>> {
        let width = own[0].n_columns();
        let mut found = Vec::new();
        if let Hook::Block(block, _) = middle(model) {
            let x = self.read(model, Hook::Block(block, Site::MlpHidden))?;
            let n = x[0].n_columns();
            let axes = Matrix::identity(n);
            let neurons = one_sided(&axes, &axes, &vec![0.0; n], None)?;
            found.push(self.dictionary(["neurons", "neurons"], &neurons, &x)?);
        }
        let axes = Matrix::identity(width);
        let axes = two_sided(&axes, &axes, &vec![0.0; width], None)?;
        found.push(self.dictionary(["axes", "axes of the stream"], &axes, own)?);
        let components = principal_components(&own[0], width)?.dictionary(None)?;
        found.push(self.dictionary(["pca", "principal components"], &components, own)?);
        let options = IcaConfig { n_components: width, max_iterations: 200, tolerance: 1e-4 };
        let mut rng = seed.stream(OfConcepts::ID, "ICA");
        let components = independent_components(&own[0], &options, &mut rng)?.dictionary(None)?;
        found.push(self.dictionary(["ica", "independent components"], &components, own)?);
        Ok(found)
    }

    /// The same dictionary, and labels of other rows.
    fn shuffled(&self, dictionary: &Dictionary, x: &[Matrix; 3], seed: Seed) -> Result<Found> {
        let codes = [dictionary.encode(&x[1])?, dictionary.encode(&x[2])?];
        let shuffled = [1, 2].map(|part| {
            let mut rng = seed.stream(OfConcepts::ID, &format!("labels {part}"));
            self.concepts[part].shuffled(&mut rng)
        });
        let scores = self.scores(&codes, [&shuffled[0], &shuffled[1]])?;
        self.found(["shuffled", "labels shuffled"], &scores)
    }

    /// What is had without looking inside.
    fn words(&self) -> Result<ConceptScores> {
        let [_, validation, test] = &self.sequences;
        let codes = [validation.words(self.n_words)?, test.words(self.n_words)?];
        self.scores(&codes, [&self.concepts[1], &self.concepts[2]])
    }

    /// Probes that learned from labels.
    fn labels(&self, x: &[Matrix; 3], seed: Seed) -> Result<Found> {
        let config =
            SkylineConfig { at_least: self.at_least, n_positive: 1000, n_negative: 4000, l2: 1e-3 };
        let skyline = Skyline::fit(&x[0], &self.concepts[0], &config, seed)?;
        let codes = [skyline.codes(&x[1], 0.05)?, skyline.codes(&x[2], 0.05)?];
        let scores = self.scores(&codes, [&self.concepts[1], &self.concepts[2]])?;
        self.found(["labels", "probes with labels"], &scores)
    }

    /// Concepts with enough rows to be scored, and those of them with parts.
    fn n_concepts(&self) -> [usize; 2] {
        let [validation, test] = [1, 2].map(|part: usize| self.concepts[part].n_positive());
        let scored: Vec<u32> = (0..)
            .zip(validation.iter().zip(&test))
            .filter(|(_, (a, b))| **a >= self.at_least && **b >= self.at_least)
            .map(|(concept, _)| concept)
            .collect();
        [scored.len(), scored.iter().filter(|concept| self.has_parts(**concept)).count()]
    }
}

/// Names and labels, each once, in the order in which they first come.
fn names(measured: &Measured) -> Vec<(&str, &str)> {
    let mut names: Vec<(&str, &str)> = Vec::new();
    for found in &measured.found {
        let name = (found.name.as_str(), found.label.as_str());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn estimate(
    config: &Config,
    measured: &Measured,
    name: &str,
    (what, of): (&str, fn(&Found) -> Option<f64>),
) -> Option<Estimate> {
    let values: Vec<f64> =
        measured.found.iter().filter(|it| it.name == name).filter_map(of).collect();
    if let [value] = values[..] {
        return Some(Estimate { each: values, mean: Number::exact(value) });
    }
    let purpose = format!("bootstrap {name} {what}");
    let mut rng = Seed::new(config.seeds[0]).stream(OfConcepts::ID, &purpose);
    Estimate::of(&values, config.n_resamples, &mut rng).ok()
}

/// Recovered concepts of all, below each other.
fn figure(config: &Config, measured: &Measured) -> Figure {
    let [n_concepts, _] = measured.n_concepts;
    let mut figure = Figure::new("C-y05", "Concepts that have a latent of their own")
        .caption(&format!(
            "Of {n_concepts} concepts of the world: (a) the share whose best latent tells where they are with an F1 of 0.5, (b) \
             the same of those that no single word tells so well, (c) the share with an F1 of 0.8. Dictionaries of three sizes, each training and means with 95 % intervals over \
             trainings; the same of middle size with its decoder held at a cosine of 0.8 to where it began, or frozen; of a model \
             of random weights; what is had without any dictionary; labels of other rows; whether the token is one word; logistic \
             probes, which learned from labels."
        ))
        .width(Width::Page)
        .panel_height_mm(64.0)
        .columns(3)
        .share_y();
    let drawn = &QUANTITIES[..3];
    let values = measured.found.iter().flat_map(|it| drawn.iter().filter_map(|(.., of)| of(it)));
    let most = values.fold(0.01, f64::max);
    for (what, label, of) in drawn {
        let rows = names(measured).into_iter();
        let rows = rows.filter_map(|(name, label)| {
            Some((label, estimate(config, measured, name, (what, *of))?))
        });
        let rows: Vec<(&str, Estimate)> = rows.collect();
        let rows: Vec<(&str, &Estimate)> = rows.iter().map(|(label, it)| (*label, it)).collect();
        figure = figure.panel(dot_plot(Axis::linear(label).range(0.0, 1.1 * most), &rows));
    }
    figure
}

fn table(config: &Config, measured: &Measured) -> Table {
    let mut table = Table::new("C-y06", "Concepts recovered, in numbers").column("", "");
    for (_, label, _) in QUANTITIES {
        table = table.column(label, "");
    }
    for (name, label) in names(measured) {
        let mut cells = vec![Cell::text(label)];
        cells.extend(QUANTITIES.map(|(what, _, of)| {
            let estimate = estimate(config, measured, name, (what, of));
            estimate.map_or(Cell::text(""), |it| Cell::number(it.mean.value, 3))
        }));
        table = table.row(cells);
    }
    table
}

/// Notes on claims that do not hold, and of one that was not there before the first run.
const WORDS: &str = "a stream of random weights holds little but which word a token is, and words alone tell many concepts";
const FEW: &str = "intervals are over trainings; shares of some 20 concepts are compared";
const LATER: &str = "added after a first run, in which words alone told many concepts";

fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
    let of_quantity = |(what, _, of): Quantity, name: &str| {
        Some(estimate(config, measured, name, (what, of))?.mean)
    };
    let of = |name: &str| of_quantity(QUANTITIES[0], name);
    let mut sizes: Vec<(&str, Number)> = names(measured)
        .into_iter()
        .filter(|(name, _)| name.starts_with("of_"))
        .filter_map(|(name, label)| Some((label, of(name)?)))
        .collect();
    let middle = sizes.get(1).cloned();
    let middle_name = names(measured).get(1).map_or(String::new(), |(name, _)| (*name).to_owned());
    sizes.reverse();
    let mut claims = vec![
        Claim::about(
            "c02.larger_finds_more",
            Claim::OURS,
            "larger dictionaries recover more concepts",
        )
        .ordered(&sizes),
    ];
    let Some((label, middle)) = middle else { return claims };
    for (id, text, others, note) in [
        (
            "untrained",
            "than neurons, axes and components",
            &["neurons", "axes", "pca", "ica"][..],
            "",
        ),
        ("held", "than one whose decoder is held or frozen", &["soft_frozen", "frozen"], FEW),
        ("of_random_weights", "than one of a model of random weights", &["random_weights"], WORDS),
        ("words", "than single words do", &["words"], WORDS),
        ("chance", "than of labels that were shuffled", &["shuffled"], ""),
    ] {
        let (id, text) =
            (format!("c02.more_than_{id}"), format!("a dictionary recovers more concepts {text}"));
        let others = others.iter().filter_map(|name| Some((*name, of(name)?)));
        let best = others.max_by(|a, b| a.1.value.total_cmp(&b.1.value));
        if let Some(best) = best {
            let items = [(label, middle.clone()), best];
            let claim = Claim::about(&id, Claim::OURS, &text).ordered(&items);
            claims.push(if note.is_empty() { claim } else { claim.note(note) });
        }
    }
    let untold = |name: &str| of_quantity(QUANTITIES[1], name);
    let others = ["random_weights", "neurons", "axes", "pca", "ica", "soft_frozen", "frozen"];
    let others = others.into_iter().filter_map(|name| Some((name, untold(name)?)));
    let best = others.max_by(|a, b| a.1.value.total_cmp(&b.1.value));
    if let (Some(ours), Some(best)) = (untold(&middle_name), best) {
        let text = "of concepts that no single word tells, a dictionary recovers more than what is untrained, held or of random \
                    weights";
        let claim = Claim::about("c02.beyond_words", Claim::OURS, text);
        claims.push(claim.ordered(&[(label, ours), best]).note(LATER));
    }
    claims
}
