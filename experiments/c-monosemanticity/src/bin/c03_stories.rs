//! Paper C: three dictionaries of a real pretrained model, and texts that it did not learn.
//!
//! The table of c01 again, for stories260K: a Llama of 260 thousand parameters that others trained, over texts that it writes
//! itself. Then its dictionaries meet other texts: Shakespeare and Wikipedia, of which the model knows little. What a dictionary
//! has learned of a text is then seen in how much of it is left unexplained, and in what the model loses.
//!
//! *Expected:* no published values of this model. *Visible:* the table, and fidelity by text. *Run:* `just run c03`; eight
//! minutes. *Data:* `just data stories260K-hf tinyshakespeare wikitext-2`.
//!
//! *Departures:* as in c01; its stories are read from their beginning, to 255 tokens at most, where other texts are cut anywhere
//! and still begin with the token that begins texts.

use std::fs::{self, File};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use capture::{Origin, hash_file, hash_model};
use device::DeviceName;
use experiment::figures::{Axis, Cell, Color, Figure, Panel, Table, Width};
use experiment::{
    Claim, Context, Cost, Drawing, Estimate, Experiment, Input, Number, Numbers, Tier, curve,
};
use inside::{
    Lesson, Point, Quantity, Sequences, Sweep, Worth, Writing, middle, of_trainings, taught, worth,
    written,
};
use lm::{Sampling, Tokenizer, Transformer};
use mimalloc::MiMalloc;
use seed::Seed;
use serde::{Deserialize, Serialize};

/// It keeps large buffers, which the system's allocator asks for anew at every step.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const STORIES: &str = "stories260K-hf";
const FILES: [&str; 3] = ["config.json", "model.safetensors", "tokenizer.json"];
/// Texts beside its own, with what they are called.
const OTHERS: [(&str, &str); 2] =
    [("tinyshakespeare/input.txt", "Shakespeare"), ("wikitext-2/valid.txt", "Wikipedia")];
const OWN: &str = "its own stories";
const TEXTS: &str = "texts.json";
/// What a text that the model knows little of is better asked with than with ΔCE: where the model is wrong, another answer may
/// be nearer to the truth.
const KL: Quantity = ("kl", "KL", "nats", 3, |it| Some(it.kl));

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    sweep: Sweep,
    n_positions: usize,
    /// Texts that the model writes, to be learned and to be measured on.
    n_texts: [usize; 2],
    /// Rows of each text that measure, and those of which the model is asked.
    n_test: usize,
    n_spliced: usize,
    n_resamples: usize,
}

const WRONG: &str = "stories are drawn from the model itself, so there ΔCE is KL, on average; of other texts the model expects the \
    wrong thing, and what is changed may be nearer to the truth";
const LATER: &str = "added after a first run, in which ΔCE was less on other texts";

/// A text, and dictionaries on it: all on its own stories, those of the paper's penalty on others.
type OfText = (String, Vec<(Point, Worth)>);

struct Stories;

