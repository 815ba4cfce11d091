//! One exact degradation of a sharp image.

use ndarray::{Array3, ArrayView3, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::blur::Blur;
use crate::convolve::PARALLEL_SAMPLES;
use crate::error::{Error, Problem, Result, all_or_nothing, samples_mut};
use crate::kernel::{Kernel, check_size};
use crate::random::SplitMix64;
use crate::response::Response;

/// Version of [`Degradation`] that this crate reads and writes.
pub const DEGRADATION_SCHEMA_VERSION: u32 = 1;

/// Everything needed to make the same degraded bytes again:
/// `y = Q(CRF(k * CRF^-1(x) + n))`, where `CRF` is the camera response, `*` convolution in linear light,
/// `n ~ N(0, shot_noise * light + read_noise^2)` independent in every sample, and `Q` the quantisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Degradation {
    /// Must be [`DEGRADATION_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The blur.
    pub blur: Blur,
    /// Camera response of the image.
    pub response: Response,
    /// Variance of the noise per unit of linear light (photon noise); at least 0.
    pub shot_noise: f32,
    /// Standard deviation of the noise without light, in units of linear light; at least 0.
    pub read_noise: f32,
    /// Bits per sample of the result, 1 to 16; not quantised when absent.
    #[serde(default)]
    pub quantise_bits: Option<u8>,
    /// Seed of the noise.
    pub seed: u64,
}

