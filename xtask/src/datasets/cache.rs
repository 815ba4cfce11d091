//! Where data lie, and what is known about them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::manifest::SCHEMA_VERSION;
use crate::atomic;
use crate::failure::Failure;
use crate::lock::Lock;

/// The name of the receipt in the folder of a set.
pub(crate) const RECEIPT: &str = ".receipt.json";

/// The folder that holds all sets.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// What was put where, and from where.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receipt {
    pub(crate) schema_version: u32,
    /// Of the set.
    pub(crate) name: String,
    /// SHA-256 of the manifest and its lists on that day.
    pub(crate) manifest_sha256: String,
    /// The user's own folder that is the set; `None` when the set lies beside the receipt.
    pub(crate) adopted: Option<PathBuf>,
    /// What was fetched.
    pub(crate) sources: Vec<Used>,
    /// What the set holds.
    pub(crate) files: Vec<FileRecord>,
}

/// A file that was fetched or given.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Used {
    pub(crate) part: String,
    pub(crate) kind: String,
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

/// A file of a set.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileRecord {
    /// Relative to the set, with `/`.
    pub(crate) path: String,
    /// Bytes.
    pub(crate) size: u64,
    /// Lower-case hexadecimal.
    pub(crate) sha256: String,
}

/// How far a set is.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Here, whole.
    Fetched,
    /// In a folder of the user.
    Adopted,
    /// Begun.
    Partial,
    /// Not here.
    Absent,
}

impl State {
    /// As it is shown.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Adopted => "adopted",
            Self::Partial => "partial",
            Self::Absent => "absent",
        }
    }
}

impl Cache {
    /// The cache in `root`, which need not exist yet.
    ///
    /// # Errors
    /// When the working folder is gone, to which a relative path would refer.
    pub(crate) fn at(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root)
            .with_context(|| format!("cannot resolve {}", root.display()))?;
        Ok(Self { root })
    }

    /// Where the set is put, and its receipt.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Where its downloads lie until it is whole.
    pub(crate) fn downloads(&self, name: &str) -> PathBuf {
        self.root.join("downloads").join(name)
    }

    /// Holds other runs on this set back.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub(crate) fn lock(&self, name: &str) -> Result<Lock> {
        // Outside of the set, which is moved as a whole.
        let path = self.root.join(format!(".{name}.lock"));
        Lock::take(&path, &format!("fetching {name}"))
    }

    /// A new folder beside the set, so that it can be moved there by renaming. What a killed run left is removed; the
    /// caller has the lock.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(crate) fn staging(&self, name: &str) -> Result<TempDir> {
        // No name of a set has a dot, so that no other set begins like this.
        let prefix = format!(".{name}.new-");
        let cannot_list = || format!("cannot list {}", self.root.display());
        for entry in fs::read_dir(&self.root).with_context(cannot_list)? {
            let entry = entry.with_context(cannot_list)?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let path = entry.path();
                fs::remove_dir_all(&path)
                    .with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(&self.root)
            .with_context(|| format!("cannot create a folder in {}", self.root.display()))
    }

    /// What is known about a set; `None` when it is not here.
    ///
    /// # Errors
    /// A receipt that cannot be read, or that another version of this program has written.
    pub(crate) fn receipt(&self, name: &str) -> Result<Option<Receipt>> {
        let path = self.folder(name).join(RECEIPT);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let receipt: Option<Receipt> = serde_json::from_slice(&text).ok();
        match receipt {
            Some(receipt) if receipt.schema_version == SCHEMA_VERSION => Ok(Some(receipt)),
            _ => Err(Failure::error(
                format!("{} is damaged, or of another version", path.display()),
                format!(
                    "delete {} and fetch {name} again",
                    self.folder(name).display()
                ),
            )),
        }
    }

    /// Where the data of a receipt lie.
    pub(crate) fn data(&self, receipt: &Receipt) -> PathBuf {
        receipt
            .adopted
            .clone()
            .unwrap_or_else(|| self.folder(&receipt.name))
    }

    /// How far a set is. A folder that was adopted and is gone is absent.
    ///
    /// # Errors
    /// See [`Cache::receipt`].
    pub(crate) fn state(&self, name: &str) -> Result<State> {
        if let Some(receipt) = self.receipt(name)? {
            let is_there = self.data(&receipt).is_dir();
            return Ok(match receipt.adopted {
                Some(_) if is_there => State::Adopted,
                Some(_) => State::Absent,
                None => State::Fetched,
            });
        }
        let holds =
            |folder: &Path| fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        Ok(if holds(&self.downloads(name)) {
            State::Partial
        } else {
            State::Absent
        })
    }

    /// Where a set is that can be used.
    ///
    /// # Errors
    /// When it is not here.
    pub(crate) fn find(&self, name: &str) -> Result<(Receipt, PathBuf)> {
        let absent = |what: String| {
            Failure::error(
                what,
                format!(
                    "cargo xtask datasets fetch {name}; with a copy of your own: cargo xtask datasets fetch {name} --from PATH"
                ),
            )
        };
        let Some(receipt) = self.receipt(name)? else {
            return Err(absent(format!("{name} is not in {}", self.root.display())));
        };
        let data = self.data(&receipt);
        if !data.is_dir() {
            let what = format!("{name} was adopted from {}, which is gone", data.display());
            return Err(absent(what));
        }
        Ok((receipt, data))
    }
}

impl Receipt {
    /// Writes the receipt into `folder`, whole or not at all.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(RECEIPT);
        let cannot_write = || format!("cannot write {}", path.display());
        fs::create_dir_all(folder).with_context(cannot_write)?;
        atomic::write(&path, &serde_json::to_vec_pretty(self)?)
    }

    /// Files that are gone or have another length; looks at no content, which takes no time.
    pub(crate) fn damage(&self, data: &Path) -> Vec<&str> {
        self.files
            .iter()
            .filter(|file| {
                !fs::metadata(data.join(&file.path))
                    .is_ok_and(|found| found.is_file() && found.len() == file.size)
            })
            .map(|file| file.path.as_str())
            .collect()
    }
}
