//! The guided UNet and its use as a denoiser.

use std::sync::{Mutex, PoisonError};

use diffusion_sched::{Denoiser, NoiseLevel};
use tch::{Device, Kind, Tensor, nn};
use unet_core::receptive_field::{Interval, level_intervals, radius};
use unet_core::{GuidanceEntry, UNet, UNetConfig};

use crate::guidance::{Features, StructureGuidance};
use crate::{Error, GuidedUNetConfig, Result, Target};

/// Held while weights are drawn from libtorch's generator, which all threads share: networks that are built at the same time would
/// take each other's numbers.
static GENERATOR: Mutex<()> = Mutex::new(());

/// UNet, guidance networks and parametrisation.
#[derive(Debug)]
pub struct GuidedUNet {
    config: GuidedUNetConfig,
    unet: UNet,
    guidance: StructureGuidance,
}

impl GuidedUNet {
    /// Registers all parameters below `path`: `unet.…` and `guidance.0.…`.
    ///
    /// # Errors
    /// If the configuration is invalid or libtorch cannot allocate the weights.
    pub fn new(path: &nn::Path, config: &GuidedUNetConfig) -> Result<Self> {
        let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
        Self::build(path, config)
    }

    /// As [`new`](Self::new), with weights that depend on `seed` alone. libtorch's global generator is seeded.
    ///
    /// # Errors
    /// As `new`.
    pub fn seeded(path: &nn::Path, config: &GuidedUNetConfig, seed: i64) -> Result<Self> {
        let _alone = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
        tch::manual_seed(seed);
        Self::build(path, config)
    }

    fn build(path: &nn::Path, config: &GuidedUNetConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            unet: UNet::new(&(path / "unet"), &config.unet)?,
            guidance: StructureGuidance::new(&(path / "guidance"), config)?,
            config: config.clone(),
        })
    }

    /// What this model is.
    pub fn config(&self) -> &GuidedUNetConfig {
        &self.config
    }

    /// The guidance networks.
    pub fn guidance(&self) -> &StructureGuidance {
        &self.guidance
    }

    /// One pass of the diffusion network.
    ///
    /// # Shapes
    /// `noisy` `[N, 3, H, W]`, the VP state z = α t + σ ε of the target t; `blurry` `[N or 1, 3, H, W]` in [-1, 1];
    /// `noise_level` `[N]`, α = √ᾱ; `features` of the same `blurry`. Everything is computed in the type of `noisy`.
    /// Returns the raw prediction (ε, v or t) `[N, 3, H, W]`.
    ///
    /// # Errors
    /// On a shape that does not fit, or if libtorch is out of memory.
    pub fn predict(
        &self,
        noisy: &Tensor,
        blurry: &Tensor,
        noise_level: &Tensor,
        features: &Features,
    ) -> Result<Tensor> {
        let batch = noisy.size().first().copied().unwrap_or(0);
        let blurry = expand(&blurry.f_to_kind(noisy.kind())?, batch)?;
        let input = Tensor::f_cat(&[noisy, &blurry], 1)?;
        let maps = features
            .maps
            .iter()
            .map(|map| expand(&map.f_to_kind(noisy.kind())?, batch))
            .collect::<Result<Vec<_>>>()?;
        Ok(self.unet.forward(&input, noise_level, &maps)?)
    }

    /// The denoiser for one blurry image `[1, 3, H, W]` (or a batch) in [-1, 1], computing in `kind`. The guidance
    /// features are computed here, once.
    ///
    /// It estimates the *target* t of [`GuidedUNetConfig::target`](crate::GuidedUNetConfig), for most models the residual
    /// (x − y) / scale, not the image x: samplers walk in the space of targets, and [`Conditioned::target_to_image`] turns
    /// their result into an image.
    ///
    /// # Errors
    /// On a shape that does not fit, or if libtorch is out of memory.
    pub fn condition(&self, blurry: &Tensor, kind: Kind) -> Result<Conditioned<'_>> {
        let size = blurry.size();
        if size.len() != 4 || size[1] != 3 {
            return Err(Error::Shape {
                what: "blurry image",
                expected: "[N, 3, H, W]".into(),
                got: size,
            });
        }
        let blurry = blurry.f_to_kind(kind)?;
        let features = self.guidance.features(&blurry)?;
        Ok(Conditioned {
            model: self,
            blurry,
            features,
        })
    }

    /// D(x_σ, σ̃, y) for a part of the image, given its features: the estimate of E[t | noisy, y], float32, from the
    /// noisy target `noisy` = t + σ̃ ε `[N, 3, H, W]`, float32.
    ///
    /// # Errors
    /// On a shape or noise level that does not fit, or if libtorch is out of memory.
    pub fn denoise(
        &self,
        noisy: &Tensor,
        sigma: f64,
        blurry: &Tensor,
        features: &Features,
    ) -> Result<Tensor> {
        let level = NoiseLevel::from_sigma(sigma)?;
        let parametrisation = self.config.prediction_type.precondition(level);
        let batch = noisy.size().first().copied().unwrap_or(0);
        let noise_level = Tensor::f_full([batch], level.alpha(), (Kind::Double, noisy.device()))?;
        let state = noisy
            .f_mul_scalar(parametrisation.c_in)?
            .f_to_kind(blurry.kind())?;
        let mut denoised = self
            .predict(&state, blurry, &noise_level, features)?
            .f_to_kind(Kind::Float)?;
        drop(state);
        let _ = denoised.f_mul_scalar_(parametrisation.c_out)?;
        if parametrisation.c_skip != 0.0 {
            denoised = denoised.f_add(&noisy.f_mul_scalar(parametrisation.c_skip)?)?;
        }
        Ok(denoised)
    }

    /// The image x for the target t of `blurry` y: t itself, or y + scale · r. Both `[N, 3, H, W]`; float32.
    ///
    /// # Errors
    /// If libtorch rejects the shapes.
    pub fn target_to_image(&self, target: &Tensor, blurry: &Tensor) -> Result<Tensor> {
        match self.config.target {
            Target::Image => Ok(target.shallow_clone()),
            Target::Residual { scale } => Ok(target
                .f_mul_scalar(scale)?
                .f_add(&blurry.f_to_kind(Kind::Float)?)?),
        }
    }

    /// The target t for a pair: the inverse of [`target_to_image`](Self::target_to_image).
    ///
    /// # Errors
    /// If libtorch rejects the shapes.
    pub fn image_to_target(&self, image: &Tensor, blurry: &Tensor) -> Result<Tensor> {
        match self.config.target {
            Target::Image => Ok(image.shallow_clone()),
            Target::Residual { scale } => Ok(image.f_sub(blurry)?.f_mul_scalar(1.0 / scale)?),
        }
    }
}

