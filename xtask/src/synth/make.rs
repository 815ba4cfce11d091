//! Making pairs.

use std::collections::BTreeMap;
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
use super::source::{Source, write_photo};
use crate::failure::Failure;
use crate::progress::{Progress, Unit};

/// What is made of which photos, and where it goes.
pub(crate) struct Job<'a> {
    pub(crate) recipe: &'a Recipe,
    /// The folder that the paths of the photos are relative to.
    pub(crate) folder: &'a Path,
    pub(crate) photos: &'a [SharpPhoto],
    /// Width and height of the crops; whole photos when absent.
    pub(crate) crop: Option<[usize; 2]>,
    pub(crate) out: &'a Path,
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
}

impl Job<'_> {
    /// Makes every pair that is not there yet. A photo that fails does not stop the others.
    ///
    /// # Errors
    /// A folder that cannot be written, or one that holds another set.
    pub(crate) fn run(&self) -> Result<Made> {
        let set = self.set_record();
        self.prepare(&set)?;
        let total: usize = set.pairs.iter().map(|(_, stems)| stems.len()).sum();
        let progress = Progress::new(total as u64, "making pairs", Unit::Pictures);
        let made = Mutex::new(Made::default());
        (0..self.photos.len())
            .into_par_iter()
            .for_each(|photo| self.make_all_of(photo, &progress, &made));
        drop(progress);
        let mut made = made.into_inner().unwrap_or_default();
        for (condition, stems) in &set.pairs {
            if stems.is_empty() {
                made.failed.push(format!(
                    "{condition}: no folder has as many photos in a row as it averages"
                ));
            }
        }
        made.failed.sort();
        Ok(made)
    }

    /// The conditions under which pictures are made of photo number `photo`: all, but means of frames only of the frame
    /// in the middle of each group.
    fn conditions_of(&self, photo: usize) -> impl Iterator<Item = &Condition> {
        self.recipe.conditions.iter().filter(move |condition| {
            frames::count(condition)
                .is_none_or(|count| frames::around(self.photos, photo, count).is_some())
        })
    }

    fn set_record(&self) -> SetRecord {
        let mut stems: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (number, photo) in self.photos.iter().enumerate() {
            for condition in self.conditions_of(number) {
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
    fn prepare(&self, set: &SetRecord) -> Result<()> {
        let file = self.out.join(SET_FILE);
        if file.exists() {
            let there: SetRecord = record::read(&file)?;
            let is_same = there.recipe == set.recipe && there.crop == set.crop;
            if !is_same {
                return Err(Failure::error(
                    format!(
                        "{} holds pairs of another recipe or crop",
                        self.out.display()
                    ),
                    "give another folder to --out, or delete this one",
                ));
            }
        } else if self
            .out
            .read_dir()
            .is_ok_and(|mut entries| entries.next().is_some())
        {
            return Err(Failure::error(
                format!("{} is not empty and holds no pairs", self.out.display()),
                "give a new folder to --out",
            ));
        }
        for condition in &self.recipe.conditions {
            for folder in FOLDERS {
                let folder = self.out.join(&condition.name).join(folder);
                fs::create_dir_all(&folder)
                    .with_context(|| format!("cannot create {}", folder.display()))?;
            }
        }
        record::write(&file, set)
    }

    fn make_all_of(&self, number: usize, progress: &Progress, made: &Mutex<Made>) {
        let note = |change: &dyn Fn(&mut Made)| {
            if let Ok(mut made) = made.lock() {
                change(&mut made);
            }
        };
        let photo = &self.photos[number];
        if self.conditions_of(number).next().is_none() {
            return;
        }
        let source = match Source::read(&photo.file, self.crop) {
            Ok(source) => source,
            Err(error) => {
                note(&|made| made.failed.push(format!("{}: {error:#}", photo.path)));
                return;
            }
        };
        for condition in self.conditions_of(number) {
            for index in 0..condition.per_photo {
                match self.make(number, &source, condition, index) {
                    Ok(true) => note(&|made| made.made += 1),
                    Ok(false) => note(&|made| made.kept += 1),
                    Err(error) => note(&|made| {
                        let place = format!("{}, {}", photo.path, condition.name);
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
        number: usize,
        source: &Source,
        condition: &Condition,
        index: u32,
    ) -> Result<bool> {
        let photo = &self.photos[number];
        let degradation = self.recipe.degradation(condition, photo.key(), index)?;
        let stem = photo.stem(index, condition.per_photo);
        let files = PairFiles::new(self.out, &condition.name, &stem);
        let frames: Vec<FrameRecord> = match frames::count(condition) {
            Some(count) => frames::around(self.photos, number, count)
                .unwrap_or_default()
                .iter()
                .map(FrameRecord::new)
                .collect::<Result<_>>()?,
            None => Vec::new(),
        };
        if let Ok(there) = record::read::<Record>(&files.record)
            && there.degradation == degradation
            && there.photo_sha256 == source.sha256
            && there.crop == source.crop
            && there.frames == frames
            && files.blurry.is_file()
            && files.sharp.is_file()
        {
            return Ok(false);
        }
        let pair = if frames.is_empty() {
            source.degrade(&degradation)?
        } else {
            source.average(&frames::read(self.folder, &frames)?, &degradation)?
        };
        write_photo(&files.blurry, &pair.blurry)?;
        write_photo(&files.sharp, &pair.sharp)?;
        let psnr = psnr(
            pair.blurry.pixels.view(),
            pair.sharp.pixels.view(),
            &MetricProtocol::rgb(),
        )?;
        // The record comes last: where it is, the pictures are whole.
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
