//! Everything that defines a guided model besides its weights.

use diffusion_sched::PredictionType;
use serde::{Deserialize, Serialize};
use unet_core::{GuidanceEntry, Stem, UNetConfig};

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

/// What the guidance networks see and predict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GuidanceInput {
    /// BT.601 luma, as in MSGD (arXiv 2212.01789): structure is what carries over to other cameras.
    #[default]
    Gray,
    /// Red, green and blue. For experiments.
    Color,
}

impl GuidanceInput {
    /// 1 or 3.
    pub fn channels(self) -> i64 {
        match self {
            Self::Gray => 1,
            Self::Color => 3,
        }
    }
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
    /// What they see and predict.
    #[serde(default)]
    pub guidance_input: GuidanceInput,
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
            guidance_input: GuidanceInput::Gray,
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

    /// Number of parameters of the model. Exact for every configuration that [`validate`](Self::validate) accepts; for
    /// others it stays at `i64::MAX` instead of overflowing.
    pub fn parameter_count(&self) -> i64 {
        // Sizes from 0 to 2^63 − 1 keep every product of four of them exact or at the maximum.
        let product = |factors: &[i64]| factors.iter().fold(1_i64, |all, n| all.saturating_mul(*n));
        let sum = |terms: &[i64]| terms.iter().fold(0_i64, |all, n| all.saturating_add(*n));
        let conv = |input: i64, output: i64, kernel: i64| {
            product(&[input, output, kernel, kernel]).saturating_add(output)
        };
        let times =
            |count: usize, n: i64| n.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX));
        let unet = &self.unet;
        let embedding = unet.embedding_channels;
        let resnet = |input: i64, output: i64, guidance: Option<i64>| {
            sum(&[
                conv(input, output, 3),
                conv(output, output, 3),
                conv(embedding, output.saturating_mul(2), 1),
                guidance.map_or(0, |channels| conv(channels, output, 1)),
                if input == output {
                    0
                } else {
                    conv(input, output, 1)
                },
            ])
        };
        let widths = &unet.block_out_channels;
        let (Some(&finest), Some(&coarsest)) = (widths.first(), widths.last()) else {
            return 0;
        };
        let cell = unet.stem.factor() * unet.stem.factor();
        let mut terms = vec![
            times(2, conv(embedding, embedding, 1)),
            conv(unet.in_channels.saturating_mul(cell), finest, 3),
            conv(finest, unet.out_channels.saturating_mul(cell), 3),
            times(unet.mid_layers, resnet(coarsest, coarsest, None)),
        ];
        let mut previous = finest;
        for (level, &width) in widths.iter().enumerate() {
            let guidance = unet.guidance_at(level);
            let layers = unet.layers_per_block.get(level).copied().unwrap_or(0);
            if layers > 0 {
                // The first block of the encoder changes the width, that of the decoder takes the skip as well.
                terms.push(resnet(previous, width, guidance));
                terms.push(resnet(width.saturating_mul(2), width, None));
                terms.push(times(layers - 1, resnet(width, width, guidance)));
                terms.push(times(layers - 1, resnet(width, width, None)));
            }
            if let Some(&next) = widths.get(level + 1) {
                terms.push(conv(width, width, 3));
                terms.push(conv(next, width.saturating_mul(4), 1));
            }
            previous = width;
        }
        for &channels in &unet.guidance_channels {
            let image = self.guidance_input.channels();
            terms.push(conv(image, channels, 3));
            terms.push(conv(channels, image, 3));
            if unet.guidance_entry == GuidanceEntry::Input {
                terms.push(conv(channels, finest, 1));
            }
            let blocks = self.guidance_blocks.saturating_mul(2);
            terms.push(times(blocks, conv(channels, channels, 3)));
        }
        sum(&terms)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_description_does_not_overflow_the_count() {
        let mut hostile = GuidedUNetConfig::tiny();
        hostile.guidance_blocks = usize::MAX;
        hostile.unet.mid_layers = usize::MAX;
        hostile.unet.layers_per_block = vec![usize::MAX; 3];
        hostile.unet.block_out_channels = vec![i64::MAX; 3];
        hostile.unet.guidance_channels = vec![i64::MAX; 3];
        hostile.unet.embedding_channels = i64::MAX;
        hostile.unet.in_channels = i64::MAX;
        assert!(hostile.validate().is_err());
        assert_eq!(hostile.parameter_count(), i64::MAX);
    }
}
