//! The binary trains dictionaries: from files and from a store, killed at random moments, and on what cannot be trained on.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use kernels::Matrix;
use manifest::decode::{Array, npy};
use sae::files;
use seed::Seed;
use store::{
    ActivationWriter, BosRule, Capture, Dtype, Hook, NewRows, NonFinite, Normalization, RowLayout,
};
use tempfile::TempDir;

const WIDTH: usize = 8;

/// A folder that commands run in.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_engram"));
        command.current_dir(self.0.path()).arg("train-sae").args(arguments);
        command
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        told(&output)
    }

    fn fail(&self, arguments: &[&str], parts: &[&str]) {
        let output = self.command(arguments).output().unwrap();
        let told = told(&output);
        assert!(!output.status.success(), "{told}");
        assert!(!told.contains("panicked"), "{told}");
        for part in parts {
            assert!(told.contains(part), "{part} is not in\n{told}");
        }
    }

    /// Rows that are sums of two of twelve directions.
    fn npy(&self, name: &str, n_rows: usize) {
        let array = Array { shape: vec![n_rows, WIDTH], data: rows(n_rows) };
        std::fs::write(self.path(name), npy::encode_f16(name, &array).unwrap()).unwrap();
    }

    /// The same as a store, in the hook `x`; in `y` there is half of it.
    fn store(&self, name: &str, n_rows: usize, break_at: Option<usize>) {
        let hook = |name: &str| Hook {
            name: name.to_owned(),
            width: WIDTH,
            normalization: Normalization::Raw,
        };
        let capture = Capture {
            model_sha256: "a".repeat(64),
            tokenizer_sha256: "b".repeat(64),
            text_sha256: "c".repeat(64),
            bos: BosRule::EachSequence { token: 1 },
            dtype: Dtype::F32,
            hooks: vec![hook("x"), hook("y")],
        };
        let layout = RowLayout { chunk_rows: 64, shard_chunks: 8 };
        let mut writer =
            ActivationWriter::create(&self.path(name), &capture, layout, NonFinite::Keep).unwrap();
        let mut x = rows(n_rows);
        if let Some(row) = break_at {
            x[row * WIDTH + 3] = f32::NAN;
        }
        let y: Vec<f32> = x.iter().map(|x| 0.5 * x).collect();
        let new = NewRows {
            tokens: &vec![1; n_rows],
            positions: &vec![0; n_rows],
            documents: &vec![0; n_rows],
            hooks: &[&x, &y],
        };
        writer.append(new).unwrap();
        writer.finish().unwrap();
    }
}

#[expect(clippy::cast_possible_truncation, reason = "activations are single precision")]
fn rows(n_rows: usize) -> Vec<f32> {
    let mut rng = Seed::new(1).stream("train-sae", "directions");
    let directions: Vec<f32> = (0..12 * WIDTH).map(|_| rng.normal() as f32).collect();
    let mut rows = Vec::with_capacity(n_rows * WIDTH);
    for _ in 0..n_rows {
        let (a, b) = (rng.below(12), rng.below(12));
        let scale = 0.5 + rng.uniform() as f32;
        for column in 0..WIDTH {
            rows.push(directions[a * WIDTH + column] + scale * directions[b * WIDTH + column]);
        }
    }
    rows
}

fn told(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// All files below a folder.
fn all_files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let name = path.strip_prefix(folder).unwrap().to_owned();
            all.insert(name, std::fs::read(&path).unwrap());
        }
    }
    all
}

const SMALL: &str = "steps = 300\nbatch_rows = 64\nsample_rows = 200\nsave_every = 20\n";
const TOP: &str = "[[dictionary]]\nname = \"top\"\nrecipe = \"top_k\"\nn_latents = 16\nk = 2\n\
                   learning_rate = 0.01\n";
const BATCH: &str = "[[dictionary]]\nname = \"batch\"\nrecipe = \"batch_top_k\"\nn_latents = 16\n\
                     k = 2\nlearning_rate = 0.01\n";
const GATED: &str = "[[dictionary]]\nname = \"gated\"\nrecipe = \"gated\"\nn_latents = 16\n\
                     penalty = 0.1\nlearning_rate = 0.01\n";

