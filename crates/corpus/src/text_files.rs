//! Text files of the user's own.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{CorpusError, Result};
use crate::tokenizer::hex;

/// A text with where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextDocument {
    /// The file.
    pub path: PathBuf,
    /// Its first byte in the file.
    pub start: u64,
    /// The text, not empty.
    pub text: String,
}

/// Text files in order, read part by part: a part is a document of at most [`TextFiles::PART_BYTES`].
///
/// # Examples
///
/// ```
/// use corpus::TextFiles;
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("b.txt"), "two")?;
/// std::fs::write(folder.path().join("a.txt"), "one")?;
/// let files = TextFiles::find(folder.path())?;
/// let texts = files.documents().map(|document| Ok(document?.text));
/// assert_eq!(texts.collect::<corpus::Result<Vec<_>>>()?, ["one", "two"]);
/// assert_eq!(files.n_bytes(), 6);
///
/// std::fs::write(folder.path().join("c.txt"), b"caf\xe9")?;
/// let error = TextFiles::find(folder.path())?.documents().last().unwrap().unwrap_err();
/// assert!(error.to_string().contains("c.txt is not UTF-8 at byte 3"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFiles {
    files: Vec<(PathBuf, u64)>,
}

impl TextFiles {
    /// Bytes of a document at most. A longer file is cut after the last line break that leaves a part
    /// so small, or after the last character where a line is longer. So no file is too large to be read,
    /// and what stands on both sides of a cut is not seen together.
    pub const PART_BYTES: usize = 1 << 16;

    /// A file of any name, or all files `*.txt` in a folder and those below it, by path.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Io`]; [`CorpusError::NoText`] for a folder without such files,
    /// [`CorpusError::EmptyFile`] with the first one that is empty.
    pub fn find(path: &Path) -> Result<Self> {
        let mut files = Vec::new();
        if path.is_dir() {
            collect(path, &["txt"], &mut files)?;
            if files.is_empty() {
                let expected = "files whose names end in .txt";
                return Err(CorpusError::NoText { path: path.to_owned(), expected });
            }
        } else {
            files.push(path.to_owned());
        }
        Self::of(files)
    }

    /// These files, in this order.
    ///
    /// # Errors
    ///
    /// As for [`TextFiles::find`].
    pub fn of(files: Vec<PathBuf>) -> Result<Self> {
        let mut sized = Vec::new();
        for path in files {
            let metadata = std::fs::metadata(&path).map_err(CorpusError::io("open", &path))?;
            if !metadata.is_file() {
                return Err(CorpusError::NoText { path, expected: "a file" });
            }
            if metadata.len() == 0 {
                return Err(CorpusError::EmptyFile { path });
            }
            sized.push((path, metadata.len()));
        }
        if sized.is_empty() {
            let expected = "a file or more";
            return Err(CorpusError::NoText { path: PathBuf::from("an empty list"), expected });
        }
        Ok(Self { files: sized })
    }

    /// The files.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// The bytes of all files.
    pub fn n_bytes(&self) -> u64 {
        self.files.iter().map(|(_, n_bytes)| n_bytes).sum()
    }

    /// SHA-256 over the length and the content of each file, in order; names do not count.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Io`].
    pub fn sha256(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        for (path, n_bytes) in &self.files {
            hash.update(n_bytes.to_le_bytes());
            let mut file = File::open(path).map_err(CorpusError::io("open", path))?;
            loop {
                let n = file.read(&mut buffer).map_err(CorpusError::io("read", path))?;
                if n == 0 {
                    break;
                }
                hash.update(&buffer[..n]);
            }
        }
        Ok(hex(&hash.finalize()))
    }

    /// The documents, read as they are asked for. After an error there are no more.
    pub fn documents(&self) -> impl Iterator<Item = Result<TextDocument>> + '_ {
        let mut has_failed = false;
        let parts = self.files.iter().flat_map(|(path, n_bytes)| Parts::new(path, *n_bytes));
        parts.take_while(move |part| !std::mem::replace(&mut has_failed, part.is_err()))
    }
}

/// Collects the files below a folder whose names end so, by path.
pub(crate) fn collect(folder: &Path, suffixes: &[&str], into: &mut Vec<PathBuf>) -> Result<()> {
    let list = |folder: &Path| -> std::io::Result<Vec<(bool, PathBuf)>> {
        let entries = std::fs::read_dir(folder)?.map(|entry| {
            let entry = entry?;
            Ok((entry.file_type()?.is_dir(), entry.path()))
        });
        entries.collect()
    };
    let mut entries = list(folder).map_err(CorpusError::io("list", folder))?;
    entries.sort_by(|one, other| one.1.cmp(&other.1));
    for (is_folder, path) in entries {
        let is_text = || {
            let suffix = path.extension().and_then(|suffix| suffix.to_str());
            suffix.is_some_and(|suffix| suffixes.contains(&suffix)) && path.is_file()
        };
        // A link to a folder is not followed, so that no circle is walked.
        if is_folder {
            collect(&path, suffixes, into)?;
        } else if is_text() {
            into.push(path);
        }
    }
    Ok(())
}

/// The parts of one file.
struct Parts<'a> {
    path: &'a Path,
    /// The bytes that it had when it was found.
    n_bytes: u64,
    file: Option<File>,
    /// What was read and not given out.
    rest: Vec<u8>,
    start: u64,
    is_done: bool,
}

impl<'a> Parts<'a> {
    fn new(path: &'a Path, n_bytes: u64) -> Self {
        Self { path, n_bytes, file: None, rest: Vec::new(), start: 0, is_done: false }
    }

