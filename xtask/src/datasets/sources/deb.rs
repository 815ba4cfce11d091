//! Debian packages.

use anyhow::Result;

use super::{Context, FetchedFile};
use crate::datasets::manifest::DebSource;
use crate::failure::Failure;

/// Says that this build cannot read Debian packages.
///
/// # Errors
/// Always, so that the next source of the part is tried.
pub(crate) fn fetch(source: &DebSource, context: &Context) -> Result<Vec<FetchedFile>> {
    Err(Failure::error(
        format!(
            "{}: the Debian package {} {} cannot be read by this version",
            context.manifest.name, source.package, source.version
        ),
        format!(
            "get the files of part {} by hand and pass them with --from",
            context.part
        ),
    ))
}
