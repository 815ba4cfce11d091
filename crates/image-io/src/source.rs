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
pub(crate) fn open(path: &Path) -> Result<(File, Format)> {
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

/// The bytes of a whole file, and its format.
pub(crate) fn load(path: &Path, limits: &Limits) -> Result<(Vec<u8>, Format)> {
    let (file, format) = open(path)?;
    let failed = |source| read_error(path, source);
    let length = file.metadata().map_err(failed)?.len();
    let too_large = || Error::TooMuchMemory {
        path: path.to_owned(),
        limit: limits.max_alloc,
    };
    let mut bytes = Vec::new();
    if length > limits.max_alloc || bytes.try_reserve_exact(length as usize).is_err() {
        return Err(too_large());
    }
    // One byte beyond the limit shows that the file has grown past it meanwhile.
    file.take(limits.max_alloc.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limits.max_alloc {
        return Err(too_large());
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
