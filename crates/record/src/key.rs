//! The cache key: a stored result counts only while everything it depends on is unchanged.
//!
//! The key of a run is the SHA-256 of the canonical JSON of [`Key`]. Its parts are stored beside the
//! result, so that a plan can say which of them changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Description, Device, Error, InputHash, Tier, canonical};

/// Everything that a result depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The experiment's id.
    pub id: String,
    /// The tier.
    pub tier: Tier,
    /// The resolved configuration, seeds and data-set names included.
    pub config: Value,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// Hashes of the data that it reads.
    pub inputs: Vec<InputHash>,
    /// Result hashes of the experiments that it needs, by id.
    pub needs: BTreeMap<String, String>,
    /// Source hashes: the binary's own file, and each workspace crate that it is built on, by path.
    pub code: BTreeMap<String, String>,
    /// Locked versions of the dependencies outside the workspace, with their features.
    pub dependencies: BTreeSet<String>,
    /// The compiler's version line.
    pub rustc: String,
    /// How the compiler is called: the profile that experiments are built with, and flags from the
    /// environment and from the workspace's .cargo folder.
    pub build: BTreeMap<String, String>,
    /// Where tensors live.
    pub device: Device,
    /// Features of the experiment's package that are on.
    pub features: BTreeSet<String>,
}

impl Key {
    /// The key's SHA-256.
    ///
    /// # Errors
    /// [`Error::NotJson`].
    pub fn hash(&self) -> Result<String, Error> {
        canonical::hash(&format!("the cache key of {}", self.id), self)
    }

    /// SHA-256 over the source hashes, recorded as `code_hash`.
    ///
    /// # Errors
    /// [`Error::NotJson`].
    pub fn code_hash(&self) -> Result<String, Error> {
        canonical::hash(&format!("the sources of {}", self.id), &self.code)
    }

    /// What differs from an older key, in words, for instance `crates/geometry changed`.
    pub fn changes_since(&self, older: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        let mut note = |differs: bool, what: &str| {
            if differs {
                changes.push(format!("{what} changed"));
            }
        };
        note(self.tier != older.tier, "tier");
        let fields = canonical::differing_fields(&older.config, &self.config).join(", ");
        note(!fields.is_empty(), &format!("config ({fields})"));
        note(fields.is_empty() && self.seeds != older.seeds, "list of seeds");
        for input in &self.inputs {
            note(!older.inputs.contains(input), &format!("input {}", input.name));
        }
        note(self.inputs.len() < older.inputs.len(), "list of inputs");
        let paths: BTreeSet<_> = self.code.keys().chain(older.code.keys()).collect();
        for path in paths {
            note(self.code.get(path) != older.code.get(path), path);
        }
        for id in self.needs.keys().chain(older.needs.keys()).collect::<BTreeSet<_>>() {
            note(self.needs.get(id) != older.needs.get(id), &format!("result of {id}"));
        }
        note(self.dependencies != older.dependencies, "Cargo.lock");
        note(self.rustc != older.rustc, "rustc");
        for name in self.build.keys().chain(older.build.keys()).collect::<BTreeSet<_>>() {
            note(self.build.get(name) != older.build.get(name), name);
        }
        note(self.device != older.device, "device");
        note(self.features != older.features, "features");
        changes
    }
}

/// An experiment binary of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// The experiment's id.
    pub id: String,
    /// The package that holds it.
    pub package: String,
    /// Its source file, relative to the workspace's root.
    pub source: PathBuf,
}

/// The workspace as `cargo metadata` tells it.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    metadata: Metadata,
    rustc: String,
    build: BTreeMap<String, String>,
}

impl Workspace {
    /// The root of the workspace around a folder: the nearest one above that has paper/index.toml.
    ///
    /// # Errors
    /// [`Error::NoWorkspace`].
    pub fn find(start: &Path) -> Result<PathBuf, Error> {
        let is_root = |folder: &&Path| {
            folder.join("Cargo.toml").is_file() && folder.join("paper/index.toml").is_file()
        };
        let root = start.ancestors().find(is_root);
        root.map(Path::to_owned).ok_or_else(|| Error::NoWorkspace { start: start.to_owned() })
    }

