//! The network.

use tch::{Tensor, nn};

use crate::layers::{Conv2d, TimestepEmbedding, to_channels_last};
use crate::padding::{crop_to, pad_to_multiple, round_up};
use crate::resnet::ResnetBlock2d;
use crate::{Error, GuidanceEntry, Result, Stem, UNetConfig};

#[derive(Debug)]
struct DownBlock {
    resnets: Vec<ResnetBlock2d>,
    downsample: Option<Conv2d>,
}

#[derive(Debug)]
struct UpBlock {
    resnets: Vec<ResnetBlock2d>,
    upsample: Option<Conv2d>,
}

/// Fully convolutional UNet with noise-level conditioning and guided encoder blocks.
///
/// No attention, no normalisation over space, no positional encoding (DvSR §3.3, arXiv 2112.02475): one network serves
/// any image size and every output pixel depends on a bounded neighbourhood.
#[derive(Debug)]
pub struct UNet {
    config: UNetConfig,
    time_embedding: TimestepEmbedding,
    conv_in: Conv2d,
    /// One for each scale if guidance enters at the input, else none.
    guidance_proj: Vec<Conv2d>,
    down_blocks: Vec<DownBlock>,
    mid_block: Vec<ResnetBlock2d>,
    up_blocks: Vec<UpBlock>,
    conv_out: Conv2d,
}

impl UNet {
    /// Registers all parameters below `path`. Names follow diffusers (`down_blocks.0.resnets.0.conv1.weight`).
    ///
    /// # Errors
    /// If the configuration is invalid or libtorch cannot allocate the weights.
    pub fn new(path: &nn::Path, config: &UNetConfig) -> Result<Self> {
        config.validate()?;
        let channels = &config.block_out_channels;
        let embedding = config.embedding_channels;
        let cell = config.stem.factor() * config.stem.factor();
        let resnet = |path: nn::Path, input: i64, output: i64, guidance: Option<i64>| {
            ResnetBlock2d::new(&path, input, output, embedding, guidance)
        };
        let at_input = match config.guidance_entry {
            GuidanceEntry::Blocks => &[][..],
            GuidanceEntry::Input => &config.guidance_channels,
        };
        let guidance_proj = at_input
            .iter()
            .enumerate()
            .map(|(index, &features)| {
                let here = path / "guidance_proj" / index as i64;
                Conv2d::new(&here, features, channels[0], 1, 1)
            })
            .collect::<Result<_>>()?;
        let mut down_blocks = Vec::new();
        let mut previous = channels[0];
        for (level, &width) in channels.iter().enumerate() {
            let here = path / "down_blocks" / level as i64;
            let resnets = (0..config.layers_per_block[level])
                .map(|layer| {
                    let input = if layer == 0 { previous } else { width };
                    resnet(
                        &here / "resnets" / layer as i64,
                        input,
                        width,
                        config.guidance_at(level),
                    )
                })
                .collect::<Result<_>>()?;
            let downsample = (level + 1 < channels.len())
                .then(|| Conv2d::new(&(&here / "downsamplers" / 0 / "conv"), width, width, 3, 2))
                .transpose()?;
            down_blocks.push(DownBlock {
                resnets,
                downsample,
            });
            previous = width;
        }
        let coarsest = previous;
        let mid_block = (0..config.mid_layers)
            .map(|layer| {
                resnet(
                    path / "mid_block" / "resnets" / layer as i64,
                    coarsest,
                    coarsest,
                    None,
                )
            })
            .collect::<Result<_>>()?;
        let mut up_blocks = Vec::new();
        for (index, level) in (0..channels.len()).rev().enumerate() {
            let here = path / "up_blocks" / index as i64;
            let width = channels[level];
            let resnets = (0..config.layers_per_block[level])
                .map(|layer| {
                    let input = if layer == 0 { 2 * width } else { width };
                    resnet(&here / "resnets" / layer as i64, input, width, None)
                })
                .collect::<Result<_>>()?;
            let upsample = (level > 0)
                .then(|| {
                    Conv2d::new(
                        &(&here / "upsamplers" / 0 / "conv"),
                        width,
                        4 * channels[level - 1],
                        1,
                        1,
                    )
                })
                .transpose()?;
            up_blocks.push(UpBlock { resnets, upsample });
        }
        Ok(Self {
            time_embedding: TimestepEmbedding::new(&(path / "time_embedding"), embedding)?,
            conv_in: Conv2d::new(
                &(path / "conv_in"),
                config.in_channels * cell,
                channels[0],
                3,
                1,
            )?,
            guidance_proj,
            down_blocks,
            mid_block,
            up_blocks,
            conv_out: Conv2d::zeros(
                &(path / "conv_out"),
                channels[0],
                config.out_channels * cell,
                3,
            )?,
            config: config.clone(),
        })
    }

