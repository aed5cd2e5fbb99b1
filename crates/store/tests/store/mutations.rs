//! A store with changed bytes gives an error or the right rows.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use store::{ActivationReader, CorpusReader, Dtype, LabelledDocument, Result, Rows};
use tempfile::TempDir;

use crate::{NamedBytes, capture, corpus, files, write};

/// A store in memory: its files, and what a reader finds in them.
type Store<T> = LazyLock<(Vec<NamedBytes>, T)>;

static ACTIVATIONS: Store<Rows> =
    LazyLock::new(|| keep(|folder| write(folder, Dtype::F16, 17), read_activations));
static CORPUS: Store<Vec<LabelledDocument>> =
    LazyLock::new(|| keep(|folder| corpus::write(folder, 6), read_corpus));

fn keep<T>(write: impl Fn(&Path), read: impl Fn(&Path) -> Result<T>) -> (Vec<NamedBytes>, T) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let found = read(folder.path()).unwrap();
    (files(folder.path()).into_iter().filter(|file| file.0 != "writer.lock").collect(), found)
}

fn read_activations(folder: &Path) -> Result<Rows> {
    let reader = ActivationReader::open(folder, &capture(Dtype::F16))?;
    let mut rows = Rows::default();
    reader.read(0..reader.n_rows(), &mut rows)?;
    Ok(rows)
}

fn read_corpus(folder: &Path) -> Result<Vec<LabelledDocument>> {
    let mut reader = CorpusReader::open(folder, &corpus::info())?;
    let documents = (0..reader.n_documents()).map(|at| {
        let mut document = LabelledDocument::default();
        reader.read_document(at, &mut document).map(|()| document)
    });
    documents.collect()
}

/// What happens to a file: bytes are changed, and it may be cut off.
#[derive(Debug)]
struct Mutation {
    file: Index,
    changes: Vec<(Index, u8)>,
    keep: Option<Index>,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let changes = prop::collection::vec((any::<Index>(), 1_u8..), 0..8);
    let keep = prop::option::weighted(0.2, any::<Index>());
    (any::<Index>(), changes, keep).prop_map(|(file, changes, keep)| Mutation {
        file,
        changes,
        keep,
    })
}

/// A folder with the files of a store, one of them changed.
fn mutated(all: &[NamedBytes], mutation: &Mutation) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let changed = mutation.file.index(all.len());
    for (at, (name, bytes)) in all.iter().enumerate() {
        let mut bytes = bytes.clone();
        if at == changed {
            for (at, change) in &mutation.changes {
                let at = at.index(bytes.len());
                bytes[at] ^= change;
            }
            if let Some(keep) = mutation.keep {
                bytes.truncate(keep.index(bytes.len()));
            }
        }
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn changed_activations_give_an_error_or_the_right_rows(mutation in mutation()) {
        let (all, right) = &*ACTIVATIONS;
        if let Ok(found) = read_activations(mutated(all, &mutation).path()) {
            prop_assert_eq!(&found, right);
        }
    }

    #[test]
    fn a_changed_corpus_gives_an_error_or_the_right_documents(mutation in mutation()) {
        let (all, right) = &*CORPUS;
        if let Ok(found) = read_corpus(mutated(all, &mutation).path()) {
            prop_assert_eq!(&found, right);
        }
    }
}
