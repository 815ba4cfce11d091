//! The files of a folder, and which of them belong to a split.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use globset::GlobMatcher;
use walkdir::WalkDir;

use super::cache::RECEIPT;
use super::catalogue::Entry;
use super::manifest::Split;
use super::validate::glob;

/// A glob of a manifest that has been checked.
pub(super) fn compiled(pattern: &str) -> Result<GlobMatcher> {
    glob(pattern).with_context(|| format!("glob `{pattern}`"))
}

/// All files below `folder`, with `/`, without the receipt. Links are followed: a user's set may be made of them.
pub(super) fn files(folder: &Path) -> Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    for entry in WalkDir::new(folder).follow_links(true) {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        if entry.file_type().is_dir() {
            continue;
        }
        let path = entry
            .path()
            .strip_prefix(folder)
            .with_context(|| format!("cannot list {}", folder.display()))?;
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        files.insert(parts.join("/"));
    }
    files.remove(RECEIPT);
    Ok(files)
}

/// Those of the files in `present` that fit a glob of a split and, where the split has a list, stand in it.
pub(super) fn matches_of(
    present: &BTreeSet<String>,
    entry: &Entry,
    split: &Split,
    pattern: Option<&str>,
) -> Result<Vec<String>> {
    let Some(pattern) = pattern else {
        return Ok(Vec::new());
    };
    let pattern = compiled(pattern)?;
    let label = split.label();
    let listed: Option<BTreeSet<&str>> = split.files.as_ref().map(|_| {
        let rows = entry.list.of_split(&label);
        rows.map(|row| row.path.as_str()).collect()
    });
    Ok(present
        .iter()
        .filter(|path| {
            pattern.is_match(path.as_str())
                && listed
                    .as_ref()
                    .is_none_or(|listed| listed.contains(path.as_str()))
        })
        .cloned()
        .collect())
}
