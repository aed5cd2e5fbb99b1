//! Files that are missing, foreign, damaged or in use: an error that names them, and nothing lost.

use std::fs;
use std::path::Path;

use store::{ActivationReader, ActivationWriter, Capture, Dtype, Error, NonFinite, RowLayout};

use crate::{LAYOUT, append, capture, files, write};

/// Three shards: 12, 12 and 6 rows.
fn three_shards() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), Dtype::F32, 30);
    folder
}

fn open(folder: &Path) -> Error {
    ActivationReader::open(folder, &capture(Dtype::F32)).err().unwrap()
}

fn create(folder: &Path) -> store::Result<ActivationWriter> {
    ActivationWriter::create(folder, &capture(Dtype::F32), LAYOUT, NonFinite::Refuse)
}

fn resume(folder: &Path) -> store::Result<ActivationWriter> {
    ActivationWriter::resume(folder, &capture(Dtype::F32), LAYOUT, NonFinite::Refuse)
}

/// Rewrites an attribute of a file.
fn set_count(path: &Path, name: &str, value: u64) {
    let file = hdf5::File::open_rw(path).unwrap();
    file.attr(name).unwrap().write_scalar(&value).unwrap();
}

#[test]
fn a_shard_that_is_missing_is_named() {
    for missing in 0..3 {
        let folder = three_shards();
        let path = folder.path().join(format!("shard-{missing:06}.h5"));
        fs::remove_file(&path).unwrap();
        match open(folder.path()) {
            Error::MissingShard { path: named, n_shards: 3 } => assert_eq!(named, path),
            other => panic!("{other}"),
        }
        // To one who resumes a store that has no index yet, the last shard is not missing.
        fs::remove_file(folder.path().join("index.h5")).unwrap();
        let before = files(folder.path());
        match resume(folder.path()).map(|writer| writer.n_rows()) {
            Ok(n_rows) => assert_eq!((missing, n_rows), (2, 24)),
            Err(Error::MissingShard { path: named, .. }) => assert_eq!(named, path),
            Err(other) => panic!("{other}"),
        }
        assert!(files(folder.path()) == before);
    }
}

#[test]
fn folders_and_files_of_another_kind_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(open(folder.path()), Error::Foreign { .. }));
    let nowhere = folder.path().join("nowhere");
    assert!(open(&nowhere).to_string().contains("nowhere"));

    let index = folder.path().join("index.h5");
    fs::write(&index, "not HDF5").unwrap();
    assert!(matches!(open(folder.path()), Error::Hdf5 { path, .. } if path == index));

    let file = hdf5::File::create(&index).unwrap();
    file.new_dataset::<f32>().shape(3).create("weights").unwrap();
    file.close().unwrap();
    assert!(matches!(open(folder.path()), Error::Foreign { path, .. } if path == index));
}

#[test]
fn another_version_is_told() {
    let folder = three_shards();
    let index = folder.path().join("index.h5");
    set_count(&index, "format_version", 2);
    assert!(
        matches!(open(folder.path()), Error::Version { path, expected: 1, found: 2 } if path == index)
    );
}

#[test]
fn a_shard_of_another_store_is_refused() {
    // Of another model.
    let (folder, other) = (three_shards(), tempfile::tempdir().unwrap());
    let foreign = Capture { model_sha256: "9".repeat(64), ..capture(Dtype::F32) };
    let mut writer =
        ActivationWriter::create(other.path(), &foreign, LAYOUT, NonFinite::Refuse).unwrap();
    append(&mut writer, 0..30).unwrap();
    writer.finish().unwrap();
    let name = "shard-000001.h5";
    fs::copy(other.path().join(name), folder.path().join(name)).unwrap();
    match open(folder.path()) {
        Error::Mismatch { path, field, .. } => {
            assert_eq!((path, field.as_str()), (folder.path().join(name), "model_sha256"));
        }
        other => panic!("{other}"),
    }
    // Of the same model, but other rows: another shard of the same store.
    let folder = three_shards();
    fs::copy(folder.path().join("shard-000000.h5"), folder.path().join(name)).unwrap();
    match open(folder.path()) {
        Error::Damaged { path, .. } => assert_eq!(path, folder.path().join(name)),
        other => panic!("{other}"),
    }
}

