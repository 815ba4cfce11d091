//! Guidance networks G_s, their features and their loss (method: MSGD, arXiv 2212.01789, §3.2).

use tch::{Kind, Tensor, nn};
use unet_core::layers::{Conv2d, to_channels_last};
use unet_core::padding::pad_to_multiple;

use crate::pyramid::pyramid;
use crate::{GuidanceInput, GuidedUNetConfig, Result};

/// `x + conv2(silu(conv1(silu(x))))`.
#[derive(Debug)]
struct GuidanceBlock {
    conv1: Conv2d,
    conv2: Conv2d,
}

impl GuidanceBlock {
    fn new(path: &nn::Path, channels: i64) -> Result<Self> {
        Ok(Self {
            conv1: Conv2d::new(&(path / "conv1"), channels, channels, 3, 1)?,
            conv2: Conv2d::zeros(&(path / "conv2"), channels, channels, 3)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let hidden = self.conv1.forward(&x.f_silu()?)?;
        Ok(self.conv2.forward(&hidden.f_silu()?)?.f_add_(x)?)
    }
}

/// G_s: convolution, residual blocks (their last output is h_s), convolution to the prediction x̂_s.
///
/// The prediction is y_s plus the network's output (ours), so an untrained network predicts its input.
#[derive(Debug)]
struct GuidanceNetwork {
    conv_in: Conv2d,
    blocks: Vec<GuidanceBlock>,
    conv_out: Conv2d,
}

impl GuidanceNetwork {
    fn new(path: &nn::Path, image: i64, channels: i64, blocks: usize) -> Result<Self> {
        Ok(Self {
            conv_in: Conv2d::new(&(path / "conv_in"), image, channels, 3, 1)?,
            blocks: (0..blocks)
                .map(|block| GuidanceBlock::new(&(path / "blocks" / block as i64), channels))
                .collect::<Result<_>>()?,
            conv_out: Conv2d::zeros(&(path / "conv_out"), channels, image, 3)?,
        })
    }

    fn features(&self, y: &Tensor) -> Result<Tensor> {
        let mut x = self.conv_in.forward(&to_channels_last(y)?)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        Ok(x)
    }

    fn prediction(&self, y: &Tensor, features: &Tensor) -> Result<Tensor> {
        Ok(self.conv_out.forward(&features.f_silu()?)?.f_add(y)?)
    }
}

/// What the guidance networks make of one blurry image. It depends on that image alone: compute it once and use it in
/// every sampling step.
#[derive(Debug)]
pub struct Features {
    /// h_s for s = 1..=S: `[N, G_s, H'/2^s, W'/2^s]`, where H', W' are H, W rounded up to the size multiple.
    pub maps: Vec<Tensor>,
    /// y_s, the blurry pyramid, grey or in colour ([`GuidanceInput`]): `[N, 1 or 3, H'/2^s, W'/2^s]`, [-1, 1].
    pub blurry: Vec<Tensor>,
}

impl Features {
    /// The part for the pixels `top..top + height`, `left..left + width`; all four are multiples of the model's
    /// size multiple. The tensors share memory with `self`.
    ///
    /// # Errors
    /// If the part lies outside.
    pub fn crop(&self, top: i64, left: i64, height: i64, width: i64) -> Result<Self> {
        let crop = |tensors: &[Tensor]| {
            tensors
                .iter()
                .enumerate()
                .map(|(index, tensor)| {
                    let stride = 2 << index;
                    Ok(tensor
                        .f_narrow(2, top / stride, height / stride)?
                        .f_narrow(3, left / stride, width / stride)?)
                })
                .collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            maps: crop(&self.maps)?,
            blurry: crop(&self.blurry)?,
        })
    }
}

/// All guidance networks of a model.
#[derive(Debug)]
pub struct StructureGuidance {
    networks: Vec<GuidanceNetwork>,
    input: GuidanceInput,
    size_multiple: i64,
}

impl StructureGuidance {
    /// Registers `0`, `1`, … below `path`, one per scale, finest first.
    ///
    /// # Errors
    /// If libtorch cannot allocate the weights.
    pub fn new(path: &nn::Path, config: &GuidedUNetConfig) -> Result<Self> {
        Ok(Self {
            networks: config
                .unet
                .guidance_channels
                .iter()
                .enumerate()
                .map(|(index, &channels)| {
                    GuidanceNetwork::new(
                        &(path / index as i64),
                        config.guidance_input.channels(),
                        channels,
                        config.guidance_blocks,
                    )
                })
                .collect::<Result<_>>()?,
            input: config.guidance_input,
            size_multiple: config.unet.size_multiple(),
        })
    }

