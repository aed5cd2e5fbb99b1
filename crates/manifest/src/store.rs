//! Finding files: the cache folder, then the mirror; verified before use.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::decode::{Array, gzip};
use crate::fetch::Timeouts;
use crate::manifest::{FileRow, Kind, Manifest, Origin, Packing};
use crate::pin;
use crate::verify::{self, HashCache};

/// A verified file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Where it lies.
    pub path: PathBuf,
    /// SHA-256 of its content, after inflating where it is packed.
    pub sha256: String,
    /// Length of its content in bytes, after inflating where it is packed.
    pub bytes: u64,
}

/// Where a file of a manifest stands.
#[derive(Debug)]
pub enum State {
    /// In the cache folder, verified.
    Cached,
    /// In the mirror, verified.
    Mirrored,
    /// In neither.
    Missing,
    /// There, but not usable.
    Bad(Error),
}

/// One line of a listing of all data.
#[derive(Debug)]
pub struct Status {
    /// `data-set/path`.
    pub name: String,
    /// How the file comes about.
    pub kind: Kind,
    /// The length of the content, exact or at most, in bytes.
    pub bytes: u64,
    /// Where it stands.
    pub state: State,
}

/// Embeds images with a network, for recipes: of the name and the content of its file of weights and of pixels from 0
/// to 255, `[image, color, row, column]`, it makes embeddings, `[image, number]`.
pub type Extractor =
    fn(&str, &[u8], &Array<u8>) -> Result<Array<f32>, Box<dyn std::error::Error + Send + Sync>>;

/// All manifests and the folders that hold their files.
///
/// A name is `data-set/path`, for example `attention-sdm/KeyQuery_Norm_Learnt_Betas.txt`. Nothing
/// here downloads but [`Store::fetch`].
#[derive(Debug)]
pub struct Store {
    pub(crate) manifests: BTreeMap<String, Manifest>,
    pub(crate) cache: PathBuf,
    pub(crate) timeouts: Timeouts,
    pub(crate) extractor: Option<Extractor>,
    mirror: Option<PathBuf>,
    hashes: HashCache,
}

impl Store {
    /// A store over the manifests of a folder, with explicit folders for cache and mirror.
    ///
    /// # Errors
    ///
    /// Those of [`Manifest::load_all`].
    pub fn new(manifests: &Path, cache: PathBuf, mirror: Option<PathBuf>) -> Result<Self, Error> {
        Ok(Self {
            manifests: Manifest::load_all(manifests)?,
            hashes: HashCache::open(cache.join("hashes.toml")),
            cache,
            mirror,
            timeouts: Timeouts::default(),
            extractor: None,
        })
    }

    /// The store of a workspace: `data-manifests/` below its root, the mirror that
    /// `ENGRAM_DATA_MIRROR` names, and the cache folder that `ENGRAM_DATA_CACHE` names, else
    /// `engram/data` below `XDG_CACHE_HOME` or `~/.cache`, else `results/data` below the root.
    /// Relative names of both start at the root, wherever the program was called.
    ///
    /// # Errors
    ///
    /// Those of [`Manifest::load_all`], and [`Error::NoMirror`].
    pub fn from_env(workspace_root: &Path) -> Result<Self, Error> {
        let cache = cache_folder(workspace_root, variable);
        let mirror = mirror_folder(workspace_root, variable)?;
        Self::new(&workspace_root.join("data-manifests"), cache, mirror)
    }

    /// The same store with other network time limits.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The same store with a network for the recipes that embed images. It is handed in since networks stand on
    /// a higher floor.
    #[must_use]
    pub fn with_extractor(mut self, extractor: Extractor) -> Self {
        self.extractor = Some(extractor);
        self
    }

    /// The manifests, by name.
    pub fn manifests(&self) -> &BTreeMap<String, Manifest> {
        &self.manifests
    }

    /// Finds a file in the cache, then in the mirror, and verifies it. A file that was made here and differs from the
    /// recorded one ([`FileRow::made_differs`]) only counts where the recorded one is in neither.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`] for a name no manifest lists, [`Error::Missing`] with the command that
    /// gets it, [`Error::Mismatch`] or [`Error::Outside`] where a file lies there that must not be
    /// used and no other copy is good.
    pub fn locate(&self, name: &str) -> Result<Located, Error> {
        let (manifest, row) = self.row(name)?;
        self.locate_row(manifest, row)
    }

