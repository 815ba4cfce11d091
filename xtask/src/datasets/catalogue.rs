//! The manifests of this repository.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::file_list::FileList;
use super::manifest::Manifest;
use super::validate;
use crate::failure::Failure;
use crate::hash;
use sha2::{Digest, Sha256};

/// The folder with the manifests.
pub(crate) struct Catalogue {
    folder: PathBuf,
}

/// One manifest that has been checked, with its lists.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) manifest: Manifest,
    pub(crate) list: FileList,
    /// SHA-256 of the manifest and its lists.
    pub(crate) sha256: String,
}

impl Catalogue {
    /// The manifests in `folder`.
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// The names, sorted.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let cannot_list = || format!("cannot list {}", self.folder.display());
        let mut names = Vec::new();
        for file in fs::read_dir(&self.folder).with_context(cannot_list)? {
            let path = file.with_context(cannot_list)?.path();
            if path.extension().is_some_and(|ending| ending == "toml")
                && let Some(name) = path.file_stem()
            {
                names.push(name.to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// All manifests.
    ///
    /// # Errors
    /// Everything that is wrong with any of them, at once.
    pub(crate) fn all(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut wrong = Vec::new();
        for name in self.names()? {
            match self.read(&name) {
                Ok(entry) => entries.push(entry),
                Err(error) => wrong.push(format!("{error:#}")),
            }
        }
        if wrong.is_empty() {
            return Ok(entries);
        }
        Err(Failure::error(
            wrong.join("\n"),
            "datasets/README.md says how a manifest is written",
        ))
    }

    /// The manifest of a set.
    ///
    /// # Errors
    /// A name that is not there, with those that look like it; everything that is wrong with the manifest, at once.
    pub(crate) fn get(&self, name: &str) -> Result<Entry> {
        let names = self.names()?;
        if names.iter().any(|other| other == name) {
            return self.read(name).map_err(|error| {
                Failure::error(
                    format!("{error:#}"),
                    "datasets/README.md says how a manifest is written",
                )
            });
        }
        let hint = match similar(name, &names) {
            Some(other) => format!("did you mean {other}? `cargo xtask datasets list` shows all"),
            None => "`cargo xtask datasets list` shows those that there are".to_owned(),
        };
        Err(Failure::error(format!("there is no data set {name}"), hint))
    }

    fn read(&self, name: &str) -> Result<Entry> {
        let path = self.folder.join(format!("{name}.toml"));
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let manifest: Manifest =
            toml::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
        let mut hasher = Sha256::new();
        hasher.update(&text);
        let mut list = FileList::default();
        let mut problems = Vec::new();
        let mut files: Vec<&String> = manifest
            .splits
            .iter()
            .filter_map(|split| split.files.as_ref())
            .collect();
        files.sort();
        files.dedup();
        for file in files {
            let is_plain = super::manifest::is_inside(file) && !file.contains('/');
            if !is_plain {
                problems.push(format!("files = `{file}` is no file beside the manifest"));
                continue;
            }
            let path = self.folder.join(file);
            match FileList::read(&path) {
                Ok(more) => list.rows.extend(more.rows),
                Err(error) => problems.push(format!("{error:#}")),
            }
            // What cannot be read has been said above.
            hasher.update(fs::read(&path).unwrap_or_default());
        }
        // Without a list everything that follows from it would be wrong too.
        if problems.is_empty() {
            problems = validate::problems(&manifest, name, &list);
        }
        if !problems.is_empty() {
            let lines = problems.join("\n  ");
            anyhow::bail!("{} is not right:\n  {lines}", path.display());
        }
        Ok(Entry {
            manifest,
            list,
            sha256: hash::hexadecimal(&hasher.finalize()),
        })
    }
}

/// The name that was probably meant.
fn similar<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    let name = name.to_lowercase();
    names
        .iter()
        .map(|other| (strsim::jaro_winkler(&name, other), other.as_str()))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other)
}
