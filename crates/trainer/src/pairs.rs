//! Sharp and blurry crops: random ones for training, fixed ones for validation.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, atomic::AtomicBool, atomic::Ordering};
use std::thread::JoinHandle;

use blur_synth::{BlurMix, Family};
use ndarray::{Array3, s};
use rayon::prelude::*;
use tch::Tensor;

use crate::photos::Photo;
use crate::random::Random;
use crate::{Error, Result};

const CROP_STREAM: u64 = 1;
const VALIDATION_STREAM: u64 = 2;
/// Batches prepared ahead of the network.
const PREFETCH: usize = 4;

/// A sharp crop and its blurry version, `[3, side, side]` in [0, 1].
#[derive(Debug, Clone)]
pub struct Pair {
    /// Sharp.
    pub sharp: Array3<f32>,
    /// Blurry.
    pub blurry: Array3<f32>,
}

/// Training pairs: pair number `index` depends on the seed and on `index` alone.
#[derive(Debug)]
pub struct PairSource {
    photos: Vec<Photo>,
    /// Cumulative number of pixels, so that every pixel is as likely as any other.
    cumulative: Vec<usize>,
    blur: BlurMix,
    margin: usize,
    crop: usize,
    seed: u64,
}

impl PairSource {
    /// A source of crops of `crop` pixels from `photos`.
    ///
    /// # Errors
    /// If the blur mix is invalid, or a photograph is smaller than [`needed_side`](Self::needed_side), or there is none.
    pub fn new(photos: Vec<Photo>, blur: BlurMix, crop: usize, seed: u64) -> Result<Self> {
        let margin = blur.max_margin()?;
        let minimum = Self::needed_side(&blur, crop)?;
        let small = photos.iter().filter(|photo| photo.shorter_side() < minimum);
        let skipped = small.count();
        if skipped > 0 || photos.is_empty() {
            return Err(Error::NoPhotos {
                folders: "the given set".into(),
                minimum,
                skipped,
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
            crop,
            seed,
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
    /// If the blur cannot be made.
    pub fn pair(&self, index: u64) -> Result<Pair> {
        let mut random = Random::new(self.seed, CROP_STREAM, index);
        let pixel = random.below(self.cumulative.last().copied().unwrap_or(0));
        let photo = &self.photos[self.cumulative.partition_point(|&end| end <= pixel)];
        let degradation = self.blur.sample(random.next_u64())?;
        let flips = [
            random.uniform() < 0.5,
            random.uniform() < 0.5,
            random.uniform() < 0.5,
        ];
        let margin = degradation.margin()?;
        let side = self.crop + 2 * margin;
        let (top, left) = photo.detailed_corner(side, &mut random);
        let sharp = photo.square(top, left, side, flips);
        let blurry = degradation.apply_valid(sharp.view(), margin)?;
        let end = margin + self.crop;
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
    /// If the blur cannot be made.
    pub fn fixed(&self, family: Family, count: usize) -> Result<Vec<Pair>> {
        (0..count)
            .into_par_iter()
            .map(|index| {
                let mut random = Random::new(self.seed, VALIDATION_STREAM, index as u64);
                let photo = &self.photos[index % self.photos.len()];
                let degradation = self.blur.sample_family(family, random.next_u64())?;
                let margin = degradation.margin()?;
                let (top, left) = photo.detailed_corner(self.crop + 2 * self.margin, &mut random);
                let inset = self.margin - margin;
                let sharp = photo.square(
                    top + inset,
                    left + inset,
                    self.crop + 2 * margin,
                    [false; 3],
                );
                let blurry = degradation.apply_valid(sharp.view(), margin)?;
                let end = margin + self.crop;
                Ok(Pair {
                    sharp: sharp.slice(s![.., margin..end, margin..end]).to_owned(),
                    blurry,
                })
            })
            .collect()
    }
}

/// A batch of pairs as tensors `[N, 3, side, side]` in [-1, 1], float32, on the CPU.
#[derive(Debug)]
pub struct Batch {
    /// Sharp.
    pub sharp: Tensor,
    /// Blurry.
    pub blurry: Tensor,
}

impl Batch {
    /// Stacks pairs of equal size.
    ///
    /// # Errors
    /// If libtorch is out of memory.
    pub fn new(pairs: &[Pair]) -> Result<Self> {
        let stack = |pick: fn(&Pair) -> &Array3<f32>| -> Result<Tensor> {
            let tensors = pairs
                .iter()
                .map(|pair| {
                    let array = pick(pair).as_standard_layout();
                    let shape: Vec<i64> = array.shape().iter().map(|&n| n as i64).collect();
                    let values: Vec<f32> = array.iter().map(|&value| 2.0 * value - 1.0).collect();
                    Ok(Tensor::f_from_slice(&values)?.f_reshape(&shape)?)
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(Tensor::f_stack(&tensors, 0)?)
        };
        Ok(Self {
            sharp: stack(|pair| &pair.sharp)?,
            blurry: stack(|pair| &pair.blurry)?,
        })
    }
}

/// Prepares batches in the background, in order.
#[derive(Debug)]
pub struct Loader {
    batches: Option<Receiver<Result<Vec<Pair>>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Loader {
    /// Starts with the batch of step `first_step`.
    pub fn start(source: Arc<PairSource>, batch: usize, first_step: u64) -> Self {
        let (sender, receiver) = sync_channel(PREFETCH);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for step in first_step.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let first = step * batch as u64;
                let pairs = (first..first + batch as u64)
                    .into_par_iter()
                    .map(|i| source.pair(i))
                    .collect();
                if sender.send(pairs).is_err() {
                    break;
                }
            }
        });
        Self {
            batches: Some(receiver),
            stop,
            thread: Some(thread),
        }
    }

    /// The next batch.
    ///
    /// # Errors
    /// If the blur of a pair cannot be made.
    pub fn next_batch(&mut self) -> Result<Batch> {
        let receiver = self.batches.as_ref().ok_or(Error::LoaderStopped)?;
        let pairs = receiver.recv().map_err(|_| Error::LoaderStopped)??;
        Batch::new(&pairs)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Closing the channel wakes a sender that waits for room.
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
