//! Files at addresses, with mirrors.

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};

use super::{Context, FetchedFile};
use crate::datasets::manifest::{HttpSource, Member};
use crate::datasets::take::take;
use crate::datasets::transfer::{Request, Trouble};
use crate::failure::{self, Failure};
use crate::report;

/// Fetches the file from the first mirror that has it, and takes out of it what belongs to the set.
///
/// # Errors
/// When no mirror could be used: each with its cause. When this machine is the cause, at once.
pub(crate) fn fetch(source: &HttpSource, context: &Context) -> Result<Vec<FetchedFile>> {
    let file = RemoteFile {
        urls: &source.urls,
        token: None,
        file: &source.file,
        name: &source.file,
        size: source.size,
        sha256: source.sha256.as_deref(),
        members: &source.members,
    };
    file.fetch(context).map(|fetched| vec![fetched])
}

/// A file with the addresses where it lies.
pub(super) struct RemoteFile<'a> {
    pub(super) urls: &'a [String],
    pub(super) token: Option<&'a str>,
    /// In the folder of downloads; may lie in a folder there.
    pub(super) file: &'a str,
    /// As members see it when it is no archive.
    pub(super) name: &'a str,
    pub(super) size: Option<u64>,
    pub(super) sha256: Option<&'a str>,
    pub(super) members: &'a [Member],
}

impl RemoteFile<'_> {
    /// Fetches it, unless an earlier run has, and takes out of it what belongs to the set.
    pub(super) fn fetch(&self, context: &Context) -> Result<FetchedFile> {
        let path = context.downloads.join(self.file);
        let mut causes = Vec::new();
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        if let Some(found) = context.transfer.finished(&path, self.size, self.sha256)? {
            report::say(format!("{} was downloaded earlier", self.file));
            let Err(error) = self.take(&path, context) else {
                return Ok(found);
            };
            clear(context.folder)?;
            if self.sha256.is_some() {
                // These are the right bytes: fetched again they would be the same.
                return Err(error);
            }
            let cause = format!(
                "what was downloaded earlier: {}",
                failure::with_hints(&error, "")
            );
            report::say(format!("{cause}; it is fetched again"));
            causes.push(cause);
            discard(&path)?;
        }
        for url in self.urls {
            match self.fetch_from(url, &path, context) {
                Ok(fetched) => return Ok(fetched),
                Err(Trouble::Local(error)) => return Err(error),
                Err(Trouble::Mirror(error)) => {
                    report::say(format!("{url}: {error:#}"));
                    causes.push(format!("{url}: {}", failure::with_hints(&error, "")));
                }
            }
        }
        Err(Failure::error(
            format!(
                "{} could not be fetched from any of {} addresses:\n  {}",
                self.file,
                self.urls.len(),
                causes.join("\n  ")
            ),
            format!(
                "look at {}; a copy from elsewhere can be given: cargo xtask datasets fetch {} --from PATH",
                context.manifest.homepage, context.manifest.name
            ),
        ))
    }

    fn fetch_from(
        &self,
        url: &str,
        path: &Path,
        context: &Context,
    ) -> Result<FetchedFile, Trouble> {
        report::say(format!("fetching {url}"));
        let fetched = context.transfer.download(&Request {
            url,
            token: self.token,
            path,
            size: self.size,
            sha256: self.sha256,
        })?;
        if self.sha256.is_none() {
            report::say(format!(
                "{} has SHA-256 {}; the manifest does not say which it should have",
                self.file, fetched.sha256
            ));
        }
        let Err(error) = self.take(path, context) else {
            return Ok(fetched);
        };
        clear(context.folder).map_err(Trouble::Local)?;
        if self.sha256.is_some() {
            // Another mirror would only have the same bytes.
            return Err(Trouble::Local(error));
        }
        let error = match page(path) {
            true => anyhow!("it is a web page, no archive: the server wants a click or a login"),
            false => error,
        };
        // Kept, it would be taken for the right file in the next run.
        discard(path).map_err(Trouble::Local)?;
        Err(Trouble::Mirror(error))
    }

    fn take(&self, path: &Path, context: &Context) -> Result<()> {
        take(path, self.name, self.members, context)
    }
}

/// Whether the beginning of a file is that of a web page.
fn page(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(512).read_to_end(&mut start));
    let text = String::from_utf8_lossy(&start).trim_start().to_lowercase();
    read.is_ok() && (text.starts_with("<!doctype html") || text.starts_with("<html"))
}

fn discard(path: &Path) -> Result<()> {
    fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))
}

/// Empties a folder.
fn clear(folder: &Path) -> Result<()> {
    let cannot_clear = || format!("cannot empty {}", folder.display());
    fs::remove_dir_all(folder).with_context(cannot_clear)?;
    fs::create_dir(folder).with_context(cannot_clear)
}
