//! Making pairs.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result};
use blur_synth::{Condition, Degradation, Recipe};
use image_io::{BitDepth, ColorModel, Format, Limits, Photo, PhotoInfo, WriteOptions};
use image_quality::{MetricProtocol, psnr};
use rayon::prelude::*;

use super::crop::Crop;
use super::photos::SharpPhoto;
use super::record::{self, FOLDERS, PairFiles, Record, SET_FILE, SetRecord};
use crate::failure::Failure;
use crate::hash;
use crate::progress::{Progress, Unit};
use crate::report::say;

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

/// A degraded picture and the sharp one that belongs to it.
pub(crate) struct Pair {
    pub(crate) blurry: Photo,
    pub(crate) sharp: Photo,
}

impl Job<'_> {
    /// Makes every pair that is not there yet. A photo that fails does not stop the others.
    ///
    /// # Errors
    /// A folder that cannot be written, or one that holds another set.
    pub(crate) fn run(&self) -> Result<Made> {
        let set = self.set_record();
        self.prepare(&set)?;
        let total = self.photos.len() * self.pictures_per_photo();
        let progress = Progress::new((total) as u64, "making pairs", Unit::Pictures);
        let made = Mutex::new(Made::default());
        self.photos
            .par_iter()
            .for_each(|photo| self.make_all_of(photo, &progress, &made));
        drop(progress);
        let mut made = made.into_inner().unwrap_or_default();
        made.failed.sort();
        Ok(made)
    }

    fn pictures_per_photo(&self) -> usize {
        self.recipe
            .conditions
            .iter()
            .map(|condition| condition.per_photo as usize)
            .sum()
    }

    fn set_record(&self) -> SetRecord {
        let pairs = self
            .recipe
            .conditions
            .iter()
            .map(|condition| {
                let mut stems: Vec<String> = self
                    .photos
                    .iter()
                    .flat_map(|photo| {
                        (0..condition.per_photo).map(|index| photo.stem(index, condition.per_photo))
                    })
                    .collect();
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

    fn make_all_of(&self, photo: &SharpPhoto, progress: &Progress, made: &Mutex<Made>) {
        let note = |change: &dyn Fn(&mut Made)| {
            if let Ok(mut made) = made.lock() {
                change(&mut made);
            }
        };
        let source = match Source::read(&photo.file, self.crop) {
            Ok(source) => source,
            Err(error) => {
                note(&|made| made.failed.push(format!("{}: {error:#}", photo.path)));
                progress.inc(self.pictures_per_photo() as u64);
                return;
            }
        };
        for condition in &self.recipe.conditions {
            for index in 0..condition.per_photo {
                match self.make(photo, &source, condition, index) {
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
        photo: &SharpPhoto,
        source: &Source,
        condition: &Condition,
        index: u32,
    ) -> Result<bool> {
        let degradation = self.recipe.degradation(condition, photo.key(), index)?;
        let stem = photo.stem(index, condition.per_photo);
        let files = PairFiles::new(self.out, &condition.name, &stem);
        if let Ok(there) = record::read::<Record>(&files.record)
            && there.degradation == degradation
            && there.photo_sha256 == source.sha256
            && there.crop == source.crop
            && files.blurry.is_file()
            && files.sharp.is_file()
        {
            return Ok(false);
        }
        let pair = source.degrade(&degradation)?;
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

/// A sharp photo that has been read.
pub(crate) struct Source {
    photo: Photo,
    pub(crate) sha256: String,
    pub(crate) crop: Crop,
}

impl Source {
    /// Reads a photo and chooses its crop.
    pub(crate) fn read(file: &Path, crop: Option<[usize; 2]>) -> Result<Self> {
        let photo = image_io::read(file, &Limits::default())?;
        let crop = match crop {
            Some([width, height]) => Crop::most_detailed(photo.pixels.view(), width, height),
            None => Crop::whole(photo.pixels.view()),
        };
        Ok(Self {
            photo,
            sha256: hash::sha256(file)?,
            crop,
        })
    }

    /// The pair of this photo under a degradation. Around a crop the real pixels of the photo are used.
    pub(crate) fn degrade(&self, degradation: &Degradation) -> Result<Pair> {
        let pixels = self.photo.pixels.view();
        let (_, height, width) = pixels.dim();
        anyhow::ensure!(
            self.crop.fits(height, width),
            "the crop does not lie on the photo of {width} x {height} pixels"
        );
        let margin = degradation.margin()?;
        let patch = self.crop.with_margin(pixels, margin).ok_or_else(|| {
            anyhow::anyhow!(
                "the photo of {width} x {height} pixels is too small for a blur that reaches {margin} pixels"
            )
        })?;
        let blurry = degradation.apply_valid(patch.view(), margin)?;
        let inside = ndarray::s![
            ..,
            margin..margin + self.crop.height,
            margin..margin + self.crop.width
        ];
        let sharp = degradation.target(patch.slice(inside))?;
        let depth = match degradation.quantise_bits {
            Some(bits) if bits <= 8 => BitDepth::Eight,
            _ => BitDepth::Sixteen,
        };
        Ok(Pair {
            blurry: self.stored(blurry, depth),
            sharp: self.stored(sharp, self.photo.info.bit_depth),
        })
    }

    /// A picture as it is written: in colour, because noise has colour, with the colour profile of the photo, without the
    /// rest of its metadata.
    fn stored(&self, pixels: ndarray::Array3<f32>, bit_depth: BitDepth) -> Photo {
        let is_color = self.photo.info.color == ColorModel::Rgb;
        Photo {
            pixels,
            alpha: None,
            info: PhotoInfo {
                bit_depth,
                icc_profile: self.photo.info.icc_profile.clone().filter(|_| is_color),
                ..PhotoInfo::new(Format::Png)
            },
        }
    }
}

/// Writes a picture whole or not at all, in the place of an older one.
pub(crate) fn write_photo(path: &Path, photo: &Photo) -> Result<()> {
    let options = WriteOptions {
        overwrite: true,
        ..WriteOptions::default()
    };
    for note in image_io::write(path, photo, &options)? {
        say(format!("{}: {note}", path.display()));
    }
    Ok(())
}
