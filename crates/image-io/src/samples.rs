//! Between the interleaved integers of a file and the planes of `f32` in memory.

use std::path::Path;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3};
use rayon::prelude::*;

use crate::error::{Error, Result};

/// Pixels that one task converts: large enough to be worth a task, small enough to spread a photo over all cores.
const PIXELS_PER_TASK: usize = 1 << 16;

/// An integer or float that a file stores for one channel of one pixel.
pub(crate) trait Sample: bytemuck::Pod + Default + Send + Sync {
    /// To the range `[0, 1]`.
    fn to_unit(self) -> f32;
    /// `round_half_up(clamp(value, 0, 1) * max)`; in f64, where product and sum are exact.
    fn from_unit(value: f32) -> Self;
}

impl Sample for u8 {
    fn to_unit(self) -> f32 {
        f32::from(self) / 255.0
    }

    fn from_unit(value: f32) -> Self {
        (f64::from(value).clamp(0.0, 1.0) * 255.0 + 0.5) as Self
    }
}

impl Sample for u16 {
    fn to_unit(self) -> f32 {
        f32::from(self) / 65_535.0
    }

    fn from_unit(value: f32) -> Self {
        (f64::from(value).clamp(0.0, 1.0) * 65_535.0 + 0.5) as Self
    }
}

impl Sample for f32 {
    fn to_unit(self) -> f32 {
        self
    }

    fn from_unit(value: f32) -> Self {
        value.clamp(0.0, 1.0)
    }
}

/// Pixels `[3, H, W]` and alpha `[H, W]`.
pub(crate) type Planes = (Array3<f32>, Option<Array2<f32>>);

/// Where the values of one channel lie among the samples.
#[derive(Clone, Copy)]
pub(crate) struct Channel {
    pub(crate) start: usize,
    pub(crate) step: usize,
}

impl Channel {
    /// Colour and alpha of interleaved samples: 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA) channels.
    pub(crate) fn interleaved(channels: usize) -> ([Self; 3], Option<Self>) {
        let channel = |start| Self {
            start,
            step: channels,
        };
        let color = if channels >= 3 { [0, 1, 2] } else { [0; 3] };
        let alpha = channels.is_multiple_of(2).then(|| channel(channels - 1));
        (color.map(channel), alpha)
    }
}

/// Planes of `(height, width)` from samples. `None` if there are too few samples, or no memory.
pub(crate) fn to_planes<S: Sample>(
    samples: &[S],
    (height, width): (usize, usize),
    color: [Channel; 3],
    alpha: Option<Channel>,
) -> Option<Planes> {
    let count = height.checked_mul(width)?;
    let mut pixels = reserve(count.checked_mul(3)?)?;
    for channel in color {
        append_plane(&mut pixels, samples, count, channel)?;
    }
    let pixels = Array3::from_shape_vec((3, height, width), pixels).ok()?;
    let alpha = match alpha {
        Some(channel) => Some(to_plane(samples, (height, width), channel)?),
        None => None,
    };
    Some((pixels, alpha))
}

/// One plane of [`to_planes`].
pub(crate) fn to_plane<S: Sample>(
    samples: &[S],
    (height, width): (usize, usize),
    channel: Channel,
) -> Option<Array2<f32>> {
    let count = height.checked_mul(width)?;
    let mut plane = reserve(count)?;
    append_plane(&mut plane, samples, count, channel)?;
    Array2::from_shape_vec((height, width), plane).ok()
}

/// An empty vector with room for `count` values, or `None` where the machine has no such memory.
fn reserve(count: usize) -> Option<Vec<f32>> {
    let mut values = Vec::new();
    values.try_reserve_exact(count).ok()?;
    Some(values)
}

