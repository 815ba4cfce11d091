//! A sharp photo, and what a degradation makes of it.

use std::path::Path;

use anyhow::Result;
use blur_synth::Degradation;
use image_io::{BitDepth, ColorModel, Format, Limits, Photo, PhotoInfo, WriteOptions};
use ndarray::Array3;

use super::crop::Crop;
use super::record;
use crate::hash;
use crate::report::say;

/// A degraded picture and the sharp one that belongs to it.
pub(crate) struct Pair {
    pub(crate) blurry: Photo,
    pub(crate) sharp: Photo,
}

/// A sharp photo that has been read.
pub(crate) struct Source {
    photo: Photo,
    pub(crate) sha256: String,
    /// Lies on the photo, because it was chosen on it.
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
    ///
    /// # Errors
    /// A photo that is too small for the blur, or a degradation that takes several photos.
    pub(crate) fn degrade(&self, degradation: &Degradation) -> Result<Pair> {
        let pixels = self.photo.pixels.view();
        let (_, height, width) = pixels.dim();
        let margin = degradation.margin()?;
        let patch = self.crop.with_margin(pixels, margin).ok_or_else(|| {
            anyhow::anyhow!(
                "the photo of {width} x {height} pixels is too small for a blur that reaches {margin} pixels"
            )
        })?;
        let blurry = degradation.apply_valid(patch.view(), margin)?;
        let sharp = degradation.target(pixels.slice(self.crop.slice()))?;
        Ok(self.pair(blurry, sharp, degradation))
    }

    /// The pair of a frame and the mean of the frames around it, `self` among them.
    ///
    /// # Errors
    /// Frames of different size, or a degradation that is no mean of so many frames.
    pub(crate) fn average(&self, frames: &[Photo], degradation: &Degradation) -> Result<Pair> {
        let views: Vec<_> = frames
            .iter()
            .map(|frame| {
                let (_, height, width) = frame.pixels.dim();
                let fits = self.crop.fits(height, width);
                anyhow::ensure!(fits, "the frames around it have another size");
                Ok(frame.pixels.slice(self.crop.slice()))
            })
            .collect::<Result<_>>()?;
        let blurry = degradation.apply_frames(&views)?;
        let sharp = degradation.target(self.photo.pixels.slice(self.crop.slice()))?;
        Ok(self.pair(blurry, sharp, degradation))
    }

    fn pair(&self, blurry: Array3<f32>, sharp: Array3<f32>, degradation: &Degradation) -> Pair {
        let depth = match degradation.quantise_bits {
            Some(bits) if bits <= 8 => BitDepth::Eight,
            _ => BitDepth::Sixteen,
        };
        Pair {
            blurry: self.stored(blurry, depth),
            sharp: self.stored(sharp, self.photo.info.bit_depth),
        }
    }

    /// A picture as it is written: in colour, because noise has colour, with the colour profile of the photo, without the
    /// rest of its metadata.
    fn stored(&self, pixels: Array3<f32>, bit_depth: BitDepth) -> Photo {
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

/// Whether a file is a picture with these samples (see [`record::pixel_hash`]).
pub(crate) fn holds(path: &Path, sha256: &str) -> bool {
    image_io::read(path, &Limits::default()).is_ok_and(|photo| record::pixel_hash(&photo) == sha256)
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
