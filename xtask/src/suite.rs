//! Suites: which photos are degraded how to see what a method can do. A suite is a file in `datasets/suites`; adding a
//! condition or a set of photos needs no code.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use blur_synth::{Condition, RECIPE_SCHEMA_VERSION, Recipe};
use globset::Glob;
use serde::{Deserialize, Serialize};

use crate::datasets::{self, Role, SplitPhotos};
use crate::failure::Failure;
use crate::synth::{self, SharpPhoto};
use crate::workspace;

/// The only version there is.
const SCHEMA_VERSION: u32 = 1;

/// A suite as it is written.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suite {
    /// [`SCHEMA_VERSION`].
    schema_version: u32,
    /// Equal to the name of the file.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) description: String,
    /// Seed of all that is random.
    pub(crate) seed: u64,
    /// Width and height of the crops, the most detailed part of each photo; whole photos when absent.
    pub(crate) crop: Option<[usize; 2]>,
    /// What the model is trained for; everything else is out of its domain.
    #[serde(default)]
    pub(crate) in_domain: Vec<InDomain>,
    /// Ways to degrade a photo.
    #[serde(default)]
    conditions: Vec<Condition>,
    /// Kinds of photos.
    #[serde(default)]
    pub(crate) domains: Vec<Domain>,
    /// Sets with real blur, which is not made but found.
    #[serde(default)]
    pub(crate) real: Vec<RealPairs>,
}

/// A condition on photos of one kind.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InDomain {
    /// Name of the domain.
    domain: String,
    /// Name of the condition.
    condition: String,
}

/// Published ways to score a pair; they give different numbers.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Protocol {
    /// Mean over images of PSNR and SSIM on red, green and blue in [0, 255].
    Rgb,
    /// The same on the luma of BasicSR.
    BasicsrY,
    /// Aligned to the sharp photo first, as RealBlur asks.
    Realblur,
}

impl Protocol {
    /// As `msdeblur evaluate --protocol` calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rgb => "rgb",
            Self::BasicsrY => "basicsr-y",
            Self::Realblur => "realblur",
        }
    }
}

/// Photos of one kind.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Domain {
    /// The name, also of the folder.
    pub(crate) name: String,
    /// The data set.
    pub(crate) dataset: String,
    /// Its split, `NAME` or `NAME/VARIANT`.
    pub(crate) split: String,
    /// At most so many photos, spread evenly; all when absent.
    pub(crate) limit: Option<u32>,
    /// Globs of the names of the conditions; all when absent.
    conditions: Option<Vec<String>>,
}

/// Pairs of a data set with real blur.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct RealPairs {
    /// The name of the condition.
    pub(crate) name: String,
    /// The data set.
    pub(crate) dataset: String,
    /// Its split, `NAME` or `NAME/VARIANT`.
    pub(crate) split: String,
    /// At most so many pairs, spread evenly; all when absent.
    limit: Option<u32>,
    /// How its pairs are scored.
    pub(crate) protocol: Protocol,
}

/// Photos of one domain and what is done to them.
pub(crate) struct Group {
    pub(crate) domain: Domain,
    pub(crate) recipe: Recipe,
    pub(crate) folder: PathBuf,
    pub(crate) photos: Vec<SharpPhoto>,
}

impl Group {
    /// How many of the photos are used.
    pub(crate) fn photos_used(&self) -> usize {
        let limit = self.domain.limit.map_or(usize::MAX, |limit| limit as usize);
        self.photos.len().min(limit)
    }
}

/// Reads a suite by its name in `datasets/suites`, or a file, and checks it.
///
/// # Errors
/// Everything that is wrong with it, at once; a name that is not there, with those that are.
pub(crate) fn load(name: &str) -> Result<Suite> {
    let folder = workspace::root().join("datasets/suites");
    let path = file(name);
    if !path.is_file() {
        return Err(Failure::error(
            format!("there is no suite {name}"),
            format!("there are {}; or give a file", names(&folder).join(", ")),
        ));
    }
    read(&path)
}

/// The file of a suite that is given by its name in `datasets/suites`, or by a path.
pub(crate) fn file(name: &str) -> PathBuf {
    file_in("datasets/suites", name)
}

/// The file that is given by its name in a folder of the repository, or by a path.
pub(crate) fn file_in(folder: &str, name: &str) -> PathBuf {
    let is_path = name.contains(['/', '\\']) || name.ends_with(".toml");
    if is_path {
        PathBuf::from(name)
    } else {
        workspace::root().join(folder).join(format!("{name}.toml"))
    }
}

/// Names of the suites in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = folder
        .read_dir()
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

fn read(path: &Path) -> Result<Suite> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut suite: Suite =
        toml::from_str(&text).with_context(|| format!("{} is no suite", path.display()))?;
    let problems = suite.problems();
    if !problems.is_empty() {
        return Err(Failure::error(
            format!(
                "{} is not right:\n  {}",
                path.display(),
                problems.join("\n  ")
            ),
            "datasets/README.md says how a suite is written",
        ));
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    for condition in &mut suite.conditions {
        synth::read_kernels(condition, folder)?;
    }
    Ok(suite)
}

