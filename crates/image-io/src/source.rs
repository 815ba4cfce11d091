//! Opening a file and finding out what it holds.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek};
use std::path::Path;

use crate::error::{Error, Result};
use crate::format::{Format, describe_unknown};
use crate::limits::Limits;

/// Extensions of camera raw files that are TIFF inside, with a thumbnail where a TIFF reader looks for the photo.
const RAW_EXTENSIONS: [&str; 10] = [
    "dng", "nef", "nrw", "arw", "sr2", "cr2", "pef", "3fr", "iiq", "erf",
];

/// Opens a file and tells its format by its first bytes; the position is back at the start.
fn open(path: &Path) -> Result<(File, Format)> {
    let failed = |source| read_error(path, source);
    // Metadata first: opening a named pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Error::NotAFile {
            path: path.to_owned(),
        });
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut head = Vec::new();
    file.by_ref()
        .take(512)
        .read_to_end(&mut head)
        .map_err(failed)?;
    let format = recognise(&head, path)?;
    let raw = path
        .extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| RAW_EXTENSIONS.contains(&&*extension.to_ascii_lowercase()));
    if raw && format == Format::Tiff {
        return Err(Error::Unsupported {
            path: path.to_owned(),
            what: "a camera raw file".to_owned(),
        });
    }
    file.rewind().map_err(failed)?;
    Ok((file, format))
}

/// [`open`], and the length of the file in bytes, unless it is longer than `limits` allow.
pub(crate) fn open_within(path: &Path, limits: &Limits) -> Result<(File, Format, u64)> {
    let (file, format) = open(path)?;
    let metadata = file.metadata().map_err(|source| read_error(path, source))?;
    let length = metadata.len();
    if length > limits.max_alloc {
        return Err(too_much_memory(path, limits));
    }
    Ok((file, format, length))
}

fn too_much_memory(path: &Path, limits: &Limits) -> Error {
    Error::TooMuchMemory {
        path: path.to_owned(),
        limit: limits.max_alloc,
    }
}

/// The bytes of a whole file, and its format.
pub(crate) fn load(path: &Path, limits: &Limits) -> Result<(Vec<u8>, Format)> {
    let (file, format, length) = open_within(path, limits)?;
    let failed = |source| read_error(path, source);
    let mut bytes = Vec::new();
    if bytes.try_reserve_exact(length as usize).is_err() {
        return Err(too_much_memory(path, limits));
    }
    // One byte beyond the limit shows that the file has grown past it meanwhile.
    file.take(limits.max_alloc.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limits.max_alloc {
        return Err(too_much_memory(path, limits));
    }
    Ok((bytes, format))
}

/// The format of the content, or the error that says what it is instead.
pub(crate) fn recognise(bytes: &[u8], path: &Path) -> Result<Format> {
    if bytes.is_empty() {
        return Err(Error::Empty {
            path: path.to_owned(),
        });
    }
    Format::from_content(bytes).ok_or_else(|| Error::Unsupported {
        path: path.to_owned(),
        what: describe_unknown(&bytes[..bytes.len().min(512)]).to_owned(),
    })
}

/// The error for a failed read, with the frequent cases told apart.
pub(crate) fn read_error(path: &Path, source: std::io::Error) -> Error {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::NotFound => Error::NotFound { path },
        ErrorKind::IsADirectory => Error::NotAFile { path },
        _ => Error::Read { path, source },
    }
}
