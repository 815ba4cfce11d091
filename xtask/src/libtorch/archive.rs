//! The official archive of libtorch, over HTTPS or from a file.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::install;
use super::validate::{Libtorch, VERSION};
use crate::failure::Failure;
use crate::python::Unavailable;
use crate::report;
use crate::space;
use crate::unpack;

/// The archive and what is unpacked from it, with room to spare.
const SPACE: u64 = 1_500_000_000;
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
/// No hash is published for the archive. What is checked is the transport (HTTPS), the length, the checksum of
/// each file inside, and the version of what comes out.
///
/// # Errors
/// [`Unavailable`] when there is no archive for this platform or it cannot be fetched.
pub(crate) fn install(destination: &Path, given: Option<&str>) -> Result<Libtorch> {
    let Some(address) = given.map(str::to_owned).or_else(official) else {
        let platform = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        return Err(Unavailable(format!("there is no official archive for {platform}")).into());
    };
    let downloads = install::download_folder(destination)?;
    space::require(&downloads, space::free(&downloads), SPACE, "libtorch")?;
    let is_url = address.starts_with("https://") || address.starts_with("http://");
    let archive = if is_url {
        let archive = downloads.join("libtorch.zip");
        fetch(&address, &archive)?;
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

/// Downloads `address` to `path`. A stopped download goes on where it stopped, if the server can do that.
fn fetch(address: &str, path: &Path) -> Result<()> {
    if path.is_file() {
        return Ok(());
    }
    let partial = path.with_extension("zip.partial");
    let have = fs::metadata(&partial).map_or(0, |data| data.len());
    report::say(format!("fetching {address}"));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .http_status_as_error(false)
        .build()
        .into();
    // A compressed transfer would make lengths and ranges mean something else.
    let mut request = agent.get(address).header("Accept-Encoding", "identity");
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let mut response = request
        .call()
        .map_err(|error| Unavailable(format!("cannot fetch {address}: {error}")))?;
    let status = response.status().as_u16();
    let resumed = status == 206;
    if status == 416 {
        // What is there is as long as the whole, or longer: begin anew.
        fs::remove_file(&partial)
            .with_context(|| format!("cannot remove {}", partial.display()))?;
        return fetch(address, path);
    }
    if !resumed && status != 200 {
        return Err(Unavailable(format!("{address} answers with HTTP status {status}")).into());
    }
    let start = if resumed { have } else { 0 };
    let rest: Option<u64> = response
        .headers()
        .get("Content-Length")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok());
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .append(resumed)
        .truncate(!resumed)
        .open(&partial)
        .with_context(|| format!("cannot create {}", partial.display()))?;
    let copied = copy(response.body_mut().as_reader(), &mut file, start, rest)
        .with_context(|| format!("the download of {address} stopped"))
        .map_err(|error| {
            Unavailable(format!(
                "{error:#}; run this again to go on where it stopped"
            ))
        })?;
    if let Some(rest) = rest
        && copied != rest
    {
        return Err(Unavailable(format!(
            "{address} sent {copied} of {rest} bytes; run this again to go on"
        ))
        .into());
    }
    file.sync_all()
        .with_context(|| format!("cannot write {}", partial.display()))?;
    fs::rename(&partial, path).with_context(|| format!("cannot create {}", path.display()))
}

fn copy(
    mut body: impl Read,
    file: &mut File,
    start: u64,
    rest: Option<u64>,
) -> std::io::Result<u64> {
    let bar = report::byte_bar(start + rest.unwrap_or(0), "libtorch");
    bar.set_position(start);
    let mut buffer = vec![0_u8; 1 << 18];
    let mut copied = 0;
    loop {
        let read = body.read(&mut buffer)?;
        if read == 0 {
            bar.finish_and_clear();
            return Ok(copied);
        }
        file.write_all(&buffer[..read])?;
        copied += read as u64;
        bar.inc(read as u64);
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
