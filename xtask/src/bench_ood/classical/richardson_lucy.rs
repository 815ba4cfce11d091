//! The algorithm of Richardson and Lucy, for a window of a larger scene.

use anyhow::Result;
use blur_synth::Kernel;
use ndarray::{Array3, ArrayView3, Zip, s};

/// Keeps divisions finite where no light is predicted; the same as in scikit-image.
const TINY: f32 = 1e-12;
/// Pixels that the picture has seen less than this share of are left as they were: dividing by it would only raise noise.
const LEAST_SEEN: f32 = 0.01;

/// Richardson (1972) and Lucy (1974) with pixels beyond the border as unknowns (Bertero & Boccacci 2005):
/// `x <- x / (K^T 1) * K^T(y / (K x))`, where `K` keeps only the pixels of the picture.
///
/// Where a sample is clipped, it says only that there was at least as much light: the ratio there is 1 when the prediction is
/// brighter (after Whyte et al. 2014).
///
/// # Shapes
/// `observed` is `[C, H, W]` in linear light, at least 0, and `is_clipped` as large; `start` is the first guess,
/// `[C, H + 2 * radius, W + 2 * radius]`, greater than 0 where light may be found; so is the result.
///
/// # Errors
/// Shapes that do not fit.
pub(super) fn richardson_lucy(
    observed: ArrayView3<'_, f32>,
    is_clipped: Option<ArrayView3<'_, bool>>,
    kernel: &Kernel,
    iterations: u32,
    start: Array3<f32>,
) -> Result<Array3<f32>> {
    let mut estimate = start;
    let (_, height, width) = observed.dim();
    let seen = adjoint(kernel, &Array3::ones((1, height, width)))?;
    for _ in 0..iterations {
        let mut ratio = kernel.convolve_valid(estimate.view())?;
        anyhow::ensure!(
            ratio.dim() == observed.dim(),
            "a first guess of another size"
        );
        Zip::from(&mut ratio)
            .and(observed)
            .for_each(|predicted, observed| *predicted = observed / (*predicted + TINY));
        if let Some(is_clipped) = is_clipped {
            Zip::from(&mut ratio)
                .and(is_clipped)
                .for_each(|ratio, clipped| {
                    if *clipped {
                        *ratio = ratio.max(1.0);
                    }
                });
        }
        let correction = adjoint(kernel, &ratio)?;
        for (mut estimate, correction) in estimate.outer_iter_mut().zip(correction.outer_iter()) {
            Zip::from(&mut estimate)
                .and(correction)
                .and(seen.slice(s![0, .., ..]))
                .for_each(|estimate, correction, seen| {
                    if *seen > LEAST_SEEN {
                        *estimate *= correction / seen;
                    }
                });
        }
    }
    Ok(estimate)
}

/// The transpose of [`Kernel::convolve_valid`]: spreads each pixel to where its light may have come from.
fn adjoint(kernel: &Kernel, image: &Array3<f32>) -> Result<Array3<f32>> {
    let margin = 2 * kernel.radius();
    let (channels, height, width) = image.dim();
    let mut padded = Array3::zeros((channels, height + 2 * margin, width + 2 * margin));
    // A convolution of the picture turned by half a turn is a correlation.
    padded
        .slice_mut(s![.., margin..margin + height, margin..margin + width])
        .assign(&image.slice(s![.., ..;-1, ..;-1]));
    let spread = kernel.convolve_valid(padded.view())?;
    Ok(spread
        .slice(s![.., ..;-1, ..;-1])
        .as_standard_layout()
        .into_owned())
}
