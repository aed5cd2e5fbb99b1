//! Tokenizers: any tokenizer.json, and byte-level BPE trained here.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Model as _};

use crate::{Config, LmError};

/// A token of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// The bytes of the text that it stands for, widened to whole characters.
    pub span: Range<usize>,
}

/// A tokenizer of the Hugging Face format.
///
/// # Examples
///
/// ```
/// let texts = ["a rose is a rose is a rose"];
/// let tokenizer = lm::Tokenizer::train(&texts, 260, &["<|end|>"])?;
/// let ids: Vec<u32> = tokenizer.encode("a rose")?.iter().map(|token| token.id).collect();
/// assert_eq!(tokenizer.decode(&ids)?, "a rose");
/// assert_eq!(tokenizer.id("<|end|>"), Some(0));
/// # Ok::<(), lm::LmError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    name: String,
    /// How its tokens spell bytes.
    spelling: Spelling,
}

/// How the strings of a vocabulary spell bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// A character for each byte.
    ByteLevel,
    /// The text itself, with ▁ for a space and `<0x0A>` for a byte without a token.
    Plain,
}

impl Tokenizer {
    /// Reads tokenizer.json; `name` names it in errors.
    ///
    /// # Errors
    ///
    /// [`LmError::Tokenizer`] for what the library cannot read.
    pub fn from_json(name: &str, text: &[u8]) -> Result<Self, LmError> {
        // The library panics at a decoder that is no JSON.
        serde_json::from_slice::<serde::de::IgnoredAny>(text)
            .map_err(|error| failed(name)(error.into()))?;
        let read = guarded(|| tokenizers::Tokenizer::from_bytes(text));
        Self::new(name, read.map_err(failed(name))?)
    }

    /// Reads tokenizer.json from a folder or the file itself.
    ///
    /// # Errors
    ///
    /// [`LmError::Io`], and as [`Tokenizer::from_json`].
    pub fn load(path: &Path) -> Result<Self, LmError> {
        let path = if path.is_dir() { path.join("tokenizer.json") } else { path.to_owned() };
        let text = std::fs::read(&path).map_err(LmError::io("read", &path))?;
        Self::from_json(&path.display().to_string(), &text)
    }

    /// Trains a byte-level BPE: no text is unknown to it, and none is changed.
    ///
    /// The special tokens have the first ids, then the 256 bytes come, then the merges of pairs that come
    /// twice or more, the commonest first, until there are `vocab_size` tokens or no such pair is left.
    /// The same texts give the same tokenizer.
    ///
    /// # Errors
    ///
    /// [`LmError::Range`] if the vocabulary has no room for the bytes and the special tokens,
    /// [`LmError::Tokenizer`] if the library fails.
    pub fn train<S: AsRef<str> + Sync>(
        texts: &[S],
        vocab_size: usize,
        special: &[&str],
    ) -> Result<Self, LmError> {
        if vocab_size < 256 + special.len() {
            return Err(LmError::Range {
                what: "the size of the vocabulary",
                got: vocab_size as f64,
                interval: "[256 + the special tokens, ∞), since every byte has a token",
            });
        }
        let what = "training a tokenizer";
        let mut inner = tokenizers::Tokenizer::new(BPE::default());
        inner.with_pre_tokenizer(Some(ByteLevel::new(false, false, true)));
        inner.with_decoder(Some(ByteLevel::new(false, false, true)));
        let special = special.iter().map(|token| AddedToken::from(*token, true)).collect();
        let mut trainer: TrainerWrapper = BpeTrainerBuilder::new()
            .vocab_size(vocab_size)
            .min_frequency(2)
            .show_progress(false)
            .special_tokens(special)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build()
            .into();
        inner.train(&mut trainer, texts.iter().map(AsRef::as_ref)).map_err(failed(what))?;
        Self::new("a tokenizer trained here", inner)
    }

    fn new(name: &str, inner: tokenizers::Tokenizer) -> Result<Self, LmError> {
        let decoder = serde_json::to_string(&inner.get_decoder())
            .map_err(|error| failed(name)(error.into()))?;
        let is_byte_level = decoder.contains("\"ByteLevel\"");
        let spelling = if is_byte_level { Spelling::ByteLevel } else { Spelling::Plain };
        Ok(Self { inner, name: name.to_owned(), spelling })
    }

    /// The text of tokenizer.json.
    ///
    /// # Errors
    ///
    /// [`LmError::Tokenizer`] if the library fails.
    pub fn to_json(&self) -> Result<String, LmError> {
        self.inner.to_string(true).map_err(failed(&self.name))
    }

    /// Writes tokenizer.json into a folder.
    ///
    /// # Errors
    ///
    /// [`LmError::Io`] if the folder cannot be written, [`LmError::Tokenizer`] if the library fails.
    pub fn save(&self, folder: &Path) -> Result<(), LmError> {
        let text = self.to_json()?;
        let path = folder.join("tokenizer.json");
        let draft = folder.join("tokenizer.json.draft");
        std::fs::write(&draft, text).map_err(LmError::io("write", &draft))?;
        std::fs::rename(&draft, &path).map_err(LmError::io("write", &path))
    }

