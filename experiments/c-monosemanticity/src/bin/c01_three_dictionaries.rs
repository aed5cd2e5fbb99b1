//! Paper C: three dictionaries of the middle of a model.
//!
//! The paper trained dictionaries of 1, 4 and 34 million latents on the residual stream in the middle of Claude 3 Sonnet, and
//! told how many latents are active, how much variance they explain, and how many are dead. Here are three of the same ratio,
//! 1:4:32, for the model of the world, each with several penalties. What they have of its concepts is asked in c02.
//!
//! *Expected:* fewer than 300 active latents, 65 % of variance or more, 2, 35 and 65 % dead. *Visible:* the paper's table with
//! what the model loses by reconstructions, and fidelity against L0. *Run:* `just run c01`; fifteen minutes after s01.
//! *Data:* none.
//!
//! *Departures:* four, 16 and 128 times as many latents as the stream is wide; a million rows where the paper had billions,
//! therefore a learning rate of 0.001 for 0.00005; dead are latents that no test row activates, where the paper took ten
//! million tokens. As there, dialogues and images are no part of what is learned; documents about behaviors are left out too.

use std::process::ExitCode;

use anyhow::Result;
use capture::{Origin, hash_file, hash_model};
use corpus::{Split, Words};
use device::DeviceName;
use experiment::figures::{Axis, Cell, Color, Figure, Mark, Panel, Table, Width};
use experiment::{Claim, Context, Cost, Drawing, Estimate, Experiment, Number, Numbers, Tier};
use inside::{
    DOMAINS, Lesson, Point, Quantity, Sequences, Sweep, Worth, middle, of_trainings, taught, worth,
};
use lm::{Precision, Transformer};
use mimalloc::MiMalloc;
use sae::{Freeze, Member};
use seed::Seed;
use serde::{Deserialize, Serialize};
use substrate::{Learned, WorldText};

/// It keeps large buffers, which the system's allocator asks for anew at every step.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const MODELS: &str = "s01_language_models";
const MODEL: &str = "lm_0";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    sweep: Sweep,
    n_positions: usize,
    /// Rows that dictionaries learn, those that measure them, and those of which the model is asked.
    n_rows: u64,
    n_test: usize,
    n_spliced: usize,
    n_resamples: usize,
}

type Measured = Vec<(Point, Worth)>;

struct ThreeDictionaries;

