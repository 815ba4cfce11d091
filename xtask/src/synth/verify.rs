//! Making every pair of a folder again and comparing it with what lies there.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use image_io::Limits;
use rayon::prelude::*;

use super::frames;
use super::record::{self, FOLDERS, PairFiles, Record, SET_FILE, SetRecord};
use super::source::Source;
use crate::datasets::is_inside;
use crate::hash;
use crate::progress::{Progress, Unit};

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Pairs that are what the records say.
    pub(crate) sound: usize,
    /// Everything else, each with the name of the file.
    pub(crate) problems: Vec<String>,
}

/// Checks the pairs in `set`. The sharp photos are in `photos`, or where they were when the pairs were made.
///
/// # Errors
/// A folder without pairs.
pub(crate) fn verify(set: &Path, photos: Option<&Path>) -> Result<Findings> {
    let record: SetRecord = record::read(&set.join(SET_FILE))
        .with_context(|| format!("{} is not a folder of pairs", set.display()))?;
    let photos = photos.unwrap_or(&record.photos);
    let pairs: Vec<(&str, &str)> = record
        .pairs
        .iter()
        .flat_map(|(condition, stems)| stems.iter().map(|stem| (condition.as_str(), stem.as_str())))
        .collect();
    let progress = Progress::new(pairs.len() as u64, "checking pairs", Unit::Pictures);
    let mut problems: Vec<String> = pairs
        .par_iter()
        .filter_map(|(condition, stem)| {
            let outcome = check(set, photos, &record, condition, stem);
            progress.inc(1);
            outcome
                .err()
                .map(|error| format!("{condition}/{stem}: {error:#}"))
        })
        .collect();
    drop(progress);
    let sound = pairs.len() - problems.len();
    problems.extend(extra(set, &record)?);
    problems.sort();
    Ok(Findings { sound, problems })
}

fn check(
    set: &Path,
    photos: &Path,
    set_record: &SetRecord,
    condition: &str,
    stem: &str,
) -> Result<()> {
    let files = PairFiles::new(set, condition, stem);
    let record: Record = record::read(&files.record)?;
    anyhow::ensure!(
        record.condition == condition,
        "the record is of the condition {}",
        record.condition
    );
    check_source(photos, &record.photo, &record.photo_sha256)?;
    let asked = set_record
        .recipe
        .conditions
        .iter()
        .find(|other| other.name == condition)
        .context("the recipe has no such condition")?;
    let photo = super::photos::SharpPhoto {
        file: photos.join(&record.photo),
        path: record.photo.clone(),
    };
    anyhow::ensure!(
        photo.stem(record.index, asked.per_photo) == stem,
        "the record is of picture {} of {}",
        record.index + 1,
        record.photo
    );
    let of_film = frames::count(asked).unwrap_or(0);
    anyhow::ensure!(
        record.frames.len() == of_film
            && (of_film == 0 || record.frames[of_film / 2].photo == record.photo),
        "the record has other frames than the recipe asks for"
    );
    let drawn = set_record
        .recipe
        .degradation(asked, photo.key(), record.index)?;
    anyhow::ensure!(
        drawn == record.degradation,
        "the recipe gives other parameters than the record has"
    );
    let source = Source::read(&photo.file, set_record.crop)?;
    anyhow::ensure!(
        source.crop == record.crop,
        "the record has another crop than the set"
    );
    let pair = if record.frames.is_empty() {
        source.degrade(&record.degradation)?
    } else {
        for frame in &record.frames {
            check_source(photos, &frame.photo, &frame.sha256)?;
        }
        source.average(&frames::read(photos, &record.frames)?, &record.degradation)?
    };
    for (file, made, hash) in [
        (&files.blurry, &pair.blurry, &record.blurry_sha256),
        (&files.sharp, &pair.sharp, &record.sharp_sha256),
    ] {
        let made = record::pixel_hash(made);
        anyhow::ensure!(
            made == *hash,
            "made again, {} has other pixels than the record says",
            file.display()
        );
        let there = image_io::read(file, &Limits::default())?;
        anyhow::ensure!(
            record::pixel_hash(&there) == made,
            "the pixels of {} are not those that were made",
            file.display()
        );
    }
    Ok(())
}

/// Whether a photo that a record names is there, unchanged.
fn check_source(photos: &Path, path: &str, sha256: &str) -> Result<()> {
    anyhow::ensure!(
        is_inside(path),
        "the record names a photo outside the folder: {path}"
    );
    let file = photos.join(path);
    anyhow::ensure!(
        hash::sha256(&file)? == sha256,
        "the sharp photo {} has changed",
        file.display()
    );
    Ok(())
}

/// Files that no pair of the set explains.
fn extra(set: &Path, record: &SetRecord) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (condition, stems) in &record.pairs {
        let expected: BTreeSet<&str> = stems.iter().map(String::as_str).collect();
        for folder in FOLDERS {
            let folder = set.join(condition).join(folder);
            let Ok(entries) = folder.read_dir() else {
                problems.push(format!("{}: the folder is missing", folder.display()));
                continue;
            };
            for entry in entries {
                let path = entry
                    .with_context(|| format!("cannot read {}", folder.display()))?
                    .path();
                let stem = path.file_stem().and_then(|stem| stem.to_str());
                if !stem.is_some_and(|stem| expected.contains(stem)) {
                    problems.push(format!("{}: belongs to no pair", path.display()));
                }
            }
        }
    }
    Ok(problems)
}