    /// The tokens of a text, nothing added.
    ///
    /// # Errors
    ///
    /// [`LmError::Tokenizer`] if the library fails.
    pub fn encode(&self, text: &str) -> Result<Vec<Token>, LmError> {
        self.tokens(text, false)
    }

    /// The tokens of a text with those that the tokenizer puts around a text, such as one that begins
    /// it; they stand for an empty span.
    ///
    /// # Errors
    ///
    /// [`LmError::Tokenizer`] if the library fails.
    pub fn encode_with_specials(&self, text: &str) -> Result<Vec<Token>, LmError> {
        self.tokens(text, true)
    }

    fn tokens(&self, text: &str, add_specials: bool) -> Result<Vec<Token>, LmError> {
        let encoding = guarded(|| self.inner.encode(text, add_specials));
        let encoding = encoding.map_err(failed(&self.name))?;
        let spans = encoding.get_offsets().iter().map(|(start, end)| *start..*end);
        let tokens = encoding.get_ids().iter().zip(spans).map(|(id, span)| Token { id: *id, span });
        Ok(tokens.collect())
    }

    /// The text of tokens, special ones left out.
    ///
    /// # Errors
    ///
    /// [`LmError::Tokens`] for an id that the tokenizer does not have, [`LmError::Tokenizer`] if the
    /// library fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, LmError> {
        if let Some(id) = ids.iter().find(|id| self.inner.id_to_token(**id).is_none()) {
            return Err(self.unknown(*id));
        }
        guarded(|| self.inner.decode(ids, true)).map_err(failed(&self.name))
    }

    /// The bytes that each token spells, for [`crate::align`]; none for special tokens.
    ///
    /// # Errors
    ///
    /// [`LmError::Tokens`] for an id that the tokenizer does not have.
    pub fn pieces(&self, ids: &[u32]) -> Result<Vec<Option<Vec<u8>>>, LmError> {
        let added = self.inner.get_added_tokens_decoder();
        let bytes = byte_of_character();
        let piece = |id: &u32| match added.get(id) {
            Some(token) if token.special => Ok(None),
            Some(token) => Ok(Some(token.content.clone().into_bytes())),
            None => {
                let token = self.inner.get_model().id_to_token(*id);
                let token = token.ok_or_else(|| self.unknown(*id))?;
                Ok(Some(self.spelled(&token, &bytes)))
            }
        };
        ids.iter().map(piece).collect()
    }

    fn spelled(&self, token: &str, bytes: &BTreeMap<char, u8>) -> Vec<u8> {
        let plain = || token.replace('▁', " ").into_bytes();
        match self.spelling {
            Spelling::ByteLevel => token
                .chars()
                .map(|c| bytes.get(&c).copied())
                .collect::<Option<_>>()
                .unwrap_or_else(plain),
            Spelling::Plain => {
                let byte = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
                let byte = byte.filter(|digits| digits.len() == 2);
                let byte = byte.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                byte.map_or_else(plain, |byte| vec![byte])
            }
        }
    }

    /// How many tokens there are, special ones included: one more than the largest id.
    pub fn vocab_size(&self) -> usize {
        let ids = self.inner.get_vocab(true).into_values();
        ids.max().map_or(0, |largest| largest as usize + 1)
    }

    /// The id of a token, as the vocabulary spells it.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// A token, as the vocabulary spells it.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Refuses a tokenizer that has tokens which the model does not know. A model may know more: some
    /// vocabularies are rounded up.
    ///
    /// # Errors
    ///
    /// [`LmError::Tokens`] with both sizes.
    pub fn check(&self, config: &Config) -> Result<(), LmError> {
        let vocab_size = self.vocab_size();
        if vocab_size <= config.vocab_size {
            return Ok(());
        }
        Err(LmError::Tokens {
            expected: format!(
                "a tokenizer of at most {} tokens, as the model has",
                config.vocab_size
            ),
            got: format!("{}, which has {vocab_size}", self.name),
        })
    }

    fn unknown(&self, id: u32) -> LmError {
        LmError::Tokens {
            expected: format!("ids of {}, below {}", self.name, self.vocab_size()),
            got: id.to_string(),
        }
    }
}

/// Calls the library, which panics at some broken normalizers, when it reads them and when it uses them.
fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    let called = catch_unwind(AssertUnwindSafe(call));
    called.unwrap_or_else(|_| Err("a part of the tokenizer is not well-formed".into()))
}

fn failed(what: &str) -> impl FnOnce(tokenizers::Error) -> LmError {
    move |error| LmError::Tokenizer { what: what.to_owned(), problem: error.to_string() }
}

/// The byte that each character of a byte-level vocabulary stands for: printable bytes of Latin-1 are
/// themselves, the others follow in order from U+0100 on (Radford et al. 2019).
fn byte_of_character() -> BTreeMap<char, u8> {
    let is_printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..=u8::MAX).filter(|byte| !is_printable(*byte));
    let others = ('\u{100}'..).zip(others);
    let printable = (0..=u8::MAX).filter(|byte| is_printable(*byte));
    printable.map(|byte| (char::from(byte), byte)).chain(others).collect()
}