#[test]
fn truncated_shards_are_named() {
    let folder = three_shards();
    let path = folder.path().join("shard-000001.h5");
    let whole = fs::read(&path).unwrap();
    for keep in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..keep]).unwrap();
        let told = open(folder.path()).to_string();
        assert!(told.contains("shard-000001.h5"), "{told}");
    }
}

#[test]
fn a_store_is_never_written_over() {
    let folder = three_shards();
    let before = files(folder.path());
    assert!(matches!(create(folder.path()), Err(Error::Exists { .. })));
    assert!(matches!(resume(folder.path()), Err(Error::Finished { .. })));
    assert!(files(folder.path()) == before);

    // Not one that is unfinished either, and other files in the folder stay.
    fs::remove_file(folder.path().join("index.h5")).unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    assert!(matches!(create(folder.path()), Err(Error::Exists { .. })));
    drop(resume(folder.path()).unwrap());
    assert_eq!(fs::read(folder.path().join("notes.txt")).unwrap(), b"mine");
}

#[test]
fn a_writer_that_resumes_another_store_is_told() {
    let folder = three_shards();
    fs::remove_file(folder.path().join("index.h5")).unwrap();
    let refused = |capture: &Capture, layout| match ActivationWriter::resume(
        folder.path(),
        capture,
        layout,
        NonFinite::Refuse,
    )
    .err()
    {
        Some(Error::Mismatch { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let other = Capture { text_sha256: "9".repeat(64), ..capture(Dtype::F32) };
    assert_eq!(refused(&other, LAYOUT), "text_sha256");
    assert_eq!(refused(&capture(Dtype::F16), LAYOUT), "dtype");
    let layout = RowLayout { shard_chunks: 4, ..LAYOUT };
    assert_eq!(refused(&capture(Dtype::F32), layout), "shard_rows");
    let layout = RowLayout { chunk_rows: 6, shard_chunks: 2 };
    assert_eq!(refused(&capture(Dtype::F32), layout), "shape of tokens");
    let mut other = capture(Dtype::F32);
    other.hooks.reverse();
    assert_eq!(refused(&other, LAYOUT), "data sets");
}

#[test]
fn two_writers_at_once_are_one_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = create(folder.path()).unwrap();
    append(&mut first, 0..5).unwrap();
    assert!(matches!(create(folder.path()), Err(Error::Locked { .. })));
    assert!(matches!(resume(folder.path()), Err(Error::Locked { .. })));
    append(&mut first, 5..30).unwrap();
    first.finish().unwrap();
    let reader = ActivationReader::open(folder.path(), &capture(Dtype::F32)).unwrap();
    assert_eq!(reader.n_rows(), 30);
}

#[test]
fn a_store_of_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(create(folder.path()).unwrap().finish(), Err(Error::Empty { .. })));
    assert!(matches!(open(folder.path()), Error::Foreign { .. }));
    // A folder in which nothing was written can be begun anew.
    create(folder.path()).unwrap();
}

#[test]
fn a_writer_whose_disk_fails_keeps_what_is_complete_and_writes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = create(folder.path()).unwrap();
    append(&mut writer, 0..12).unwrap();
    // The next shard cannot be made: a folder has its name.
    let blocked = folder.path().join("shard-000001.h5.partial");
    fs::create_dir(&blocked).unwrap();
    let told = append(&mut writer, 12..20).unwrap_err();
    assert!(matches!(told, Error::Hdf5 { path, .. } if path == blocked));
    fs::remove_dir(&blocked).unwrap();
    assert!(matches!(append(&mut writer, 12..20), Err(Error::Failed { .. })));
    assert!(matches!(writer.finish(), Err(Error::Failed { .. })));

    let mut writer = resume(folder.path()).unwrap();
    assert_eq!(writer.n_rows(), 12);
    append(&mut writer, 12..30).unwrap();
    writer.finish().unwrap();
    assert!(files(folder.path()) == files(three_shards().path()));
}
