//! Downloading: bounded, resumable, verified before it is used.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Error;
use crate::manifest::{FileRow, Manifest, Origin, Packing, Size};
use crate::store::{self, Store};
use crate::verify;
use crate::{pin, recipe};

/// Time limits of a download, and how often a broken one is taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To reach the server.
    pub connect: Duration,
    /// For the first byte of an answer, and between two pieces of it.
    pub idle: Duration,
    /// How often to try one file in all; each try goes on where the last one broke off.
    pub attempts: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(20), idle: Duration::from_mins(1), attempts: 3 }
    }
}

/// How far the download of a file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// `data-set/path`.
    pub name: &'a str,
    /// Bytes on disk.
    pub done: u64,
    /// Bytes in all, where the row or the server says so.
    pub total: Option<u64>,
}

/// How a file came to be usable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was there already, in the cache or in the mirror.
    AlreadyThere,
    /// It was downloaded and matches its row.
    Downloaded,
    /// It was downloaded; no hash was known, and this one now stands for it.
    ///
    /// This is a warning: the bytes are whatever the server sent the first time.
    Pinned {
        /// SHA-256 of the content.
        sha256: String,
    },
    /// It was made by the manifest's recipe, now or before, and matches its row unless `differs` says why not.
    Made {
        /// Why it is not the recorded file, if it is not; its own hash now stands for it: a warning.
        differs: Option<String>,
        /// Name and SHA-256 of the file it was made from, if that was downloaded now and no hash was
        /// known: a warning, as for [`Outcome::Pinned`].
        pinned: Option<(String, String)>,
    },
}

/// What became of each file of a data set.
#[derive(Debug)]
pub struct FetchReport {
    /// `data-set/path` with its outcome, in the manifest's order.
    pub files: Vec<(String, Result<Outcome, Error>)>,
}

impl FetchReport {
    /// Whether every file is now usable.
    pub fn is_complete(&self) -> bool {
        self.files.iter().all(|(_, outcome)| outcome.is_ok())
    }
}

impl Store {
    /// Gets every file of a data set that is not there yet: downloads official files, makes
    /// derived ones. One file's failure does not keep the others from being fetched.
    ///
    /// A download goes to `<path>.part`, goes on where an earlier one stopped if the row knows the
    /// hash of the whole, may not be longer than the row allows, and takes its final name only once
    /// its content matches the row.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] for a name no manifest has. What happened to a single file stands in the
    /// report.
    pub fn fetch(
        &self,
        set: &str,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<FetchReport, Error> {
        let manifest = self.manifest(set)?;
        let files = manifest
            .files
            .iter()
            .map(|row| (store::full_name(manifest, row), self.fetch_row(manifest, row, progress)));
        Ok(FetchReport { files: files.collect() })
    }

    pub(crate) fn fetch_row(
        &self,
        manifest: &Manifest,
        row: &FileRow,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Outcome, Error> {
        if let Ok(located) = self.locate_row(manifest, row) {
            return Ok(match row.differs(&located.sha256) {
                None => Outcome::AlreadyThere,
                Some(why) => Outcome::Made { differs: Some(why.to_owned()), pinned: None },
            });
        }
        let name = store::full_name(manifest, row);
        match &row.origin {
            Origin::Url(url) => self.download(manifest, row, url, &name, progress),
            Origin::Recipe => recipe::make(self, manifest, row, progress),
            Origin::NoUrl(reason) => Err(Error::NotFetchable { name, reason: reason.clone() }),
        }
    }

    /// The place in the cache where a row's file may be written, its folder made.
    pub(crate) fn writable(&self, manifest: &Manifest, path: &str) -> Result<PathBuf, Error> {
        std::fs::create_dir_all(&self.cache).map_err(Error::io("create", &self.cache))?;
        let relative = Path::new(&manifest.name).join(path);
        // The cache exists by now; where it vanished again, creating the folder below says so.
        let target =
            store::contained(&self.cache, &relative)?.unwrap_or_else(|| self.cache.join(&relative));
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        Ok(target)
    }

    fn download(
        &self,
        manifest: &Manifest,
        row: &FileRow,
        url: &str,
        name: &str,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Outcome, Error> {
        let target = self.writable(manifest, &row.path)?;
        let part = self.writable(manifest, &format!("{}.part", row.path))?;
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&part)
            .map_err(Error::io("open", &part))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { path: part }),
            Err(TryLockError::Error(e)) => return Err(Error::io("lock", &part)(e)),
        }
        let mut transfer = Transfer { row, url, name, part: &part, file, progress };
        let client = client(self.timeouts);
        let mut attempt = 1;
        while let Err(error) = transfer.run(&client) {
            match error {
                Error::Network { .. } if attempt < self.timeouts.attempts => attempt += 1,
                _ => {
                    transfer.discard_if_empty()?;
                    return Err(error);
                }
            }
        }
        let content = verify::hash_content(&part, row).and_then(|content| {
            let remedy = "it was removed: run the same command again, or report the row";
            verify::check(&part, row, row.sha256.as_deref(), &content, remedy).map(|()| content)
        });
        let content = match content {
            Ok(content) => content,
            Err(error) => {
                transfer.discard()?;
                return Err(error);
            }
        };
        transfer.file.sync_all().map_err(Error::io("write", &part))?;
        std::fs::rename(&part, &target).map_err(Error::io("rename", &part))?;
        if row.sha256.is_some() {
            return Ok(Outcome::Downloaded);
        }
        pin::record(&self.cache, name, &content.sha256)?;
        Ok(Outcome::Pinned { sha256: content.sha256 })
    }
}