#[test]
fn a_matrix_becomes_dictionaries_that_say_what_they_are_worth() {
    let place = Place::new();
    place.npy("x.npy", 1000);
    place.write("config.toml", &[SMALL, TOP, BATCH, GATED].concat());
    let arguments = ["x.npy", "config.toml", "--out", "out"];
    let plan = place.succeed(&[&arguments[..], &["--plan"]].concat());
    assert!(!place.path("out").exists());
    for part in [
        "990, 8 numbers each; 10 kept back",
        "300 of 64 rows: 19.394 epochs",
        "top: TopK 2, 16 latents, 280 parameters",
        "gated: gated, penalty 0.1",
        "memory",
        "disk",
        "time",
    ] {
        assert!(plan.contains(part), "{part} is not in\n{plan}");
    }
    let told = place.succeed(&arguments);
    assert!(told.contains("cosine") && told.contains("kept back"), "{told}");

    let read = |name: &str| files::read(&place.path("out").join(name)).unwrap();
    let x = Matrix::from_rows(1000, WIDTH, rows(1000)).unwrap();
    let kept = x.select(&(990..1000).collect::<Vec<_>>());
    let record = std::fs::read_to_string(place.path("out/run.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["settings"]["run"]["n_steps"], 300);
    assert!(record["results"]["scaling"]["factor"].as_f64().unwrap() > 0.0);
    for (at, name) in ["top", "batch", "gated"].into_iter().enumerate() {
        let read = read(name);
        assert_eq!(read.format, files::Format::SaeLens);
        let found = &record["results"]["dictionaries"][at];
        assert_eq!(found["name"], name);
        let fvu = found["held_out"]["fvu"].as_f64().unwrap();
        assert!(fvu < 0.6, "{name}: {fvu}");
        // What was measured is what the files compute; the file of the test is in half precision.
        let codes = read.dictionary.encode(&kept).unwrap();
        let l0 = codes.values().len() as f64 / 10.0;
        assert!((found["held_out"]["l0"].as_f64().unwrap() - l0).abs() < 0.11, "{name}: {l0}");
    }
    let threshold = &read("batch").dictionary;
    let sae::Activation::JumpRelu { thresholds } = &threshold.parts().activation else {
        panic!("a BatchTopK dictionary in use has a threshold")
    };
    assert!(thresholds[0] > 0.0);

    let names: Vec<PathBuf> = all_files(&place.path("out")).into_keys().collect();
    let mut expected = vec![PathBuf::from("run.json")];
    for name in ["batch", "gated", "top"] {
        expected
            .extend(["cfg.json", "sae_weights.safetensors"].map(|file| Path::new(name).join(file)));
    }
    expected.sort();
    assert_eq!(names, expected);
    let before = all_files(&place.path("out"));
    let again = place.succeed(&[&arguments[..], &["--threads", "1"]].concat());
    assert!(again.contains("is finished") && again.contains("cosine"), "{again}");
    assert!(all_files(&place.path("out")) == before);

    // One thread gives the same bytes.
    place.succeed(&["x.npy", "config.toml", "--out", "one", "--threads", "1"]);
    assert!(all_files(&place.path("one")) == before);
}

#[test]
fn a_store_tells_where_its_rows_come_from_and_a_transcoder_what_it_predicts() {
    let place = Place::new();
    place.store("store", 1200, None);
    place.write("config.toml", &format!("hook = \"x\"\nheld_out = 0.1\n{SMALL}{TOP}"));
    place.succeed(&["store", "config.toml", "--out", "out"]);
    let about = files::read(&place.path("out/top")).unwrap().about;
    assert_eq!(about.hook.as_deref(), Some("x"));
    assert_eq!(about.rest["model_sha256"], "a".repeat(64));
    assert_eq!(about.rest["prepend_bos"], true);
    assert_eq!(about.rest["recipe"]["architecture"]["k"], 2);
    let record = std::fs::read_to_string(place.path("out/run.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["activations"]["n_held_out"], 120);
    assert_eq!(record["activations"]["capture"]["text_sha256"], "c".repeat(64));
    assert_eq!(record["results"]["dictionaries"][0]["held_out"]["n_rows"], 120);

    let transcoder = "[[dictionary]]\nname = \"past\"\nrecipe = \"transcoder\"\nn_latents = 16\nk = 2\n\
                      skip = true\nlearning_rate = 0.01\n";
    place.write("past.toml", &format!("hook = \"x\"\ntarget = \"y\"\n{SMALL}{transcoder}"));
    place.succeed(&["store", "past.toml", "--out", "past"]);
    let read = files::read(&place.path("past/past")).unwrap();
    assert_eq!(read.format, files::Format::Sparsify);
    let x = Matrix::from_rows(100, WIDTH, rows(100)).unwrap();
    let predicted = read.dictionary.reconstruct(&x).unwrap();
    let pairs = predicted.values().iter().zip(x.values());
    let (error, all) = pairs.fold((0.0, 0.0), |(error, all), (y, x)| {
        (error + (y - 0.5 * x).powi(2), all + (0.5 * x).powi(2))
    });
    assert!(error < 0.5 * all, "{error} of {all}");
}

#[test]
fn a_safetensors_file_is_read_by_the_name_of_its_tensor() {
    let place = Place::new();
    place.npy("x.npy", 400);
    place.write("npy.toml", &[SMALL, TOP].concat());
    place.succeed(&["x.npy", "npy.toml", "--out", "npy"]);
    // The same numbers, as the dictionary's folder shows how they are written.
    let file = std::fs::read(place.path("npy/top/sae_weights.safetensors")).unwrap();
    std::fs::write(place.path("x.safetensors"), file).unwrap();
    place.fail(&["x.safetensors", "npy.toml", "--out", "x"], &["x.safetensors", "W_dec", "W_enc"]);
    let named = format!("tensor = \"b_dec\"\n{SMALL}{TOP}");
    place.write("vector.toml", &named);
    place.fail(&["x.safetensors", "vector.toml", "--out", "x"], &["b_dec", "matrix"]);
    place.write("few.toml", &named.replace("b_dec", "W_dec"));
    place.fail(&["x.safetensors", "few.toml", "--out", "x"], &["15 rows, fewer than the 64"]);
    place.write("fits.toml", &named.replace("b_dec", "W_dec").replace("= 64", "= 5"));
    place.succeed(&["x.safetensors", "fits.toml", "--out", "x"]);
    let predicts = TOP.replace("top_k", "transcoder").replace("k = 2", "k = 2\nskip = false");
    let predicts = format!("tensor = \"W_enc\"\ntarget = \"W_dec\"\n{SMALL}{predicts}");
    place.write("predicts.toml", &predicts);
    let parts = ["rows of inputs and targets: expected 8, got 16"];
    place.fail(&["x.safetensors", "predicts.toml", "--out", "y"], &parts);
}

/// Kills at random moments, and calls again until it is done.
#[test]
fn fifty_kills_change_no_byte() {
    let place = Place::new();
    place.store("store", 3000, None);
    let common = "hook = \"x\"\nsteps = 4000\nbatch_rows = 64\nsample_rows = 200\npool_rows = 256\n\
                  save_every = 25\n";
    place.write("config.toml", &[common, TOP, BATCH, GATED].concat());
    let arguments = |out| ["store", "config.toml", "--out", out];
    let begun = Instant::now();
    place.succeed(&arguments("whole"));
    let whole = begun.elapsed();

    let mut rng = Seed::new(2).stream("train-sae", "kills");
    let (mut n_kills, mut n_mid) = (0, 0);
    let mut steps = Vec::new();
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_mins(10), "{n_kills} kills, steps {steps:?}");
        let mut command = place.command(&arguments("killed"));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        if n_kills == 50 {
            assert!(child.wait().unwrap().success());
            break;
        }
        // From the very start, to a thirtieth of the whole after a checkpoint was written.
        let before = checkpoint(&place.path("killed"));
        if rng.below(4) > 0 {
            while checkpoint(&place.path("killed")) == before && child.try_wait().unwrap().is_none()
            {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        std::thread::sleep(whole.mul_f64(0.03 * rng.uniform()).min(Duration::from_millis(200)));
        let is_hit = child.try_wait().unwrap().is_none();
        child.kill().ok();
        child.wait().unwrap();
        if !is_hit {
            break;
        }
        n_kills += 1;
        // No kill takes back what was saved.
        let after = checkpoint(&place.path("killed"));
        n_mid += usize::from(after.is_some());
        assert!(after >= before, "{after:?} after {before:?}");
        assert!(after.is_none_or(|t| t % 25 == 0 || t == 4000), "{after:?}");
        steps.push(after);
    }
    assert!(n_kills >= 20 && n_mid >= 15, "{n_kills} kills, {n_mid} of them after a checkpoint");
    place.succeed(&arguments("killed"));
    let (killed, unbroken) = (all_files(&place.path("killed")), all_files(&place.path("whole")));
    assert_eq!(killed.keys().collect::<Vec<_>>(), unbroken.keys().collect::<Vec<_>>());
    assert!(killed == unbroken, "{n_kills} kills changed a byte");
}

/// The step of a checkpoint, if there is one.
fn checkpoint(folder: &Path) -> Option<u64> {
    let bytes = std::fs::read(folder.join("checkpoint.safetensors")).ok()?;
    let length = usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let header: serde_json::Value = serde_json::from_slice(bytes.get(8..8 + length)?).ok()?;
    let said = header["__metadata__"]["engram"].as_str()?;
    serde_json::from_str::<serde_json::Value>(said).ok()?["t"].as_u64()
}

#[test]
fn what_cannot_be_done_is_named_with_what_to_do() {
    let place = Place::new();
    place.npy("x.npy", 500);
    place.store("store", 500, None);
    let config = |name: &str, more: &str| place.write(name, &format!("{more}{SMALL}{TOP}"));
    let fails = |activations: &str, config: &str, parts: &[&str]| {
        place.fail(&[activations, config, "--out", "out"], parts);
        assert!(!place.path("out").exists());
    };
    config("plain.toml", "");
    config("hook.toml", "hook = \"z\"\n");
    config("unknown.toml", "stepps = 3\n");
    config("tensor.toml", "tensor = \"x\"\n");
    fails("none", "plain.toml", &["none is not there"]);
    fails("x.npy", "none.toml", &["none.toml"]);
    fails("plain.toml", "plain.toml", &["engram capture", "*.npy"]);
    fails("store", "plain.toml", &["x, y", "name one"]);
    fails("store", "hook.toml", &["'z'", "x, y"]);
    fails("store", "tensor.toml", &["tensor", "hook"]);
    fails("x.npy", "hook.toml", &["hook.toml", "hook: a matrix has none"]);
    fails("x.npy", "unknown.toml", &["unknown.toml", "`stepps`", "`steps`"]);
    place.write("many.toml", &format!("{SMALL}{}", TOP.replace("k = 2", "k = 17")));
    fails("x.npy", "many.toml", &["\"top\"", "k is 17", "1 to 16"]);
    place.write(
        "wide.toml",
        &format!("{SMALL}{TOP}").replace("batch_rows = 64", "batch_rows = 496"),
    );
    fails("x.npy", "wide.toml", &["495 rows, fewer than the 496"]);
    let memory = ["x.npy", "plain.toml", "--out", "out", "--memory", "20kB"];
    place.fail(&memory, &["--memory allows", "batch_rows"]);
    place.fail(&["x.npy", "plain.toml", "--out", "out", "--memory", "2"], &["8GiB"]);
    place.fail(&["x.npy", "plain.toml", "--out", "out", "--threads", "0"], &["1 or more"]);

    // Files that are not what they should be.
    let bytes = std::fs::read(place.path("x.npy")).unwrap();
    std::fs::write(place.path("short.npy"), &bytes[..bytes.len() - 3]).unwrap();
    fails("short.npy", "plain.toml", &["short.npy", "bytes of data"]);
    let mut broken = bytes.clone();
    // Number 5 of row 7 becomes NaN of half precision.
    let at = bytes.len() - 2 * (500 * WIDTH - (7 * WIDTH + 5));
    broken[at..at + 2].copy_from_slice(&[0, 0x7e]);
    std::fs::write(place.path("nan.npy"), broken).unwrap();
    fails("nan.npy", "plain.toml", &["nan.npy", "number 5 of row 7 is NaN"]);
    let flat = Array { shape: vec![40], data: vec![1.0; 40] };
    std::fs::write(place.path("flat.npy"), npy::encode_f16("flat", &flat).unwrap()).unwrap();
    fails("flat.npy", "plain.toml", &["[40]", "matrix"]);
    let empty = Array { shape: vec![0, 8], data: Vec::new() };
    std::fs::write(place.path("empty.npy"), npy::encode_f16("empty", &empty).unwrap()).unwrap();
    fails("empty.npy", "plain.toml", &["empty.npy", "no number"]);
    std::fs::write(
        place.path("bytes.npy"),
        npy::encode_u8(&Array { shape: vec![2, 2], data: vec![1; 4] }),
    )
    .unwrap();
    fails("bytes.npy", "plain.toml", &["float16"]);
    std::fs::write(place.path("x.safetensors"), b"not at all").unwrap();
    fails("x.safetensors", "plain.toml", &["x.safetensors", "truncated"]);
    std::fs::create_dir(place.path("folder")).unwrap();
    fails("folder", "plain.toml", &["folder"]);
    place.store("broken", 500, Some(123));
    config("broken.toml", "hook = \"x\"\nheld_out = 0\n");
    place.fail(&["broken", "broken.toml", "--out", "out"], &["x: number 3 of row 123 is NaN"]);
}

#[test]
fn a_folder_of_another_run_or_of_something_else_is_left_alone() {
    let place = Place::new();
    place.npy("x.npy", 500);
    place.write("one.toml", &[SMALL, TOP].concat());
    place.write("other.toml", &[SMALL, TOP].concat().replace("k = 2", "k = 3"));
    place.succeed(&["x.npy", "one.toml", "--out", "out"]);
    let before = all_files(&place.path("out"));
    let parts = ["another run", "settings.run.members.0.recipe.architecture.k", "--out"];
    place.fail(&["x.npy", "other.toml", "--out", "out"], &parts);
    place.npy("longer.npy", 600);
    place.fail(&["longer.npy", "one.toml", "--out", "out"], &["another run", "activations."]);
    assert!(all_files(&place.path("out")) == before);

    std::fs::create_dir(place.path("photos")).unwrap();
    place.write("photos/cat.txt", "meow");
    place.fail(&["x.npy", "one.toml", "--out", "photos"], &["cat.txt", "another --out"]);
    place.write("out/run.json", "{");
    place.fail(&["x.npy", "one.toml", "--out", "out"], &["run.json", "damaged"]);
}
