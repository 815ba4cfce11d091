//! Reading the files of a Debian package: an `ar` archive that holds a compressed tar archive.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

use crate::failure::Failure;
use crate::unpack::Bounded;

/// Bytes that the files of a package may have together; the largest package that is used has half a gigabyte.
const MOST_BYTES: u64 = 8 << 30;
/// What the decoder of xz may take, in KiB: the dictionary of the strongest preset has 64 MiB.
const XZ_MEMORY: u32 = 256 << 10;

/// A regular file in a package.
pub(super) struct PackagedFile<'a> {
    /// Its path without `./` or `/` at the beginning.
    pub(super) path: &'a str,
    /// Bytes, as the package says; reading ends there.
    pub(super) size: u64,
    /// Its contents.
    pub(super) contents: &'a mut dyn Read,
}

/// Hands every regular file of `package` to `see`, in the order of the package. Links and folders are passed over.
///
/// # Errors
/// When the file is no Debian package, is damaged, has a name that leads out of the folder or is far larger than
/// packages are; and whatever `see` returns.
pub(super) fn visit(
    package: &Path,
    see: &mut dyn FnMut(PackagedFile<'_>) -> Result<()>,
) -> Result<()> {
    let file = File::open(package).with_context(|| format!("cannot open {}", package.display()))?;
    let mut members = ar::Archive::new(BufReader::with_capacity(1 << 20, file));
    let broken = || format!("{} is no complete Debian package", package.display());
    while let Some(member) = members.next_entry() {
        let member = member.with_context(broken)?;
        let name = String::from_utf8_lossy(member.header().identifier()).into_owned();
        let Some(compression) = name.strip_prefix("data.tar") else {
            continue;
        };
        let contents: Box<dyn Read> = match compression {
            "" => Box::new(member),
            ".gz" => Box::new(MultiGzDecoder::new(member)),
            ".xz" => Box::new(XzReader::new_mem_limit(member, true, XZ_MEMORY)),
            ".zst" => Box::new(StreamingDecoder::new(member).with_context(broken)?),
            other => {
                return Err(Failure::error(
                    format!("{} has its files in data.tar{other}", package.display()),
                    "this program reads packages that are compressed with gzip, xz or zstd",
                ));
            }
        };
        return visit_files(contents, package, see);
    }
    Err(Failure::error(
        format!("{} holds no data.tar", package.display()),
        "the file is no binary package of Debian; delete it and fetch again",
    ))
}

fn visit_files(
    contents: Box<dyn Read + '_>,
    package: &Path,
    see: &mut dyn FnMut(PackagedFile<'_>) -> Result<()>,
) -> Result<()> {
    let broken = || format!("{} is damaged", package.display());
    let too_much = "it unpacks to far more than a package holds";
    let (bounded, mut visit) = Bounded::new(contents, MOST_BYTES, too_much);
    let mut archive = tar::Archive::new(bounded);
    let mut entries = archive.entries().with_context(broken)?;
    while let Some(entry) = visit.next(&mut entries) {
        let mut entry = entry.with_context(broken)?;
        // Debian's own tools read none, and a few bytes of one can stand for more than any disk holds.
        anyhow::ensure!(
            !entry.header().entry_type().is_gnu_sparse(),
            "{} holds a sparse file, which no package of Debian does",
            package.display()
        );
        if !entry.header().entry_type().is_file() {
            visit.finish(&mut entry).with_context(broken)?;
            continue;
        }
        let size = entry.size();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = name.trim_start_matches("./").trim_start_matches('/');
        if path.split('/').any(|part| part == "..") || path.is_empty() {
            return Err(Failure::error(
                format!(
                    "{} is refused: its file `{name}` leads out of the folder",
                    package.display()
                ),
                "the package is not one that was published by Debian; delete it",
            ));
        }
        see(PackagedFile {
            path,
            size,
            contents: &mut entry,
        })?;
        visit.finish(&mut entry).with_context(broken)?;
    }
    Ok(())
}
