//! Paper A: how sharply the heads of language models attend.
//!
//! The authors ask GPT-2 for the largest input of each head's softmax, at the last token of nine texts, and call it the
//! head's effective β: what β would be if the best key met the query with cosine 1. It is compared with the β of the
//! three best radii of the memory. Here the same is asked of GPT-2 where its files are at hand, and of stories260K, a
//! real model of 260 thousand parameters; and since queries and keys are known, so is the true inverse temperature,
//! `|q||k|/√d_head`, and the cosine that was taken for 1. A model of random weights stands beside each small one.
//!
//! *Expected:* GPT-2's heads mostly below 10, a few far above; early layers sharpest (read off the authors' pictures).
//! *Visible:* best keys are far from cosine 1, so the effective β understates the true one. *Run:* `just run a16`; ten
//! seconds. *Data:* `just data stories260K-hf tinyshakespeare wikitext-2`; GPT-2: `just data gpt2 gpt2-large`, or a folder
//! of that name, with config.json, model.safetensors and tokenizer.json, in `ENGRAM_DATA_MIRROR`.
//!
//! *Departures:* the authors' nine texts are not at hand; passages of Shakespeare and Wikipedia stand for them, of as
//! many tokens in the first and the last; stories260K reads what it told itself.

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use device::DeviceName;
use experiment::figures::{Axis, Cell, Color, Figure, Mark, Panel, Table, Width};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Input, Number, Numbers, Tier};
use lm::{Generation, Hooks, LastQuery, Sampling, Tokenizer, Transformer};
use seed::Seed;
use serde::{Deserialize, Serialize};
use stats::bootstrap_mean;

/// Data sets of models, with what they are called.
const MODELS: [(&str, &str); 3] =
    [("gpt2", "GPT-2 small"), ("gpt2-large", "GPT-2 large"), ("stories260K-hf", "stories260K")];
const FILES: [&str; 3] = ["config.json", "model.safetensors", "tokenizer.json"];
const TEXTS: [&str; 2] = ["tinyshakespeare/input.txt", "wikitext-2/valid.txt"];
/// β of the memory at its best radii: critical distance, signal to noise, capacity (a02).
const MEMORY: [(f64, &str); 3] = [(10.1, "CD"), (15.9, "SNR"), (35.5, "Mem")];
/// Edges of the classes of attention weights, by powers of ten.
const WEIGHTS: [f64; 8] = [0.0, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0];
/// Edges of the histogram of the softmax's inputs.
const SCORES: [f64; 3] = [-40.0, 40.0, 2.0];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Tokens of each text.
    n_tokens: Vec<usize>,
    /// The same for the model of short context.
    n_tokens_short: Vec<usize>,
    n_resamples: usize,
    /// Of the stories, the random weights and the bootstrap.
    seeds: Vec<u64>,
}

/// One head at the last token of a text.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Best {
    /// The largest input of the softmax.
    beta: f64,
    /// |q||k|/√d of that key.
    inverse_temperature: f64,
    /// Cosine of query and key.
    cosine: f64,
}

/// What was asked of a model.
#[derive(Default, Serialize, Deserialize)]
struct Asked {
    /// `[text][layer][head]`
    best: Vec<Vec<Vec<Best>>>,
    /// Inputs of the softmax, counted by [`SCORES`].
    scores: Vec<u64>,
    /// By class of [`WEIGHTS`], the lengths of values: how many, their mean, the largest.
    values: Vec<(u64, f64, f64)>,
    /// How each text begins, and its tokens.
    texts: Vec<(String, usize)>,
}

impl Asked {
    /// `[layer][head]`: the largest β over texts.
    fn largest(&self) -> Vec<Vec<f64>> {
        let mut texts = self.best.iter();
        let of = |text: &Vec<Vec<Best>>| -> Vec<Vec<f64>> {
            text.iter().map(|layer| layer.iter().map(|best| best.beta).collect()).collect()
        };
        let mut largest = texts.next().map(of).unwrap_or_default();
        for text in texts.map(of) {
            let heads = largest.iter_mut().flatten().zip(text.iter().flatten());
            heads.for_each(|(largest, beta)| *largest = largest.max(*beta));
        }
        largest
    }

