//! What several test binaries need: a one-file manifest, a torch archive, a scripted server.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use manifest::{Store, Timeouts};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A manifest `set` of kind `official` with one file, whose other keys are `row`.
pub(crate) fn manifest_text(path: &str, row: &str) -> String {
    format!(
        "name = \"set\"\ntitle = \"t\"\nserves = [\"a\"]\nkind = \"official\"\nlicense = \"l\"\n\
         redistribution = \"free\"\ncredit = \"c\"\norigin = \"o\"\n\n\
         [[file]]\npath = \"{path}\"\n{row}\n"
    )
}

/// A store in `folder` over that manifest, with its cache in `folder/cache`.
pub(crate) fn store(folder: &Path, path: &str, row: &str, mirror: Option<&Path>) -> Store {
    let manifests = folder.join("manifests");
    std::fs::create_dir_all(&manifests).unwrap();
    std::fs::write(manifests.join("set.toml"), manifest_text(path, row)).unwrap();
    let timeouts =
        Timeouts { connect: Duration::from_secs(2), idle: Duration::from_millis(300), attempts: 1 };
    Store::new(&manifests, folder.join("cache"), mirror.map(Path::to_owned))
        .unwrap()
        .with_timeouts(timeouts)
}

/// A zip archive as `torch.save` writes it.
pub(crate) fn torch_archive(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    writer.start_file("archive/data.pkl", stored).unwrap();
    writer.write_all(pickle).unwrap();
    for (key, bytes) in storages {
        writer.start_file(format!("archive/data/{key}"), stored).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.start_file("archive/version", stored).unwrap();
    writer.write_all(b"3\n").unwrap();
    writer.finish().unwrap().into_inner()
}

/// The pickle of a float tensor `[2, 2]` over the storage `0`, without protocol and stop.
pub(crate) const TENSOR: &[u8] = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n\
FloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQK\0K\x02K\x02\x86K\x02K\x01\x86\x89\
ccollections\nOrderedDict\n)RtR";

/// Wraps operations in protocol 2 and a stop.
pub(crate) fn pickle(operations: &[&[u8]]) -> Vec<u8> {
    [b"\x80\x02", operations.concat().as_slice(), b"."].concat()
}

/// Four floats: 1, 2, 3, 4.
pub(crate) fn four_floats() -> Vec<u8> {
    [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// A server on this machine; `answer` gets each request's head and the connection.
pub(crate) struct Server {
    pub(crate) url: String,
    /// The heads of the requests, in order.
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
}

pub(crate) fn serve(mut answer: impl FnMut(&str, &mut TcpStream) + Send + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/file", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
            seen.lock().unwrap().push(head.clone());
            answer(&head, &mut stream);
        }
    });
    Server { url, requests }
}

/// Sends a whole answer; a client that hangs up early is its own affair.
pub(crate) fn reply(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}
