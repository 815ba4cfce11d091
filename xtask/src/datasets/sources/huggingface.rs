//! Repositories of the Hugging Face Hub.
//!
//! The crate `hf-hub` is not used. Its downloads resume without asking whether the file is still the same, and compare no
//! hash. Its feature for addresses switches decompression on in `ureq` for the whole program, after which neither lengths
//! nor ranges nor hashes are those of the file. What is left of it are the path below and a file with a token.

use std::path::PathBuf;

use anyhow::Result;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::http::RemoteFile;
use super::{Context, FetchedFile};
use crate::datasets::manifest::{HuggingfaceSource, RepoType};

/// What stays as it is in the path of an address.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Where the hub is, and who asks.
pub(crate) struct Hub {
    /// Its address without a `/` at the end.
    pub(crate) endpoint: String,
    /// Needed for sets with terms to accept.
    pub(crate) token: Option<String>,
}

impl Hub {
    /// As the variables `HF_ENDPOINT`, `HF_TOKEN` and `HF_HOME` say, which the tools of the hub know too.
    pub(crate) fn from_env() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let endpoint = variable("HF_ENDPOINT").unwrap_or("https://huggingface.co".to_owned());
        let home = std::env::home_dir().map(|home| home.join(".cache").join("huggingface"));
        let stored = variable("HF_HOME")
            .map(PathBuf::from)
            .or(home)
            .and_then(|home| std::fs::read_to_string(home.join("token")).ok())
            .map(|token| token.trim().to_owned())
            .filter(|token| !token.is_empty());
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: variable("HF_TOKEN").or(stored),
        }
    }

    /// The address of a file, as the hub documents it.
    fn address(&self, source: &HuggingfaceSource, path: &str) -> String {
        let kind = match source.repo_type {
            RepoType::Dataset => "datasets/",
            RepoType::Model => "",
            RepoType::Space => "spaces/",
        };
        format!(
            "{}/{kind}{}/resolve/{}/{}",
            self.endpoint,
            source.repo,
            source.revision,
            utf8_percent_encode(path, PATH)
        )
    }
}

/// Fetches every file, and takes out of each what belongs to the set.
///
/// # Errors
/// When a file could not be fetched or used.
pub(crate) fn fetch(source: &HuggingfaceSource, context: &Context) -> Result<Vec<FetchedFile>> {
    source
        .files
        .iter()
        .map(|file| {
            // The same name in two repositories is two files.
            let place = format!("{}/{}/{}", source.repo, source.revision, file.path);
            RemoteFile {
                urls: &[context.hub.address(source, &file.path)],
                token: context.hub.token.as_deref(),
                file: &place,
                name: &file.path,
                size: file.size,
                sha256: file.sha256.as_deref(),
                members: &file.members,
            }
            .fetch(context)
        })
        .collect()
}
