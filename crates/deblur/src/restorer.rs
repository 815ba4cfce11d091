//! A blurry photo in, a sharper photo out.

use std::ops::ControlFlow;
use std::time::Instant;

use diffusion_sched::{CounterNoise, Euler, Sampler, Sigmas, initial_noise, sampler};
use ms_guidance::pyramid::gray;
use ms_guidance::{GuidanceInput, GuidedUNetConfig, Model};
use ndarray::{Array2, Array3, ArrayView3};
use tch::{Device, Kind, Tensor};
use unet_core::padding::{crop_to, pad_to_multiple, round_up};

use crate::device;
use crate::precision::kind_name;
use crate::spread::RunningSpread;
use crate::tiled::{Reporter, TiledDenoiser};
use crate::tiles::{Layout, Tile};
use crate::{CheckpointSource, Error, Mode, Options, Result, TileChoice, memory, pixels};

/// Curvature of the grid of noise levels (Karras 2022, arXiv 2206.00364, table 1).
const RHO: f64 = 7.0;

/// How far a restoration is. One unit is one pass of the network over one tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Finished units. Goes back to 0 if a restoration starts again in float32.
    pub done: u64,
    /// All units.
    pub total: u64,
}

/// A restored photo and how it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Restoration {
    /// The photo `[3, H, W]`, sRGB in [0, 1].
    pub image: Array3<f32>,
    /// Standard deviation over samples per pixel `[H, W]`, in units of the [0, 1] range; root mean square over the colours.
    pub spread: Option<Array2<f32>>,
    /// The guidance networks' predictions of the sharp photo at 1/2, 1/4, …, in grey: `[⌈H/2^s⌉, ⌈W/2^s⌉]` in [0, 1].
    pub guidance: Vec<Array2<f32>>,
    /// What a person should know, each a short sentence without a full stop.
    pub notes: Vec<String>,
    /// Evaluations of the denoiser on the whole photo.
    pub denoiser_calls: usize,
    /// Tiles that the photo was cut into.
    pub tiles: usize,
    /// Passes of the network over a tile: tiles × denoiser calls.
    pub network_calls: u64,
    /// `float32` or `bfloat16`.
    pub precision: &'static str,
    /// Wall-clock time in seconds.
    pub seconds: f64,
}

/// A loaded model and what it shall do with photos.
#[derive(Debug)]
pub struct Restorer {
    model: Model,
    options: Options,
    device: Device,
    kind: Kind,
    /// Bytes that tiles are chosen for; fixed, so that equal photos get equal tiles.
    memory_limit: u64,
}

/// What one pass over a photo gives.
struct Outcome {
    image: Array3<f32>,
    spread: Option<Array2<f32>>,
    guidance: Vec<Array2<f32>>,
    tiles: usize,
    network_calls: u64,
}

impl Restorer {
    /// Checks the options, chooses device and precision, and loads the model.
    ///
    /// # Errors
    /// Options outside their ranges, a device that does not exist, or a checkpoint that cannot be used.
    pub fn new(checkpoint: &CheckpointSource, options: Options) -> Result<Self> {
        options.validate()?;
        let device = options.device.resolve()?;
        let model = checkpoint.load(device)?;
        let layout = Layout::new(1, 1, 0, model.network.config().size_multiple());
        let minimum = layout.minimum_tile();
        if let TileChoice::Size(tile) = options.tile
            && i64::from(tile) < minimum
        {
            return Err(Error::TileTooSmall {
                tile,
                minimum: minimum as u32,
            });
        }
        let kind = options.precision.resolve(device);
        tracing::debug!(
            "{checkpoint} on {}, {}",
            device::name(device),
            kind_name(kind)
        );
        let memory_limit = memory::limit(device, options.memory);
        Ok(Self {
            model,
            options,
            device,
            kind,
            memory_limit,
        })
    }

    /// The model's description.
    pub fn config(&self) -> &GuidedUNetConfig {
        self.model.network.config()
    }

    /// The loaded model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// `cpu` or `cuda:N`.
    pub fn device(&self) -> String {
        device::name(self.device)
    }

