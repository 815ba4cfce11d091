//! All that a configuration says about data, opened: what is trained on, and what is set aside.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cache::ImageCache;
use crate::pairs::{Pair, PairSource, Sampling, Source};
use crate::photos::PhotoSet;
use crate::random::Random;
use crate::real_pairs::RealPairs;
use crate::validation::Validation;
use crate::{Result, TrainConfig};

const PART_STREAM: u64 = 10;

/// The data of a run.
#[derive(Debug)]
pub struct DataSet {
    /// Training pairs.
    pub training: Arc<dyn Source>,
    /// Fixed pairs of photographs and scenes that are not trained on.
    pub validation: Validation,
    /// Photographs that are trained on with blur made on the fly.
    pub photos: usize,
    /// Real pairs that are trained on.
    pub pairs: usize,
    /// Photographs that serve for validation alone; where there is but one, it serves for both.
    pub held_out_photos: usize,
    /// Real pairs that serve for validation alone; where there is but one scene, it serves for both.
    pub held_out_pairs: usize,
    /// Files that are not usable, each with the reason.
    pub skipped: Vec<String>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// SHA-256 over the photographs, and over names, sizes and lengths of the files of pairs; hexadecimal.
    pub sha256: String,
    /// The decoded pictures.
    pub cache: Arc<ImageCache>,
}

/// How many pictures a run trains on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataCount {
    /// Photographs.
    pub photos: usize,
    /// Real pairs.
    pub pairs: usize,
}

impl std::fmt::Display for DataCount {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let photos = counted(self.photos, "photograph");
        let pairs = counted(self.pairs, "pair");
        match (self.photos, self.pairs) {
            (_, 0) => formatter.write_str(&photos),
            (0, _) => formatter.write_str(&pairs),
            _ => write!(formatter, "{photos} and {pairs}"),
        }
    }
}

/// Several sources, each with its share of the pairs.
#[derive(Debug)]
struct Mixture {
    /// With the end of its share in 0..1.
    parts: Vec<(f64, Arc<dyn Source>)>,
    seed: u64,
}

impl Source for Mixture {
    fn pair(&self, index: u64) -> Result<Pair> {
        let drawn = Random::new(self.seed, PART_STREAM, index).uniform();
        let part = self.parts.partition_point(|(end, _)| *end <= drawn);
        self.parts[part.min(self.parts.len() - 1)].1.pair(index)
    }

    fn take_notes(&self) -> Vec<String> {
        let parts = self.parts.iter();
        parts.flat_map(|(_, source)| source.take_notes()).collect()
    }
}

impl DataSet {
    /// Finds the photographs and pairs of a valid configuration, sets some aside, and makes the fixed pairs.
    ///
    /// # Errors
    /// If a folder cannot be read, or an entry has nothing usable.
    pub fn open(config: &TrainConfig) -> Result<Self> {
        let cache = ImageCache::new(config.cache_megabytes);
        let side = config.crop.max(config.validation_crop);
        let sampling = Sampling {
            scale_jitter: config.scale_jitter,
            crops_per_photo: config.crops_per_photo,
            ..Sampling::new(config.crop, config.seed)
        };
        let fixed = Sampling::new(config.validation_crop, config.seed);
        let mut parts: Vec<(f64, Arc<dyn Source>)> = Vec::new();
        let (mut sets, mut skipped, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        let (mut photos, mut pairs, mut sha256) = (0, 0, String::new());
        let (mut held_out_photos, mut held_out_pairs) = (0, 0);
        if !config.photos.is_empty() || !config.photo_sets.is_empty() {
            let minimum = PairSource::needed_side(&config.blur, side)?;
            let set = PhotoSet::gather(&config.photos, &config.photo_sets, minimum, &cache)?;
            skipped.extend(set.skipped.iter().cloned());
            sha256.clone_from(&set.sha256);
            let only = (set.photos.len() == 1).then(|| set.photos.clone());
            let (training, held_out) = set.split(config.validation_photos);
            photos = training.len();
            let source = PairSource::sampled(training, config.blur.clone(), sampling)?;
            parts.push((config.photos_weight, Arc::new(source)));
            let held_out = match only {
                Some(photo) => {
                    notes.push("only one photograph: it serves for validation as well".into());
                    photo
                }
                None => held_out,
            };
            held_out_photos = held_out.len();
            let source = PairSource::sampled(held_out, config.blur.clone(), fixed)?;
            for family in source.families() {
                let pairs = source.fixed(family, config.validation_crops)?;
                sets.push((family.name().to_owned(), pairs));
            }
        }
        for entry in &config.pairs {
            let found = entry.find(side)?;
            skipped.extend(found.skipped);
            if let Some(first) = found.alone.first() {
                notes.push(format!(
                    "{}: {} without a blurry one, first {first}",
                    entry.name,
                    counted(found.alone.len(), "sharp picture"),
                ));
            }
            sha256 = ms_guidance::checkpoint::sha256(
                format!("{sha256}{}{}", entry.name, found.sha256).as_bytes(),
            );
            pairs += found.training.len();
            let held_out = if found.validation.is_empty() {
                notes.push(format!(
                    "{}: only one scene: it serves for validation as well",
                    entry.name
                ));
                found.training.clone()
            } else {
                notes.push(format!(
                    "{}: {} pairs for training, {} set aside for validation (scenes: {})",
                    entry.name,
                    found.training.len(),
                    found.validation.len(),
                    found.scenes
                ));
                found.validation
            };
            held_out_pairs += held_out.len();
            let held_out = RealPairs::new(held_out, Arc::clone(&cache), fixed);
            sets.push((entry.name.clone(), held_out.fixed(config.validation_crops)?));
            notes.extend(held_out.take_notes());
            let source = RealPairs::new(found.training, Arc::clone(&cache), sampling);
            parts.push((entry.weight, Arc::new(source)));
        }
        Ok(Self {
            training: mixture(parts, config.seed),
            validation: Validation::of(sets, config.seed),
            photos,
            pairs,
            held_out_photos,
            held_out_pairs,
            skipped,
            notes,
            sha256,
            cache,
        })
    }

    /// How much is trained on.
    pub(crate) fn count(&self) -> DataCount {
        DataCount {
            photos: self.photos,
            pairs: self.pairs,
        }
    }
}

pub(crate) fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// One source as it is, several by their weights.
fn mixture(mut parts: Vec<(f64, Arc<dyn Source>)>, seed: u64) -> Arc<dyn Source> {
    let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
    let mut end = 0.0;
    for (weight, _) in &mut parts {
        end += *weight / total;
        *weight = end;
    }
    match parts.as_slice() {
        [(_, only)] => Arc::clone(only),
        _ => Arc::new(Mixture { parts, seed }),
    }
}
