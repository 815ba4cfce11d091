//! The blurry and sharp pictures of a run.

mod real;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use blur_synth::{Degradation, Family};
use sha2::{Digest, Sha256};

use super::arguments::Filter;
use super::shard::Shard;
use super::stop;
use crate::datasets;
use crate::failure::Failure;
use crate::hash;
use crate::report::say;
use crate::suite::{Group, Protocol, RealPairs, Suite};
use crate::synth::record::{self, PairFiles, Record};
use crate::synth::{self, Job, SharpPhoto};

/// The domain of all sets with real blur.
pub(crate) const REAL: &str = "real";
/// Folder of the pairs in that of the run.
pub(crate) const FOLDER: &str = "pairs";

/// Pictures of one kind, degraded in one way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    /// Kind of pictures.
    pub(crate) domain: String,
    /// Name of the degradation.
    pub(crate) name: String,
    /// Family of blur, without the severity.
    pub(crate) family: String,
    /// From 1 to 5.
    pub(crate) severity: Option<u8>,
    /// What the default model is trained for.
    pub(crate) in_domain: bool,
    /// Blur of a real camera.
    pub(crate) real: bool,
    /// How its pairs are scored.
    pub(crate) protocol: Protocol,
    /// The blur of each picture is one kernel, which is known.
    pub(crate) one_kernel: bool,
    /// Its pictures that belong to this part of the run, sorted by name.
    pub(crate) pairs: Vec<Pair>,
}

/// A blurry picture and the sharp one that belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pair {
    /// Unique in the condition.
    pub(crate) name: String,
    /// The photo behind it, `DATASET/PATH`; of a film the folder of its frames, which are no more independent than one photo is of
    /// itself.
    pub(crate) photo: String,
    pub(crate) blurry: PathBuf,
    pub(crate) sharp: PathBuf,
    /// SHA-256 of both contents.
    pub(crate) sha256: String,
    /// How it was made; none for real blur.
    pub(crate) degradation: Option<Degradation>,
}

impl Condition {
    /// `DOMAIN/NAME`.
    pub(crate) fn id(&self) -> String {
        format!("{}/{}", self.domain, self.name)
    }
}

/// SHA-256 over the names and contents of pairs, whatever their order.
pub(crate) fn data_sha256<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let sorted: BTreeMap<&str, &str> = pairs.collect();
    let mut hasher = Sha256::new();
    for (name, sha256) in sorted {
        hasher.update(format!("{name}\0{sha256}\n"));
    }
    hash::hexadecimal(&hasher.finalize())
}

/// The pairs of a run, and what could not be made.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    /// In the order of the suite; also those of which this part has no picture.
    pub(crate) conditions: Vec<Condition>,
    /// One line for each picture that could not be made.
    pub(crate) failures: Vec<String>,
    /// Sets with real blur that are not here.
    pub(crate) absent: Vec<String>,
}

/// Makes the pairs of the suite that are wanted and not there yet, below `out`.
///
/// # Errors
/// No condition that is wanted, a data set that is not here, or a folder that cannot be written.
pub(crate) fn make(
    suite: &Suite,
    filter: &Filter,
    shard: Option<Shard>,
    cache: Option<&Path>,
    out: &Path,
) -> Result<Pairs> {
    let folder = out.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut pairs = Pairs::default();
    let groups = suite.groups(cache)?;
    check(suite, &groups, filter, cache)?;
    // Counted over all domains: see `Shard::has`.
    let mut number = 0;
    let mut is_mine = |_: &SharpPhoto| {
        number += 1;
        shard.is_none_or(|shard| shard.has(number - 1))
    };
    for mut group in groups {
        let domain = group.domain.name.clone();
        let conditions = &mut group.recipe.conditions;
        conditions.retain(|condition| filter.wants(&domain, &condition.name));
        // Films are cut into groups of frames, which a division by photos would tear.
        let has_films = conditions.iter().any(synth::is_film);
        if has_films && shard.is_some() {
            return Err(Failure::error(
                format!(
                    "the domain {domain} averages frames of films, which cannot be divided by photos"
                ),
                "run it without --shard, or leave its conditions out with --conditions",
            ));
        }
        if !has_films {
            group.photos = synth::spread(group.photos, group.domain.limit.take());
            group.photos.retain(&mut is_mine);
        }
        if !group.recipe.conditions.is_empty() {
            of_group(suite, &group, &folder, &mut pairs)?;
        }
    }
    for real in &suite.real {
        if filter.wants(REAL, &real.name) {
            real::of_set(suite, real, shard, cache, &folder, &mut pairs)?;
        }
    }
    if pairs.conditions.is_empty() {
        return Err(nothing(&pairs.absent, &suite.real));
    }
    Ok(pairs)
}

