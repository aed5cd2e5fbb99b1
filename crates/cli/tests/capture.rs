//! The binary on a tiny model: what it stores, what it says, what it refuses, and a kill.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use lm::{Config, Precision, Tokenizer, Transformer};
use seed::Seed;
use store::ActivationReader;
use tempfile::TempDir;

const GPT2: &str = r#"{"model_type": "gpt2", "vocab_size": 300, "n_positions": 32, "n_embd": 16,
    "n_layer": 2, "n_head": 2}"#;

/// A folder with a random model, its tokenizer, and a text.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let device = device::DeviceName::Flex.open().unwrap();
        let config = Config::from_json("config.json", GPT2.as_bytes()).unwrap();
        let model = Transformer::random(config, Seed::new(1), &device).unwrap();
        model.save(&place.path("model"), Precision::F32, 1 << 30).unwrap();
        let text = "a rose is a rose is a rose, and a text is a text\n".repeat(40);
        let tokenizer = Tokenizer::train(&[&text], 280, &["<|end|>"]).unwrap();
        tokenizer.save(&place.path("model")).unwrap();
        std::fs::write(place.path("text.txt"), text).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_engram"));
        command.current_dir(self.0.path()).arg("capture").args(arguments);
        command
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        told(&output)
    }

    fn fail(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(!output.status.success(), "{}", told(&output));
        let told = told(&output);
        assert!(!told.contains("panicked"), "{told}");
        told
    }
}

fn told(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The files of a store by name, without the lock.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = entries
        .map(|path| (path.file_name().unwrap().into(), std::fs::read(&path).unwrap()))
        .collect();
    all.sort();
    all
}

const HOOKS: [&str; 2] = ["blocks.0.resid_post", "blocks.1.mlp_hidden"];

#[test]
fn a_plan_makes_nothing_and_a_capture_what_the_plan_says() {
    let place = Place::new();
    let arguments = ["model", "text.txt", HOOKS[0], HOOKS[1], "--out", "store"];
    let plan = place.succeed(&[&arguments[..], &["--plan"]].concat());
    assert!(!place.path("store").exists());
    for part in ["tokens", "rows", "disk", "memory", "time", "nothing put before them", HOOKS[1]] {
        assert!(plan.contains(part), "{part} is not in\n{plan}");
    }
    place.succeed(&arguments);
    let found = ActivationReader::describe(&place.path("store")).unwrap();
    let planned = plan.lines().find_map(|line| line.strip_prefix("rows")).unwrap();
    assert_eq!(planned.trim().replace(',', ""), found.n_rows.to_string());
    let tokenizer = Tokenizer::load(&place.path("model")).unwrap();
    let text = std::fs::read_to_string(place.path("text.txt")).unwrap();
    assert_eq!(found.n_rows, tokenizer.encode(&text).unwrap().len() as u64);
    let widths: Vec<_> = found.capture.hooks.iter().map(|hook| hook.width).collect();
    assert_eq!(widths, [16, 64]);
    let again = place.succeed(&arguments);
    assert!(again.contains("is finished"), "{again}");
}

#[test]
fn the_token_that_begins_texts_is_put_where_it_is_asked_for() {
    let place = Place::new();
    let common = ["model", "text.txt", "embed", "--out"];
    let rows = |out: &str, more: &[&str]| {
        place.succeed(&[&common[..], &[out], more].concat());
        ActivationReader::describe(&place.path(out)).unwrap().n_rows
    };
    let plain = rows("plain", &[]);
    let bos = ["--bos-token", "<|end|>", "--bos"];
    let document = rows("document", &[&bos[..], &["document"]].concat());
    let sequence = rows("sequence", &[&bos[..], &["sequence", "--context", "11"]].concat());
    assert_eq!((document, sequence), (plain + 1, plain + plain.div_ceil(10)));
    let few = rows("few", &["--tokens", "7", "--dtype", "f16"]);
    assert_eq!(few, 7);
    let told = place.fail(&[&common[..], &["x", "--bos", "document"]].concat());
    assert!(told.contains("--bos-token"), "{told}");
    let told = place.fail(&[&common[..], &["x", "--bos-token", "<s>"]].concat());
    assert!(told.contains("\"<s>\""), "{told}");
}

