//! Stores of activations and of corpora: a damaged file gives an error or the right rows.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use store::{
    ActivationReader, ActivationWriter, BosRule, Capture, CorpusInfo, CorpusLayout, CorpusReader,
    CorpusWriter, Document, Dtype, Hook, LabelledDocument, Names, NewRows, NonFinite,
    Normalization, RowLayout, Rows,
};

use crate::damage::Form;
use crate::data::accepted;
use crate::parser::{Parser, folder};

pub(crate) fn parsers() -> Vec<Parser> {
    let mut all = Vec::new();
    for file in ["index.h5", "shard-000000.h5", "shard-000002.h5"] {
        let folder = folder();
        write_rows(folder.path());
        let right = read_rows(folder.path()).unwrap();
        let (name, files) = (format!("activations: {file}"), files(folder.path(), file));
        all.push(Parser::in_folder(&name, Form::Bytes, files, (folder, file), move |folder| {
            let rows = accepted!(read_rows(folder));
            prop_assert_eq!(&rows, &right);
            Ok(Ok(()))
        }));
        let folder = self::folder();
        write_corpus(folder.path());
        let right = read_corpus(folder.path()).unwrap();
        let (name, files) = (format!("corpora: {file}"), self::files(folder.path(), file));
        all.push(Parser::in_folder(&name, Form::Bytes, files, (folder, file), move |folder| {
            let documents = accepted!(read_corpus(folder));
            prop_assert_eq!(&documents, &right);
            Ok(Ok(()))
        }));
    }
    all
}

/// The one file that is right in its place.
fn files(folder: &Path, file: &str) -> Vec<Vec<u8>> {
    vec![fs::read(folder.join(file)).unwrap()]
}

fn capture() -> Capture {
    let hook =
        |name: &str, width, normalization| Hook { name: name.to_owned(), width, normalization };
    Capture {
        model_sha256: "a".repeat(64),
        tokenizer_sha256: "b".repeat(64),
        text_sha256: "c".repeat(64),
        bos: BosRule::EachSequence { token: 1 },
        dtype: Dtype::F16,
        hooks: vec![
            hook("blocks.0.resid_post", 3, Normalization::Raw),
            hook("blocks.1.resid_post", 2, Normalization::Scaled { scale: 0.5 }),
        ],
    }
}

/// Thirty rows: shards of 12, 12 and 6.
fn write_rows(folder: &Path) {
    let layout = RowLayout { chunk_rows: 4, shard_chunks: 3 };
    let mut writer =
        ActivationWriter::create(folder, &capture(), layout, NonFinite::Refuse).unwrap();
    let numbers: Vec<f32> = (0_u8..90).map(f32::from).collect();
    let tokens: Vec<u32> = (0..30).map(|row| if row % 5 == 0 { 1 } else { 2 + row }).collect();
    let positions: Vec<u32> = (0..30).map(|row| row % 5).collect();
    let documents: Vec<u64> = (0..30).map(|row| row / 10).collect();
    let hooks: [&[f32]; 2] = [&numbers, &numbers[..60]];
    let rows =
        NewRows { tokens: &tokens, positions: &positions, documents: &documents, hooks: &hooks };
    writer.append(rows).unwrap();
    writer.finish().unwrap();
}

fn read_rows(folder: &Path) -> store::Result<Rows> {
    ActivationReader::describe(folder)?;
    let reader = ActivationReader::open(folder, &capture())?;
    let mut rows = Rows::default();
    reader.read(0..reader.n_rows(), &mut rows)?;
    Ok(rows)
}

fn info() -> CorpusInfo {
    let names = |all: &str| all.split_whitespace().map(str::to_owned).collect();
    CorpusInfo {
        source_sha256: "d".repeat(64),
        tokenizer_sha256: "e".repeat(64),
        vocab_size: 50,
        patch_len: 2,
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

/// Six documents of six tokens, in three shards.
fn write_corpus(folder: &Path) {
    let layout = CorpusLayout { chunk_tokens: 5, shard_tokens: 12 };
    let mut writer = CorpusWriter::create(folder, &info(), layout).unwrap();
    for id in 0..6 {
        let mut document = LabelledDocument::new(Document { id, ..Document::default() });
        document.patches = vec![0.25, 0.5, 0.75, 1.0];
        for token in 0..6 {
            document.push(token * 7, 1, 0, 2, &[0, 3, 6][..token as usize % 4]);
        }
        writer.append(&document).unwrap();
    }
    writer.finish().unwrap();
}

fn read_corpus(folder: &Path) -> store::Result<Vec<LabelledDocument>> {
    let mut reader = CorpusReader::open(folder, &info())?;
    let documents = (0..reader.n_documents()).map(|at| {
        let mut document = LabelledDocument::default();
        reader.read_document(at, &mut document).map(|()| document)
    });
    documents.collect()
}
