//! The command line of the runner; `just` recipes are one line each over it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use manifest::Store;
use record::{Tier, Workspace};
use reproduce::catalog::Catalog;
use reproduce::index::Row;
use reproduce::run::{Options, Status};
use reproduce::{data, notebook, plan, reference, run, scaffold, terminal, verify};

/// Regenerates every figure and table of five interpretability papers.
#[derive(Parser)]
#[command(name = "reproduce")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Shift of the base seed; results with a shift lie in a folder of their own.
    #[arg(long, global = true, default_value_t = 0)]
    seed: u64,
    /// Threads for each experiment; none: one for each core.
    #[arg(long, global = true)]
    threads: Option<usize>,
    /// The folder of all results; none: results/ of the workspace.
    #[arg(long, global = true, value_name = "DIR")]
    results: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run every experiment that is not up to date and print the verdicts.
    All {
        #[arg(default_value = "laptop")]
        tier: Tier,
        /// Only these papers or experiments, for instance `a` or `a01,a02`, and what they need.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// Run what one figure, table or experiment needs.
    Run {
        name: String,
        #[arg(default_value = "laptop")]
        tier: Tier,
    },
    /// List every figure and table with its claim, cost and state.
    List {
        /// A tier (laptop, if none is named); experiments, figures or letters of papers, if not all.
        words: Vec<String>,
    },
    /// Show where source, data and results of a figure lie.
    Where {
        name: String,
        #[arg(default_value = "laptop")]
        tier: Tier,
    },
    /// Show what a run would do, without doing it.
    Plan {
        name: String,
        #[arg(default_value = "laptop")]
        tier: Tier,
    },
    /// Compare the results with the stored reference and with the papers.
    Verify {
        #[arg(default_value = "laptop")]
        tier: Tier,
    },
    /// Store the results as the reference.
    Bless {
        #[arg(default_value = "laptop")]
        tier: Tier,
        name: Option<String>,
        /// Also results whose sources are not committed.
        #[arg(long)]
        dirty: bool,
    },
    /// Fetch and verify one data set, or all.
    Data { name: Option<String> },
    /// Free the results of a tier; without one, say what there is to free.
    Clean { tier: Option<Tier> },
    /// Write the skeleton of a new experiment.
    NewExperiment { id: String, title: String },
    /// Execute every notebook and compare its outputs with the stored ones.
    Notebooks {
        /// Store the outputs instead of comparing them.
        #[arg(long)]
        store: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match go(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            terminal::warn(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn go(arguments: Arguments) -> anyhow::Result<bool> {
    let root = Workspace::find(&std::env::current_dir()?)?;
    let results = arguments.results.unwrap_or_else(|| root.join("results"));
    let results = std::path::absolute(results)?;
    let options = |tier| Options {
        tier,
        seed: arguments.seed,
        results: results.clone(),
        threads: arguments.threads,
    };
    let open = || anyhow::Ok((Catalog::load(&root)?, Store::from_env(&root)?));
    match arguments.command {
        Command::All { tier, only } => {
            let (catalog, store) = open()?;
            let ids = if only.is_empty() { catalog.ids() } else { catalog.ids_of(&only)? };
            finish(&catalog, &store, &ids, &options(tier), None)
        }
        Command::Run { name, tier } => {
            let (catalog, store) = open()?;
            let id = catalog.experiment_of(&name)?;
            let (options, asked) = (options(tier), catalog.row(&name));
            let is_fine = finish(&catalog, &store, std::slice::from_ref(&id), &options, asked)?;
            let Some(row) = asked else { return Ok(is_fine) };
            plan::files(&catalog, &options, &id, &name);
            // A figure that was asked for and skipped is not what was asked for.
            let record = options.folder().record(&id)?;
            let skipped = record.iter().flat_map(|record| &record.result.skipped);
            Ok(is_fine && record.is_some() && !skipped.into_iter().any(|skip| skip.id == row.id))
        }
        Command::List { words } => {
            let (catalog, store) = open()?;
            let tier = words.iter().find_map(|word| word.parse().ok()).unwrap_or(Tier::Laptop);
            let is_name = |word: &&String| word.parse::<Tier>().is_err();
            let only: Vec<String> = words.iter().filter(is_name).cloned().collect();
            plan::list(&catalog, &store, &options(tier), &only).map(|()| true)
        }
        Command::Where { name, tier } => {
            let (catalog, store) = open()?;
            plan::location(&catalog, &store, &options(tier), &name).map(|()| true)
        }
        Command::Plan { name, tier } => {
            let (catalog, store) = open()?;
            plan::dry_run(&catalog, &store, &options(tier), &name).map(|()| true)
        }
        Command::Verify { tier } => {
            let (catalog, store) = open()?;
            verify::verify(&catalog, &store, &options(tier))
        }
        Command::Bless { tier, name, dirty } => {
            let (catalog, store) = open()?;
            reference::bless(&catalog, &store, &options(tier), name.as_deref(), dirty)
                .map(|()| true)
        }
        Command::Data { name } => data::fetch(Store::from_env(&root)?, name.as_deref()),
        Command::Clean { tier } => data::clean(&results, tier).map(|()| true),
        Command::NewExperiment { id, title } => {
            scaffold::new_experiment(&root, &id, &title).map(|()| true)
        }
        Command::Notebooks { store } => notebook::execute_all(&root, store),
    }
}

/// Runs, prints the verdict table, and is true if nothing failed.
fn finish(
    catalog: &Catalog,
    store: &Store,
    ids: &[String],
    options: &Options,
    asked: Option<&Row>,
) -> anyhow::Result<bool> {
    let ended = run::run(catalog, store, ids, options)?;
    verify::summary(catalog, options, &ended, asked);
    Ok(!ended.values().any(|status| *status == Status::Failed))
}