    /// Asks cargo for the dependency graph and rustc for its version. Of the variables of the
    /// environment, which the caller hands over, those count that change how the compiler is called.
    ///
    /// # Errors
    /// [`Error::Toolchain`], and [`Error::Io`] for an unreadable manifest.
    pub fn load(
        root: &Path,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Error> {
        let metadata = MetadataCommand::new()
            .current_dir(root)
            .other_options(vec!["--locked".to_owned()])
            .exec()
            .map_err(|error| Error::Toolchain {
                command: "cargo metadata --locked",
                complaint: error.to_string(),
            })?;
        let output = Command::new("rustc").arg("--version").current_dir(root).output();
        let rustc = match output {
            Ok(output) if output.status.success() => {
                String::from_utf8_lossy(&output.stdout).trim().to_owned()
            }
            Ok(output) => {
                let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                return Err(Error::Toolchain { command: "rustc --version", complaint });
            }
            Err(error) => {
                let complaint = error.to_string();
                return Err(Error::Toolchain { command: "rustc --version", complaint });
            }
        };
        let mut build = files_that_change_the_build(root)?;
        build.extend(variables.into_iter().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| changes_the_build(name))?;
            Some((name, value.to_string_lossy().into_owned()))
        }));
        Ok(Self { root: root.to_owned(), metadata, rustc, build })
    }

    /// The workspace's root folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Names of the packages under crates/ and experiments/ with the names of those they depend on,
    /// test-only edges left out.
    pub fn crate_edges(&self) -> BTreeMap<String, BTreeSet<String>> {
        let members: BTreeSet<_> = self.metadata.workspace_members.iter().collect();
        let edges = self.metadata.workspace_packages().into_iter().map(|package| {
            let below = self.edges(&package.id).into_iter().filter(|id| members.contains(id));
            let names = below.map(|id| self.metadata[id].name.to_string()).collect();
            (package.name.to_string(), names)
        });
        edges.collect()
    }

    /// Every experiment binary, by id.
    pub fn binaries(&self) -> BTreeMap<String, Binary> {
        let experiments = self.root.join("experiments");
        let packages = self.metadata.workspace_packages().into_iter();
        let packages = packages.filter(|package| package.manifest_path.starts_with(&experiments));
        let binaries = packages.flat_map(|package| {
            let targets = package.targets.iter().filter(|target| target.is_bin());
            targets.map(|target| Binary {
                id: target.name.clone(),
                package: package.name.to_string(),
                source: self.relative(target.src_path.as_std_path()),
            })
        });
        binaries.map(|binary| (binary.id.clone(), binary)).collect()
    }

    /// The cache key of an experiment as it stands in the tree now.
    ///
    /// # Errors
    /// [`Error::NoBinary`] for an unknown id, [`Error::Io`] for an unreadable source.
    pub fn key(
        &self,
        description: &Description,
        tier: Tier,
        inputs: Vec<InputHash>,
        needs: BTreeMap<String, String>,
        device: Device,
    ) -> Result<Key, Error> {
        let (binary, package) = self.binary(&description.id)?;
        let members: BTreeSet<_> = self.metadata.workspace_members.iter().collect();

        let mut code = BTreeMap::new();
        for (path, files) in self.sources(&binary, package)? {
            let mut hashes = BTreeMap::new();
            for file in files {
                hashes.insert(name(&self.relative(&file)), hash_file(&file)?);
            }
            code.insert(path, canonical::hash("source hashes", &hashes)?);
        }
        let closure = self.closure(&package.id).into_iter();
        let dependencies = closure
            .filter(|id| !members.contains(id))
            .map(|id| {
                let package = &self.metadata[id];
                let features = self.node(id).map(|node| node.features.iter().map(|name| &***name));
                let mut features: Vec<_> = features.into_iter().flatten().collect();
                features.sort_unstable();
                format!("{} {} [{}]", package.name, package.version, features.join(", "))
            })
            .collect();
        let features = self.node(&package.id).map(|node| {
            node.features.iter().map(ToString::to_string).filter(|name| name != "default").collect()
        });
        Ok(Key {
            id: description.id.clone(),
            tier,
            config: description.config.clone(),
            seeds: description.seeds.clone(),
            inputs,
            needs,
            code,
            dependencies,
            rustc: self.rustc.clone(),
            build: self.build.clone(),
            device,
            features: features.unwrap_or_default(),
        })
    }

    fn binary(&self, id: &str) -> Result<(Binary, &Package), Error> {
        let no_binary = || Error::NoBinary { id: id.to_owned() };
        let binary = self.binaries().remove(id).ok_or_else(no_binary)?;
        let mut packages = self.metadata.workspace_packages().into_iter();
        let package = packages.find(|package| *package.name == binary.package);
        Ok((binary, package.ok_or_else(no_binary)?))
    }

    /// The files behind each part of an experiment's code: the binary's own file with its package's
    /// manifest, and Cargo.toml, build.rs, src/ and schema/ of each crate that it is built on.
    fn sources(
        &self,
        binary: &Binary,
        own: &Package,
    ) -> Result<BTreeMap<String, Vec<PathBuf>>, Error> {
        let members: BTreeSet<_> = self.metadata.workspace_members.iter().collect();
        let manifest = own.manifest_path.as_std_path().to_owned();
        let mut sources = BTreeMap::from([(
            name(&binary.source),
            vec![self.root.join(&binary.source), manifest],
        )]);
        for id in self.closure(&own.id) {
            if id != &own.id && members.contains(id) {
                let folder = folder_of(&self.metadata[id]);
                sources.insert(name(&self.relative(&folder)), files_of(&folder)?);
            }
        }
        Ok(sources)
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    fn node(&self, id: &PackageId) -> Option<&cargo_metadata::Node> {
        self.metadata.resolve.as_ref()?.nodes.iter().find(|node| &node.id == id)
    }

    /// Direct dependencies that reach the program: normal and build edges.
    fn edges(&self, id: &PackageId) -> Vec<&PackageId> {
        let Some(node) = self.node(id) else { return Vec::new() };
        let reaches = |dependency: &&cargo_metadata::NodeDep| {
            let mut kinds = dependency.dep_kinds.iter();
            kinds.any(|kind| kind.kind != DependencyKind::Development)
        };
        node.deps.iter().filter(reaches).map(|dependency| &dependency.pkg).collect()
    }

    fn closure<'a>(&'a self, start: &'a PackageId) -> BTreeSet<&'a PackageId> {
        let mut seen = BTreeSet::from([start]);
        let mut left = vec![start];
        while let Some(id) = left.pop() {
            left.extend(self.edges(id).into_iter().filter(|below| seen.insert(below)));
        }
        seen
    }
}

