//! Hostile files: each is refused with an error that names it, and nothing is destroyed.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod fixtures;

use std::path::Path;

use fixtures::{TENSOR, four_floats, manifest_text, pickle, store, torch_archive};
use manifest::decode::{Array, Numbers, gzip, pytorch};
use manifest::{Error, Manifest, sha256};

const CONTENT: &[u8] = b"content";

fn row(content: &[u8]) -> String {
    let url = "http://127.0.0.1:9/";
    format!("bytes = {}\nsha256 = \"{}\"\nurl = \"{url}\"", content.len(), sha256(content))
}

fn put(root: &Path, content: &[u8]) -> std::path::PathBuf {
    let path = root.join("set/f.bin");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn a_truncated_or_altered_file_is_not_used_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), "f.bin", &row(CONTENT), None);
    for wrong in [&b"conten"[..], b"contenT", b"content and more", b""] {
        let path = put(&folder.path().join("cache"), wrong);
        let error = store.read("set/f.bin").unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains("f.bin") && message.contains("just data set"), "{message}");
        assert_eq!(std::fs::read(path).unwrap(), wrong);
    }
}

#[test]
fn a_good_mirror_stands_in_for_a_bad_cache() {
    let folder = tempfile::tempdir().unwrap();
    let mirror = folder.path().join("mirror");
    let store = store(folder.path(), "f.bin", &row(CONTENT), Some(&mirror));
    put(&folder.path().join("cache"), b"contenT");
    put(&mirror, CONTENT);
    let located = store.locate("set/f.bin").unwrap();
    assert!(located.path.starts_with(mirror.canonicalize().unwrap()));
    assert_eq!(store.read("set/f.bin").unwrap(), CONTENT);
}

#[test]
fn a_file_changed_after_its_hash_was_remembered_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), "f.bin", &row(CONTENT), None);
    let path = put(&folder.path().join("cache"), CONTENT);
    store.locate("set/f.bin").unwrap();
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    // Same length, same time stamp: the remembered hash still vouches for it, the bytes do not.
    std::fs::write(&path, b"contenT").unwrap();
    std::fs::File::open(&path).unwrap().set_modified(modified).unwrap();
    assert!(store.locate("set/f.bin").is_ok());
    assert!(matches!(store.read("set/f.bin"), Err(Error::Mismatch { .. })));
}

#[test]
fn a_broken_hash_cache_is_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder.path().join("cache"), CONTENT);
    let remembered = folder.path().join("cache/hashes.toml");
    std::fs::write(&remembered, b"\xff not toml").unwrap();
    store(folder.path(), "f.bin", &row(CONTENT), None).locate("set/f.bin").unwrap();
    assert!(std::fs::read_to_string(remembered).unwrap().contains(&sha256(CONTENT)));
}

#[test]
fn a_forged_hash_cache_cannot_vouch_for_bytes_that_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = put(&folder.path().join("cache"), CONTENT);
    store(folder.path(), "f.bin", &row(CONTENT), None).locate("set/f.bin").unwrap();
    let remembered = folder.path().join("cache/hashes.toml");
    let forged = std::fs::read_to_string(&remembered).unwrap();
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    std::fs::write(&path, b"contenT").unwrap();
    std::fs::File::open(&path).unwrap().set_modified(modified).unwrap();
    std::fs::write(&remembered, forged).unwrap();
    let store = store(folder.path(), "f.bin", &row(CONTENT), None);
    assert!(matches!(store.read("set/f.bin"), Err(Error::Mismatch { .. })));
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_cache_is_refused_and_one_inside_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let store = store(folder.path(), "f.bin", &row(CONTENT), None);
    let path = put(&cache, CONTENT);
    let outside = folder.path().join("outside");
    std::fs::rename(&path, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &path).unwrap();
    let error = store.locate("set/f.bin").unwrap_err();
    assert!(matches!(error, Error::Outside { .. }), "{error}");

    std::fs::remove_file(&path).unwrap();
    std::fs::rename(&outside, cache.join("object")).unwrap();
    std::os::unix::fs::symlink("../object", &path).unwrap();
    assert_eq!(store.read("set/f.bin").unwrap(), CONTENT);
}

