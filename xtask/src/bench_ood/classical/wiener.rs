//! Wiener's filter.

use anyhow::Result;
use ndarray::{Array1, Array2, Axis, Zip, array, s};
use rustfft::num_complex::Complex;

use super::fourier::{Fourier, fast_size};
use super::mirror;

/// Times that what lies beyond the border is predicted anew.
const ROUNDS: usize = 30;
/// Least balance where pixels are missing: with less, so many rounds leave an error at the border that rings through the picture.
pub(super) const BALANCE_MINIMUM: f64 = 2e-3;

/// Wiener's filter for one kernel and one size of a periodic plane.
struct Filter {
    fourier: Fourier,
    /// The transfer function `H` of the kernel.
    transfer: Array2<Complex<f64>>,
    /// `conj(H) / (|H|^2 + balance |L|^2)` with `L` of the Laplacian.
    inverse: Array2<Complex<f64>>,
}

impl Filter {
    fn new(shape: [usize; 2], taps: &Array2<f64>, balance: f64) -> Result<Self> {
        let fourier = Fourier::new(shape[0], shape[1]);
        let transfer = fourier.transfer(taps)?;
        let laplacian = fourier.transfer(&array![
            [0.0, -1.0, 0.0],
            [-1.0, 4.0, -1.0],
            [0.0, -1.0, 0.0]
        ])?;
        let inverse = Zip::from(&transfer)
            .and(&laplacian)
            .map_collect(|transfer, laplacian| {
                let power = transfer.norm_sqr() + balance * laplacian.norm_sqr();
                if power > 0.0 {
                    transfer.conj() / power
                } else {
                    Complex::default()
                }
            });
        Ok(Self {
            fourier,
            transfer,
            inverse,
        })
    }

    /// The spectrum of the scene behind a blurred plane.
    fn scene(&self, blurred: &Array2<f64>) -> Result<Array2<Complex<f64>>> {
        Ok(self.fourier.forward(blurred)? * &self.inverse)
    }
}

/// The filter on a periodic plane: `skimage.restoration.wiener` without clipping (Hunt 1973; Orieux et al. 2010).
///
/// # Shapes
/// `observed` is `[H, W]` in linear light, `taps` odd, with their middle at the origin; the result is as large as `observed`.
///
/// # Errors
/// None that a caller can bring about.
#[cfg(test)]
pub(super) fn periodic(
    observed: &Array2<f64>,
    taps: &Array2<f64>,
    balance: f64,
) -> Result<Array2<f64>> {
    let filter = Filter::new([observed.nrows(), observed.ncols()], taps, balance)?;
    filter.fourier.inverse(filter.scene(observed)?)
}

/// The same for a window of a larger scene. What lies beyond the border is unknown: it begins as the mirrored picture, tapered so that
/// the ends meet, and is replaced by what the restored scene predicts there, again and again. Each round lowers
/// `|M (h * x) - y|^2 + balance |l * x|^2`, where `M` cuts the window out (expectation maximisation over the missing pixels).
///
/// # Shapes
/// As in the periodic case.
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
    let radius = taps.nrows() / 2;
    let margin = 2 * radius + 2;
    let balance = match radius {
        0 => balance,
        _ => balance.max(BALANCE_MINIMUM),
    };
    let shape = [height, width].map(|size| fast_size(size + 2 * margin));
    let window = s![margin..margin + height, margin..margin + width];
    let extended = Array2::from_shape_fn(shape, |(row, column)| {
        observed[[mirror(row, margin, height), mirror(column, margin, width)]]
    });
    let filter = Filter::new(shape, taps, balance)?;
    let mut blurred = taper(&extended, taps, &filter)?;
    for _ in 0..ROUNDS {
        let scene = filter.scene(&blurred)?;
        blurred = filter.fourier.inverse(scene * &filter.transfer)?;
        blurred.slice_mut(window).assign(observed);
    }
    let restored = filter.fourier.inverse(filter.scene(&blurred)?)?;
    Ok(restored.slice(window).to_owned())
}

/// Blends the borders with the periodically blurred picture, as MATLAB's `edgetaper` does, so that the ends of a periodic
/// plane fit together as if they had been blurred with each other.
fn taper(plane: &Array2<f64>, taps: &Array2<f64>, filter: &Filter) -> Result<Array2<f64>> {
    let fourier = &filter.fourier;
    let blurred = fourier.inverse(fourier.forward(plane)? * &filter.transfer)?;
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
