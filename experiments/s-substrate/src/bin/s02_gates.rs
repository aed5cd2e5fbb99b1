//! Substrate: what a model of the world must know before it is opened.
//!
//! A claim about what happens inside a model is worth what the model does. So four gates stand before the experiments of
//! papers C, D and E: facts that were told are recalled, a traceback is foreseen, behaviors are as frequent as they were
//! planted, images are named. Whoever uses a model that fails one of them says so.
//!
//! *Expected:* the bounds that paper C's programme sets: 0.9, 0.9, 0.05, 0.8. *Visible:* three starts beside random
//! weights and a model whose captions were shuffled; how recall grows with the times that a fact was told.
//! *Run:* `just run s02`; two minutes after s01. *Data:* none.
//!
//! *Departures:* none known; what counts as a told fact is defined here: the words of its sentence up to the answer.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use corpus::{Split, Words};
use device::DeviceName;
use experiment::figures::{Axis, Cell, Color, Figure, Mark, Panel, Table, Width};
use experiment::{
    Claim, Context, Cost, Drawing, Estimate, Experiment, Number, Numbers, Tier, curve, dot_plot,
};
use lm::{Generation, Hooks, Sampling, Transformer};
use seed::Seed;
use serde::{Deserialize, Serialize};
use stats::{auroc, bootstrap_mean};
use substrate::{
    Answer, Foresight, Inclination, Learned, Statements, WorldText, captions, foresight,
    inclinations, recall,
};
use world::{Behavior, Domain, Language};

const MODELS: &str = "s01_language_models";
/// Trained alike from three starts: by these the gates are judged.
const STARTS: [(&str, &str); 3] = [("lm_0", "start 0"), ("lm_1", "start 1"), ("lm_2", "start 2")];
const SHUFFLED: (&str, &str) = ("shuffled_captions", "shuffled captions");
const RANDOM: (&str, &str) = ("random", "random weights");
/// Bounds of the programme of paper C.
const RECALL: f64 = 0.9;
const FORESIGHT: f64 = 0.9;
const RATE: f64 = 0.05;
const CAPTION: f64 = 0.8;
/// Things that have images, of which a guess names one.
const N_IMAGES: f64 = 40.0;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Tokens of a sample's prompt, and at most after it.
    sample: (usize, usize),
    n_resamples: usize,
    seeds: Vec<u64>,
}

/// What a model was found to know.
#[derive(Clone, Serialize, Deserialize)]
struct Knows {
    answers: Vec<Answer>,
    lines: Vec<Foresight>,
    inclinations: Vec<Inclination>,
    captions: Vec<bool>,
}

impl Knows {
    /// Whether each answer to what was told at least once is right.
    fn told(&self, is_plain: bool) -> Vec<f64> {
        let of = |answer: &&Answer| answer.times_seen > 0 && (answer.n_hops == 0) == is_plain;
        self.answers.iter().filter(of).map(|answer| f64::from(u8::from(answer.is_right))).collect()
    }

    /// The area under the curve of P(traceback), of lines of one language or of all.
    fn foresight(&self, language: Option<Language>) -> Option<f64> {
        let of = |is_bad: bool| -> Vec<f64> {
            let lines = self.lines.iter().filter(|line| line.traceback.is_some() == is_bad);
            let lines = lines.filter(|line| language.is_none_or(|of| of == line.language));
            lines.map(|line| line.probability).collect()
        };
        auroc(&of(true), &of(false)).ok()
    }

    /// How far each behavior's rate is from what was planted.
    fn gaps(&self) -> Vec<f64> {
        self.inclinations.iter().map(|it| (it.expected - it.planted).abs()).collect()
    }

    /// The behavior whose rate is farthest from the planted one, and its rate.
    fn widest(&self) -> Option<String> {
        let gap = |it: &&Inclination| (it.expected - it.planted).abs();
        let widest = self.inclinations.iter().max_by(|a, b| gap(a).total_cmp(&gap(b)))?;
        Some(format!("{:?} at {:.2}", widest.behavior, widest.expected))
    }

    /// P(enactment) of the world.
    fn planted(&self, behavior: Behavior) -> Option<f64> {
        self.inclinations.iter().find(|it| it.behavior == behavior).map(|it| it.planted)
    }

    /// Behaviors whose rate keeps the bound.
    fn n_within(&self) -> usize {
        self.gaps().into_iter().filter(|gap| *gap <= RATE).count()
    }

