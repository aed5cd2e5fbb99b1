//! Real code and real English wherever the project builds: sources and documentation of crates.

use std::path::{Path, PathBuf};

use seed::Seed;

use crate::error::{CorpusError, Result};
use crate::text_files::{TextDocument, collect};
use crate::tokenizer::sha256;

/// A crate, unpacked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrateFolder {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What pins its files, as Cargo.lock has it.
    pub checksum: String,
    /// Where its files lie.
    pub folder: PathBuf,
}

/// The files `*.rs` and `*.md` of crates, by name, version and path; each is a document.
///
/// Left out are files that are not UTF-8, empty ones, those larger than [`CrateFiles::MOST_BYTES`], and
/// those that say in their first kilobyte that a program wrote them.
///
/// # Examples
///
/// ```
/// use corpus::{CrateFiles, CrateFolder};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("README.md"), "A crate.")?;
/// std::fs::write(folder.path().join("bindings.rs"), "// @generated\nconst A: u8 = 0;")?;
/// let (name, version, checksum) = ("a".to_owned(), "1.0.0".to_owned(), "0a1b".to_owned());
/// let a = CrateFolder { name, version, checksum, folder: folder.path().into() };
/// let files = CrateFiles::of(vec![a])?;
/// let texts = files.documents().map(|document| Ok(document?.text));
/// assert_eq!(texts.collect::<corpus::Result<Vec<_>>>()?, ["A crate."]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrateFiles {
    files: Vec<PathBuf>,
    /// Where the crates lie, and what names them wherever they lie.
    crates: Vec<(PathBuf, String)>,
    /// What was drawn.
    drawn: String,
}

impl CrateFiles {
    /// Larger files are tables, mostly.
    pub const MOST_BYTES: u64 = 1 << 18;

    /// The files of these crates, whatever their order.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Io`] for a folder that cannot be listed, [`CorpusError::NoText`] if there is no
    /// file.
    pub fn of(mut crates: Vec<CrateFolder>) -> Result<Self> {
        crates.sort();
        let mut files = Vec::new();
        for one in &crates {
            collect(&one.folder, &["rs", "md"], &mut files)?;
        }
        if files.is_empty() {
            let path = crates.into_iter().next().map(|one| one.folder).unwrap_or_default();
            return Err(CorpusError::NoText { path, expected: "files *.rs or *.md of crates" });
        }
        let named = |one: CrateFolder| {
            let CrateFolder { name, version, checksum, folder } = one;
            (folder, format!("{name} {version} {checksum}"))
        };
        let crates = crates.into_iter().map(named).collect();
        Ok(Self { files, crates, drawn: String::new() })
    }

    /// A share of the files, each drawn by its crate, its path there, and the seed.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Range`] for a share that is none, or that draws no file.
    pub fn draw(self, share: f64, seed: u64) -> Result<Self> {
        let range = |interval| CorpusError::Range { what: "the share", got: share, interval };
        if !(0.0..=1.0).contains(&share) {
            return Err(range("[0, 1]"));
        }
        let Self { mut files, crates, drawn } = self;
        files.retain(|path| {
            let of = crates.iter().find_map(|(folder, name)| {
                Some(format!("{name} {}", path.strip_prefix(folder).ok()?.display()))
            });
            let mut rng = Seed::new(seed).stream("corpus crates", &of.unwrap_or_default());
            rng.uniform() < share
        });
        if files.is_empty() {
            return Err(range("what draws a file or more"));
        }
        Ok(Self { files, crates, drawn: format!("{drawn} {share:?} {seed}") })
    }

    /// What identifies the texts: SHA-256 over names, versions and checksums of the crates, and over
    /// what was drawn.
    pub fn sha256(&self) -> String {
        let crates: Vec<&str> = self.crates.iter().map(|(_, name)| name.as_str()).collect();
        sha256(format!("{}\n{}", crates.join("\n"), self.drawn).as_bytes())
    }

    /// The documents, read as they are asked for.
    pub fn documents(&self) -> impl Iterator<Item = Result<TextDocument>> + '_ {
        self.files.iter().filter_map(|path| read(path).transpose())
    }
}

/// The text of a file; none where it is left out.
fn read(path: &Path) -> Result<Option<TextDocument>> {
    let n_bytes = std::fs::metadata(path).map_err(CorpusError::io("open", path))?.len();
    if n_bytes == 0 || n_bytes > CrateFiles::MOST_BYTES {
        return Ok(None);
    }
    let bytes = std::fs::read(path).map_err(CorpusError::io("read", path))?;
    let text = String::from_utf8(bytes).ok().filter(|text| !text.is_empty() && !is_generated(text));
    Ok(text.map(|text| TextDocument { path: path.to_owned(), start: 0, text }))
}

/// Whether a text says at its beginning that a program wrote it.
fn is_generated(text: &str) -> bool {
    let mut end = text.len().min(1024);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let beginning = text[..end].to_ascii_lowercase();
    let marks = ["@generated", "do not edit", "automatically generated", "auto-generated"];
    marks.iter().any(|mark| beginning.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_by_crate_and_path_and_what_is_no_text_of_a_person_is_left_out() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, content: &[u8]| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        put("b-1/src/lib.rs", b"b");
        put("a-2/src/z.rs", b"a2 z");
        put("a-2/src/a.rs", b"a2 a");
        put("a-2/data.bin", b"no text");
        put("a-1/README.md", "é a1".repeat(400).as_bytes());
        put("a-1/latin.rs", b"caf\xe9");
        put("a-1/empty.rs", b"");
        put("a-1/made.rs", b"// This file is DO NOT EDIT");
        put("a-1/table.rs", &vec![b' '; (1 << 18) + 1]);
        let folder = |name: &str, version: &str, folder: &str| CrateFolder {
            name: name.to_owned(),
            version: version.to_owned(),
            checksum: "0a".to_owned(),
            folder: root.path().join(folder),
        };
        let crates =
            vec![folder("b", "1", "b-1"), folder("a", "2", "a-2"), folder("a", "1", "a-1")];
        let files = CrateFiles::of(crates.clone()).unwrap();
        let texts: Vec<_> = files.documents().map(|document| document.unwrap().text).collect();
        assert_eq!(texts, ["é a1".repeat(400).as_str(), "a2 a", "a2 z", "b"]);
        let one = files.clone().draw(0.3, 7).unwrap();
        assert!(one.documents().count() < 4);
        assert_eq!(one, files.clone().draw(0.3, 7).unwrap());
        let other = CrateFolder { checksum: "0b".to_owned(), ..crates[0].clone() };
        let other = CrateFiles::of(vec![other, crates[1].clone(), crates[2].clone()]).unwrap();
        let hashes = [files.sha256(), one.sha256(), other.sha256()];
        assert!(hashes[0] != hashes[1] && hashes[0] != hashes[2] && hashes[1] != hashes[2]);
        assert!(files.clone().draw(0.0, 7).is_err() && files.draw(f64::NAN, 7).is_err());
        let gone = CrateFiles::of(vec![folder("c", "1", "c-1")]).unwrap_err().to_string();
        assert!(gone.contains("c-1"), "{gone}");
        assert!(CrateFiles::of(Vec::new()).is_err());
    }
}