/// Killed at moments that the clock gives, and called again until it is done.
#[test]
fn a_killed_capture_goes_on_to_the_same_bytes() {
    let place = Place::new();
    let arguments = |out| {
        [
            "model",
            "text.txt",
            HOOKS[0],
            "--out",
            out,
            "--shard",
            "40",
            "--batch",
            "1",
            "--context",
            "8",
        ]
    };
    place.succeed(&arguments("whole"));
    let begun = Instant::now();
    let mut n_kills = 0;
    while !place.path("killed/index.h5").exists() {
        assert!(begun.elapsed() < Duration::from_mins(5), "{n_kills} kills");
        let mut command = place.command(&arguments("killed"));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // A shard more than before, then no warning.
        let shard = place.path(&format!("killed/shard-{n_kills:06}.h5"));
        while !shard.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if n_kills < 6 {
            child.kill().ok();
            n_kills += 1;
        }
        child.wait().unwrap();
    }
    assert!(n_kills > 1, "it was done before it could be killed");
    assert!(files(&place.path("killed")) == files(&place.path("whole")));
}

/// Nothing of what lies there is touched, nor anything computed.
#[test]
fn a_place_where_no_store_can_be_is_refused_at_once() {
    let place = Place::new();
    for (out, part) in [("text.txt", "no folder"), ("model", "holds no store, but")] {
        let told = place.fail(&["model", "text.txt", "embed", "--out", out]);
        assert!(told.contains(part) && !told.contains("rows"), "{told}");
    }
    assert!(!place.path("model/capture.json").exists());
}

#[test]
fn what_cannot_be_done_is_named_with_what_to_do() {
    let place = Place::new();
    let fails = |model: &str, text: &str, hook: &str, more: &[&str], parts: &[&str]| {
        let told = place.fail(&[&[model, text, hook, "--out", "store"], more].concat());
        for part in parts {
            assert!(told.contains(part), "{part} is not in\n{told}");
        }
        assert!(!place.path("store").exists(), "{told}");
    };
    let all = ["embed", "final_norm", "logits", "blocks.<0 to 1>.", "resid_post", "mlp_hidden"];
    fails("model", "text.txt", "blocks.0.residual", &[], &all);
    fails("model", "text.txt", "blocks.2.resid_post", &[], &["0 to 1"]);
    fails("model", "text.txt", "blocks.0.attn_pattern", &[], &["attn_out"]);
    fails("model", "text.txt", "blocks.0.router", &[], &["resid_mid"]);
    fails("model", "none.txt", "embed", &[], &["none.txt"]);
    fails("none", "text.txt", "embed", &[], &["none", "config.json"]);
    fails("model", "text.txt", "embed", &["--context", "33"], &["32"]);
    fails("model", "text.txt", "embed", &["--batch", "0"], &["the batch"]);
    fails("model", "text.txt", "embed", &["--device", "abacus"], &["abacus", "flex"]);
    std::fs::write(place.path("latin.txt"), b"caf\xe9").unwrap();
    fails("model", "latin.txt", "embed", &[], &["latin.txt", "byte 3", "iconv"]);
    std::fs::write(place.path("empty.txt"), "").unwrap();
    fails("model", "empty.txt", "embed", &[], &["empty.txt is empty"]);
    std::fs::create_dir(place.path("texts")).unwrap();
    fails("model", "texts", "embed", &[], &["texts", ".txt"]);

    let many: Vec<String> = (0..400).map(|at| format!("word{at} word{at}")).collect();
    let larger = Tokenizer::train(&many, 400, &["<s>"]).unwrap();
    larger.save(&place.path("model")).unwrap();
    fails("model", "text.txt", "embed", &[], &["tokenizer.json", "not the model's own", "300"]);
    std::fs::remove_file(place.path("model/tokenizer.json")).unwrap();
    fails("model", "text.txt", "embed", &[], &["tokenizer.json that belongs"]);
}
