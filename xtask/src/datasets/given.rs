//! What the user has given with `--from`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::catalogue::Entry;
use super::manifest::Source;
use super::sources::local::GivenFile;
use crate::failure::Failure;

/// What `--from` means for a set.
pub(crate) enum Given {
    /// A folder that is the set.
    Folder(PathBuf),
    /// Files, by the part that they provide.
    Files(BTreeMap<String, PathBuf>),
}

/// The sources to try: for a given file the one that it stands for, else all.
pub(crate) fn candidates<'a>(
    entry: &'a Entry,
    part: &'a str,
    given: Option<&Path>,
) -> Vec<&'a Source> {
    let all: Vec<&Source> = entry.manifest.sources_of(part).collect();
    match given {
        Some(path) => stands_for(&all, path).into_iter().collect(),
        None => all,
    }
}

/// The source for which a given file stands: the one that would fetch a file of this name, else the one that expects
/// a file from a person.
fn stands_for<'a>(sources: &[&'a Source], path: &Path) -> Option<&'a Source> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let by_name = sources.iter().find(|source| is_named(source, &name));
    let local = || {
        sources
            .iter()
            .find(|source| matches!(source, Source::Local(_)))
    };
    by_name.or_else(local).copied()
}

fn is_named(source: &Source, name: &str) -> bool {
    let is_package = match source {
        Source::Deb(source) => source.file.as_deref() == Some(name),
        _ => false,
    };
    is_package || GivenFile::instead_of(source, name).is_some()
}

/// Finds out what the user has given.
///
/// # Errors
/// What is neither the set nor one of its files.
pub(crate) fn understand(entry: &Entry, path: &Path) -> Result<Given> {
    let full =
        std::path::absolute(path).with_context(|| format!("cannot resolve {}", path.display()))?;
    let manifest = &entry.manifest;
    if full.is_dir() {
        // A folder of downloads, or the set itself.
        let mut files = BTreeMap::new();
        for source in &manifest.sources {
            for file in fs::read_dir(&full)
                .with_context(|| format!("cannot list {}", full.display()))?
                .flatten()
            {
                if is_named(source, &file.file_name().to_string_lossy()) && file.path().is_file() {
                    files
                        .entry(source.part().to_owned())
                        .or_insert_with(|| file.path());
                }
            }
        }
        return Ok(if files.is_empty() {
            Given::Folder(full)
        } else {
            Given::Files(files)
        });
    }
    if !full.is_file() {
        return Err(Failure::error(
            format!("{} is neither a file nor a folder", full.display()),
            "give the archive, or the folder into which it was unpacked",
        ));
    }
    let name = full.file_name().unwrap_or_default().to_string_lossy();
    let by_name = manifest
        .sources
        .iter()
        .find(|source| is_named(source, &name))
        .map(Source::part);
    let locals: Vec<&str> = manifest
        .sources
        .iter()
        .filter(|source| matches!(source, Source::Local(_)))
        .map(Source::part)
        .collect();
    let part = match (by_name, locals.as_slice()) {
        (Some(part), _) => part,
        (None, [part]) => part,
        _ => {
            return Err(Failure::error(
                format!("{name} is none of the files of {}", manifest.name),
                format!(
                    "rename it as its authors publish it, so that it can be recognised; see {}",
                    manifest.homepage
                ),
            ));
        }
    };
    Ok(Given::Files(BTreeMap::from([(part.to_owned(), full)])))
}