impl Suite {
    /// What is wrong with it, one line each.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.schema_version != SCHEMA_VERSION {
            problems.push(format!(
                "schema_version = {} (must be {SCHEMA_VERSION})",
                self.schema_version
            ));
        }
        let has_recipe = !self.conditions.is_empty() || !self.domains.is_empty();
        if let Err(error) = self.recipe(self.conditions.clone()).validate()
            && has_recipe
        {
            problems.push(error.to_string());
        }
        if let Some([width, height]) = self.crop
            && (width < 8 || height < 8)
        {
            problems.push(format!("crop = [{width}, {height}] (at least 8 each)"));
        }
        let known = |name: &str| self.conditions.iter().any(|other| other.name == name);
        for InDomain { domain, condition } in &self.in_domain {
            if !known(condition) {
                problems.push(format!("in_domain: there is no condition {condition}"));
            }
            if !self.domains.iter().any(|other| other.name == *domain) {
                problems.push(format!("in_domain: there is no domain {domain}"));
            }
        }
        let mut names = std::collections::HashSet::new();
        for domain in &self.domains {
            let is_plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if domain.name.is_empty() || !domain.name.bytes().all(is_plain) {
                problems.push(format!(
                    "domain `{}`: the name must have lower-case letters, digits and `-`",
                    domain.name
                ));
            }
            if domain.name == "real" {
                problems
                    .push("domain real: the name is that of all sets with real blur".to_owned());
            }
            if !names.insert(&domain.name) {
                problems.push(format!("domain {}: the name is used twice", domain.name));
            }
            if domain.limit == Some(0) {
                problems.push(format!("domain {}: limit = 0 leaves nothing", domain.name));
            }
            for pattern in domain.conditions.iter().flatten() {
                match Glob::new(pattern) {
                    Ok(glob) => {
                        let glob = glob.compile_matcher();
                        if !self
                            .conditions
                            .iter()
                            .any(|other| glob.is_match(&other.name))
                        {
                            problems.push(format!(
                                "domain {}: no condition is called {pattern}",
                                domain.name
                            ));
                        }
                    }
                    Err(error) => problems.push(format!("domain {}: {error}", domain.name)),
                }
            }
            problems.extend(role_problem(&domain.name, &domain.dataset, &domain.split));
        }
        if self.domains.is_empty() && self.real.is_empty() {
            problems.push("there are neither domains nor real pairs".to_owned());
        }
        for real in &self.real {
            if !names.insert(&real.name) {
                problems.push(format!("real {}: the name is used twice", real.name));
            }
            problems.extend(role_problem(&real.name, &real.dataset, &real.split));
        }
        problems
    }

    fn recipe(&self, conditions: Vec<Condition>) -> Recipe {
        Recipe {
            schema_version: RECIPE_SCHEMA_VERSION,
            name: self.name.clone(),
            description: self.description.clone(),
            seed: self.seed,
            conditions,
        }
    }

    /// Whether the model is trained for this condition on photos of this domain.
    pub(crate) fn is_in_domain(&self, domain: &str, condition: &str) -> bool {
        self.in_domain
            .iter()
            .any(|inside| inside.domain == domain && inside.condition == condition)
    }

    /// All conditions, whatever the photos.
    pub(crate) fn recipe_of_all(&self) -> Recipe {
        self.recipe(self.conditions.clone())
    }

    /// The photos of each domain, from data sets that have been fetched, and what is done to them.
    ///
    /// # Errors
    /// A data set that is not here.
    pub(crate) fn groups(&self, cache: Option<&Path>) -> Result<Vec<Group>> {
        self.domains
            .iter()
            .map(|domain| self.group(cache, domain))
            .collect()
    }

    /// The pairs of a set with real blur; `None` when it has not been fetched.
    ///
    /// # Errors
    /// A set that is here and damaged.
    pub(crate) fn real_pairs(
        &self,
        cache: Option<&Path>,
        real: &RealPairs,
    ) -> Result<Option<SplitPhotos>> {
        if !datasets::is_here(cache, &real.dataset)? {
            return Ok(None);
        }
        let mut found = datasets::photos(cache, &real.dataset, &real.split)?;
        found.pairs = synth::spread(found.pairs, real.limit);
        Ok(Some(found))
    }

    fn group(&self, cache: Option<&Path>, domain: &Domain) -> Result<Group> {
        let found = datasets::photos(cache, &domain.dataset, &domain.split)?;
        let photos: Vec<SharpPhoto> = found
            .sharp
            .into_iter()
            .map(|path| SharpPhoto {
                file: found.folder.join(&path),
                path,
            })
            .collect();
        synth::check_names(&photos)?;
        let globs: Vec<_> = domain
            .conditions
            .iter()
            .flatten()
            .filter_map(|pattern| Some(Glob::new(pattern).ok()?.compile_matcher()))
            .collect();
        let conditions = self
            .conditions
            .iter()
            .filter(|condition| {
                domain.conditions.is_none()
                    || globs.iter().any(|glob| glob.is_match(&condition.name))
            })
            .cloned()
            .collect();
        Ok(Group {
            domain: domain.clone(),
            recipe: self.recipe(conditions),
            folder: found.folder,
            photos,
        })
    }
}

/// Suites measure: photos for learning and tuning have no place in them.
fn role_problem(place: &str, dataset: &str, split: &str) -> Option<String> {
    match datasets::role(dataset, split) {
        Ok(Role::Test) => None,
        Ok(role) => Some(format!(
            "{place}: the split {split} of {dataset} is for `{}`, a suite may only use `test`",
            role.name()
        )),
        Err(error) => Some(format!("{place}: {error:#}")),
    }
}

#[cfg(test)]
mod tests;
