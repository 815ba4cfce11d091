//! Writing files whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::encode::{WriteOptions, encode_for};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::photo::Photo;

/// Writes a photo; the format is that of the file name.
///
/// The bytes go into a temporary file in the same folder, which is flushed to the disk and then takes the name of the
/// output: the output is either complete or not there, an existing file is either untouched or replaced as a whole, and
/// no temporary file stays behind.
///
/// Returns what the format could not hold (see [`Encoded::notes`](crate::Encoded::notes)).
///
/// # Errors
/// [`Error::Unsupported`] for an unknown extension, [`Error::Exists`], [`Error::NoFolder`],
/// [`Error::NotAFile`], [`Error::Write`], and those of [`encode`](crate::encode()).
pub fn write(path: &Path, photo: &Photo, options: &WriteOptions) -> Result<Vec<String>> {
    let format = Format::from_path(path).ok_or_else(|| Error::Unsupported {
        path: path.to_owned(),
        what: "this file name extension for an output".to_owned(),
    })?;
    let target = check_target(path, options.overwrite)?;
    let encoded = encode_for(path, photo, format, options)?;
    write_whole(path, &target, &encoded.bytes, options.overwrite)?;
    Ok(encoded.notes)
}

/// Writes the bytes of a file, such as those of [`encode`](crate::encode()), as carefully as [`write`](write()) does.
///
/// # Errors
/// [`Error::Exists`], [`Error::NoFolder`], [`Error::NotAFile`], [`Error::Write`].
pub fn write_bytes(path: &Path, bytes: &[u8], overwrite: bool) -> Result<()> {
    write_whole(path, &check_target(path, overwrite)?, bytes, overwrite)
}

/// Refuses what must not be replaced before any work is done; returns the path behind a symbolic link.
fn check_target(path: &Path, overwrite: bool) -> Result<PathBuf> {
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(path.to_owned());
    };
    if !metadata.is_file() {
        // Also devices: a rename would replace /dev/null itself.
        return Err(Error::NotAFile {
            path: path.to_owned(),
        });
    }
    if !overwrite {
        return Err(Error::Exists {
            path: path.to_owned(),
        });
    }
    std::fs::canonicalize(path).map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

/// Puts `bytes` at `target` atomically. Errors name `path`, as the caller wrote it.
fn write_whole(path: &Path, target: &Path, bytes: &[u8], overwrite: bool) -> Result<()> {
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists {
            path: path.to_owned(),
        },
        std::io::ErrorKind::NotFound => Error::NoFolder {
            path: path.to_owned(),
            folder: folder.to_owned(),
        },
        _ => Error::Write {
            path: path.to_owned(),
            source,
        },
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".image-io-").suffix(".partial");
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt;
        // As any new file would get (the umask still applies), not the 0600 of a private temporary file.
        builder.permissions(std::fs::Permissions::from_mode(0o666))
    };
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    file.as_file_mut().write_all(bytes).map_err(failed)?;
    if let Ok(existing) = std::fs::metadata(target) {
        file.as_file()
            .set_permissions(existing.permissions())
            .map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    put_in_place(file, target, overwrite).map_err(failed)?;
    // The new name is safe only when the folder is; not all systems can do this, and the photo itself is complete.
    #[cfg(unix)]
    let _ = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Gives the finished file its name.
fn put_in_place(
    file: tempfile::NamedTempFile,
    target: &Path,
    overwrite: bool,
) -> std::io::Result<()> {
    use std::io::ErrorKind;
    if overwrite {
        file.persist(target)?;
        return Ok(());
    }
    let refused = match file.persist_noclobber(target) {
        Ok(_) => return Ok(()),
        Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => {
            return Err(refused.error);
        }
        Err(refused) => refused,
    };
    // Some file systems (FAT, some network shares) know neither hard links nor renaming without replacing: claim the
    // name with an empty file, then replace that.
    std::fs::File::create_new(target)?;
    refused.file.persist(target).map(|_| ()).map_err(|failed| {
        let _ = std::fs::remove_file(target);
        failed.error
    })
}
