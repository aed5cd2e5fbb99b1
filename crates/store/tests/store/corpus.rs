//! Documents come back with their tokens and labels, and only to a reader who says the same.

use std::path::Path;

use store::{
    ActivationReader, CorpusInfo, CorpusLayout, CorpusReader, CorpusWriter, Document, Error,
    LabelledDocument, Names,
};

use crate::files;

/// Five tokens a chunk, and shards that end with the document that reaches twelve.
const LAYOUT: CorpusLayout = CorpusLayout { chunk_tokens: 5, shard_tokens: 12 };

fn names(all: &str) -> Vec<String> {
    all.split_whitespace().map(str::to_owned).collect()
}

pub(crate) fn info() -> CorpusInfo {
    CorpusInfo {
        source_sha256: "d".repeat(64),
        tokenizer_sha256: "e".repeat(64),
        vocab_size: 50,
        patch_len: 3,
        names: Names {
            languages: names("en zürich"),
            modalities: names("text image"),
            roles: names("narration user assistant"),
            splits: names("train validation"),
            domains: names("prose geography code"),
            concepts: names("a b c d e f g"),
        },
    }
}

/// Document `at`: one to seven tokens, some with no concepts, some with several.
fn document(at: u64) -> LabelledDocument {
    let code = |n: u64| (at % n) as u8;
    let mut labelled = LabelledDocument::new(Document {
        id: at * 1000,
        group: at / 2,
        domain: code(3).into(),
        language: code(2),
        modality: code(2),
        split: u8::from(at % 5 == 4),
    });
    for token in 0..=(at * 5) % 7 {
        let (token, part) = ((at * 3 + token) as u32 % 50, token as u32 % 3);
        let concepts = [part, 3 + part, 6];
        let n = token as usize % 4;
        labelled.push(token, code(2), code(2), part as u8, &concepts[..n.min(3)]);
    }
    labelled.patches = (0..3 * (at % 3)).map(|number| (at + number) as f32 / 4.0).collect();
    labelled
}

pub(crate) fn write(folder: &Path, n: u64) {
    let mut writer = CorpusWriter::create(folder, &info(), LAYOUT).unwrap();
    (0..n).for_each(|at| writer.append(&document(at)).unwrap());
    assert_eq!(writer.n_documents(), n);
    writer.finish().unwrap();
}

#[test]
fn documents_are_read_as_they_were_written_in_any_order() {
    for n in [1, 3, 4, 20] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), n);
        let mut reader = CorpusReader::open(folder.path(), &info()).unwrap();
        let mut found = LabelledDocument::default();
        for at in (0..n).chain((0..n).rev()) {
            reader.read_document(at, &mut found).unwrap();
            assert_eq!(found, document(at));
        }
        let past = reader.read_document(n, &mut found);
        assert!(
            matches!(past, Err(Error::Shape { expected, got, .. }) if expected == n && got == n)
        );
    }
}

#[test]
fn entries_and_tokens_agree_with_the_documents() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 20);
    let mut reader = CorpusReader::open(folder.path(), &info()).unwrap();
    let all: Vec<u32> = (0..20).flat_map(|at| document(at).tokens).collect();
    assert_eq!((reader.n_documents(), reader.n_tokens()), (20, all.len() as u64));
    let mut found = Vec::new();
    let entries = reader.entries().unwrap();
    assert_eq!(entries.len(), 20);
    for (at, entry) in (0..).zip(&entries) {
        assert_eq!(entry.document, document(at).document);
        reader.read_tokens(entry.tokens.clone(), &mut found).unwrap();
        assert_eq!(found, document(at).tokens);
    }
    // Windows across documents, chunks and shards.
    for start in 0..all.len() {
        let end = all.len().min(start + 17);
        reader.read_tokens(start as u64..end as u64, &mut found).unwrap();
        assert_eq!(found, all[start..end]);
    }
    let past = reader.read_tokens(0..all.len() as u64 + 1, &mut found);
    assert!(matches!(past, Err(Error::Shape { .. })));
}

#[test]
fn a_corpus_describes_itself() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 6);
    let described = CorpusReader::describe(folder.path()).unwrap();
    let n_tokens: usize = (0..6).map(|at| document(at).tokens.len()).sum();
    assert_eq!((described.info, described.layout), (info(), LAYOUT));
    assert_eq!((described.n_documents, described.n_tokens), (6, n_tokens as u64));
    let other_kind = ActivationReader::describe(folder.path()).unwrap_err();
    assert!(matches!(other_kind, Error::Foreign { .. }));
}

#[test]
fn a_reader_with_another_setting_is_told_which() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 2);
    let refused = |change: &dyn Fn(&mut CorpusInfo)| {
        let mut other = info();
        change(&mut other);
        match CorpusReader::open(folder.path(), &other).unwrap_err() {
            Error::Mismatch { field, expected, found, .. } => {
                format!("{field}: {expected}, {found}")
            }
            other => panic!("{other}"),
        }
    };
    let (d, e, f) = ("d".repeat(64), "e".repeat(64), "f".repeat(64));
    let source = refused(&|it| it.source_sha256.clone_from(&f));
    assert_eq!(source, format!("source_sha256: {f}, {d}"));
    let tokenizer = refused(&|it| it.tokenizer_sha256.clone_from(&f));
    assert_eq!(tokenizer, format!("tokenizer_sha256: {f}, {e}"));
    assert_eq!(refused(&|it| it.vocab_size = 51), "vocab_size: 51, 50");
    assert_eq!(refused(&|it| it.patch_len = 0), "patch_len: 0, 3");
    let name = refused(&|it| it.names.concepts[2] = "x".to_owned());
    assert_eq!(name, "name 2 of concepts: x, c");
    let fewer = refused(&|it| it.names.roles.truncate(2));
    assert_eq!(fewer, "name 2 of roles: none, assistant");
}

