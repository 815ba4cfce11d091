//! The official archive of libtorch, over HTTPS or from a file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::install;
use super::validate::{Libtorch, VERSION};
use crate::datasets::{Request, Settings, Transfer, Trouble};
use crate::failure::Failure;
use crate::hash::hexadecimal;
use crate::python::Unavailable;
use crate::report;
use crate::space;
use crate::unpack;

/// The archive and what is unpacked from it, with room to spare.
const SPACE: u64 = 1_500_000_000;
/// No archive is longer; the largest of the field, with CUDA, has 3 GB.
const MOST_BYTES: u64 = 4_000_000_000;
/// No more than this may come out of the archive.
const UNPACK_LIMIT: u64 = 4_000_000_000;

/// The address of the archive for this platform.
fn official() -> Option<String> {
    let name = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => format!("libtorch-shared-with-deps-{VERSION}%2Bcpu.zip"),
        ("macos", "aarch64") => format!("libtorch-macos-arm64-{VERSION}.zip"),
        ("windows", "x86_64") => format!("libtorch-win-shared-with-deps-{VERSION}%2Bcpu.zip"),
        _ => return None,
    };
    Some(format!("https://download.pytorch.org/libtorch/cpu/{name}"))
}

/// Fetches and unpacks the archive, and moves the result to `destination`.
///
/// No hash is published for the archive. What is checked is the transport (HTTPS, also where it is redirected), the
/// length, the checksum of each file inside, and the version of what comes out.
///
/// # Errors
/// [`Unavailable`] when there is no archive for this platform or it cannot be fetched.
pub(crate) fn install(destination: &Path, given: Option<&str>) -> Result<Libtorch> {
    let settings = Settings {
        most_bytes: MOST_BYTES,
        ..Settings::default()
    };
    install_by(&Transfer::new(settings), destination, given)
}

fn install_by(transfer: &Transfer, destination: &Path, given: Option<&str>) -> Result<Libtorch> {
    let Some(address) = given.map(str::to_owned).or_else(official) else {
        let platform = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        return Err(Unavailable(format!("there is no official archive for {platform}")).into());
    };
    let downloads = install::download_folder(destination)?;
    space::require(&downloads, space::free(&downloads), SPACE, "libtorch")?;
    let is_url = address.starts_with("https://") || address.starts_with("http://");
    let archive = if is_url {
        let archive = downloads.join(file_name(&address));
        fetch(transfer, &address, &archive)?;
        archive
    } else {
        PathBuf::from(&address)
    };
    let unpacked = install::temporary(destination)?;
    let written = unpack::unpack(
        &archive,
        unpacked.path(),
        unpack::Limits::bytes(UNPACK_LIMIT),
        "libtorch",
        place,
    );
    if is_url && written.is_err() {
        // A damaged archive would be damaged again in every later run.
        let _ = fs::remove_file(&archive);
    }
    written?;
    let found = install::finish(unpacked.path(), destination, &address)?;
    fs::remove_dir_all(&downloads)
        .with_context(|| format!("cannot remove {}", downloads.display()))?;
    Ok(found)
}

/// Headers, libraries and version; not the static libraries and the CMake files.
fn place(name: &str) -> Option<PathBuf> {
    let inner = name.strip_prefix("libtorch/")?;
    let is_library = inner.starts_with("lib/") && !inner.ends_with(".a");
    (is_library || inner.starts_with("include/") || inner == "build-version")
        .then(|| PathBuf::from(inner))
}

/// Where the archive from `address` is kept: no archive of another address can be taken for it, whole or in part.
fn file_name(address: &str) -> String {
    let hash = hexadecimal(&Sha256::digest(address));
    format!("libtorch-{}.zip", &hash[..16])
}

/// Downloads `address` to `path`, unless an earlier run has. A stopped download goes on where it stopped, if the server
/// can do that.
fn fetch(transfer: &Transfer, address: &str, path: &Path) -> Result<()> {
    if transfer.finished(path, None, None)?.is_some() {
        return Ok(());
    }
    report::say(format!("fetching {address}"));
    let request = Request {
        url: address,
        token: None,
        path,
        size: None,
        sha256: None,
    };
    match transfer.download(&request) {
        Ok(_) => Ok(()),
        Err(Trouble::Local(error)) => Err(error),
        Err(Trouble::Mirror(error)) => Err(Unavailable(format!(
            "cannot fetch {address}: {error:#}; run this again to go on where it stopped"
        ))
        .into()),
    }
}

/// The error for an archive option that cannot be meant.
pub(crate) fn check_option(archive: &str) -> Result<()> {
    let is_url = archive.starts_with("https://") || archive.starts_with("http://");
    if is_url || Path::new(archive).is_file() {
        return Ok(());
    }
    Err(Failure::error(
        format!("{archive} is neither an http(s) address nor a file"),
        "give the zip file of libtorch",
    ))
}

#[cfg(test)]
mod tests;