impl Experiment for ThreeDictionaries {
    const ID: &'static str = "c01_three_dictionaries";
    const TITLE: &'static str = "Three dictionaries of the middle of a model";
    const OUTPUTS: &'static [&'static str] = &["C-T01", "C-y04"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let smoke = tier == Tier::Smoke;
        let sweep = Sweep {
            n_latents: if smoke { vec![64, 256, 2048] } else { vec![512, 2048, 16_384] },
            penalties: if smoke { vec![2.0, 5.0] } else { vec![1.0, 2.0, 5.0, 10.0] },
            penalty: 5.0,
            n_steps: match tier {
                Tier::Smoke => 30,
                Tier::Laptop => 2000,
                Tier::Paper => 20_000,
            },
            batch_rows: if smoke { 128 } else { 512 },
            learning_rate: if tier == Tier::Paper { 3e-4 } else { 1e-3 },
            seeds: if smoke { vec![0] } else { vec![0, 1, 2] },
        };
        Config {
            n_rows: u64::from(sweep.n_steps) * sweep.batch_rows as u64,
            sweep,
            n_positions: 128,
            n_test: if smoke { 2000 } else { 80_000 },
            n_spliced: if smoke { 300 } else { 8000 },
            n_resamples: if smoke { 200 } else { 2000 },
        }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.sweep.seeds
    }

    fn needs() -> &'static [&'static str] {
        &[MODELS]
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.2, memory_mb: 500, disk_mb: 20 },
            Tier::Laptop => Cost { minutes: 12.0, memory_mb: 2500, disk_mb: 1500 },
            Tier::Paper => Cost { minutes: 150.0, memory_mb: 4000, disk_mb: 8000 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let device = DeviceName::Flex.open()?;
        let seed = Seed::new(config.sweep.seeds[0]);
        let folder = context.needed(MODELS, "corpus")?;
        let text = WorldText::open(&folder)?;
        let about_text = hash_file(&folder.join("corpus.json"))?;
        let learn = |name: &str, model: &Transformer, sweep: &Sweep, beside: &[Member]| {
            context.artefact(name, |folder| {
                // The store of activations says by its hash which model they are of.
                let saved = folder.join("model");
                if !saved.exists() {
                    model.save(&saved, Precision::F32, u64::MAX)?;
                }
                let documents = text.documents(Split::Dictionary, None);
                let documents = documents.filter(|it| DOMAINS.contains(&it.domain()));
                let lesson = Lesson {
                    model,
                    hook: middle(model),
                    origin: Origin {
                        model_sha256: hash_model(&saved)?,
                        tokenizer_sha256: about_text.clone(),
                        text_sha256: about_text.clone(),
                    },
                    begin: Words::END,
                    n_positions: config.n_positions,
                    n_rows: config.n_rows,
                    runs: &sweep.runs(beside),
                };
                let texts = documents.map(|document| text.words().tokens(&document));
                let every = (sweep.n_steps / 20).max(1);
                taught(folder, &lesson, texts, &mut |progress| {
                    if progress.n_done.is_multiple_of(every) {
                        context.step(20 * (config.sweep.seeds.len() + 1));
                    }
                })?;
                Ok(sweep.keep(folder)?)
            })
        };
        let sweep = &config.sweep;
        let model = Learned::load(&context.needed(MODELS, MODEL)?, &device)?.model;
        let trained = learn("dictionaries", &model, sweep, &held(sweep))?;
        // What c02 compares with: a dictionary of activations that were never trained.
        let one = Sweep {
            n_latents: sweep.n_latents[1..2].to_vec(),
            penalties: vec![sweep.penalty],
            seeds: sweep.seeds[..1].to_vec(),
            ..sweep.clone()
        };
        let random = Transformer::random(model.config().clone(), seed, &device)?;
        learn("dictionary_of_random_weights", &random, &one, &[])?;
        context.part("worth", || {
            let test = Sequences::of_world(&text, Split::Test, config.n_positions, config.n_test)?;
            let find = |point| sweep.find(&trained, point);
            let points = sweep.points();
            let dictionaries = points.iter().map(find).collect::<inside::Result<Vec<_>>>()?;
            let hook = middle(&model);
            let found = worth(&model, hook, &test, &dictionaries, config.n_spliced, seed)?;
            Ok(points.into_iter().zip(found).collect())
        })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for point in config.sweep.grid() {
            for quantity in Worth::QUANTITIES {
                let Some(number) = mean(config, measured, &point, quantity) else { continue };
                // Trainings: last bits differ between CPU classes and grow.
                let tolerance = if quantity.0 == "l0" { 3.0 } else { 0.05 };
                let name =
                    format!("of_{}.penalty_{}.{}", point.n_latents, point.penalty, quantity.0);
                numbers.insert(name, number.drift_tol(tolerance));
            }
        }
        let clean = measured.first().map_or(0.0, |(_, worth)| worth.clean);
        let clean = Number::exact(clean).unit("nats").drift_tol(0.02);
        numbers.insert("cross_entropy".to_owned(), clean);
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        vec![table(config, measured).into(), against_l0(config, measured).into()]
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        claims(config, measured)
    }
}

fn main() -> ExitCode {
    experiment::main::<ThreeDictionaries>()
}

/// Dictionaries of the middle size whose decoder is not free, for c02.
fn held(sweep: &Sweep) -> [Member; 2] {
    let frozen =
        [("soft_frozen", Freeze::SoftDecoder { least_cosine: 0.8 }), ("frozen", Freeze::Decoder)];
    frozen.map(|(name, freeze)| Member {
        name: name.to_owned(),
        recipe: sweep.recipe(sweep.n_latents[1], sweep.penalty).frozen(freeze),
    })
}

