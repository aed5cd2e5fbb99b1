use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use manifest::Store;
use record::{
    Description, Device, Draft, InputHash, Key, Outcome, Output, Record, Results, SCHEMA_VERSION,
    Skipped, Stopwatch, Tier, Workspace, canonical,
};

use crate::context::Shelf;
use crate::{Context, Drawing, Experiment};

/// Runs one experiment and writes results/<tier>/<id>/.
#[derive(Parser)]
struct Arguments {
    /// Print what the experiment needs, makes and costs at a tier, as JSON, and stop.
    #[arg(long, value_name = "TIER")]
    describe: Option<Tier>,
    /// smoke, laptop or paper.
    #[arg(long, default_value = "laptop")]
    tier: Tier,
    /// Shift of the base seed; results with a shift lie in a folder of their own.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where tensors live.
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Threads to use; none: one for each core. Results do not depend on it.
    #[arg(long)]
    threads: Option<usize>,
    /// The folder of all results; none: results/ of the workspace.
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// Print lines `progress <done> <total>` for the runner.
    #[arg(long)]
    progress: bool,
    /// Log more; twice for still more.
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// The `main` of an experiment binary.
#[allow(clippy::print_stderr, reason = "the edge of a program: errors go to the user here")]
pub fn main<E: Experiment>() -> ExitCode {
    let arguments = Arguments::parse();
    match run::<E>(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error:#}", E::ID);
            ExitCode::FAILURE
        }
    }
}

fn run<E: Experiment>(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(tier) = arguments.describe {
        let (description, _) = resolve::<E>(tier, arguments.seed)?;
        return say(&serde_json::to_string(&description)?);
    }
    log_to_stderr(arguments.verbose);
    let tier = arguments.tier;
    let (description, config) = resolve::<E>(tier, arguments.seed)?;
    let root = Workspace::find(&std::env::current_dir()?)?;
    let store = Store::from_env(&root)?;
    let (inputs, skipped) = locate(&description, &store)?;
    let results_root = arguments.results.clone().unwrap_or_else(|| root.join("results"));
    let results = Results::new(&results_root, tier, arguments.seed);
    let key = key(&description, &root, inputs.clone(), &results, arguments)?;

    let mut draft = results.begin(E::ID, || {
        tracing::warn!("another run of {} is in progress; waiting for it to end", E::ID);
    })?;
    if results.key(E::ID).is_ok_and(|stored| stored == key) {
        return say(&format!("{} is up to date", results.place(E::ID).display()));
    }
    let watch = Stopwatch::start();
    let config_hash = canonical::hash("the config", &description.config)?;
    draft.write("config.json", serde_json::to_string_pretty(&description.config)?.as_bytes())?;

    let threads = threads(arguments.threads)?;
    let tell = |done: usize, total: usize| {
        if arguments.progress {
            // The runner may be gone; the result is worth having all the same.
            say(&format!("progress {done} {total}")).ok();
        }
    };
    let parts = results.parts(E::ID, &key)?;
    let shelf = shelf(&description, &key, &results)?;
    let context = Context::new(&store, parts, shelf, &inputs, &tell);
    let measured = E::compute(&config, &context)?;
    let artefacts = context.made();

    let mark = if arguments.tier == Tier::Smoke { " · smoke: no result" } else { "" };
    let stamp = format!("{} · {}{mark}", E::ID, &config_hash[..8]);
    let (figures, tables) = draw::<E>(&config, &measured, [&config_hash, &stamp], &mut draft)?;
    all_outputs_made::<E>(&figures, &tables, &skipped)?;
    let claims = E::claims(&config, &measured).into_iter();
    let claims = claims.map(|claim| claim.judge(tier)).collect::<Result<_, _>>()?;
    let result = Outcome {
        schema_version: SCHEMA_VERSION,
        id: E::ID.to_owned(),
        tier,
        title: E::TITLE.to_owned(),
        config: description.config.clone(),
        config_hash,
        inputs,
        code_hash: key.code_hash()?,
        seeds: description.seeds.clone(),
        numbers: E::numbers(&config, &measured),
        claims,
        figures,
        tables,
        skipped,
        artefacts,
    };
    let run = watch.finish(&root, &key, threads, description.cost);
    let record = Record { result, run };
    let place = draft.publish(&record, &key)?;
    if !arguments.progress {
        for claim in &record.result.claims {
            let verdict = claim.verdict.map_or("not judged", record::Verdict::word);
            say(&format!("{verdict:>14}  {}  {}", claim.id, claim.text))?;
        }
        say(&format!("{}", place.display()))?;
    }
    Ok(())
}

