//! Documents packed into contexts, to train a language model on.

use seed::Seed;
use store::{CorpusReader, LabelledDocument};

use crate::error::{CorpusError, Result};
use crate::split::Split;

/// The documents of a split in memory: four bytes a token, and the patches.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingText {
    split: Split,
    separator: u32,
    /// The tokens of all documents, one after the other.
    tokens: Vec<u32>,
    is_patch: Vec<bool>,
    /// Where documents begin in `tokens`, and the end. \[documents + 1\]
    starts: Vec<usize>,
    /// Where documents begin in `patches`, counted in patches. \[documents + 1\]
    first_patches: Vec<usize>,
    patches: Vec<f32>,
    patch_len: usize,
}

impl TrainingText {
    /// Reads a split. `separator` is the token that will stand before each document.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Range`] for a separator outside of the vocabulary, [`CorpusError::TooSmall`] if
    /// the split has no document, [`CorpusError::Store`] for a corpus that cannot be read, or whose
    /// patches are not as many as the tokens of modality `image`.
    pub fn load(reader: &mut CorpusReader, split: Split, separator: u32) -> Result<Self> {
        let info = reader.info().clone();
        if separator >= info.vocab_size {
            let interval = "[0, the size of the vocabulary)";
            return Err(CorpusError::Range {
                what: "the separator",
                got: separator.into(),
                interval,
            });
        }
        let image = info.names.modalities.iter().position(|name| name == "image");
        let mut text = Self {
            split,
            separator,
            tokens: Vec::new(),
            is_patch: Vec::new(),
            starts: vec![0],
            first_patches: vec![0],
            patches: Vec::new(),
            patch_len: info.patch_len as usize,
        };
        let code = info.names.splits.iter().position(|name| name == split.as_str());
        let mut document = LabelledDocument::default();
        for at in 0..reader.n_documents() {
            reader.read_document(at, &mut document)?;
            if Some(usize::from(document.document.split)) != code {
                continue;
            }
            let is_patch = document.modalities.iter().map(|code| Some(usize::from(*code)) == image);
            text.is_patch.extend(is_patch);
            text.tokens.extend(&document.tokens);
            text.patches.extend(&document.patches);
            let places = &text.is_patch[text.is_patch.len() - document.tokens.len()..];
            let n_places = places.iter().filter(|is_patch| **is_patch).count();
            if n_places * text.patch_len != document.patches.len() {
                return Err(CorpusError::Store(store::Error::Shape {
                    what: format!("numbers of the patches of document {}", document.document.id),
                    expected: (n_places * text.patch_len) as u64,
                    got: document.patches.len() as u64,
                }));
            }
            text.starts.push(text.tokens.len());
            text.first_patches.push(text.first_patches.last().unwrap_or(&0) + n_places);
        }
        if text.n_documents() == 0 {
            return Err(text.too_small(1));
        }
        Ok(text)
    }

    /// How many documents there are.
    pub fn n_documents(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many tokens there are, separators left out.
    pub fn n_tokens(&self) -> usize {
        self.tokens.len()
    }

    /// Numbers in a patch; 0 if the corpus has none.
    pub fn patch_len(&self) -> usize {
        self.patch_len
    }

    fn too_small(&self, needed: u64) -> CorpusError {
        CorpusError::TooSmall {
            split: self.split.as_str().to_owned(),
            got: (self.n_tokens() + self.n_documents()) as u64,
            needed,
            remedy: "write a larger corpus, or take fewer or shorter texts in a batch",
        }
    }
}

/// How documents are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchesConfig {
    /// Texts in a batch.
    pub n_texts: usize,
    /// Tokens of a text, the model's context or less.
    pub n_positions: usize,
    /// Decides the order of documents.
    pub seed: u64,
}

