//! The recipes of derived files that the project carries out itself.
//!
//! `cifar10-subset`: named records of the official CIFAR-10 python archive, rewritten in the
//! layout of the official binary version.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::Error;
use crate::decode::{cifar, gzip};
use crate::fetch::{Outcome, Progress};
use crate::manifest::{FileRow, Manifest, Packing, Program};
use crate::pin;
use crate::store::{self, Store};
use crate::verify;

/// Folder and batches of the official python archive, in the official order.
const TRAIN_BATCHES: [&str; 5] =
    ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"];
const TEST_BATCHES: [&str; 1] = ["test_batch"];
const FOLDER: &str = "cifar-10-batches-py";
const BATCH_RECORDS: usize = 10_000;

/// The longest batch accepted: 10,000 records with generous room for labels and file names.
const MAX_BATCH_BYTES: u64 = 64 << 20;

/// Makes one derived file and puts it in the cache, once it matches its row. Returns name and hash of the
/// file it was made from if the hash was not known before.
pub(crate) fn make(
    store: &Store,
    manifest: &Manifest,
    row: &FileRow,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Option<(String, String)>, Error> {
    let name = store::full_name(manifest, row);
    let not_made = |reason: &str| Error::NotFetchable { name, reason: reason.to_owned() };
    let Some(Program::Cifar10Subset { archive, train, test }) =
        manifest.recipe.as_ref().map(|recipe| &recipe.program)
    else {
        return Err(not_made("the manifest names no program for it"));
    };
    let mut pinned = None;
    let mut from_archive = |batches: &[&str], indices: &[u32]| -> Result<Vec<u8>, Error> {
        if let Outcome::Pinned { sha256 } = store.fetch_row(manifest, archive, progress)? {
            pinned = Some((store::full_name(manifest, archive), sha256));
        }
        let located = store.locate_row(manifest, archive)?;
        select(&located.path, batches, indices).inspect_err(|_| {
            // Without a known hash the archive may be anything that a server once sent: fetch it anew.
            if archive.sha256.is_none() && store.is_cached(&located.path) {
                std::fs::remove_file(&located.path).ok();
                pin::forget(&store.cache, &store::full_name(manifest, archive)).ok();
            }
        })
    };
    let content = match row.path.as_str() {
        "train.bin.gz" => from_archive(&TRAIN_BATCHES, train)?,
        "test.bin.gz" => from_archive(&TEST_BATCHES, test)?,
        "official_indices.json" => index_list(train, test).into_bytes(),
        _ => return Err(not_made("the recipe makes no file of this name")),
    };
    let target = store.writable(manifest, &row.path)?;
    let made = verify::Content { bytes: content.len() as u64, sha256: verify::sha256(&content) };
    let remedy = "nothing was written: the archive is not the one the recipe was made for";
    verify::check(&target, row, None, &made, remedy)?;
    let write = Error::io("write", &target);
    let packed = match row.packing {
        Packing::None => content,
        Packing::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&content).map_err(Error::io("pack", &target))?;
            encoder.finish().map_err(Error::io("pack", &target))?
        }
    };
    verify::replace(&target, &packed).map_err(write)?;
    Ok(pinned)
}

/// `{"train": [0, 1], "test": [0]}`, as Python's json module writes it.
fn index_list(train: &[u32], test: &[u32]) -> String {
    let list =
        |indices: &[u32]| indices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("{{\"train\": [{}], \"test\": [{}]}}", list(train), list(test))
}

/// The records with the given ascending indices, in the official binary layout.
fn select(archive: &Path, batches: &[&str], indices: &[u32]) -> Result<Vec<u8>, Error> {
    let mut records = Vec::with_capacity(indices.len() * cifar::RECORD_BYTES);
    for (number, batch) in batches.iter().enumerate() {
        let first = number * BATCH_RECORDS;
        let wanted: Vec<usize> = indices
            .iter()
            .map(|&index| index as usize)
            .filter(|index| (first..first + BATCH_RECORDS).contains(index))
            .map(|index| index - first)
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let member = format!("{FOLDER}/{batch}");
        let bytes = archive_member(archive, &member)?;
        let file = format!("{}: {member}", archive.display());
        let found = cifar::decode_python_batch(&file, &bytes)?;
        for index in wanted {
            let record =
                found.labels.data.get(index).zip(found.pixels.data.chunks(3072).nth(index));
            let Some((&label, pixels)) = record else {
                let expected = format!("at least {} records", index + 1);
                let got = found.labels.data.len().to_string();
                return Err(Error::decode(&file, "CIFAR python batch", expected, got));
            };
            records.push(label);
            records.extend_from_slice(pixels);
        }
    }
    Ok(records)
}