/// The config of a tier with its seeds shifted, and what the experiment says of itself.
fn resolve<E: Experiment>(tier: Tier, shift: u64) -> anyhow::Result<(Description, E::Config)> {
    let mut config = E::config(tier);
    for seed in E::seeds(&mut config) {
        *seed = seed.checked_add(shift).context("the shifted seed does not fit 64 bits")?;
    }
    let tree = canonical::tree("the config", &config)?;
    // What does not survive a round trip (a NaN, say) could not be rerun from the record.
    let config: E::Config =
        serde_json::from_value(tree.clone()).context("the config does not read back from JSON")?;
    let again = canonical::tree("the config", &config)?;
    ensure!(tree == again, "the config changes when it is written and read back");
    let mut seeds_of = serde_json::from_value(tree.clone())?;
    let description = Description {
        id: E::ID.to_owned(),
        title: E::TITLE.to_owned(),
        needs: E::needs().iter().map(ToString::to_string).collect(),
        inputs: E::inputs(&config),
        config: tree,
        seeds: E::seeds(&mut seeds_of).to_vec(),
        outputs: E::OUTPUTS.iter().map(ToString::to_string).collect(),
        cost: E::cost(tier),
    };
    Ok((description, config))
}

/// Finds the data; what is missing and may be missing becomes a list of skipped outputs.
fn locate(
    description: &Description,
    store: &Store,
) -> anyhow::Result<(Vec<InputHash>, Vec<Skipped>)> {
    let (mut hashes, mut skipped) = (Vec::new(), Vec::new());
    for input in &description.inputs {
        let sha256 = match store.locate(&input.name) {
            Ok(located) => Some(located.sha256),
            Err(manifest::Error::Missing { .. }) if !input.outputs.is_empty() => {
                for id in &input.outputs {
                    // An output that needs several files is skipped once, for the first that is missing.
                    if !skipped.iter().any(|skip: &Skipped| skip.id == *id) {
                        skipped.push(Skipped { id: id.clone(), missing: input.name.clone() });
                    }
                }
                None
            }
            Err(error) => return Err(error.into()),
        };
        hashes.push(InputHash { name: input.name.clone(), sha256 });
    }
    Ok((hashes, skipped))
}

fn key(
    description: &Description,
    root: &Path,
    inputs: Vec<InputHash>,
    results: &Results,
    arguments: &Arguments,
) -> anyhow::Result<Key> {
    let workspace = Workspace::load(root, std::env::vars_os())?;
    if let Some(source) = newer_source(&std::env::current_exe()?, &description.id, root)? {
        bail!(
            "{} changed after this binary was built, or lies outside this checkout, so the result would \
             be filed under code that did not make it; run `just run {}`, which builds first, or touch \
             the file if that does not help",
            source.display(),
            description.id
        );
    }
    let mut needs = BTreeMap::new();
    for id in &description.needs {
        let Some(record) = results.record(id)? else {
            bail!("it needs the result of {id}; run `just run {}`, which makes it", description.id);
        };
        needs.insert(id.clone(), record.result_hash()?);
    }
    Ok(workspace.key(description, arguments.tier, inputs, needs, arguments.device)?)
}

/// Where an experiment's artefacts go, and those that it needs lie.
fn shelf(description: &Description, key: &Key, results: &Results) -> anyhow::Result<Shelf> {
    let mut needed = BTreeMap::new();
    for id in &description.needs {
        let folder = results.artefacts(id, &results.key(id)?)?;
        let record = results.record(id)?.with_context(|| format!("{id} has no record"))?;
        needed.insert(id.clone(), (folder, record.result.artefacts));
    }
    Ok(Shelf { own: results.artefacts(&description.id, key)?, needed })
}

/// A source that was changed after the program was built from it, or the experiment's own source if it
/// lies in another checkout. Cargo lists the sources of a program in a file beside it; a program that
/// was moved away from there is taken as it is.
fn newer_source(program: &Path, id: &str, root: &Path) -> anyhow::Result<Option<PathBuf>> {
    let built = std::fs::metadata(program)?.modified()?;
    let Ok(list) = std::fs::read_to_string(program.with_extension("d")) else { return Ok(None) };
    let Some((_, sources)) = list.split_once(": ") else { return Ok(None) };
    // Spaces inside a path are escaped; a line feed cannot stand in the list.
    let sources = sources.replace("\\ ", "\n");
    let sources =
        sources.trim_end().split(' ').map(|source| PathBuf::from(source.replace('\n', " ")));
    let own = PathBuf::from(format!("src/bin/{id}.rs"));
    for source in sources {
        let elsewhere = source.ends_with(&own) && !source.starts_with(root);
        if elsewhere || changed(&source).is_ok_and(|changed| changed > built) {
            return Ok(Some(source));
        }
    }
    Ok(None)
}

