//! Where the sources of the locked dependencies lie: real code and English without any download of data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;

use crate::Error;

/// A dependency from a registry, as Cargo.lock pins it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The checksum of its archive in Cargo.lock, which decides every byte of its files.
    pub checksum: String,
    /// Where cargo unpacked it.
    pub folder: PathBuf,
}

/// The dependencies of a workspace that come from a registry, those of every platform, by name and
/// version.
///
/// # Errors
///
/// [`Error::Dependencies`] if cargo cannot list them, or Cargo.lock does not pin one, or one is not
/// unpacked.
pub fn dependencies(workspace_root: &Path) -> Result<Vec<Dependency>, Error> {
    let failed = |problem: String| Error::Dependencies { root: workspace_root.to_owned(), problem };
    let metadata = MetadataCommand::new()
        .current_dir(workspace_root)
        .other_options(vec!["--locked".to_owned()])
        .exec()
        .map_err(|error| failed(error.to_string()))?;
    let path = workspace_root.join("Cargo.lock");
    let lock = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    let checksums = checksums(&lock).map_err(failed)?;
    let mut found = Vec::new();
    for package in metadata.packages.iter().filter(|package| package.source.is_some()) {
        let (name, version) = (package.name.to_string(), package.version.to_string());
        // One from a git repository has no checksum, and is left out.
        let Some(checksum) = checksums.get(&(name.clone(), version.clone())) else { continue };
        let folder = package.manifest_path.parent().map(|folder| folder.as_std_path().to_owned());
        let folder = folder.filter(|folder| folder.is_dir());
        let folder = folder.ok_or_else(|| failed(format!("{name} {version} is not unpacked")))?;
        found.push(Dependency { name, version, checksum: checksum.clone(), folder });
    }
    found.sort();
    Ok(found)
}

/// The checksum of each package by name and version.
fn checksums(lock: &str) -> Result<BTreeMap<(String, String), String>, String> {
    #[derive(serde::Deserialize)]
    struct Lock {
        package: Vec<Package>,
    }
    #[derive(serde::Deserialize)]
    struct Package {
        name: String,
        version: String,
        checksum: Option<String>,
    }
    let lock: Lock = toml::from_str(lock).map_err(|error| format!("Cargo.lock: {error}"))?;
    let packages = lock.package.into_iter();
    Ok(packages.filter_map(|it| Some(((it.name, it.version), it.checksum?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dependencies_of_this_project_are_found_where_cargo_put_them() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let found = dependencies(&root).unwrap();
        assert!(found.is_sorted());
        let toml = found.iter().find(|it| it.name == "toml").unwrap();
        assert!(toml.folder.join("src/lib.rs").is_file());
        assert_eq!(toml.checksum.len(), 64);
        assert!(found.iter().all(|it| it.name != "manifest"), "crates of the workspace are none");
    }

    #[test]
    fn a_workspace_that_is_none_and_a_broken_lock_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let error = dependencies(folder.path()).unwrap_err().to_string();
        assert!(error.contains("cargo fetch --locked"), "{error}");
        assert!(checksums("[[package]]\nname = 1").unwrap_err().contains("Cargo.lock"));
    }
}
