use std::collections::BTreeMap;
use std::sync::Mutex;

use anyhow::{Context as _, bail, ensure};
use manifest::Store;
use rayon::prelude::*;
use record::{InputHash, Parts};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the frame lends to `compute`: its data, what a killed run had done, and a way to tell how far it is.
pub struct Context<'a> {
    store: &'a Store,
    parts: Parts,
    inputs: BTreeMap<String, Option<String>>,
    told: Mutex<usize>,
    tell: &'a (dyn Fn(usize, usize) + Sync),
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        store: &'a Store,
        parts: Parts,
        inputs: &[InputHash],
        tell: &'a (dyn Fn(usize, usize) + Sync),
    ) -> Self {
        let inputs = inputs.iter().map(|input| (input.name.clone(), input.sha256.clone()));
        Self { store, parts, inputs: inputs.collect(), told: Mutex::new(0), tell }
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
