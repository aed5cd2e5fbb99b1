//! Dictionaries of other libraries: what they compute from their files, and from ours.
//!
//! Without arguments it takes the committed fixtures; `--cases <folder>` (by `just test-interchange`) takes what `make.py`
//! drew there, and leaves what it wrote in `written/` of each case for the libraries to read back. Each case is read, its
//! latents and reconstructions are compared with the library's, it is written in every format that has a place for it,
//! read again and compared again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kernels::Matrix;
use sae::Dictionary;
use sae::files::{self, FileError, Format};
use safetensors::SafeTensors;

/// Allowed distance, relative in the L2 norm: both sides compute in single precision, in their own order.
const TOLERANCE: f64 = 1e-5;

type Error = Box<dyn std::error::Error>;

#[expect(clippy::print_stdout, reason = "a test program tells what it compared")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == "--cases");
    let given = at.and_then(|at| arguments.get(at + 1));
    let folder = given.map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"),
        PathBuf::from,
    );
    let cases = match cases(&folder) {
        Ok(cases) if !cases.is_empty() => cases,
        Ok(_) => {
            println!("{} has no case: make some first", folder.display());
            return ExitCode::FAILURE;
        }
        Err(error) => {
            println!("{}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    };
    let mut worst: BTreeMap<String, [f64; 2]> = BTreeMap::new();
    let mut written: BTreeMap<Format, usize> = BTreeMap::new();
    let mut failed = 0;
    for case in &cases {
        match compare(case, given.is_some()) {
            Ok(Compared { distances, formats }) => {
                if distances.iter().any(|distance| *distance > TOLERANCE) {
                    failed += 1;
                    println!("{}: {distances:.1?} apart, allowed {TOLERANCE:.0e}", case.display());
                }
                for format in formats {
                    *written.entry(format).or_default() += 1;
                }
                let worst = worst.entry(kind(case)).or_default();
                worst.iter_mut().zip(distances).for_each(|(most, d)| *most = most.max(d));
            }
            Err(error) => {
                failed += 1;
                println!("{}: {error}", case.display());
            }
        }
    }
    if given.is_some() {
        for (kind, [read, again]) in &worst {
            println!("{kind}: at most {read:.1e} apart as read, {again:.1e} as written and read");
        }
    }
    let most = worst.values().flatten().fold(0.0, |most: f64, distance| most.max(*distance));
    println!(
        "interchange: {} cases, {failed} failed, the rest at most {most:.1e} apart; written: {written:?}",
        cases.len()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The folders of a folder, by name.
fn cases(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.join("expected.safetensors").exists() {
            cases.push(path);
        }
    }
    cases.sort();
    Ok(cases)
}

/// A case's name without its number.
fn kind(case: &Path) -> String {
    let name = case.file_name().unwrap_or_default().to_string_lossy();
    name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-').to_owned()
}

/// What came of a case.
struct Compared {
    /// Of what was read, and the most of all that was written and read again.
    distances: [f64; 2],
    /// In which formats it was written.
    formats: Vec<Format>,
}

fn compare(case: &Path, keeps: bool) -> Result<Compared, Error> {
    let bytes = std::fs::read(case.join("expected.safetensors"))?;
    let expected = Expected::read(&SafeTensors::deserialize(&bytes)?)?;
    let loaded = files::read(&case.join("given"))?;
    let mut distances = [expected.distance(&loaded.dictionary)?, 0.0];
    let draft = tempfile::tempdir()?;
    let home = if keeps { case.join("written") } else { draft.path().join("written") };
    if home.exists() {
        std::fs::remove_dir_all(&home)?;
    }
    std::fs::create_dir_all(&home)?;
    let mut formats = Vec::new();
    for format in Format::ALL {
        let folder = home.join(name(format));
        match files::write(&folder, format, &loaded.dictionary, &loaded.about) {
            Ok(()) => formats.push(format),
            Err(FileError::Unwritable { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
        let again = files::read(&folder)?;
        if again.format != format {
            return Err(format!("written as {format:?}, read as {:?}", again.format).into());
        }
        distances[1] = distances[1].max(expected.distance(&again.dictionary)?);
        if format == Format::SaeLens && again.about.model != loaded.about.model {
            return Err("the name of the model was lost".into());
        }
    }
    if !formats.contains(&loaded.format) {
        return Err("it cannot be written in its own format".into());
    }
    Ok(Compared { distances, formats })
}

const fn name(format: Format) -> &'static str {
    match format {
        Format::SaeLens => "sae_lens",
        Format::DictionaryLearning => "dictionary_learning",
        Format::Sparsify => "sparsify",
        Format::GemmaScope => "gemma_scope",
    }
}

/// What the library computed.
struct Expected {
    x: Matrix,
    latents: Matrix,
    reconstruction: Matrix,
}

impl Expected {
    fn read(tensors: &SafeTensors<'_>) -> Result<Self, Error> {
        let matrix = |name: &str| -> Result<Matrix, Error> {
            let tensor = tensors.tensor(name)?;
            let words = tensor.data().as_chunks::<4>().0.iter();
            let values = words.map(|bytes| f32::from_le_bytes(*bytes)).collect();
            Ok(Matrix::from_rows(tensor.shape()[0], tensor.shape()[1], values)?)
        };
        Ok(Self {
            x: matrix("x")?,
            latents: matrix("latents")?,
            reconstruction: matrix("reconstruction")?,
        })
    }

    /// The larger of the distances of latents and of reconstructions.
    fn distance(&self, dictionary: &Dictionary) -> Result<f64, Error> {
        let codes = dictionary.encode(&self.x)?;
        let mut latents = Matrix::zeros(codes.n_rows(), codes.n_latents());
        for row in 0..codes.n_rows() {
            let (active, values) = codes.row(row);
            for (latent, value) in active.iter().zip(values) {
                latents.row_mut(row)[*latent as usize] = *value;
            }
        }
        let reconstruction = dictionary.reconstruct(&self.x)?;
        Ok(apart(&latents, &self.latents)?.max(apart(&reconstruction, &self.reconstruction)?))
    }
}

fn apart(ours: &Matrix, theirs: &Matrix) -> Result<f64, Error> {
    if (ours.n_rows(), ours.n_columns()) != (theirs.n_rows(), theirs.n_columns()) {
        return Err("other shapes than the library's".into());
    }
    let (mut apart, mut norm) = (0.0, 0.0);
    for (ours, theirs) in ours.values().iter().zip(theirs.values()) {
        let (ours, theirs) = (f64::from(*ours), f64::from(*theirs));
        apart += (ours - theirs) * (ours - theirs);
        norm += theirs * theirs;
    }
    let relative = if apart == 0.0 { 0.0 } else { (apart / norm).sqrt() };
    if relative.is_nan() { Err("not a number".into()) } else { Ok(relative) }
}
