//! `just bench-peers-sae`: training steps of sparse autoencoders beside `SAELens`, `dictionary_learning`, sparsify and plain
//! PyTorch, in one interleaved run.
//!
//! For each architecture all sides begin with the same weights, which is checked, take the same batches with the same
//! learning rate, and are measured again on rows that none has seen; `differs` says in words where a step of theirs is
//! another than ours. Plain PyTorch takes the same step, and its losses must agree at every one. No latent counts as dead
//! yet, so nobody computes an auxiliary loss. What a penalty makes sparse costs as much as there is active: these
//! architectures are timed from biases that leave about 1.5·k latents active (with rows of length 1), and from where they
//! begin, with half of them. Peers are timed as they come and, for `-tuned`, with an allocator that keeps its memory, as
//! ours does. Each architecture has processes of its own, ours too, so that peaks of memory are its own.
//!
//! `--only <word>` takes the settings whose name begins with it and stores those alone, `--rounds <n>` another number of
//! rounds; `--quick` takes small sizes and stores nothing.
//! Writes results/bench/sae.json.

#![allow(clippy::print_stdout, reason = "a bench tells what it measured")]

#[path = "../../sdm/benches/peer/mod.rs"]
mod peer;
#[path = "../../sdm/benches/peer/turns.rs"]
mod turns;

use std::fs;
use std::path::Path;
use std::process::Command;

use kernels::Matrix;
use mimalloc::MiMalloc;
use peer::{Peer, cpu, gflops, peak_mb};
use sae::{
    Activation, Architecture, Batch, Member, Recipe, ReluConfig, Report, RunConfig, Scaling,
    Schedule, Trainer,
};
use safetensors::SafeTensors;
use seed::{Rng, Seed};
use serde_json::{Value, json};
use turns::in_turns;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

struct Size {
    batch: usize,
    width: usize,
    latents: usize,
    k: usize,
    rounds: usize,
}

const FULL: Size = Size { batch: 4096, width: 256, latents: 8192, k: 32, rounds: 7 };
const QUICK: Size = Size { batch: 256, width: 64, latents: 1024, k: 8, rounds: 2 };
const LEARNING_RATE: f32 = 1e-4;
/// Steps of the run as schedules see it: none of them changes anything here.
const N_STEPS: u32 = 1_000_000;
/// Both compute in single precision, in their own order, and each step goes on from the one before.
const TOLERANCE: f64 = 1e-3;
/// Rows that tell how many latents are active.
const SAMPLE_ROWS: usize = 256;

struct Setting {
    name: &'static str,
    recipe: Recipe,
    /// Active latents of a row at the beginning, where that is not left as it is.
    n_active: Option<f64>,
    peers: &'static [&'static str],
}

impl Setting {
    fn all(size: &Size) -> Vec<Self> {
        let Size { width, latents: n, k, .. } = *size;
        let (few, all) = (Some(1.5 * k as f64), ["saelens", "learning", "dense"].as_slice());
        let top_k = &["saelens", "learning", "sparsify", "dense", "sparse"];
        let jump_relu = Recipe::jump_relu(n, width, k as f64);
        let (relu, gated) = (Recipe::paper_c(n), Recipe::gated(n, 0.1));
        // Short rows turn so fast that few active latents would not stay few.
        let long = ReluConfig { initial_length: 1.0, ..ReluConfig::paper_c(n) };
        let long = Recipe { architecture: Architecture::Relu(long), ..relu.clone() };
        let setting = |name, recipe: Recipe, n_active, peers| {
            let schedule = Schedule { decay: 0.0, ..Schedule::new() };
            let recipe = Recipe { schedule, ..recipe.with_learning_rate(LEARNING_RATE) };
            Self { name, recipe, n_active, peers }
        };
        vec![
            setting("top-k", Recipe::top_k(n, width, k), None, top_k),
            setting("batch-top-k", Recipe::batch_top_k(n, width, k, N_STEPS), None, all),
            setting("matryoshka", Recipe::matryoshka(n, width, k, N_STEPS), None, all),
            setting("jump-relu-sparse", jump_relu.clone(), few, all),
            setting("relu-sparse", long, few, all),
            setting("gated-sparse", gated.clone(), few, all),
            setting("jump-relu-start", jump_relu, None, all),
            setting("relu-start", relu, None, all),
            setting("gated-start", gated, None, all),
        ]
    }