    fn heads(&self) -> Vec<f64> {
        self.largest().concat()
    }

    fn all(&self) -> impl Iterator<Item = &Best> {
        self.best.iter().flatten().flatten()
    }
}

#[derive(Default)]
struct Measured {
    /// In the order of [`MODELS`]; none where files are missing. Trained, and of random weights where it is small.
    models: Vec<Option<(Asked, Option<Asked>)>>,
}

struct EffectiveBeta;

impl Experiment for EffectiveBeta {
    const ID: &'static str = "a16_effective_beta";
    const TITLE: &'static str = "How sharply the heads of language models attend";
    const OUTPUTS: &'static [&'static str] =
        &["A-x90", "A-x91", "A-x92", "A-x93", "A-x94", "A-x95", "A-x96", "A-y60", "A-y61"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let n_texts = if tier == Tier::Smoke { 2 } else { 9 };
        Config {
            // From 195 to 844 tokens, as the authors' first and last text have.
            n_tokens: (0..n_texts).map(|text| 195 + (844 - 195) * text / 8).collect(),
            n_tokens_short: (0..n_texts).map(|text| 96 + 44 * text).collect(),
            n_resamples: if tier == Tier::Smoke { 200 } else { 2000 },
            seeds: vec![0],
        }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn inputs(_: &Config) -> Vec<Input> {
        let of = |set: &str, outputs: &[&str]| {
            Input::each(FILES.map(|file| format!("{set}/{file}")), outputs)
        };
        let (gpt2, ours) = Self::OUTPUTS.split_at(7);
        let [small, large, stories] = MODELS.map(|(set, _)| set);
        [
            of(small, &gpt2[..6]),
            of(large, &[gpt2[0], gpt2[6]]),
            of(stories, ours),
            Input::each(TEXTS.map(str::to_owned), gpt2),
        ]
        .concat()
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.1, memory_mb: 300, disk_mb: 2 },
            // Without GPT-2: its large form takes ten minutes and 8 GB.
            Tier::Laptop | Tier::Paper => Cost { minutes: 0.2, memory_mb: 500, disk_mb: 4 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let device = DeviceName::Flex.open()?;
        let seed = Seed::new(*config.seeds.first().context("a seed is needed")?);
        let mut passages = Vec::new();
        for file in TEXTS {
            let Some(bytes) = context.read(file)? else { continue };
            passages.push(String::from_utf8(bytes).context(file)?);
        }
        let mut models = Vec::new();
        for (set, _) in MODELS {
            context.step(MODELS.len());
            let is_ours = set == MODELS[2].0;
            let has_texts = is_ours || passages.len() == TEXTS.len();
            let Some(folder) = context.folder(set, &FILES)?.filter(|_| has_texts) else {
                models.push(None);
                continue;
            };
            let asked = context.part(set, || {
                let model = Transformer::load(&folder, &device)?;
                let tokenizer = Tokenizer::load(&folder)?;
                tokenizer.check(model.config())?;
                let texts = if is_ours {
                    told(&model, &tokenizer, &config.n_tokens_short, seed)?
                } else {
                    passages_of(&passages, &tokenizer, &config.n_tokens)?
                };
                let trained = ask(&model, &texts)?;
                let small = model.config().n_layers * model.config().d_model < 12 * 1024;
                let random = small
                    .then(|| {
                        let model = Transformer::random(model.config().clone(), seed, &device)?;
                        ask(&model, &texts)
                    })
                    .transpose()?;
                Ok((trained, random))
            })?;
            models.push(Some(asked));
        }
        Ok(Measured { models })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for ((set, _), asked) in MODELS.iter().zip(&measured.models) {
            let Some((trained, random)) = asked else { continue };
            for (kind, asked) in [("trained", Some(trained)), ("random", random.as_ref())] {
                let Some(asked) = asked else { continue };
                let heads = asked.heads();
                let largest = heads.iter().fold(0.0, |a: f64, b| a.max(*b));
                let mean = |what: &str, values: &[f64]| {
                    (what.to_owned(), mean(config, values, &format!("{set} {kind} {what}")))
                };
                let of = |get: fn(&Best) -> f64| asked.all().map(get).collect::<Vec<f64>>();
                let rows = [
                    mean("mean_beta", &heads),
                    ("largest_beta".to_owned(), Some(Number::exact(largest))),
                    ("share_below_10".to_owned(), Some(share_below(&heads, 10.0))),
                    mean("mean_cosine", &of(|best| best.cosine)),
                    mean("mean_true_beta", &of(|best| best.inverse_temperature)),
                ];
                for (what, number) in rows {
                    let named = number.map(|n| (format!("{set}.{kind}.{what}"), n.drift_tol(0.05)));
                    numbers.extend(named);
                }
            }
        }
        numbers
    }

    fn drawings(_: &Config, measured: &Measured) -> Vec<Drawing> {
        let mut drawings: Vec<Drawing> = Vec::new();
        let asked = |at: usize| Some(&measured.models.get(at)?.as_ref()?.0);
        if let (Some(small), Some(large)) = (asked(0), asked(1)) {
            drawings.push(largest_by_head(&[(MODELS[0].1, small), (MODELS[1].1, large)]).into());
        }
        if let Some(small) = asked(0) {
            let one = |id, title, panel| Figure::new(id, title).caption(EACH).panel(panel);
            drawings
                .push(one("A-x91", "Mean effective β by layer of GPT-2", by_mean(small)).into());
            let most = largest_by_layer(small);
            drawings.push(one("A-x92", "Largest effective β by layer of GPT-2", most).into());
            drawings
                .push(one("A-x93", "Inputs of GPT-2's softmax", inputs_of_softmax(small)).into());
            let values = values_by_weight(small);
            drawings.push(one("A-x94", "Lengths of GPT-2's values by attention", values).into());
            drawings.push(texts(small).into());
        }
        if let Some(large) = asked(1) {
            let figure = Figure::new("A-x96", "GPT-2 large").caption(EACH).width(Width::Page);
            let figure = figure.columns(2).panel(by_mean(large)).panel(largest_by_layer(large));
            drawings
                .push(figure.panel(inputs_of_softmax(large)).panel(values_by_weight(large)).into());
        }
        if let Some(Some((trained, Some(random)))) = measured.models.get(2) {
            drawings.push(stories(trained, random).into());
            drawings.push(lengths(trained, random).into());
        }
        drawings
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let mut claims = Vec::new();
        let asked = |at: usize| measured.models.get(at).and_then(Option::as_ref);
        for at in [0, 1] {
            let Some((trained, _)) = asked(at) else { continue };
            let (set, label) = MODELS[at];
            let (id, text) =
                (format!("a16.bulk_{set}"), format!("most heads of {label} lie below 10"));
            let share = share_below(&trained.heads(), 10.0);
            let source = "authors' figure of GPT-2's largest effective β";
            claims.push(
                Claim::about(&id, source, &text)
                    .at_least(0.5, "share of heads whose largest effective β is below 10", &share)
                    .note("other texts than the authors'"),
            );
        }
        if let Some((trained, Some(random))) = asked(2) {
            let of = |asked: &Asked, kind| mean(config, &asked.heads(), &format!("claim {kind}"));
            if let (Some(ours), Some(null)) = (of(trained, "trained"), of(random, "random")) {
                let text = "heads of stories260K attend more sharply than those of random weights";
                let claim = Claim::about("a16.stories_sharper", Claim::OURS, text);
                claims.push(claim.ordered(&[("trained", ours), ("random", null)]));
            }
        }
        claims
    }
}

