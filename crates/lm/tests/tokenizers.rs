//! Tokenizers and their alignment.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeMap;

use lm::{LmError, Tokenizer, Whitespace, align};
use proptest::prelude::*;

const TEXTS: [&str; 3] = [
    "the cat sat on the mat, the cat and the hat",
    "un café, deux cafés; naïve façade 日本 日本語",
    "fn main() { let x = 12; println!(\"{x}\"); } // 12 12 12",
];

fn train(texts: &[&str], vocab_size: usize) -> Tokenizer {
    Tokenizer::train(texts, vocab_size, &["<|end|>"]).unwrap()
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text).unwrap().iter().map(|token| token.id).collect()
}

fn pieces(tokenizer: &Tokenizer, text: &str) -> Vec<Option<Vec<u8>>> {
    tokenizer.pieces(&ids(tokenizer, text)).unwrap()
}

/// The token that ends at each byte.
fn ends(pieces: &[Option<Vec<u8>>]) -> BTreeMap<usize, usize> {
    let mut end = 0;
    let mut ends = BTreeMap::new();
    for (index, piece) in pieces.iter().enumerate() {
        end += piece.as_ref().map_or(0, Vec::len);
        ends.insert(end, index);
    }
    ends
}

/// Of "aa aa b b b" the commonest pair is made first: "aa" comes twice, " b" three times.
#[test]
fn the_commonest_pair_is_merged_first() {
    let tokenizer = Tokenizer::train(&["aa aa b b b"], 258, &["<|end|>"]).unwrap();
    assert_eq!(tokenizer.vocab_size(), 258);
    assert_eq!(tokenizer.id("Ġb"), Some(257));
    assert_eq!(tokenizer.id("<|end|>"), Some(0));
    assert_eq!(pieces(&tokenizer, "a b"), [Some(b"a".to_vec()), Some(b" b".to_vec())]);
}

#[test]
fn the_same_texts_train_the_same_tokenizer_and_it_is_saved_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (train(&TEXTS, 300), train(&TEXTS, 300));
    one.save(folder.path()).unwrap();
    let first = std::fs::read(folder.path().join("tokenizer.json")).unwrap();
    two.save(folder.path()).unwrap();
    assert_eq!(first, std::fs::read(folder.path().join("tokenizer.json")).unwrap());
    let loaded = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(loaded.encode(TEXTS[1]).unwrap(), one.encode(TEXTS[1]).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn special_tokens_are_no_content() {
    let tokenizer = train(&TEXTS, 300);
    let end = tokenizer.id("<|end|>").unwrap();
    let text = ids(&tokenizer, "the cat<|end|>");
    assert_eq!(text.last(), Some(&end));
    assert_eq!(tokenizer.pieces(&text).unwrap().last(), Some(&None));
    assert_eq!(tokenizer.decode(&text).unwrap(), "the cat");
}

#[test]
fn what_does_not_belong_is_refused() {
    let tokenizer = train(&TEXTS, 300);
    let beyond = u32::try_from(tokenizer.vocab_size()).unwrap();
    assert!(matches!(tokenizer.decode(&[beyond]), Err(LmError::Tokens { .. })));
    assert!(matches!(tokenizer.pieces(&[beyond]), Err(LmError::Tokens { .. })));
    assert!(matches!(Tokenizer::train(&TEXTS, 256, &["<|end|>"]), Err(LmError::Range { .. })));
    let error = Tokenizer::from_json("some.json", b"{}").unwrap_err().to_string();
    assert!(error.contains("some.json"), "{error}");
    let small = br#"{"model_type": "gpt2", "vocab_size": 99, "n_positions": 8, "n_embd": 6,
        "n_layer": 1, "n_head": 2}"#;
    let config = lm::Config::from_json("config.json", small).unwrap();
    let error = tokenizer.check(&config).unwrap_err().to_string();
    assert!(error.contains("99") && error.contains(&beyond.to_string()), "{error}");
}

proptest! {
    /// No text is changed or unknown, spans stand for what tokens spell, and two tokenizers meet exactly
    /// where tokens of both end at the same byte.
    #[test]
    fn byte_level_tokenizers_lose_nothing_and_meet_at_bytes(
        text in "([a-e ]|the|cat|é|日本|\\PC|\n){0,20}",
    ) {
        let (a, b) = (train(&TEXTS, 340), train(&TEXTS[..1], 270));
        prop_assert_eq!(&a.decode(&ids(&a, &text)).unwrap(), &text);
        let (pieces_a, pieces_b) = (pieces(&a, &text), pieces(&b, &text));
        prop_assert_eq!(pieces_a.iter().flatten().flatten().copied().collect::<Vec<_>>(), text.as_bytes());
        let mut end = 0;
        for (token, piece) in a.encode(&text).unwrap().iter().zip(&pieces_a) {
            let start = end;
            end += piece.as_ref().map_or(0, Vec::len);
            prop_assert!(token.span.start <= start && end <= token.span.end);
        }
        let (ends_a, ends_b) = (ends(&pieces_a), ends(&pieces_b));
        let meet = ends_a.iter().filter_map(|(end, a)| Some((*a, *ends_b.get(end)?)));
        let alignment = align(&pieces_a, &pieces_b, Whitespace::Kept);
        prop_assert_eq!(alignment.pairs, meet.collect::<Vec<_>>());
        prop_assert!(alignment.is_complete);
    }
}