    /// The peers by name, tuned ones too where that is not asked of half of all latents.
    fn peers(&self) -> Vec<String> {
        let tuned = if self.name.ends_with("-start") { &[""][..] } else { &["", "-tuned"] };
        let each = |peer: &&str| tuned.iter().map(|tuned| format!("{peer}{tuned}")).collect();
        self.peers.iter().flat_map(|peer| -> Vec<String> { each(peer) }).collect()
    }
}

/// In which way a peer's step is another than ours.
fn differs(setting: &str, peer: &str) -> String {
    let kind = setting.trim_end_matches("-sparse").trim_end_matches("-start");
    let (peer, of_all) = match peer.trim_end_matches("-tuned") {
        "saelens" => (0, "step of its SAETrainer: Adam not fused, rows of the decoder free"),
        "learning" => (1, "update of its trainer: Adam not fused"),
        "sparsify" => (2, "step of its trainer: Adam, not fused, in place of its descent by signs"),
        "sparse" => return "the same step as ours: embedding_bag, fused Adam".to_owned(),
        _ => return "the same step as ours: dense codes, fused Adam".to_owned(),
    };
    let own = match (peer, kind) {
        (0, "top-k" | "batch-top-k") => "; what is active goes by values times lengths of rows",
        (0, "matryoshka") => {
            "; what is active goes by values times lengths of rows; losses of prefixes have weights of 1, ours of 1/5"
        }
        (0, "jump-relu") => {
            "; L0/target in place of (L0/target - 1)^2, first decay 0.9 in place of 0, thresholds in place of their logarithms"
        }
        (0, "gated") => {
            "; the penalty counts lengths of rows, the second loss moves the decoder too"
        }
        (1, "matryoshka") => "; the loss is a fifth of ours",
        (1, "jump-relu") => {
            "; thresholds in place of their logarithms, whose slope by L0 sees values in place of pre-activations"
        }
        (1, "relu") => "; activations are centered by the decoder's bias",
        (1, "gated") => "; first decay 0 in place of 0.9, gradients not clipped",
        (2, _) => "; the loss is the FVU, gradients not clipped",
        _ => "",
    };
    format!("{of_all}{own}")
}

/// Sums of 16 of 512 directions, with a mean of ‖x‖² of about d.
struct Rows {
    rng: Rng,
    directions: Matrix,
    n: usize,
}

impl Rows {
    fn new(size: &Size) -> Self {
        let mut rng = Seed::new(0).stream("sae-peers", "rows");
        #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a bench")]
        let numbers = (0..512 * size.width).map(|_| rng.normal() as f32).collect();
        let directions = Matrix::from_rows(512, size.width, numbers).expect("as many numbers");
        Self { rng, directions, n: size.batch }
    }

    fn draw(&mut self) -> Matrix {
        let mut rows = Matrix::zeros(self.n, self.directions.n_columns());
        for row in 0..self.n {
            for _ in 0..16 {
                let direction = self.directions.row(self.rng.below(512));
                #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough")]
                let value = (0.24 * (0.5 + self.rng.uniform())) as f32;
                let pairs = rows.row_mut(row).iter_mut().zip(direction);
                pairs.for_each(|(x, part)| *x += value * part);
            }
        }
        rows
    }
}

/// Our trainer, with biases that leave as many latents active as a setting says.
fn begin(setting: &Setting, sample: &Matrix, folder: &Path) -> Trainer {
    let member = Member { name: "it".to_owned(), recipe: setting.recipe.clone() };
    let config = RunConfig {
        n_steps: N_STEPS,
        batch_rows: sample.n_rows(),
        dead_after: 1.0,
        seed: 0,
        members: vec![member],
    };
    let mut trainer =
        Trainer::new(config.clone(), Scaling::None, Batch::of(sample)).expect("a trainer");
    let Some(n_active) = setting.n_active else { return trainer };
    let rows: Vec<usize> = (0..SAMPLE_ROWS).collect();
    let (_, dictionary) = trainer.dictionaries().expect("a dictionary").remove(0);
    let mut values = dictionary.encode(&sample.select(&rows)).expect("codes").values().to_vec();
    values.sort_by(|a, b| b.total_cmp(a));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of latents"
    )]
    let bias = -values[(n_active * SAMPLE_ROWS as f64) as usize];
    // Biases are put into a checkpoint of the run.
    let path = folder.join("run");
    trainer.save(&path, "").expect("a checkpoint");
    let mut file = fs::read(&path).expect("a checkpoint");
    let (length, metadata) = SafeTensors::read_metadata(&file).expect("a checkpoint");
    let (start, end) = metadata.info("it/encoder_bias").expect("a bias").data_offsets;
    let biases = &mut file[8 + length + start..8 + length + end];
    biases.chunks_exact_mut(4).for_each(|number| number.copy_from_slice(&bias.to_le_bytes()));
    fs::write(&path, file).expect("a checkpoint");
    Trainer::resume(&config, &path).expect("the run").0
}

