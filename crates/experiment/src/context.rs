use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, bail, ensure};
use manifest::Store;
use rayon::prelude::*;
use record::{Artefact, Artefacts, InputHash, Parts};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The artefacts that an experiment makes, and those of the experiments it needs.
pub(crate) struct Shelf {
    pub(crate) own: Artefacts,
    pub(crate) needed: BTreeMap<String, (Artefacts, Vec<Artefact>)>,
}

/// What the frame lends to `compute`: its data, artefacts, what a killed run had done, and a way to tell how far it is.
pub struct Context<'a> {
    store: &'a Store,
    parts: Parts,
    shelf: Shelf,
    made: Mutex<BTreeMap<String, Artefact>>,
    inputs: BTreeMap<String, Option<String>>,
    told: Mutex<usize>,
    tell: &'a (dyn Fn(usize, usize) + Sync),
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        store: &'a Store,
        parts: Parts,
        shelf: Shelf,
        inputs: &[InputHash],
        tell: &'a (dyn Fn(usize, usize) + Sync),
    ) -> Self {
        let inputs = inputs.iter().map(|input| (input.name.clone(), input.sha256.clone()));
        Self {
            store,
            parts,
            shelf,
            made: Mutex::new(BTreeMap::new()),
            inputs: inputs.collect(),
            told: Mutex::new(0),
            tell,
        }
    }

    /// The artefacts that were made, by name.
    pub(crate) fn made(self) -> Vec<Artefact> {
        self.made.into_inner().unwrap_or_default().into_values().collect()
    }

    /// The verified content of a data file; none if it is missing, which only happens for inputs that
    /// name the outputs to be skipped without them.
    ///
    /// # Errors
    /// A file that was not declared by `inputs`, or that changed since it was verified.
    pub fn read(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        match self.inputs.get(name) {
            None => bail!("{name} is not among the declared inputs; add it to `inputs`"),
            Some(None) => Ok(None),
            Some(Some(expected)) => {
                let content = self.store.read(name)?;
                let got = manifest::sha256(&content);
                ensure!(got == *expected, "{name} changed while the experiment ran; run it again");
                Ok(Some(content))
            }
        }
    }

    /// The folder that holds these files of a data set, verified, for what is read as a folder, such as a language
    /// model; none if one is missing.
    ///
    /// # Errors
    /// A file that was not declared by `inputs` or that changed since it was verified; files that are packed or lie in
    /// several folders.
    pub fn folder(&self, set: &str, files: &[&str]) -> anyhow::Result<Option<PathBuf>> {
        let mut folders = BTreeSet::new();
        for file in files {
            let name = format!("{set}/{file}");
            match self.inputs.get(&name) {
                None => bail!("{name} is not among the declared inputs; add it to `inputs`"),
                Some(None) => return Ok(None),
                Some(Some(expected)) => {
                    let located = self.store.locate(&name)?;
                    let is_same = located.sha256 == *expected && located.path.ends_with(file);
                    ensure!(is_same, "{name} changed while the experiment ran; run it again");
                    let mut folder = located.path;
                    for _ in Path::new(file).components() {
                        folder.pop();
                    }
                    folders.insert(folder);
                }
            }
        }
        ensure!(
            folders.len() == 1,
            "{set} must lie in one folder, and its files lie in {folders:?}; run `just data {set}`"
        );
        Ok(folders.pop_first())
    }

    /// A folder for other experiments, such as a trained model: made once under the same code, config and data, and
    /// found again by a run that follows a killed one.
    ///
    /// `make` fills a folder, in which it finds whatever a killed run had written there: a training may go on from its
    /// checkpoint.
    ///
    /// # Errors
    /// What `make` says; a name that is no name of a folder; a folder that cannot be written.
    pub fn artefact(
        &self,
        name: &str,
        make: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<PathBuf> {
        let artefact = self.shelf.own.make(name, make)?;
        if let Ok(mut made) = self.made.lock() {
            made.insert(name.to_owned(), artefact);
        }
        Ok(self.shelf.own.place(name))
    }

    /// The folder that an experiment among `needs` made under a name; its content is compared with the record.
    ///
    /// # Errors
    /// An experiment that is not among `needs`, a name that it did not make, a folder that is missing or was changed.
    pub fn needed(&self, id: &str, name: &str) -> anyhow::Result<PathBuf> {
        let needed = self.shelf.needed.get(id);
        let (folder, made) =
            needed.with_context(|| format!("{id} is not among the declared needs"))?;
        let artefact = made.iter().find(|artefact| artefact.name == name);
        let artefact = artefact.with_context(|| {
            let names: Vec<_> = made.iter().map(|artefact| artefact.name.as_str()).collect();
            format!("{id} makes no artefact {name}, but {}", names.join(", "))
        })?;
        folder.find(artefact).with_context(|| format!("run `just run {id}`, which makes it again"))
    }

    /// A part of a long computation that a killed run need not repeat: computed once under the same code,
    /// config and data, and read back to the last bit by a run that follows. May be called from any thread,
    /// with a name for each part.
    ///
    /// # Errors
    /// What `compute` says; a part that cannot be written, or that JSON cannot say.
    pub fn part<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        compute: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        if let Some(part) = self.parts.get(name) {
            return Ok(part);
        }
        let part = compute()?;
        self.parts.keep(name, &part)?;
        Ok(part)
    }

    /// Parts that are computed in parallel, each as [`Context::part`], in the order of `units`; each is a step of
    /// as many as there are units.
    ///
    /// # Errors
    /// The first error of a part, in the order of `units`.
    pub fn parts<U: Sync, T: Serialize + DeserializeOwned + Send>(
        &self,
        units: &[U],
        name: impl Fn(&U) -> String + Sync,
        compute: impl Fn(&U) -> anyhow::Result<T> + Sync,
    ) -> anyhow::Result<Vec<T>> {
        let parts = units.par_iter().map(|unit| {
            let name = name(unit);
            let part = self.part(&name, || compute(unit).with_context(|| name.clone()));
            self.step(units.len());
            part
        });
        // All are computed before the first error counts, whatever the threads.
        parts.collect::<Vec<_>>().into_iter().collect()
    }

    /// Tells that one more of `total` equal steps is done. May be called from any thread.
    pub fn step(&self, total: usize) {
        // A poisoned counter means that another thread panicked; that panic is what will be reported.
        if let Ok(mut done) = self.told.lock() {
            *done += 1;
            (self.tell)(*done, total);
        }
    }
}