impl Degradation {
    /// A blur alone: sRGB, no noise, no quantisation.
    #[must_use]
    pub fn noiseless(blur: Blur) -> Self {
        Self {
            schema_version: DEGRADATION_SCHEMA_VERSION,
            blur,
            response: Response::Srgb,
            shot_noise: 0.0,
            read_noise: 0.0,
            quantise_bits: None,
            seed: 0,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::InvalidParameters`] with all problems at once.
    pub fn validate(&self) -> Result<()> {
        let mut problems = Vec::new();
        if self.schema_version != DEGRADATION_SCHEMA_VERSION {
            problems.push(Problem::new("schema_version", self.schema_version, "1"));
        }
        problems.extend(self.blur.problems());
        check_response(self.response, &mut problems);
        for (field, value) in [
            ("shot_noise", self.shot_noise),
            ("read_noise", self.read_noise),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                problems.push(Problem::new(field, value, "finite and at least 0"));
            }
        }
        check_quantise_bits(self.quantise_bits, &mut problems);
        all_or_nothing(problems)
    }

    /// Real pixels needed around each output pixel: the radius of the kernel.
    ///
    /// # Errors
    /// Invalid parameters or a kernel beyond the size limit.
    pub fn margin(&self) -> Result<usize> {
        self.validate()?;
        Ok(self.blur.kernel()?.radius())
    }

    /// Degrades a whole image; beyond its border the image is mirrored (the border pixel itself not repeated).
    ///
    /// # Shapes
    /// `sharp` is `[C, H, W]`, encoded by [`Self::response`], in `[0, 1]` (values outside are clamped); so is the
    /// result, in the same size.
    ///
    /// # Errors
    /// Invalid parameters, non-finite pixels, or an image whose height or width does not exceed the kernel radius.
    pub fn apply(&self, sharp: ArrayView3<'_, f32>) -> Result<Array3<f32>> {
        self.validate()?;
        let kernel = self.blur.kernel()?;
        let margin = kernel.radius();
        let (channels, height, width) = sharp.dim();
        check_size(height, width, margin, margin + 1)?;
        let linear = self.linear(sharp, 0)?;
        let mut padded = Array3::zeros((channels, height + 2 * margin, width + 2 * margin));
        for (source, mut target) in linear.outer_iter().zip(padded.outer_iter_mut()) {
            for (row, mut target) in target.outer_iter_mut().enumerate() {
                let source = source.index_axis(Axis(0), mirrored(row, margin, height));
                target.slice_mut(s![margin..margin + width]).assign(&source);
                for column in (0..margin).chain(margin + width..width + 2 * margin) {
                    target[column] = source[mirrored(column, margin, width)];
                }
            }
        }
        self.finish(&kernel, padded.view(), 0)
    }

    /// Degrades a patch that brings `margin` real pixels on each side, so that no border is invented.
    ///
    /// The result equals [`Self::apply`] on the same array, without its outer `margin` pixels, to the bit.
    ///
    /// # Shapes
    /// `sharp_with_margin` is `[C, H, W]`, encoded by [`Self::response`], in `[0, 1]` (values outside are clamped); the
    /// result `[C, H - 2 * margin, W - 2 * margin]`.
    ///
    /// # Errors
    /// Invalid parameters, non-finite pixels within [`Self::margin`] of the result, a margin below it, or an image with
    /// no pixel inside.
    pub fn apply_valid(
        &self,
        sharp_with_margin: ArrayView3<'_, f32>,
        margin: usize,
    ) -> Result<Array3<f32>> {
        self.validate()?;
        let kernel = self.blur.kernel()?;
        let radius = kernel.radius();
        if margin < radius {
            return Err(Error::MarginTooSmall {
                got: margin,
                needed: radius,
            });
        }
        let (_, height, width) = sharp_with_margin.dim();
        check_size(
            height,
            width,
            margin,
            margin.saturating_mul(2).saturating_add(1),
        )?;
        let spare = margin - radius;
        let needed = sharp_with_margin.slice(s![.., spare..height - spare, spare..width - spare]);
        self.finish(&kernel, self.linear(needed, spare)?.view(), margin)
    }

    /// Linear light in standard layout. `origin` is the row and column of the first sample in the caller's array.
    fn linear(&self, encoded: ArrayView3<'_, f32>, origin: usize) -> Result<Array3<f32>> {
        let mut linear = encoded.as_standard_layout().into_owned();
        let width = linear.len_of(Axis(2)).max(1);
        let decode = |row: &mut [f32]| {
            let finite = row.iter().all(|value| value.is_finite());
            self.response.decode(row);
            finite
        };
        let values = samples_mut(linear.as_slice_mut())?;
        let finite = if values.len() >= PARALLEL_SAMPLES {
            values
                .par_chunks_mut(width)
                .map(decode)
                .reduce(|| true, |left, right| left & right)
        } else {
            values
                .chunks_mut(width)
                .map(decode)
                .fold(true, |left, right| left & right)
        };
        if !finite {
            let place = encoded.indexed_iter().find(|(_, value)| !value.is_finite());
            if let Some(((channel, row, column), _)) = place {
                return Err(Error::NonFinitePixel {
                    channel,
                    row: row + origin,
                    column: column + origin,
                });
            }
        }
        Ok(linear)
    }

    /// Convolution, noise, response and quantisation. `origin` is the row and column, in the array that the caller
    /// handed in, of the first output pixel: noise belongs to a place in the image.
    fn finish(
        &self,
        kernel: &Kernel,
        linear: ArrayView3<'_, f32>,
        origin: usize,
    ) -> Result<Array3<f32>> {
        let mut out = kernel.convolve_valid(linear)?;
        let (_, height, width) = out.dim();
        let noise = SplitMix64::keyed(self.seed, "sensor noise");
        let levels = self.quantise_bits.map(|bits| ((1_u32 << bits) - 1) as f32);
        let finish_row = |(index, row): (usize, &mut [f32])| {
            if self.shot_noise > 0.0 || self.read_noise > 0.0 {
                let (channel, place) = (index / height, index % height + origin);
                let mut random = noise
                    .fork(((channel as u64) << 32) | place as u64)
                    .skip(origin as u64);
                let read_variance = self.read_noise * self.read_noise;
                for value in row.iter_mut() {
                    let deviation = (self.shot_noise * *value + read_variance).sqrt();
                    *value += deviation * random.normal() as f32;
                }
            }
            self.response.encode(row);
            if let Some(levels) = levels {
                for value in row {
                    // Never negative here, so that truncation after adding one half rounds.
                    *value = (*value * levels + 0.5) as u32 as f32 / levels;
                }
            }
        };
        let values = samples_mut(out.as_slice_mut())?;
        if values.len() >= PARALLEL_SAMPLES {
            values
                .par_chunks_mut(width)
                .enumerate()
                .for_each(finish_row);
        } else {
            values.chunks_mut(width).enumerate().for_each(finish_row);
        }
        Ok(out)
    }
}

/// Index inside `0..size` that mirrors `index - margin`; needs `margin < size`.
fn mirrored(index: usize, margin: usize, size: usize) -> usize {
    if index < margin {
        margin - index
    } else if index - margin < size {
        index - margin
    } else {
        2 * (size - 1) - (index - margin)
    }
}

pub(crate) fn check_response(response: Response, problems: &mut Vec<Problem>) {
    if let Response::Gamma { gamma } = response
        && !(gamma.is_finite() && gamma > 0.0)
    {
        problems.push(Problem::new("gamma", gamma, "finite and greater than 0"));
    }
}

pub(crate) fn check_quantise_bits(bits: Option<u8>, problems: &mut Vec<Problem>) {
    if let Some(bits) = bits
        && !(1..=16).contains(&bits)
    {
        problems.push(Problem::new("quantise_bits", bits, "between 1 and 16"));
    }
}