fn main() -> ExitCode {
    experiment::main::<EffectiveBeta>()
}

fn mean(config: &Config, values: &[f64], purpose: &str) -> Option<Number> {
    let mut rng = Seed::new(*config.seeds.first()?).stream(EffectiveBeta::ID, purpose);
    let (mean, ci) = bootstrap_mean(values, config.n_resamples, &mut rng).ok()?;
    Some(Number::estimate(mean, [ci.low, ci.high]).n(values.len() as u64))
}

fn share_below(values: &[f64], bound: f64) -> Number {
    let below = values.iter().filter(|value| **value < bound).count();
    Number::exact(below as f64 / values.len() as f64).n(values.len() as u64)
}

/// A text with the tokens that a model reads.
struct Text {
    begins: String,
    ids: Vec<u32>,
}

/// Stories that a model tells from the token that begins texts.
fn told(
    model: &Transformer,
    tokenizer: &Tokenizer,
    lengths: &[usize],
    seed: Seed,
) -> Result<Vec<Text>> {
    let begin = tokenizer.id("<s>").context("the tokenizer has no token <s>")?;
    let sampling = Sampling::Random { temperature: 1.0, top_p: 1.0 };
    let texts = lengths.iter().enumerate().map(|(at, n_tokens)| {
        let generation = Generation { sampling, n_tokens: n_tokens - 1, stop: Vec::new() };
        let mut rng = seed.stream(EffectiveBeta::ID, &format!("story {at}"));
        let story = model.generate(&[begin], &generation, &mut rng, &mut Hooks::new())?;
        let begins = start_of(&tokenizer.decode(&story)?);
        Ok(Text { begins, ids: [vec![begin], story].concat() })
    });
    texts.collect()
}