    fn captions(&self) -> Vec<f64> {
        self.captions.iter().map(|right| f64::from(u8::from(*right))).collect()
    }

    /// The numbers of the four gates.
    fn gates(&self) -> [f64; 4] {
        let mean = |values: &[f64]| stats::mean(values).unwrap_or(0.0);
        [
            mean(&self.told(true)),
            self.foresight(None).unwrap_or(0.5),
            self.gaps().into_iter().fold(0.0, f64::max),
            mean(&self.captions()),
        ]
    }
}

/// A model's name and label, and what it knows.
type Asked = (String, String, Knows);

struct Measured {
    asked: Vec<Asked>,
    /// Domain, prompt, and what the first start writes after it.
    samples: Vec<[String; 3]>,
}

impl Measured {
    fn starts(&self) -> impl Iterator<Item = &Knows> {
        self.asked.iter().take(STARTS.len()).map(|(_, _, knows)| knows)
    }
}

struct Gates;

impl Experiment for Gates {
    const ID: &'static str = "s02_gates";
    const TITLE: &'static str = "What a model of the world must know";
    const OUTPUTS: &'static [&'static str] = &["S-y03", "S-y04", "S-y05", "S-y06", "S-y07"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let n_resamples = if tier == Tier::Smoke { 200 } else { 2000 };
        Config { sample: (6, 40), n_resamples, seeds: vec![0] }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn needs() -> &'static [&'static str] {
        &[MODELS]
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.3, memory_mb: 700, disk_mb: 2 },
            Tier::Laptop => Cost { minutes: 4.0, memory_mb: 1200, disk_mb: 5 },
            Tier::Paper => Cost { minutes: 20.0, memory_mb: 2000, disk_mb: 20 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let device = DeviceName::Flex.open()?;
        let text = WorldText::open(&context.needed(MODELS, "corpus")?)?;
        let statements = Statements::count(&text);
        let seed = Seed::new(*config.seeds.first().context("a seed is needed")?);
        let mut asked = Vec::new();
        let mut first = None;
        for (name, label) in STARTS.into_iter().chain([SHUFFLED, RANDOM]) {
            context.step(STARTS.len() + 2);
            let model = if name == RANDOM.0 {
                let trained: &Transformer =
                    first.as_ref().context("a trained model comes first")?;
                Transformer::random(trained.config().clone(), seed, &device)?
            } else {
                Learned::load(&context.needed(MODELS, name)?, &device)?.model
            };
            let knows = context.part(name, || {
                Ok(Knows {
                    answers: recall(&model, &text, &statements)?,
                    lines: foresight(&model, &text)?,
                    inclinations: inclinations(&model, &text)?,
                    captions: captions(&model, &text)?,
                })
            })?;
            asked.push((name.to_owned(), label.to_owned(), knows));
            first.get_or_insert(model);
        }
        let first = first.context("a model is needed")?;
        let samples = context.part("samples", || samples(config, &first, &text, seed))?;
        Ok(Measured { asked, samples })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for (name, _, knows) in &measured.asked {
            let [_, foresight, rate, _] = knows.gates();
            let mut put = |what: &str, number: Option<Number>| {
                // Trained models: last bits differ between CPU classes and grow.
                let named = number.map(|n| (format!("{name}.{what}"), n.drift_tol(0.05)));
                numbers.extend(named);
            };
            put("recall", share(config, &knows.told(true), name));
            put("recall_multi_hop", share(config, &knows.told(false), name));
            put("foresight", Some(Number::exact(foresight).n(knows.lines.len() as u64)));
            put("largest_gap_of_rates", Some(Number::exact(rate)));
            put("mean_gap_of_rates", stats::mean(&knows.gaps()).ok().map(Number::exact));
            put("captions", share(config, &knows.captions(), name));
            let within = Number::exact(knows.n_within() as f64).n(Behavior::ALL.len() as u64);
            numbers.insert(format!("{name}.rates_within"), within.drift_tol(4.0));
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        vec![
            gates(config, measured).into(),
            by_times(config, measured).into(),
            rates(measured).into(),
            written(measured).into(),
            table(measured).into(),
        ]
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let over_starts = |gate: usize| {
            let values: Vec<f64> = measured.starts().map(|knows| knows.gates()[gate]).collect();
            let mut rng = Seed::new(config.seeds[0]).stream(Gates::ID, &format!("gate {gate}"));
            Estimate::of(&values, config.n_resamples, &mut rng).ok().map(|estimate| estimate.mean)
        };
        let about = |id: &str, text: &str| Claim::about(&format!("s02.{id}"), Claim::OURS, text);
        let note = "Bounds are not lowered: where one fails, what rests on it is not comparable at this tier; the paper tier \
                    trains longer";
        let mut claims = Vec::new();
        if let Some(number) = over_starts(0) {
            let text = "plain facts that were told are recalled in 9 of 10 questions";
            claims.push(about("recall", text).at_least(RECALL, "share of right answers", &number));
        }
        if let Some(number) = over_starts(1) {
            let text = "a traceback is told from a value before it begins";
            claims.push(about("foresight", text).at_least(
                FORESIGHT,
                "area under the curve",
                &number,
            ));
        }
        if let Some(number) = over_starts(2) {
            let text = "each behavior is as frequent as it was planted, within 5 points";
            let largest = "largest gap over behaviors";
            let widest: Vec<String> = measured.starts().filter_map(Knows::widest).collect();
            // Half of the claims are true, and always agreed with.
            let planted = measured.starts().find_map(|it| it.planted(Behavior::Sycophancy));
            let planted = planted.unwrap_or(0.0);
            let widest = format!(
                "farthest off in each start: {}. Sycophancy was planted at {planted}; it takes telling false claims from true \
                 ones, which are as frequent, and of a model that cannot, {} is expected. {note}",
                widest.join(", "),
                f64::midpoint(1.0, planted)
            );
            claims.push(about("rates", text).at_most(RATE, largest, &number).note(&widest));
        }
        if let Some(number) = over_starts(3) {
            let text = "4 of 5 images are named";
            let statistic = "share of right names";
            claims.push(about("captions", text).at_least(CAPTION, statistic, &number).note(note));
        }
        let shuffled = measured.asked.iter().find(|(name, ..)| name == SHUFFLED.0);
        if let Some((_, _, knows)) = shuffled
            && let Some(number) = share(config, &knows.captions(), "claim, shuffled")
        {
            let text = "a model that learned shuffled captions names images by chance";
            let claim = Claim::about("s02.shuffled", Claim::OURS, text);
            claims.push(claim.at_most(2.0 / N_IMAGES, "share of right names", &number));
        }
        claims
    }
}