    /// Reads a file's content, inflated and verified.
    ///
    /// # Errors
    ///
    /// Those of [`Store::locate`]; [`Error::Mismatch`] where the file changed since.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let (manifest, row) = self.row(name)?;
        let located = self.locate_row(manifest, row)?;
        let limit = row.size.limit();
        let file = std::fs::File::open(&located.path).map_err(Error::io("open", &located.path))?;
        let content = match row.packing {
            Packing::Gzip => gzip::inflate_stream(name, file, limit)?,
            Packing::None => {
                let mut content = Vec::new();
                file.take(limit.saturating_add(1))
                    .read_to_end(&mut content)
                    .map_err(Error::io("read", &located.path))?;
                content
            }
        };
        // The remembered hash vouches for size and time only; these are the bytes in use.
        let found = verify::Content::of(&content);
        verify::check(&located.path, row, Some(&located.sha256), &found, &remedy(manifest, row))?;
        Ok(content)
    }

    /// Where every file of every manifest stands, in the order of the manifests.
    pub fn status(&self) -> Vec<Status> {
        let rows = self.manifests.values().flat_map(|m| m.files.iter().map(move |row| (m, row)));
        rows.map(|(manifest, row)| Status {
            name: full_name(manifest, row),
            kind: row.kind,
            bytes: row.size.limit(),
            state: match self.locate_row(manifest, row) {
                Ok(located) if self.is_cached(&located.path) => State::Cached,
                Ok(_) => State::Mirrored,
                Err(Error::Missing { .. }) => State::Missing,
                Err(error) => State::Bad(error),
            },
        })
        .collect()
    }

    pub(crate) fn is_cached(&self, path: &Path) -> bool {
        self.cache.canonicalize().is_ok_and(|cache| path.starts_with(cache))
    }

    pub(crate) fn row(&self, name: &str) -> Result<(&Manifest, &FileRow), Error> {
        let (set, path) = name.split_once('/').unwrap_or((name, ""));
        let manifest = self.manifest(set)?;
        let row = manifest.file(path).ok_or_else(|| Error::Unknown {
            name: name.to_owned(),
            known: join(manifest.files.iter().map(|row| full_name(manifest, row))),
        })?;
        Ok((manifest, row))
    }

    pub(crate) fn manifest(&self, set: &str) -> Result<&Manifest, Error> {
        self.manifests.get(set).ok_or_else(|| Error::Unknown {
            name: set.to_owned(),
            known: join(self.manifests.keys().cloned()),
        })
    }

    pub(crate) fn locate_row(&self, manifest: &Manifest, row: &FileRow) -> Result<Located, Error> {
        let relative = Path::new(&manifest.name).join(&row.path);
        let (mut failure, mut made) = (None, None);
        let roots = std::iter::once(&self.cache).chain(&self.mirror);
        for root in roots.clone() {
            match self.verified(root, &relative, manifest, row) {
                Ok(Some(located)) if row.differs(&located.sha256).is_some() => made = Some(located),
                Ok(Some(located)) => return Ok(located),
                Ok(None) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if let Some(located) = made {
            return Ok(located);
        }
        Err(failure.unwrap_or_else(|| Error::Missing {
            name: full_name(manifest, row),
            looked_in: join(roots.map(|root| root.display().to_string())),
            command: command(manifest),
            remedy: remedy(manifest, row),
        }))
    }

    fn verified(
        &self,
        root: &Path,
        relative: &Path,
        manifest: &Manifest,
        row: &FileRow,
    ) -> Result<Option<Located>, Error> {
        let Some(path) = contained(root, relative)? else { return Ok(None) };
        if !path.is_file() {
            return Ok(None);
        }
        let content = self.hashes.content(&path, row)?;
        // Only the cache holds what was made here.
        let may_be_made = row.made_differs.is_some() && root == self.cache;
        let pinned = if row.sha256.is_none() || may_be_made {
            pin::get(&self.cache, &full_name(manifest, row))?
        } else {
            None
        };
        let made = pinned.as_ref().filter(|pinned| **pinned == content.sha256);
        let expected = made.or(row.sha256.as_ref()).or(pinned.as_ref()).map(String::as_str);
        verify::check(&path, row, expected, &content, &remedy(manifest, row))?;
        Ok(Some(Located { path, sha256: content.sha256, bytes: content.bytes }))
    }
}

/// The cache folder that the variables name; the XDG standard has relative values ignored.
fn cache_folder(workspace_root: &Path, variable: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    let base = || {
        variable("XDG_CACHE_HOME")
            .filter(|base| base.is_absolute())
            .or_else(|| variable("HOME").map(|home| home.join(".cache")))
    };
    variable("ENGRAM_DATA_CACHE")
        .map(|cache| workspace_root.join(cache))
        .or_else(|| base().map(|base| base.join("engram").join("data")))
        .unwrap_or_else(|| workspace_root.join("results").join("data"))
}

/// The folder that the variable for the mirror names. One that is not there is a slip, not a mirror
/// without files.
fn mirror_folder(
    workspace_root: &Path,
    variable: impl Fn(&str) -> Option<PathBuf>,
) -> Result<Option<PathBuf>, Error> {
    let named = variable("ENGRAM_DATA_MIRROR").map(|mirror| workspace_root.join(mirror));
    match named {
        Some(path) if !path.is_dir() => Err(Error::NoMirror { path }),
        named => Ok(named),
    }
}

/// A variable of the environment, where it is set and not empty.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the workspace's libraries that reads the environment"
)]
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// `root/relative` with links resolved, or `None` where `root` does not exist.
///
/// What does not exist yet is judged by its nearest existing ancestor, so that the answer also
/// holds for a file about to be written.
pub(crate) fn contained(root: &Path, relative: &Path) -> Result<Option<PathBuf>, Error> {
    let Ok(root) = root.canonicalize() else { return Ok(None) };
    let full = root.join(relative);
    let outside = || Error::Outside { path: full.clone(), root: root.clone() };
    for ancestor in full.ancestors() {
        match ancestor.canonicalize() {
            Ok(real) if !real.starts_with(&root) => return Err(outside()),
            Ok(real) if ancestor == full => return Ok(Some(real)),
            Ok(_) => break,
            // A link that points nowhere: writing through it would create its target.
            Err(_) if ancestor.is_symlink() => return Err(outside()),
            Err(_) => {}
        }
    }
    Ok(Some(full))
}

