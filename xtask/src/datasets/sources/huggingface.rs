//! Repositories of the Hugging Face Hub.
//!
//! The crate `hf-hub` knows the addresses of files and where the token of the user lies. Its downloads are not used: they
//! resume without asking whether the file is still the same, and compare no hash.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use hf_hub::api::sync::ApiBuilder;
use hf_hub::{Cache, Repo};
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
        // A machine without a home has no token; the default of `hf-hub` would panic there.
        let home = std::env::home_dir().map(|home| home.join(".cache").join("huggingface"));
        let stored = variable("HF_HOME")
            .map(PathBuf::from)
            .or(home)
            .and_then(|home| Cache::new(home.join("hub")).token());
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: variable("HF_TOKEN").or(stored),
        }
    }

    fn address(&self, source: &HuggingfaceSource, path: &str) -> Result<String> {
        let kind = match source.repo_type {
            RepoType::Dataset => hf_hub::RepoType::Dataset,
            RepoType::Model => hf_hub::RepoType::Model,
            RepoType::Space => hf_hub::RepoType::Space,
        };
        let repo = Repo::with_revision(source.repo.clone(), kind, source.revision.clone());
        // Nothing is kept in this cache: only the address is asked for.
        let api = ApiBuilder::from_cache(Cache::new(PathBuf::new()))
            .with_endpoint(self.endpoint.clone())
            .build()
            .context("cannot prepare to ask the Hugging Face Hub")?;
        Ok(api
            .repo(repo)
            .url(&utf8_percent_encode(path, PATH).to_string()))
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
                urls: &[context.hub.address(source, &file.path)?],
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
