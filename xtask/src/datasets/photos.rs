//! What other tasks use of a set that is here: the photos of a split.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::cache::Cache;
use super::catalogue::{Catalogue, Entry};
use super::listing::{files, matches_of};
use super::manifest::Split;
use super::pairs::pair;
use crate::failure::Failure;

/// The photos of one split.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SplitPhotos {
    /// The folder that all paths are relative to.
    pub(crate) folder: PathBuf,
    /// Sharp photos, sorted.
    pub(crate) sharp: Vec<String>,
    /// Blurry and sharp photos that belong together, sorted.
    pub(crate) pairs: Vec<(String, String)>,
}

/// The split `label` (`NAME` or `NAME/VARIANT`) of a set, whether it is fetched or not.
///
/// # Errors
/// A set or split that does not exist.
pub(crate) fn find_split(catalogue: &Catalogue, name: &str, label: &str) -> Result<(Entry, Split)> {
    let entry = catalogue.get(name)?;
    let split = entry
        .manifest
        .splits
        .iter()
        .find(|split| split.label() == label)
        .cloned();
    if let Some(split) = split {
        return Ok((entry, split));
    }
    let labels: Vec<String> = entry.manifest.splits.iter().map(Split::label).collect();
    Err(Failure::error(
        format!("the data set {name} has no split {label}"),
        format!("it has {}", labels.join(", ")),
    ))
}

/// The photos of a split that has been fetched.
///
/// # Errors
/// A set or split that does not exist or is not here.
pub(crate) fn of_split(
    catalogue: &Catalogue,
    cache: &Cache,
    name: &str,
    label: &str,
) -> Result<SplitPhotos> {
    let (entry, split) = find_split(catalogue, name, label)?;
    let (receipt, folder) = cache.find(name)?;
    let damaged = |what: String| {
        Failure::error(
            format!("{name} in {} is damaged: {what}", folder.display()),
            format!("cargo xtask datasets verify {name}"),
        )
    };
    if let Some(file) = receipt.damage(&folder).first() {
        return Err(damaged(format!("{file} is gone or has another length")));
    }
    let photos = photos_in(&folder, &entry, &split)?;
    let found = if split.pairing.is_some() {
        photos.pairs.len()
    } else {
        photos.sharp.len()
    };
    if found as u64 != split.count {
        return Err(damaged(format!(
            "the split {label} has {found} photos or pairs, expected {}",
            split.count
        )));
    }
    Ok(photos)
}

/// The folder below which the files of the split `label` lie and none of another split.
///
/// # Errors
/// A set or split that does not exist or is not here, or whose files are mixed with those of another split.
pub(crate) fn folder_of_split(
    catalogue: &Catalogue,
    cache: &Cache,
    name: &str,
    label: &str,
) -> Result<PathBuf> {
    let (entry, split) = find_split(catalogue, name, label)?;
    let (_, folder) = cache.find(name)?;
    let present = files(&folder)?;
    let globs = |split: &Split| {
        [
            split.sharp.clone(),
            split.data.clone(),
            split.blurry.clone(),
        ]
    };
    let all_of = |split: &Split| -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        for glob in globs(split) {
            found.extend(matches_of(&present, &entry, split, glob.as_deref())?);
        }
        Ok(found)
    };
    // Sharp photos where there are any: those are what one learns from.
    let pattern = globs(&split).into_iter().flatten().next();
    let wanted = matches_of(&present, &entry, &split, pattern.as_deref())?;
    let Some(below) = common_folder(&wanted) else {
        return Err(Failure::error(
            format!(
                "the split {label} of {name} has no file in {}",
                folder.display()
            ),
            format!("cargo xtask datasets verify {name}"),
        ));
    };
    let own = all_of(&split)?;
    let place = below
        .iter()
        .fold(folder.clone(), |place, part| place.join(part));
    for other in &entry.manifest.splits {
        let is_below = |path: &&String| !own.contains(*path) && folders(path).starts_with(&below);
        if other.label() != label
            && let Some(path) = all_of(other)?.iter().find(is_below)
        {
            return Err(Failure::error(
                format!(
                    "the split {label} of {name} has no folder of its own: {} also holds {path} of the split {}",
                    place.display(),
                    other.label()
                ),
                format!(
                    "put the files that fit {} (below {}) into a folder of their own; links will do",
                    pattern.unwrap_or_default(),
                    folder.display()
                ),
            ));
        }
    }
    Ok(place)
}

/// The folders of a path with `/`, from the outermost.
fn folders(path: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    parts
}

/// The folders that all paths begin with; `None` without any path.
fn common_folder(paths: &[String]) -> Option<Vec<&str>> {
    let all = paths.iter().map(|path| folders(path));
    all.reduce(|mut common, other| {
        let same = common.iter().zip(&other).take_while(|(a, b)| a == b);
        let length = same.count();
        common.truncate(length);
        common
    })
}

fn photos_in(folder: &Path, entry: &Entry, split: &Split) -> Result<SplitPhotos> {
    let present = files(folder)?;
    let sharp = matches_of(&present, entry, split, split.sharp.as_deref())?;
    let mut pairs = Vec::new();
    if let Some(pairing) = &split.pairing {
        let blurry = matches_of(&present, entry, split, split.blurry.as_deref())?;
        let blurry: Vec<&str> = blurry.iter().map(String::as_str).collect();
        let sharp: Vec<&str> = sharp.iter().map(String::as_str).collect();
        pairs = pair(split, pairing, &blurry, &sharp, &entry.list).pairs;
    }
    Ok(SplitPhotos {
        folder: folder.to_owned(),
        sharp,
        pairs,
    })
}
