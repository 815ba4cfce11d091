//! Making pairs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result};
use blur_synth::{Condition, Recipe};
use image_quality::{MetricProtocol, psnr};
use rayon::prelude::*;

use super::frames::{self, FrameRecord};
use super::photos::SharpPhoto;
use super::record::{self, FOLDERS, PairFiles, Record, SET_FILE, SetRecord};
use super::source::{self, Source, write_photo};
use crate::failure::Failure;
use crate::lock::Lock;
use crate::progress::{Progress, Unit};

/// Held while pairs are made in a folder.
const LOCK_FILE: &str = ".lock";

/// What is made of which photos, and where it goes.
pub(crate) struct Job<'a> {
    pub(crate) recipe: &'a Recipe,
    /// The folder that the paths of the photos are relative to.
    pub(crate) folder: &'a Path,
    pub(crate) photos: &'a [SharpPhoto],
    /// At most so many photos, or groups of frames, spread evenly; all when absent.
    pub(crate) limit: Option<u32>,
    /// Width and height of the crops; whole photos when absent.
    pub(crate) crop: Option<[usize; 2]>,
    pub(crate) out: &'a Path,
    /// Whether to leave the rest undone, asked before each pair.
    pub(crate) is_stopped: fn() -> bool,
}

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    /// Pairs made now.
    pub(crate) made: usize,
    /// Pairs that were there already.
    pub(crate) kept: usize,
    /// Photos and conditions that failed, with the cause.
    pub(crate) failed: Vec<String>,
    /// What is whole now, as condition and stem. What an earlier call made of a photo that cannot be read any more is not.
    pub(crate) whole: BTreeSet<(String, String)>,
}

/// One condition for one photo.
struct Task<'a> {
    condition: &'a Condition,
    /// Numbers of the frames that are averaged; none when the photo is degraded alone.
    frames: Vec<usize>,
}

