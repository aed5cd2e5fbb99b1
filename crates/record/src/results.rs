//! The results folder: a result is either whole or absent.
//!
//! A run writes into a draft folder beside its place and moves it there when it is complete, so a run
//! killed at any moment leaves the former result or none, never a mixture. A lock file keeps two runs
//! of one experiment apart; the system frees it when its holder dies.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Artefacts, Error, Key, Parts, Record, Tier, canonical, schema};

/// The folder of artefacts, beside those of the tiers.
pub const ARTEFACTS: &str = "artefacts";

/// The folder of all results of one tier (and base seed).
#[derive(Clone, Debug)]
pub struct Results {
    folder: PathBuf,
    artefacts: PathBuf,
}

impl Results {
    /// `<root>/<tier>`, or `<root>/<tier>-seed<N>` for a shifted base seed, so that results with other
    /// seeds never displace those that the reference is compared with.
    pub fn new(root: &Path, tier: Tier, seed: u64) -> Self {
        let name = if seed == 0 { tier.to_string() } else { format!("{tier}-seed{seed}") };
        Self { artefacts: root.join(ARTEFACTS).join(&name), folder: root.join(name) }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the result of an experiment lies.
    pub fn place(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    /// The stored record, if there is a whole one.
    ///
    /// # Errors
    /// [`Error::Json`], [`Error::Schema`] or [`Error::Claim`] if the file is there and broken.
    pub fn record(&self, id: &str) -> Result<Option<Record>, Error> {
        let path = self.place(id).join("record.json");
        let Some(tree) = read_json::<serde_json::Value>(&path, "record")? else { return Ok(None) };
        schema::validate(&path.display().to_string(), &tree)?;
        let record: Record = serde_json::from_value(tree).map_err(|source| Error::Json {
            path,
            expected: "record",
            source,
        })?;
        record.check()?;
        Ok(Some(record))
    }

    /// The key that a stored result was made under. Whatever is not whole is made again.
    ///
    /// # Errors
    /// [`Error::NotWhole`] if there is no result, a file is missing or has another size than when it was
    /// written, the record was edited, or the key cannot be read.
    pub fn key(&self, id: &str) -> Result<Key, Error> {
        let place = self.place(id);
        let wrong = |complaint: String| Err(Error::NotWhole { complaint });
        if !place.is_dir() {
            return wrong("it was not made yet".to_owned());
        }
        let Some(seal) = Seal::of(&place) else {
            return wrong("key.json is missing or cannot be read".to_owned());
        };
        for (name, bytes) in &seal.files {
            match fs::metadata(place.join(name)) {
                Ok(file) if file.is_file() && file.len() == *bytes => {}
                Ok(file) if file.is_file() => {
                    return wrong(format!("{name} has {} bytes instead of {bytes}", file.len()));
                }
                _ => return wrong(format!("{name} is missing")),
            }
        }
        for (name, bytes) in &seal.artefacts {
            let path = self.artefacts.join(id).join(name);
            if !fs::metadata(&path).is_ok_and(|file| file.len() == *bytes) {
                return wrong(format!("{} is missing or was cut", path.display()));
            }
        }
        let record = fs::read(place.join("record.json")).unwrap_or_default();
        if canonical::sha256(&record) != seal.record_sha256 {
            return wrong("record.json was edited".to_owned());
        }
        Ok(seal.key)
    }

    /// The parts that a killed run of this experiment had done under this key. Those of other keys are
    /// removed. To be called while a draft holds the lock.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn parts(&self, id: &str, key: &Key) -> Result<Parts, Error> {
        let (all, own) = (self.all_parts(id), key.hash()?);
        let parts = Parts::open(all.join(&own))?;
        for entry in fs::read_dir(&all).map_err(Error::io("read", &all))? {
            let path = entry.map_err(Error::io("read", &all))?.path();
            if !path.ends_with(&own) {
                fs::remove_dir_all(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(parts)
    }

    /// The artefacts of an experiment under a key.
    ///
    /// # Errors
    /// [`Error::NotJson`] for a key that has no JSON form.
    pub fn artefacts(&self, id: &str, key: &Key) -> Result<Artefacts, Error> {
        Ok(Artefacts::new(self.artefacts.join(id).join(key.hash()?)))
    }

    fn all_parts(&self, id: &str) -> PathBuf {
        self.folder.join(format!(".parts-{id}"))
    }

    /// Begins a run: waits for another run of the same experiment to end, sweeps up what a killed one
    /// left, and opens an empty draft folder. `waiting` is called once if there is another run.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn begin(&self, id: &str, waiting: impl FnOnce()) -> Result<Draft, Error> {
        let locks = self.folder.join(".locks");
        fs::create_dir_all(&locks).map_err(Error::io("create", &locks))?;
        let lock_path = locks.join(id);
        let lock = File::create(&lock_path).map_err(Error::io("create", &lock_path))?;
        if lock.try_lock().is_err() {
            waiting();
            lock.lock().map_err(Error::io("lock", &lock_path))?;
        }
        let draft = self.folder.join(format!(".draft-{id}"));
        let former = self.folder.join(format!(".former-{id}"));
        let place = self.place(id);
        if former.exists() && !place.exists() {
            fs::rename(&former, &place).map_err(Error::io("rename", &former))?;
        }
        if former.exists() {
            carry_over(&former, &place)?;
        }
        for leftover in [&draft, &former] {
            if leftover.exists() {
                fs::remove_dir_all(leftover).map_err(Error::io("remove", leftover))?;
            }
        }
        fs::create_dir_all(&draft).map_err(Error::io("create", &draft))?;
        let parts = self.all_parts(id);
        let artefacts = self.artefacts.join(id);
        Ok(Draft { folder: draft, former, place, parts, artefacts, files: Vec::new(), _lock: lock })
    }
}

/// What `key.json` holds: the key, and what tells whether the result is whole.
#[derive(Debug, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    key: Key,
    files: Vec<(String, u64)>,
    record_sha256: String,
    /// Sizes of the files of artefacts, by path below the experiment's folder of artefacts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    artefacts: Vec<(String, u64)>,
}

impl Seal {
    fn of(place: &Path) -> Option<Self> {
        read_json(&place.join("key.json"), "cache key").ok().flatten()
    }
}

/// Moves what somebody else put into the folder of a former result into the folder of the new one. What
/// the former run wrote stays behind, and so does a file whose name the new run took.
fn carry_over(former: &Path, place: &Path) -> Result<(), Error> {
    let seal = Seal::of(former);
    let written = |name: &str| {
        let listed = seal.iter().flat_map(|seal| &seal.files).any(|(file, _)| file == name);
        listed || name == "key.json"
    };
    for entry in fs::read_dir(former).map_err(Error::io("read", former))? {
        let path = entry.map_err(Error::io("read", former))?.path();
        let name = path.file_name().unwrap_or_default();
        let target = place.join(name);
        if !written(&name.to_string_lossy()) && !target.exists() {
            fs::rename(&path, target).map_err(Error::io("rename", &path))?;
        }
    }
    Ok(())
}

/// A result in the making. Dropped without [`Draft::publish`] it leaves no result.
#[derive(Debug)]
pub struct Draft {
    folder: PathBuf,
    former: PathBuf,
    place: PathBuf,
    parts: PathBuf,
    artefacts: PathBuf,
    files: Vec<(String, u64)>,
    _lock: File,
}

impl Draft {
    /// Writes a file of the result.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.folder.join(name);
        fs::write(&path, bytes).map_err(Error::io("write", &path))?;
        self.files.push((name.to_owned(), bytes.len() as u64));
        Ok(())
    }

    /// Writes the record and the key, and moves the draft to its place. Files there that no run wrote
    /// stay; parts that were kept for a killed run go.
    ///
    /// # Errors
    /// [`Error::Io`], or whatever makes the record invalid.
    pub fn publish(mut self, record: &Record, key: &Key) -> Result<PathBuf, Error> {
        let bytes = record.to_bytes()?;
        self.write("record.json", &bytes)?;
        let record_sha256 = canonical::sha256(&bytes);
        let own = Artefacts::new(self.artefacts.join(key.hash()?));
        let artefacts = own.sizes(&record.result.artefacts, &self.artefacts)?;
        let files = self.files.clone();
        let seal = Seal { key: key.clone(), files, record_sha256, artefacts };
        let seal = canonical::text("the cache key", &seal)?;
        let path = self.folder.join("key.json");
        fs::write(&path, seal).map_err(Error::io("write", &path))?;
        for entry in fs::read_dir(&self.folder).map_err(Error::io("read", &self.folder))? {
            let path = entry.map_err(Error::io("read", &self.folder))?.path();
            let synced = File::open(&path).and_then(|file| file.sync_all());
            synced.map_err(Error::io("flush", &path))?;
        }
        if self.place.exists() {
            fs::rename(&self.place, &self.former).map_err(Error::io("rename", &self.place))?;
        }
        fs::rename(&self.folder, &self.place).map_err(Error::io("rename", &self.folder))?;
        if self.former.exists() {
            carry_over(&self.former, &self.place)?;
            fs::remove_dir_all(&self.former).map_err(Error::io("remove", &self.former))?;
        }
        if self.parts.exists() {
            fs::remove_dir_all(&self.parts).map_err(Error::io("remove", &self.parts))?;
        }
        own.remove_others()?;
        Ok(self.place.clone())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After publishing there is nothing left to remove; after a failure the next run sweeps up
        // whatever could not be removed now.
        fs::remove_dir_all(&self.folder).ok();
    }
}

fn read_json<T: DeserializeOwned>(path: &Path, expected: &'static str) -> Result<Option<T>, Error> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Io { action: "read", path: path.to_owned(), source }),
    };
    let value = serde_json::from_slice(&bytes).map_err(|source| Error::Json {
        path: path.to_owned(),
        expected,
        source,
    })?;
    Ok(Some(value))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Claim, Cost, Device, Number, Outcome, Run, SCHEMA_VERSION, Tolerance};
    use std::collections::{BTreeMap, BTreeSet};

    pub(crate) fn record(id: &str) -> Record {
        let cost = Cost { minutes: 0.1, memory_mb: 20, disk_mb: 1 };
        let measured = Number::estimate(2.0, [1.5, 2.5]).n(3).unit("bits");
        let claim = Claim::about("x.two", "by hand", "is 2")
            .equals(2.0, Tolerance::Absolute(0.1), &measured)
            .null("none", 0.0);
        Record {
            result: Outcome {
                schema_version: SCHEMA_VERSION,
                id: id.to_owned(),
                tier: Tier::Laptop,
                title: "A record".to_owned(),
                config: serde_json::json!({"k": 1}),
                config_hash: canonical::sha256(b""),
                inputs: Vec::new(),
                code_hash: canonical::sha256(b""),
                seeds: vec![0],
                numbers: BTreeMap::from([("two".to_owned(), measured)]),
                claims: vec![claim.judge(Tier::Laptop).unwrap()],
                figures: Vec::new(),
                tables: Vec::new(),
                skipped: Vec::new(),
                artefacts: Vec::new(),
            },
            run: Run {
                commit: None,
                device: Device::Cpu,
                cpu: "a processor".to_owned(),
                cpu_class: "linux-x86_64-avx2".to_owned(),
                threads: 2,
                runtime_s: 0.5,
                peak_rss_mb: None,
                started: "2026-01-01T00:00:00Z".to_owned(),
                cost,
            },
        }
    }

    pub(crate) fn key(id: &str) -> Key {
        Key {
            id: id.to_owned(),
            tier: Tier::Laptop,
            config: serde_json::json!({"k": 1}),
            seeds: vec![0],
            inputs: Vec::new(),
            needs: BTreeMap::new(),
            code: BTreeMap::from([("crates/geometry".to_owned(), "0".to_owned())]),
            dependencies: BTreeSet::new(),
            rustc: "rustc".to_owned(),
            build: BTreeMap::new(),
            device: Device::Cpu,
            features: BTreeSet::new(),
        }
    }

    fn publish(results: &Results, content: &[u8]) {
        let mut draft = results.begin("a01_x", || {}).unwrap();
        draft.write("A-x01.svg", content).unwrap();
        draft.publish(&record("a01_x"), &key("a01_x")).unwrap();
    }

    #[test]
    fn a_published_result_reads_back_and_replaces_the_former_one() {
        let root = tempfile::tempdir().unwrap();
        let results = Results::new(root.path(), Tier::Laptop, 0);
        assert!(results.record("a01_x").unwrap().is_none());
        publish(&results, b"first");
        publish(&results, b"second");
        assert_eq!(results.record("a01_x").unwrap().unwrap(), record("a01_x"));
        assert_eq!(results.key("a01_x").unwrap(), key("a01_x"));
        assert_eq!(fs::read(results.place("a01_x").join("A-x01.svg")).unwrap(), b"second");
        let left: Vec<_> = fs::read_dir(root.path().join("laptop")).unwrap().collect();
        assert_eq!(left.len(), 2, "only the result and the locks remain: {left:?}");
    }

    #[test]
    fn an_abandoned_draft_leaves_the_former_result() {
        let root = tempfile::tempdir().unwrap();
        let results = Results::new(root.path(), Tier::Laptop, 0);
        publish(&results, b"first");
        let mut draft = results.begin("a01_x", || {}).unwrap();
        draft.write("A-x01.svg", b"half").unwrap();
        drop(draft);
        assert_eq!(fs::read(results.place("a01_x").join("A-x01.svg")).unwrap(), b"first");
        assert!(results.key("a01_x").is_ok());
    }

    #[test]
    fn files_that_no_run_wrote_stay_and_those_of_the_former_run_go() {
        let root = tempfile::tempdir().unwrap();
        let results = Results::new(root.path(), Tier::Laptop, 0);
        let place = results.place("a01_x");
        let mut draft = results.begin("a01_x", || {}).unwrap();
        draft.write("A-x09.svg", b"a figure that is no longer made").unwrap();
        draft.publish(&record("a01_x"), &key("a01_x")).unwrap();
        fs::create_dir(place.join("mine")).unwrap();
        fs::write(place.join("mine/notes.txt"), b"of mine").unwrap();
        publish(&results, b"second");
        assert_eq!(fs::read(place.join("mine/notes.txt")).unwrap(), b"of mine");
        assert!(!place.join("A-x09.svg").exists());
        assert!(results.key("a01_x").is_ok());
        // Killed after the two renames, before the files were moved.
        let former = root.path().join("laptop/.former-a01_x");
        fs::rename(&place, &former).unwrap();
        fs::create_dir(&place).unwrap();
        fs::write(place.join("A-x01.svg"), b"third").unwrap();
        drop(results.begin("a01_x", || {}).unwrap());
        assert_eq!(fs::read(place.join("mine/notes.txt")).unwrap(), b"of mine");
        assert_eq!(fs::read(place.join("A-x01.svg")).unwrap(), b"third");
        assert!(!former.exists());
    }

    #[test]
    fn parts_outlive_a_killed_run_but_no_other_key_and_no_published_result() {
        let root = tempfile::tempdir().unwrap();
        let results = Results::new(root.path(), Tier::Laptop, 0);
        let other = Key { rustc: "another".to_owned(), ..key("a01_x") };
        let part = |key: &Key| results.parts("a01_x", key).unwrap().get::<u64>("seven");
        let draft = results.begin("a01_x", || {}).unwrap();
        results.parts("a01_x", &key("a01_x")).unwrap().keep("seven", &7_u64).unwrap();
        drop(draft);
        assert_eq!(part(&key("a01_x")), Some(7));
        assert_eq!(part(&other), None);
        assert_eq!(part(&key("a01_x")), None, "another key swept it up");
        results.parts("a01_x", &key("a01_x")).unwrap().keep("seven", &7_u64).unwrap();
        publish(&results, b"first");
        assert_eq!(part(&key("a01_x")), None);
    }

    #[test]
    fn a_result_counts_while_its_artefacts_are_there() {
        let root = tempfile::tempdir().unwrap();
        let results = Results::new(root.path(), Tier::Laptop, 0);
        let make = |key: &Key| {
            let draft = results.begin("a01_x", || {}).unwrap();
            let artefacts = results.artefacts("a01_x", key).unwrap();
            let write = |folder: &Path| {
                fs::write(folder.join("weights"), b"123").unwrap();
                Ok::<(), Error>(())
            };
            let mut record = record("a01_x");
            record.result.artefacts = vec![artefacts.make("model", write).unwrap()];
            draft.publish(&record, key).unwrap();
            artefacts.place("model")
        };
        let first = make(&key("a01_x"));
        assert_eq!(results.key("a01_x").unwrap(), key("a01_x"));
        let other = Key { rustc: "another".to_owned(), ..key("a01_x") };
        let second = make(&other);
        assert!(!first.exists(), "those of a former key go");
        assert_eq!(results.key("a01_x").unwrap(), other);
        fs::write(second.join("weights"), b"12").unwrap();
        let complaint = results.key("a01_x").unwrap_err().to_string();
        assert!(complaint.contains("weights is missing or was cut"), "{complaint}");
    }

    #[test]
    fn a_run_killed_between_the_two_renames_gets_its_former_result_back() {
        let root = tempfile::tempdir().unwrap();
        let results = Results::new(root.path(), Tier::Laptop, 0);
        publish(&results, b"first");
        fs::rename(results.place("a01_x"), root.path().join("laptop/.former-a01_x")).unwrap();
        assert!(results.key("a01_x").is_err());
        drop(results.begin("a01_x", || {}).unwrap());
        assert!(results.key("a01_x").is_ok());
    }

    #[test]
    fn a_result_with_a_missing_or_cut_file_does_not_count_and_the_file_is_named() {
        let root = tempfile::tempdir().unwrap();
        let results = Results::new(root.path(), Tier::Laptop, 0);
        let complaint = || results.key("a01_x").unwrap_err().to_string();
        assert!(complaint().contains("not made yet"), "{}", complaint());
        publish(&results, b"figure");
        fs::write(results.place("a01_x").join("A-x01.svg"), b"fig").unwrap();
        assert!(complaint().contains("A-x01.svg has 3 bytes instead of 6"), "{}", complaint());
        fs::remove_file(results.place("a01_x").join("A-x01.svg")).unwrap();
        assert!(complaint().contains("A-x01.svg is missing"), "{}", complaint());
    }

    #[test]
    fn a_broken_record_is_an_error_that_names_the_file() {
        let root = tempfile::tempdir().unwrap();
        let results = Results::new(root.path(), Tier::Laptop, 0);
        publish(&results, b"figure");
        fs::write(results.place("a01_x").join("record.json"), b"{").unwrap();
        assert!(results.record("a01_x").unwrap_err().to_string().contains("record.json"));
        assert!(results.key("a01_x").is_err(), "a broken result counts as up to date");
    }

    #[test]
    fn a_record_edited_without_changing_its_size_does_not_count() {
        let root = tempfile::tempdir().unwrap();
        let results = Results::new(root.path(), Tier::Laptop, 0);
        publish(&results, b"figure");
        let path = results.place("a01_x").join("record.json");
        let edited = fs::read_to_string(&path).unwrap().replace("A record", "a record");
        fs::write(&path, edited).unwrap();
        let complaint = results.key("a01_x").unwrap_err().to_string();
        assert!(complaint.contains("record.json was edited"), "{complaint}");
    }

    #[test]
    fn a_second_run_waits_for_the_first() {
        let root = tempfile::tempdir().unwrap();
        let results = Results::new(root.path(), Tier::Laptop, 0);
        let first = results.begin("a01_x", || {}).unwrap();
        let (told, heard) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| results.begin("a01_x", || told.send(()).unwrap()).is_ok());
            heard.recv().unwrap();
            drop(first);
            assert!(second.join().unwrap());
        });
    }

    #[test]
    fn an_edited_verdict_is_refused() {
        let mut forged = record("a01_x");
        forged.result.claims[0].verdict = Some(crate::Verdict::Contradicted);
        assert!(forged.to_bytes().is_err());
    }

    #[test]
    fn a_key_says_what_changed() {
        let older = key("a01_x");
        let mut newer = older.clone();
        assert!(newer.changes_since(&older).is_empty());
        newer.code.insert("crates/geometry".to_owned(), "1".to_owned());
        newer.config = serde_json::json!({"k": 2});
        newer.build.insert("RUSTFLAGS".to_owned(), "-C target-cpu=native".to_owned());
        let changes = ["config (k: 1 → 2) changed", "crates/geometry changed", "RUSTFLAGS changed"];
        assert_eq!(newer.changes_since(&older), changes);
        assert_ne!(newer.hash().unwrap(), older.hash().unwrap());
    }
}
