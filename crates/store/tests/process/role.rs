//! What the process does that another one started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::Arc;

use seed::Seed;
use store::{
    ActivationReader, ActivationWriter, BosRule, Capture, CorpusInfo, CorpusLayout, CorpusWriter,
    Document, Dtype, Error, Hook, LabelledDocument, Names, NewRows, NonFinite, Normalization,
    Place, RowLayout, Rows, Shuffle, ShuffleConfig,
};

/// Rows of the large store, and their bytes.
pub(crate) const N_ROWS: u64 = 400_000;
pub(crate) const ROW_BYTES: usize = 1024;

const WIDTH: usize = 64;
const LAYOUT: RowLayout = RowLayout { chunk_rows: 64, shard_chunks: 8 };

#[derive(Debug)]
pub(crate) enum Role {
    /// Writes a store of activations, or goes on with it.
    Capture(PathBuf),
    /// Writes a corpus, or goes on with it.
    Corpus(PathBuf),
    /// Writes the large store.
    Large(PathBuf),
    /// Shuffles it.
    Shuffle(PathBuf),
    /// Reads all of it into memory at once.
    Everything(PathBuf),
    /// Reads copies of a store with changed bytes.
    Damage(PathBuf),
}

impl Role {
    pub(crate) fn capture(folder: &Path) -> Self {
        Self::Capture(folder.to_owned())
    }

    pub(crate) fn corpus(folder: &Path) -> Self {
        Self::Corpus(folder.to_owned())
    }

    pub(crate) fn arguments(&self) -> [&std::ffi::OsStr; 2] {
        let (name, folder) = match self {
            Self::Capture(folder) => ("--capture", folder),
            Self::Corpus(folder) => ("--corpus", folder),
            Self::Large(folder) => ("--large", folder),
            Self::Shuffle(folder) => ("--shuffle", folder),
            Self::Everything(folder) => ("--everything", folder),
            Self::Damage(folder) => ("--damage", folder),
        };
        [name.as_ref(), folder.as_os_str()]
    }

    pub(crate) fn parse(arguments: &[String]) -> Option<Self> {
        let [name, folder] = arguments else { return None };
        let folder = PathBuf::from(folder);
        match name.as_str() {
            "--capture" => Some(Self::Capture(folder)),
            "--corpus" => Some(Self::Corpus(folder)),
            "--large" => Some(Self::Large(folder)),
            "--shuffle" => Some(Self::Shuffle(folder)),
            "--everything" => Some(Self::Everything(folder)),
            "--damage" => Some(Self::Damage(folder)),
            _ => None,
        }
    }

    /// Ends the process with 1 and the error, if there is one.
    pub(crate) fn play(&self) {
        let result = match self {
            Self::Capture(folder) => write_rows(folder),
            Self::Corpus(folder) => write_corpus(folder),
            Self::Large(folder) => write_large(folder),
            Self::Shuffle(folder) => shuffle(folder),
            Self::Everything(folder) => read_everything(folder),
            Self::Damage(folder) => {
                read_damaged(folder);
                Ok(())
            }
        };
        if let Err(error) = result {
            eprintln!("{error}");
            exit(1);
        }
    }
}

pub(crate) fn capture() -> Capture {
    wide(WIDTH)
}

fn wide(width: usize) -> Capture {
    Capture {
        model_sha256: "a".repeat(64),
        tokenizer_sha256: "b".repeat(64),
        text_sha256: "c".repeat(64),
        bos: BosRule::Absent,
        dtype: Dtype::F32,
        hooks: vec![Hook { name: "hook".to_owned(), width, normalization: Normalization::Raw }],
    }
}

/// The writer, or none where the one before was killed between its last rename and its end.
fn unfinished<W>(writer: store::Result<W>) -> store::Result<Option<W>> {
    match writer {
        Err(Error::Finished { .. }) => Ok(None),
        other => other.map(Some),
    }
}

/// Twenty-five shards and a bit, in calls of a size that no chunk has.
fn write_rows(folder: &Path) -> store::Result<()> {
    let writer = ActivationWriter::resume(folder, &capture(), LAYOUT, NonFinite::Refuse);
    let Some(mut writer) = unfinished(writer)? else { return Ok(()) };
    let n = 25 * 512 + 100;
    while writer.n_rows() < n {
        let start = writer.n_rows();
        append(&mut writer, start..n.min(start + 50), WIDTH)?;
    }
    writer.finish()
}

