//! `cargo xtask datasets`: fetches, checks and finds the data sets of the field.
//!
//! A set is described by `datasets/NAME.toml`. It is fetched into a cache folder: whole, checked, with a receipt, or not
//! at all. A set that a user has already is used where it is.

mod cache;
mod catalogue;
mod check;
mod convert;
mod fetch;
mod file_list;
mod given;
mod lanczos;
#[cfg(test)]
mod likeness;
mod list;
mod listing;
mod manifest;
mod pairs;
mod photos;
mod sources;
mod take;
#[cfg(test)]
pub(crate) mod tests;
mod transfer;
mod validate;
mod verify;
mod weights;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use clap::{Args, Subcommand};

use self::cache::{Cache, State};
use self::catalogue::Catalogue;
use self::fetch::Fetcher;
pub(crate) use self::manifest::{Role, is_inside};
pub(crate) use self::photos::SplitPhotos;
use self::sources::huggingface::Hub;
pub(crate) use self::transfer::{Request, Settings, Transfer, Trouble};
use crate::failure::{self, Failure};
use crate::workspace;

/// List, fetch, check and find data sets
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Where data are kept [default: datasets/cache]
    #[arg(long, global = true, value_name = "FOLDER", env = "MSDEBLUR_DATASETS")]
    cache: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a table of all sets: name, title, roles, size, licence, and whether it is here
    List {
        /// Print one line of JSON instead
        #[arg(long)]
        json: bool,
        /// Print the table of datasets/README.md instead
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
    },
    /// Get sets, or use copies that are here already; a stopped download goes on where it stopped
    Fetch {
        /// Names of sets
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// An archive to unpack, a folder with the archives, or the unpacked set, which is checked and used where it is
        #[arg(long, value_name = "PATH")]
        from: Option<PathBuf>,
    },
    /// Read every file of a set and name each that is missing, extra, unpaired, of another size, or damaged
    Verify {
        /// Names of sets
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Print one line of JSON for each set
        #[arg(long)]
        json: bool,
    },
    /// Print the folder of a set or of one of its splits, and nothing else
    Path {
        /// Name of the set
        #[arg(value_name = "NAME")]
        name: String,
        /// The folder with the files of this split alone, such as `train` [default: the whole set]
        #[arg(long, value_name = "LABEL")]
        split: Option<String>,
    },
}

/// The manifests of this repository, and the folder where data are kept.
fn places(cache: Option<&Path>) -> Result<(Catalogue, Cache)> {
    let folder = workspace::root().join("datasets");
    let cache = match cache {
        // An empty variable is as good as none.
        Some(root) if !root.as_os_str().is_empty() => Cache::at(root)?,
        _ => Cache::at(&folder.join("cache"))?,
    };
    Ok((Catalogue::of(&folder), cache))
}

/// The photos of the split `label` (`NAME` or `NAME/VARIANT`) of a set that has been fetched.
///
/// # Errors
/// A set or split that does not exist or is not here.
pub(crate) fn photos(cache: Option<&Path>, name: &str, label: &str) -> Result<SplitPhotos> {
    let (catalogue, cache) = places(cache)?;
    photos::of_split(&catalogue, &cache, name, label)
}

/// Whether a set has been fetched or adopted.
///
/// # Errors
/// A set that does not exist, or a receipt that cannot be read.
pub(crate) fn is_here(cache: Option<&Path>, name: &str) -> Result<bool> {
    let (catalogue, cache) = places(cache)?;
    catalogue.get(name)?;
    Ok(cache.receipt(name)?.is_some())
}

/// Fetches a set that is not here.
///
/// # Errors
/// A set that does not exist or cannot be fetched.
pub(crate) fn ensure(cache: Option<&Path>, name: &str) -> Result<()> {
    if is_here(cache, name)? {
        return Ok(());
    }
    let start = Instant::now();
    let outcome = fetcher(cache)?.fetch(name, None)?;
    fetch::announce(name, &outcome, start.elapsed());
    Ok(())
}

/// The folder of a set that is here.
///
/// # Errors
/// A set that does not exist or is not here.
pub(crate) fn folder(cache: Option<&Path>, name: &str) -> Result<PathBuf> {
    let (catalogue, cache) = places(cache)?;
    catalogue.get(name)?;
    Ok(cache.find(name)?.1)
}

fn fetcher(cache: Option<&Path>) -> Result<Fetcher> {
    let (catalogue, cache) = places(cache)?;
    Ok(Fetcher {
        catalogue,
        cache,
        transfer: Transfer::new(Settings::default()),
        hub: Hub::from_env(),
    })
}

/// What the split `label` of a set may be used for.
///
/// # Errors
/// A set or split that does not exist.
pub(crate) fn role(name: &str, label: &str) -> Result<Role> {
    let (catalogue, _) = places(None)?;
    Ok(photos::find_split(&catalogue, name, label)?.1.role)
}

/// The glob of the sharp photos of the split `label` of a set.
///
/// # Errors
/// A set or split that does not exist.
pub(crate) fn sharp_glob(name: &str, label: &str) -> Result<Option<String>> {
    let (catalogue, _) = places(None)?;
    Ok(photos::find_split(&catalogue, name, label)?.1.sharp)
}

/// Runs the task.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (catalogue, cache) = places(arguments.cache.as_deref())?;
    match &arguments.command {
        Command::List { markdown: true, .. } => {
            workspace::print_line(&list::markdown(&catalogue)?);
            Ok(())
        }
        Command::List { json, .. } => {
            let lines = list::list(&catalogue, &cache)?;
            workspace::print_line(&if *json {
                list::json(&lines)
            } else {
                list::table(&lines)
            });
            Ok(())
        }
        Command::Fetch { names, from } => {
            if from.is_some() && names.len() > 1 {
                return Err(Failure::error(
                    format!("--from is one set, but {} are named", names.len()),
                    "run it once for each set",
                ));
            }
            let fetcher = fetcher(arguments.cache.as_deref())?;
            each(names, "fetched", |name| {
                let start = Instant::now();
                let outcome = fetcher.fetch(name, from.as_deref())?;
                fetch::announce(name, &outcome, start.elapsed());
                Ok(())
            })
        }
        Command::Verify { names, json } => each(names, "whole", |name| {
            let findings = verify::verify(&catalogue, &cache, name)?;
            let state = cache.state(name)?;
            workspace::print_line(&if *json {
                verify::json(name, &findings)
            } else {
                verify::lines(name, &findings)
            });
            if findings.problems.is_empty() {
                return Ok(());
            }
            Err(Failure::error(
                format!("{name} has problems"),
                match state {
                    State::Adopted => "repair your folder, or name another with --from".to_owned(),
                    _ => format!("delete {} and fetch it again", cache.folder(name).display()),
                },
            ))
        }),
        Command::Path { name, split } => {
            let data = match split {
                Some(label) => photos::folder_of_split(&catalogue, &cache, name, label)?,
                None => {
                    catalogue.get(name)?;
                    cache.find(name)?.1
                }
            };
            workspace::print_line(&data.display().to_string());
            Ok(())
        }
    }
}

/// Does all that can be done: one bad set does not stop the others.
fn each(names: &[String], done: &str, mut act: impl FnMut(&str) -> Result<()>) -> Result<()> {
    if let [name] = names {
        return act(name);
    }
    let mut failed = Vec::new();
    for name in names {
        if let Err(error) = act(name) {
            failure::print(&error);
            failed.push(name.as_str());
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::error(
        format!(
            "{} of {} sets are not {done}: {}",
            failed.len(),
            names.len(),
            failed.join(", ")
        ),
        "the reasons are above",
    ))
}