/// Writes where our trainer is, for the peers.
fn tell(setting: &Setting, trainer: &Trainer, write: impl Fn(&str, &[u8])) {
    let (_, dictionary) = trainer.dictionaries().expect("a dictionary").remove(0);
    let shape = json!({
        "architecture": setting.recipe.architecture, "n_latents": dictionary.n_latents(),
        "width": dictionary.width(), "learning_rate": LEARNING_RATE,
        "decays": setting.recipe.optimizer.decays,
    });
    write("shape.json", shape.to_string().as_bytes());
    let parts = dictionary.into_parts();
    let thresholds = match parts.activation {
        Activation::JumpRelu { thresholds } => thresholds,
        _ => vec![0.0; parts.encoder_bias.len()],
    };
    let (encoder, decoder) = (parts.encoder.values(), parts.decoder.values());
    let parameters = [encoder, decoder, &parts.encoder_bias, &parts.decoder_bias, &thresholds];
    write("parameters.bin", &bytes(&parameters.concat()));
}

/// The result of a setting.
fn row(setting: &Setting, size: &Size, python: &Path) -> Value {
    let mut rows = Rows::new(size);
    let sample = rows.draw();
    let folder = tempfile::tempdir().expect("a folder for the data");
    let write = |name: &str, content: &[u8]| {
        fs::write(folder.path().join(name), content).expect("data on disk");
    };
    let mut trainer = begin(setting, &sample, folder.path());
    let loaded_mb = peak_mb().unwrap_or(f64::NAN);
    tell(setting, &trainer, write);
    let names = setting.peers();
    let start = |name: &String| {
        Peer::start(python, "sae_peers.py", name, folder.path(), [size.batch, size.k])
    };
    let mut peers: Vec<Peer> = names.iter().map(start).collect();

    let first = rows.draw();
    write("batch.bin", &bytes(first.values()));
    let begins: Vec<Value> = peers.iter_mut().map(|peer| peer.ask("look")).collect();
    let mut first = Some(first);
    let mut reports: Vec<Report> = Vec::new();
    let (ours_s, turns) = in_turns(
        size.rounds,
        &mut peers,
        || first.take().unwrap_or_else(|| rows.draw()),
        |batch| {
            reports.push(trainer.step(Batch::of(batch)).expect("a step").remove(0));
            reports[reports.len() - 1].loss
        },
        |batch| write("batch.bin", &bytes(batch.values())),
        |at, loss, answer| {
            if names[at].starts_with("dense") || names[at].starts_with("sparse") {
                near(&names[at], loss, &answer["loss"]);
            }
        },
    );
    for (name, begins) in names.iter().zip(&begins) {
        near(name, reports[0].squared_error, &begins["squared_error"]);
    }
    let ours_peak_mb = peak_mb();
    let held_out = rows.draw();
    write("batch.bin", &bytes(held_out.values()));
    // A step's report is of what was before it.
    let report = trainer.step(Batch::of(&held_out)).expect("a step").remove(0);

    let l0 = [reports[1].l0, reports[reports.len() - 1].l0];
    println!("\n{}: {:.1} to {:.1} latents active at timed steps", setting.name, l0[0], l0[1]);
    println!(
        "                       s   rows/s  to ours      MB  loaded       loss    error     FVU      L0"
    );
    let line = |name: &str, s: f64, [mb, loaded]: [f64; 2], [loss, error, l0]: [f64; 3]| {
        let (rate, fvu) = (size.batch as f64 / s, error / report.variance);
        println!(
            "{name:15} {s:8.4} {rate:8.0} {:8.2} {mb:7.0} {loaded:7.0} {loss:10.3} {error:8.3} {fvu:7.4} {l0:7.1}",
            s / ours_s
        );
        fvu
    };
    let quality = [report.loss, report.squared_error, report.l0];
    line("ours", ours_s, [ours_peak_mb.unwrap_or(f64::NAN), loaded_mb], quality);
    let mut others = Vec::new();
    for ((name, peer), turn) in names.iter().zip(&mut peers).zip(&turns) {
        let answer = peer.ask("look");
        let number = |key: &str| answer[key].as_f64().unwrap_or(f64::NAN);
        let quality = [number("loss"), number("squared_error"), number("l0")];
        let fvu = line(name, turn.s, [turn.peak_mb, number("loaded_mb")], quality);
        let mut row = turn.row(name, peer, &differs(setting.name, name), ours_s);
        row["loaded_mb"] = answer["loaded_mb"].clone();
        row["rows_per_s"] = json!(size.batch as f64 / turn.s);
        row["after"] = json!({ "loss": quality[0], "squared_error": quality[1], "l0": quality[2], "fvu": fvu });
        others.push(row);
    }
    json!({
        "what": setting.name, "ours_s": ours_s, "rows_per_s": size.batch as f64 / ours_s,
        "ours_peak_mb": ours_peak_mb, "ours_loaded_mb": loaded_mb, "l0_of_timed_steps": l0, "peers": others,
        "ours_after": {
            "loss": report.loss, "squared_error": report.squared_error, "l0": report.l0,
            "fvu": report.fvu(),
        },
    })
}

