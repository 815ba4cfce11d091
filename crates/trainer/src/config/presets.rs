//! Recipes to start from.

use std::path::PathBuf;

use blur_synth::BlurMix;
use diffusion_sched::PredictionType;
use ms_guidance::{GuidedUNetConfig, Target};
use unet_core::{Stem, UNetConfig};

use super::{CheckpointDefaults, Loss, RecordDefaults, SCHEMA_VERSION, TrainConfig, no_jitter};
use crate::noise_levels::NoiseLevelConfig;
use crate::photos::CACHE_MEGABYTES;
use crate::precision::Precision;

/// The names of all presets. Those with `-unguided` have a network without guidance and as many parameters.
pub const PRESETS: [&str; 6] = [
    "default",
    "tiny",
    "paper",
    "default-unguided",
    "tiny-unguided",
    "paper-unguided",
];

impl TrainConfig {
    /// The preset of this name, one of [`PRESETS`].
    pub fn preset(name: &str, photos: Vec<PathBuf>, out: PathBuf) -> Option<Self> {
        let (guided, unguided) = match name.strip_suffix("-unguided") {
            Some(guided) => (guided, true),
            None => (name, false),
        };
        let config = match guided {
            "default" => Self::default_preset(photos, out),
            "tiny" => Self::tiny(photos, out),
            "paper" => Self::paper(photos, out),
            _ => return None,
        };
        Some(if unguided { config.unguided() } else { config })
    }

    /// The matched control: the same run of a network without guidance (S = 0) that has the same number of parameters within 5 %, see
    /// [`GuidedUNetConfig::unguided_control`].
    pub fn unguided(self) -> Self {
        Self {
            name: format!("{}-unguided", self.name),
            model: self.model.unguided_control(),
            guidance_scale_weights: Vec::new(),
            ..self
        }
    }

    /// As close to MSGD (arXiv 2212.01789) and DvSR (arXiv 2112.02475) as what is published allows. A run for GPUs and days.
    ///
    /// Stated by the papers: the network predicts ε of the sharp image itself, without residual target, at full resolution, with an
    /// L1 loss; T = 2000 steps with β from 1e-6 to 1e-2 and the continuous noise level of WaveGrad; a fully convolutional UNet
    /// without attention and normalisation; structure guidance at 1/2, 1/4 and 1/8, with one residual network each on the
    /// grey image and its squared error added to the loss; crops of 128×128 pixels.
    ///
    /// From memory, not checked against the text of the papers: widths of 64 times 1, 2, 3, 4; batches of 256; a constant learning
    /// rate of 1e-4 after a linear rise over 20,000 steps; 1,000,000 steps; averaged weights with a decay of 0.9999 per step.
    ///
    /// Our guess: the number of blocks, widths and blocks of the guidance networks, weights of the guidance losses (1), clipping at 1,
    /// no weight decay. Different in any case: blur on the fly or pairs as the user has them where the papers have GoPro, β₂ = 0.99
    /// of AdamW, prediction of corrections by the guidance networks, and the form of the blocks.
    pub fn paper(photos: Vec<PathBuf>, out: PathBuf) -> Self {
        const BATCH: usize = 256;
        let tiny = GuidedUNetConfig::tiny();
        Self {
            name: "paper".into(),
            steps: 1_000_000,
            batch: BATCH,
            // All at once would take more than the memory of any card; --dry-run tells how much.
            micro_batch: Some(16),
            crop: 128,
            learning_rate: 1e-4,
            lr_warmup_images: 20_000 * BATCH as u64,
            // Constant to the end.
            lr_decay_images: 0,
            weight_decay: 0.0,
            // 0.9999 per step.
            ema_half_life_images: BATCH as f64 * 0.5f64.ln() / 0.9999f64.ln(),
            pure_noise_fraction: 0.0,
            noise_levels: NoiseLevelConfig::sr3(),
            // The target is the image itself.
            guidance_weight: 1.0,
            blur: BlurMix::standard(),
            validate_every: 5_000,
            checkpoint_every: 5_000,
            log_every: 100,
            model: GuidedUNetConfig {
                unet: UNetConfig {
                    block_out_channels: vec![64, 128, 192, 256],
                    layers_per_block: vec![3, 3, 3, 3],
                    mid_layers: 2,
                    embedding_channels: 256,
                    stem: Stem::FullResolution,
                    guidance_channels: vec![64, 64, 64],
                    ..tiny.unet
                },
                guidance_blocks: 4,
                prediction_type: PredictionType::Epsilon,
                target: Target::Image,
                // σ̃ of the last of the 2000 steps is 151; of the first, 0.001.
                sigma_max: 150.0,
                sigma_min: 0.002,
                ..tiny
            },
            ..Self::default_preset(photos, out)
        }
    }

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
            steps: 27_000,
            // For equal numbers of crops, batches of 4 gained more than batches of 16 in short runs.
            batch: 4,
            crop: 64,
            seed: 1,
            learning_rate: 8e-4,
            lr_warmup_images: 4_000,
            lr_decay_images: 56_000,
            weight_decay: 1e-4,
            max_gradient_norm: 1.0,
            ema_half_life_images: 4_000.0,
            // Three of four, where `mean` takes its one step.
            pure_noise_fraction: 0.75,
            loss: Loss::L1,
            noise_levels: NoiseLevelConfig::cosine(),
            min_snr_gamma: None,
            precision: Precision::Float32,
            // The target of the diffusion loss is a residual divided by 0.1, the guidance loss is of images: with 1 it would be 2 % of the loss.
            guidance_weight: 20.0,
            guidance_scale_weights: vec![1.0, 1.0, 1.0],
            validation_photos: 16,
            validation_crops: 32,
            validation_crop: 128,
            validate_every: 3_000,
            checkpoint_every: 3_000,
            log_every: 100,
            validation_sample_steps: 0,
            lpips_weights: None,
            keep_previews: RecordDefaults::keep_previews(),
            tensorboard: RecordDefaults::tensorboard(),
            photos_weight: 1.0,
            cache_megabytes: CACHE_MEGABYTES,
            loader_threads: 0,
            scale_jitter: no_jitter(),
            crops_per_photo: 1,
            pairs: Vec::new(),
            blur: BlurMix::from_sharp(),
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
            guidance_weight: 1.0,
            pure_noise_fraction: 0.625,
            blur: BlurMix::standard(),
            model: GuidedUNetConfig::tiny(),
            ..Self::default_preset(photos, out)
        }
    }
}
