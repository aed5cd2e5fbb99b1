//! `engram capture`: activations of a model on a text, to a store.

use std::path::PathBuf;

use anyhow::Context as _;
use capture::{CaptureError, Origin, Run, Settings};
use clap::ValueEnum;
use corpus::TextFiles;
use device::DeviceName;
use indicatif::{BinaryBytes, HumanCount, ProgressBar, ProgressStyle};
use lm::Transformer;
use store::{ActivationReader, BosRule, Dtype};

use crate::inputs::{self, Bos};
use crate::plan::{Plan, bytes_there, check_disk, free_disk, peak_memory};
use crate::terminal::say;

/// The type of stored numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DtypeName {
    /// Single precision.
    F32,
    /// Half precision, up to 65504.
    F16,
    /// The upper half of single precision.
    Bf16,
}

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A Hugging Face folder: config.json, *.safetensors, tokenizer.json.
    model: PathBuf,
    /// A text file in UTF-8, or a folder with files *.txt; each part of 64 KiB, cut after a line, counts as a document.
    text: PathBuf,
    /// Where to take activations, for instance `blocks.2.resid_post`; an unknown name lists all.
    #[arg(required = true)]
    hooks: Vec<String>,
    /// The folder of the store.
    #[arg(long)]
    out: PathBuf,
    /// The type of the stored numbers.
    #[arg(long, default_value = "f32")]
    dtype: DtypeName,
    /// Stop after so many rows: the tokens of the text, and those that begin sequences.
    #[arg(long, value_name = "N")]
    tokens: Option<u64>,
    /// Rows of a file of the store, which is what a killed run loses at most; none: about 64 MB.
    #[arg(long, value_name = "ROWS")]
    shard: Option<usize>,
    /// Sequences that the model reads at once.
    #[arg(long, value_name = "N", default_value_t = 8)]
    batch: usize,
    /// Tokens of a sequence; none: 256, or the model's context if that is less.
    #[arg(long, value_name = "N")]
    context: Option<usize>,
    /// Where to put the token that begins texts; none: before each sequence, if the tokenizer has one.
    #[arg(long)]
    bos: Option<Bos>,
    /// The token that begins texts; none: the one that the tokenizer puts there.
    #[arg(long, value_name = "TOKEN")]
    bos_token: Option<String>,
    /// flex, libtorch, cuda or wgpu.
    #[arg(long, default_value_t = DeviceName::Flex)]
    device: DeviceName,
    /// Print the plan and stop.
    #[arg(long)]
    plan: bool,
}

/// Plans, and captures.
///
/// # Errors
/// What cannot be read, honored or written, with what to do.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    inputs::store_folder(&arguments.out)?;
    let device = arguments.device.open()?;
    let (config, tokenizer) = inputs::model(&arguments.model)?;
    let hooks = inputs::hooks(&arguments.hooks, &config)?;
    let bos = inputs::bos(arguments.bos, arguments.bos_token.as_deref(), &tokenizer)?;
    let text = TextFiles::find(&arguments.text)?;
    let settings = Settings {
        hooks,
        dtype: match arguments.dtype {
            DtypeName::F32 => Dtype::F32,
            DtypeName::F16 => Dtype::F16,
            DtypeName::Bf16 => Dtype::Bf16,
        },
        bos,
        context: arguments.context.unwrap_or(config.n_ctx.min(256)),
        batch: arguments.batch,
        most_rows: arguments.tokens,
        shard_rows: arguments.shard,
        device: arguments.device.to_string(),
    };
    let origin = Origin {
        model_sha256: capture::hash_model(&arguments.model)?,
        tokenizer_sha256: capture::hash_file(&arguments.model.join("tokenizer.json"))?,
        text_sha256: text.sha256()?,
    };
    let capture = settings.capture(&config, &origin)?;
    let model = Transformer::load(&arguments.model, &device)?;

    describe(arguments, &settings, &text, &tokenizer);
    let plan = Plan::measure(&model, &tokenizer, &text, &settings, &capture)?;
    let free = free_disk(&arguments.out)?;
    plan.print(free, peak_memory());
    if arguments.plan {
        return Ok(());
    }
    let remedy = "take fewer --tokens or hooks, --dtype f16, or another disk";
    check_disk(&arguments.out, plan.n_bytes, bytes_there(&arguments.out), free, remedy)?;
    let run = match Run::begin(&model, &origin, &settings, &arguments.out) {
        // Of this origin and these settings, or the error would say what differs.
        Err(CaptureError::Store(store::Error::Finished { path })) => {
            let n_rows = ActivationReader::describe(&path)?.n_rows;
            say(format_args!("{} is finished: {} rows", path.display(), HumanCount(n_rows)));
            return Ok(());
        }
        run => run?,
    };
    let n_there = run.n_rows();
    if n_there > 0 {
        say(format_args!("{} rows are there; going on", HumanCount(n_there)));
    }
    let bar = ProgressBar::new(plan.n_rows).with_position(n_there);
    let style = "{bar:40} {percent}% of {human_len} rows, {per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).context("the style of the progress bar")?);
    bar.reset_eta();
    let documents = inputs::documents(&text, &tokenizer);
    let documents = documents.map(|document| document.map_err(|error| format!("{error:#}")));
    let n_rows = run.write(documents, &mut |progress| bar.set_position(progress.n_rows))?;
    bar.finish_and_clear();
    say(format_args!("{} rows in {}", HumanCount(n_rows), arguments.out.display()));
    Ok(())
}

/// Prints what is taken from what.
fn describe(
    arguments: &Arguments,
    settings: &Settings,
    text: &TextFiles,
    tokenizer: &lm::Tokenizer,
) {
    say(format_args!("model    {}", arguments.model.display()));
    let (n_files, n_bytes) = (text.paths().len(), BinaryBytes(text.n_bytes()));
    let files = if n_files == 1 { "file" } else { "files" };
    say(format_args!("text     {}: {n_files} {files}, {n_bytes}", arguments.text.display()));
    let hooks: Vec<_> = settings.hooks.iter().map(ToString::to_string).collect();
    say(format_args!("hooks    {}", hooks.join(", ")));
    let Settings { context, batch, device, .. } = settings;
    let spelled = |token| match tokenizer.token(token) {
        Some(token) => format!("{token:?}"),
        None => token.to_string(),
    };
    let first = match settings.bos {
        BosRule::Absent => "nothing put before them".to_owned(),
        BosRule::EachSequence { token } => format!("{} before each", spelled(token)),
        BosRule::EachDocument { token } => format!("{} before each document", spelled(token)),
    };
    say(format_args!(
        "reading  sequences of {context} tokens, {first}; {batch} at once on {device}"
    ));
}