/// Appends the `count` values of one channel to `plane`.
fn append_plane<S: Sample>(
    plane: &mut Vec<f32>,
    samples: &[S],
    count: usize,
    channel: Channel,
) -> Option<()> {
    let samples = samples.get(channel.start..)?;
    if samples.len() <= count.checked_sub(1)?.checked_mul(channel.step)? {
        return None;
    }
    let start = plane.len();
    plane.resize(start + count, 0.0);
    plane[start..]
        .par_chunks_mut(PIXELS_PER_TASK)
        .zip(samples.par_chunks(PIXELS_PER_TASK * channel.step))
        .for_each(|(out, input)| {
            for (value, sample) in out.iter_mut().zip(input.iter().step_by(channel.step)) {
                *value = sample.to_unit();
            }
        });
    Some(())
}

/// `[H, W, channels]` samples from planes: `colors` (1 or 3) channels, then alpha where there is one. A `gray` photo has
/// equal channels, whether 1 or 3.
///
/// Grey is the common value of the three planes where they agree, else their BT.601 luma.
/// The planes must have been checked with [`check_finite`] and agree in size.
pub(crate) fn from_planes<S: Sample>(
    pixels: ArrayView3<'_, f32>,
    alpha: Option<ArrayView2<'_, f32>>,
    gray: bool,
    colors: usize,
) -> Vec<S> {
    let pixels = pixels.as_standard_layout();
    let alpha = alpha.as_ref().map(|alpha| alpha.as_standard_layout());
    let (_, height, width) = pixels.dim();
    let count = height * width;
    let values = pixels.as_slice().unwrap_or_default();
    let alpha = alpha.as_ref().and_then(|alpha| alpha.as_slice());
    let channels = colors + usize::from(alpha.is_some());
    let mut samples = vec![S::default(); count * channels];
    samples
        .par_chunks_mut(PIXELS_PER_TASK * channels)
        .enumerate()
        .for_each(|(task, out)| {
            let start = task * PIXELS_PER_TASK;
            for (offset, pixel) in out.chunks_exact_mut(channels).enumerate() {
                let at = start + offset;
                let mut rgb = [values[at], values[count + at], values[2 * count + at]];
                if gray {
                    rgb = [gray_value(rgb); 3];
                }
                for (sample, value) in pixel[..colors].iter_mut().zip(rgb) {
                    *sample = S::from_unit(value);
                }
                if let Some(alpha) = alpha {
                    pixel[colors] = S::from_unit(alpha[at]);
                }
            }
        });
    samples
}

/// ITU-R BT.601 luma, or the value itself where all three agree (the weighted sum would round).
fn gray_value([red, green, blue]: [f32; 3]) -> f32 {
    if red == green && green == blue {
        red
    } else {
        0.299 * red + 0.587 * green + 0.114 * blue
    }
}

/// Turns premultiplied colours into plain ones; where alpha is 0 there is no colour to recover, and 0 stays.
pub(crate) fn divide_by_alpha(pixels: &mut Array3<f32>, alpha: &Array2<f32>) {
    for mut plane in pixels.outer_iter_mut() {
        ndarray::Zip::from(&mut plane)
            .and(alpha)
            .par_for_each(|value, alpha| {
                if *alpha > 0.0 {
                    *value = (*value / *alpha).min(1.0);
                }
            });
    }
}

/// The first value that is NaN or infinite, as an error that says where.
pub(crate) fn check_finite(
    path: &Path,
    pixels: &Array3<f32>,
    alpha: Option<&Array2<f32>>,
) -> Result<()> {
    let not_finite = |plane: &'static str, view: ArrayView2<'_, f32>| {
        let found = ndarray::Zip::indexed(view)
            .into_par_iter()
            .find_first(|(_, value)| !value.is_finite());
        match found {
            None => Ok(()),
            Some(((y, x), _)) => Err(Error::NonFinite {
                path: path.to_owned(),
                plane,
                x,
                y,
            }),
        }
    };
    for (plane, name) in pixels.outer_iter().zip(["red", "green", "blue"]) {
        not_finite(name, plane)?;
    }
    alpha.map_or(Ok(()), |alpha| not_finite("alpha", alpha.view()))
}