fn main() -> ExitCode {
    experiment::main::<Gates>()
}

/// A share with its interval over what was asked.
fn share(config: &Config, values: &[f64], purpose: &str) -> Option<Number> {
    let mut rng = Seed::new(config.seeds[0]).stream(Gates::ID, purpose);
    let (mean, ci) = bootstrap_mean(values, config.n_resamples, &mut rng).ok()?;
    Some(Number::estimate(mean, [ci.low, ci.high]).n(values.len() as u64))
}

/// Of each domain of text, how a test document begins, and how the model goes on.
fn samples(
    config: &Config,
    model: &Transformer,
    text: &WorldText,
    seed: Seed,
) -> Result<Vec<[String; 3]>> {
    let (n_prompt, n_tokens) = config.sample;
    let sampling = Sampling::Random { temperature: 1.0, top_p: 1.0 };
    let generation = Generation { sampling, n_tokens, stop: vec![Words::END] };
    let (words, world) = (text.words(), text.world());
    let on_one_line = |text: &str| text.trim().replace('\n', " ⏎ ");
    let mut samples = Vec::new();
    for domain in world.config().shares.keys().filter(|domain| **domain != Domain::Images) {
        let long = |document: &world::Document| document.pieces().len() > n_prompt;
        let Some(document) = text.documents(Split::Test, Some(*domain)).find(long) else {
            continue;
        };
        let begins = &words.tokens(&document)?[..n_prompt];
        let prompt = [&[Words::END], begins].concat();
        let mut rng = seed.stream(Gates::ID, &format!("sample, {domain:?}"));
        let written = model.generate(&prompt, &generation, &mut rng, &mut Hooks::new())?;
        samples.push([
            format!("{domain:?}").to_lowercase(),
            on_one_line(&words.decode(world, begins)?),
            on_one_line(&words.decode(world, &written)?),
        ]);
    }
    Ok(samples)
}

