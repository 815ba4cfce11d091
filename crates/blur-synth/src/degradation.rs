//! One exact degradation of a sharp image.

use ndarray::{Array3, ArrayView3, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::blur::Blur;
use crate::convolve::PARALLEL_SAMPLES;
use crate::error::{Error, Problem, Result, all_or_nothing, samples_mut};
use crate::highlights::Highlights;
use crate::jpeg::Jpeg;
use crate::kernel::check_size;
use crate::plan::Plan;
use crate::planes::padded;
use crate::random::SplitMix64;
use crate::response::Response;

/// Version of [`Degradation`] that this crate reads and writes.
pub const DEGRADATION_SCHEMA_VERSION: u32 = 1;

/// Everything needed to make the same degraded bytes again:
/// `y = Q(J(CRF(B(H(CRF^-1(x))) + n)))`, where `CRF` is the camera response, `H` the expansion of highlights, `B` the blur
/// in linear light (for most families a convolution), `n ~ N(0, shot_noise * light + read_noise^2)` independent in every
/// sample, `J` JPEG compression, and `Q` the quantisation.
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
    /// Light beyond white in the sharp picture; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highlights: Option<Highlights>,
    /// JPEG compression of the result, which then has 8 bits; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jpeg: Option<Jpeg>,
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
            highlights: None,
            jpeg: None,
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
        problems.extend(
            self.highlights
                .map(Highlights::problems)
                .unwrap_or_default(),
        );
        problems.extend(self.jpeg.map(Jpeg::problems).unwrap_or_default());
        all_or_nothing(problems)
    }

    /// Real pixels needed around each output pixel: the radius of the kernel, or how far the blur reaches.
    ///
    /// # Errors
    /// Invalid parameters or a kernel beyond the size limit.
    pub fn margin(&self) -> Result<usize> {
        self.validate()?;
        match self.blur {
            Blur::FrameAverage { .. } => Ok(0),
            ref blur => Ok(Plan::new(blur)?.margin()),
        }
    }

    /// Degrades a whole image; beyond its border the image is mirrored (the border pixel itself not repeated).
    ///
    /// # Shapes
    /// `sharp` is `[C, H, W]`, encoded by [`Self::response`], in `[0, 1]` (values outside are clamped); so is the
    /// result, in the same size.
    ///
    /// # Errors
    /// Invalid parameters, non-finite pixels, an image whose height or width does not exceed [`Self::margin`], or a blur
    /// made from several frames.
    pub fn apply(&self, sharp: ArrayView3<'_, f32>) -> Result<Array3<f32>> {
        self.validate()?;
        let plan = Plan::new(&self.blur)?;
        let (_, height, width) = sharp.dim();
        check_size(height, width, plan.margin(), plan.margin() + 1)?;
        let light = self.light(sharp, 0)?;
        let blurred = match &plan {
            Plan::Kernel(kernel) => {
                kernel.convolve_valid(padded(light.view(), kernel.radius())?.view())?
            }
            _ => plan.varying(&self.blur, light.view(), 0)?,
        };
        self.finish(blurred, 0)
    }

    /// Averages successive frames of a film in linear light, as a slow shutter would.
    ///
    /// # Shapes
    /// Each frame is `[C, H, W]`, encoded by [`Self::response`], in `[0, 1]`; so is the result. The sharp picture that
    /// belongs to it is the frame in the middle.
    ///
    /// # Errors
    /// Invalid parameters, a blur that is no frame average, a wrong number of frames, frames of different size, or
    /// non-finite pixels.
    pub fn apply_frames(&self, frames: &[ArrayView3<'_, f32>]) -> Result<Array3<f32>> {
        self.validate()?;
        let needed = match self.blur {
            Blur::FrameAverage { frames } => frames as usize,
            _ => 1,
        };
        let wrong = Error::WrongNumberOfFrames {
            family: self.blur.family(),
            needed,
            got: frames.len(),
        };
        let Some((first, rest)) = frames.split_first() else {
            return Err(wrong);
        };
        if needed == 1 || frames.len() != needed {
            return Err(wrong);
        }
        let mut sum = self.light(*first, 0)?;
        for (index, frame) in rest.iter().enumerate() {
            if frame.dim() != first.dim() {
                return Err(Error::FrameShape {
                    index: index + 1,
                    expected: first.dim(),
                    got: frame.dim(),
                });
            }
            sum += &self.light(*frame, 0)?;
        }
        sum /= needed as f32;
        self.finish(sum, 0)
    }

    /// Degrades a patch that brings `margin` real pixels on each side, so that no border is invented.
    ///
    /// The result equals [`Self::apply`] on the same array, without its outer `margin` pixels. Two things differ: JPEG
    /// counts its blocks from the first pixel of the result, and a large kernel on a large image is worked out in other
    /// tiles (see the README).
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
        let plan = Plan::new(&self.blur)?;
        let needed = plan.margin();
        if margin < needed {
            return Err(Error::MarginTooSmall {
                got: margin,
                needed,
            });
        }
        let (_, height, width) = sharp_with_margin.dim();
        check_size(
            height,
            width,
            margin,
            margin.saturating_mul(2).saturating_add(1),
        )?;
        let blurred = match &plan {
            Plan::Kernel(kernel) => {
                let spare = margin - needed;
                let (rows, columns) = (spare..height - spare, spare..width - spare);
                let sharp = sharp_with_margin.slice(s![.., rows, columns]);
                kernel.convolve_valid(self.light(sharp, spare)?.view())?
            }
            _ => plan.varying(&self.blur, self.light(sharp_with_margin, 0)?.view(), margin)?,
        };
        self.finish(blurred, margin)
    }

    /// Linear light in standard layout, highlights expanded. `origin` is the row and column of the first sample in the caller's array.
    fn light(&self, encoded: ArrayView3<'_, f32>, origin: usize) -> Result<Array3<f32>> {
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
        if let Some(highlights) = self.highlights {
            highlights.expand(&mut linear);
        }
        Ok(linear)
    }

    /// Noise, response, compression and quantisation. `origin` is the row and column, in the array that the caller
    /// handed in, of the first output pixel: noise belongs to a place in the image.
    fn finish(&self, mut out: Array3<f32>, origin: usize) -> Result<Array3<f32>> {
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
            if let Some(levels) = levels
                && self.jpeg.is_none()
            {
                quantise(row, levels);
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
        if let Some(jpeg) = self.jpeg {
            out = jpeg.apply(&out)?;
            if let Some(levels) = levels {
                quantise(samples_mut(out.as_slice_mut())?, levels);
            }
        }
        Ok(out)
    }

    /// The sharp picture that belongs to the degraded one: the input itself, or, with [`Self::highlights`], what the
    /// camera would have stored of the expanded light.
    ///
    /// # Errors
    /// Invalid parameters or non-finite pixels.
    pub fn target(&self, sharp: ArrayView3<'_, f32>) -> Result<Array3<f32>> {
        self.validate()?;
        if self.highlights.is_none() {
            return Ok(sharp.to_owned());
        }
        let mut light = self.light(sharp, 0)?;
        let values = samples_mut(light.as_slice_mut())?;
        self.response.encode(values);
        if let Some(bits) = self.quantise_bits {
            quantise(values, ((1_u32 << bits) - 1) as f32);
        }
        Ok(light)
    }
}

/// Rounds samples in `[0, 1]` to `levels` steps.
fn quantise(values: &mut [f32], levels: f32) {
    for value in values {
        // Never negative here, so that truncation after adding one half rounds.
        *value = (*value * levels + 0.5) as u32 as f32 / levels;
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