fn client(timeouts: Timeouts) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_resolve(Some(timeouts.connect))
        .timeout_connect(Some(timeouts.connect))
        .timeout_recv_response(Some(timeouts.idle))
        .timeout_per_read(Some(timeouts.idle))
        .http_status_as_error(false)
        .user_agent("engram")
        .build()
        .into()
}

/// One file on its way from a server to its partial file.
struct Transfer<'a> {
    row: &'a FileRow,
    url: &'a str,
    name: &'a str,
    part: &'a Path,
    file: File,
    progress: &'a mut dyn FnMut(Progress<'_>),
}

impl Transfer<'_> {
    /// Asks for what is missing and appends it; `Ok` means that the server sent all it promised.
    fn run(&mut self, client: &ureq::Agent) -> Result<(), Error> {
        if self.row.sha256.is_none() {
            // Nothing would tell if the server's file had changed since the first half came.
            self.restart()?;
        }
        let have = self.length()?;
        if self.row.packing == Packing::None && self.row.size == Size::Exact(have) {
            return Ok(());
        }
        let mut request = client.get(self.url);
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let response = request.call().map_err(|e| self.network(e.to_string()))?;
        let status = response.status().as_u16();
        let start = match status {
            200 => {
                self.restart()?;
                0
            }
            206 if have > 0 => {
                let range = response.headers().get("Content-Range").and_then(|v| v.to_str().ok());
                if !range.is_some_and(|range| range.starts_with(&format!("bytes {have}-"))) {
                    self.restart()?;
                    return Err(self.network("the server answered with another range".to_owned()));
                }
                have
            }
            416 if have > 0 => {
                // Nothing lies beyond what is here: either it is the whole file, or not it at all.
                let whole = verify::hash_content(self.part, self.row).and_then(|content| {
                    let expected = self.row.sha256.as_deref();
                    verify::check(self.part, self.row, expected, &content, "")
                });
                if whole.is_ok() {
                    return Ok(());
                }
                self.restart()?;
                return Err(self.network("the partial file does not fit the server's".to_owned()));
            }
            _ => return Err(Error::Status { url: self.url.to_owned(), status }),
        };
        let promised = response.body().content_length().map(|rest| start.saturating_add(rest));
        self.receive(response.into_body().into_reader(), start, promised)
    }

    fn receive(
        &mut self,
        mut body: impl Read,
        start: u64,
        promised: Option<u64>,
    ) -> Result<(), Error> {
        let limit = download_limit(self.row);
        let exact = match (self.row.packing, self.row.size) {
            (Packing::None, Size::Exact(bytes)) => Some(bytes),
            _ => None,
        };
        let mut done = start;
        let mut buffer = vec![0_u8; 1 << 16];
        loop {
            if done.max(promised.unwrap_or(0)) > limit {
                self.discard()?;
                return Err(Error::TooLong { url: self.url.to_owned(), limit });
            }
            let total = promised.or(exact);
            (self.progress)(Progress { name: self.name, done, total });
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    self.file.write_all(&buffer[..n]).map_err(Error::io("write", self.part))?;
                    done += n as u64;
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.network(e.to_string())),
            }
        }
        match promised.or(exact) {
            Some(total) if done < total => {
                Err(self.network(format!("the connection ended after {done} of {total} bytes")))
            }
            _ => Ok(()),
        }
    }

    fn network(&self, problem: String) -> Error {
        Error::Network { url: self.url.to_owned(), problem }
    }

    fn restart(&mut self) -> Result<(), Error> {
        self.file.set_len(0).map_err(Error::io("write", self.part))?;
        self.file.rewind().map_err(Error::io("write", self.part))
    }

    fn length(&self) -> Result<u64, Error> {
        Ok(self.file.metadata().map_err(Error::io("read", self.part))?.len())
    }

    fn discard_if_empty(&mut self) -> Result<(), Error> {
        let is_there_and_empty = self.part.exists() && self.length()? == 0;
        if is_there_and_empty { self.discard() } else { Ok(()) }
    }

    fn discard(&mut self) -> Result<(), Error> {
        std::fs::remove_file(self.part).map_err(Error::io("remove", self.part))
    }
}

/// The longest answer accepted: a packed content may be a little longer than itself.
fn download_limit(row: &FileRow) -> u64 {
    let content = row.size.limit();
    match row.packing {
        Packing::None => content,
        Packing::Gzip => content + content / 1000 + 4096,
    }
}