/// Before any picture is made: everything that was asked for is there.
fn check(suite: &Suite, groups: &[Group], filter: &Filter, cache: Option<&Path>) -> Result<()> {
    let mut there: Vec<String> = Vec::new();
    for Group { domain, recipe, .. } in groups {
        let names = recipe.conditions.iter().map(|condition| &condition.name);
        there.extend(names.map(|name| format!("{}/{name}", domain.name)));
    }
    let mut absent = Vec::new();
    for real in &suite.real {
        there.push(format!("{REAL}/{}", real.name));
        if !datasets::is_here(cache, &real.dataset)? {
            absent.push(real.name.clone());
        }
    }
    filter.check(&there, &suite.real, &absent)
}

/// The error when all sets of a suite are absent.
fn nothing(absent: &[String], real: &[RealPairs]) -> anyhow::Error {
    let datasets: Vec<&str> = real
        .iter()
        .filter(|real| absent.contains(&real.name))
        .map(|real| real.dataset.as_str())
        .collect();
    Failure::error(
        format!("none of the sets is here: {}", absent.join(", ")),
        format!("cargo xtask datasets fetch {}", datasets.join(" ")),
    )
}

pub(super) fn of_group(
    suite: &Suite,
    group: &Group,
    folder: &Path,
    pairs: &mut Pairs,
) -> Result<()> {
    let domain = &group.domain;
    let set = folder.join(&domain.name);
    let mut conditions: Vec<Condition> = group
        .recipe
        .conditions
        .iter()
        .map(|condition| Condition {
            domain: domain.name.clone(),
            name: condition.name.clone(),
            family: family(condition),
            severity: condition.severity,
            in_domain: suite.is_in_domain(&domain.name, &condition.name),
            real: false,
            protocol: Protocol::Rgb,
            one_kernel: is_one_kernel(condition),
            pairs: Vec::new(),
        })
        .collect();
    if !group.photos.is_empty() {
        say(format!(
            "{}: {} under {} conditions",
            domain.name,
            synth::count(group.photos_used(), "photo"),
            conditions.len()
        ));
        let made = Job {
            recipe: &group.recipe,
            folder: &group.folder,
            photos: &group.photos,
            limit: domain.limit,
            crop: suite.crop,
            out: &set,
            is_stopped: stop::asked,
        }
        .run()?;
        stop::check()?;
        pairs.failures.extend(
            made.failed
                .iter()
                .map(|failure| format!("{}: {failure}", domain.name)),
        );
        for condition in &mut conditions {
            condition.pairs = made_pairs(&set, &condition.name, &domain.dataset, &made.whole)?;
        }
    }
    pairs.conditions.extend(conditions);
    Ok(())
}

/// The pairs of a condition that are whole, by their records. Why the others could not be made has been said.
fn made_pairs(
    set: &Path,
    condition: &str,
    dataset: &str,
    whole: &BTreeSet<(String, String)>,
) -> Result<Vec<Pair>> {
    synth::stems(set, condition)?
        .into_iter()
        .filter(|stem| whole.contains(&(condition.to_owned(), stem.clone())))
        .map(|stem| {
            let files = PairFiles::new(set, condition, &stem);
            let record: Record = record::read(&files.record)?;
            Ok(Pair {
                name: stem,
                photo: format!("{dataset}/{}", record.photo),
                blurry: files.blurry,
                sharp: files.sharp,
                sha256: both(&record.blurry_sha256, &record.sharp_sha256),
                degradation: Some(record.degradation),
            })
        })
        .collect()
}

fn both(blurry: &str, sharp: &str) -> String {
    hash::hexadecimal(&Sha256::digest(format!("{blurry} {sharp}")))
}