    /// `float32` or `bfloat16`.
    pub fn precision(&self) -> &'static str {
        kind_name(self.kind)
    }

    /// Denoiser calls that one photo takes.
    ///
    /// # Errors
    /// None for a restorer that could be built.
    pub fn denoiser_calls(&self) -> Result<usize> {
        let sampler = self.options.sampler.build()?;
        let drawn =
            self.options.drawn_samples() as usize * sampler.denoiser_calls(self.options.steps);
        Ok(drawn + usize::from(self.options.mode == Mode::Mean))
    }

    /// [`Progress::total`] for a photo of this size.
    ///
    /// # Errors
    /// None for a restorer that could be built.
    pub fn units(&self, height: usize, width: usize) -> Result<u64> {
        let (_, tiles) = self.tiles(height as i64, width as i64, self.kind);
        Ok(tiles.len() as u64 * self.denoiser_calls()? as u64)
    }

    /// Restores a photo `[3, H, W]`, sRGB in [0, 1], of any size from one pixel on. Grey photos have three equal planes.
    ///
    /// The result depends on the photo, the model, the mode, the sampler, the steps and the seed; not on tiles, the number of
    /// threads, or how many other samples are drawn. `progress` is called after every tile, and while guidance is
    /// computed; returning [`ControlFlow::Break`] ends the restoration.
    ///
    /// If the network's output is not finite in bfloat16, the photo is restored again in float32, with a note.
    ///
    /// # Errors
    /// An array that is no photo, [`Error::NotFinite`], [`Error::OutOfMemory`], [`Error::Cancelled`], or a failure of libtorch.
    pub fn restore(
        &self,
        photo: ArrayView3<'_, f32>,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Restoration> {
        let start = Instant::now();
        let _no_grad = tch::no_grad_guard();
        let mut notes = Vec::new();
        let mut kind = self.kind;
        let mut outcome = self.attempt(photo, kind, progress);
        if let (Err(Error::NotFinite { .. }), Kind::BFloat16) = (&outcome, kind) {
            kind = Kind::Float;
            notes.push(
                "the network's output was not finite in bfloat16: restored in float32".to_owned(),
            );
            outcome = self.attempt(photo, kind, progress);
        }
        let outcome = outcome?;
        Ok(Restoration {
            image: outcome.image,
            spread: outcome.spread,
            guidance: outcome.guidance,
            notes,
            denoiser_calls: self.denoiser_calls()?,
            tiles: outcome.tiles,
            network_calls: outcome.network_calls,
            precision: kind_name(kind),
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Pixels that the network computes per pixel of a photo of this size when it is cut into squares of `tile` pixels: 1 for a single
    /// tile, and the more the smaller the tiles, because each is computed with a halo of the network's receptive field.
    pub fn overhead(&self, height: usize, width: usize, tile: u32) -> f64 {
        self.layout(height as i64, width as i64)
            .overhead(i64::from(tile))
    }

    fn layout(&self, height: i64, width: i64) -> Layout {
        let config = self.config();
        Layout::new(
            height,
            width,
            config.receptive_field(),
            config.size_multiple(),
        )
    }

    fn tiles(&self, height: i64, width: i64, kind: Kind) -> (Layout, Vec<Tile>) {
        let config = self.config();
        let layout = self.layout(height, width);
        let (tile_height, tile_width) = match self.options.tile {
            TileChoice::Off => (layout.height, layout.width),
            TileChoice::Size(size) => (i64::from(size), i64::from(size)),
            TileChoice::Auto => {
                let pixels = layout.height * layout.width;
                layout.fit(memory::tile_pixels(
                    self.memory_limit,
                    config,
                    &self.options,
                    self.device,
                    kind,
                    pixels,
                ))
            }
        };
        (layout, layout.cut(tile_height, tile_width))
    }

    fn attempt(
        &self,
        photo: ArrayView3<'_, f32>,
        kind: Kind,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Outcome> {
        let network = &self.model.network;
        let (height, width) = (photo.dim().1 as i64, photo.dim().2 as i64);
        let multiple = self.config().size_multiple();
        memory::check(
            self.config(),
            &self.options,
            self.device,
            kind,
            round_up(height, multiple).saturating_mul(round_up(width, multiple)),
        )?;
        let blurry = pad_to_multiple(
            &pixels::to_tensor(photo, self.device)?,
            self.config().size_multiple(),
        )?;
        let (_, tiles) = self.tiles(height, width, kind);
        tracing::debug!("{width}x{height} pixels in {} tile(s)", tiles.len());
        let reporter = Reporter::new(progress, tiles.len() as u64 * self.denoiser_calls()? as u64);
        let denoiser = TiledDenoiser::new(network, &blurry, tiles, kind, &reporter)?;
        let guidance = if self.options.guidance {
            self.guidance(&denoiser, height, width)?
        } else {
            Vec::new()
        };

        let finish = |target: Tensor| -> Result<Tensor> {
            let image = network.target_to_image(&target, &blurry)?;
            drop(target);
            pixels::to_unit_range(crop_to(&image, height, width)?)
        };
        let mut image = None;
        if self.options.mode == Mode::Mean {
            let sigmas = self.sigmas(1)?;
            image = Some(pixels::to_image(&finish(
                self.draw(&denoiser, &Euler, &sigmas, &blurry, 0)?,
            )?)?);
        }
        let mut spread = RunningSpread::default();
        let sampler = self.options.sampler.build()?;
        for sample in 0..self.options.drawn_samples() {
            let sigmas = self.sigmas(self.options.steps)?;
            let drawn =
                finish(self.draw(&denoiser, sampler.as_ref(), &sigmas, &blurry, sample)?)?;
            if self.options.mode == Mode::Sample && sample == 0 {
                image = Some(pixels::to_image(&drawn)?);
            }
            if self.options.drawn_samples() > 1 || self.options.mode == Mode::Average {
                spread.add(&drawn)?;
            }
        }
        if let (Mode::Average, Some(mean)) = (self.options.mode, spread.mean()) {
            image = Some(pixels::to_image(mean)?);
        }
        let std = if self.options.uncertainty {
            spread.std()?
        } else {
            None
        };
        Ok(Outcome {
            image: image.ok_or_else(|| Error::Shape {
                shape: photo.shape().to_vec(),
            })?,
            spread: std.as_ref().map(pixels::to_plane).transpose()?,
            guidance,
            tiles: denoiser.tiles(),
            network_calls: reporter.done(),
        })
    }

    fn sigmas(&self, steps: usize) -> Result<Sigmas> {
        let config = self.config();
        Ok(Sigmas::karras(
            steps,
            config.sigma_min,
            config.sigma_max,
            RHO,
        )?)
    }

    /// One walk from noise to a target, like `blurry` in shape. The noise is that of `sample` in absolute image coordinates.
    fn draw(
        &self,
        denoiser: &TiledDenoiser<'_>,
        sampler: &dyn Sampler,
        sigmas: &Sigmas,
        blurry: &Tensor,
        sample: u32,
    ) -> Result<Tensor> {
        let size = blurry.size();
        let shape = [
            1,
            3,
            size.get(2).copied().unwrap_or(0),
            size.get(3).copied().unwrap_or(0),
        ];
        let mut noise = CounterNoise::new(self.options.seed, [sample], self.device);
        let start = initial_noise(&mut noise, shape, sigmas)?;
        Ok(sampler.sample(
            denoiser,
            start,
            sigmas,
            &mut noise,
            &mut sampler::unobserved,
        )?)
    }

    fn guidance(
        &self,
        denoiser: &TiledDenoiser<'_>,
        height: i64,
        width: i64,
    ) -> Result<Vec<Array2<f32>>> {
        denoiser
            .predictions()?
            .iter()
            .enumerate()
            .map(|(index, prediction)| {
                let cell = 2 << index;
                let mut cropped = crop_to(
                    prediction,
                    round_up(height, cell) / cell,
                    round_up(width, cell) / cell,
                )?;
                if self.config().guidance_input == GuidanceInput::Color {
                    cropped = gray(&cropped)?;
                }
                pixels::to_plane(&pixels::to_unit_range(cropped.f_to_kind(Kind::Float)?)?)
            })
            .collect()
    }
}