/// Whether a variable of the environment changes how cargo calls the compiler for an experiment.
fn changes_the_build(variable: &str) -> bool {
    ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"].contains(&variable)
        || variable.starts_with("CARGO_TARGET_") && variable.ends_with("_RUSTFLAGS")
        || variable.starts_with("CARGO_PROFILE_DEV_")
}

/// The root manifest's profile for experiments, and what the workspace's .cargo folder says.
fn files_that_change_the_build(root: &Path) -> Result<BTreeMap<String, String>, Error> {
    let mut build = BTreeMap::new();
    let path = root.join("Cargo.toml");
    let manifest = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    // Cargo has read it before, so that it is TOML.
    let manifest: toml::Table = manifest.parse().unwrap_or_default();
    let profile = manifest.get("profile").and_then(|profiles| profiles.get("dev"));
    if let Some(profile) = profile {
        build.insert("[profile.dev]".to_owned(), canonical::text("[profile.dev]", profile)?);
    }
    let path = root.join(".cargo/config.toml");
    if path.is_file() {
        build.insert(".cargo/config.toml".to_owned(), hash_file(&path)?);
    }
    Ok(build)
}

fn folder_of(package: &Package) -> PathBuf {
    package.manifest_path.parent().map(|folder| folder.as_std_path().to_owned()).unwrap_or_default()
}

fn name(path: &Path) -> String {
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn hash_file(path: &Path) -> Result<String, Error> {
    Ok(canonical::sha256(&fs::read(path).map_err(Error::io("read", path))?))
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let tops = ["Cargo.toml", "build.rs"].iter().map(|top| folder.join(top));
    let mut files: Vec<_> = tops.filter(|path| path.is_file()).collect();
    let mut folders: Vec<_> = ["src", "schema"].iter().map(|top| folder.join(top)).collect();
    while let Some(current) = folders.pop() {
        if !current.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&current).map_err(Error::io("read", &current))? {
            let path = entry.map_err(Error::io("read", &current))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // What editors and file managers leave behind is no source.
            if name.starts_with('.') || name.ends_with('~') {
                continue;
            }
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_and_the_flags_of_the_compiler_count_and_other_variables_do_not() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(root.path().join(name), text).unwrap();
        let profile = "[profile.dev]\nopt-level = 3\n";
        write("Cargo.toml", profile);
        let plain = files_that_change_the_build(root.path()).unwrap();
        assert_eq!(plain["[profile.dev]"], r#"{"opt-level":3}"#);
        write("Cargo.toml", &format!("# A comment.\n{profile}[profile.bench]\nlto = true\n"));
        assert_eq!(files_that_change_the_build(root.path()).unwrap(), plain);
        fs::create_dir(root.path().join(".cargo")).unwrap();
        write(".cargo/config.toml", "[build]\n");
        assert_ne!(files_that_change_the_build(root.path()).unwrap(), plain);
        for name in ["RUSTFLAGS", "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS"] {
            assert!(changes_the_build(name), "{name}");
        }
        assert!(changes_the_build("CARGO_PROFILE_DEV_OPT_LEVEL"));
        for name in ["PATH", "CARGO_TARGET_DIR", "CARGO_PKG_NAME", "RUSTDOCFLAGS"] {
            assert!(!changes_the_build(name), "{name}");
        }
    }
}
