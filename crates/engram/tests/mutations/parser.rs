//! A parser under test, and what must hold whatever it is given.

use std::cell::Cell;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::MEMORY;
use crate::damage::{Form, damages};

/// What came of a file: nothing to be said against it, or what the parser says is wrong with it. Outside of both is
/// what must not be.
pub(crate) type Outcome = Result<Result<(), String>, TestCaseError>;

/// A parser with valid files of its kind.
pub(crate) struct Parser {
    pub(crate) name: String,
    /// How many cases it gets, beside others.
    pub(crate) weight: u64,
    pub(crate) form: Form,
    pub(crate) files: Vec<Vec<u8>>,
    /// What its errors must name.
    pub(crate) file: String,
    /// Reads a file, checks what was read, and returns what was refused.
    pub(crate) read: Read,
}

type Read = Box<dyn Fn(&[u8]) -> Outcome>;

/// The name of a damaged file, or of the folder it lies in.
pub(crate) const FILE: &str = "damaged";

/// Memory that a parser may take: so much for each byte of the file, and so much for any file. Texts become trees and
/// half precision becomes single, each some times over; what a hostile length asks for lies far above.
const BYTES_FOR_EACH: usize = 64;
const BYTES_FOR_ANY: usize = 16 << 20;

/// How many files were tried, and how many of them could be read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) tried: u64,
    pub(crate) read: u64,
}

impl Parser {
    pub(crate) fn new(
        name: &str,
        form: Form,
        files: Vec<Vec<u8>>,
        read: impl Fn(&[u8]) -> Outcome + 'static,
    ) -> Self {
        let (name, file) = (name.to_owned(), FILE.to_owned());
        Self { name, weight: 4, form, files, file, read: Box::new(read) }
    }

    /// A parser of a file that lies among others in a folder.
    pub(crate) fn in_folder(
        name: &str,
        form: Form,
        files: Vec<Vec<u8>>,
        (folder, file): (tempfile::TempDir, &str),
        read: impl Fn(&Path) -> Outcome + 'static,
    ) -> Self {
        let path = folder.path().join(file);
        let read = move |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(folder.path())
        };
        Self { weight: 1, ..Self::new(name, form, files, read) }
    }

    /// Damages files in so many ways; the seed decides which.
    pub(crate) fn run(&self, cases: u64, seed: u64) -> Result<Tally, String> {
        for file in &self.files {
            let whole = self.check(file).map_err(|error| format!("a valid file: {error}"))?;
            whole.map_err(|refused| format!("a valid file was refused: {refused}"))?;
        }
        let config = Config {
            cases: u32::try_from(cases).map_err(|_| "at most 2^32 cases".to_owned())?,
            failure_persistence: None,
            max_shrink_iters: 2000,
            ..Config::default()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let tally = Cell::new(Tally::default());
        // What a parser panicked with is told as its failure; libraries that panic are told of in errors.
        std::panic::set_hook(Box::new(|_| {}));
        let outcome = TestRunner::new_with_rng(config, rng).run(&damages(), |damage| {
            let file = damage.apply(self.form, &self.files);
            let Tally { tried, read } = tally.get();
            let is_read = self.check(&file)?.is_ok();
            tally.set(Tally { tried: tried + 1, read: read + u64::from(is_read) });
            Ok(())
        });
        drop(std::panic::take_hook());
        outcome.map_err(|error| error.to_string())?;
        if cases >= 100 && tally.get().read == tally.get().tried {
            return Err("nothing was refused".to_owned());
        }
        Ok(tally.get())
    }

    fn check(&self, file: &[u8]) -> Outcome {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let outcome = (self.read)(file)?;
        let taken = MEMORY.peak_usage().saturating_sub(before);
        let allowed = BYTES_FOR_ANY + BYTES_FOR_EACH * file.len();
        prop_assert!(taken <= allowed, "{taken} bytes of memory for {} of a file", file.len());
        if let Err(refused) = &outcome {
            prop_assert!(refused.contains(&self.file), "{refused:?} names no {:?}", self.file);
        }
        Ok(outcome)
    }
}

/// A folder for a damaged file and those beside it.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix(FILE).tempdir().unwrap()
}

/// The most memory that the process has had at any time, in kilobytes, where the system says. The libraries in C are
/// in it.
pub(crate) fn peak_memory_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
