//! Running what is not up to date.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use manifest::Store;
use record::{Results, Tier};

use crate::catalog::{Catalog, Experiment, ordered};
use crate::plan::{State, expected_seconds, lacking, state};
use crate::{table, terminal};

/// What a run is given besides the experiments.
#[derive(Clone, Debug)]
pub struct Options {
    /// The tier.
    pub tier: Tier,
    /// Shift of the base seed.
    pub seed: u64,
    /// The folder of all results.
    pub results: PathBuf,
    /// Threads for each experiment; none: one for each core.
    pub threads: Option<usize>,
}

impl Options {
    /// The results of this tier and seed.
    pub fn folder(&self) -> Results {
        Results::new(&self.results, self.tier, self.seed)
    }
}

/// How the run of an experiment ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// It ran.
    Done,
    /// Its stored result still counts.
    UpToDate,
    /// A data file is missing.
    SkippedData(String),
    /// An experiment that it needs has no result.
    Waiting(String),
    /// It failed.
    Failed,
    /// It was not run and its stored result does not count: only `verify` says so.
    Stale,
}

/// Runs experiments and what they need, in the order of the dependencies, and tells how each ended.
/// One that fails does not stop those that do not need it.
///
/// # Errors
/// What keeps the runner itself from working: a build that fails, broken data, a broken folder.
pub fn run(
    catalog: &Catalog,
    store: &Store,
    ids: &[String],
    options: &Options,
) -> anyhow::Result<BTreeMap<String, Status>> {
    let experiments = catalog.describe(ids, options.tier, options.seed)?;
    let order = ordered(&experiments)?;
    let results = options.folder();
    let mut clock = Clock::new(&order, &experiments, &results);
    if let Some(lacking) = lacking(&experiments, store) {
        clock.say(&lacking);
    }
    let mut ended = BTreeMap::new();
    for id in &order {
        let experiment = &experiments[id];
        clock.begin(id);
        let mut needs = experiment.description.needs.iter();
        let unmet = needs.find(|need| !matches!(ended[*need], Status::Done | Status::UpToDate));
        let state = match unmet {
            Some(need) => Ok(State::Waiting(need.clone())),
            None => state(catalog, experiment, store, options),
        };
        let status = match state {
            Ok(State::UpToDate) => Status::UpToDate,
            Ok(State::MissingData(name)) => Status::SkippedData(name),
            Ok(State::Waiting(need)) => Status::Waiting(need),
            Ok(State::Stale(why)) => {
                clock.say(&format!("{id} at {}: {}", options.tier, why.join(", ")));
                match start(experiment, options, catalog.workspace.root(), &mut clock) {
                    Ok(true) => Status::Done,
                    Ok(false) => Status::Failed,
                    Err(error) => {
                        clock.say(&format!("{error:#}"));
                        Status::Failed
                    }
                }
            }
            // Bad data of one experiment, say: the others go on.
            Err(error) => {
                clock.say(&format!("{id}: {error:#}"));
                Status::Failed
            }
        };
        clock.end(id, &status);
        ended.insert(id.clone(), status);
    }
    clock.bar.finish_and_clear();
    Ok(ended)
}

/// Runs one; false if it failed and said why.
fn start(
    experiment: &Experiment,
    options: &Options,
    root: &Path,
    clock: &mut Clock,
) -> anyhow::Result<bool> {
    let mut command = Command::new(&experiment.program);
    command.current_dir(root).arg("--progress").arg("--results").arg(&options.results);
    command.args(["--tier", options.tier.word(), "--seed", &options.seed.to_string()]);
    if let Some(threads) = options.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    let program = || format!("cannot start {}", experiment.program.display());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(program)?;
    let (output, errors) =
        (child.stdout.take().context("no output")?, child.stderr.take().context("no errors")?);
    let bar = clock.bar.clone();
    let listener = std::thread::spawn(move || {
        let lines = BufReader::new(errors).lines().map_while(Result::ok);
        lines.inspect(|line| say(&bar, line)).count()
    });
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let mut words = line.split(' ');
        if words.next() == Some("progress")
            && let (Some(Ok(done)), Some(Ok(total))) =
                (words.next().map(str::parse::<f64>), words.next().map(str::parse::<f64>))
            && total > 0.0
        {
            clock.progress(done / total);
        }
    }
    let status = child.wait()?;
    // The thread only forwards lines; were it to panic there would be nothing more to forward.
    let told = listener.join().unwrap_or(0);
    if !status.success() {
        // One that ends by itself has said why.
        if told > 0 && status.code() == Some(1) {
            return Ok(false);
        }
        bail!("{} failed ({status})", experiment.description.id);
    }
    Ok(true)
}

/// Progress over all experiments, in expected seconds, corrected by how the finished ones compared
/// with what was expected.
struct Clock {
    bar: ProgressBar,
    left: VecDeque<(String, f64)>,
    total: usize,
    began: Instant,
    expected: f64,
    expected_done: f64,
    took_done: f64,
}

impl Clock {
    fn new(
        order: &[String],
        experiments: &BTreeMap<String, Experiment>,
        results: &Results,
    ) -> Self {
        let seconds = |id: &String| (id.clone(), expected_seconds(&experiments[id], results));
        let bar = ProgressBar::new(1000);
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar:.dim} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Self {
            bar,
            left: order.iter().map(seconds).collect(),
            total: order.len(),
            began: Instant::now(),
            expected: 0.0,
            expected_done: 0.0,
            took_done: 0.0,
        }
    }

    fn begin(&mut self, id: &str) {
        self.began = Instant::now();
        self.expected = self.left.pop_front().map_or(0.0, |(_, seconds)| seconds);
        self.bar.set_prefix(format!("[{}/{}] {id}", self.total - self.left.len(), self.total));
        self.progress(0.0);
    }

    fn progress(&mut self, fraction: f64) {
        let took = self.began.elapsed().as_secs_f64();
        let others: f64 = self.left.iter().map(|(_, seconds)| seconds).sum();
        let pace = if self.expected_done > 1.0 { self.took_done / self.expected_done } else { 1.0 };
        let own = if fraction > 0.02 {
            took / fraction * (1.0 - fraction)
        } else {
            (self.expected * pace - took).max(0.0)
        };
        let left = (own + others * pace).max(0.0);
        let share = (self.took_done + took) / (self.took_done + took + left).max(1e-9);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of 1000 between 0 and 1000"
        )]
        self.bar.set_position((share.clamp(0.0, 1.0) * 1000.0) as u64);
        self.bar.set_message(format!("about {} left", table::duration(left)));
    }

    fn end(&mut self, id: &str, status: &Status) {
        let took = self.began.elapsed().as_secs_f64();
        if *status == Status::Done {
            self.expected_done += self.expected;
            self.took_done += took;
            let left: f64 = self.left.iter().map(|(_, seconds)| seconds).sum();
            let rest = match self.left.len() {
                0 => String::new(),
                _ => format!(", about {} left", table::duration(left)),
            };
            self.say(&format!(
                "{id}: done in {} ({} of {}{rest})",
                table::duration(took),
                self.total - self.left.len(),
                self.total,
            ));
        }
    }

    fn say(&self, line: &str) {
        say(&self.bar, line);
    }
}

/// Prints above the bar, or plainly where there is no terminal to draw a bar on.
fn say(bar: &ProgressBar, line: &str) {
    if bar.is_hidden() {
        terminal::warn(format_args!("{line}"));
    } else {
        bar.println(line);
    }
}