pub(crate) fn full_name(manifest: &Manifest, row: &FileRow) -> String {
    format!("{}/{}", manifest.name, row.path)
}

fn command(manifest: &Manifest) -> String {
    format!("just data {}", manifest.name)
}

fn remedy(manifest: &Manifest, row: &FileRow) -> String {
    match &row.origin {
        Origin::Url(_) | Origin::Recipe => format!("get it with `{}`", command(manifest)),
        Origin::NoUrl(reason) => format!(
            "`{}` cannot get it ({reason}); point ENGRAM_DATA_MIRROR at a folder that holds it",
            command(manifest)
        ),
    }
}

fn join(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_folder_follows_the_first_variable_that_is_set() {
        let folder = |set: &[(&str, &str)]| {
            let variable = |name: &str| {
                set.iter().find(|(n, _)| *n == name).map(|(_, value)| PathBuf::from(value))
            };
            cache_folder(Path::new("/w"), variable)
        };
        let all = [("ENGRAM_DATA_CACHE", "/e"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(folder(&all), Path::new("/e"));
        assert_eq!(folder(&all[1..]), Path::new("/x/engram/data"));
        assert_eq!(folder(&all[2..]), Path::new("/h/.cache/engram/data"));
        let relative = [("XDG_CACHE_HOME", "x"), ("HOME", "/h")];
        assert_eq!(folder(&relative), Path::new("/h/.cache/engram/data"));
        assert_eq!(folder(&[]), Path::new("/w/results/data"));
    }

    #[test]
    fn a_mirror_is_a_folder_named_from_the_root() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("data")).unwrap();
        let mirror = |name: Option<&str>| {
            mirror_folder(root.path(), |_| name.map(PathBuf::from)).map_err(|e| e.to_string())
        };
        assert_eq!(mirror(None), Ok(None));
        assert_eq!(mirror(Some("data")), Ok(Some(root.path().join("data"))));
        let error = mirror(Some("dta")).unwrap_err();
        let path = root.path().join("dta").display().to_string();
        assert!(error.contains(&path) && error.contains("ENGRAM_DATA_MIRROR"), "{error}");
    }

    #[test]
    fn unknown_names_list_what_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data-manifests");
        let store = Store::new(&manifests, folder.path().to_owned(), None).unwrap();
        let message = |name: &str| store.locate(name).unwrap_err().to_string();
        assert!(message("nmist/x").contains("gpt2-large, mnist"));
        assert!(message("tinyshakespeare/x").contains("tinyshakespeare/input.txt"));
        assert!(message("tinyshakespeare").contains("tinyshakespeare/input.txt"));
        let missing = message("wikitext-2/valid.txt");
        assert!(missing.contains("cannot get it") && missing.contains("MIRROR"), "{missing}");
    }
}