#[test]
fn paths_that_climb_or_start_anywhere_else_are_refused() {
    for path in [
        "../f",
        "a/../../f",
        "/etc/passwd",
        "a//b",
        "a/./b",
        "",
        "a/",
        "C:/f",
        "a\\\\b",
        "a\\u0000",
        "a\\nb",
        "f.part",
        "F.PART",
        "..",
        ".",
        "a/.. /b",
    ] {
        let text = manifest_text(path, &row(CONTENT));
        let error = Manifest::parse("set.toml", text.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{path:?}: {error}");
        assert!(error.to_string().contains("set.toml"), "{error}");
    }
}

#[test]
fn manifest_values_out_of_their_domain_are_refused() {
    let good = manifest_text("f.bin", &row(CONTENT));
    assert!(Manifest::parse("set.toml", good.as_bytes()).is_ok());
    let hash = sha256(CONTENT);
    let upper = hash.to_uppercase();
    for (from, to) in [
        (hash.as_str(), upper.as_str()),
        (hash.as_str(), &hash[1..]),
        ("bytes = 7", "bytes = -7"),
        ("bytes = 7", "bytes = 2000000000000"),
        ("bytes = 7", ""),
        ("bytes = 7", "bytes = 7\nmax_bytes = 8"),
        ("bytes = 7", "bytes = 7\nsize = 7"),
        ("http://127.0.0.1:9/", "file:///etc/passwd"),
        ("http://127.0.0.1:9/", "http://user@host/"),
        ("http://127.0.0.1:9/", "http://host/a b"),
        ("url = ", "url_unknown = \"lost\"\nurl = "),
        ("\"official\"", "\"derived\""),
        ("\"official\"", "\"mirror-only\""),
        ("\"official\"", "\"guessed\""),
        ("[\"a\"]", "[]"),
        ("[\"a\"]", "[\"f\"]"),
        ("name = \"set\"", "name = \"../set\""),
        ("origin = \"o\"", "origin = \"o\"\ncommit = \"main\""),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        assert!(Manifest::parse("set.toml", text.as_bytes()).is_err(), "{to}");
    }
    let twice = format!("{good}\n[[file]]\npath = \"F.bin\"\n{}\n", row(CONTENT));
    assert!(Manifest::parse("set.toml", twice.as_bytes()).is_err());
    let inside = format!("{good}\n[[file]]\npath = \"f.bin/g\"\n{}\n", row(CONTENT));
    assert!(Manifest::parse("set.toml", inside.as_bytes()).is_err());
    assert!(Manifest::parse("set.toml", b"name = \"\xff\"").is_err());
}

#[test]
fn a_gzip_bomb_stops_at_its_bound() {
    use std::io::Write;
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut encoder = std::io::BufWriter::new(encoder);
    for _ in 0..64 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = encoder.into_inner().unwrap().finish().unwrap();
    let error = gzip::inflate("bomb.gz", &bomb, 1000).unwrap_err().to_string();
    assert!(error.contains("bomb.gz") && error.contains("at most 1000 bytes"), "{error}");
    let cut = gzip::inflate("cut.gz", &bomb[..bomb.len() / 2], 1 << 27).unwrap_err().to_string();
    assert!(cut.contains("cut.gz") && cut.contains("complete deflate stream"), "{cut}");
}

#[test]
fn tensors_at_the_root_and_in_dictionaries_are_read() {
    let floats = four_floats();
    let want = Numbers::F32(Array { shape: vec![2, 2], data: vec![1.0, 2.0, 3.0, 4.0] });
    let bare = torch_archive(&pickle(&[TENSOR]), &[("0", &floats)]);
    assert_eq!(pytorch::decode_tensor("bare", &bare).unwrap(), want);
    assert!(pytorch::decode_state_dict("bare", &bare).is_err());

    let parameter: [&[u8]; 3] =
        [b"ctorch._utils\n_rebuild_parameter\n(", TENSOR, b"\x88ccollections\nOrderedDict\n)RtR"];
    let parameter = torch_archive(&pickle(&parameter), &[("0", &floats)]);
    assert_eq!(pytorch::decode_tensor("parameter", &parameter).unwrap(), want);

    let nested: [&[u8]; 3] = [b"}X\x01\0\0\0a}X\x01\0\0\0b", TENSOR, b"ss"];
    let nested = torch_archive(&pickle(&nested), &[("0", &floats)]);
    let tensors = pytorch::decode_state_dict("nested", &nested).unwrap();
    assert_eq!(tensors.into_iter().collect::<Vec<_>>(), [("a.b".to_owned(), want)]);
    assert!(pytorch::decode_tensor("nested", &nested).is_err());
}

/// Both were written by Python's pickler for a class whose `__reduce__` returns
/// `(os.system, ("touch /tmp/x",))`: as the root, and as a value of a dictionary beside a tensor.
#[test]
fn a_pickle_that_wants_to_run_something_is_refused_at_the_name() {
    let call = b"cposix\nsystem\nq\x00X\x0c\0\0\0touch /tmp/xq\x01\x85q\x02Rq\x03";
    let root = pickle(&[call]);
    let nested = pickle(&[b"}(X\x01\0\0\0a", TENSOR, b"X\x01\0\0\0b", call, b"u"]);
    // In the arguments of an innocent call, where the result would be dropped.
    let hidden = pickle(&[b"ctorch._utils\n_rebuild_parameter\n(", TENSOR, call, b"tR"]);
    // Named through the stack instead of a line, and thrown away again.
    let popped = pickle(&[b"\x8c\x05posix\x8c\x06system\x930", TENSOR]);
    for evil in [root, nested, hidden, popped] {
        let archive = torch_archive(&evil, &[("0", &four_floats())]);
        for error in [
            pytorch::decode_tensor("evil.torch", &archive).unwrap_err(),
            pytorch::decode_state_dict("evil.torch", &archive).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Callable { .. }), "{error}");
            let message = error.to_string();
            assert!(
                message.contains("evil.torch") && message.contains("posix system"),
                "{message}"
            );
        }
    }
    // Other ways of naming a callable are not operations of plain data.
    for operations in [&b"(S'touch /tmp/x'\niposix\nsystem\n"[..], b"\x82\x01", b"Pid\n"] {
        let archive = torch_archive(&pickle(&[operations]), &[]);
        assert!(pytorch::decode_tensor("evil.torch", &archive).is_err());
    }
}