fn near(name: &str, ours: f64, theirs: &Value) {
    let theirs = theirs.as_f64().expect("a number");
    assert!((ours - theirs).abs() < TOLERANCE * theirs, "ours {ours}, {name} {theirs}");
}

fn main() {
    let python = peer::python();
    let word =
        |name: &str| std::env::args().skip_while(|word| word != name).nth(1).unwrap_or_default();
    let is_quick = std::env::args().any(|word| word == "--quick");
    let mut size = if is_quick { QUICK } else { FULL };
    if let Ok(rounds) = word("--rounds").parse() {
        size.rounds = rounds;
    }
    let (only, alone) = (word("--only"), word("--alone"));
    let settings = Setting::all(&size);
    if let Some(setting) = settings.iter().find(|setting| setting.name == alone) {
        let row = row(setting, &size, &python);
        fs::write(word("--into"), row.to_string()).expect("a result on disk");
        return;
    }
    let peak = gflops();
    println!("float product {peak:.0} GFLOP/s");
    let folder = tempfile::tempdir().expect("a folder for results");
    let into = folder.path().join("row.json");
    let mut rows = Vec::new();
    for setting in settings.iter().filter(|setting| setting.name.starts_with(&only)) {
        let mut run = Command::new(std::env::current_exe().expect("this program"));
        run.args(std::env::args().skip(1)).args(["--alone", setting.name, "--into"]).arg(&into);
        assert!(run.status().expect("this program again").success(), "{} failed", setting.name);
        let text = fs::read(&into).expect("a result");
        let mut row: Value = serde_json::from_slice(&text).expect("a result");
        let product = 2.0 * (size.batch * size.width * size.latents) as f64 / (peak * 1e9);
        row["share_of_product"] = json!(product / row["ours_s"].as_f64().expect("seconds"));
        rows.push(row);
    }
    if is_quick {
        return;
    }
    let about = format!(
        "training steps of {} latents over {}, batches of {}, {} active or aimed at; medians of {} interleaved rounds, each \
         after a pause and a step that does not count; equal weights at the beginning, checked; loss, squared error (summed \
         over d), L0 and FVU of rows that none has seen, after {} steps of each; the share is that of the encoder's \
         operations in the rate of a square product; peaks of memory are of whole processes, of which `loaded_mb` is what \
         libraries and parameters take before the first step; ours holds the batches and writes them for the others",
        size.latents,
        size.width,
        size.batch,
        size.k,
        size.rounds,
        2 * size.rounds
    );
    let machine =
        json!({ "cpu": cpu(), "threads": rayon::current_num_threads(), "peak_gflops": peak });
    peer::store("sae", &about, &machine, &rows);
}

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
