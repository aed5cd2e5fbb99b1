//! What a command works on: a model's folder, a text, and names of hooks, checked before anything long.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use corpus::{TextDocument, TextFiles};
use lm::{Config, Hook, Tokenizer};
use store::BosRule;

/// Where the token that begins texts is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bos {
    /// Nowhere.
    Absent,
    /// Before each sequence.
    Sequence,
    /// Before each document.
    Document,
}

/// Refuses a place where no store can be, before anything long.
///
/// # Errors
/// A file, or a folder of something else than a store.
pub(crate) fn store_folder(path: &Path) -> anyhow::Result<()> {
    let Ok(entries) = std::fs::read_dir(path) else {
        if path.exists() {
            bail!("--out: {} is no folder; take another", path.display());
        }
        return Ok(());
    };
    // A run that was killed at its very beginning leaves no more than these.
    let first = ["writer.lock", "capture.json.draft"];
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    let is_begun = names.iter().any(|name| name == "capture.json");
    match names.iter().find(|name| !first.iter().any(|first| *name == first)) {
        Some(other) if !is_begun => {
            bail!("--out: {} holds no store, but {}; take another", path.display(), other.display())
        }
        _ => Ok(()),
    }
}

/// A folder's config and tokenizer, which fit each other.
///
/// # Errors
/// A folder or file that is not there or cannot be honored; a tokenizer of another vocabulary.
pub(crate) fn model(folder: &Path) -> anyhow::Result<(Config, Tokenizer)> {
    if !folder.is_dir() {
        bail!("{} is no folder: name one with config.json and *.safetensors", folder.display());
    }
    let config = lm::load_config(folder)?;
    let tokenizer = Tokenizer::load(folder).with_context(|| {
        format!("{} needs the tokenizer.json that belongs to the model", folder.display())
    })?;
    tokenizer
        .check(&config)
        .with_context(|| format!("{}: tokenizer.json is not the model's own", folder.display()))?;
    Ok((config, tokenizer))
}

/// The hooks of these names.
///
/// # Errors
/// A name that the model does not have, with those that it has.
pub(crate) fn hooks(names: &[String], config: &Config) -> anyhow::Result<Vec<Hook>> {
    let known = Hook::all(config);
    let mut hooks = Vec::new();
    for name in names {
        match name.parse::<Hook>() {
            Ok(hook) if hooks.contains(&hook) => bail!("hook {hook} is named twice"),
            Ok(hook) if known.contains(&hook) => hooks.push(hook),
            Ok(Hook::Block(layer, _)) if layer >= config.n_layers => bail!(
                "the model has no hook {name}: its blocks are 0 to {}. It has {}",
                config.n_layers.saturating_sub(1),
                list(&known)
            ),
            _ => bail!("the model has no hook {name:?} with rows. It has {}", list(&known)),
        }
    }
    Ok(hooks)
}

/// Hooks in a line: sites are named once for all blocks.
fn list(hooks: &[Hook]) -> String {
    let mut sites = BTreeSet::new();
    let mut others = Vec::new();
    let mut last = 0;
    for hook in hooks {
        match hook {
            Hook::Block(layer, site) => {
                sites.insert(*site);
                last = last.max(*layer);
            }
            other => others.push(other.to_string()),
        }
    }
    let sites: Vec<_> = sites.into_iter().map(lm::Site::as_str).collect();
    format!("{}, and blocks.<0 to {last}>. with {}", others.join(", "), sites.join(", "))
}

/// The rule of the first token: as asked for, else the tokenizer's own.
///
/// # Errors
/// A token that the tokenizer does not have; a rule without a token.
pub(crate) fn bos(
    asked: Option<Bos>,
    token: Option<&str>,
    tokenizer: &Tokenizer,
) -> anyhow::Result<BosRule> {
    let token = match token {
        Some(name) => Some(tokenizer.id(name).with_context(|| {
            format!(
                "--bos-token: the tokenizer has no token {name:?}; spell it as tokenizer.json does"
            )
        })?),
        None => first_token(tokenizer)?,
    };
    let needed = || {
        token.context("the tokenizer puts no token before a text: name one with --bos-token, or take --bos absent")
    };
    Ok(match asked {
        Some(Bos::Absent) => BosRule::Absent,
        Some(Bos::Document) => BosRule::EachDocument { token: needed()? },
        Some(Bos::Sequence) => BosRule::EachSequence { token: needed()? },
        None => token.map_or(BosRule::Absent, |token| BosRule::EachSequence { token }),
    })
}

/// The token that the tokenizer puts before a text, if it puts one.
///
/// # Errors
/// A tokenizer that fails.
pub(crate) fn first_token(tokenizer: &Tokenizer) -> anyhow::Result<Option<u32>> {
    // It stands for no byte of the text.
    let first = tokenizer.encode_with_specials("a")?.into_iter().next();
    Ok(first.filter(|token| token.span.is_empty()).map(|token| token.id))
}

/// The documents of a text as tokens, read as they are asked for.
pub(crate) fn documents<'a>(
    text: &'a TextFiles,
    tokenizer: &'a Tokenizer,
) -> impl Iterator<Item = anyhow::Result<capture::Document>> + 'a {
    (0..).zip(text.documents()).map(|(id, document)| {
        Ok(capture::Document { id, tokens: tokenize(&document?, tokenizer)? })
    })
}

/// The tokens of a document.
///
/// # Errors
/// A tokenizer that fails at it.
pub(crate) fn tokenize(document: &TextDocument, tokenizer: &Tokenizer) -> anyhow::Result<Vec<u32>> {
    let tokens = tokenizer
        .encode(&document.text)
        .with_context(|| format!("{} from byte {} on", document.path.display(), document.start))?;
    Ok(tokens.into_iter().map(|token| token.id).collect())
}