/// One file of a `.tar.gz`, of at most [`MAX_BATCH_BYTES`].
fn archive_member(archive: &Path, member: &str) -> Result<Vec<u8>, Error> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Size;

    fn project_store(cache: &Path) -> Store {
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data-manifests");
        Store::new(&manifests, cache.to_owned(), None).unwrap()
    }

    /// The list is committed as ranges; written out it has the recorded hash.
    #[test]
    fn the_index_list_is_made_from_the_ranges_alone() {
        let cache = tempfile::tempdir().unwrap();
        let store = project_store(cache.path());
        let manifest = &store.manifests()["cifar10-subset"];
        let row = manifest.file("official_indices.json").unwrap();
        make(&store, manifest, row, &mut |_| {}).unwrap();
        let made = store.read("cifar10-subset/official_indices.json").unwrap();
        assert_eq!(Size::Exact(made.len() as u64), row.size);
        assert!(made.starts_with(br#"{"train": [0, 1, 2,"#));
    }

    /// A batch with the opcodes of Python 2's pickler: `{'batch_label': …, 'labels': […],
    /// 'data': array([[…], …], dtype=uint8), 'filenames': […]}`.
    fn python_batch(records: &[(u8, [u8; 3])]) -> Vec<u8> {
        let n = u8::try_from(records.len()).unwrap();
        let mut p =
            b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x05batchq\x03U\x06labelsq\x04]q\x05(".to_vec();
        for (label, _) in records {
            p.extend([b'K', *label]);
        }
        p.extend(b"eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07");
        p.extend(b"cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09(K\x01K");
        p.push(n);
        p.extend(b"M\x00\x0c\x86cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b");
        p.extend(b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T");
        p.extend((u32::from(n) * 3072).to_le_bytes());
        for (_, color) in records {
            for plane in color {
                p.extend([*plane; 1024]);
            }
        }
        p.extend(b"tbU\x09filenamesq\x0c]q\x0d(U\x05a.pngeu.");
        p
    }

    fn archive(path: &Path, members: &[(&str, Vec<u8>)]) {
        let gz = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
        let mut tar = tar::Builder::new(gz);
        for (name, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
    }

    /// A subset of one record whose archive comes from a server of the test's own.
    #[test]
    fn a_first_download_of_the_archive_is_told() {
        use std::io::{BufRead as _, BufReader};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar.gz");
        archive(&path, &[("cifar-10-batches-py/data_batch_1", python_batch(&[(6, [1, 2, 3])]))]);
        let packed = std::fs::read(&path).unwrap();
        let record = select(&path, &TRAIN_BATCHES, &[0]).unwrap();
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/a", server.local_addr().unwrap());
        let expected = verify::sha256(&packed);
        std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let head = BufReader::new(stream.try_clone().unwrap()).lines();
            head.map_while(Result::ok).find(String::is_empty);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", packed.len());
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&packed)).unwrap();
        });
        let manifests = folder.path().join("manifests");
        std::fs::create_dir(&manifests).unwrap();
        let manifest = format!(
            "name = \"set\"\ntitle = \"t\"\nserves = [\"a\"]\nkind = \"derived\"\nlicense = \"MIT\"\n\
             redistribution = \"free\"\ncredit = \"c\"\norigin = \"o\"\n\
             [recipe]\ntext = \"r\"\n[recipe.cifar10_subset]\ntrain = \"0\"\ntest = \"0\"\n\
             [recipe.cifar10_subset.archive]\npath = \"a.tar.gz\"\nmax_bytes = 100000\n\
             sha256_unknown = \"not published\"\nurl = \"{url}\"\n\
             [[file]]\npath = \"train.bin.gz\"\npacking = \"gzip\"\nbytes = {}\nsha256 = \"{}\"\n",
            record.len(),
            verify::sha256(&record)
        );
        std::fs::write(manifests.join("set.toml"), manifest).unwrap();
        let store = Store::new(&manifests, folder.path().join("cache"), None).unwrap();
        let report = store.fetch("set", &mut |_| {}).unwrap();
        let pinned = Some(("set/a.tar.gz".to_owned(), expected));
        assert_eq!(report.files[0].1.as_ref().unwrap(), &Outcome::Made { pinned });
    }

    #[test]
    fn records_are_selected_in_the_official_binary_layout() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar.gz");
        let first = python_batch(&[(6, [1, 2, 3]), (9, [4, 5, 6]), (0, [7, 8, 9])]);
        let second = python_batch(&[(2, [10, 11, 12])]);
        archive(
            &path,
            &[
                ("cifar-10-batches-py/readme.html", b"<html>".to_vec()),
                ("cifar-10-batches-py/data_batch_2", second),
                ("cifar-10-batches-py/data_batch_1", first),
            ],
        );
        let records = select(&path, &TRAIN_BATCHES, &[0, 2, 10_000]).unwrap();
        let picked: Vec<_> = records
            .chunks(cifar::RECORD_BYTES)
            .map(|record| (record[0], record[1], record[1025], record[3072]))
            .collect();
        assert_eq!(picked, [(6, 1, 2, 3), (0, 7, 8, 9), (2, 10, 11, 12)]);

        let beyond = select(&path, &TRAIN_BATCHES, &[3]).unwrap_err().to_string();
        assert!(beyond.contains("data_batch_1") && beyond.contains("at least 4"), "{beyond}");
        let absent = select(&path, &TEST_BATCHES, &[0]).unwrap_err().to_string();
        assert!(absent.contains("test_batch"), "{absent}");
    }

    /// `pickle.dumps({"labels": [6], "data": E()}, 2)` where `E.__reduce__` returns
    /// `(os.system, ("touch /tmp/x",))`.
    #[test]
    fn a_batch_that_wants_to_run_something_is_refused_by_name() {
        let evil =
            b"\x80\x02}q\x00(X\x06\x00\x00\x00labelsq\x01]q\x02K\x06aX\x04\x00\x00\x00dataq\x03\
            cposix\nsystem\nq\x04X\x0c\x00\x00\x00touch /tmp/xq\x05\x85q\x06Rq\x07u.";
        let error = cifar::decode_python_batch("data_batch_1", evil).unwrap_err();
        assert!(matches!(error, Error::Callable { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains("data_batch_1") && message.contains("posix system"), "{message}");
    }
}
