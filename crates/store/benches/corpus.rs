//! Writing and reading a corpus with labels: tokens a second on one thread.

#![allow(clippy::unwrap_used, reason = "a bench stops at what it did not expect")]
#![allow(clippy::cast_possible_truncation, reason = "numbers of the bench are small")]

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use seed::Seed;
use store::{
    CorpusInfo, CorpusLayout, CorpusReader, CorpusWriter, Document, LabelledDocument, Names,
};

const N_DOCUMENTS: u64 = 8000;
const N_TOKENS: usize = 250;
const N_CONCEPTS: usize = 4000;

fn info() -> CorpusInfo {
    let names = |n: usize| (0..n).map(|at| format!("name {at}")).collect();
    CorpusInfo {
        source_sha256: "d".repeat(64),
        tokenizer_sha256: "e".repeat(64),
        vocab_size: 2048,
        patch_len: 0,
        names: Names {
            languages: names(4),
            modalities: names(2),
            roles: names(4),
            splits: names(2),
            domains: names(10),
            concepts: names(N_CONCEPTS),
        },
    }
}

/// A document whose tokens have none to five concepts.
fn document() -> LabelledDocument {
    let mut rng = Seed::new(1).stream("store", "bench");
    let mut document = LabelledDocument::new(Document::default());
    for _ in 0..N_TOKENS {
        let mut concepts: Vec<_> =
            (0..rng.below(6)).map(|_| rng.below(N_CONCEPTS) as u32).collect();
        concepts.sort_unstable();
        concepts.dedup();
        document.push(rng.below(2048) as u32, 1, 0, 2, &concepts);
    }
    document
}

fn write(folder: &Path, document: &LabelledDocument) {
    let mut writer = CorpusWriter::create(folder, &info(), CorpusLayout::DEFAULT).unwrap();
    for _ in 0..N_DOCUMENTS {
        writer.append(document).unwrap();
    }
    writer.finish().unwrap();
}

fn corpus(criterion: &mut Criterion) {
    let document = document();
    let mut group = criterion.benchmark_group("a corpus of 2 million tokens");
    group.throughput(Throughput::Elements(N_DOCUMENTS * N_TOKENS as u64)).sample_size(10);
    group.bench_function("write", |bencher| {
        bencher.iter(|| write(tempfile::tempdir().unwrap().path(), &document));
    });
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &document);
    let mut reader = CorpusReader::open(folder.path(), &info()).unwrap();
    group.bench_function("read with labels", |bencher| {
        let mut found = LabelledDocument::default();
        bencher.iter(|| {
            for document_idx in 0..N_DOCUMENTS {
                reader.read_document(document_idx, &mut found).unwrap();
                black_box(&found);
            }
        });
    });
    group.bench_function("read tokens", |bencher| {
        let mut found = Vec::new();
        bencher.iter(|| reader.read_tokens(0..reader.n_tokens(), black_box(&mut found)).unwrap());
    });
    group.finish();
}

criterion_group!(benches, corpus);
criterion_main!(benches);
