//! Sharp and blurry crops: random ones for training, fixed ones for validation; blur made on the fly.

use blur_synth::{BlurMix, Family};
use ndarray::{Array3, s};
use rayon::prelude::*;

use crate::photos::Photo;
use crate::picture::Place;
use crate::random::Random;
use crate::{Error, Result};

const CROP_STREAM: u64 = 1;
const VALIDATION_STREAM: u64 = 2;
const SCALE_STREAM: u64 = 4;
const TABLE_STREAM: u64 = 5;
const SLOT_STREAM: u64 = 6;
/// Photographs that lie on the table together when several crops are taken of each.
const TABLE: u64 = 64;

/// A sharp crop and its blurry version, `[3, side, side]` in [0, 1].
#[derive(Debug, Clone)]
pub struct Pair {
    /// Sharp.
    pub sharp: Array3<f32>,
    /// Blurry.
    pub blurry: Array3<f32>,
}

/// Where training pairs come from. Pair number `index` depends on the source and on `index` alone, whichever thread asks, and when.
pub trait Source: Send + Sync + std::fmt::Debug {
    /// The training pair with this number.
    ///
    /// # Errors
    /// If its files cannot be read any more, or its blur cannot be made.
    fn pair(&self, index: u64) -> Result<Pair>;

    /// What turned out to be unusable since the last call, each file once.
    fn take_notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// How crops are taken, apart from what they are taken of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Side of a crop in pixels.
    pub crop: usize,
    /// Seed of every choice.
    pub seed: u64,
    /// Crops are made smaller or larger by a factor between these two; 1 and 1 for none.
    pub scale_jitter: [f64; 2],
    /// Crops taken of a photograph, on average, before others are decoded. With 1 every crop is of any photograph; with more there are
    /// always 64 photographs on the table, and crops of these alternate.
    pub crops_per_photo: usize,
}

impl Sampling {
    /// Crops of `crop` pixels at their own scale.
    pub fn new(crop: usize, seed: u64) -> Self {
        Self {
            crop,
            seed,
            scale_jitter: [1.0, 1.0],
            crops_per_photo: 1,
        }
    }

    /// A number below `total` that picks the photograph of pair `index`.
    pub(crate) fn pick(&self, index: u64, random: &mut Random, total: usize) -> usize {
        // Drawn in any case: what follows must not depend on how the photograph is picked.
        let own = random.below(total);
        if self.crops_per_photo <= 1 {
            return own;
        }
        let table = index / (TABLE * self.crops_per_photo as u64);
        let slot = Random::new(self.seed, TABLE_STREAM, index).below(TABLE as usize) as u64;
        Random::new(self.seed, SLOT_STREAM, table * TABLE + slot).below(total)
    }

    /// The side in the photograph of a square that becomes `side` pixels, at most `available`.
    pub(crate) fn source_side(&self, index: u64, side: usize, available: usize) -> usize {
        let [low, high] = self.scale_jitter;
        if low == 1.0 && high == 1.0 {
            return side;
        }
        let drawn = Random::new(self.seed, SCALE_STREAM, index).uniform();
        let factor = low + (high - low) * drawn;
        // Three pixels are the least that a measure of detail needs.
        ((side as f64 / factor).round() as usize).clamp(3, available)
    }
}

/// Training pairs of photographs that are blurred on the fly: pair number `index` depends on the seed and on `index` alone.
#[derive(Debug)]
pub struct PairSource {
    photos: Vec<Photo>,
    /// Cumulative number of pixels, so that every pixel is as likely as any other.
    cumulative: Vec<usize>,
    blur: BlurMix,
    margin: usize,
    sampling: Sampling,
}

impl PairSource {
    /// A source of crops of `crop` pixels from `photos`.
    ///
    /// # Errors
    /// If the blur mix is invalid, or a photograph is smaller than [`needed_side`](Self::needed_side), or there is none.
    pub fn new(photos: Vec<Photo>, blur: BlurMix, crop: usize, seed: u64) -> Result<Self> {
        Self::sampled(photos, blur, Sampling::new(crop, seed))
    }

    /// [`PairSource::new`] with all that can be said about how crops are taken.
    ///
    /// # Errors
    /// As [`PairSource::new`].
    pub fn sampled(photos: Vec<Photo>, blur: BlurMix, sampling: Sampling) -> Result<Self> {
        let margin = blur.max_margin()?;
        let minimum = Self::needed_side(&blur, sampling.crop)?;
        let small = photos.iter().filter(|photo| photo.shorter_side() < minimum);
        let small: Vec<String> = small
            .map(|photo| photo.path.display().to_string())
            .collect();
        let skipped = small.len();
        if skipped > 0 || photos.is_empty() {
            return Err(Error::NoPhotos {
                folders: "the given set".into(),
                minimum,
                skipped,
                first: small.into_iter().next(),
            });
        }
        let mut total = 0;
        let cumulative = photos
            .iter()
            .map(|photo| {
                total += photo.pixels();
                total
            })
            .collect();
        Ok(Self {
            photos,
            cumulative,
            blur,
            margin,
            sampling,
        })
    }