/// Passages from places spread over the texts, cut to these numbers of tokens.
fn passages_of(texts: &[String], tokenizer: &Tokenizer, lengths: &[usize]) -> Result<Vec<Text>> {
    let passages = lengths.iter().enumerate().map(|(at, n_tokens)| {
        let text = &texts[at % texts.len()];
        let from = text.len() / (lengths.len() + 1) * (at + 1);
        let line = text.as_bytes()[from..].iter().position(|byte| *byte == b'\n');
        let from = from + line.map_or(0, |line| line + 1);
        // No token is shorter than a byte, and few are longer than ten.
        let mut to = (from + 10 * n_tokens).min(text.len());
        while !text.is_char_boundary(to) {
            to -= 1;
        }
        let passage = &text[from..to];
        let mut ids: Vec<u32> = tokenizer.encode(passage)?.iter().map(|token| token.id).collect();
        ensure!(ids.len() >= *n_tokens, "the passage has {} tokens of {n_tokens}", ids.len());
        ids.truncate(*n_tokens);
        Ok(Text { begins: start_of(passage), ids })
    });
    passages.collect()
}

/// The first words of a text on one line.
fn start_of(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(8).collect();
    format!("{} …", words.join(" "))
}

/// Asks every head at the last token of every text.
fn ask(model: &Transformer, texts: &[Text]) -> Result<Asked> {
    let n_bins = ((SCORES[1] - SCORES[0]) / SCORES[2]).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    let mut asked = Asked {
        scores: vec![0; n_bins as usize],
        values: vec![(0, 0.0, 0.0); WEIGHTS.len() - 1],
        ..Asked::default()
    };
    for text in texts {
        let layers = model.last_queries(&text.ids)?;
        let best = layers.iter().map(|heads| heads.iter().map(|head| asked.head(head)).collect());
        let best = best.collect();
        asked.best.push(best);
        asked.texts.push((text.begins.clone(), text.ids.len()));
    }
    Ok(asked)
}

