//! Classical deconvolution with the true kernel: what one could do at most without learning, if the blur were known.
//!
//! Both methods are oracles. They are told the kernel, the camera's response and the level of the noise, which no program has
//! for a real photo. They work in linear light, where blur is a convolution, and return to encoded values at the end. Their
//! settings depend on the noise alone and were chosen on the part `tune` of `free-photos-train` (`--classical-table` prints
//! the table again), never on photos for tests.

mod fourier;
mod noise;
mod richardson_lucy;
mod table;
#[cfg(test)]
mod tests;
mod wiener;

use anyhow::{Context, Result};
use blur_synth::{Degradation, Kernel};
use ndarray::{Array2, Array3, ArrayView3, Axis, s};

pub(crate) use table::table;

/// A sample this close to white is clipped: half a step of 8 bits.
const WHITE: f32 = 1.0 - 0.5 / 255.0;
/// Iterations of Richardson-Lucy are `ITERATIONS_FACTOR / sqrt(variance)`, within `ITERATIONS_RANGE`: more would raise noise.
const ITERATIONS_FACTOR: f64 = 0.2;
const ITERATIONS_RANGE: [f64; 2] = [4.0, 150.0];
/// The balance of Wiener is `BALANCE_FACTOR * variance`.
const BALANCE_FACTOR: f64 = 1000.0;

/// A method that is told the true kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Classical {
    /// Richardson (1972), Lucy (1974): the most likely light under photon noise, stopped early.
    RichardsonLucy,
    /// Wiener's filter with a Laplacian as the inverse of the signal's power (Hunt 1973).
    Wiener,
}

/// How strongly a method trusts the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Setting {
    /// Iterations of Richardson-Lucy.
    Iterations(u32),
    /// Weight of the Laplacian in Wiener's filter.
    Balance(f64),
}

impl Classical {
    pub(crate) const ALL: [Self; 2] = [Self::RichardsonLucy, Self::Wiener];

    /// Name in tables, folders and files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RichardsonLucy => "richardson-lucy",
            Self::Wiener => "wiener",
        }
    }

    /// What it is and how its settings come about, for the report.
    pub(crate) fn description(self) -> String {
        match self {
            Self::RichardsonLucy => format!(
                "Richardson-Lucy with the true kernel, in linear light; pixels beyond the border are unknowns, clipped pixels may be \
                 brighter than white; as many iterations as {ITERATIONS_FACTOR} / standard deviation of the noise, {} to {}",
                ITERATIONS_RANGE[0], ITERATIONS_RANGE[1]
            ),
            Self::Wiener => format!(
                "Wiener with the true kernel and a Laplacian prior, in linear light; pixels beyond the border are unknowns; \
                 balance {BALANCE_FACTOR} x variance of the noise, at least {}",
                wiener::BALANCE_MINIMUM
            ),
        }
    }

    /// Restores a picture whose degradation is known; `None` when its blur is not one kernel.
    ///
    /// `blurry` is `[3, H, W]` in `[0, 1]`, encoded by the response of the degradation; so is the result.
    ///
    /// # Errors
    /// A degradation that is not sound, or a picture without pixels.
    pub(crate) fn restore(
        self,
        blurry: ArrayView3<'_, f32>,
        degradation: &Degradation,
    ) -> Result<Option<Array3<f32>>> {
        if !degradation.blur.family().is_uniform() {
            return Ok(None);
        }
        let variance = noise::variance(blurry, degradation);
        self.restore_with(self.setting(variance), blurry, degradation)
            .map(Some)
    }

    fn setting(self, variance: f64) -> Setting {
        match self {
            Self::RichardsonLucy => {
                let [fewest, most] = ITERATIONS_RANGE;
                let wanted = ITERATIONS_FACTOR / variance.sqrt();
                Setting::Iterations(wanted.clamp(fewest, most).round() as u32)
            }
            Self::Wiener => Setting::Balance(BALANCE_FACTOR * variance),
        }
    }

    fn restore_with(
        self,
        setting: Setting,
        blurry: ArrayView3<'_, f32>,
        degradation: &Degradation,
    ) -> Result<Array3<f32>> {
        anyhow::ensure!(!blurry.is_empty(), "a picture without pixels");
        let kernel = degradation.blur.kernel()?;
        let light = decoded(blurry, degradation)?;
        let restored = match setting {
            Setting::Iterations(iterations) => lucy(&light, blurry, &kernel, &[iterations])?,
            Setting::Balance(balance) => vec![wiener_of(&light, &kernel, balance)?],
        };
        let restored = restored.into_iter().next().context("no iterations")?;
        encoded(restored, degradation)
    }
}

/// Linear light of encoded samples.
fn decoded(encoded: ArrayView3<'_, f32>, degradation: &Degradation) -> Result<Array3<f32>> {
    let mut light = encoded.as_standard_layout().into_owned();
    let samples = light.as_slice_mut().context("not in standard layout")?;
    degradation.response.decode(samples);
    Ok(light)
}

fn encoded(mut light: Array3<f32>, degradation: &Degradation) -> Result<Array3<f32>> {
    let samples = light.as_slice_mut().context("not in standard layout")?;
    degradation.response.encode(samples);
    Ok(light)
}

/// The estimate after each of these numbers of iterations, which must grow.
fn lucy(
    light: &Array3<f32>,
    encoded: ArrayView3<'_, f32>,
    kernel: &Kernel,
    counts: &[u32],
) -> Result<Vec<Array3<f32>>> {
    let radius = kernel.radius();
    let (_, height, width) = light.dim();
    let (rows, columns) = (radius..radius + height, radius..radius + width);
    let is_clipped = encoded.mapv(|value| value >= WHITE);
    let mut estimate = mirrored(light.view(), radius);
    let mut done = 0;
    let mut restored = Vec::new();
    for &count in counts {
        estimate = richardson_lucy::richardson_lucy(
            light.view(),
            Some(is_clipped.view()),
            kernel,
            count.saturating_sub(done),
            estimate,
        )?;
        done = count;
        let inside = estimate.slice(s![.., rows.clone(), columns.clone()]);
        restored.push(inside.as_standard_layout().into_owned());
    }
    Ok(restored)
}

fn wiener_of(light: &Array3<f32>, kernel: &Kernel, balance: f64) -> Result<Array3<f32>> {
    let taps = kernel.taps().mapv(f64::from);
    let mut restored = Array3::zeros(light.dim());
    for (plane, mut out) in light.outer_iter().zip(restored.axis_iter_mut(Axis(0))) {
        let plane: Array2<f64> = plane.mapv(f64::from);
        out.assign(&wiener::with_borders(&plane, &taps, balance)?.mapv(|value| value as f32));
    }
    Ok(restored)
}

/// The image with `margin` more pixels on each side, mirrored at the border pixel.
fn mirrored(image: ArrayView3<'_, f32>, margin: usize) -> Array3<f32> {
    let (channels, height, width) = image.dim();
    let shape = (channels, height + 2 * margin, width + 2 * margin);
    Array3::from_shape_fn(shape, |(channel, row, column)| {
        image[[
            channel,
            mirror(row, margin, height),
            mirror(column, margin, width),
        ]]
    })
}

/// The index `shifted - margin` folded back into `0..size`, as often as needed; the border itself is not repeated.
fn mirror(shifted: usize, margin: usize, size: usize) -> usize {
    let period = (2 * (size - 1)).max(1);
    let index = (shifted as isize - margin as isize).rem_euclid(period as isize) as usize;
    if index < size { index } else { period - index }
}
