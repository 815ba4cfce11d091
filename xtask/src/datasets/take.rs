//! What is taken out of a fetched file, and where it goes.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use globset::GlobMatcher;

use super::file_list::Convert;
use super::manifest::{Member, is_inside};
use super::sources::Context;
use super::validate::glob;
use super::weights;
use crate::failure::Failure;
use crate::unpack::{self, Kind, Limits};

/// No set of the field has a tenth of this.
const MOST_BYTES: u64 = 1 << 40;

/// The folder for weights before they are converted, beside the files of the part; no path of a set begins like this.
const UNCONVERTED: &str = ".unconverted";

/// Which entries are taken, by their names.
pub(crate) struct Selection<'a> {
    members: Vec<Choice<'a>>,
    /// From the lists: entry, and place in the set.
    rows: BTreeMap<&'a str, PathBuf>,
}

struct Choice<'a> {
    member: &'a Member,
    glob: GlobMatcher,
    has_matched: Cell<bool>,
}

impl<'a> Selection<'a> {
    /// What `members` and the rows of the part choose. Weights that are to be converted are put aside; rows with photos
    /// that are to be converted are left to the source.
    ///
    /// # Errors
    /// A glob that is none.
    pub(crate) fn new(members: &'a [Member], context: &Context<'a>) -> Result<Self> {
        let members = members
            .iter()
            .map(|member| {
                let glob = glob(&member.glob).with_context(|| format!("glob `{}`", member.glob))?;
                Ok(Choice {
                    member,
                    glob,
                    has_matched: Cell::new(false),
                })
            })
            .collect::<Result<_>>()?;
        let rows = context
            .list
            .of_part(context.part)
            .filter(|row| !row.convert.is_some_and(Convert::is_of_photos))
            .filter_map(|row| {
                let place = match row.convert {
                    None => PathBuf::from(&row.path),
                    Some(_) => Path::new(UNCONVERTED).join(&row.path),
                };
                Some((row.source.as_deref()?, place))
            })
            .collect();
        Ok(Self { members, rows })
    }

    /// Where an entry goes, relative to the set; `None` when it is not taken.
    pub(crate) fn place(&self, name: &str) -> Option<PathBuf> {
        if let Some(path) = self.rows.get(name) {
            return Some(path.clone());
        }
        if self.members.is_empty() && self.rows.is_empty() {
            return Some(PathBuf::from(name));
        }
        let choice = self
            .members
            .iter()
            .find(|choice| choice.glob.is_match(name))?;
        choice.has_matched.set(true);
        let rest = name
            .strip_prefix(choice.member.strip.as_str())
            .unwrap_or(name);
        Some(match choice.member.to.as_str() {
            "." => PathBuf::from(rest),
            folder => Path::new(folder).join(rest),
        })
    }

    /// Fails when a member has matched nothing: the archive is not the one that the manifest describes.
    ///
    /// # Errors
    /// The globs that match nothing.
    pub(crate) fn require_all_matched(&self, name: &str) -> Result<()> {
        let idle: Vec<String> = self
            .members
            .iter()
            .filter(|choice| !choice.has_matched.get())
            .map(|choice| format!("`{}`", choice.member.glob))
            .collect();
        if idle.is_empty() {
            return Ok(());
        }
        Err(Failure::error(
            format!("nothing in {name} fits {}", idle.join(", ")),
            "it is not the file that the manifest describes; look at the homepage of the set whether it has changed",
        ))
    }
}

/// Puts what is chosen out of the fetched or given file `path` into the folder of the context. A file that is no archive
/// by its ending is itself the only entry, called `name`.
///
/// # Errors
/// A refused or damaged archive, one in which nothing fits, or a failing disk.
pub(crate) fn take(path: &Path, name: &str, members: &[Member], context: &Context) -> Result<()> {
    let selection = Selection::new(members, context)?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    if Kind::of_name(&file).is_some() {
        let free_space = |folder: &Path| context.transfer.free_space(folder);
        let limits = Limits {
            bytes: MOST_BYTES,
            free_space: &free_space,
        };
        let place = |name: &str| selection.place(name);
        unpack::unpack(path, context.folder, limits, &context.manifest.name, place)?;
    } else if let Some(place) = selection.place(name) {
        anyhow::ensure!(
            place.to_str().is_some_and(is_inside),
            "{name} would be put out of the set, at {}",
            place.display()
        );
        put(path, &context.folder.join(place), context)?;
    }
    selection.require_all_matched(&file)?;
    convert(&file, context)
}

/// Makes what the rows of the part want from the weights that were put aside.
fn convert(file: &str, context: &Context) -> Result<()> {
    let aside = context.folder.join(UNCONVERTED);
    for row in context.list.of_part(context.part) {
        let Some(conversion) = row.convert.filter(|convert| !convert.is_of_photos()) else {
            continue;
        };
        let raw = aside.join(&row.path);
        if !raw.is_file() {
            return Err(Failure::error(
                format!(
                    "{file} does not hold {}",
                    row.source.as_deref().unwrap_or_default()
                ),
                "the list of the set is not made for this version of the package; correct one of them",
            ));
        }
        weights::convert(row, conversion, &raw, context.folder)?;
    }
    match fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", aside.display()))
        }
        _ => Ok(()),
    }
}

/// Puts a whole file into the set.
fn put(path: &Path, place: &Path, context: &Context) -> Result<()> {
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    // What was downloaded stays there until the set is complete, without taking room twice. A file of the user
    // is copied: a change of theirs must not change the set.
    if path.starts_with(context.downloads) && fs::hard_link(path, place).is_ok() {
        return Ok(());
    }
    fs::copy(path, place)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", path.display(), place.display()))
}