/// The mean over trainings of a size and penalty, with an interval if there are several.
fn mean(config: &Config, measured: &Measured, point: &Point, quantity: Quantity) -> Option<Number> {
    let (what, _, _, _, of) = quantity;
    let values = of_trainings(measured, point, of);
    if let [value] = values[..] {
        return Some(Number::exact(value));
    }
    let purpose = format!("bootstrap {} {} {what}", point.n_latents, point.penalty);
    let mut rng = Seed::new(config.sweep.seeds[0]).stream(ThreeDictionaries::ID, &purpose);
    Some(Estimate::of(&values, config.n_resamples, &mut rng).ok()?.mean)
}

/// Rows of published tables: dictionary, λ, L0, normalized mean square error, dead, cross-entropy recovered.
type Published =
    (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);
const PUBLISHED: [Published; 12] = [
    ("paper C, 1,048,576", "5", "< 300", "≤ 0.35", "0.02", ""),
    ("paper C, 4,194,304", "5", "< 300", "≤ 0.35", "0.35", ""),
    ("paper C, 33,554,432", "5", "< 300", "≤ 0.35", "0.65", ""),
    ("April update, 1 layer, MLP", "2", "99.6", "0.031", "", "0.983"),
    ("April update, 1 layer, MLP", "5", "38.7", "0.066", "", "0.964"),
    ("April update, 1 layer, MLP", "10", "20.1", "0.131", "", "0.914"),
    ("April update, 4 layers, MLP", "2", "264.0", "0.068", "", "0.968"),
    ("April update, 4 layers, MLP", "5", "69.9", "0.125", "", "0.929"),
    ("April update, 4 layers, MLP", "10", "26.5", "0.185", "", "0.884"),
    ("April update, 4 layers, residual", "2", "81.6", "0.095", "", "0.957"),
    ("April update, 4 layers, residual", "5", "33.2", "0.163", "", "0.904"),
    ("April update, 4 layers, residual", "10", "8.7", "0.255", "", "0.839"),
];

/// The paper's table; below, what was published of others, whose units of unexplained variance are their own.
fn table(config: &Config, measured: &Measured) -> Table {
    let mut table = Table::new("C-T01", "Three dictionaries; below published ones, with error and recovery as their authors define them")
        .column("dictionary", "")
        .column("λ", "")
        .column("trainings", "");
    for (_, label, unit, ..) in Worth::QUANTITIES {
        table = table.column(label, unit);
    }
    for point in config.sweep.grid() {
        let n = of_trainings(measured, &point, |it| Some(it.l0)).len();
        let mut cells = vec![
            Cell::text(&point.label()),
            Cell::number(point.penalty, 0),
            Cell::number(n as f64, 0),
        ];
        cells.extend(Worth::QUANTITIES.map(|quantity| {
            let number = mean(config, measured, &point, quantity);
            number.map_or(Cell::text(""), |number| Cell::number(number.value, quantity.3))
        }));
        table = table.row(cells);
    }
    for (name, penalty, l0, error, dead, recovered) in PUBLISHED {
        let cells = [name, penalty, "", l0, error, dead, "", recovered, "", "", ""];
        table = table.row(cells.map(Cell::text).to_vec());
    }
    table
}

