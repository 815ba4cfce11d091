//! The restored pictures: as a file holds them, and where they go.

use std::path::{Path, PathBuf};

use image_io::{Encoded, Format, Limits, Photo, PhotoInfo, WriteOptions};
use ms_guidance::checkpoint::sha256;
use ndarray::{Array2, Array3};
use serde::{Deserialize, Serialize};

use crate::hints::Problem;
use crate::plan::parent;
use crate::{cancel, folders, pictures};

/// Where restored pictures go.
#[derive(Debug)]
pub(crate) struct Saved {
    folder: PathBuf,
    uncertainty: bool,
    overwrite: bool,
}

/// SHA-256 of what was saved for one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedHashes {
    photo: String,
    uncertainty: Option<String>,
}

/// A restored picture with 8 bits per channel, as it is saved and measured.
pub(crate) struct Picture {
    /// The values that a reader of the file gets, `[3, H, W]` in `[0, 1]`.
    pub(crate) pixels: Array3<f32>,
    /// The file.
    png: Encoded,
}

impl Picture {
    /// Rounds the restored `image` of `blurry` by way of the file format itself: what is measured is what is saved, also
    /// where a grey photo has three channels in memory and one in the file.
    ///
    /// # Errors
    /// Values that are not finite, sizes that PNG does not hold.
    pub(crate) fn new(blurry: &Photo, image: Array3<f32>) -> Result<Self, Problem> {
        let mut info = PhotoInfo::new(Format::Png);
        info.color = blurry.info.color;
        info.icc_profile.clone_from(&blurry.info.icc_profile);
        let photo = Photo {
            pixels: image,
            alpha: None,
            info,
        };
        let png = image_io::encode(&photo, Format::Png, &WriteOptions::default())?;
        let pixels = image_io::decode(&png.bytes, &Limits::default())?.pixels;
        Ok(Self { pixels, png })
    }
}

impl Saved {
    pub(crate) fn new(folder: PathBuf, uncertainty: bool, overwrite: bool) -> Self {
        Self {
            folder,
            uncertainty,
            overwrite,
        }
    }

    /// The restored picture of a name.
    pub(crate) fn photo(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.png"))
    }

    /// Its map of uncertainty, if there shall be one.
    pub(crate) fn map(&self, name: &str) -> Option<PathBuf> {
        let map = || self.folder.join(format!("{name}.uncertainty.png"));
        self.uncertainty.then(map)
    }

    /// All files of a name.
    pub(crate) fn paths(&self, name: &str) -> Vec<PathBuf> {
        std::iter::once(self.photo(name))
            .chain(self.map(name))
            .collect()
    }

    /// Makes the folders for these names.
    ///
    /// # Errors
    /// A folder that cannot be made or written into, or that leads out of the folder of --save by a link.
    pub(crate) fn prepare<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<(), Problem> {
        folders::prepare(&self.folder, "--save")?;
        let mut below: Vec<PathBuf> = names.map(|name| parent(&self.photo(name))).collect();
        below.sort();
        below.dedup();
        let real = |path: &Path| {
            path.canonicalize()
                .map_err(|error| Problem::new(format!("cannot look at it: {error}")).at(path))
        };
        let root = real(&self.folder)?;
        for folder in below.iter().filter(|folder| **folder != self.folder) {
            // Looked at before anything is made: a link may lead anywhere.
            let existing = folder.ancestors().find(|above| above.exists());
            if !real(existing.unwrap_or(&self.folder))?.starts_with(&root) {
                return Err(Problem::new("a link leads out of the folder of --save")
                    .at(folder)
                    .hint("remove the link, or choose another folder with --save"));
            }
            folders::prepare(folder, "--save")?;
        }
        Ok(())
    }

    /// Writes the picture and its map.
    ///
    /// # Errors
    /// What the file system says, or a file with other content that must not be replaced.
    pub(crate) fn write(
        &self,
        name: &str,
        picture: &Picture,
        spread: Option<&Array2<f32>>,
    ) -> Result<SavedHashes, Problem> {
        let map = match (self.map(name), spread) {
            (Some(path), Some(spread)) => Some((path, png(&pictures::heat_map(spread).photo)?)),
            _ => None,
        };
        cancel::while_writing(|| {
            self.write_file(&self.photo(name), &picture.png)?;
            map.iter()
                .try_for_each(|(path, png)| self.write_file(path, png))
        })?;
        Ok(SavedHashes {
            photo: sha256(&picture.png.bytes),
            uncertainty: map.map(|(_, png)| sha256(&png.bytes)),
        })
    }

    fn write_file(&self, path: &Path, png: &Encoded) -> Result<(), Problem> {
        // A run that was stopped between a picture and its line in --reuse makes the same picture again.
        if std::fs::read(path).is_ok_and(|bytes| bytes == png.bytes) {
            return Ok(());
        }
        Ok(image_io::write_bytes(path, &png.bytes, self.overwrite)?)
    }

    /// Whether the files of a name are those that were saved.
    pub(crate) fn holds(&self, name: &str, hashes: &SavedHashes) -> bool {
        let is =
            |path: &Path, hash: &str| std::fs::read(path).is_ok_and(|bytes| sha256(&bytes) == hash);
        let map_is_there = match (self.map(name), &hashes.uncertainty) {
            (None, _) => true,
            (Some(path), Some(hash)) => is(&path, hash),
            (Some(_), None) => false,
        };
        map_is_there && is(&self.photo(name), &hashes.photo)
    }
}

fn png(photo: &Photo) -> Result<Encoded, Problem> {
    Ok(image_io::encode(
        photo,
        Format::Png,
        &WriteOptions::default(),
    )?)
}
