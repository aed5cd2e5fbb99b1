//! stories260K, a real model: its golden sample word for word, and its logits beside `transformers`.
//!
//! The folder is made from the official files by the recipe of `just data stories260K-hf`; without them
//! the tests say that they are skipped.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::path::{Path, PathBuf};

use lm::{Generation, Hooks, Sampling, Tokenizer, Tokens, Transformer};
use manifest::Store;
use safetensors::SafeTensors;
use seed::Seed;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of the model, made from the official files where these are at hand.
#[expect(clippy::print_stderr, reason = "what is skipped is said")]
fn folder(cache: &Path) -> Option<PathBuf> {
    let found = Store::from_env(&project()).unwrap();
    let official = cache.join("stories260K");
    std::fs::create_dir_all(&official).unwrap();
    for file in ["stories260K.bin", "tok512.bin"] {
        match found.read(&format!("stories260K/{file}")) {
            Ok(content) => std::fs::write(official.join(file), content).unwrap(),
            Err(error) => {
                eprintln!("skipped: {error}");
                return None;
            }
        }
    }
    let store = Store::new(&project().join("data-manifests"), cache.to_owned(), None).unwrap();
    let report = store.fetch("stories260K-hf", &mut |_| {}).unwrap();
    for (_, outcome) in &report.files {
        outcome.as_ref().unwrap();
    }
    Some(cache.join("stories260K-hf"))
}

fn load(folder: &Path) -> (Transformer, Tokenizer) {
    let device = device::DeviceName::Flex.open().unwrap();
    let model = Transformer::load(folder, &device).unwrap();
    let tokenizer = Tokenizer::load(folder).unwrap();
    tokenizer.check(model.config()).unwrap();
    (model, tokenizer)
}

const GOLDEN: &str = "\
Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she \
saw a big, red ball. She wanted to play with it, but it was too high.
Lily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. She said, \"I want \
to play with your ball, but I can't find it.\"
Lily was sad and didn't know what to do. She said, \"I'm sorry, Lily. I didn't know what to do.\"
Lily didn't want to help her mom, so she said, \"I'm sorry, mom. I didn't know what to do.\" Her mom said, \
\"Don't worry, Lily. We can help you.
";

#[test]
fn the_golden_sample_comes_out_word_for_word() {
    let cache = tempfile::tempdir().unwrap();
    let Some(folder) = folder(cache.path()) else { return };
    let (model, tokenizer) = load(&folder);
    let begin = tokenizer.id("<s>").unwrap();
    let generation = Generation { sampling: Sampling::Greedy, n_tokens: 256, stop: vec![begin] };
    let mut rng = Seed::new(1).stream("lm.test", "stories");
    let text = model.generate(&[begin], &generation, &mut rng, &mut Hooks::new()).unwrap();
    assert_eq!(tokenizer.decode(&text).unwrap(), GOLDEN.trim_end());
}

/// What it says itself it reads as it said it: the same tokens, each the likeliest after those before.
#[test]
fn its_own_stories_are_read_as_they_were_told() {
    let cache = tempfile::tempdir().unwrap();
    let Some(folder) = folder(cache.path()) else { return };
    let (model, tokenizer) = load(&folder);
    let golden = GOLDEN.trim_end();
    let ids = ids(&tokenizer, golden);
    assert_eq!(Some(ids[0]), tokenizer.id("<s>"));
    assert_eq!(tokenizer.decode(&ids).unwrap(), golden);
    let tokens = Tokens::new(vec![ids.clone()]).unwrap();
    let logits = model.forward(&tokens, &mut Hooks::new()).unwrap();
    let likeliest = logits.argmax(2).try_into_vec_as::<i64>().unwrap();
    let read: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
    assert_eq!(likeliest[..read.len() - 1], read[1..]);
}

/// `draw.py text` on the folder made these: the tokens of the text and their logits.
#[test]
fn its_tokens_and_logits_are_those_of_transformers() {
    let cache = tempfile::tempdir().unwrap();
    let Some(folder) = folder(cache.path()) else { return };
    let (model, tokenizer) = load(&folder);
    let expected =
        SafeTensors::deserialize(include_bytes!("stories/expected.safetensors")).unwrap();
    let words = |name: &str| -> Vec<[u8; 4]> {
        let tensor = expected.tensor(name).unwrap();
        tensor.data().chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]).collect()
    };
    let ids = ids(&tokenizer, "Lily's mom said, \"Let's go!\" 3 ducks saw a café.");
    assert_eq!(ids, words("tokens").into_iter().map(u32::from_le_bytes).collect::<Vec<_>>());
    let tokens = Tokens::new(vec![ids]).unwrap();
    let ours = model.forward(&tokens, &mut Hooks::new()).unwrap();
    let ours = ours.try_into_vec_as::<f32>().unwrap();
    let theirs = words("logits").into_iter().map(f32::from_le_bytes);
    let (mut apart, mut norm) = (0.0, 0.0);
    for (ours, theirs) in ours.iter().zip(theirs) {
        apart += f64::from((ours - theirs) * (ours - theirs));
        norm += f64::from(theirs * theirs);
    }
    assert!((apart / norm).sqrt() < 1e-4, "{apart} of {norm}");
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode_with_specials(text).unwrap().iter().map(|token| token.id).collect()
}