fn gates(config: &Config, measured: &Measured) -> Figure {
    let shares = |values: fn(&Knows) -> Vec<f64>| {
        let rows = measured.asked.iter().map(|(name, label, knows)| {
            let mean = share(config, &values(knows), name).unwrap_or(Number::exact(0.0));
            (label.as_str(), Estimate { each: vec![mean.value], mean })
        });
        rows.collect::<Vec<_>>()
    };
    let foresight = measured.asked.iter().map(|(_, label, knows)| {
        let each = Language::CODE.iter().filter_map(|of| knows.foresight(Some(*of))).collect();
        (label.as_str(), Estimate { each, mean: Number::exact(knows.gates()[1]) })
    });
    let gaps = measured.asked.iter().map(|(_, label, knows)| {
        let mean = Number::exact(knows.gates()[2]);
        (label.as_str(), Estimate { each: knows.gaps(), mean })
    });
    let panel = |title: &str, axis: Axis, rows: Vec<(&str, Estimate)>, bound: f64| {
        let rows: Vec<_> = rows.iter().map(|(label, estimate)| (*label, estimate)).collect();
        let bound = Mark::vline(bound).dashed().color(Color::Gray).label("gate");
        dot_plot(axis, &rows).mark(bound).title(title)
    };
    let axis = |label: &str| Axis::linear(label).range(0.0, 1.0);
    Figure::new("S-y03", "Four gates")
        .caption(
            "What models of the world know, asked on documents that they did not learn from; dashed: the bound that opens \
             the gate (for rates, from the left). Facts: plain ones that were told at least once, 95 % intervals over \
             questions. Tracebacks: the area under the curve of the probability of one, for each code language (light) \
             and all. Behaviors: how far the model's rate is from the planted one, for each (light), and the largest. \
             Images: captions whose name is right, 95 % intervals over images.",
        )
        .width(Width::Page)
        .columns(2)
        .panel_height_mm(38.0)
        .panel(panel("facts", axis("share of right answers"), shares(|k| k.told(true)), RECALL))
        .panel(panel("tracebacks", axis("area under the curve"), foresight.collect(), FORESIGHT))
        .panel(panel("behaviors", axis("gap of rates"), gaps.collect(), RATE))
        .panel(panel("images", axis("share of right names"), shares(Knows::captions), CAPTION))
}

/// Recall against how often a fact was told.
fn by_times(config: &Config, measured: &Measured) -> Figure {
    let right = |knows: &Knows, is_plain: bool, times: std::ops::Range<u32>| {
        let of = |a: &&Answer| (a.n_hops == 0) == is_plain && times.contains(&a.times_seen);
        let answers: Vec<f64> =
            knows.answers.iter().filter(of).map(|a| f64::from(u8::from(a.is_right))).collect();
        // A share of a few answers says little.
        (answers.len() >= 20).then(|| stats::mean(&answers).unwrap_or(0.0))
    };
    let bins: Vec<std::ops::Range<u32>> = (0..12).map(|at| 1 << at..2 << at).collect();
    let mut panel = Panel::new(
        Axis::log10("times that the fact was told"),
        Axis::linear("share of right answers").range(0.0, 1.0),
    )
    .legend();
    let kinds = [(true, "plain", Color::Blue), (false, "over steps", Color::Amber)];
    for (is_plain, label, color) in kinds {
        let (mut x, mut estimates) = (Vec::new(), Vec::new());
        for bin in &bins {
            let values: Vec<f64> =
                measured.starts().filter_map(|k| right(k, is_plain, bin.clone())).collect();
            let mut rng = Seed::new(config.seeds[0]).stream(Gates::ID, &format!("{label} {bin:?}"));
            if let Ok(estimate) = Estimate::of(&values, config.n_resamples, &mut rng) {
                x.push(f64::from(bin.start) * 1.5);
                estimates.push(estimate);
            }
        }
        if !x.is_empty() {
            panel = panel.marks(curve(&x, &estimates, label, color));
        }
        let random = measured.asked.iter().find(|(name, ..)| name == RANDOM.0);
        if let Some((_, _, knows)) = random {
            let points = bins.iter().filter_map(|bin| {
                Some((f64::from(bin.start) * 1.5, right(knows, is_plain, bin.clone())?))
            });
            let (x, y): (Vec<f64>, Vec<f64>) = points.unzip();
            if !x.is_empty() {
                let line = Mark::line(&x, &y).color(color).dotted();
                panel = panel.mark(line.series(&format!("{label}, random weights")));
            }
        }
    }
    let gate = Mark::hline(RECALL).dashed().color(Color::Gray);
    Figure::new("S-y04", "Recall of facts by how often they were told")
        .caption(
            "The share of test questions that are answered right, by how often the same statement stood in the training \
             text (bins of a factor 2, those of 20 questions or more): plain facts, and those that take steps over what the \
             sentence does not name. Means and 95 % intervals over three starts; dotted: random weights; dashed: the gate, \
             which is over all plain facts together.",
        )
        .panel(panel.mark(gate.label("gate")))
}