    /// Side of the square of sharp pixels that a crop of `crop` pixels needs under `blur`.
    ///
    /// # Errors
    /// If the blur mix is invalid.
    pub fn needed_side(blur: &BlurMix, crop: usize) -> Result<usize> {
        Ok(crop + 2 * blur.max_margin()?)
    }

    /// The training pair with this number.
    ///
    /// # Errors
    /// If a photograph is gone, or the blur cannot be made.
    pub fn pair(&self, index: u64) -> Result<Pair> {
        let mut random = Random::new(self.sampling.seed, CROP_STREAM, index);
        let total = self.cumulative.last().copied().unwrap_or(0);
        let pixel = self.sampling.pick(index, &mut random, total);
        let picture =
            self.photos[self.cumulative.partition_point(|&end| end <= pixel)].picture()?;
        let degradation = self.blur.sample(random.next_u64())?;
        let flips = random_flips(&mut random);
        let margin = degradation.margin()?;
        let crop = self.sampling.crop;
        let side = crop + 2 * margin;
        let available = picture.height.min(picture.width);
        let source_side = self.sampling.source_side(index, side, available);
        let (top, left) = picture.detailed_corner(source_side, &mut random);
        let place = Place {
            top,
            left,
            side: source_side,
            flips,
        };
        let sharp = picture.square(place, side);
        let blurry = degradation.apply_valid(sharp.view(), margin)?;
        let end = margin + crop;
        Ok(Pair {
            sharp: sharp.slice(s![.., margin..end, margin..end]).to_owned(),
            blurry,
        })
    }

    /// The families that occur in the blur of this source.
    pub fn families(&self) -> Vec<Family> {
        let used = self
            .blur
            .families
            .iter()
            .filter(|family| family.weight > 0.0);
        used.map(|family| family.family).collect()
    }

    /// `count` fixed pairs of one family from these photographs, in turn.
    ///
    /// # Errors
    /// If a photograph is gone, or the blur cannot be made.
    pub fn fixed(&self, family: Family, count: usize) -> Result<Vec<Pair>> {
        (0..count)
            .into_par_iter()
            .map(|index| {
                let mut random = Random::new(self.sampling.seed, VALIDATION_STREAM, index as u64);
                let picture = self.photos[index % self.photos.len()].picture()?;
                let degradation = self.blur.sample_family(family, random.next_u64())?;
                let margin = degradation.margin()?;
                let crop = self.sampling.crop;
                let (top, left) = picture.detailed_corner(crop + 2 * self.margin, &mut random);
                let inset = self.margin - margin;
                let side = crop + 2 * margin;
                let place = Place {
                    top: top + inset,
                    left: left + inset,
                    side,
                    flips: [false; 3],
                };
                let sharp = picture.square(place, side);
                let blurry = degradation.apply_valid(sharp.view(), margin)?;
                let end = margin + crop;
                Ok(Pair {
                    sharp: sharp.slice(s![.., margin..end, margin..end]).to_owned(),
                    blurry,
                })
            })
            .collect()
    }
}

impl Source for PairSource {
    fn pair(&self, index: u64) -> Result<Pair> {
        PairSource::pair(self, index)
    }
}

/// One of the eight ways to lay down a square.
pub(crate) fn random_flips(random: &mut Random) -> [bool; 3] {
    [
        random.uniform() < 0.5,
        random.uniform() < 0.5,
        random.uniform() < 0.5,
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn several_crops_of_a_picture_follow_each_other_closely() {
        let distinct = |crops_per_photo, indices: std::ops::Range<u64>| {
            let sampling = Sampling {
                crops_per_photo,
                ..Sampling::new(64, 1)
            };
            let mut random = Random::new(1, 1, 1);
            let picks: HashSet<usize> = indices
                .map(|index| sampling.pick(index, &mut random, 100_000))
                .collect();
            picks.len()
        };
        assert!(distinct(1, 0..512) > 500);
        // Now and then two picks are of the same of 100 000.
        assert!((60..=64).contains(&distinct(8, 0..512)));
        assert!((600..=640).contains(&distinct(8, 0..5120)));
        let in_a_batch = distinct(8, 0..16);
        assert!(
            in_a_batch >= 12,
            "a batch is of many pictures: {in_a_batch}"
        );
    }
}
