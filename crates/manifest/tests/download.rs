//! Downloads from a server on this machine that behaves well and badly. No test leaves it.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod fixtures;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use fixtures::{Server, reply, serve, store};
use flate2::Compression;
use flate2::write::GzEncoder;
use manifest::{Error, Outcome, Store, Timeouts, sha256};

const CONTENT: &[u8] = b"0123456789abcdef";

fn row(url: &str) -> String {
    let hash = sha256(CONTENT);
    format!("bytes = {}\nsha256 = \"{hash}\"\nurl = \"{url}\"", CONTENT.len())
}

fn length(n: usize) -> String {
    format!("Content-Length: {n}\r\n")
}

fn fetch(store: &Store) -> Result<Outcome, Error> {
    store.fetch("set", &mut |_| {}).unwrap().files.remove(0).1
}

fn part(folder: &Path) -> Option<Vec<u8>> {
    std::fs::read(folder.join("cache/set/f.bin.part")).ok()
}

fn range(head: &str) -> Option<usize> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("range:"))?;
    line.split_once("bytes=")?.1.trim().strip_suffix('-')?.parse().ok()
}

/// Answers the first request with half of the content, later ones as ranges allow.
fn server_that_breaks_off(honors_ranges: bool) -> Server {
    let mut first = true;
    serve(move |head, stream| {
        if std::mem::take(&mut first) {
            reply(stream, "200 OK", &length(16), &CONTENT[..8]);
            return;
        }
        match range(head).filter(|_| honors_ranges) {
            Some(start) => {
                let headers =
                    format!("{}Content-Range: bytes {start}-15/16\r\n", length(16 - start));
                reply(stream, "206 Partial Content", &headers, &CONTENT[start..]);
            }
            None => reply(stream, "200 OK", &length(16), CONTENT),
        }
    })
}

#[test]
fn a_whole_download_is_verified_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(|_, stream| reply(stream, "200 OK", &length(16), CONTENT));
    let store = store(folder.path(), "f.bin", &row(&server.url), None);
    let mut seen = Vec::new();
    let report = store.fetch("set", &mut |p| seen.push((p.done, p.total))).unwrap();
    assert!(report.is_complete());
    assert!(matches!(report.files[0].1, Ok(Outcome::Downloaded)));
    assert_eq!((seen[0], *seen.last().unwrap()), ((0, Some(16)), (16, Some(16))));
    assert_eq!(store.read("set/f.bin").unwrap(), CONTENT);
    assert_eq!(part(folder.path()), None);
    // The second run finds it and asks nobody.
    assert_eq!(fetch(&store).unwrap(), Outcome::AlreadyThere);
    assert_eq!(server.requests.lock().unwrap().len(), 1);
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let server = server_that_breaks_off(true);
    let store = store(folder.path(), "f.bin", &row(&server.url), None);
    let error = fetch(&store).unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error}");
    assert_eq!(part(folder.path()).as_deref(), Some(&CONTENT[..8]));
    assert!(matches!(store.locate("set/f.bin"), Err(Error::Missing { .. })));

    assert_eq!(fetch(&store).unwrap(), Outcome::Downloaded);
    assert_eq!(range(&server.requests.lock().unwrap()[1]), Some(8));
    assert_eq!(store.read("set/f.bin").unwrap(), CONTENT);
}

#[test]
fn attempts_resume_within_one_fetch() {
    let folder = tempfile::tempdir().unwrap();
    let server = server_that_breaks_off(true);
    let store = store(folder.path(), "f.bin", &row(&server.url), None)
        .with_timeouts(Timeouts { attempts: 2, ..Timeouts::default() });
    assert_eq!(fetch(&store).unwrap(), Outcome::Downloaded);
    assert_eq!(server.requests.lock().unwrap().len(), 2);
}

#[test]
fn a_server_that_ignores_ranges_is_read_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let server = server_that_breaks_off(false);
    let store = store(folder.path(), "f.bin", &row(&server.url), None);
    assert!(fetch(&store).is_err());
    assert_eq!(fetch(&store).unwrap(), Outcome::Downloaded);
    assert_eq!(store.read("set/f.bin").unwrap(), CONTENT);
}

