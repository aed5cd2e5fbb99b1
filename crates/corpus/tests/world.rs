//! Documents of the world as tokens: labels carried over, splits, resumption, training text.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

use corpus::{
    Batches, BatchesConfig, CorpusError, Split, Splits, TrainingText, Words, WorldCorpus,
    WorldTokenizer, write_world,
};
use lm::Tokenizer;
use proptest::prelude::*;
use store::{CorpusLayout, CorpusReader, LabelledDocument};
use world::{Document, Domain, World, WorldConfig};

static WORLD: LazyLock<World> = LazyLock::new(|| World::new(&WorldConfig::default()).unwrap());
static BPE: LazyLock<WorldTokenizer> = LazyLock::new(|| bpe(0, 600));

fn bpe(seed: u64, vocab_size: usize) -> WorldTokenizer {
    let texts = WORLD.documents(0..400).map(|document| Ok(document.text().to_owned()));
    WorldTokenizer::train_bpe(texts, 0.5, vocab_size, seed).unwrap()
}

fn document(index: u64) -> Document {
    WORLD.documents(index..index + 1).next().unwrap()
}

/// The bytes that carry each concept, by the pieces of the document.
fn labeled_bytes(document: &Document) -> BTreeMap<u32, BTreeSet<usize>> {
    let mut bytes: BTreeMap<u32, BTreeSet<usize>> = BTreeMap::new();
    for (at, piece) in document.pieces().iter().enumerate() {
        for concept in document.labels(at) {
            let span = piece.start as usize..piece.end as usize;
            bytes.entry(concept.0.into()).or_default().extend(span);
        }
    }
    bytes
}

/// Every labeled byte is in a token that carries the label, and every token that carries it has one.
fn check_labels(document: &Document, spans: &[Range<usize>], labels: &[Vec<u32>]) {
    let expected = labeled_bytes(document);
    let mut covered: BTreeMap<u32, BTreeSet<usize>> = BTreeMap::new();
    for (span, labels) in spans.iter().zip(labels) {
        for concept in labels {
            let bytes = span.clone().filter(|byte| expected[concept].contains(byte));
            let before = covered.entry(*concept).or_default();
            let bytes: Vec<usize> = bytes.collect();
            assert!(!bytes.is_empty(), "a token without a byte of {concept} carries it");
            before.extend(bytes);
        }
    }
    assert_eq!(covered, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any cut of a text into tokens that leaves no byte out.
    #[test]
    fn labels_carry_over_to_any_tokens(
        index in 0_u64..100_000,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let document = document(index);
        let mut ends: Vec<usize> =
            cuts.iter().map(|cut| cut.index(document.text().len() + 1)).collect();
        ends.extend([0, document.text().len()]);
        ends.sort_unstable();
        let spans: Vec<_> = ends.windows(2).map(|ends| ends[0]..ends[1]).collect();
        let labels = spans.iter().map(|span| {
            let mut labels = Vec::new();
            document.labels_of_span(span.start, span.end, &mut labels);
            labels.iter().map(|concept| u32::from(concept.0)).collect()
        });
        let labels: Vec<Vec<u32>> = labels.collect();
        check_labels(&document, &spans, &labels);
    }

    #[test]
    fn labels_carry_over_to_byte_pairs_and_to_words(index in 0_u64..100_000) {
        let document = document(index);
        for tokenizer in [&*BPE, &WorldTokenizer::Words(Words::all(&WORLD))] {
            let tokens = tokenizer.tokens(&document).unwrap();
            let mut labeled = LabelledDocument::default();
            tokenizer.label(&document, Split::Test, &mut labeled).unwrap();
            let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
            prop_assert_eq!(&labeled.tokens, &ids);
            let spans: Vec<_> = tokens.into_iter().map(|token| token.span).collect();
            let labels: Vec<_> = (0..ids.len()).map(|at| labeled.concepts(at).to_vec()).collect();
            check_labels(&document, &spans, &labels);
            let is_image = |at: &usize| labeled.modalities[*at] == 1;
            let image = (0..ids.len()).filter(is_image).count();
            prop_assert_eq!(image, document.patches().len());
            prop_assert_eq!(labeled.patches.len(), 16 * image);
        }
    }

    /// The text of a document gives its tokens back, and so does any part that its words end.
    #[test]
    fn words_of_a_text_are_found_again(index in 0_u64..100_000) {
        let document = document(index);
        let words = Words::all(&WORLD);
        let tokens = words.tokens(&document).unwrap();
        prop_assert_eq!(words.decode(&WORLD, &tokens).unwrap(), document.text());
        let found = words.encode(&WORLD, document.text()).unwrap();
        prop_assert_eq!(words.decode(&WORLD, &found).unwrap(), document.text());
    }
}

#[test]
fn a_tokenizer_is_a_function_of_texts_size_and_seed_and_can_be_saved() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(bpe(0, 600).sha256(), BPE.sha256());
    assert_ne!(bpe(1, 600).sha256(), BPE.sha256());
    assert_eq!(bpe(0, 500).vocab_size(), 500);
    BPE.tokenizer().unwrap().save(folder.path()).unwrap();
    let loaded = WorldTokenizer::bpe(Tokenizer::load(folder.path()).unwrap()).unwrap();
    assert_eq!((loaded.sha256(), loaded.end()), (BPE.sha256(), BPE.end()));
    for index in 0..40 {
        let document = document(index);
        assert_eq!(loaded.tokens(&document).unwrap(), BPE.tokens(&document).unwrap());
    }
    let other = Tokenizer::train(&["a a"], 257, &["<|end|>"]).unwrap();
    assert!(matches!(WorldTokenizer::bpe(other), Err(CorpusError::Unknown { .. })));
    let texts = || [Ok("a".to_owned())].into_iter();
    assert!(WorldTokenizer::train_bpe(texts(), 1.5, 600, 0).is_err());
    assert!(WorldTokenizer::train_bpe(texts(), 0.0, 600, 0).is_err());
}

