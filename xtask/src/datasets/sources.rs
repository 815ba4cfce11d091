//! The kinds of sources. Each has a file of its own with one function `fetch(source, context)`.
//!
//! Such a function downloads into `context.downloads`, puts the files of the set into `context.folder`, and says
//! what came from where. It may leave anything in its folder when it fails: the folder is then thrown away.

pub(crate) mod deb;
pub(crate) mod http;
pub(crate) mod huggingface;
pub(crate) mod local;
pub(crate) mod pip;

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use self::huggingface::Hub;
use super::file_list::FileList;
use super::manifest::{Manifest, Source};
use super::transfer::Transfer;

/// What a source needs to know.
pub(crate) struct Context<'a> {
    /// The set.
    pub(crate) manifest: &'a Manifest,
    /// Its lists; [`FileList::of_part`] has the rows that the source is to take.
    pub(crate) list: &'a FileList,
    /// The part that is fetched.
    pub(crate) part: &'a str,
    /// Where downloads lie until the set is complete; it exists, and only this run uses it.
    pub(crate) downloads: &'a Path,
    /// Where the files of the set go; it exists and is empty.
    pub(crate) folder: &'a Path,
    /// Downloads over HTTP: resuming, retries, checks. Also knows the free space of a folder.
    pub(crate) transfer: &'a Transfer,
    /// Where the Hugging Face Hub is.
    pub(crate) hub: &'a Hub,
    /// What the user gave with `--from`, for this part.
    pub(crate) given: Option<&'a Path>,
}

/// A file that was fetched and used, for the receipt.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct FetchedFile {
    /// The address, requirement, package or path.
    pub(crate) origin: String,
    /// Bytes.
    pub(crate) size: u64,
    /// As found, lower-case hexadecimal.
    pub(crate) sha256: String,
}

/// Fetches one part from one source.
///
/// # Errors
/// Whatever keeps the source from being used; another source of the same part is tried then.
pub(crate) fn fetch(source: &Source, context: &Context) -> Result<Vec<FetchedFile>> {
    match source {
        Source::Http(source) => http::fetch(source, context),
        Source::Huggingface(source) => huggingface::fetch(source, context),
        Source::Pip(source) => pip::fetch(source, context),
        Source::Deb(source) => deb::fetch(source, context),
        Source::Local(source) => local::fetch(source, context),
    }
}
