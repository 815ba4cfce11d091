//! Everything that defines a guided model besides its weights.

use diffusion_sched::PredictionType;
use serde::{Deserialize, Serialize};
use unet_core::{Stem, UNetConfig};

use crate::{Error, Result};

/// What the diffusion process models.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// The sharp image x in [-1, 1].
    Image,
    /// The residual r = (x − y) / scale (the idea of DvSR, arXiv 2112.02475: only what blur removed is modelled).
    /// `scale` brings r to about unit variance.
    Residual {
        /// Standard deviation of x − y over the training pairs, in units of the [-1, 1] range.
        scale: f64,
    },
}

/// Version of the serialised form of [`GuidedUNetConfig`].
pub const SCHEMA_VERSION: u32 = 1;

/// A guided (S ≥ 1) or unguided (S = 0) image-conditioned diffusion model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuidedUNetConfig {
    /// Version of this description, [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The diffusion network; `unet.guidance_channels` are the channels of h_1..h_S.
    pub unet: UNetConfig,
    /// Residual blocks of each guidance network G_s.
    pub guidance_blocks: usize,
    /// What the network's output means.
    pub prediction_type: PredictionType,
    /// What is diffused.
    pub target: Target,
    /// Largest noise level σ̃ = σ/α that the model was trained for; sampling starts here.
    pub sigma_max: f64,
    /// Smallest noise level before 0 in a sampling grid.
    pub sigma_min: f64,
}

impl GuidedUNetConfig {
    /// The smallest useful model (S = 3), for tests and examples.
    pub fn tiny() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            unet: UNetConfig::tiny(),
            guidance_blocks: 1,
            prediction_type: PredictionType::VPrediction,
            target: Target::Residual { scale: 0.1 },
            sigma_max: 80.0,
            sigma_min: 0.02,
        }
    }

    /// A model for two CPU cores (ours): three scales, space-to-depth stem, residual target, v-prediction.
    pub fn small() -> Self {
        Self {
            unet: UNetConfig {
                block_out_channels: vec![32, 64, 128],
                layers_per_block: vec![1, 2, 2],
                mid_layers: 1,
                embedding_channels: 64,
                stem: Stem::SpaceToDepth,
                guidance_channels: vec![16, 32, 64],
                ..UNetConfig::tiny()
            },
            guidance_blocks: 2,
            ..Self::tiny()
        }
    }

    /// Number of guidance scales S.
    pub fn scales(&self) -> usize {
        self.unet.guidance_channels.len()
    }

    /// Checks every field and reports all problems at once.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`].
    pub fn validate(&self) -> Result<()> {
        let mut problems = match self.unet.validate() {
            Ok(()) => Vec::new(),
            Err(unet_core::Error::InvalidConfig { problems }) => problems,
            Err(other) => vec![other.to_string()],
        };
        let mut check = |ok: bool, problem: String| {
            if !ok {
                problems.push(problem);
            }
        };
        check(
            self.schema_version == SCHEMA_VERSION,
            format!(
                "schema_version is {}, this version reads {SCHEMA_VERSION}",
                self.schema_version
            ),
        );
        let (input, output) = (self.unet.in_channels, self.unet.out_channels);
        check(
            input == 6 && output == 3,
            format!(
                "the network must take 6 channels (noisy, blurry) and give 3, not {input} and {output}"
            ),
        );
        check(
            (1..=32).contains(&self.guidance_blocks),
            format!(
                "guidance_blocks is {}, allowed are 1 to 32",
                self.guidance_blocks
            ),
        );
        if let Target::Residual { scale } = self.target {
            check(
                scale.is_finite() && scale > 0.0,
                format!("the residual scale is {scale}, it must be positive"),
            );
        }
        check(
            self.sigma_min.is_finite()
                && self.sigma_max.is_finite()
                && 0.0 < self.sigma_min
                && self.sigma_min < self.sigma_max,
            format!(
                "0 < sigma_min < sigma_max is needed, got {} and {}",
                self.sigma_min, self.sigma_max
            ),
        );
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Error::InvalidConfig { problems })
        }
    }

    /// Number of parameters of the model.
    pub fn parameter_count(&self) -> i64 {
        let conv = |input: i64, output: i64, kernel: i64| input * output * kernel * kernel + output;
        let unet = &self.unet;
        let embedding = unet.embedding_channels;
        let resnet = |input: i64, output: i64, guidance: Option<i64>| {
            conv(input, output, 3)
                + conv(output, output, 3)
                + conv(embedding, 2 * output, 1)
                + guidance.map_or(0, |channels| conv(channels, output, 1))
                + if input == output {
                    0
                } else {
                    conv(input, output, 1)
                }
        };
        let widths = &unet.block_out_channels;
        let (Some(&finest), Some(&coarsest)) = (widths.first(), widths.last()) else {
            return 0;
        };
        let cell = unet.stem.factor() * unet.stem.factor();
        let mut total = 2 * conv(embedding, embedding, 1)
            + conv(unet.in_channels * cell, finest, 3)
            + conv(finest, unet.out_channels * cell, 3)
            + unet.mid_layers as i64 * resnet(coarsest, coarsest, None);
        let mut previous = finest;
        for (level, &width) in widths.iter().enumerate() {
            for layer in 0..unet.layers_per_block.get(level).copied().unwrap_or(0) {
                let first = layer == 0;
                total += resnet(
                    if first { previous } else { width },
                    width,
                    unet.guidance_at(level),
                );
                total += resnet(if first { 2 * width } else { width }, width, None);
            }
            if level + 1 < widths.len() {
                total += conv(width, width, 3) + conv(widths[level + 1], 4 * width, 1);
            }
            previous = width;
        }
        for &channels in &unet.guidance_channels {
            total += conv(1, channels, 3) + conv(channels, 1, 3);
            total += self.guidance_blocks as i64 * 2 * conv(channels, channels, 3);
        }
        total
    }

    /// The matched control: the same model without guidance (S = 0), its levels widened until the number of
    /// parameters is that of the guided one within 5 % (in networks of very few channels: as near as whole channels
    /// allow). All are widened by the same factor, then single channels make up for the rounding.
    pub fn unguided_control(&self) -> Self {
        let wanted = self.parameter_count();
        let mut bare = self.clone();
        bare.unet.guidance_channels.clear();
        let with = |widths: Vec<i64>| {
            let mut config = bare.clone();
            config.unet.block_out_channels = widths;
            config
        };
        let difference = |config: &Self| (config.parameter_count() - wanted).abs();
        let widths = &self.unet.block_out_channels;
        let mut control = (0..=1000)
            .map(|step| 1.0 + step as f64 / 1000.0)
            .map(|factor| {
                with(
                    widths
                        .iter()
                        .map(|&width| (width as f64 * factor).round() as i64)
                        .collect(),
                )
            })
            .min_by_key(difference)
            .unwrap_or_else(|| bare.clone());
        // Every step brings the count nearer, so this ends.
        while difference(&control) * 100 > wanted {
            let current = &control.unet.block_out_channels;
            let neighbours = (0..current.len())
                .flat_map(|level| [(level, -1), (level, 1)])
                .filter_map(|(level, change)| {
                    let mut neighbour = current.clone();
                    neighbour[level] += change;
                    (neighbour[level] >= widths[level]).then(|| with(neighbour))
                });
            match neighbours.min_by_key(difference) {
                Some(better) if difference(&better) < difference(&control) => control = better,
                _ => break,
            }
        }
        control
    }
}
