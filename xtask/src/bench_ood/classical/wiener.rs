//! Wiener's filter.

use anyhow::Result;
use ndarray::{Array1, Array2, Axis, Zip, array, s};
use rustfft::num_complex::Complex;

use super::fourier::{Fourier, fast_size};
use super::mirror;

/// `conj(H) Y / (|H|^2 + balance |L|^2)` with the transfer function `H` of the kernel and `L` of the Laplacian, on a periodic
/// plane: `skimage.restoration.wiener` without clipping (Hunt 1973; Orieux et al. 2010).
///
/// # Shapes
/// `observed` is `[H, W]` in linear light, `taps` odd, with their middle at the origin; the result is as large as `observed`.
///
/// # Errors
/// None that a caller can bring about.
pub(super) fn periodic(
    observed: &Array2<f64>,
    taps: &Array2<f64>,
    balance: f64,
) -> Result<Array2<f64>> {
    let fourier = Fourier::new(observed.nrows(), observed.ncols());
    let transfer = fourier.transfer(taps)?;
    let laplacian = fourier.transfer(&array![
        [0.0, -1.0, 0.0],
        [-1.0, 4.0, -1.0],
        [0.0, -1.0, 0.0]
    ])?;
    let mut spectrum = fourier.forward(observed)?;
    Zip::from(&mut spectrum)
        .and(&transfer)
        .and(&laplacian)
        .for_each(|value, transfer, laplacian| {
            let power = transfer.norm_sqr() + balance * laplacian.norm_sqr();
            *value = if power > 0.0 {
                *value * transfer.conj() / power
            } else {
                Complex::default()
            };
        });
    fourier.inverse(spectrum)
}

/// The same for a window of a larger scene: mirrored beyond the border, then tapered so that the ends meet, and cut.
///
/// # Shapes
/// As in [`periodic`].
///
/// # Errors
/// None that a caller can bring about.
pub(super) fn with_borders(
    observed: &Array2<f64>,
    taps: &Array2<f64>,
    balance: f64,
) -> Result<Array2<f64>> {
    let (height, width) = observed.dim();
    // Twice the radius: the taper takes one, the other is between it and the picture.
    let margin = 2 * (taps.nrows() / 2) + 2;
    let shape = [height, width].map(|size| fast_size(size + 2 * margin));
    let extended = Array2::from_shape_fn(shape, |(row, column)| {
        observed[[mirror(row, margin, height), mirror(column, margin, width)]]
    });
    let tapered = taper(&extended, taps)?;
    let restored = periodic(&tapered, taps, balance)?;
    let (rows, columns) = (margin..margin + height, margin..margin + width);
    Ok(restored.slice(s![rows, columns]).to_owned())
}

/// Blends the borders with the periodically blurred picture, as MATLAB's `edgetaper` does, so that the ends of a periodic
/// plane fit together as if they had been blurred with each other.
fn taper(plane: &Array2<f64>, taps: &Array2<f64>) -> Result<Array2<f64>> {
    let fourier = Fourier::new(plane.nrows(), plane.ncols());
    let blurred = fourier.inverse(fourier.forward(plane)? * fourier.transfer(taps)?)?;
    let rows = trust(&taps.sum_axis(Axis(1)), plane.nrows());
    let columns = trust(&taps.sum_axis(Axis(0)), plane.ncols());
    let mut tapered = plane.clone();
    Zip::indexed(&mut tapered)
        .and(&blurred)
        .for_each(|(row, column), value, blurred| {
            let share = rows[row] * columns[column];
            *value = share * *value + (1.0 - share) * blurred;
        });
    Ok(tapered)
}

/// One less the normalised autocorrelation of a line of taps: 0 at both ends of `0..size`, 1 from the length of the taps on.
fn trust(line: &Array1<f64>, size: usize) -> Vec<f64> {
    let length = line.len();
    let correlation = |shift: usize| -> f64 {
        (shift..length)
            .map(|index| line[index] * line[index - shift])
            .sum()
    };
    let whole = correlation(0).max(f64::MIN_POSITIVE);
    (0..size)
        .map(|index| {
            let shift = index.min(size - 1 - index);
            if shift < length {
                1.0 - correlation(shift) / whole
            } else {
                1.0
            }
        })
        .collect()
}
