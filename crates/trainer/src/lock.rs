//! One run in a folder at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::{Error, Result};

/// File in the run folder that is locked while a run writes there. It stays: were it removed, two runs could lock two files of this name.
const NAME: &str = ".lock";

/// Keeps other runs out of a folder until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    // The operating system lets go of the lock when the file is closed, also after a crash.
    _file: File,
}

fn acquire(folder: &Path, file: &File) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            path: folder.to_owned(),
        }),
        // Some network shares have no locks.
        Err(TryLockError::Error(error)) => {
            tracing::debug!("no lock: {error}");
            Ok(())
        }
    }
}

impl Lock {
    /// Takes the folder, which exists.
    ///
    /// # Errors
    /// [`Error::InUse`] if another run has it; if the file cannot be made.
    pub(crate) fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|source| Error::Io {
            path,
            action: "write in the run folder",
            source,
        })?;
        acquire(folder, &file)?;
        Ok(Self { _file: file })
    }

    /// Whether a run is going on in the folder. Nothing is written.
    pub(crate) fn is_held(folder: &Path) -> bool {
        let file = OpenOptions::new().write(true).open(folder.join(NAME));
        file.is_ok_and(|file| acquire(folder, &file).is_err())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one_until_it_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!Lock::is_held(folder.path()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let lock = Lock::take(folder.path()).unwrap();
        assert!(Lock::is_held(folder.path()));
        assert!(matches!(
            Lock::take(folder.path()),
            Err(Error::InUse { .. })
        ));
        drop(lock);
        assert!(!Lock::is_held(folder.path()));
        Lock::take(folder.path()).unwrap();
    }
}
