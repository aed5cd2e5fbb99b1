//! The official CIFAR archives, python version: which batches they hold, and how one is read.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::Error;
use crate::decode::cifar::{self, Images, Set};
use crate::decode::gzip;

/// The longest batch accepted: the 50,000 records of CIFAR-100 with generous room for labels and file names.
const MAX_BATCH_BYTES: u64 = 256 << 20;

/// One of the two parts of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Train,
    Test,
}

/// The members of the archive that hold a part's records, in the official order.
pub(crate) fn batches(set: Set, part: Part) -> &'static [&'static str] {
    match (set, part) {
        (Set::Cifar10, Part::Train) => &[
            "cifar-10-batches-py/data_batch_1",
            "cifar-10-batches-py/data_batch_2",
            "cifar-10-batches-py/data_batch_3",
            "cifar-10-batches-py/data_batch_4",
            "cifar-10-batches-py/data_batch_5",
        ],
        (Set::Cifar10, Part::Test) => &["cifar-10-batches-py/test_batch"],
        (Set::Cifar100, Part::Train) => &["cifar-100-python/train"],
        (Set::Cifar100, Part::Test) => &["cifar-100-python/test"],
    }
}

/// What a batch is called in messages.
pub(crate) fn name(archive: &Path, batch: &str) -> String {
    format!("{}: {batch}", archive.display())
}

/// The records of one batch.
pub(crate) fn read(archive: &Path, set: Set, batch: &str) -> Result<Images, Error> {
    let bytes = member(archive, batch)?;
    cifar::decode_python_batch(&name(archive, batch), &bytes, set)
}

/// One file of a `.tar.gz`, of at most [`MAX_BATCH_BYTES`].
fn member(archive: &Path, member: &str) -> Result<Vec<u8>, Error> {
    let file = archive.display().to_string();
    let broken =
        |e: std::io::Error| Error::decode(&file, "tar.gz", "a sound archive", e.to_string());
    let packed = File::open(archive).map_err(Error::io("open", archive))?;
    let mut tar = tar::Archive::new(gzip::stream(packed));
    for entry in tar.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        if entry.path().map_err(broken)?.as_ref() != Path::new(member) {
            continue;
        }
        if entry.size() > MAX_BATCH_BYTES {
            let expected = format!("at most {MAX_BATCH_BYTES} bytes in {member}");
            return Err(Error::decode(&file, "tar.gz", expected, entry.size().to_string()));
        }
        let mut bytes = Vec::new();
        entry.take(MAX_BATCH_BYTES).read_to_end(&mut bytes).map_err(broken)?;
        return Ok(bytes);
    }
    Err(Error::decode(&file, "tar.gz", format!("a member {member}"), "none"))
}