#[test]
fn a_server_that_answers_with_another_range_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = true;
    let server = serve(move |_, stream| {
        if std::mem::take(&mut first) {
            reply(stream, "200 OK", &length(16), &CONTENT[..8]);
        } else {
            let headers = format!("{}Content-Range: bytes 0-7/16\r\n", length(8));
            reply(stream, "206 Partial Content", &headers, &CONTENT[..8]);
        }
    });
    let store = store(folder.path(), "f.bin", &row(&server.url), None);
    assert!(fetch(&store).is_err());
    let error = fetch(&store).unwrap_err().to_string();
    assert!(error.contains("another range"), "{error}");
    assert_eq!(part(folder.path()), None, "an empty partial file was left");
}

#[test]
fn wrong_bytes_are_never_used() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(|_, stream| reply(stream, "200 OK", &length(16), b"0123456789abcdeX"));
    let store = store(folder.path(), "f.bin", &row(&server.url), None);
    let error = fetch(&store).unwrap_err().to_string();
    assert!(error.contains(&sha256(CONTENT)) && error.contains("f.bin"), "{error}");
    assert_eq!(part(folder.path()), None);
    assert!(matches!(store.locate("set/f.bin"), Err(Error::Missing { .. })));
}

#[test]
fn a_shorter_file_than_the_row_says_is_a_mismatch() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(|_, stream| reply(stream, "200 OK", &length(3), b"012"));
    let store = store(folder.path(), "f.bin", &row(&server.url), None);
    let error = fetch(&store).unwrap_err().to_string();
    assert!(error.contains("expected 16 bytes, got 3 bytes"), "{error}");
}

#[test]
fn more_bytes_than_the_row_allows_are_refused_announced_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(|head, stream| {
        if head.starts_with("GET /file ") {
            // Announces nothing and does not stop by itself.
            reply(stream, "200 OK", "", CONTENT);
            while stream.write_all(&[0; 4096]).is_ok() {}
        } else {
            reply(stream, "200 OK", &length(17), b"0123456789abcdefg");
        }
    });
    for url in [server.url.clone(), server.url.replace("/file", "/announced")] {
        let store = store(folder.path(), "f.bin", &row(&url), None);
        let error = fetch(&store).unwrap_err();
        assert!(matches!(error, Error::TooLong { limit: 16, .. }), "{error}");
        assert_eq!(part(folder.path()), None);
    }
}

#[test]
fn a_missing_page_is_named_with_its_status() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(|_, stream| reply(stream, "404 Not Found", &length(9), b"not found"));
    let store = store(folder.path(), "f.bin", &row(&server.url), None);
    let error = fetch(&store).unwrap_err();
    assert!(matches!(error, Error::Status { status: 404, .. }), "{error}");
    assert!(error.to_string().contains(&server.url));
    assert_eq!(part(folder.path()), None, "an empty partial file was left");
}

#[test]
fn a_server_that_never_answers_or_falls_silent_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(|head, stream| {
        if head.starts_with("GET /halfway ") {
            reply(stream, "200 OK", &length(16), &CONTENT[..4]);
        }
        // The connection stays open; a later one is not served meanwhile.
        std::thread::sleep(Duration::from_secs(2));
    });
    let before = Instant::now();
    let silent = store(folder.path(), "f.bin", &row(&server.url), None);
    let error = fetch(&silent).unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error}");
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());

    std::thread::sleep(Duration::from_secs(2));
    let url = server.url.replace("/file", "/halfway");
    let halfway = store(folder.path(), "f.bin", &row(&url), None);
    let error = fetch(&halfway).unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error}");
    assert_eq!(part(folder.path()).as_deref(), Some(&CONTENT[..4]));
}

#[test]
fn a_closed_port_is_a_network_error() {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/file");
    let store = store(folder.path(), "f.bin", &row(&url), None);
    let error = fetch(&store).unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error}");
    assert!(error.to_string().contains(&url));
}

/// Also shows that the TLS library is set up: without a provider it would panic here.
#[test]
fn a_server_without_encryption_behind_an_https_url_is_a_network_error() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(|_, stream| reply(stream, "200 OK", &length(16), CONTENT));
    let url = server.url.replace("http://", "https://");
    let store = store(folder.path(), "f.bin", &row(&url), None);
    let error = fetch(&store).unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error}");
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn packed_files_are_verified_by_their_content() {
    let folder = tempfile::tempdir().unwrap();
    let packed = gzip(CONTENT);
    let server = serve(move |_, stream| reply(stream, "200 OK", &length(packed.len()), &packed));
    let row = format!("packing = \"gzip\"\n{}", row(&server.url));
    let store = store(folder.path(), "f.bin", &row, None);
    assert_eq!(fetch(&store).unwrap(), Outcome::Downloaded);
    assert_eq!(store.read("set/f.bin").unwrap(), CONTENT);
    assert_eq!(store.locate("set/f.bin").unwrap().bytes, 16);
}