fn append(
    writer: &mut ActivationWriter,
    rows: std::ops::Range<u64>,
    width: usize,
) -> store::Result<()> {
    let tokens: Vec<_> = rows.clone().map(|row| row as u32 % 100).collect();
    let documents: Vec<_> = rows.clone().map(|row| row / 128).collect();
    let numbers: Vec<_> = rows
        .flat_map(|row| (0..width).map(move |at| (row % 4096) as f32 + at as f32 / 512.0))
        .collect();
    let (positions, hooks): (_, [&[f32]; 1]) = (&tokens, [&numbers]);
    writer.append(NewRows { tokens: &tokens, positions, documents: &documents, hooks: &hooks })
}

fn write_corpus(folder: &Path) -> store::Result<()> {
    let names = |n: u32| (0..n).map(|at| format!("name {at}")).collect();
    let info = CorpusInfo {
        source_sha256: "d".repeat(64),
        tokenizer_sha256: "e".repeat(64),
        vocab_size: 1000,
        patch_len: 0,
        names: Names {
            languages: names(4),
            modalities: names(2),
            roles: names(3),
            splits: names(2),
            domains: names(10),
            concepts: names(300),
        },
    };
    let layout = CorpusLayout { chunk_tokens: 256, shard_tokens: 4000 };
    let Some(mut writer) = unfinished(CorpusWriter::resume(folder, &info, layout))? else {
        return Ok(());
    };
    while writer.n_documents() < 1000 {
        let id = writer.n_documents();
        let mut document = LabelledDocument::new(Document { id, ..Document::default() });
        for token in 0..30 + id as u32 % 80 {
            let concepts = [token, token + 100, token + 190];
            document.push(token + id as u32 % 700, 1, 0, 2, &concepts[..token as usize % 4]);
        }
        writer.append(&document)?;
    }
    writer.finish()
}

fn write_large(folder: &Path) -> store::Result<()> {
    let width = ROW_BYTES / size_of::<f32>();
    let layout = RowLayout { chunk_rows: 1024, shard_chunks: 64 };
    let mut writer = ActivationWriter::create(folder, &wide(width), layout, NonFinite::Refuse)?;
    for start in (0..N_ROWS).step_by(1000) {
        append(&mut writer, start..start + 1000, width)?;
    }
    writer.finish()
}

fn shuffle(folder: &Path) -> store::Result<()> {
    let width = ROW_BYTES / size_of::<f32>();
    let reader = Arc::new(ActivationReader::open(folder, &wide(width))?);
    let id = "test".to_owned();
    let config = ShuffleConfig { seed: Seed::new(1), id, pool_chunks: 16, batch_rows: 4096 };
    let mut batches = Shuffle::start(&reader, &config, Place::default())?;
    let (mut batch, mut n, mut sum) = (Rows::default(), 0, 0);
    while batches.next_batch(&mut batch)? {
        n += batch.len() as u64;
        sum += batch.row_idx.iter().sum::<u64>();
    }
    assert_eq!((n, sum), (N_ROWS, N_ROWS * (N_ROWS - 1) / 2));
    Ok(())
}

fn read_everything(folder: &Path) -> store::Result<()> {
    let reader = ActivationReader::open(folder, &wide(ROW_BYTES / size_of::<f32>()))?;
    reader.read(0..reader.n_rows(), &mut Rows::default())
}

/// Runs of changed bytes, zeros, and the largest numbers, at random places of each file.
fn read_damaged(folder: &Path) {
    let mut places = Seed::new(4).stream("store", "damage");
    let mut n_refused = 0;
    for name in ["index.h5", "shard-000000.h5", "shard-000007.h5"] {
        let path = folder.join(name);
        let whole = fs::read(&path).unwrap();
        for _ in 0..300 {
            let mut bytes = whole.clone();
            // Metadata lie at both ends: half of the damage goes there.
            let near = if places.below(2) == 0 { 4096.min(bytes.len()) } else { bytes.len() };
            let at = places.below(near);
            let at = if places.below(2) == 0 { at } else { bytes.len() - 1 - at };
            let end = bytes.len().min(at + 1 + places.below(16));
            let value = [0, 0xff, places.below(256) as u8][places.below(3)];
            bytes[at..end].fill(value);
            fs::write(&path, &bytes).unwrap();
            let read = ActivationReader::open(folder, &capture())
                .and_then(|reader| reader.read(0..reader.n_rows(), &mut Rows::default()));
            n_refused += u32::from(read.is_err());
        }
        fs::write(&path, &whole).unwrap();
    }
    // Where bytes were zero before, nothing was changed; most were not.
    assert!(n_refused > 300, "{n_refused} of 900 refused");
}