    /// h_1..h_S of `blurry` `[N, 3, H, W]` in [-1, 1]. Without guidance (S = 0) this does nothing.
    ///
    /// # Errors
    /// If libtorch rejects the shapes or is out of memory.
    pub fn features(&self, blurry: &Tensor) -> Result<Features> {
        self.features_in(blurry, blurry.kind())
    }

    /// As [`features`](Self::features), with networks that compute in `kind`. The pyramid stays in the type of `blurry`, and so do
    /// the predictions made from it: what a loss compares is not rounded to `kind`.
    ///
    /// # Errors
    /// If libtorch rejects the shapes or is out of memory.
    pub fn features_in(&self, blurry: &Tensor, kind: Kind) -> Result<Features> {
        if self.networks.is_empty() {
            return Ok(Features {
                maps: Vec::new(),
                blurry: Vec::new(),
            });
        }
        let padded = pad_to_multiple(blurry, self.size_multiple)?;
        let blurry = pyramid(&padded, self.networks.len(), self.input)?;
        let maps = self
            .networks
            .iter()
            .zip(&blurry)
            .map(|(network, y)| network.features(&y.f_to_kind(kind)?))
            .collect::<Result<_>>()?;
        Ok(Features { maps, blurry })
    }

    /// x̂_s, the predicted sharp image at every scale, grey or in colour: `[N, 1 or 3, H'/2^s, W'/2^s]`, [-1, 1].
    ///
    /// # Errors
    /// If libtorch rejects the shapes or is out of memory.
    pub fn predictions(&self, features: &Features) -> Result<Vec<Tensor>> {
        self.networks
            .iter()
            .zip(features.blurry.iter().zip(&features.maps))
            .map(|(network, (y, map))| network.prediction(y, map))
            .collect()
    }
}

/// L_guide = Σ_s w_s · mean((x̂_s − x_s)²) with `predictions` x̂_s and the pyramid of `sharp` `[N, 3, H, W]` (padded as
/// the predictions are; grey if they have one channel, in colour if they have three), accumulated in float32. A scale without weight counts 1. Returns a scalar; 0 without scales.
///
/// # Errors
/// If libtorch rejects the shapes.
pub fn guidance_loss(
    predictions: &[Tensor],
    sharp: &Tensor,
    weights: &[f64],
    size_multiple: i64,
) -> Result<Tensor> {
    let mut loss = Tensor::f_zeros([], (Kind::Float, sharp.device()))?;
    if predictions.is_empty() {
        return Ok(loss);
    }
    let padded = pad_to_multiple(sharp, size_multiple)?.f_to_kind(Kind::Float)?;
    let input = if predictions[0].size().get(1) == Some(&3) {
        GuidanceInput::Color
    } else {
        GuidanceInput::Gray
    };
    let targets = pyramid(&padded, predictions.len(), input)?;
    for (index, (prediction, target)) in predictions.iter().zip(&targets).enumerate() {
        let error = prediction
            .f_to_kind(Kind::Float)?
            .f_sub(target)?
            .f_square()?
            .f_mean(Kind::Float)?;
        loss = loss.f_add(&error.f_mul_scalar(weights.get(index).copied().unwrap_or(1.0))?)?;
    }
    Ok(loss)
}