/// Texts of one length, and what comes after each of their tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// What the model reads. `[text, position]`
    pub inputs: lm::Tokens,
    /// The token after each. \[text · position\]
    pub targets: Vec<u32>,
    /// How much it counts: 1, or 0 where it is a patch, which is not to be predicted. \[text · position\]
    pub weights: Vec<f32>,
    /// The text and the position of each input that is a patch, ascending.
    pub patch_places: Vec<(usize, usize)>,
    /// Their numbers. \[patch · `patch_len`\]
    pub patches: Vec<f32>,
}

/// Batches of a split without end.
///
/// In each epoch the documents are shuffled, a separator is put before each, and this stream is cut into
/// texts; a document may begin in one and end in the next, and a text may hold several. The last tokens
/// that fill no batch are left out of the epoch.
///
/// The target of a document's last token is the separator of the next, so that a model learns where
/// documents end; the target of a separator is the first token of its document: no target asks for one
/// document what only another tells. Attention is not cut between documents. Patches have weight 0.
///
/// Batch `step` is a function of text, config and step.
///
/// # Examples
///
/// ```
/// use corpus::{Batches, BatchesConfig, Split, Splits, TrainingText, Words, WorldCorpus, WorldTokenizer};
/// use store::{CorpusLayout, CorpusReader};
/// use world::{World, WorldConfig};
///
/// let folder = tempfile::tempdir()?;
/// let world = World::new(&WorldConfig::default())?;
/// let tokenizer = WorldTokenizer::Words(Words::all(&world));
/// let splits = Splits { dictionary: 0.0, test: 0.0, seed: 0 };
/// let corpus =
///     WorldCorpus { world: &world, tokenizer: &tokenizer, splits, first: 0, n_tokens: 1000 };
/// corpus::write_world(folder.path(), &corpus, CorpusLayout::DEFAULT, &mut |_| {})?;
///
/// let mut reader = CorpusReader::open(folder.path(), &corpus.info()?)?;
/// let text = TrainingText::load(&mut reader, Split::Train, tokenizer.end())?;
/// let config = BatchesConfig { n_texts: 4, n_positions: 32, seed: 1 };
/// let batch = Batches::new(&text, config)?.get(0)?;
/// assert_eq!((batch.inputs.n_texts(), batch.inputs.n_positions()), (4, 32));
/// // The first text begins with a separator, and targets are the inputs one further.
/// assert_eq!(batch.inputs.text(0)[0], tokenizer.end());
/// assert_eq!(batch.targets[..31], batch.inputs.text(0)[1..]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    text: &'a TrainingText,
    config: BatchesConfig,
    steps_per_epoch: u64,
    epoch: Epoch,
}

/// The order of documents in one epoch.
#[derive(Clone, Debug)]
struct Epoch {
    number: u64,
    order: Vec<usize>,
    /// Where documents begin in the stream, in this order, separators counted.
    starts: Vec<usize>,
}

impl<'a> Batches<'a> {
    /// Batches of these texts.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Range`] for no texts or no positions, [`CorpusError::TooSmall`] if there are not
    /// enough tokens for one batch.
    pub fn new(text: &'a TrainingText, config: BatchesConfig) -> Result<Self> {
        let settings = [("n_texts", config.n_texts), ("n_positions", config.n_positions)];
        if let Some((what, _)) = settings.into_iter().find(|(_, got)| *got == 0) {
            return Err(CorpusError::Range { what, got: 0.0, interval: "[1, ∞)" });
        }
        let n_tokens = config.n_texts.saturating_mul(config.n_positions);
        // One more than the inputs: the last target.
        let n_stream = text.n_tokens() + text.n_documents();
        let steps_per_epoch = (n_stream - 1) / n_tokens;
        if steps_per_epoch == 0 {
            return Err(text.too_small(n_tokens.saturating_add(1) as u64));
        }
        let steps_per_epoch = steps_per_epoch as u64;
        Ok(Self { text, config, steps_per_epoch, epoch: Epoch::new(text, config.seed, 0) })
    }

    /// Batches until every document was seen.
    pub const fn steps_per_epoch(&self) -> u64 {
        self.steps_per_epoch
    }

