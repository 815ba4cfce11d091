//! Room on a disk.

use std::path::Path;

use anyhow::Result;

use crate::failure::Failure;
use crate::report;

/// Asks for the free bytes of the file system that holds a folder; tests have answers of their own.
pub(crate) type FreeSpace = dyn Fn(&Path) -> Option<u64>;

/// Free bytes of the file system that holds `folder`, where the system says.
pub(crate) fn free(folder: &Path) -> Option<u64> {
    fs4::available_space(folder).ok()
}

/// Refuses to begin what the disk cannot hold; `what` is the thing that needs the room.
///
/// # Errors
/// When less than `needed` bytes are `free`. Where that is not known, nothing is refused.
pub(crate) fn require(folder: &Path, free: Option<u64>, needed: u64, what: &str) -> Result<()> {
    match free {
        Some(free) if free < needed => Err(Failure::error(
            format!(
                "{} has {} free, {what} needs {}",
                folder.display(),
                report::megabytes(free),
                report::megabytes(needed)
            ),
            "free some space, or choose a folder on another disk",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        let folder = Path::new(".");
        let free = free(folder);
        assert!(free.is_some_and(|bytes| bytes > 0), "{free:?}");
        require(folder, free, 1, "a test").unwrap();
        let error = require(folder, free, u64::MAX, "a test").unwrap_err();
        assert!(error.to_string().contains("a test needs"), "{error}");
        require(folder, None, u64::MAX, "a test").unwrap();
    }
}
