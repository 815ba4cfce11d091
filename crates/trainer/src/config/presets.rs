//! Recipes to start from.

use std::path::PathBuf;

use blur_synth::BlurMix;
use ms_guidance::GuidedUNetConfig;

use super::{CheckpointDefaults, Loss, SCHEMA_VERSION, TrainConfig, no_jitter};
use crate::noise_levels::NoiseLevelConfig;
use crate::photos::CACHE_MEGABYTES;
use crate::precision::Precision;

impl TrainConfig {
    /// The recipe of the model that ships.
    pub fn default_preset(photos: Vec<PathBuf>, out: PathBuf) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            name: "default".into(),
            photos,
            data_description: String::new(),
            licence: String::new(),
            photo_sets: Vec::new(),
            init: None,
            freeze: Vec::new(),
            out,
            steps: 12_000,
            batch: 16,
            crop: 64,
            seed: 1,
            learning_rate: 8e-4,
            lr_warmup_images: 4_000,
            lr_decay_images: 60_000,
            weight_decay: 1e-4,
            max_gradient_norm: 1.0,
            ema_half_life_images: 4_000.0,
            pure_noise_fraction: 0.625,
            loss: Loss::L1,
            noise_levels: NoiseLevelConfig::cosine(),
            min_snr_gamma: None,
            precision: Precision::Float32,
            guidance_weight: 1.0,
            guidance_scale_weights: vec![1.0, 1.0, 1.0],
            validation_photos: 12,
            validation_crops: 24,
            validation_crop: 128,
            validate_every: 500,
            checkpoint_every: 500,
            log_every: 20,
            photos_weight: 1.0,
            cache_megabytes: CACHE_MEGABYTES,
            loader_threads: 0,
            scale_jitter: no_jitter(),
            crops_per_photo: 1,
            pairs: Vec::new(),
            blur: BlurMix::standard(),
            model: GuidedUNetConfig::small(),
            checkpoint_minutes: CheckpointDefaults::minutes(),
            keep_checkpoints: CheckpointDefaults::keep(),
            max_nonfinite_steps: CheckpointDefaults::nonfinite(),
            micro_batch: None,
        }
    }

    /// A run of seconds with the smallest network, for tests and to try things out.
    pub fn tiny(photos: Vec<PathBuf>, out: PathBuf) -> Self {
        Self {
            name: "tiny".into(),
            steps: 20,
            batch: 4,
            crop: 32,
            lr_warmup_images: 8,
            lr_decay_images: 80,
            ema_half_life_images: 20.0,
            validation_photos: 1,
            validation_crops: 1,
            validation_crop: 32,
            validate_every: 10,
            checkpoint_every: 10,
            log_every: 1,
            model: GuidedUNetConfig::tiny(),
            ..Self::default_preset(photos, out)
        }
    }
}