#[test]
fn words_that_were_not_seen_are_an_error_and_those_that_were_are_few() {
    let words = Words::seen(&WORLD, 0..3);
    assert!(words.vocab_size() < Words::all(&WORLD).vocab_size() / 4);
    (0..3).for_each(|index| assert!(words.tokens(&document(index)).is_ok()));
    let error = (3..1000).find_map(|index| words.tokens(&document(index)).err()).unwrap();
    assert!(error.to_string().contains("Words::seen"), "{error}");
    assert!(words.decode(&WORLD, &[words.vocab_size()]).is_err());
    assert!(words.encode(&WORLD, "no\u{7f}word").is_err());
    assert_ne!(words.sha256(), Words::all(&WORLD).sha256());
}

const SPLITS: Splits = Splits { dictionary: 0.3, test: 0.2, seed: 9 };
const LAYOUT: CorpusLayout = CorpusLayout { chunk_tokens: 100, shard_tokens: 1000 };

fn corpus(tokenizer: &WorldTokenizer) -> WorldCorpus<'_> {
    WorldCorpus { world: &WORLD, tokenizer, splits: SPLITS, first: 50, n_tokens: 6000 }
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = entries
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_corpus_is_what_the_world_says() {
    for tokenizer in [&*BPE, &WorldTokenizer::Words(Words::all(&WORLD))] {
        let folder = tempfile::tempdir().unwrap();
        let corpus = corpus(tokenizer);
        let mut last = None;
        let written =
            write_world(folder.path(), &corpus, LAYOUT, &mut |progress| last = Some(progress))
                .unwrap();
        assert_eq!(last, Some(written));
        let mut reader = CorpusReader::open(folder.path(), &corpus.info().unwrap()).unwrap();
        assert_eq!(reader.n_documents(), written.n_documents);
        let names = reader.info().names.clone();
        assert_eq!(names.roles[15], "patch");
        assert_eq!(names.domains[9], "images");
        let (mut found, mut expected) = Default::default();
        let mut n_tokens = 0;
        for at in 0..reader.n_documents() {
            assert!(n_tokens < 6000);
            reader.read_document(at, &mut found).unwrap();
            let document = document(50 + at);
            tokenizer.label(&document, SPLITS.of(50 + at), &mut expected).unwrap();
            assert_eq!(found, expected);
            let is_image = document.domain() == Domain::Images;
            assert_eq!(found.patches.is_empty(), !is_image);
            assert_eq!(names.domains[usize::from(found.document.domain)] == "images", is_image);
            n_tokens += found.tokens.len() as u64;
        }
        assert!(n_tokens >= 6000 && n_tokens == written.n_tokens);
    }
}

