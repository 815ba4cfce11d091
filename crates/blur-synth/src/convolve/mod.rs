//! Convolution with every sum in one fixed order, so that the bytes depend neither on threads nor on the machine.
//!
//! Few taps are summed directly; separable kernels take two passes; many taps go through Fourier transforms of
//! tiles. Which it is follows from the shapes and the number of taps alone.

mod direct;
mod fourier;
mod grid;
mod tiles;

use ndarray::{Array2, Array3, ArrayView3};

use crate::error::Result;
use direct::{Tap, pass};
use grid::Grid;

/// Images with at least this many samples are spread over the threads of the current rayon pool; crops are not,
/// because whoever makes many crops runs them side by side already.
pub(crate) const PARALLEL_SAMPLES: usize = 1 << 19;

/// Smaller images (in colour: of less than 148 x 148 pixels) are always summed directly, so that training crops keep their
/// bytes whatever the margin they come with.
const TILED_SAMPLES: usize = 1 << 16;
/// Nanoseconds of a direct sum for each tap and output sample, measured on one core with AVX2; see [`Grid::cheapest`].
const DIRECT_WORK: f64 = 0.053;

/// Valid convolution of `[C, H, W]` (standard layout) with odd square `taps`; the image must hold the kernel.
///
/// Direct sums are off by at most `taps * 6e-8` of the light under the kernel, in practice far less. Through transforms
/// the error is within 1e-6 of the largest sample of the tile (at most 1024 samples wide) and of the one paired with
/// it; where an image has no negative sample, neither has the result. Samples that are not finite, or above 1e30,
/// reach as far as the kernel does, either way.
pub(crate) fn valid(
    image: ArrayView3<'_, f32>,
    taps: &Array2<f32>,
    factor: Option<&[f32]>,
) -> Result<Array3<f32>> {
    let side = taps.nrows();
    let border = side - 1;
    let (channels, height, width) = image.dim();
    let (rows, columns) = (height - border, width - border);
    let outputs = channels * rows * columns;
    let spread = outputs >= PARALLEL_SAMPLES;
    let list = tap_list(taps, width);
    let terms = factor.map_or(list.len(), |factor| 2 * factor.len());
    if outputs >= TILED_SAMPLES
        && let Some((grid, work)) = Grid::cheapest(channels, [rows, columns], side)
        && work < (outputs * terms) as f64 * DIRECT_WORK
    {
        return tiles::valid(image, taps, &list, &grid, spread);
    }
    let Some(factor) = factor else {
        return pass(image, &list, (channels, rows, columns), spread);
    };
    let line = |stride: usize| -> Vec<Tap> {
        let taps = factor.iter().enumerate();
        taps.map(|(index, &tap)| ((border - index) * stride, tap))
            .collect()
    };
    let across = pass(image, &line(1), (channels, height, columns), spread)?;
    pass(
        across.view(),
        &line(columns),
        (channels, rows, columns),
        spread,
    )
}

/// The taps that are not zero, for an image `width` samples wide.
fn tap_list(taps: &Array2<f32>, width: usize) -> Vec<Tap> {
    let border = taps.nrows() - 1;
    taps.indexed_iter()
        .filter(|(_, tap)| **tap != 0.0)
        .map(|((row, column), &tap)| ((border - row) * width + border - column, tap))
        .collect()
}

#[cfg(test)]
mod tests;