#[test]
fn a_resumed_writer_makes_the_same_bytes() {
    let whole = tempfile::tempdir().unwrap();
    write(whole.path(), 20);
    for stop in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = CorpusWriter::create(folder.path(), &info(), LAYOUT).unwrap();
        (0..stop).for_each(|at| writer.append(&document(at)).unwrap());
        drop(writer);
        let mut writer = CorpusWriter::resume(folder.path(), &info(), LAYOUT).unwrap();
        let there = writer.n_documents();
        assert!(there <= stop);
        let n_tokens: usize = (0..there).map(|at| document(at).tokens.len()).sum();
        assert_eq!(writer.n_tokens(), n_tokens as u64);
        (there..20).for_each(|at| writer.append(&document(at)).unwrap());
        writer.finish().unwrap();
        assert!(files(folder.path()) == files(whole.path()), "stopped after {stop}");
    }
}

#[test]
fn documents_that_contradict_themselves_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = CorpusWriter::create(folder.path(), &info(), LAYOUT).unwrap();
    writer.append(&document(1)).unwrap();
    // Six tokens.
    let refused = |writer: &mut CorpusWriter, change: &dyn Fn(&mut LabelledDocument)| {
        let mut broken = document(1);
        change(&mut broken);
        match writer.append(&broken).unwrap_err() {
            Error::Setting { field, .. } => field,
            Error::Shape { what, .. } => what,
            other => panic!("{other}"),
        }
    };
    let writer = &mut writer;
    let empty = LabelledDocument::new(Document { id: 8, ..Document::default() });
    assert_eq!(refused(writer, &|it| it.clone_from(&empty)), "tokens of document 8");
    assert_eq!(refused(writer, &|it| it.languages.truncate(2)), "languages");
    assert_eq!(refused(writer, &|it| it.modalities.push(0)), "modalities");
    assert_eq!(refused(writer, &|it| it.roles.clear()), "roles");
    assert_eq!(refused(writer, &|it| it.indptr.truncate(6)), "indptr");
    assert_eq!(refused(writer, &|it| it.tokens[3] = 50), "token in document 1000");
    assert_eq!(refused(writer, &|it| it.languages[0] = 2), "language in document 1000");
    assert_eq!(refused(writer, &|it| it.modalities[0] = 2), "modality in document 1000");
    assert_eq!(refused(writer, &|it| it.roles[5] = 3), "role in document 1000");
    assert_eq!(refused(writer, &|it| it.indices[0] = 7), "concept in document 1000");
    assert_eq!(refused(writer, &|it| it.document.domain = 3), "domain in document 1000");
    assert_eq!(refused(writer, &|it| it.document.language = 2), "language in document 1000");
    assert_eq!(refused(writer, &|it| it.document.modality = 2), "modality in document 1000");
    assert_eq!(refused(writer, &|it| it.document.split = 2), "split in document 1000");
    assert_eq!(refused(writer, &|it| it.patches.truncate(2)), "patches of document 1000");
    assert_eq!(refused(writer, &|it| it.patches[1] = f32::NAN), "patches of document 1000");
    assert_eq!(refused(writer, &|it| it.indptr[0] = 1), "indptr of document 1000");
    assert_eq!(refused(writer, &|it| it.indptr[6] += 1), "indptr of document 1000");
    assert_eq!(refused(writer, &|it| it.indptr[2] = 100), "indptr of document 1000");
    let twice = refused(writer, &|it| {
        it.indices = vec![4, 4];
        it.indptr = vec![0, 0, 2, 2, 2, 2, 2];
    });
    assert_eq!(twice, "concepts of token 1 of document 1000");
    assert_eq!(writer.n_documents(), 1);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |change: &dyn Fn(&mut CorpusInfo, &mut CorpusLayout)| {
        let (mut info, mut layout) = (info(), LAYOUT);
        change(&mut info, &mut layout);
        match CorpusWriter::create(&folder.path().join("store"), &info, layout).err().unwrap() {
            Error::Setting { field, .. } => field,
            other => panic!("{other}"),
        }
    };
    assert_eq!(refused(&|it, _| it.source_sha256.clear()), "source_sha256");
    assert_eq!(refused(&|it, _| it.tokenizer_sha256.push('0')), "tokenizer_sha256");
    assert_eq!(refused(&|it, _| it.names.languages = vec!["en".to_owned(); 257]), "languages");
    assert_eq!(refused(&|it, _| it.names.splits.push("a\nb".to_owned())), "splits");
    assert_eq!(refused(&|it, _| it.names.concepts.push(String::new())), "concepts");
    assert_eq!(refused(&|it, _| it.patch_len = 1 << 17), "patch_len");
    assert_eq!(refused(&|_, it| it.chunk_tokens = 0), "chunk_tokens");
    assert_eq!(refused(&|_, it| it.shard_tokens = 0), "shard_tokens");
    assert!(!folder.path().join("store").exists());
}