impl Experiment for Stories {
    const ID: &'static str = "c03_stories";
    const TITLE: &'static str = "Three dictionaries of a real model, and other texts";
    const OUTPUTS: &'static [&'static str] = &["C-y07", "C-y08"];
    type Config = Config;
    type Measured = Vec<OfText>;

    fn config(tier: Tier) -> Config {
        let smoke = tier == Tier::Smoke;
        Config {
            sweep: Sweep {
                n_latents: if smoke { vec![64, 256] } else { vec![256, 1024, 8192] },
                penalties: if smoke { vec![2.0, 5.0] } else { vec![1.0, 2.0, 5.0, 10.0] },
                penalty: 5.0,
                n_steps: match tier {
                    Tier::Smoke => 20,
                    Tier::Laptop => 2000,
                    Tier::Paper => 20_000,
                },
                batch_rows: if smoke { 128 } else { 512 },
                learning_rate: if tier == Tier::Paper { 3e-4 } else { 1e-3 },
                seeds: if smoke { vec![0] } else { vec![0, 1, 2] },
            },
            n_positions: if smoke { 32 } else { 256 },
            n_texts: match tier {
                Tier::Smoke => [64, 16],
                Tier::Laptop => [4096, 320],
                Tier::Paper => [40_960, 320],
            },
            n_test: if smoke { 400 } else { 80_000 },
            n_spliced: if smoke { 200 } else { 8000 },
            n_resamples: if smoke { 200 } else { 2000 },
        }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.sweep.seeds
    }

    fn inputs(_: &Config) -> Vec<Input> {
        let model = FILES.map(|file| format!("{STORIES}/{file}"));
        let others = OTHERS.map(|(file, _)| file.to_owned());
        [Input::each(model, Self::OUTPUTS), Input::each(others, &["C-y08"])].concat()
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.2, memory_mb: 300, disk_mb: 5 },
            Tier::Laptop => Cost { minutes: 8.0, memory_mb: 1500, disk_mb: 500 },
            Tier::Paper => Cost { minutes: 60.0, memory_mb: 3000, disk_mb: 4000 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Vec<OfText>> {
        let Some(folder) = context.folder(STORIES, &FILES)? else { return Ok(Vec::new()) };
        let device = DeviceName::Flex.open()?;
        let seed = Seed::new(config.sweep.seeds[0]);
        let model = Transformer::load(&folder, &device)?;
        let tokenizer = Tokenizer::load(&folder)?;
        tokenizer.check(model.config())?;
        let begin = tokenizer.id("<s>").context("the tokenizer has no token <s>")?;
        let texts = context.artefact("texts", |folder| {
            let sampling = Sampling::Random { temperature: 1.0, top_p: 1.0 };
            let n_texts = config.n_texts.iter().sum();
            let writing = Writing { begin, n_texts, n_positions: config.n_positions, sampling };
            let texts = written(&model, &writing, seed, &mut |_| {})?;
            Ok(serde_json::to_writer(File::create(folder.join(TEXTS))?, &texts)?)
        })?;
        let path = texts.join(TEXTS);
        let mut texts: Vec<Vec<u32>> = serde_json::from_slice(&fs::read(&path)?)?;
        let n_learned = texts.len() * config.n_texts[0] / config.n_texts.iter().sum::<usize>();
        let own = Sequences::cut(texts.split_off(n_learned), begin, config.n_positions)?;
        let trained = context.artefact("dictionaries", |made| {
            let lesson = Lesson {
                model: &model,
                hook: middle(&model),
                origin: Origin {
                    model_sha256: hash_model(&folder)?,
                    tokenizer_sha256: hash_file(&folder.join("tokenizer.json"))?,
                    text_sha256: hash_file(&path)?,
                },
                begin,
                n_positions: config.n_positions,
                n_rows: u64::from(config.sweep.n_steps) * config.sweep.batch_rows as u64,
                runs: &config.sweep.runs(&[]),
            };
            let every = (config.sweep.n_steps / 20).max(1);
            let texts = texts.iter().map(|text| inside::Result::Ok(text.clone()));
            taught(made, &lesson, texts, &mut |progress| {
                if progress.n_done.is_multiple_of(every) {
                    context.step(20 * config.sweep.seeds.len());
                }
            })?;
            Ok(config.sweep.keep(made)?)
        })?;
        let measure = |text: Sequences, points: Vec<Point>| {
            let find = |point| config.sweep.find(&trained, point);
            let dictionaries = points.iter().map(find).collect::<inside::Result<Vec<_>>>()?;
            let (text, _) = text.split_at(config.n_test);
            let n = config.n_spliced;
            let found = worth(&model, middle(&model), &text, &dictionaries, n, seed)?;
            Ok(points.into_iter().zip(found).collect())
        };
        let of_own = context.part(OWN, || measure(own, config.sweep.points()))?;
        let mut all = vec![(OWN.to_owned(), of_own)];
        for (file, name) in OTHERS {
            let Some(bytes) = context.read(file)? else { continue };
            let of_text = context.part(name, || {
                let text = String::from_utf8(bytes).context(file)?;
                let tokens = tokenizer.encode(&text)?.iter().map(|token| token.id).collect();
                let text = Sequences::cut([tokens], begin, config.n_positions)?;
                let mut points = config.sweep.points();
                points.retain(|point| config.sweep.is_central(point));
                measure(text, points)
            })?;
            all.push((name.to_owned(), of_text));
        }
        Ok(all)
    }

    fn numbers(config: &Config, measured: &Vec<OfText>) -> Numbers {
        let mut numbers = Numbers::new();
        for (text, points) in measured {
            let text = text.replace(' ', "_");
            for point in config.sweep.grid() {
                for quantity in Worth::QUANTITIES.into_iter().chain([KL]) {
                    let Some(it) = estimate(config, points, &point, quantity) else { continue };
                    let Point { n_latents, penalty, .. } = point;
                    let name = format!("{text}.of_{n_latents}.penalty_{penalty}.{}", quantity.0);
                    // Trainings: last bits differ between CPU classes and grow.
                    let tolerance = if quantity.0 == "l0" { 3.0 } else { 0.05 };
                    numbers.insert(name, it.mean.drift_tol(tolerance));
                }
            }
            if let Some((_, worth)) = points.first() {
                let clean = Number::exact(worth.clean).unit("nats").drift_tol(0.02);
                numbers.insert(format!("{text}.cross_entropy"), clean);
            }
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Vec<OfText>) -> Vec<Drawing> {
        let mut drawings: Vec<Drawing> = Vec::new();
        if let Some((_, own)) = measured.first() {
            drawings.push(table(config, own).into());
        }
        if measured.len() > OTHERS.len() {
            drawings.push(by_text(config, measured).into());
        }
        drawings
    }

    fn claims(config: &Config, measured: &Vec<OfText>) -> Vec<Claim> {
        let Some(point) = config.sweep.grid().find(|it| is_middle(config, it)) else {
            return Vec::new();
        };
        let of = |quantity: Quantity| -> Vec<(&str, Number)> {
            let named = measured.iter().filter_map(|(text, points)| {
                Some((text.as_str(), estimate(config, points, &point, quantity)?.mean))
            });
            named.collect()
        };
        let mut claims = Vec::new();
        for (id, text, quantity) in [
            (
                "c03.other_texts_explained_less",
                "more variance of other texts is left unexplained than of the model's own",
                Worth::FVU,
            ),
            (
                "c03.other_texts_cost_more",
                "reconstructions cost more on other texts than on the model's own",
                Worth::DELTA,
            ),
            (
                "c03.other_texts_changed_more",
                "reconstructions change what the model expects more on other texts than on its own",
                KL,
            ),
        ] {
            let mut items = of(quantity);
            if items.len() <= OTHERS.len() {
                continue;
            }
            let own = items.remove(0);
            let least = items.into_iter().min_by(|a, b| a.1.value.total_cmp(&b.1.value));
            let items: Vec<_> = least.into_iter().chain([own]).collect();
            let claim = Claim::about(id, Claim::OURS, text).ordered(&items);
            claims.push(match quantity.0 {
                "delta" => claim.note(WRONG),
                "kl" => claim.note(LATER),
                _ => claim,
            });
        }
        claims
    }
}

fn main() -> ExitCode {
    experiment::main::<Stories>()
}

/// Whether it is of middle size and the paper's penalty.
fn is_middle(config: &Config, point: &Point) -> bool {
    config.sweep.n_latents.get(1) == Some(&point.n_latents) && config.sweep.is_central(point)
}

/// Over trainings of a size and penalty, with an interval if there are several.
fn estimate(
    config: &Config,
    points: &[(Point, Worth)],
    point: &Point,
    (what, _, _, _, of): Quantity,
) -> Option<Estimate> {
    let values = of_trainings(points, point, of);
    if let [value] = values[..] {
        return Some(Estimate { each: values, mean: Number::exact(value) });
    }
    let purpose = format!("bootstrap {} {} {what}", point.n_latents, point.penalty);
    let mut rng = Seed::new(config.sweep.seeds[0]).stream(Stories::ID, &purpose);
    Estimate::of(&values, config.n_resamples, &mut rng).ok()
}

fn table(config: &Config, own: &[(Point, Worth)]) -> Table {
    let mut table = Table::new("C-y07", "Three dictionaries of stories260K, on its own stories")
        .column("dictionary", "")
        .column("λ", "");
    for (_, label, unit, ..) in Worth::QUANTITIES {
        table = table.column(label, unit);
    }
    for point in config.sweep.grid() {
        let mut cells = vec![Cell::text(&point.label()), Cell::number(point.penalty, 0)];
        cells.extend(Worth::QUANTITIES.map(|quantity| {
            let estimate = estimate(config, own, &point, quantity);
            estimate.map_or(Cell::text(""), |it| Cell::number(it.mean.value, quantity.3))
        }));
        table = table.row(cells);
    }
    table
}

/// Variance, what the model loses, and active latents, for each text.
fn by_text(config: &Config, measured: &[OfText]) -> Figure {
    let losses = measured
        .iter()
        .filter_map(|(text, points)| Some(format!("{text} {:.2}", points.first()?.1.clean)));
    let points = config.sweep.grid().filter(|point| config.sweep.is_central(point));
    let names: Vec<(f64, String)> =
        points.map(|it| (it.n_latents as f64, it.label().replace(" latents", ""))).collect();
    let sizes: Vec<(f64, &str)> = names.iter().map(|(at, name)| (*at, name.as_str())).collect();
    let mut figure = Figure::new("C-y08", "Dictionaries of stories260K on other texts")
        .caption(&format!(
            "Dictionaries that learned stories which the model wrote, with λ = {}, on other stories, and on other texts: means \
             and 95 % intervals over trainings. (a) The share of variance that is not explained. (b) By how much the \
             cross-entropy of the model rises. (c) KL of what the model expects as it is from what it expects with \
             reconstructions. The model's own cross-entropy in nats: {}.",
            config.sweep.penalty,
            losses.collect::<Vec<_>>().join(", "),
        ))
        .width(Width::Page)
        .panel_height_mm(52.0)
        .columns(3);
    for quantity in [Worth::FVU, Worth::DELTA, KL] {
        let (_, label, unit, _, of) = quantity;
        let label = if unit.is_empty() { label.to_owned() } else { format!("{label} ({unit})") };
        let values = measured.iter().flat_map(|(_, points)| points);
        let values = values.filter(|(point, _)| config.sweep.is_central(point));
        let values: Vec<f64> = values.filter_map(|(_, worth)| of(worth)).collect();
        let [least, most] =
            [f64::min, f64::max].map(|end| values.iter().copied().fold(0.0, end) * 1.1);
        let y = Axis::linear(&label).range(least, most.max(1e-3));
        let mut panel = Panel::new(Axis::log10("latents").named_ticks(&sizes), y);
        for (which, (text, points)) in measured.iter().enumerate() {
            let points_of_penalty = config.sweep.grid().filter(|it| config.sweep.is_central(it));
            let of = |point: Point| {
                Some((point.n_latents as f64, estimate(config, points, &point, quantity)?))
            };
            let (x, estimates): (Vec<f64>, Vec<Estimate>) =
                points_of_penalty.filter_map(of).unzip();
            panel = panel.marks(curve(&x, &estimates, text, Color::nth(which)));
        }
        figure = figure.panel(panel);
    }
    figure
}