#[test]
fn a_corpus_whose_writer_stopped_goes_on_to_the_same_bytes() {
    let whole = tempfile::tempdir().unwrap();
    let corpus = corpus(&BPE);
    write_world(whole.path(), &corpus, LAYOUT, &mut |_| {}).unwrap();
    for stop in [1, 2500, 5900] {
        let folder = tempfile::tempdir().unwrap();
        let stopped = std::panic::catch_unwind(|| {
            let stop =
                |progress: corpus::Written| assert!(progress.n_tokens < stop, "stopped here");
            write_world(folder.path(), &corpus, LAYOUT, &mut { stop })
        });
        assert!(stopped.is_err());
        write_world(folder.path(), &corpus, LAYOUT, &mut |_| {}).unwrap();
        assert!(files(folder.path()) == files(whole.path()), "stopped at {stop}");
    }
    let again = write_world(whole.path(), &corpus, LAYOUT, &mut |_| {});
    assert!(matches!(again, Err(CorpusError::Store(store::Error::Finished { .. }))));
    let none = WorldCorpus { n_tokens: 0, ..corpus };
    assert!(matches!(none.info(), Err(CorpusError::Range { .. })));
}

#[test]
fn splits_share_no_document_and_training_sees_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = WorldTokenizer::Words(Words::all(&WORLD));
    let corpus = corpus(&tokenizer);
    write_world(folder.path(), &corpus, LAYOUT, &mut |_| {}).unwrap();
    let mut reader = CorpusReader::open(folder.path(), &corpus.info().unwrap()).unwrap();
    let mut n_documents = 0;
    for split in Split::ALL {
        let text = TrainingText::load(&mut reader, split, tokenizer.end()).unwrap();
        let own: Vec<u64> =
            (50..50 + reader.n_documents()).filter(|index| SPLITS.of(*index) == split).collect();
        assert_eq!(text.n_documents(), own.len());
        n_documents += own.len();
        let config = BatchesConfig { n_texts: 2, n_positions: 16, seed: 3 };
        let mut batches = Batches::new(&text, config).unwrap();
        let texts: BTreeSet<String> =
            own.iter().map(|index| document(*index).text().to_owned()).collect();
        let words = Words::all(&WORLD);
        let mut stream = Vec::new();
        for step in 0..batches.steps_per_epoch() {
            let batch = batches.get(step).unwrap();
            assert_eq!(batch.patches.len(), 16 * batch.patch_places.len());
            (0..2).for_each(|at| stream.extend_from_slice(batch.inputs.text(at)));
        }
        let mut whole = stream.split(|token| *token == tokenizer.end()).skip(1).collect::<Vec<_>>();
        whole.pop();
        assert!(whole.len() + 3 >= own.len());
        for tokens in whole {
            assert!(texts.contains(&words.decode(&WORLD, tokens).unwrap()));
        }
    }
    assert_eq!(n_documents as u64, reader.n_documents());
    let error = TrainingText::load(&mut reader, Split::Train, tokenizer.vocab_size());
    assert!(matches!(error, Err(CorpusError::Range { .. })));
}