impl Asked {
    /// Counts scores and values of one head, and picks its best key.
    fn head(&mut self, head: &LastQuery) -> Best {
        let last = self.scores.len() - 1;
        for score in &head.scores {
            let bin = ((score - SCORES[0]) / SCORES[2]).floor().clamp(0.0, last as f64);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
            let bin = bin as usize;
            self.scores[bin] += 1;
        }
        for (weight, length) in head.pattern().iter().zip(&head.value_lengths) {
            let class = WEIGHTS[1..].iter().position(|edge| weight <= edge);
            let (count, mean, most) = &mut self.values[class.unwrap_or(WEIGHTS.len() - 2)];
            *count += 1;
            *mean += (length - *mean) / *count as f64;
            *most = most.max(*length);
        }
        let at = head.best_key();
        Best {
            beta: head.scores[at],
            inverse_temperature: head.inverse_temperature(at),
            cosine: head.scores[at] / head.inverse_temperature(at),
        }
    }
}

type Named<'a> = (&'a str, &'a Asked);

/// Numbers counted in steps of 2, from below the least of all to above the largest.
fn histogram(values: &[f64], [least, most]: [f64; 2], label: &str, color: Color) -> Mark {
    let mut edges = vec![(least / 2.0).floor() * 2.0];
    while edges[edges.len() - 1] <= most {
        edges.push(edges[edges.len() - 1] + 2.0);
    }
    let counts = edges.windows(2).map(|edge| {
        values.iter().filter(|value| (edge[0]..edge[1]).contains(value)).count() as f64
    });
    let counts: Vec<f64> = counts.collect();
    Mark::histogram(&edges, &counts).color(color).label(label)
}

/// Lines at the memory's three β.
fn memory() -> impl Iterator<Item = Mark> {
    MEMORY.iter().map(|(beta, of)| {
        let label = format!("β_{{{of}}}");
        Mark::vline(*beta).dashed().color(Color::Gray).label(&label)
    })
}

fn ends(values: &[f64]) -> [f64; 2] {
    values.iter().fold([0.0, 40.0], |[least, most], value| [least.min(*value), most.max(*value)])
}

fn largest_by_head(models: &[Named]) -> Figure {
    let mut figure = Figure::new("A-x90", "Largest effective β of each head of GPT-2")
        .caption(
            "Heads by the largest input of their softmax, of the last token of nine texts to all tokens; dashed: β of \
             the memory at its best radii.",
        )
        .columns(models.len())
        .width(Width::Page);
    for (label, asked) in models {
        let heads = asked.heads();
        let panel = Panel::new(Axis::linear("largest effective β"), Axis::linear("heads"));
        let bars = histogram(&heads, ends(&heads), label, Color::Blue).series(label);
        figure = figure.panel(panel.title(label).mark(bars).marks(memory()));
    }
    figure
}

/// A panel of a line for each text, of a summary of each layer's heads.
fn lines_by_layer(asked: &Asked, axis: &str, of: impl Fn(&[Best]) -> f64) -> Panel {
    let layers: Vec<f64> = (0..asked.best[0].len()).map(|layer| layer as f64).collect();
    let mut panel = Panel::new(Axis::linear("layer"), Axis::linear(axis));
    for (at, text) in asked.best.iter().enumerate() {
        let y: Vec<f64> = text.iter().map(|heads| of(heads)).collect();
        let color = if at == 0 { Color::Vermilion } else { Color::Blue };
        panel = panel.mark(Mark::line(&layers, &y).color(color).series(&format!("text {at}")));
    }
    panel
}

fn mean_beta(heads: &[Best]) -> f64 {
    heads.iter().map(|best| best.beta).sum::<f64>() / heads.len() as f64
}

/// On all figures of one model.
const EACH: &str = "Of the last token of nine texts. By layer: a line for each text, orange for the shortest. Inputs of the \
    softmax: scores of its query with every key, of all heads, layers and texts; those beyond ±40 count in the outermost \
    bins. Values: of all heads, layers and texts, by the weight that the last token gives them.";

fn by_mean(asked: &Asked) -> Panel {
    lines_by_layer(asked, "mean effective β", mean_beta)
}

fn largest_by_layer(asked: &Asked) -> Panel {
    let most = |heads: &[Best]| heads.iter().fold(0.0, |most: f64, best| most.max(best.beta));
    lines_by_layer(asked, "largest effective β", most)
}

