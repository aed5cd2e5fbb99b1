//! Models of every family beside `transformers`: logits, residual streams, attention patterns.
//!
//! Without arguments it takes the committed fixtures; `--cases <folder>` (by `just test-parity`) takes
//! what `draw.py` drew there. Each case is loaded, run, saved, loaded and run again, on the device that
//! `--device <name>` names (by `just test-libtorch`).

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn::tensor::Device;
use device::DeviceName;
use lm::{Hook, Hooks, Precision, Site, Tokens, Transformer};
use safetensors::SafeTensors;

/// Allowed distance, relative in the L2 norm: both sides compute in single precision, in their own order.
const TOLERANCE: f64 = 1e-4;

type Error = Box<dyn std::error::Error>;

#[expect(clippy::print_stdout, reason = "a test program tells what it compared")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |option: &str| {
        let at = arguments.iter().position(|argument| argument == option)?;
        arguments.get(at + 1)
    };
    let folder = given("--cases").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"),
        PathBuf::from,
    );
    let name = given("--device").map_or(Ok(DeviceName::Flex), |name| name.parse());
    let (name, device) = match name.and_then(|name| Ok((name, name.open()?))) {
        Ok(opened) => opened,
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let cases = match cases(&folder) {
        Ok(cases) if !cases.is_empty() => cases,
        Ok(_) => {
            println!("{} has no case: draw some first", folder.display());
            return ExitCode::FAILURE;
        }
        Err(error) => {
            println!("{}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    };
    let mut failed = 0;
    let mut worst: f64 = 0.0;
    for case in &cases {
        match compare(case, name, &device) {
            Ok(distance) if distance <= TOLERANCE => worst = worst.max(distance),
            Ok(distance) => {
                failed += 1;
                println!("{}: {distance:.1e} apart, allowed {TOLERANCE:.0e}", case.display());
            }
            Err(error) => {
                failed += 1;
                println!("{}: {error}", case.display());
            }
        }
    }
    println!(
        "parity on {name}: {} cases, {failed} failed, the rest at most {worst:.1e} apart",
        cases.len()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The folders of a folder, by name.
fn cases(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.join("expected.safetensors").exists() {
            cases.push(path);
        }
    }
    cases.sort();
    Ok(cases)
}

/// The largest relative distance at any hook of a case, of the model as it was saved and as we save it.
fn compare(case: &Path, name: DeviceName, device: &Device) -> Result<f64, Error> {
    let bytes = std::fs::read(case.join("expected.safetensors"))?;
    let expected = SafeTensors::deserialize(&bytes)?;
    let model = Transformer::load(&case.join("model"), device)?;
    let first = distance(&model, &expected)?;

    let draft = tempfile::tempdir()?;
    let again = draft.path().join("again");
    model.save(&again, Precision::F32, 3000)?;
    let again = Transformer::load(&again, device)?;
    if again.config() != model.config() {
        return Err("the config changed between saving and loading".into());
    }
    let second = distance(&again, &expected)?;
    // Other devices need not sum in the same order twice.
    if name == DeviceName::Flex && first.to_bits() != second.to_bits() {
        return Err("the model changed between saving and loading".into());
    }
    Ok(first.max(second))
}

/// With attention in one operation, and by way of the patterns, which a hook sees.
fn distance(model: &Transformer, expected: &SafeTensors<'_>) -> Result<f64, Error> {
    let fused = [Site::AttnOut, Site::ResidMid, Site::MlpOut, Site::ResidPost];
    let by_pattern = [fused.as_slice(), &[Site::AttnPattern]].concat();
    Ok(distance_at(model, expected, &fused)?.max(distance_at(model, expected, &by_pattern)?))
}

fn distance_at(
    model: &Transformer,
    expected: &SafeTensors<'_>,
    sites: &[Site],
) -> Result<f64, Error> {
    let mut hooks = Hooks::new();
    let mut names: Vec<Hook> = vec![Hook::Embed, Hook::FinalNorm, Hook::Logits];
    for layer in 0..model.config().n_layers {
        names.extend(sites.iter().map(|site| Hook::Block(layer, *site)));
    }
    for hook in &names {
        hooks = hooks.capture(*hook);
    }
    let tokens = expected.tensor("tokens")?;
    let ids: Vec<u32> = words(tokens.data()).map(u32::from_le_bytes).collect();
    let texts = ids.chunks(tokens.shape()[1]).map(<[u32]>::to_vec).collect();
    model.forward(&Tokens::new(texts)?, &mut hooks)?;
    let mut worst: f64 = 0.0;
    for hook in names {
        let theirs = expected.tensor(&hook.to_string())?;
        let ours = hooks.captured(hook)?;
        if theirs.shape() != ours.dims() {
            return Err(format!("{hook}: shape {:?}, not {:?}", ours.dims(), theirs.shape()).into());
        }
        let ours = ours.into_data().try_into_vec::<f32>().map_err(|error| format!("{error:?}"))?;
        let theirs = words(theirs.data()).map(f32::from_le_bytes);
        let (mut apart, mut norm) = (0.0, 0.0);
        for (ours, theirs) in ours.iter().zip(theirs) {
            let (ours, theirs) = (f64::from(*ours), f64::from(theirs));
            apart += (ours - theirs) * (ours - theirs);
            norm += theirs * theirs;
        }
        let relative = (apart / norm).sqrt();
        if relative.is_nan() {
            return Err(format!("{hook}: not a number").into());
        }
        worst = worst.max(relative);
    }
    Ok(worst)
}

fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    bytes.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]])
}