#[test]
fn tensors_that_claim_more_than_the_file_holds_are_refused() {
    // 10 million rows over four numbers, by a stride of zero.
    let rows = TENSOR.windows(4).position(|w| w == b"K\x02K\x02").unwrap();
    let strides = TENSOR.windows(4).position(|w| w == b"K\x02K\x01").unwrap();
    let wide = [&TENSOR[..rows], b"J\x80\x96\x98\x00", &TENSOR[rows + 2..]].concat();
    let longer = torch_archive(&pickle(&[&wide]), &[("0", &four_floats())]);
    assert!(pytorch::decode_tensor("longer", &longer).is_err());
    let expanded = [
        &TENSOR[..rows],
        b"J\x80\x96\x98\x00",
        &TENSOR[rows + 2..strides],
        b"K\0",
        &TENSOR[strides + 2..],
    ]
    .concat();
    let expanded = torch_archive(&pickle(&[&expanded]), &[("0", &four_floats())]);
    let error = pytorch::decode_tensor("expanded", &expanded).unwrap_err().to_string();
    assert!(error.contains("expanded") && error.contains("file's length"), "{error}");
}

#[test]
fn plain_values_and_other_containers_are_refused() {
    let number: [&[u8]; 3] = [b"}(X\x01\0\0\0a", TENSOR, b"X\x05\0\0\0epochK\x07u"];
    let archive = torch_archive(&pickle(&number), &[("0", &four_floats())]);
    let error = pytorch::decode_state_dict("mixed", &archive).unwrap_err().to_string();
    assert!(error.contains("tensors only"), "{error}");
    assert!(pytorch::decode_tensor("plain.pkl", &pickle(&[b"}"])).is_err());
    assert!(pytorch::decode_tensor("empty", b"").is_err());
}
