//! The training configuration: plain data, checked as a whole.

mod check;
mod draft;
mod manifest;
mod path;
mod presets;
mod problem;
mod schema;

use std::path::PathBuf;

use blur_synth::BlurMix;
use ms_guidance::GuidedUNetConfig;
use serde::{Deserialize, Serialize};

use crate::noise_levels::NoiseLevelConfig;
use crate::pair_folder::PairFolder;
use crate::photo_folder::PhotoFolder;
use crate::photos::CACHE_MEGABYTES;
use crate::precision::Precision;
use crate::{Error, Result};

pub use draft::Draft;
pub use presets::PRESETS;
pub use problem::{ConfigProblem, Place};

/// Version of the serialised form of [`TrainConfig`]. A field that is new has a default that means what was done before, so that
/// files of the same version without it give the same run; the number rises when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// A run whose learning rate stays below this share of what was asked for is told to be too short.
const LOW_RATE: f64 = 0.5;

/// Loss on the network's prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// mean |target − prediction|, as WaveGrad and DvSR.
    L1,
    /// mean (target − prediction)².
    L2,
}

/// Everything that defines a training run. The same configuration gives the same run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Version of this description, [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name of the model, written into its checkpoint.
    pub name: String,
    /// Folders of sharp photographs, searched recursively; blur is made on the fly. May be empty where there are `pairs`.
    #[serde(default)]
    pub photos: Vec<PathBuf>,
    /// How often crops are taken of `photos`, relative to the weights of `pairs`.
    #[serde(default = "one")]
    pub photos_weight: f64,
    /// Words for the model card: where the photographs come from and their licences.
    pub data_description: String,
    /// Licence of the trained weights, written into the checkpoint. It depends on the photographs; empty: not stated.
    #[serde(default)]
    pub licence: String,
    /// Sharp photographs by folder and glob, beside `photos`: one split of a data set, for example.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub photo_sets: Vec<PhotoFolder>,
    /// Checkpoint whose weights the run starts from; it must have the tensors of `model`, name by name and shape by shape. Absent:
    /// random weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// Parameters whose names begin like this do not change, such as `guidance.`; each must be the beginning of some name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// Run folder: configuration, log, state and checkpoints.
    pub out: PathBuf,
    /// Optimisation steps.
    pub steps: u64,
    /// Crops per step.
    pub batch: usize,
    /// Side of a crop in pixels.
    pub crop: usize,
    /// Seed of initial weights, crops, blur and noise.
    pub seed: u64,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Images over which the learning rate rises linearly from 0.
    pub lr_warmup_images: u64,
    /// Images at the end of the run over which the learning rate falls to 0 along a half cosine; before, it is constant.
    /// The whole run for plain cosine decay.
    pub lr_decay_images: u64,
    /// Decoupled weight decay of AdamW.
    pub weight_decay: f64,
    /// Gradients are scaled down to this norm.
    pub max_gradient_norm: f64,
    /// Half-life of the averaged weights, in images.
    pub ema_half_life_images: f64,
    /// Fraction of each batch whose noise level is the largest, `model.sigma_max`; the rest is drawn as `noise_levels` says.
    pub pure_noise_fraction: f64,
    /// Loss on the prediction.
    pub loss: Loss,
    /// Where noise levels are drawn from, besides `pure_noise_fraction`.
    #[serde(default)]
    pub noise_levels: NoiseLevelConfig,
    /// γ of the min-SNR-γ weights of the loss (Hang 2023, arXiv 2303.09556); 5 there. Absent: every noise level weighs the same.
    /// A weight falls with 1/σ̃², so with them `pure_noise_fraction` teaches next to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_snr_gamma: Option<f64>,
    /// In which number format the network computes; weights and losses are float32.
    #[serde(default)]
    pub precision: Precision,
    /// Factor of the guidance loss L_guide.
    pub guidance_weight: f64,
    /// Weights w_s inside L_guide, finest scale first; missing ones count 1.
    pub guidance_scale_weights: Vec<f64>,
    /// Photographs set aside for validation; chosen by a hash of their names.
    pub validation_photos: usize,
    /// Validation crops per blur family.
    pub validation_crops: usize,
    /// Side of a validation crop in pixels.
    pub validation_crop: usize,
    /// Steps between validations.
    pub validate_every: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Steps between lines in the log.
    pub log_every: u64,
    /// Validation draws a sample of each crop in so many steps as well and measures it, 0 to 1000; 0 for none. Preview sheets show a
    /// sample in any case, of 8 steps then.
    #[serde(default)]
    pub validation_sample_steps: usize,
    /// Weights of LPIPS (a safetensors file with trunk and heads, see `image-quality`), with which validation measures it; absent: it
    /// does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lpips_weights: Option<PathBuf>,
    /// Preview sheets that are kept, the newest ones, besides the 1st, 2nd, 4th, 8th and so on; 0 to draw none.
    #[serde(default = "RecordDefaults::keep_previews")]
    pub keep_previews: usize,
    /// Whether event files for TensorBoard are written.
    #[serde(default = "RecordDefaults::tensorboard")]
    pub tensorboard: bool,
    /// Memory for decoded pictures, in 10⁶ bytes. What does not fit is decoded again when it is needed: slower, and the same run.
    #[serde(default = "cache_megabytes")]
    pub cache_megabytes: u64,
    /// Threads that prepare batches; 0 for one on each processor that the program may use. The run is the same.
    #[serde(default)]
    pub loader_threads: usize,
    /// Crops are made smaller or larger by a factor between these two, both pictures of a pair alike, photographs before they are
    /// blurred; `[1, 1]` for none.
    #[serde(default = "no_jitter")]
    pub scale_jitter: [f64; 2],
    /// Crops that are taken of a picture, on average, before others are decoded; 1 for crops of any picture at any time. 32 or so
    /// where the pictures are many more than `cache_megabytes` holds.
    #[serde(default = "one_crop")]
    pub crops_per_photo: usize,
    /// Folders with pairs of blurry and sharp pictures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pairs: Vec<PairFolder>,
    /// Training blur.
    pub blur: BlurMix,
    /// The network.
    pub model: GuidedUNetConfig,
    /// Minutes between checkpoints, besides `checkpoint_every`.
    #[serde(default = "CheckpointDefaults::minutes")]
    pub checkpoint_minutes: f64,
    /// Saved states that are kept, the newest ones.
    #[serde(default = "CheckpointDefaults::keep")]
    pub keep_checkpoints: usize,
    /// Steps in a row whose loss or gradient is not finite, after which training stops.
    #[serde(default = "CheckpointDefaults::nonfinite")]
    pub max_nonfinite_steps: u32,
    /// Crops per forward pass; gradients are summed up to `batch`, of which it is a divisor. Less takes less memory and gives the
    /// same step within float rounding. Absent: the whole batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
}

