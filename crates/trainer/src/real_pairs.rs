//! Crops of real pairs: the same square of a blurry and of a sharp picture.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cache::ImageCache;
use crate::pair_folder::PairFiles;
use crate::pairs::{Pair, Sampling, Source, random_flips};
use crate::picture::{Picture, Place};
use crate::random::Random;
use crate::{Error, Result};

const PAIR_STREAM: u64 = 7;
const INSTEAD_STREAM: u64 = 8;
const HELD_OUT_STREAM: u64 = 9;
/// Pairs that are tried, one instead of the other, when one turns out to be damaged. More in a row means that hardly any is whole.
const TRIES: u64 = 256;

/// Training pairs of one folder.
#[derive(Debug)]
pub(crate) struct RealPairs {
    pairs: Vec<PairFiles>,
    /// Cumulative number of pixels, so that every pixel is as likely as any other.
    cumulative: Vec<usize>,
    cache: Arc<ImageCache>,
    sampling: Sampling,
    damaged: Mutex<Damaged>,
}

/// Pairs that turned out to be damaged when they were decoded.
#[derive(Debug, Default)]
struct Damaged {
    known: HashSet<usize>,
    /// Not yet told.
    notes: Vec<String>,
}

impl RealPairs {
    pub(crate) fn new(pairs: Vec<PairFiles>, cache: Arc<ImageCache>, sampling: Sampling) -> Self {
        let mut total = 0;
        let cumulative = pairs
            .iter()
            .map(|pair| {
                total += pair.height * pair.width;
                total
            })
            .collect();
        Self {
            pairs,
            cumulative,
            cache,
            sampling,
            damaged: Mutex::default(),
        }
    }

    /// Both pictures, sharp first, or `None` if one of them is damaged, which a note says once.
    fn load(&self, number: usize) -> Result<Option<[Arc<Picture>; 2]>> {
        let damaged = || self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        if damaged().known.contains(&number) {
            return Ok(None);
        }
        let files = &self.pairs[number];
        let mut pictures = Vec::with_capacity(2);
        for path in [&files.sharp, &files.blurry] {
            match self.cache.get(path) {
                Ok(picture) if (picture.height, picture.width) == (files.height, files.width) => {
                    pictures.push(picture);
                }
                Ok(_) => return Err(Error::DataChanged { path: path.clone() }),
                // The disk is gone, not the picture damaged. Going on with what is left would train on something else.
                Err(
                    source @ (image_io::Error::NotFound { .. }
                    | image_io::Error::NotAFile { .. }
                    | image_io::Error::Read { .. }),
                ) => {
                    return Err(Error::DataLost {
                        path: path.clone(),
                        source: Box::new(source),
                    });
                }
                Err(error) => {
                    let mut damaged = damaged();
                    if damaged.known.insert(number) {
                        damaged.notes.push(format!("{error}; its pair is left out"));
                    }
                    return Ok(None);
                }
            }
        }
        Ok(<[_; 2]>::try_from(pictures).ok())
    }

    fn all_damaged(&self) -> Error {
        let damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        let first = damaged.known.iter().min().copied().unwrap_or(0);
        Error::NoPairs {
            folder: self.pairs[first]
                .blurry
                .parent()
                .map(Into::into)
                .unwrap_or_default(),
            skipped: damaged.known.len(),
            first: Some(format!("{}: damaged", self.pairs[first].blurry.display())),
        }
    }

    /// `count` fixed pairs of `self.sampling.crop` pixels, spread over the pictures.
    pub(crate) fn fixed(&self, count: usize) -> Result<Vec<Pair>> {
        let all = self.pairs.len();
        (0..count)
            .map(|index| {
                let first = if count < all {
                    index * all / count
                } else {
                    index % all
                };
                for number in (first..all).chain(0..first) {
                    if let Some(pictures) = self.load(number)? {
                        let side = self.sampling.crop;
                        let mut random =
                            Random::new(self.sampling.seed, HELD_OUT_STREAM, index as u64);
                        let (top, left) = pictures[0].detailed_corner(side, &mut random);
                        let place = Place {
                            top,
                            left,
                            side,
                            flips: [false; 3],
                        };
                        return Ok(cut(&pictures, place, side));
                    }
                }
                Err(self.all_damaged())
            })
            .collect()
    }
}

fn cut([sharp, blurry]: &[Arc<Picture>; 2], place: Place, side: usize) -> Pair {
    Pair {
        sharp: sharp.square(place, side),
        blurry: blurry.square(place, side),
    }
}

impl Source for RealPairs {
    fn pair(&self, index: u64) -> Result<Pair> {
        let total = self.cumulative.last().copied().unwrap_or(0);
        let mut random = Random::new(self.sampling.seed, PAIR_STREAM, index);
        let mut pixel = self.sampling.pick(index, &mut random, total);
        let mut instead = Random::new(self.sampling.seed, INSTEAD_STREAM, index);
        for _ in 0..TRIES {
            let number = self.cumulative.partition_point(|&end| end <= pixel);
            // Which pairs are damaged is a property of the files, so that this does not depend on who found it first.
            let Some(pictures) = self.load(number)? else {
                pixel = instead.below(total);
                continue;
            };
            let flips = random_flips(&mut random);
            let crop = self.sampling.crop;
            let available = pictures[0].height.min(pictures[0].width);
            let side = self.sampling.source_side(index, crop, available);
            let (top, left) = pictures[0].detailed_corner(side, &mut random);
            let place = Place {
                top,
                left,
                side,
                flips,
            };
            return Ok(cut(&pictures, place, crop));
        }
        Err(self.all_damaged())
    }

    fn take_notes(&self) -> Vec<String> {
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut damaged.notes)
    }
}
