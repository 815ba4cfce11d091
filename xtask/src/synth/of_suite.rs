//! All pairs of a suite.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::count;
use super::make::{Job, Made};
use super::record;
use crate::datasets::is_inside;
use crate::report::say;
use crate::suite::{Group, InDomain, Protocol, Suite};

/// The file of a [`SuiteRecord`] in its folder.
const SUITE_FILE: &str = "suite.json";

/// What a folder of a suite holds, for whoever measures with it.
#[derive(Serialize)]
struct SuiteRecord<'a> {
    schema_version: u32,
    suite: &'a str,
    description: &'a str,
    /// What the default model is trained for.
    in_domain: &'a [InDomain],
    domains: Vec<DomainRecord<'a>>,
    real: Vec<RealRecord<'a>>,
}

#[derive(Serialize)]
struct DomainRecord<'a> {
    name: &'a str,
    dataset: &'a str,
    split: &'a str,
    photos: usize,
    conditions: Vec<&'a str>,
}

/// A set with real blur; its pairs stay where they are.
#[derive(Serialize)]
struct RealRecord<'a> {
    name: &'a str,
    dataset: &'a str,
    split: &'a str,
    /// How its pairs are scored.
    protocol: Protocol,
    folder: PathBuf,
    /// Blurry and sharp, relative to the folder.
    pairs: Vec<(String, String)>,
}

/// Makes the pairs of every domain below `out`, and writes down what is there. Real sets that are not here are named
/// and left out.
///
/// # Errors
/// A data set of a domain that is not here, or a folder that cannot be written.
pub(crate) fn run(suite: &Suite, cache: Option<&Path>, out: &Path) -> Result<Made> {
    let groups = suite.groups(cache)?;
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let mut total = Made::default();
    for group in &groups {
        say(format!(
            "{}: {} under {}",
            group.domain.name,
            count(group.photos_used(), "photo"),
            count(group.recipe.conditions.len(), "condition")
        ));
        let made = Job {
            recipe: &group.recipe,
            folder: &group.folder,
            photos: &group.photos,
            limit: group.domain.limit,
            crop: suite.crop,
            out: &out.join(&group.domain.name),
            is_stopped: || false,
        }
        .run()?;
        total.made += made.made;
        total.kept += made.kept;
        total.failed.extend(
            made.failed
                .into_iter()
                .map(|failure| format!("{}: {failure}", group.domain.name)),
        );
    }
    let mut real = Vec::new();
    for set in &suite.real {
        match suite.real_pairs(cache, set)? {
            Some(found) => real.push(RealRecord {
                name: &set.name,
                dataset: &set.dataset,
                split: &set.split,
                protocol: set.protocol,
                folder: found.folder,
                pairs: found.pairs,
            }),
            None => say(format!(
                "{} is left out, it is not here: cargo xtask datasets fetch {}",
                set.name, set.dataset
            )),
        }
    }
    let record = SuiteRecord {
        schema_version: record::SCHEMA_VERSION,
        suite: &suite.name,
        description: &suite.description,
        in_domain: &suite.in_domain,
        domains: groups.iter().map(domain_record).collect(),
        real,
    };
    record::write(&out.join(SUITE_FILE), &record)?;
    Ok(total)
}

/// The part of a [`SuiteRecord`] that says which folders of pairs there are.
#[derive(Deserialize)]
struct Folders {
    domains: Vec<Folder>,
}

#[derive(Deserialize)]
struct Folder {
    name: String,
}

/// The folders of pairs below the folder of a suite; `None` when it is none.
///
/// # Errors
/// A damaged record.
pub(crate) fn folders(out: &Path) -> Result<Option<Vec<PathBuf>>> {
    let file = out.join(SUITE_FILE);
    if !file.is_file() {
        return Ok(None);
    }
    let record: Folders = record::read(&file)?;
    anyhow::ensure!(
        record.domains.iter().all(|domain| is_inside(&domain.name)),
        "{} names folders outside its own",
        file.display()
    );
    Ok(Some(
        record
            .domains
            .iter()
            .map(|domain| out.join(&domain.name))
            .collect(),
    ))
}

fn domain_record(group: &Group) -> DomainRecord<'_> {
    DomainRecord {
        name: &group.domain.name,
        dataset: &group.domain.dataset,
        split: &group.domain.split,
        photos: group.photos_used(),
        conditions: group
            .recipe
            .conditions
            .iter()
            .map(|condition| condition.name.as_str())
            .collect(),
    }
}