/// Fidelity, what the model loses, and dead latents, by size, from the largest penalty to the smallest.
fn against_l0(config: &Config, measured: &Measured) -> Figure {
    let Sweep { penalties, penalty, .. } = &config.sweep;
    let all: Vec<String> = penalties.iter().map(ToString::to_string).collect();
    let mut figure = Figure::new("C-y04", "Three dictionaries at several penalties")
        .caption(&format!(
            "Dictionaries of the residual stream in the middle of the model of the world, with λ = {} from right to left; \
             points are trainings, several of λ = {penalty}. (a) The share of variance that is not explained. (b) By how \
             much the cross-entropy of the model rises where reconstructions take the place of activations. (c) Latents that \
             none of {} test rows activates.",
            all.join(", "),
            config.n_test,
        ))
        .width(Width::Page)
        .panel_height_mm(52.0)
        .columns(3);
    for (at, quantity) in [Worth::FVU, Worth::DELTA, Worth::DEAD].into_iter().enumerate() {
        let (what, label, unit, _, of) = quantity;
        let label = if unit.is_empty() { label.to_owned() } else { format!("{label} ({unit})") };
        let most = measured.iter().filter_map(|(_, worth)| of(worth)).fold(0.0, f64::max);
        let most = if what == "dead" { 1.0 } else { 1.1 * most.max(1e-3) };
        let mut panel = Panel::new(
            Axis::log10("L0, active latents of a row"),
            Axis::linear(&label).range(0.0, most),
        );
        let points: Vec<Point> = config.sweep.grid().collect();
        for (which, points) in points.chunk_by(|a, b| a.n_latents == b.n_latents).enumerate() {
            let name = points[0].label();
            let (mut line, mut dots) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
            for point in points {
                for (axis, of) in [Worth::L0.4, of].into_iter().enumerate() {
                    let values = of_trainings(measured, point, of);
                    line[axis].push(values.iter().sum::<f64>() / values.len().max(1) as f64);
                    dots[axis].extend(values);
                }
            }
            let line = Mark::line(&line[0], &line[1]).color(Color::nth(which));
            let line = if at == 0 { line.label(&name) } else { line.series(&name) };
            let dots = Mark::points(&dots[0], &dots[1]).color(Color::nth(which));
            panel = panel.mark(line).mark(dots.series(&format!("{name}, each")));
        }
        figure = figure.panel(if at == 0 { panel.legend() } else { panel });
    }
    figure
}

const SMALL: &str = "the paper's dictionaries have a million latents and more, of a stream thousands wide; with some hundreds, of \
    128 dimensions, both are easy to keep";
const DEAD: &str = "the order alone is tested: the paper tells 2, 35 and 65 %, on ten million tokens, where these are 80,000 rows";

fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
    // By size, the smallest first.
    let of = |quantity: Quantity| -> Vec<(String, Number)> {
        let points = config.sweep.grid().filter(|point| config.sweep.is_central(point));
        let named =
            points.filter_map(|it| Some((it.label(), mean(config, measured, &it, quantity)?)));
        named.collect()
    };
    let largest = |quantity: Quantity| {
        let numbers = of(quantity).into_iter().map(|(_, number)| number);
        numbers.max_by(|a, b| a.value.total_cmp(&b.value))
    };
    let paper = "#scaling-sae-experiments";
    let mut claims = Vec::new();
    if let Some(l0) = largest(Worth::L0) {
        let text = "fewer than 300 latents are active on average, for all three";
        let claim = Claim::about("c01.l0", paper, text).at_most(300.0, "largest L0", &l0);
        claims.push(claim.not_comparable(SMALL));
    }
    if let Some(fvu) = largest(Worth::FVU) {
        let text = "all three explain 65 % of the variance or more";
        let statistic = "largest share of variance unexplained";
        let claim = Claim::about("c01.variance", paper, text).at_most(0.35, statistic, &fvu);
        claims.push(claim.not_comparable(SMALL));
    }
    for (id, source, text, quantity, falls) in [
        (
            "c01.dead",
            paper,
            "the larger the dictionary, the larger its share of dead latents",
            Worth::DEAD,
            false,
        ),
        (
            "c01.larger_explains_more",
            Claim::OURS,
            "larger dictionaries leave less variance unexplained",
            Worth::FVU,
            true,
        ),
        (
            "c01.larger_costs_less",
            Claim::OURS,
            "larger dictionaries cost the model less",
            Worth::DELTA,
            true,
        ),
    ] {
        let mut items = of(quantity);
        if !falls {
            items.reverse();
        }
        let items: Vec<_> = items.iter().map(|(name, it)| (name.as_str(), it.clone())).collect();
        let claim = Claim::about(id, source, text).ordered(&items);
        claims.push(if id == "c01.dead" { claim.note(DEAD) } else { claim });
    }
    claims
}