    /// The batch of a step. Steps of one epoch in a row are fastest.
    ///
    /// # Errors
    ///
    /// None for a step that memory can hold.
    pub fn get(&mut self, step: u64) -> Result<Batch> {
        let number = step / self.steps_per_epoch;
        if number != self.epoch.number {
            self.epoch = Epoch::new(self.text, self.config.seed, number);
        }
        let BatchesConfig { n_texts, n_positions, .. } = self.config;
        let n = n_texts * n_positions;
        // Below the length of the stream, which is a usize.
        let first = usize::try_from(step % self.steps_per_epoch).unwrap_or(0) * n;
        let mut stream = Vec::with_capacity(n + 1);
        let mut weights = Vec::with_capacity(n + 1);
        let (mut patch_places, mut patches) = (Vec::new(), Vec::new());
        let mut at = self.epoch.starts.partition_point(|start| *start <= first) - 1;
        let mut skip = first - self.epoch.starts[at];
        while stream.len() <= n {
            let document = self.epoch.order[at];
            let range = self.text.starts[document]..self.text.starts[document + 1];
            let (tokens, is_patch) = (&self.text.tokens[range.clone()], &self.text.is_patch[range]);
            let separator = [(self.text.separator, false)];
            let all =
                separator.into_iter().chain(tokens.iter().copied().zip(is_patch.iter().copied()));
            let mut patch = self.text.first_patches[document];
            for (place, (token, is_patch)) in all.enumerate() {
                if place >= skip && stream.len() <= n {
                    if is_patch && stream.len() < n {
                        let len = self.text.patch_len;
                        patch_places.push((stream.len() / n_positions, stream.len() % n_positions));
                        patches.extend(&self.text.patches[patch * len..(patch + 1) * len]);
                    }
                    stream.push(token);
                    weights.push(if is_patch { 0.0 } else { 1.0 });
                }
                patch += usize::from(is_patch);
            }
            skip = 0;
            at += 1;
        }
        let targets = stream[1..].to_vec();
        weights.remove(0);
        stream.truncate(n);
        let texts = stream.chunks(n_positions).map(<[u32]>::to_vec).collect();
        let inputs = lm::Tokens::new(texts)?;
        Ok(Batch { inputs, targets, weights, patch_places, patches })
    }
}

