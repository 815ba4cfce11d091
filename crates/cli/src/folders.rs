//! The output folder: made when all checks are done, and gone again if nothing came to lie in it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::hints::Problem;

/// Folders that this call made, the deepest first.
static MADE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn made() -> MutexGuard<'static, Vec<PathBuf>> {
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Creates the output folder, which `option` chooses, and makes sure that files can be written into it.
///
/// # Errors
/// What the file system says.
pub(crate) fn prepare(folder: &Path, option: &str) -> Result<(), Problem> {
    let refused = |error: std::io::Error| {
        let hint = match error.kind() {
            std::io::ErrorKind::StorageFull => "free some space on that disk".to_owned(),
            _ => format!("choose a folder that you may write into with {option}"),
        };
        Problem::new(format!("cannot write into this folder: {error}"))
            .at(folder)
            .hint(hint)
    };
    let missing = folder
        .ancestors()
        .filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    made().extend(missing.map(Path::to_owned));
    std::fs::create_dir_all(folder).map_err(refused)?;
    tempfile::Builder::new()
        .prefix(".msdeblur-")
        .tempfile_in(folder)
        .map(drop)
        .map_err(refused)
}

/// Takes the folders away that this call made and that hold nothing. Called at the end of the program, whatever the end.
pub(crate) fn remove_empty() {
    for folder in made().drain(..) {
        // Refused where something lies in it, which is then what the folder is for.
        let _ = std::fs::remove_dir(folder);
    }
}