    /// Reads on until there is more than a part, or the file ends.
    fn fill(&mut self) -> Result<()> {
        let path = self.path;
        let file = match self.file.take() {
            Some(file) => file,
            None => File::open(path).map_err(CorpusError::io("open", path))?,
        };
        let file = self.file.insert(file);
        // One byte more, so that the end of the file shows.
        let n = (TextFiles::PART_BYTES + 1).saturating_sub(self.rest.len());
        let mut limited = Read::take(file, n as u64);
        limited.read_to_end(&mut self.rest).map_err(CorpusError::io("read", path))?;
        Ok(())
    }

    fn part(&mut self) -> Result<Option<TextDocument>> {
        self.fill()?;
        let is_last = self.rest.len() <= TextFiles::PART_BYTES;
        let found = self.start + self.rest.len() as u64;
        if found > self.n_bytes || (is_last && found < self.n_bytes) {
            return Err(CorpusError::Changed { path: self.path.to_owned() });
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let n = if is_last { self.rest.len() } else { self.cut()? };
        let later = self.rest.split_off(n);
        let bytes = std::mem::replace(&mut self.rest, later);
        let text = String::from_utf8(bytes)
            .map_err(|error| self.not_utf8(error.utf8_error().valid_up_to()))?;
        let document = TextDocument { path: self.path.to_owned(), start: self.start, text };
        self.start += n as u64;
        Ok(Some(document))
    }

    /// Where to cut what was read.
    fn cut(&self) -> Result<usize> {
        let part = &self.rest[..TextFiles::PART_BYTES];
        if let Some(at) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(at + 1);
        }
        match std::str::from_utf8(part) {
            Ok(_) => Ok(part.len()),
            // Only the last character may be cut in two.
            Err(error) if error.error_len().is_none() => Ok(error.valid_up_to()),
            Err(error) => Err(self.not_utf8(error.valid_up_to())),
        }
    }

    fn not_utf8(&self, at: usize) -> CorpusError {
        CorpusError::NotUtf8 { path: self.path.to_owned(), at: self.start + at as u64 }
    }
}

impl Iterator for Parts<'_> {
    type Item = Result<TextDocument>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let part = self.part().transpose();
        self.is_done = !matches!(part, Some(Ok(_)));
        part
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(content: &[u8]) -> Result<Vec<TextDocument>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, content).unwrap();
        TextFiles::find(&path)?.documents().collect()
    }

    proptest! {
            #![proptest_config(ProptestConfig::with_cases(64))]

            /// Lines of all lengths, in characters of one to four bytes.
            #[test]
            fn parts_are_small_and_together_the_file(
                lines in prop::collection::vec((0_usize..90_000, 0_usize..4), 1..5),
            ) {
                let line = |(n, kind): &(usize, usize)| ["a", "é", "語", "🙂"][*kind].repeat(n / 4) + "\n";
                let whole: String = lines.iter().map(line).collect();
                let parts = texts(whole.as_bytes()).unwrap();
                let together: String = parts.iter().map(|part| part.text.as_str()).collect();
                prop_assert!(together == whole);
                let mut start = 0;
                for part in &parts {
                    prop_assert!(!part.text.is_empty() && part.text.len() <= TextFiles::PART_BYTES);
                    prop_assert_eq!(part.start, start);
                    start += part.text.len() as u64;
                }
            }

            /// One byte that no UTF-8 has, anywhere in a file of several parts.
            #[test]
            fn the_first_wrong_byte_is_named(at in 0_usize..150_000, has_lines: bool) {
                let line: &[u8] = if has_lines { b"some words\n" } else { b"some words " };
                let mut content = line.repeat(14_000);
                content[at] = 0xff;
                let error = texts(&content).unwrap_err();
    let is_named = matches!(error, CorpusError::NotUtf8 { at: found, .. } if found == at as u64);
                prop_assert!(is_named);
            }
        }

    #[test]
    fn a_character_that_the_end_cuts_in_two_is_wrong() {
        let error = texts(&"é".as_bytes()[..1]).unwrap_err();
        assert!(matches!(error, CorpusError::NotUtf8 { at: 0, .. }));
    }

    #[test]
    fn empty_files_and_folders_without_text_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = TextFiles::find(folder.path()).unwrap_err().to_string();
        assert!(error.contains(".txt"), "{error}");
        std::fs::create_dir(folder.path().join("more")).unwrap();
        std::fs::write(folder.path().join("more/a.txt"), "").unwrap();
        let error = TextFiles::find(folder.path()).unwrap_err().to_string();
        assert!(error.contains("a.txt is empty"), "{error}");
        let error = TextFiles::find(&folder.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("cannot open") && error.contains("none"), "{error}");
        assert!(TextFiles::of(Vec::new()).is_err());
    }

    #[test]
    fn a_file_that_grows_or_shrinks_after_it_was_found_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        std::fs::write(&path, "some words").unwrap();
        let files = TextFiles::find(&path).unwrap();
        for other in ["some more words", "some"] {
            std::fs::write(&path, other).unwrap();
            let error = files.documents().next().unwrap().unwrap_err();
            assert!(matches!(error, CorpusError::Changed { .. }), "{error}");
        }
    }

    #[test]
    fn the_hash_knows_where_files_end() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        let hash = |one: &str, other: &str| {
            for (path, text) in paths.iter().zip([one, other]) {
                std::fs::write(path, text).unwrap();
            }
            TextFiles::of(paths.to_vec()).unwrap().sha256().unwrap()
        };
        assert_ne!(hash("ab", "c"), hash("a", "bc"));
    }
}