impl Epoch {
    fn new(text: &TrainingText, seed: u64, number: u64) -> Self {
        let mut order: Vec<usize> = (0..text.n_documents()).collect();
        Seed::new(seed).stream("corpus order", &number.to_string()).shuffle(&mut order);
        let mut starts = Vec::with_capacity(order.len());
        let mut start = 0;
        for document in &order {
            starts.push(start);
            start += text.starts[document + 1] - text.starts[*document] + 1;
        }
        Self { number, order, starts }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Documents of one to nine tokens, each token its own number; every third is a patch.
    fn text(n_documents: usize) -> TrainingText {
        let mut text = TrainingText {
            split: Split::Train,
            separator: 0,
            tokens: Vec::new(),
            is_patch: Vec::new(),
            starts: vec![0],
            first_patches: vec![0],
            patches: Vec::new(),
            patch_len: 2,
        };
        for document in 0..n_documents {
            for _ in 0..=document * 7 % 9 {
                let token = u32::try_from(text.tokens.len()).unwrap() + 1;
                let is_patch = token.is_multiple_of(3);
                text.tokens.push(token);
                text.is_patch.push(is_patch);
                if is_patch {
                    text.patches.extend([token as f32, token as f32 + 0.5]);
                }
            }
            text.starts.push(text.tokens.len());
            text.first_patches.push(text.patches.len() / 2);
        }
        text
    }

    const CONFIG: BatchesConfig = BatchesConfig { n_texts: 3, n_positions: 4, seed: 5 };

    fn inputs(batch: &Batch) -> Vec<u32> {
        (0..batch.inputs.n_texts()).flat_map(|at| batch.inputs.text(at).to_vec()).collect()
    }

    #[test]
    fn an_epoch_is_every_document_once_behind_a_separator() {
        let text = text(40);
        let mut batches = Batches::new(&text, CONFIG).unwrap();
        let n = batches.steps_per_epoch();
        let stream: Vec<u32> =
            (0..n).flat_map(|step| inputs(&batches.get(step).unwrap())).collect();
        let n_all = text.n_tokens() + text.n_documents();
        assert!(stream.len() < n_all && n_all - stream.len() <= 12);
        let mut seen = 0;
        for document in stream.split(|token| *token == 0).skip(1) {
            seen += 1;
            let start = usize::try_from(document[0]).unwrap() - 1;
            let at = text.starts.iter().position(|first| *first == start).unwrap();
            // The last one may be cut off by the end of the epoch.
            let whole = &text.tokens[start..text.starts[at + 1]];
            assert!(document == whole || seen + 2 >= text.n_documents(), "{document:?}");
        }
        let mut counts = BTreeMap::new();
        for token in &stream {
            *counts.entry(*token).or_insert(0) += 1;
        }
        assert!(counts.iter().all(|(token, count)| *token == 0 || *count == 1));
    }

    #[test]
    fn targets_come_one_later_and_are_never_patches() {
        let text = text(40);
        let mut batches = Batches::new(&text, CONFIG).unwrap();
        for step in 0..batches.steps_per_epoch() {
            let batch = batches.get(step).unwrap();
            let inputs = inputs(&batch);
            assert_eq!(inputs[1..], batch.targets[..inputs.len() - 1]);
            for (target, weight) in batch.targets.iter().zip(&batch.weights) {
                let is_patch = *target != 0 && target.is_multiple_of(3);
                assert_eq!(weight.to_bits(), if is_patch { 0.0 } else { 1.0_f32 }.to_bits());
            }
            let is_patch = |place: &usize| inputs[*place] != 0 && inputs[*place].is_multiple_of(3);
            let places: Vec<usize> = (0..inputs.len()).filter(is_patch).collect();
            let expected = places.iter().map(|place| (place / 4, place % 4));
            assert_eq!(batch.patch_places, expected.collect::<Vec<_>>());
            let numbers = places.iter().map(|place| inputs[*place] as f32);
            let numbers: Vec<f32> = numbers.flat_map(|number| [number, number + 0.5]).collect();
            assert_eq!(batch.patches, numbers);
        }
    }

    #[test]
    fn a_batch_is_a_function_of_seed_and_step() {
        let text = text(40);
        let mut batches = Batches::new(&text, CONFIG).unwrap();
        let n = batches.steps_per_epoch();
        let all: Vec<Batch> = (0..3 * n).map(|step| batches.get(step).unwrap()).collect();
        for step in [2 * n + 1, 0, n, 1] {
            let at = usize::try_from(step).unwrap();
            assert_eq!(Batches::new(&text, CONFIG).unwrap().get(step).unwrap(), all[at]);
            assert_eq!(batches.get(step).unwrap(), all[at]);
        }
        let n = usize::try_from(n).unwrap();
        assert_ne!(all[0], all[n]);
        let other = BatchesConfig { seed: 6, ..CONFIG };
        assert_ne!(Batches::new(&text, other).unwrap().get(0).unwrap(), all[0]);
    }

    #[test]
    fn too_few_tokens_are_an_error_and_just_enough_are_not() {
        let text = text(2);
        let n = text.n_tokens() + text.n_documents();
        let config = |n_positions| BatchesConfig { n_texts: 1, n_positions, seed: 0 };
        assert_eq!(Batches::new(&text, config(n - 1)).unwrap().steps_per_epoch(), 1);
        let error = Batches::new(&text, config(n)).unwrap_err().to_string();
        assert!(error.contains("\"train\"") && error.contains(&n.to_string()), "{error}");
        assert!(Batches::new(&text, config(0)).is_err());
    }
}
