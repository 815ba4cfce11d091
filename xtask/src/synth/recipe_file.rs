//! Recipes on the disk, and the kernels they name.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use blur_synth::{Condition, CustomKernel, Recipe};

use crate::failure::Failure;

/// More than any recipe or kernel has.
const MAX_BYTES: u64 = 64_000_000;

/// Reads a recipe in TOML or JSON (by extension), reads the kernel files that it names, relative to its folder, and
/// checks it.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub(crate) fn read(path: &Path) -> Result<Recipe> {
    let text = String::from_utf8(read_limited(path)?)
        .with_context(|| format!("{} is not a text file", path.display()))?;
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let parsed = if is_json {
        serde_json::from_str(&text).map_err(anyhow::Error::from)
    } else {
        toml::from_str(&text).map_err(anyhow::Error::from)
    };
    let mut recipe: Recipe =
        parsed.with_context(|| format!("{} is not a recipe", path.display()))?;
    // Before the kernels are read, so that all other faults are told at once.
    recipe
        .validate()
        .with_context(|| format!("cannot use {}", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    for condition in &mut recipe.conditions {
        read_kernels(condition, folder)?;
    }
    recipe
        .validate()
        .with_context(|| format!("cannot use {}", path.display()))?;
    Ok(recipe)
}

/// Replaces the names of kernel files by the kernels.
pub(crate) fn read_kernels(condition: &mut Condition, folder: &Path) -> Result<()> {
    let Some(patterns) = condition.kernel_files.take() else {
        return Ok(());
    };
    let mut kernels = Vec::new();
    for pattern in &patterns {
        // `FILE.mat#VARIABLE` for files that hold several.
        let (pattern, variable) = match pattern.rsplit_once('#') {
            Some((file, variable)) if file.ends_with(".mat") => (file, Some(variable)),
            _ => (pattern.as_str(), None),
        };
        for file in matching(pattern, folder)? {
            let name = file.strip_prefix(folder).unwrap_or(&file).to_string_lossy();
            let bytes = read_limited(&file)?;
            let found = CustomKernel::from_file_bytes(&name, &bytes, variable)
                .with_context(|| format!("cannot use the kernel file {}", file.display()))?;
            kernels.extend(found);
        }
    }
    condition.kernels = Some(kernels);
    Ok(())
}

fn matching(pattern: &str, folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let nothing = || {
        Failure::error(
            format!("no kernel file matches {pattern} in {}", folder.display()),
            "kernel files are named relative to the recipe; PNG, NumPy (.npy) and MATLAB (.mat, FILE.mat#VARIABLE) are read",
        )
    };
    let escaped = glob::Pattern::escape(&folder.to_string_lossy());
    let pattern = Path::new(&escaped).join(pattern);
    let files: Vec<_> = glob::glob(&pattern.to_string_lossy())
        .with_context(|| format!("`{}` is not a pattern of files", pattern.display()))?
        .collect::<Result<_, _>>()
        .with_context(|| format!("cannot look for {}", pattern.display()))?;
    if files.is_empty() {
        return Err(nothing());
    }
    Ok(files)
}

fn read_limited(path: &Path) -> Result<Vec<u8>> {
    let cannot_read = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(cannot_read)?;
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(cannot_read)?;
    anyhow::ensure!(
        bytes.len() as u64 <= MAX_BYTES,
        "{} has more than {MAX_BYTES} bytes, more than any recipe or kernel",
        path.display()
    );
    Ok(bytes)
}
