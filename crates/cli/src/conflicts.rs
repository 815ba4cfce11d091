//! Results that would replace something: each other, an input, or a file that exists.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::hints::Problem;
use crate::plan::{Entry, parent};

/// Where a path leads to, through links and detours. A file that does not exist yet is named by its folder.
pub(crate) fn place(path: &Path) -> PathBuf {
    let folder = || Some(parent(path).canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize()
        .ok()
        .or_else(folder)
        .unwrap_or_else(|| path.to_owned())
}

/// Two results in one place would be a lost result.
///
/// # Errors
/// The inputs and the output that both would become.
pub(crate) fn reject_collisions(entries: &[Entry]) -> Result<(), Problem> {
    let mut owners: HashMap<PathBuf, &Path> = HashMap::new();
    for Entry { input, outputs } in entries {
        let Ok(outputs) = outputs else { continue };
        for output in outputs.all() {
            if let Some(other) = owners.insert(place(output), input) {
                return Err(Problem::new(format!(
                    "{} and {} would both be written to {}",
                    other.display(),
                    input.display(),
                    output.display()
                ))
                .hint("restore them into different folders, one call each"));
            }
        }
    }
    Ok(())
}

/// An original is never replaced, also not by --force: a restored photo is no substitute for it, and another photo of the same call
/// may have to be read there yet.
pub(crate) fn protect_inputs(entries: &mut [Entry]) {
    let inputs: HashMap<PathBuf, PathBuf> = entries
        .iter()
        .map(|entry| (place(&entry.input), entry.input.clone()))
        .collect();
    for entry in entries {
        let Ok(outputs) = &entry.outputs else {
            continue;
        };
        let replaced = outputs
            .all()
            .find_map(|output| Some((output, inputs.get(&place(output))?)));
        let Some((output, input)) = replaced else {
            continue;
        };
        let message = if *input == entry.input {
            "the output would replace the input".to_owned()
        } else {
            format!(
                "the output of {} would replace the input {}",
                entry.input.display(),
                input.display()
            )
        };
        entry.outputs = Err(Problem::new(message)
            .at(output)
            .hint("choose another folder with -o; originals are never replaced"));
    }
}

/// Existing files fail before any time is spent on them.
pub(crate) fn reject_existing(entries: &mut [Entry]) {
    for entry in entries {
        let Ok(outputs) = &entry.outputs else {
            continue;
        };
        let existing = outputs
            .all()
            .find(|output| output.symlink_metadata().is_ok());
        if let Some(existing) = existing {
            entry.outputs = Err(Problem::new("exists already")
                .at(existing)
                .hint("choose another output with -o, or replace it with --force"));
        }
    }
}
