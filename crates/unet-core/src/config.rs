//! Description of a UNet: sizes only, no tensors.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How pixels enter and leave the first level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Stem {
    /// The first level works at full resolution, as in DvSR (arXiv 2112.02475).
    FullResolution,
    /// 2×2 pixels become channels (`pixel_unshuffle`), so that the first level works at half resolution:
    /// about four times fewer operations per pixel.
    SpaceToDepth,
}

impl Stem {
    /// Pixels per cell of the first level along one axis: 1 or 2.
    pub fn factor(self) -> i64 {
        match self {
            Stem::FullResolution => 1,
            Stem::SpaceToDepth => 2,
        }
    }
}

/// Where the features of the guidance networks enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GuidanceEntry {
    /// In every block of the encoder that works at the scale of the features (MSGD fig. 12, arXiv 2212.01789).
    #[default]
    Blocks,
    /// Once, at the input: projected, enlarged to the first level and added to the first convolution's output, which is what a 1×1
    /// convolution of features beside the image amounts to. For experiments on what entering at the matching scale is worth.
    Input,
}

/// Version of the serialised form of [`UNetConfig`].
pub const SCHEMA_VERSION: u32 = 1;

const MAX_LEVELS: usize = 8;
const MAX_CHANNELS: i64 = 4096;
const MAX_LAYERS: usize = 32;
const MAX_SCALES: usize = 6;

/// Sizes of a [`UNet`](crate::UNet). Level `i` works at `1 / (stem.factor() · 2^i)` of the input resolution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UNetConfig {
    /// Version of this description, [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Channels of the input: 6 for concat(noisy, blurry).
    pub in_channels: i64,
    /// Channels of the output: 3.
    pub out_channels: i64,
    /// Channels of each level, finest first.
    pub block_out_channels: Vec<i64>,
    /// Residual blocks of each level, in the encoder and again in the decoder.
    pub layers_per_block: Vec<usize>,
    /// Residual blocks at the coarsest resolution between encoder and decoder.
    pub mid_layers: usize,
    /// Width of the noise-level embedding; even.
    pub embedding_channels: i64,
    /// Resolution of the first level.
    pub stem: Stem,
    /// Channels of the guidance features h_s for s = 1..=S, at `1 / 2^s` of the input resolution.
    /// Empty: no guidance (S = 0).
    pub guidance_channels: Vec<i64>,
    /// Where they enter.
    #[serde(default)]
    pub guidance_entry: GuidanceEntry,
}

impl UNetConfig {
    /// The smallest useful network: three levels of 8, 12 and 16 channels with guidance at every level.
    /// For tests and examples.
    pub fn tiny() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            in_channels: 6,
            out_channels: 3,
            block_out_channels: vec![8, 12, 16],
            layers_per_block: vec![1, 1, 1],
            mid_layers: 1,
            embedding_channels: 16,
            stem: Stem::SpaceToDepth,
            guidance_channels: vec![4, 6, 8],
            guidance_entry: GuidanceEntry::Blocks,
        }
    }

    /// Checks every field and reports all problems at once.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] with one sentence per problem.
    pub fn validate(&self) -> Result<()> {
        let mut problems = Vec::new();
        let mut check = |ok: bool, problem: String| {
            if !ok {
                problems.push(problem);
            }
        };
        let width = 1..=MAX_CHANNELS;
        check(
            self.schema_version == SCHEMA_VERSION,
            format!(
                "schema_version is {}, this version reads {SCHEMA_VERSION}",
                self.schema_version
            ),
        );
        for (name, value) in [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("embedding_channels", self.embedding_channels),
        ] {
            check(
                width.contains(&value),
                format!("{name} is {value}, allowed are 1 to {MAX_CHANNELS}"),
            );
        }
        check(
            self.embedding_channels % 2 == 0 && self.embedding_channels >= 4,
            format!(
                "embedding_channels is {}, it must be even and at least 4",
                self.embedding_channels
            ),
        );
        let levels = self.block_out_channels.len();
        check(
            (1..=MAX_LEVELS).contains(&levels),
            format!("block_out_channels has {levels} levels, allowed are 1 to {MAX_LEVELS}"),
        );
        check(
            self.layers_per_block.len() == levels,
            format!(
                "layers_per_block has {} entries, block_out_channels has {levels}",
                self.layers_per_block.len()
            ),
        );
        for &channels in &self.block_out_channels {
            check(
                width.contains(&channels),
                format!("a level has {channels} channels, allowed are 1 to {MAX_CHANNELS}"),
            );
        }
        for &layers in self.layers_per_block.iter().chain([&self.mid_layers]) {
            check(
                (1..=MAX_LAYERS).contains(&layers),
                format!("a level has {layers} blocks, allowed are 1 to {MAX_LAYERS}"),
            );
        }
        let scales = self.guidance_channels.len();
        check(
            scales <= MAX_SCALES,
            format!("{scales} guidance scales, allowed are 0 to {MAX_SCALES}"),
        );
        for scale in 1..=scales.min(MAX_SCALES) {
            check(
                self.level_of_scale(scale).is_some(),
                format!(
                    "guidance scale {scale} (1/{}) has no level of that resolution",
                    1 << scale
                ),
            );
        }
        for &channels in &self.guidance_channels {
            check(
                width.contains(&channels),
                format!(
                    "guidance features have {channels} channels, allowed are 1 to {MAX_CHANNELS}"
                ),
            );
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Error::InvalidConfig { problems })
        }
    }

    /// Number of resolution levels.
    pub fn levels(&self) -> usize {
        self.block_out_channels.len()
    }

    /// Pixels per cell along one axis at `level` (at most 2^61, so that no description overflows).
    pub fn stride(&self, level: usize) -> i64 {
        self.stem.factor() << level.min(60)
    }

    /// Height and width are padded to a multiple of this inside the network.
    pub fn size_multiple(&self) -> i64 {
        self.stride(self.levels().saturating_sub(1))
    }

    /// Level whose resolution is `1 / 2^scale`, if there is one.
    pub fn level_of_scale(&self, scale: usize) -> Option<usize> {
        (0..self.levels()).find(|&level| scale < 62 && self.stride(level) == 1 << scale)
    }

    /// Channels of the guidance features that enter in the blocks of `level`, if any.
    pub fn guidance_at(&self, level: usize) -> Option<i64> {
        self.scale_at(level)
            .map(|scale| self.guidance_channels[scale - 1])
    }

    /// Guidance scale (1-based) that enters in the blocks of `level`, if any.
    pub fn scale_at(&self, level: usize) -> Option<usize> {
        if self.guidance_entry == GuidanceEntry::Input {
            return None;
        }
        (1..=self.guidance_channels.len().min(61)).find(|&scale| self.stride(level) == 1 << scale)
    }
}
