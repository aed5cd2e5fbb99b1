//! `engram train-sae`: dictionaries trained on activations, to folders that other libraries read.

mod config;
mod input;
mod outcome;
mod plan;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use dictionaries::{Progress, TrainConfig};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use sae::{Architecture, RunConfig};

use self::config::{Config, Settings};
use self::input::{Facts, Input};
use self::outcome::{Folder, Found};
use self::plan::{Memory, Plan, Room};
use crate::plan::{bytes_there, check_disk, free_disk};
use crate::terminal::say;

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A store of `engram capture`, or a matrix in a file *.npy or *.safetensors.
    activations: PathBuf,
    /// What to train, for instance crates/cli/examples/train-sae.toml, which says what can stand there.
    config: PathBuf,
    /// The folder of the results: one of each dictionary in it, and run.json.
    #[arg(long)]
    out: PathBuf,
    /// The most memory to take, for instance 8GiB; none: what is free.
    #[arg(long, value_name = "BYTES", value_parser = plan::bytes)]
    memory: Option<u64>,
    /// Threads; none: one for each core. Results do not depend on it.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print the plan and stop.
    #[arg(long)]
    plan: bool,
}

/// Plans, trains, writes and measures.
///
/// # Errors
/// What cannot be read, meant, held or written, with what to do.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { activations, out, .. } = arguments;
    if let Some(n_threads) = arguments.threads {
        if n_threads == 0 {
            bail!("--threads is 0; it is 1 or more");
        }
        rayon::ThreadPoolBuilder::new().num_threads(n_threads).build_global()?;
    }
    let config = Config::read(&arguments.config)?;
    let room = Room::new(arguments.memory);
    let mut opened = input::open(activations, &config, &room)?;
    let settings = config.settings(opened.facts.widths[0])?;
    check_targets(&settings, &opened.facts)?;
    let folder = Folder::new(out, &settings, &opened.facts, config.pool_rows());
    let found = folder.look()?;
    if let Found::Finished(results) = &found {
        say(format_args!("{} is finished:", out.display()));
        outcome::print(results);
        return Ok(());
    }

    let memory = Memory::of(&settings, &opened);
    room.check(memory.total()).context(
        "take fewer batch_rows, latents, pool_rows or sample_rows, or train dictionaries one by one",
    )?;
    let start = opened.input.source().place();
    let plan = Plan::measure(&settings, opened.input.source(), memory)?;
    opened.input.source().go_to(&start)?;
    let free = free_disk(out)?;
    plan.print(&settings, &opened, &room, free);
    if arguments.plan {
        return Ok(());
    }
    let remedy = "take fewer latents, or another disk";
    check_disk(out, plan.disk_bytes(), bytes_there(out), free, remedy)?;

    let lock = folder.begin()?;
    let scaling = train(&mut opened.input, &settings, &folder, &plan, found == Found::Begun)?;
    let results = folder.measure(&opened.input, scaling)?;
    folder.finish(&results)?;
    drop(lock);
    outcome::print(&results);
    say(format_args!("{} in {}", names(&settings.run), out.display()));
    Ok(())
}

/// Trains, and writes the dictionaries; how activations were scaled.
fn train(
    input: &mut Input,
    settings: &Settings,
    folder: &Folder<'_>,
    plan: &Plan,
    is_begun: bool,
) -> anyhow::Result<sae::Scaling> {
    let Settings { run, scaling, sample_rows, .. } = settings;
    let train = TrainConfig {
        run: run.clone(),
        scaling: *scaling,
        sample_rows: *sample_rows,
        save_every: plan.save_every(settings),
    };
    let bar = ProgressBar::new(run.n_steps.into());
    let style = "{bar:40} {percent}% of {human_len} steps, {msg}";
    bar.set_style(ProgressStyle::with_template(style).context("the style of the progress bar")?);
    if is_begun {
        say(format_args!("{} is begun; going on after its last checkpoint", folder.path.display()));
    }
    let mut first = None;
    let dictionaries = dictionaries::train(&train, input.source(), folder.path, &mut |progress| {
        if bar.is_hidden() {
            return;
        }
        if first.is_none() {
            first = Some(progress.n_done);
            bar.set_position((progress.n_done - 1).into());
            bar.reset_eta();
            bar.reset_elapsed();
        }
        bar.set_position(progress.n_done.into());
        bar.set_message(message(&bar, progress, run, first.unwrap_or(0)));
    })?;
    bar.finish_and_clear();
    let mut scaling = sae::Scaling::None;
    for (name, dictionary) in dictionaries {
        scaling = dictionary.parts().scaling.clone();
        folder.write(&name, &dictionary)?;
    }
    Ok(scaling)
}

/// Speed, time left, and a line for each dictionary.
fn message(bar: &ProgressBar, progress: &Progress<'_>, run: &RunConfig, first: u32) -> String {
    let n_here = f64::from(progress.n_done - first) * run.batch_rows as f64;
    let speed = n_here / bar.elapsed().as_secs_f64().max(1e-9);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
    let speed = HumanCount(speed as u64);
    let mut message = format!("{speed} rows/s, {} left", indicatif::HumanDuration(bar.eta()));
    for (member, report) in run.members.iter().zip(progress.reports) {
        let n_latents = member.recipe.architecture.n_latents();
        let dead = 100.0 * report.n_dead as f64 / n_latents.max(1) as f64;
        // A text takes all that is written to it.
        let _ = write!(
            message,
            "\n  {}: loss {:.4}, L0 {:.1}, FVU {:.4}, dead {dead:.1} %",
            member.name,
            report.loss,
            report.l0,
            report.fvu()
        );
    }
    message
}

/// Refuses predictions that no format has a place for, before hours are spent on them.
fn check_targets(settings: &Settings, facts: &Facts) -> anyhow::Result<()> {
    let predicts = |run: &RunConfig| {
        let mut all = run.members.iter().map(|member| &member.recipe.architecture);
        all.any(|architecture| matches!(architecture, Architecture::Transcoder(_)))
    };
    if predicts(&settings.run) && facts.widths.iter().any(|width| *width != facts.widths[0]) {
        bail!(
            "a transcoder from {} to {} numbers: the format of sparsify has a place for equal widths only",
            facts.widths[0],
            facts.widths[1]
        );
    }
    Ok(())
}

fn names(run: &RunConfig) -> String {
    let names: Vec<&str> = run.members.iter().map(|member| member.name.as_str()).collect();
    names.join(", ")
}