/// Values of fields that a configuration may leave out.
struct CheckpointDefaults;

impl CheckpointDefaults {
    fn minutes() -> f64 {
        10.0
    }
    fn keep() -> usize {
        3
    }
    fn nonfinite() -> u32 {
        10
    }
}

/// Values of fields that a configuration may leave out.
struct RecordDefaults;

impl RecordDefaults {
    fn keep_previews() -> usize {
        10
    }
    fn tensorboard() -> bool {
        true
    }
}

fn one() -> f64 {
    1.0
}

fn cache_megabytes() -> u64 {
    CACHE_MEGABYTES
}

fn no_jitter() -> [f64; 2] {
    [1.0, 1.0]
}

fn one_crop() -> usize {
    1
}

impl TrainConfig {
    /// The TOML form.
    ///
    /// # Errors
    /// If a path is not valid Unicode.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|error| Error::InvalidConfig {
            problems: vec![error.to_string()],
        })
    }

    /// Learning rate of a 0-based step: linear warm-up, constant, half cosine to 0 at the end.
    pub fn learning_rate_at(&self, step: u64) -> f64 {
        let batch = self.batch as f64;
        let seen = (step as f64 + 1.0) * batch;
        let left = (self.steps.saturating_sub(step)) as f64 * batch;
        let warmup = (seen / self.lr_warmup_images.max(1) as f64).min(1.0);
        let decay = (left / self.lr_decay_images.max(1) as f64).min(1.0);
        self.learning_rate * warmup * 0.5 * (1.0 - (std::f64::consts::PI * decay).cos())
    }

    /// What to say of a run that is too short for its warm-up and decay, which then leave next to nothing of the learning rate.
    #[must_use]
    pub fn short_run(&self) -> Option<String> {
        // Some of the steps: there may be very many.
        let part = |of_thousand: u64| (self.steps as f64 * of_thousand as f64 / 1000.0) as u64;
        let highest = (0..1000).map(|of_thousand| self.learning_rate_at(part(of_thousand)));
        let highest = highest.fold(0.0, f64::max);
        let images = self.steps.saturating_mul(self.batch as u64);
        (highest < LOW_RATE * self.learning_rate).then(|| {
            format!(
                "the learning rate rises to {highest:.1e} instead of {:.1e}: its warm-up ({} crops) and its decay ({}) are too long for a \
                 run of {images} crops; train longer, or shorten them with lr_warmup_images={} and lr_decay_images={}",
                self.learning_rate,
                self.lr_warmup_images,
                self.lr_decay_images,
                images / 10,
                images / 2,
            )
        })
    }

    /// Averaging factor per step for the half-life of the averaged weights, with a shorter memory at the start.
    pub fn ema_decay_at(&self, step: u64) -> f64 {
        let decay = 0.5f64.powf(self.batch as f64 / self.ema_half_life_images);
        decay.min((step as f64 + 1.0) / (step as f64 + 10.0))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_too_short_for_its_learning_rate_is_told() {
        let mut config = TrainConfig::preset("default", vec!["p".into()], "r".into()).unwrap();
        assert_eq!(config.short_run(), None);
        // 800 crops, of which all are warm-up and all are decay.
        config.steps = 200;
        let said = config.short_run().unwrap();
        assert!(
            said.contains("800 crops") && said.contains("lr_warmup_images=80"),
            "{said}"
        );
        (config.lr_warmup_images, config.lr_decay_images) = (80, 400);
        assert_eq!(config.short_run(), None);
        config.steps = u64::MAX;
        assert_eq!(config.short_run(), None);
    }
}
