//! Getting the file of a package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::hash;
use crate::datasets::manifest::DebSource;
use crate::datasets::sources::Context;
use crate::failure::Failure;
use crate::report;

/// The program that fetches packages.
const APT: &str = "apt-get";

/// The path of the package file, with the hash that the manifest says: given, fetched before, or fetched now.
///
/// # Errors
/// When what was given is another file, or nothing was given and apt-get cannot fetch the package.
pub(super) fn package(source: &DebSource, context: &Context) -> Result<PathBuf> {
    if let Some(given) = context.given {
        return find_given(given, source);
    }
    let kept = context.downloads.join(file_name(source));
    if kept.is_file() {
        if hash::sha256(&kept)? == source.sha256 {
            return Ok(kept);
        }
        fs::remove_file(&kept).with_context(|| format!("cannot remove {}", kept.display()))?;
    }
    download(Path::new(APT), source, context, &kept)?;
    Ok(kept)
}

/// As apt names it: `krank_0.7+dfsg2-4_all.deb`, with `%3a` for the colon of an epoch.
fn file_name(source: &DebSource) -> String {
    source.file.clone().unwrap_or_else(|| {
        format!(
            "{}_{}_all.deb",
            source.package,
            source.version.replace(':', "%3a")
        )
    })
}

/// What was given, if it is the package.
fn find_given(given: &Path, source: &DebSource) -> Result<PathBuf> {
    let found = hash::sha256(given)?;
    if found == source.sha256 {
        return Ok(given.to_owned());
    }
    Err(Failure::error(
        format!(
            "{} has SHA-256 {found}, that of {} {} is {}",
            given.display(),
            source.package,
            source.version,
            source.sha256
        ),
        by_hand(source),
    ))
}

fn by_hand(source: &DebSource) -> String {
    format!(
        "get {} on any Debian or Ubuntu machine (apt-get download {}={}) or from Debian's archive of old packages, and \
         give it, or the folder that has all packages of the set, with --from",
        file_name(source),
        source.package,
        source.version
    )
}

/// Runs `apt`, which writes the package into its working folder.
pub(super) fn download(
    apt: &Path,
    source: &DebSource,
    context: &Context,
    place: &Path,
) -> Result<()> {
    let wanted = format!("{}={}", source.package, source.version);
    // The file that apt writes is the only one in a folder of its own, whatever its name is.
    let folder = tempfile::tempdir_in(context.downloads)
        .with_context(|| format!("cannot create a folder in {}", context.downloads.display()))?;
    report::say(format!("fetching {wanted} with {}", apt.display()));
    let status = Command::new(apt)
        .args(["download", "--quiet", &wanted])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        // Standard output of a task is for its results.
        .stdout(std::io::stderr())
        .status();
    let status = match status {
        Ok(status) => status,
        Err(error) => {
            return Err(Failure::error(
                format!(
                    "{} cannot be started, which fetches {wanted}: {error}",
                    apt.display()
                ),
                by_hand(source),
            ));
        }
    };
    let package = fs::read_dir(folder.path())
        .with_context(|| format!("cannot list {}", folder.path().display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "deb"));
    let Some(package) = package.filter(|_| status.success()) else {
        return Err(Failure::error(
            format!("{} cannot fetch {wanted} ({status})", apt.display()),
            format!(
                "run `apt-get update` if its lists are old; where this version is gone, {}",
                by_hand(source)
            ),
        ));
    };
    hash::expect(&package, &source.sha256)?;
    fs::rename(&package, place).with_context(|| format!("cannot create {}", place.display()))
}
