//! One run at a time.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use anyhow::{Context, Result};

use crate::report;

/// Holds other runs back until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    // The operating system lets go of the lock when the file is closed, also after a crash.
    _file: File,
}

impl Lock {
    /// Waits for its turn at the lock file `path`, and says so when it has to wait for `what`.
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub(crate) fn take(path: &Path, what: &str) -> Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        let file =
            File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                report::say(format!("another run is {what}; waiting for it"));
                file.lock()
                    .with_context(|| format!("cannot lock {}", path.display()))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_run_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/.lock");
        let held = Lock::take(&path, "testing").unwrap();
        let other = File::open(&path).unwrap();
        assert!(other.try_lock().is_err());
        drop(held);
        other.try_lock().unwrap();
    }
}