/// Makes `place` a link to a folder, unless it is one already.
///
/// # Errors
/// Something else at that place, or a system without links.
pub(crate) fn link(folder: &Path, place: &Path) -> Result<()> {
    let folder = folder
        .canonicalize()
        .with_context(|| format!("cannot find {}", folder.display()))?;
    if place.canonicalize().is_ok_and(|there| there == folder) {
        return Ok(());
    }
    let cannot_link = || format!("cannot link {} to {}", place.display(), folder.display());
    unlink(place)?;
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).with_context(cannot_link)?;
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(&folder, place).with_context(cannot_link)?;
    #[cfg(windows)]
    std::os::windows::fs::symlink_dir(&folder, place).with_context(cannot_link)?;
    Ok(())
}

/// Removes a link, and nothing else: what is written to `place` afterwards must not land in the folder that it led to.
///
/// # Errors
/// A link that cannot be removed.
pub(crate) fn unlink(place: &Path) -> Result<()> {
    if !place.is_symlink() {
        return Ok(());
    }
    // On Windows a link to a folder is removed as a folder.
    fs::remove_file(place)
        .or_else(|error| fs::remove_dir(place).map_err(|_| error))
        .with_context(|| format!("cannot remove the link {}", place.display()))
}

/// What conditions of different severity have in common.
fn family(condition: &blur_synth::Condition) -> String {
    match condition.scenario {
        Some(scenario) => scenario.name().replace('_', "-"),
        None => condition.name.clone(),
    }
}

/// Whether all pictures of the condition are blurred by one kernel each.
fn is_one_kernel(condition: &blur_synth::Condition) -> bool {
    let mix = condition
        .mix
        .clone()
        .or_else(|| condition.preset.map(blur_synth::Preset::mix));
    if let Some(mix) = mix {
        return mix
            .families
            .iter()
            .all(|family| family.weight <= 0.0 || family.family.is_uniform());
    }
    let scenario = condition.scenario.map(blur_synth::Scenario::family);
    let exact = condition.blur.as_ref().map(blur_synth::Blur::family);
    scenario.or(exact).is_none_or(Family::is_uniform)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_data_does_not_depend_on_the_order() {
        let pairs = [("a", "1"), ("b", "2")];
        let hash = data_sha256(pairs.into_iter());
        assert_eq!(hash, data_sha256(pairs.into_iter().rev()));
        assert_ne!(hash, data_sha256([("a", "2"), ("b", "1")].into_iter()));
        // printf 'a\0001\nb\0002\n' | sha256sum
        assert_eq!(
            hash,
            "1a04f75bd0704a1e3a5609aa6cef325ce65e2ccde2c36252d0e2fc2ddcb5762d"
        );
    }

    #[test]
    fn only_uniform_blur_is_one_kernel() {
        let suite = crate::suite::load("quick").unwrap();
        let varying: Vec<String> = suite
            .recipe_of_all()
            .conditions
            .iter()
            .filter(|condition| !is_one_kernel(condition))
            .map(|condition| condition.name.clone())
            .collect();
        assert_eq!(varying, ["object-motion-3", "rotation-3", "zoom-3"]);
    }

    #[test]
    fn severities_of_a_scenario_are_one_family() {
        let suite = crate::suite::load("full").unwrap();
        let recipe = suite.recipe_of_all();
        let of = |name: &str| {
            let condition = recipe
                .conditions
                .iter()
                .find(|condition| condition.name == name);
            family(condition.unwrap())
        };
        assert_eq!(of("night-shake-1"), "night-shake");
        assert_eq!(of("night-shake-5"), "night-shake");
        assert_eq!(of("training-blur-jpeg"), "training-blur-jpeg");
    }

    #[test]
    #[cfg(unix)]
    fn a_link_is_made_once_and_moved_when_it_points_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&two).unwrap();
        let place = folder.path().join("deep/place");
        for target in [&one, &one, &two] {
            link(target, &place).unwrap();
            assert_eq!(
                place.canonicalize().unwrap(),
                target.canonicalize().unwrap()
            );
        }
        // What is not a link is never replaced.
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(link(&one, &folder.path().join("file")).is_err());
    }
}
