//! `cargo xtask datasets list`: what there is, and what is here.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use super::cache::{Cache, State};
use super::catalogue::{Catalogue, Entry};
use super::manifest::{Manifest, Role, Source};
use crate::report;

/// One set.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    name: String,
    title: String,
    roles: Vec<Role>,
    /// Bytes to fetch, as far as the manifest says it.
    bytes: Option<u64>,
    licence: String,
    state: State,
    /// Where the data lie, when they are here.
    path: Option<std::path::PathBuf>,
}

/// All sets.
///
/// # Errors
/// Manifests that are not right, and receipts that cannot be read.
pub(crate) fn list(catalogue: &Catalogue, cache: &Cache) -> Result<Vec<Line>> {
    let entries = catalogue.all()?;
    entries.iter().map(|entry| line(entry, cache)).collect()
}

fn line(entry: &Entry, cache: &Cache) -> Result<Line> {
    let manifest = &entry.manifest;
    let state = cache.state(&manifest.name)?;
    let is_here = matches!(state, State::Fetched | State::Adopted);
    let path = match cache.receipt(&manifest.name)? {
        Some(receipt) if is_here => Some(cache.data(&receipt)),
        _ => None,
    };
    Ok(Line {
        name: manifest.name.clone(),
        title: manifest.title.clone(),
        roles: roles(manifest),
        bytes: bytes(manifest),
        licence: manifest.licence.clone(),
        state,
        path,
    })
}

/// What the splits may be used for, each once.
pub(crate) fn roles(manifest: &Manifest) -> Vec<Role> {
    let mut roles: Vec<Role> = manifest.splits.iter().map(|split| split.role).collect();
    roles.sort();
    roles.dedup();
    roles
}

/// Bytes of all parts; `None` when the manifest does not say all of them.
fn bytes(manifest: &Manifest) -> Option<u64> {
    let of_source = |source: &Source| match source {
        Source::Http(source) => source.size,
        Source::Huggingface(source) => source.files.iter().map(|file| file.size).sum(),
        Source::Local(source) => source.size,
        Source::Pip(_) | Source::Deb(_) => None,
    };
    manifest
        .parts()
        .into_iter()
        .map(|part| manifest.sources_of(part).find_map(of_source))
        .sum()
}

/// For people.
pub(crate) fn table(lines: &[Line]) -> String {
    let head = ["name", "title", "roles", "size", "licence", "state"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head)
        .chain(lines.iter().map(|line| {
            let roles: Vec<&str> = line.roles.iter().map(|role| role.name()).collect();
            [
                line.name.clone(),
                line.title.clone(),
                roles.join(", "),
                line.bytes
                    .map_or("not stated".to_owned(), report::megabytes),
                line.licence.clone(),
                line.state.name().to_owned(),
            ]
        }))
        .collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

/// For `datasets/README.md`: what the manifests say, and nothing of this machine.
///
/// # Errors
/// Manifests that are not right.
pub(crate) fn markdown(catalogue: &Catalogue) -> Result<String> {
    let mut text =
        "| name | set | for what | holds | to fetch | licence |\n|---|---|---|---|---|---|"
            .to_owned();
    for entry in catalogue.all()? {
        let manifest = &entry.manifest;
        let roles: Vec<&str> = roles(manifest).into_iter().map(Role::name).collect();
        let holds: Vec<String> = manifest
            .splits
            .iter()
            .map(|split| {
                let what = match (&split.sharp, &split.blurry) {
                    (Some(_), Some(_)) => "pairs",
                    (None, None) => "files",
                    _ => "photos",
                };
                format!("{}: {} {what}", split.label(), split.count)
            })
            .collect();
        let kinds: BTreeSet<&str> = manifest.sources.iter().map(Source::kind).collect();
        let kinds: Vec<&str> = kinds.into_iter().collect();
        let size = bytes(manifest).map_or(String::new(), |bytes| {
            format!(", {}", report::megabytes(bytes))
        });
        let cells = [
            format!("`{}`", manifest.name),
            format!("[{}]({})", manifest.title, manifest.homepage),
            roles.join(", "),
            holds.join("; "),
            format!("{}{size}", kinds.join(", ")),
            manifest.licence.clone(),
        ]
        .map(|cell| cell.replace('|', "\\|"));
        // Writing to a string cannot fail.
        let _ = write!(text, "\n| {} |", cells.join(" | "));
    }
    Ok(text)
}

/// For programs: one object in one line.
pub(crate) fn json(lines: &[Line]) -> String {
    json!({ "version": 1, "type": "datasets", "data": lines }).to_string()
}