fn expand(x: &Tensor, batch: i64) -> Result<Tensor> {
    if x.size().first() == Some(&1) && batch > 1 {
        let mut size = x.size();
        size[0] = batch;
        Ok(x.f_expand(&size, false)?)
    } else {
        Ok(x.shallow_clone())
    }
}

impl GuidedUNetConfig {
    /// Height and width are padded to a multiple of this.
    pub fn size_multiple(&self) -> i64 {
        self.unet.size_multiple()
    }

    /// Radius in pixels of what an output pixel depends on in one denoiser call, guidance networks included.
    pub fn receptive_field(&self) -> i64 {
        let unet: &UNetConfig = &self.unet;
        let guided = radius(self.size_multiple(), |position| {
            let mut reach = Interval {
                first: position,
                last: position,
            };
            let mut read = |cells: Interval, stride: i64| {
                let pixels = cells.pixels(stride);
                reach.first = reach.first.min(pixels.first);
                reach.last = reach.last.max(pixels.last);
            };
            let intervals = level_intervals(unet, position);
            for (level, interval) in intervals.iter().enumerate() {
                if unet.scale_at(level).is_some() {
                    // h_s enters after the first of the level's convolutions, which cancels that of `conv_in` in G_s.
                    let cells = interval.before_convolutions(2 * self.guidance_blocks);
                    read(cells, unet.stride(level));
                }
            }
            if unet.guidance_entry == GuidanceEntry::Input {
                let pixels = intervals[0].pixels(unet.stride(0));
                for scale in 1..=self.scales() {
                    // Cells of h_s under the first level, then all convolutions of G_s.
                    let cells = Interval {
                        first: pixels.first >> scale,
                        last: pixels.last >> scale,
                    }
                    .before_convolutions(2 * self.guidance_blocks + 1);
                    read(cells, 1 << scale);
                }
            }
            reach
        });
        guided.max(unet.receptive_field())
    }
}

/// A [`GuidedUNet`] bound to one blurry image.
#[derive(Debug)]
pub struct Conditioned<'a> {
    model: &'a GuidedUNet,
    blurry: Tensor,
    features: Features,
}

impl Conditioned<'_> {
    /// The guidance features of the image.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The image for a sampled target, see [`GuidedUNet::target_to_image`].
    ///
    /// # Errors
    /// If libtorch rejects the shapes.
    pub fn target_to_image(&self, target: &Tensor) -> Result<Tensor> {
        self.model.target_to_image(target, &self.blurry)
    }

    /// Device of the image.
    pub fn device(&self) -> Device {
        self.blurry.device()
    }
}

/// Noise is added to and removed from the target t, not the image: `noisy` = t + σ̃ ε, and the result estimates t. Use
/// [`Conditioned::target_to_image`] for the image.
impl Denoiser for Conditioned<'_> {
    fn denoise(&self, noisy: &Tensor, sigma: f64) -> diffusion_sched::Result<Tensor> {
        self.model
            .denoise(noisy, sigma, &self.blurry, &self.features)
            .map_err(|error| diffusion_sched::Error::Denoiser(Box::new(error)))
    }
}