/// When a file was last changed, in content or in name: a copy that keeps the time of the original is
/// newer than it says.
fn changed(path: &Path) -> std::io::Result<SystemTime> {
    let file = std::fs::metadata(path)?;
    let modified = file.modified()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let seconds = u64::try_from(file.ctime()).unwrap_or(0);
        let nanoseconds = u32::try_from(file.ctime_nsec()).unwrap_or(0);
        let renamed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        Ok(modified.max(renamed))
    }
    #[cfg(not(unix))]
    Ok(modified)
}

fn threads(wanted: Option<usize>) -> anyhow::Result<usize> {
    let threads = match wanted {
        Some(0) => bail!("--threads is 0; expected at least 1"),
        Some(threads) => threads,
        None => std::thread::available_parallelism()?.get(),
    };
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    Ok(threads)
}

/// Draws everything into the draft and returns what was drawn.
fn draw<E: Experiment>(
    config: &E::Config,
    measured: &E::Measured,
    [config_hash, stamp]: [&str; 2],
    draft: &mut Draft,
) -> anyhow::Result<(Vec<Output>, Vec<Output>)> {
    let (mut figures, mut tables) = (Vec::new(), Vec::new());
    for drawing in E::drawings(config, measured) {
        let (id, title, csv) = match &drawing {
            Drawing::Figure(figure) => (figure.id(), figure.title(), figure.csv()),
            Drawing::Table(table) => (table.id(), table.title(), table.csv()?),
        };
        draft.write(&format!("{id}.csv"), csv.as_bytes())?;
        let output = Output {
            id: id.to_owned(),
            title: title.to_owned(),
            data_sha256: canonical::sha256(csv.as_bytes()),
        };
        match &drawing {
            Drawing::Figure(figure) => {
                let caption = figure.caption_text();
                ensure!(
                    !caption.trim().is_empty(),
                    "figure {id} has no caption; say what it shows with `Figure::caption`"
                );
                let words = words_beside::<E>(id, title, caption, config_hash);
                draft.write(&format!("{id}.md"), words.as_bytes())?;
                draft.write(&format!("{id}.svg"), figure.svg(stamp)?.as_bytes())?;
                draft.write(&format!("{id}.png"), &figure.png(stamp)?)?;
                figures.push(output);
            }
            Drawing::Table(table) => {
                let words = words_beside::<E>(id, title, table.markdown()?.trim_end(), config_hash);
                draft.write(&format!("{id}.md"), words.as_bytes())?;
                tables.push(output);
            }
        }
    }
    Ok((figures, tables))
}

/// What stands as Markdown beside a picture, and around a table: its title, what it says, where it is from.
fn words_beside<E: Experiment>(id: &str, title: &str, text: &str, config_hash: &str) -> String {
    format!("**{id}: {title}**\n\n{text}\n\nExperiment {}, config {config_hash}.\n", E::ID)
}

