//! The model as a denoiser of whole photos that looks at one tile at a time.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

use diffusion_sched::Denoiser;
use ms_guidance::{Features, GuidedUNet};
use tch::{Kind, Tensor};
use unet_core::padding::round_up;

use crate::restorer::Progress;
use crate::tiles::{Layout, Region, Tile};
use crate::{Error, Result};

/// Counts finished tiles and passes them on.
pub(crate) struct Reporter<'a> {
    callback: RefCell<&'a mut dyn FnMut(Progress) -> ControlFlow<()>>,
    done: Cell<u64>,
    total: u64,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(
        callback: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
        total: u64,
    ) -> Self {
        Self {
            callback: RefCell::new(callback),
            done: Cell::new(0),
            total,
        }
    }

    /// Says that `tiles` more are finished.
    pub(crate) fn advance(&self, tiles: u64) -> Result<()> {
        self.done.set(self.done.get() + tiles);
        let progress = Progress {
            done: self.done.get(),
            total: self.total,
        };
        if (self.callback.borrow_mut())(progress).is_break() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }

    pub(crate) fn done(&self) -> u64 {
        self.done.get()
    }
}

/// D(x_σ, σ̃, y) of a whole photo, evaluated tile by tile. Samplers see an ordinary denoiser; since every tile reads the
/// network's whole receptive field, the result is the same as without tiles.
pub(crate) struct TiledDenoiser<'a> {
    model: &'a GuidedUNet,
    /// `[1, 3, H', W']`, float32.
    blurry: &'a Tensor,
    features: Features,
    tiles: Vec<Tile>,
    kind: Kind,
    reporter: &'a Reporter<'a>,
}

impl<'a> TiledDenoiser<'a> {
    /// Binds the model to a photo `[1, 3, H', W']` (padded to the size multiple, [-1, 1], float32) and computes its guidance features,
    /// once.
    pub(crate) fn new(
        model: &'a GuidedUNet,
        blurry: &'a Tensor,
        tiles: Vec<Tile>,
        kind: Kind,
        reporter: &'a Reporter<'a>,
    ) -> Result<Self> {
        let features = guidance_features(model, blurry, &tiles, kind, reporter)?;
        Ok(Self {
            model,
            blurry,
            features,
            tiles,
            kind,
            reporter,
        })
    }

    pub(crate) fn tiles(&self) -> usize {
        self.tiles.len()
    }

    /// x̂_s of the whole photo, in [-1, 1].
    pub(crate) fn predictions(&self) -> Result<Vec<Tensor>> {
        Ok(self.model.guidance().predictions(&self.features)?)
    }

    fn try_denoise(&self, noisy: &Tensor, sigma: f64) -> Result<Tensor> {
        let single = self.tiles.len() == 1;
        let mut whole = if single {
            None
        } else {
            Some(noisy.f_empty_like()?)
        };
        for Tile { write, read } in &self.tiles {
            let blurry = crop(self.blurry, read)?.f_to_kind(self.kind)?;
            let features = self
                .features
                .crop(read.top, read.left, read.height, read.width)?;
            let denoised = self
                .model
                .denoise(&crop(noisy, read)?, sigma, &blurry, &features)?;
            self.reporter.advance(1)?;
            match &whole {
                None => whole = Some(denoised),
                Some(whole) => {
                    let inner = Region {
                        top: write.top - read.top,
                        left: write.left - read.left,
                        ..*write
                    };
                    crop(whole, write)?.f_copy_(&crop(&denoised, &inner)?)?;
                }
            }
        }
        whole.ok_or_else(|| Error::Shape {
            shape: noisy.size().iter().map(|&length| length as usize).collect(),
        })
    }
}

impl Denoiser for TiledDenoiser<'_> {
    fn denoise(&self, noisy: &Tensor, sigma: f64) -> diffusion_sched::Result<Tensor> {
        self.try_denoise(noisy, sigma).map_err(|error| match error {
            Error::Cancelled => diffusion_sched::Error::Cancelled,
            error => diffusion_sched::Error::denoiser(error),
        })
    }
}

/// A view of a part of `[N, C, H, W]`.
fn crop(tensor: &Tensor, region: &Region) -> Result<Tensor> {
    Ok(tensor
        .f_narrow(2, region.top, region.height)?
        .f_narrow(3, region.left, region.width)?)
}

/// Features of the whole photo, computed tile by tile with a halo of what the guidance networks read.
fn guidance_features(
    model: &GuidedUNet,
    blurry: &Tensor,
    tiles: &[Tile],
    kind: Kind,
    reporter: &Reporter<'_>,
) -> Result<Features> {
    let config = model.config();
    if tiles.len() == 1 || config.scales() == 0 {
        let features = model.guidance().features(&blurry.f_to_kind(kind)?)?;
        reporter.advance(0)?;
        return Ok(features);
    }
    let size = blurry.size();
    let [_, _, height, width] = size[..] else {
        return Err(Error::Shape {
            shape: size.iter().map(|&length| length as usize).collect(),
        });
    };
    // Input convolution and two convolutions per block at the coarsest scale, whose cells are the largest.
    let radius = (1 + 2 * config.guidance_blocks as i64) << config.scales();
    let halo = round_up(radius, config.size_multiple());
    let layout = Layout {
        height,
        width,
        halo,
        multiple: config.size_multiple(),
    };
    let (tile_height, tile_width) = tiles.first().map_or((height, width), |tile| {
        (tile.write.height, tile.write.width)
    });
    let empty = |channels: i64, stride: i64| -> Result<Tensor> {
        let shape = [1, height / stride, width / stride, channels];
        // Channels-last, as the network's convolutions want it.
        Ok(Tensor::f_empty(shape, (kind, blurry.device()))?.f_permute([0, 3, 1, 2])?)
    };
    let mut whole = Features {
        maps: Vec::new(),
        blurry: Vec::new(),
    };
    for (index, &channels) in config.unet.guidance_channels.iter().enumerate() {
        whole.maps.push(empty(channels, 2 << index)?);
        let image = config.guidance_input.channels();
        whole.blurry.push(empty(image, 2 << index)?);
    }
    for Tile { write, read } in layout.cut(tile_height, tile_width) {
        let part = model
            .guidance()
            .features(&crop(blurry, &read)?.f_to_kind(kind)?)?;
        let inner = part.crop(
            write.top - read.top,
            write.left - read.left,
            write.height,
            write.width,
        )?;
        let target = whole.crop(write.top, write.left, write.height, write.width)?;
        for (mut target, source) in target.maps.into_iter().zip(&inner.maps) {
            target.f_copy_(source)?;
        }
        for (mut target, source) in target.blurry.into_iter().zip(&inner.blurry) {
            target.f_copy_(source)?;
        }
        reporter.advance(0)?;
    }
    Ok(whole)
}
