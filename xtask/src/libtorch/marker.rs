//! The file that an installation leaves behind: what was installed, from where, with which hashes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::hash;

const NAME: &str = "msdeblur-libtorch.json";

/// Written last, before the finished folder is moved into place.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Marker {
    /// Of this file's format.
    pub(crate) schema_version: u32,
    /// The version of libtorch.
    pub(crate) version: String,
    /// Where it came from, in words.
    pub(crate) source: String,
    /// The libraries.
    pub(crate) files: Vec<Entry>,
}

/// One installed library.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Relative to the folder of the marker.
    pub(crate) path: String,
    /// In bytes.
    pub(crate) size: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub(crate) sha256: String,
}

impl Marker {
    /// The marker of a folder; `None` where there is none, as in a libtorch of the user's own.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(NAME)).ok()?).ok()
    }

    /// Whether the folder was made by this task and may be replaced by it.
    pub(crate) fn is_in(folder: &Path) -> bool {
        folder.join(NAME).is_file()
    }

    /// Describes all files of `lib`.
    pub(crate) fn describe(folder: &Path, version: &str, source: &str) -> Result<Self> {
        let libraries = folder.join("lib");
        let listing = fs::read_dir(&libraries)
            .with_context(|| format!("cannot list {}", libraries.display()))?;
        let mut files = Vec::new();
        for file in listing {
            let file = file.with_context(|| format!("cannot list {}", libraries.display()))?;
            let path = file.path();
            if fs::symlink_metadata(&path).is_ok_and(|data| data.is_file()) {
                let size = fs::metadata(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?
                    .len();
                let name = file.file_name().to_string_lossy().into_owned();
                files.push(Entry {
                    path: format!("lib/{name}"),
                    size,
                    sha256: hash::sha256(&path)?,
                });
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self {
            schema_version: 1,
            version: version.to_owned(),
            source: source.to_owned(),
            files,
        })
    }

    /// A marker for tests of what may be replaced.
    #[cfg(test)]
    pub(crate) fn describe_nothing() -> Self {
        Self {
            schema_version: 1,
            version: String::new(),
            source: "a test".to_owned(),
            files: Vec::new(),
        }
    }

    /// Writes the marker into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(NAME);
        let text = serde_json::to_string_pretty(self).context("cannot encode the marker")?;
        fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads every file again and compares its hash with the one of the installation.
    ///
    /// # Errors
    /// The first file that is missing or differs.
    pub(crate) fn verify(&self, folder: &Path) -> Result<()> {
        for entry in &self.files {
            let path = folder.join(&entry.path);
            let found = hash::sha256(&path)?;
            if found != entry.sha256 {
                return Err(Failure::error(
                    format!(
                        "{} changed since it was installed (SHA-256 {found}, was {})",
                        path.display(),
                        entry.sha256
                    ),
                    "install it again: cargo xtask libtorch --reinstall",
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("lib")).unwrap();
        let library = folder.path().join("lib/libc10.so");
        fs::write(&library, b"\x7FELF one").unwrap();
        Marker::describe(folder.path(), "2.11.0", "a test")
            .unwrap()
            .write(folder.path())
            .unwrap();
        let marker = Marker::read(folder.path()).unwrap();
        marker.verify(folder.path()).unwrap();
        fs::write(&library, b"\x7FELF two").unwrap();
        let error = marker.verify(folder.path()).unwrap_err().to_string();
        assert!(error.contains("libc10.so changed"), "{error}");
    }
}