/// Every declared output is drawn or skipped, once.
fn all_outputs_made<E: Experiment>(
    figures: &[Output],
    tables: &[Output],
    skipped: &[Skipped],
) -> anyhow::Result<()> {
    let drawn = figures.iter().chain(tables).map(|output| output.id.as_str());
    let ids: Vec<_> = drawn.chain(skipped.iter().map(|skip| skip.id.as_str())).collect();
    let made: BTreeSet<_> = ids.iter().copied().collect();
    let declared: BTreeSet<_> = E::OUTPUTS.iter().copied().collect();
    ensure!(
        made == declared && ids.len() == made.len(),
        "OUTPUTS declares {declared:?} but the run drew or skipped {ids:?}"
    );
    Ok(())
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("cannot write to standard output")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Claim, Cost, Input, Numbers};
    use record::{Artefacts, Parts};
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        rate: f64,
        seeds: Vec<u64>,
    }

    /// An experiment whose rate is finite at smoke only and whose data may be missing.
    struct Example;

    impl Experiment for Example {
        const ID: &'static str = "z01_example";
        const TITLE: &'static str = "An example";
        const OUTPUTS: &'static [&'static str] = &["Z-x01", "Z-x02"];
        type Config = Config;
        type Measured = ();

        fn config(tier: Tier) -> Config {
            let rate = if tier == Tier::Smoke { 0.5 } else { f64::NAN };
            Config { rate, seeds: vec![0, 1] }
        }

        fn seeds(config: &mut Config) -> &mut [u64] {
            &mut config.seeds
        }

        fn inputs(_: &Config) -> Vec<Input> {
            let optional =
                |name: &str| Input { name: name.to_owned(), outputs: vec!["Z-x02".to_owned()] };
            vec![optional("set/optional"), optional("set/second")]
        }

        fn cost(_: Tier) -> Cost {
            Cost { minutes: 0.0, memory_mb: 1, disk_mb: 1 }
        }

        fn compute(_: &Config, _: &Context) -> anyhow::Result<()> {
            Ok(())
        }

        fn numbers(_: &Config, (): &()) -> Numbers {
            Numbers::new()
        }

        fn drawings(_: &Config, (): &()) -> Vec<Drawing> {
            Vec::new()
        }

        fn claims(_: &Config, (): &()) -> Vec<Claim> {
            Vec::new()
        }
    }

    #[test]
    fn a_program_older_than_a_source_or_of_another_checkout_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let (program, list) = (root.join("program"), root.join("program.d"));
        let own = root.join("a space/src/bin/z01_x.rs");
        std::fs::create_dir_all(own.parent().unwrap()).unwrap();
        std::fs::write(&own, "").unwrap();
        let hour = Duration::from_hours(1);
        let program_of = |built: SystemTime| {
            std::fs::File::create(&program).unwrap().set_modified(built).unwrap();
        };
        let newer = |root: &Path| newer_source(&program, "z01_x", root).unwrap();
        program_of(SystemTime::UNIX_EPOCH + hour);
        assert_eq!(newer(root), None, "no list, no verdict");
        let escaped = own.display().to_string().replace(' ', "\\ ");
        std::fs::write(&list, format!("{}: {escaped}\n", program.display())).unwrap();
        assert_eq!(newer(root), Some(own.clone()));
        program_of(changed(&own).unwrap() + hour);
        assert_eq!(newer(root), None);
        assert_eq!(newer(&root.join("elsewhere")), Some(own.clone()));
        // A copy that keeps the time of its original.
        let old = std::fs::File::open(&own).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        program_of(SystemTime::UNIX_EPOCH + hour);
        assert_eq!(newer(root), cfg!(unix).then_some(own));
    }

    /// An experiment of one figure with an empty caption.
    struct Captionless;

    impl Experiment for Captionless {
        const ID: &'static str = "z02_captionless";
        const TITLE: &'static str = "No caption";
        const OUTPUTS: &'static [&'static str] = &["Z-x03"];
        type Config = Config;
        /// The caption.
        type Measured = &'static str;

        fn config(_: Tier) -> Config {
            Config { rate: 0.5, seeds: Vec::new() }
        }

        fn cost(_: Tier) -> Cost {
            Cost { minutes: 0.0, memory_mb: 1, disk_mb: 1 }
        }

        fn compute(_: &Config, _: &Context) -> anyhow::Result<&'static str> {
            Ok("")
        }

        fn numbers(_: &Config, _: &&'static str) -> Numbers {
            Numbers::new()
        }

        fn drawings(_: &Config, caption: &&'static str) -> Vec<Drawing> {
            use figures::{Axis, Figure, Mark, Panel};
            let panel = Panel::new(Axis::linear("x"), Axis::linear("y"));
            let panel = panel.mark(Mark::line(&[0.0, 1.0], &[1.0, 0.0]));
            vec![Figure::new("Z-x03", "A line").caption(caption).panel(panel).into()]
        }

        fn claims(_: &Config, _: &&'static str) -> Vec<Claim> {
            Vec::new()
        }
    }

    #[test]
    fn the_caption_stands_beside_the_figure_and_may_not_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let results = Results::new(folder.path(), Tier::Smoke, 0);
        let mut draft = results.begin(Captionless::ID, || {}).unwrap();
        let config = Captionless::config(Tier::Smoke);
        let hash = canonical::hash("the config", &config).unwrap();
        let error =
            draw::<Captionless>(&config, &"", [&hash, "test"], &mut draft).unwrap_err().to_string();
        assert!(error.contains("Z-x03 has no caption"), "{error}");
        draw::<Captionless>(&config, &"It falls.", [&hash, "test"], &mut draft).unwrap();
        let beside = results.folder().join(".draft-z02_captionless/Z-x03.md");
        let words = std::fs::read_to_string(beside).unwrap();
        for part in ["Z-x03: A line", "It falls.", "z02_captionless", &hash] {
            assert!(words.contains(part), "{words}");
        }
    }

    fn output(id: &str) -> Output {
        Output { id: id.to_owned(), title: String::new(), data_sha256: canonical::sha256(b"") }
    }

    fn skip(id: &str) -> Skipped {
        Skipped { id: id.to_owned(), missing: "set/optional".to_owned() }
    }

    #[test]
    fn a_shift_moves_the_seeds_and_the_config_with_them() {
        let (description, config) = resolve::<Example>(Tier::Smoke, 5).unwrap();
        assert_eq!(description.seeds, [5, 6]);
        assert_eq!(config.seeds, [5, 6]);
        assert_eq!(description.config["seeds"], serde_json::json!([5, 6]));
    }

    #[test]
    fn a_config_that_cannot_be_written_down_is_refused() {
        let Err(error) = resolve::<Example>(Tier::Laptop, 0) else { panic!("a NaN was taken") };
        assert!(format!("{error:#}").contains("read back"), "{error:#}");
    }

    #[test]
    fn every_declared_output_is_drawn_or_skipped_once() {
        let drawn = [output("Z-x01")];
        assert!(all_outputs_made::<Example>(&drawn, &[], &[skip("Z-x02")]).is_ok());
        assert!(all_outputs_made::<Example>(&drawn, &[output("Z-x02")], &[]).is_ok());
        assert!(all_outputs_made::<Example>(&drawn, &[], &[]).is_err());
        assert!(all_outputs_made::<Example>(&drawn, &drawn, &[skip("Z-x02")]).is_err());
    }

    #[test]
    fn a_context_lends_data_parts_and_artefacts() {
        let folder = tempfile::tempdir().unwrap();
        let manifests = folder.path().join("data-manifests");
        std::fs::create_dir(&manifests).unwrap();
        let manifest = r#"
            name = "set"
            title = "A set for a test"
            serves = ["a"]
            kind = "mirror-only"
            license = "MIT"
            redistribution = "free"
            credit = "nobody"
            origin = "made for a test"

            [[file]]
            path = "optional"
            bytes = 3
            sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            how = "by hand"

            [[file]]
            path = "second"
            bytes = 3
            sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            how = "by hand"
        "#;
        std::fs::write(manifests.join("set.toml"), manifest).unwrap();
        let store = Store::new(&manifests, folder.path().join("cache"), None).unwrap();
        let (description, _) = resolve::<Example>(Tier::Smoke, 0).unwrap();
        let (inputs, skipped) = locate(&description, &store).unwrap();
        assert_eq!(skipped, [skip("Z-x02")]);
        let parts = Parts::open(folder.path().join("parts")).unwrap();
        let other = Artefacts::new(folder.path().join("other"));
        let write = |folder: &Path| Ok(std::fs::write(folder.join("weights"), "1")?);
        let model = other.make::<anyhow::Error>("model", write).unwrap();
        let shelf = Shelf {
            own: Artefacts::new(folder.path().join("own")),
            needed: BTreeMap::from([("z00_models".to_owned(), (other, vec![model.clone()]))]),
        };
        let context = Context::new(&store, parts, shelf, &inputs, &|_, _| {});
        assert!(context.read("set/optional").unwrap().is_none());
        assert!(context.read("set/undeclared").is_err());
        assert_eq!(context.folder("set", &["optional", "second"]).unwrap(), None);
        assert!(context.folder("set", &["undeclared"]).is_err());
        let count = std::cell::Cell::new(0);
        let part = || {
            context.part("a third", || {
                count.set(count.get() + 1);
                Ok(1.0 / 3.0)
            })
        };
        assert!((part().unwrap(), part().unwrap()) == (1.0 / 3.0, 1.0 / 3.0) && count.get() == 1);
        let found = context.needed("z00_models", "model").unwrap();
        assert_eq!(std::fs::read(found.join("weights")).unwrap(), b"1");
        assert!(context.needed("z00_models", "store").unwrap_err().to_string().contains("model"));
        assert!(context.needed("z99_other", "model").is_err());
        std::fs::write(found.join("weights"), "2").unwrap();
        let changed = context.needed("z00_models", "model").unwrap_err().to_string();
        assert!(changed.contains("just run z00_models"), "{changed}");
        let own = context.artefact("copy", write).unwrap();
        assert!(own.ends_with("own/copy") && own.is_dir());
        let made = context.made();
        assert_eq!((made.len(), &made[0].name[..], &made[0].sha256), (1, "copy", &model.sha256));
    }
}