#[test]
fn a_finished_partial_file_of_unknown_length_is_recognized() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(|_, stream| reply(stream, "416 Range Not Satisfiable", &length(0), b""));
    let row = format!("packing = \"gzip\"\n{}", row(&server.url));
    let store = store(folder.path(), "f.bin", &row, None);
    std::fs::create_dir_all(folder.path().join("cache/set")).unwrap();
    std::fs::write(folder.path().join("cache/set/f.bin.part"), gzip(CONTENT)).unwrap();
    assert_eq!(fetch(&store).unwrap(), Outcome::Downloaded);
    assert_eq!(store.read("set/f.bin").unwrap(), CONTENT);
}

#[test]
fn a_gzip_bomb_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let bomb = gzip(&vec![0; 1 << 20]);
    assert!(bomb.len() < 4096);
    let server = serve(move |_, stream| reply(stream, "200 OK", &length(bomb.len()), &bomb));
    let row = format!("packing = \"gzip\"\n{}", row(&server.url));
    let store = store(folder.path(), "f.bin", &row, None);
    let error = fetch(&store).unwrap_err().to_string();
    assert!(error.contains("expected 16 bytes, got more than 16"), "{error}");
    assert_eq!(part(folder.path()), None);
}

#[test]
fn a_first_download_of_unknown_hash_is_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(|_, stream| reply(stream, "200 OK", &length(16), CONTENT));
    let row =
        format!("max_bytes = 100\nsha256_unknown = \"not published\"\nurl = \"{}\"", server.url);
    let store = store(folder.path(), "f.bin", &row, None);
    assert_eq!(fetch(&store).unwrap(), Outcome::Pinned { sha256: sha256(CONTENT) });
    assert_eq!(store.read("set/f.bin").unwrap(), CONTENT);
    // Whatever comes later must be the same.
    std::fs::write(folder.path().join("cache/set/f.bin"), b"other").unwrap();
    let error = store.locate("set/f.bin").unwrap_err().to_string();
    assert!(error.contains(&sha256(CONTENT)), "{error}");
}

/// Two halves of different files would be pinned as one.
#[test]
fn a_download_of_unknown_hash_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let server = server_that_breaks_off(true);
    let row =
        format!("max_bytes = 100\nsha256_unknown = \"not published\"\nurl = \"{}\"", server.url);
    let store = store(folder.path(), "f.bin", &row, None);
    assert!(fetch(&store).is_err());
    assert_eq!(fetch(&store).unwrap(), Outcome::Pinned { sha256: sha256(CONTENT) });
    assert_eq!(range(&server.requests.lock().unwrap()[1]), None);
}

#[test]
fn two_downloads_of_one_file_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), "f.bin", &row("http://127.0.0.1:9/file"), None);
    std::fs::create_dir_all(folder.path().join("cache/set")).unwrap();
    let other = std::fs::File::create(folder.path().join("cache/set/f.bin.part")).unwrap();
    other.lock().unwrap();
    assert!(matches!(fetch(&store), Err(Error::Busy { .. })));
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link_out_of_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let server = serve(|_, stream| reply(stream, "200 OK", &length(16), CONTENT));
    let store = store(folder.path(), "f.bin", &row(&server.url), None);
    std::fs::create_dir_all(folder.path().join("cache")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("cache/set")).unwrap();
    assert!(matches!(fetch(&store), Err(Error::Outside { .. })));
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);

    // Nor through a link to a file that does not exist yet.
    std::fs::remove_file(folder.path().join("cache/set")).unwrap();
    std::fs::create_dir(folder.path().join("cache/set")).unwrap();
    let target = elsewhere.path().join("new");
    std::os::unix::fs::symlink(&target, folder.path().join("cache/set/f.bin.part")).unwrap();
    assert!(matches!(fetch(&store), Err(Error::Outside { .. })));
    assert!(!target.exists());
}