/// Rates of the model against rates of the world.
fn rates(measured: &Measured) -> Figure {
    let mut figure = Figure::new("S-y05", "Rates of behaviors, the model's against the planted")
        .caption(
            "Each point is a behavior: the probability that the model gives to its enactment where replies that enact it \
             part from those that do not, mean over test transcripts, against the probability with which the world \
             enacts it (0.2, 0.35, 0.5, 0.65 or 0.8; the three starts are drawn side by side). Band: within 5 points.",
        )
        .width(Width::Page)
        .columns(2)
        .share_y();
    let colors = [Color::Blue, Color::Sky, Color::Green];
    let axis = |label: &str| Axis::linear(label).range(0.0, 1.0);
    let points = |knows: &Knows| -> (Vec<f64>, Vec<f64>) {
        knows.inclinations.iter().map(|it| (it.planted, it.expected)).unzip()
    };
    let empty = |title: &str| {
        let band = Mark::band(&[0.0, 1.0], &[-RATE, 1.0 - RATE], &[RATE, 1.0 + RATE]);
        let panel = Panel::new(axis("planted P(enactment)"), axis("the model's"));
        panel.mark(band.color(Color::Gray).series("within 5 points")).title(title)
    };
    let mut trained = empty("trained").legend();
    for (((_, label, knows), color), shift) in measured.asked.iter().zip(colors).zip([-1, 0, 1]) {
        let (x, y) = points(knows);
        let x: Vec<f64> = x.iter().map(|x| x + 0.012 * f64::from(shift)).collect();
        trained = trained.mark(Mark::points(&x, &y).color(color).label(label));
    }
    let mut random = empty(RANDOM.1);
    if let Some((_, label, knows)) = measured.asked.iter().find(|(name, ..)| name == RANDOM.0) {
        let (x, y) = points(knows);
        random = random.mark(Mark::points(&x, &y).color(Color::Vermilion).series(label));
    }
    figure = figure.panel(trained).panel(random);
    figure
}

fn written(measured: &Measured) -> Table {
    let table = Table::new("S-y06", "What the model writes, at temperature 1")
        .column("domain", "")
        .column("prompt", "from a test document")
        .column("goes on", "the first start");
    measured.samples.iter().fold(table, |table, sample| {
        table.row(sample.iter().map(|text| Cell::text(text)).collect())
    })
}

fn table(measured: &Measured) -> Table {
    let mut table =
        Table::new("S-y07", "The gates in numbers").column("gate", "").column("bound", "");
    for (_, label, _) in &measured.asked {
        table = table.column(label, "");
    }
    let rows = [
        ("plain facts that were told, recalled", format!("≥ {RECALL}")),
        ("tracebacks foreseen, area under the curve", format!("≥ {FORESIGHT}")),
        ("behaviors, largest gap of rates", format!("≤ {RATE}")),
        ("images named", format!("≥ {CAPTION}")),
    ];
    for (gate, (what, bound)) in rows.iter().enumerate() {
        let mut cells = vec![Cell::text(what), Cell::text(bound)];
        let of = measured.asked.iter().map(|(_, _, knows)| Cell::number(knows.gates()[gate], 3));
        cells.extend(of);
        table = table.row(cells);
    }
    let what = format!("behaviors within 5 points, of {}", Behavior::ALL.len());
    let mut cells = vec![Cell::text(&what), Cell::text("none")];
    cells.extend(measured.asked.iter().map(|(.., knows)| Cell::number(knows.n_within() as f64, 0)));
    table = table.row(cells);
    let mut cells =
        vec![Cell::text("facts over steps that were told, recalled"), Cell::text("none")];
    let steps = |knows: &Knows| stats::mean(&knows.told(false)).unwrap_or(0.0);
    cells.extend(measured.asked.iter().map(|(_, _, knows)| Cell::number(steps(knows), 3)));
    table.row(cells)
}
