//! Every attribute of a store, one at a time: removed, changed, of another type.

use std::path::Path;

use hdf5::{File, Location};
use store::{ActivationReader, CorpusReader, Dtype};

use crate::{capture, corpus, write};

/// What is done to an attribute.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Remove,
    Text,
    Count,
    Number,
    List,
}

const HARMS: [Harm; 5] = [Harm::Remove, Harm::Text, Harm::Count, Harm::Number, Harm::List];

impl Harm {
    fn apply(self, at: &Location, name: &str) {
        at.delete_attr(name).unwrap();
        match self {
            Self::Remove => {}
            Self::Text => {
                let text: hdf5::types::FixedUnicode<128> = "other".parse().unwrap();
                let attribute = at.new_attr::<hdf5::types::FixedUnicode<128>>().create(name);
                attribute.unwrap().write_scalar(&text).unwrap();
            }
            Self::Count => {
                at.new_attr::<u64>().create(name).unwrap().write_scalar(&u64::MAX).unwrap();
            }
            Self::Number => {
                at.new_attr::<f64>().create(name).unwrap().write_scalar(&f64::NAN).unwrap();
            }
            Self::List => {
                at.new_attr::<u64>().shape(3).create(name).unwrap().write(&[1_u64, 2, 3]).unwrap();
            }
        }
    }
}

/// The names of the attributes of a file's root and of its data sets, each with the data set.
fn attributes(path: &Path) -> Vec<(Option<String>, String)> {
    let file = File::open(path).unwrap();
    let mut all: Vec<_> = file.attr_names().unwrap().into_iter().map(|name| (None, name)).collect();
    let groups = file.groups().unwrap().into_iter().chain([file.group("/").unwrap()]);
    for dataset in groups.flat_map(|group| group.datasets().unwrap()) {
        let names = dataset.attr_names().unwrap();
        all.extend(names.into_iter().map(|name| (Some(dataset.name()), name)));
    }
    all
}

/// Harms every attribute of the index and of a shard in every way, and counts them. What is told names the file, or,
/// where index and shards are compared, the attribute in which a file of the folder differs.
fn harmed(folder: &Path, read: impl Fn() -> store::Result<()>) -> usize {
    let mut n = 0;
    for name in ["index.h5", "shard-000001.h5"] {
        let path = folder.join(name);
        let whole = std::fs::read(&path).unwrap();
        for (dataset, attribute) in attributes(&path) {
            for harm in HARMS {
                let file = File::open_rw(&path).unwrap();
                match &dataset {
                    None => harm.apply(&file, &attribute),
                    Some(dataset) => harm.apply(&file.dataset(dataset).unwrap(), &attribute),
                }
                file.close().unwrap();
                let told = read().err().map(|error| error.to_string());
                let is_named = told.as_ref().is_some_and(|told| {
                    let is_of_folder = told.contains(&folder.display().to_string());
                    is_of_folder && (told.contains(name) || told.contains(&attribute))
                });
                assert!(is_named, "{harm:?} {attribute} of {dataset:?} in {name}: {told:?}");
                std::fs::write(&path, &whole).unwrap();
                n += 1;
            }
        }
    }
    read().unwrap();
    n
}

#[test]
fn every_attribute_of_activations_counts() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), Dtype::Bf16, 30);
    let n = harmed(folder.path(), || {
        ActivationReader::describe(folder.path())?;
        ActivationReader::open(folder.path(), &capture(Dtype::Bf16)).map(drop)
    });
    // Nine of the root in both files; the place of five data sets, type and normalization of two.
    assert_eq!(n, 5 * (9 + 9 + 5 + 2 * 2));
}

#[test]
fn every_attribute_of_a_corpus_counts() {
    let folder = tempfile::tempdir().unwrap();
    corpus::write(folder.path(), 20);
    let n = harmed(folder.path(), || CorpusReader::open(folder.path(), &corpus::info()).map(drop));
    // Eight of the root in both files; the place of each of the 21 data sets.
    assert_eq!(n, 5 * (8 + 8 + 21));
}
