//! What a model expects of single pieces of documents.

use corpus::Words;
use lm::{Hooks, LmError, Tokens, Transformer};
use world::{Document, Modality};

use crate::error::Result;

/// Documents that a model reads at once.
const N_TEXTS: usize = 16;

/// What a model expects in the place of a piece, having read all before it.
#[derive(Debug)]
pub struct Prediction<'a> {
    /// The document.
    pub document: &'a Document,
    /// The piece.
    pub piece: usize,
    /// ln p of every token to stand there, by its id in [`Words`].
    pub log_probs: &'a [f32],
}

impl Prediction<'_> {
    /// The most likely token; of several the first.
    pub fn best(&self) -> usize {
        let best = self.log_probs.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1));
        best.map_or(0, |(token, _)| token)
    }

    /// The probability that one of these tokens stands there.
    pub fn probability(&self, tokens: impl IntoIterator<Item = u32>) -> f64 {
        let of = |token: u32| self.log_probs.get(token as usize).copied();
        let probabilities = tokens.into_iter().filter_map(of);
        probabilities.map(|log| libm::exp(f64::from(log))).sum()
    }
}

/// Reads documents, each after the token between documents, and tells what the model expects of the pieces `wanted`,
/// document by document.
///
/// What lies beyond the model's context is not asked.
///
/// # Errors
///
/// [`corpus::CorpusError::Unknown`] for words that the vocabulary lacks; as [`Transformer::forward`].
pub fn predict(
    model: &Transformer,
    words: &Words,
    documents: impl IntoIterator<Item = Document>,
    wanted: impl Fn(&Document) -> Vec<usize>,
    mut found: impl FnMut(&Prediction<'_>),
) -> Result<()> {
    let mut batch = Vec::new();
    let mut documents = documents.into_iter().peekable();
    while let Some(document) = documents.next() {
        let pieces = wanted(&document);
        if !pieces.is_empty() {
            batch.push((document, pieces));
        }
        if batch.len() == N_TEXTS || (documents.peek().is_none() && !batch.is_empty()) {
            read(model, words, &batch, &mut found)?;
            batch.clear();
        }
    }
    Ok(())
}

fn read(
    model: &Transformer,
    words: &Words,
    batch: &[(Document, Vec<usize>)],
    found: &mut impl FnMut(&Prediction<'_>),
) -> Result<()> {
    // The last piece that is asked need not be read.
    let last = batch.iter().filter_map(|(_, pieces)| pieces.iter().max()).max();
    let n_positions = model.config().n_ctx.min(last.map_or(0, |last| last + 1));
    let (mut texts, mut places, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (document, _)) in batch.iter().enumerate() {
        let mut text = vec![Words::END];
        text.extend(words.tokens(document)?);
        // Attention looks back only: what fills up a text changes nothing before it.
        text.resize(n_positions, Words::END);
        texts.push(text);
        let images = document.pieces().iter().enumerate();
        let images = images.filter(|(_, piece)| piece.modality == Modality::Image);
        for ((piece, _), patch) in images.zip(document.patches()) {
            if piece + 1 < n_positions {
                places.push((at, piece + 1));
                values.extend(patch);
            }
        }
    }
    let mut tokens = Tokens::new(texts)?;
    if let (Some(width), false) = (model.config().patch_width, places.is_empty()) {
        tokens = tokens.with_patches(&places, width, values)?;
    }
    let logits = model.forward(&tokens, &mut Hooks::new())?;
    let [_, _, n_tokens] = logits.dims();
    let logits = logits.try_into_vec_as::<f32>().map_err(|error| LmError::Device {
        what: "the logits".to_owned(),
        problem: error.to_string(),
    })?;
    let mut rows = logits.chunks_exact(n_tokens);
    let mut log_probs = vec![0.0; n_tokens];
    for (document, pieces) in batch {
        let rows: Vec<&[f32]> = rows.by_ref().take(n_positions).collect();
        for piece in pieces {
            let Some(row) = rows.get(*piece) else { continue };
            log_softmax(row, &mut log_probs);
            found(&Prediction { document, piece: *piece, log_probs: &log_probs });
        }
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "logits have single precision")]
fn log_softmax(logits: &[f32], into: &mut [f32]) {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| libm::exp(f64::from(logit - most))).sum();
    let log_sum = f64::from(most) + libm::log(sum);
    for (log_prob, logit) in into.iter_mut().zip(logits) {
        *log_prob = (f64::from(*logit) - log_sum) as f32;
    }
}