impl Job<'_> {
    /// Makes every pair that is not there yet. A photo that fails does not stop the others.
    ///
    /// # Errors
    /// A folder that cannot be written, or one that holds another set.
    pub(crate) fn run(&self) -> Result<Made> {
        let work = self.work();
        let set = self.set_record(&work);
        let _lock = self.prepare(&set)?;
        let total: usize = set.pairs.iter().map(|(_, stems)| stems.len()).sum();
        let progress = Progress::new(total as u64, "making pairs", Unit::Pictures);
        let made = Mutex::new(Made::default());
        work.par_iter()
            .for_each(|(&photo, tasks)| self.make_all_of(photo, tasks, &progress, &made));
        drop(progress);
        let mut made = made.into_inner().unwrap_or_default();
        for (condition, (name, stems)) in self.recipe.conditions.iter().zip(&set.pairs) {
            if stems.is_empty() {
                made.failed.push(format!(
                    "{name}: no folder has {} frames in a row, numbered without a gap",
                    frames::count(condition).unwrap_or(1)
                ));
            }
        }
        made.failed.sort();
        Ok(made)
    }

    /// What is made of each photo, by its number: single photos are degraded, means of frames belong to the frame in the
    /// middle.
    fn work(&self) -> BTreeMap<usize, Vec<Task<'_>>> {
        let mut work: BTreeMap<usize, Vec<Task<'_>>> = BTreeMap::new();
        let photos = super::spread((0..self.photos.len()).collect(), self.limit);
        for condition in &self.recipe.conditions {
            if let Some(count) = frames::count(condition) {
                for frames in super::spread(frames::groups(self.photos, count), self.limit) {
                    let middle = frames[frames.len() / 2];
                    let task = Task { condition, frames };
                    work.entry(middle).or_default().push(task);
                }
            } else {
                for &photo in &photos {
                    let frames = Vec::new();
                    let task = Task { condition, frames };
                    work.entry(photo).or_default().push(task);
                }
            }
        }
        work
    }

    fn set_record(&self, work: &BTreeMap<usize, Vec<Task<'_>>>) -> SetRecord {
        let mut stems: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (&number, tasks) in work {
            for Task { condition, .. } in tasks {
                let photo = &self.photos[number];
                let names =
                    (0..condition.per_photo).map(|index| photo.stem(index, condition.per_photo));
                stems.entry(&condition.name).or_default().extend(names);
            }
        }
        let pairs = self
            .recipe
            .conditions
            .iter()
            .map(|condition| {
                let mut stems = stems.remove(condition.name.as_str()).unwrap_or_default();
                stems.sort();
                (condition.name.clone(), stems)
            })
            .collect();
        SetRecord {
            schema_version: record::SCHEMA_VERSION,
            blur_synth: blur_synth::VERSION.to_owned(),
            recipe: self.recipe.clone(),
            photos: self.folder.to_owned(),
            crop: self.crop,
            pairs,
        }
    }

    /// Makes the folders and writes down what they are for. Going on with a set is fine; mixing two is not.
    fn prepare(&self, set: &SetRecord) -> Result<Lock> {
        let file = self.out.join(SET_FILE);
        let is_new = !file.exists();
        let is_used = self.out.read_dir().is_ok_and(|mut entries| {
            entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != LOCK_FILE))
        });
        if is_new && is_used {
            return Err(Failure::error(
                format!("{} is not empty and holds no pairs", self.out.display()),
                "give a new folder to --out",
            ));
        }
        let lock = Lock::take(&self.out.join(LOCK_FILE), "making pairs in the same folder")?;
        if !is_new {
            let there: SetRecord = record::read(&file)?;
            if let Some(difference) = difference(&there, set) {
                return Err(Failure::error(
                    format!("{} holds pairs of {difference}", self.out.display()),
                    "give another folder to --out, or delete this one",
                ));
            }
        }
        for condition in &self.recipe.conditions {
            for folder in FOLDERS {
                let folder = self.out.join(&condition.name).join(folder);
                fs::create_dir_all(&folder)
                    .with_context(|| format!("cannot create {}", folder.display()))?;
            }
        }
        record::write(&file, set)?;
        Ok(lock)
    }

    fn make_all_of(
        &self,
        number: usize,
        tasks: &[Task<'_>],
        progress: &Progress,
        made: &Mutex<Made>,
    ) {
        let note = |change: &dyn Fn(&mut Made)| {
            if let Ok(mut made) = made.lock() {
                change(&mut made);
            }
        };
        if (self.is_stopped)() {
            return;
        }
        let photo = &self.photos[number];
        let source = match Source::read(&photo.file, self.crop) {
            Ok(source) => source,
            Err(error) => {
                note(&|made| made.failed.push(format!("{}: {error:#}", photo.path)));
                return;
            }
        };
        for task in tasks {
            for index in 0..task.condition.per_photo {
                if (self.is_stopped)() {
                    return;
                }
                match self.make(photo, &source, task, index) {
                    Ok(is_new) => note(&|made| {
                        made.made += usize::from(is_new);
                        made.kept += usize::from(!is_new);
                        let stem = photo.stem(index, task.condition.per_photo);
                        made.whole.insert((task.condition.name.clone(), stem));
                    }),
                    Err(error) => note(&|made| {
                        let place = format!("{}, {}", photo.path, task.condition.name);
                        made.failed.push(format!("{place}: {error:#}"));
                    }),
                }
                progress.inc(1);
            }
        }
    }

    /// Makes one pair; `false` when it is there already.
    fn make(
        &self,
        photo: &SharpPhoto,
        source: &Source,
        task: &Task<'_>,
        index: u32,
    ) -> Result<bool> {
        let condition = task.condition;
        let degradation = self.recipe.degradation(condition, photo.key(), index)?;
        let stem = photo.stem(index, condition.per_photo);
        let files = PairFiles::new(self.out, &condition.name, &stem);
        let frames: Vec<FrameRecord> = task
            .frames
            .iter()
            .map(|&frame| FrameRecord::new(&self.photos[frame]))
            .collect::<Result<_>>()?;
        if let Ok(there) = record::read::<Record>(&files.record)
            && there.degradation == degradation
            && there.photo_sha256 == source.sha256
            && there.crop == source.crop
            && there.frames == frames
            && source::holds(&files.blurry, &there.blurry_sha256)
            && source::holds(&files.sharp, &there.sharp_sha256)
        {
            return Ok(false);
        }
        let pair = if frames.is_empty() {
            source.degrade(&degradation)?
        } else {
            source.average(&frames::read(self.folder, &frames)?, &degradation)?
        };
        // The record goes first and comes back last: where it is, the pictures are whole and its own.
        match fs::remove_file(&files.record) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error)
                    .with_context(|| format!("cannot remove {}", files.record.display()));
            }
            _ => {}
        }
        write_photo(&files.blurry, &pair.blurry)?;
        write_photo(&files.sharp, &pair.sharp)?;
        let psnr = psnr(
            pair.blurry.pixels.view(),
            pair.sharp.pixels.view(),
            &MetricProtocol::rgb(),
        )?;
        record::write(
            &files.record,
            &Record {
                schema_version: record::SCHEMA_VERSION,
                condition: condition.name.clone(),
                index,
                photo: photo.path.clone(),
                photo_sha256: source.sha256.clone(),
                frames,
                crop: source.crop,
                degradation,
                blurry_sha256: record::pixel_hash(&pair.blurry),
                sharp_sha256: record::pixel_hash(&pair.sharp),
                psnr_db: psnr.is_finite().then_some(psnr),
            },
        )?;
        Ok(true)
    }
}

/// In what a set that is there differs from the one that is asked for, so that the two must not be mixed.
fn difference(there: &SetRecord, set: &SetRecord) -> Option<String> {
    if there.recipe != set.recipe {
        return Some("another recipe".to_owned());
    }
    if there.crop != set.crop {
        return Some("another crop".to_owned());
    }
    if there.blur_synth != set.blur_synth {
        return Some(format!(
            "version {} of blur-synth, whose pictures may differ from those of {}",
            there.blur_synth, set.blur_synth
        ));
    }
    let stems = |set: &SetRecord| -> BTreeSet<(String, String)> {
        set.pairs
            .iter()
            .flat_map(|(condition, stems)| {
                stems.iter().map(|stem| (condition.clone(), stem.clone()))
            })
            .collect()
    };
    let (old, new) = (stems(there), stems(set));
    old.difference(&new).next().map(|(condition, stem)| {
        format!("more photos than are named now, such as {condition}/{stem}")
    })
}