    /// The sizes that this network was built with.
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// Runs the network.
    ///
    /// # Shapes
    /// `input` `[N, in_channels, H, W]` of any H, W ≥ 1; `noise_level` `[N]`, √ᾱ in [0, 1];
    /// `guidance[s - 1]` `[N, G_s, H'/2^s, W'/2^s]` where H', W' are H, W rounded up to
    /// [`size_multiple`](UNetConfig::size_multiple). Returns `[N, out_channels, H, W]` in the type of `input`.
    /// Sizes that are no multiple are mirrored at the bottom and right, and the result is cropped.
    ///
    /// # Errors
    /// On a shape that does not fit, or if libtorch is out of memory.
    pub fn forward(
        &self,
        input: &Tensor,
        noise_level: &Tensor,
        guidance: &[Tensor],
    ) -> Result<Tensor> {
        let (height, width) = self.check(input, noise_level, guidance)?;
        let padded = to_channels_last(&pad_to_multiple(input, self.config.size_multiple())?)?;
        let embedding = self.time_embedding.forward(noise_level, input.kind())?;
        let mut x = match self.config.stem {
            Stem::FullResolution => self.conv_in.forward(&padded)?,
            Stem::SpaceToDepth => self.conv_in.forward(&padded.f_pixel_unshuffle(2)?)?,
        };
        drop(padded);
        let cells = x.size();
        for (projection, features) in self.guidance_proj.iter().zip(guidance) {
            let projected = projection.forward(&to_channels_last(features)?)?;
            let enlarged = projected.f_upsample_nearest2d([cells[2], cells[3]], None, None)?;
            let _ = x.f_add_(&enlarged)?;
        }
        let mut skips = Vec::with_capacity(self.down_blocks.len());
        for (level, block) in self.down_blocks.iter().enumerate() {
            let features = self
                .config
                .scale_at(level)
                .and_then(|scale| guidance.get(scale - 1));
            for resnet in &block.resnets {
                x = resnet.forward(&x, &embedding, features)?;
            }
            skips.push(x.shallow_clone());
            if let Some(downsample) = &block.downsample {
                x = downsample.forward(&x)?;
            }
        }
        for resnet in &self.mid_block {
            x = resnet.forward(&x, &embedding, None)?;
        }
        for block in &self.up_blocks {
            if let Some(skip) = skips.pop() {
                x = Tensor::f_cat(&[x, skip], 1)?;
            }
            for resnet in &block.resnets {
                x = resnet.forward(&x, &embedding, None)?;
            }
            if let Some(upsample) = &block.upsample {
                x = upsample.forward(&x)?.f_pixel_shuffle(2)?;
            }
        }
        let mut out = self.conv_out.forward(&x.f_silu()?)?;
        if self.config.stem == Stem::SpaceToDepth {
            out = out.f_pixel_shuffle(2)?;
        }
        crop_to(&out, height, width)
    }

    fn check(
        &self,
        input: &Tensor,
        noise_level: &Tensor,
        guidance: &[Tensor],
    ) -> Result<(i64, i64)> {
        let size = input.size();
        let [batch, channels, height, width] = size[..] else {
            return Err(Error::Shape {
                what: "input",
                expected: "[N, C, H, W]".into(),
                got: size,
            });
        };
        if channels != self.config.in_channels || batch < 1 || height < 1 || width < 1 {
            let expected = format!("[N >= 1, {}, H >= 1, W >= 1]", self.config.in_channels);
            return Err(Error::Shape {
                what: "input",
                expected,
                got: size,
            });
        }
        if noise_level.size() != [batch] {
            let expected = format!("[{batch}]");
            return Err(Error::Shape {
                what: "noise_level",
                expected,
                got: noise_level.size(),
            });
        }
        if guidance.len() != self.config.guidance_channels.len() {
            return Err(Error::GuidanceScales {
                expected: self.config.guidance_channels.len(),
                got: guidance.len(),
            });
        }
        let multiple = self.config.size_multiple();
        for (index, features) in guidance.iter().enumerate() {
            let stride = 2 << index;
            let expected = [
                batch,
                self.config.guidance_channels[index],
                round_up(height, multiple) / stride,
                round_up(width, multiple) / stride,
            ];
            if features.size() != expected {
                let expected = format!("{expected:?}");
                return Err(Error::Shape {
                    what: "guidance features",
                    expected,
                    got: features.size(),
                });
            }
        }
        Ok((height, width))
    }
}
