//! What a person has got and gives with `--from`.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Context, FetchedFile};
use crate::datasets::manifest::{LocalSource, Member, Source};
use crate::datasets::take::take;
use crate::failure::Failure;
use crate::hash;
use crate::report;

/// Takes what was given for this part.
///
/// # Errors
/// When nothing was given, or it is not what is expected.
pub(crate) fn fetch(source: &LocalSource, context: &Context) -> Result<Vec<FetchedFile>> {
    let Some(path) = context.given else {
        let name = &context.manifest.name;
        let what = match context.manifest.parts().as_slice() {
            [_] => name.clone(),
            _ => format!("part {} of {name}", context.part),
        };
        return Err(Failure::error(
            format!("{what} cannot be fetched by a program"),
            format!(
                "get {} (see {}), then: cargo xtask datasets fetch {} --from PATH",
                source.expects, context.manifest.homepage, name
            ),
        ));
    };
    let given = GivenFile {
        size: source.size,
        sha256: source.sha256.as_deref(),
        members: &source.members,
    };
    given.take(path, context)
}

/// What a given file must be, and what is taken out of it.
pub(crate) struct GivenFile<'a> {
    size: Option<u64>,
    sha256: Option<&'a str>,
    members: &'a [Member],
}

impl<'a> GivenFile<'a> {
    /// The file called `name` among those that `source` would fetch, when it is one of them.
    pub(crate) fn instead_of(source: &'a Source, name: &str) -> Option<Self> {
        match source {
            Source::Http(source) if source.file == name => Some(Self {
                size: source.size,
                sha256: source.sha256.as_deref(),
                members: &source.members,
            }),
            // Of several files one alone would be half a part.
            Source::Huggingface(source) => match source.files.as_slice() {
                [file] if file.path.rsplit('/').next() == Some(name) => Some(Self {
                    size: file.size,
                    sha256: file.sha256.as_deref(),
                    members: &file.members,
                }),
                _ => None,
            },
            Source::Pip(source) if source.file == name => Some(Self {
                size: None,
                sha256: Some(&source.sha256),
                members: &source.members,
            }),
            Source::Local(source) if source.file.as_deref() == Some(name) => Some(Self {
                size: source.size,
                sha256: source.sha256.as_deref(),
                members: &source.members,
            }),
            _ => None,
        }
    }

    /// Checks the file, and takes out of it what belongs to the set.
    ///
    /// # Errors
    /// When it is not what is wanted.
    pub(crate) fn take(&self, path: &Path, context: &Context) -> Result<Vec<FetchedFile>> {
        let size = std::fs::metadata(path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .len();
        report::say(format!("reading {}", path.display()));
        let sha256 = hash::sha256(path)?;
        let wrong = match (self.size, self.sha256) {
            (Some(expected), _) if expected != size => {
                Some(format!("has {size} bytes, expected {expected}"))
            }
            (_, Some(expected)) if expected != sha256 => {
                Some(format!("has SHA-256 {sha256}, expected {expected}"))
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Err(Failure::error(
                format!("{} {wrong}", path.display()),
                format!(
                    "it is damaged or another version; compare with {}",
                    context.manifest.homepage
                ),
            ));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        take(path, &name, self.members, context)?;
        Ok(vec![FetchedFile {
            origin: path.display().to_string(),
            size,
            sha256,
        }])
    }
}
