//! Files to a corpus and on to batches.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::path::Path;

use corpus::{
    Batches, BatchesConfig, CorpusError, CrateFiles, CrateFolder, Split, Splits, TextCorpus,
    TextFiles, TrainingText, WorldTokenizer, write_texts,
};
use store::{CorpusLayout, CorpusReader, LabelledDocument};

const LAYOUT: CorpusLayout = CorpusLayout { chunk_tokens: 1000, shard_tokens: 10_000 };

fn bytes(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn files_become_a_corpus_that_resumes_and_trains() {
    let texts = tempfile::tempdir().unwrap();
    for at in 0..12_u32 {
        let text =
            format!("file {at} says: {}\n", "a rose is a rose, ".repeat(at as usize * 400 + 9));
        std::fs::write(texts.path().join(format!("{at:02}.txt")), text).unwrap();
    }
    let files = TextFiles::find(texts.path()).unwrap();
    let all = files.documents().map(|document| Ok(document?.text));
    let tokenizer = WorldTokenizer::train_bpe(all, 1.0, 300, 0).unwrap();
    let source = files.sha256().unwrap();
    let corpus = TextCorpus {
        source_sha256: &source,
        tokenizer: tokenizer.tokenizer().unwrap(),
        splits: Splits { dictionary: 0.2, test: 0.2, seed: 1 },
    };
    let whole = tempfile::tempdir().unwrap();
    let written =
        write_texts(whole.path(), &corpus, files.documents(), LAYOUT, &mut |_| {}).unwrap();
    // Two files are longer than a part.
    assert_eq!(written.n_documents, 14);

    let folder = tempfile::tempdir().unwrap();
    let stopped =
        files.documents().take(9).chain([Err(CorpusError::EmptyFile { path: "x".into() })]);
    assert!(write_texts(folder.path(), &corpus, stopped, LAYOUT, &mut |_| {}).is_err());
    write_texts(folder.path(), &corpus, files.documents(), LAYOUT, &mut |_| {}).unwrap();
    assert!(bytes(folder.path()) == bytes(whole.path()));

    let mut reader = CorpusReader::open(whole.path(), &corpus.info().unwrap()).unwrap();
    let (mut document, mut text) = (LabelledDocument::default(), String::new());
    for at in 0..reader.n_documents() {
        reader.read_document(at, &mut document).unwrap();
        text += &tokenizer.tokenizer().unwrap().decode(&document.tokens).unwrap();
    }
    let expected: String = files.documents().map(|document| document.unwrap().text).collect();
    assert!(text == expected);
    let train = TrainingText::load(&mut reader, Split::Train, tokenizer.end()).unwrap();
    let config = BatchesConfig { n_texts: 2, n_positions: 8, seed: 0 };
    let batch = Batches::new(&train, config).unwrap().get(3).unwrap();
    assert!(batch.weights.iter().all(|weight| *weight > 0.5) && batch.patches.is_empty());
}

#[test]
fn a_document_without_a_token_is_named() {
    let texts = tempfile::tempdir().unwrap();
    let path = texts.path().join("a.txt");
    std::fs::write(&path, "text").unwrap();
    let files = TextFiles::find(&path).unwrap();
    // A tokenizer whose normalizer removes every letter.
    let json = br#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "Replace", "pattern": {"Regex": "[a-z]"}, "content": ""},
        "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"x": 0}, "unk_token": "x"}}"#;
    let tokenizer = lm::Tokenizer::from_json("tokenizer.json", json).unwrap();
    let source = files.sha256().unwrap();
    let splits = Splits { dictionary: 0.0, test: 0.0, seed: 0 };
    let corpus = TextCorpus { source_sha256: &source, tokenizer: &tokenizer, splits };
    let folder = tempfile::tempdir().unwrap();
    let error = write_texts(folder.path(), &corpus, files.documents(), LAYOUT, &mut |_| {});
    let error = error.unwrap_err().to_string();
    assert!(error.contains("a.txt") && error.contains("token"), "{error}");
}

/// The sources of this project's own dependencies, a few of them.
#[test]
fn sources_of_the_dependencies_are_text() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = manifest::dependencies(&root).unwrap();
    let few = found.into_iter().filter(|it| ["libm", "thiserror"].contains(&it.name.as_str()));
    let few: Vec<CrateFolder> = few
        .map(|manifest::Dependency { name, version, checksum, folder }| CrateFolder {
            name,
            version,
            checksum,
            folder,
        })
        .collect();
    let files = CrateFiles::of(few).unwrap();
    let documents: Vec<_> = files.documents().map(|document| document.unwrap()).collect();
    assert!(documents.len() > 20);
    let of = |suffix: &str| {
        let paths = documents.iter().map(|document| document.path.extension());
        paths.filter(|found| found.is_some_and(|found| found == suffix)).count()
    };
    assert_eq!(of("rs") + of("md"), documents.len());
    assert!(of("rs") > 0 && of("md") > 0);
}

/// A file of the data manifests, where it is at hand.
#[test]
fn a_listed_data_set_is_read_where_it_lies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let name = "tinyshakespeare/input.txt";
    let store = manifest::Store::from_env(&root).unwrap();
    let (row, found) = (store.manifests()["tinyshakespeare"].files[0].size, store.locate(name));
    match found {
        Ok(located) => {
            let files = TextFiles::of(vec![located.path]).unwrap();
            assert_eq!(files.n_bytes(), row.limit());
            let documents: Vec<_> = files.documents().map(|document| document.unwrap()).collect();
            assert!(documents[0].text.starts_with("First Citizen:\n"));
            let n_bytes: usize = documents.iter().map(|document| document.text.len()).sum();
            assert_eq!(n_bytes as u64, row.limit());
            assert!(documents.iter().rev().skip(1).all(|document| document.text.ends_with('\n')));
        }
        Err(error) => assert!(matches!(error, manifest::Error::Missing { .. }), "{error}"),
    }
}