fn inputs_of_softmax(asked: &Asked) -> Panel {
    let [low, _, step] = SCORES;
    let edges: Vec<f64> = (0..=asked.scores.len()).map(|at| low + at as f64 * step).collect();
    let counts: Vec<f64> = asked.scores.iter().map(|count| *count as f64).collect();
    Panel::new(Axis::linear("q·k/√d_{head}"), Axis::linear("scores"))
        .mark(Mark::histogram(&edges, &counts).color(Color::Blue).series("scores"))
}

fn values_by_weight(asked: &Asked) -> Panel {
    let names: Vec<String> = WEIGHTS[1..].iter().map(|edge| format!("≤ {edge}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let there = asked.values.iter().enumerate().filter(|(_, (count, ..))| *count > 0);
    let there: Vec<(f64, f64, f64)> =
        there.map(|(at, (_, mean, most))| (at as f64, *mean, *most)).collect();
    let x: Vec<f64> = there.iter().map(|row| row.0).collect();
    let of = |y: fn(&(f64, f64, f64)) -> f64| there.iter().map(y).collect::<Vec<f64>>();
    Panel::new(Axis::categories("attention weight", &names), Axis::linear("length of values"))
        .mark(Mark::points(&x, &of(|row| row.1)).color(Color::Blue).label("mean"))
        .mark(Mark::points(&x, &of(|row| row.2)).color(Color::Vermilion).label("largest"))
}

fn texts(asked: &Asked) -> Table {
    let table = Table::new("A-x95", "The texts that GPT-2 is given").column("text", "");
    let rows = asked.texts.iter();
    rows.fold(table.column("tokens", ""), |table, (begins, n_tokens)| {
        table.row(vec![Cell::text(begins), Cell::number(*n_tokens as f64, 0)])
    })
}

/// Histogram and layers of stories260K.
fn stories(trained: &Asked, random: &Asked) -> Figure {
    let [ours, null] = [trained.heads(), random.heads()];
    let within = ends(&[ours.clone(), null.clone()].concat());
    let heads = Panel::new(Axis::linear("largest effective β"), Axis::linear("heads"))
        .mark(histogram(&null, within, "random weights", Color::Gray))
        .mark(histogram(&ours, within, "trained", Color::Blue))
        .marks(memory())
        .title("heads");
    let layers = lines_by_layer(trained, "mean effective β", mean_beta).title("layers");
    Figure::new("A-y60", "Effective β of stories260K")
        .caption(
            "Left: heads by the largest input of their softmax, of the last token of nine stories that the model told at \
             temperature 1; dashed: β of the memory at its best radii, of 64 dimensions where these heads have 8. Right: \
             mean over the heads of a layer, a line for each story; orange: the shortest.",
        )
        .columns(2)
        .width(Width::Page)
        .panel(heads)
        .panel(layers)
}

/// What the effective β takes for 1.
fn lengths(trained: &Asked, random: &Asked) -> Figure {
    let mut figure = Figure::new("A-y61", "The cosine that the effective β takes for 1")
        .caption(
            "The best key of the last token of each story, head by head: the true inverse temperature |q||k|/√d_head \
             against the cosine of query and key. The effective β is their product; it is the true one where the cosine \
             is 1 (dashed).",
        )
        .columns(2)
        .width(Width::Page);
    for (label, asked) in [("stories260K", trained), ("random weights", random)] {
        let x: Vec<f64> = asked.all().map(|best| best.cosine).collect();
        let y: Vec<f64> = asked.all().map(|best| best.inverse_temperature).collect();
        let panel = Panel::new(
            Axis::linear("cosine of query and best key").range(-1.0, 1.05),
            Axis::linear("|q||k|/√d_{head}"),
        );
        let points = Mark::points(&x, &y).color(Color::Blue).series(label);
        figure = figure.panel(panel.title(label).mark(points).mark(Mark::vline(1.0).dashed()));
    }
    figure
}
