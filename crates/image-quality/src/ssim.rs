//! Structural similarity: Wang, Bovik, Sheikh & Simoncelli, "Image Quality Assessment: From Error Visibility to
//! Structural Similarity", IEEE Transactions on Image Processing 13(4), 2004.

use ndarray::ArrayView3;
use rayon::prelude::*;

use crate::align::align;
use crate::error::Result;
use crate::protocol::{Alignment, MetricProtocol, SsimKernel};
use crate::samples::{Rows, pair};

/// Rows of the result computed by one task. Fixed, so that sums do not depend on threads.
const BAND: usize = 64;

/// Mean structural similarity, between -1 and 1; higher is better; 1 when nothing differs.
///
/// `SSIM = (2 mu_a mu_b + C1)(2 sigma_ab + C2) / ((mu_a^2 + mu_b^2 + C1)(sigma_a^2 + sigma_b^2 + C2))` with Gaussian
/// weighted means, variances and covariance (divided by the sum of weights, not by one less), averaged over every
/// place where the whole window lies on the image. For RGB, the mean of the three channels.
///
/// The same as scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`.
///
/// # Shapes
/// Both images `[3, H, W]`, values in `[0, 1]`; see [`MetricProtocol`] for what is done with them.
///
/// The order counts where the protocol aligns: there the restored image is moved onto the sharp one.
///
/// # Errors
/// Images that cannot be aligned where the protocol says so; an invalid protocol, different shapes, other than three channels,
/// an inside smaller than the window, or values that are not finite.
pub fn ssim(
    restored: ArrayView3<'_, f32>,
    sharp: ArrayView3<'_, f32>,
    protocol: &MetricProtocol,
) -> Result<f64> {
    if protocol.alignment == Alignment::EccHomography {
        return align(restored, sharp, protocol)?.ssim(protocol);
    }
    let [a, b] = pair(restored, sharp, protocol, protocol.kernel.window)?;
    let value = mean([&a, &b], &protocol.kernel, protocol.data_range, None);
    // Without a mask every place counts, and there is at least one.
    Ok(value.unwrap_or(f64::NAN))
}

/// Mean over all places of the window, or over those whose middle is in the mask; `None` when there is none.
/// The images are at least as large as the window.
pub(crate) fn mean<R: Rows>(
    images: [&R; 2],
    kernel: &SsimKernel,
    data_range: f64,
    mask: Option<&[bool]>,
) -> Option<f64> {
    let window = kernel.window;
    let weights = window_weights(kernel);
    let constants = [kernel.k1, kernel.k2].map(|k| (k * data_range).powi(2));
    let (planes, height, width) = (images[0].planes(), images[0].height(), images[0].width());
    let rows = height - window + 1;
    let columns = width - window + 1;
    let radius = window / 2;
    // The part of the mask that lies over one row of the result.
    let mask = mask.map(|mask| {
        move |row: usize| {
            let start = (row + radius) * width + radius;
            &mask[start..start + columns]
        }
    });
    let bands = rows.div_ceil(BAND);
    let sums: Vec<f64> = (0..planes * bands)
        .into_par_iter()
        .map(|index| {
            let first = index % bands * BAND;
            let last = (first + BAND).min(rows);
            let rows = first..last;
            band_sum(images, index / bands, rows, &weights, constants, &mask)
        })
        .collect();
    let count = match &mask {
        None => rows * columns,
        Some(mask) => {
            let inside = |row| mask(row).iter().filter(|is_inside| **is_inside).count();
            (0..rows).map(inside).sum()
        }
    };
    (count > 0).then(|| sums.iter().sum::<f64>() / (planes * count) as f64)
}

/// Gaussian weights along one axis, summing to 1; the window is their outer product.
fn window_weights(kernel: &SsimKernel) -> Vec<f64> {
    let radius = (kernel.window / 2) as f64;
    let gaussian = |index: usize| (-0.5 * ((index as f64 - radius) / kernel.sigma).powi(2)).exp();
    let sum: f64 = (0..kernel.window).map(gaussian).sum();
    (0..kernel.window)
        .map(|index| gaussian(index) / sum)
        .collect()
}

/// Weighted local sums of one row, or of one window: `a`, `b`, `a^2 + b^2` and `a b`.
type Moments = [Vec<f64>; 4];

/// Sum of SSIM over some rows of the result. Each input row is filtered across once; as many of these as the window
/// is high are kept, and added up downwards.
fn band_sum<'m, R: Rows>(
    images: [&R; 2],
    plane: usize,
    rows: std::ops::Range<usize>,
    weights: &[f64],
    [c1, c2]: [f64; 2],
    mask: &Option<impl Fn(usize) -> &'m [bool]>,
) -> f64 {
    let width = images[0].width();
    let window = weights.len();
    let columns = width - window + 1;
    let empty = || -> Moments { std::array::from_fn(|_| vec![0.0; columns]) };
    let mut across: Vec<Moments> = (0..window).map(|_| empty()).collect();
    let mut down = empty();
    let mut raw: Moments = std::array::from_fn(|_| vec![0.0; width]);
    let mut values = vec![0.0; columns];
    let mut sum = 0.0;
    for input in rows.start..rows.end + window - 1 {
        let [a, b, squares, products] = &mut raw;
        images[0].row(plane, input, a);
        images[1].row(plane, input, b);
        for (((a, b), square), product) in a.iter().zip(b.iter()).zip(squares).zip(products) {
            *square = a * a + b * b;
            *product = a * b;
        }
        for (raw, filtered) in raw.iter().zip(&mut across[input % window]) {
            filtered.fill(0.0);
            for (offset, weight) in weights.iter().enumerate() {
                add_scaled(filtered, &raw[offset..offset + columns], *weight);
            }
        }
        let Some(row) = (input + 1)
            .checked_sub(window)
            .filter(|row| *row >= rows.start)
        else {
            continue;
        };
        for (moment, sums) in down.iter_mut().enumerate() {
            sums.fill(0.0);
            for (offset, weight) in weights.iter().enumerate() {
                add_scaled(sums, &across[(row + offset) % window][moment], *weight);
            }
        }
        let [a, b, squares, products] = &down;
        let places = a.iter().zip(b).zip(squares).zip(products);
        for ((((a, b), square), product), value) in places.zip(&mut values) {
            let (ab, power) = (a * b, a * a + b * b);
            let covariance = product - ab;
            let variances = square - power;
            *value = (2.0 * ab + c1) * (2.0 * covariance + c2) / ((power + c1) * (variances + c2));
        }
        match mask {
            None => sum += values.iter().sum::<f64>(),
            Some(mask) => {
                let inside = values.iter().zip(mask(row)).filter(|(_, inside)| **inside);
                sum += inside.map(|(value, _)| value).sum::<f64>();
            }
        }
    }
    sum
}

fn add_scaled(target: &mut [f64], source: &[f64], weight: f64) {
    for (target, source) in target.iter_mut().zip(source) {
        *target += weight * source;
    }
}
