//! Direct convolution over the taps that are not zero; two passes for separable kernels.
//!
//! Each output sample adds its products in one fixed order, so the bytes do not depend on threads.

use ndarray::{Array2, Array3, ArrayView3};
use rayon::prelude::*;

/// Output samples accumulated in registers at a time.
const BLOCK: usize = 32;
/// Images with at least this many samples are spread over the threads of the current rayon pool; crops are not,
/// because whoever makes many crops runs them side by side already.
pub(crate) const PARALLEL_SAMPLES: usize = 1 << 19;

/// One tap: how many samples before the first output sample its input lies, and its weight.
type Tap = (usize, f32);

/// Valid convolution of `[C, H, W]` (standard layout) with odd square `taps`; the image must hold the kernel.
pub(crate) fn valid(
    image: ArrayView3<'_, f32>,
    taps: &Array2<f32>,
    factor: Option<&[f32]>,
) -> Array3<f32> {
    let border = taps.nrows() - 1;
    let (channels, height, width) = image.dim();
    let (rows, columns) = (height - border, width - border);
    match factor {
        Some(factor) => {
            let across: Vec<Tap> = factor
                .iter()
                .enumerate()
                .map(|(index, &tap)| (border - index, tap))
                .collect();
            let across = pass(image, &across, (channels, height, columns));
            let down: Vec<Tap> = factor
                .iter()
                .enumerate()
                .map(|(index, &tap)| ((border - index) * columns, tap))
                .collect();
            pass(across.view(), &down, (channels, rows, columns))
        }
        None => {
            let list: Vec<Tap> = taps
                .indexed_iter()
                .filter(|(_, tap)| **tap != 0.0)
                .map(|((row, column), &tap)| ((border - row) * width + border - column, tap))
                .collect();
            pass(image, &list, (channels, rows, columns))
        }
    }
}

fn pass(image: ArrayView3<'_, f32>, taps: &[Tap], shape: (usize, usize, usize)) -> Array3<f32> {
    let (_, height, width) = image.dim();
    let (_, rows, columns) = shape;
    let mut out = Array3::zeros(shape);
    let (Some(source), Some(target)) = (image.as_slice(), out.as_slice_mut()) else {
        unreachable!("both arrays are in standard layout");
    };
    let row = |(index, target): (usize, &mut [f32])| {
        let (channel, row) = (index / rows, index % rows);
        convolve_row(&source[(channel * height + row) * width..], taps, target);
    };
    if target.len() >= PARALLEL_SAMPLES {
        target.par_chunks_mut(columns).enumerate().for_each(row);
    } else {
        target.chunks_mut(columns).enumerate().for_each(row);
    }
    out
}

/// `target[x] = sum over taps of weight * source[x + offset]`.
fn convolve_row(source: &[f32], taps: &[Tap], target: &mut [f32]) {
    let columns = target.len();
    let mut start = 0;
    while start + BLOCK <= columns {
        let mut sums = [0.0_f32; BLOCK];
        for &(offset, weight) in taps {
            let input = &source[start + offset..start + offset + BLOCK];
            for (sum, &value) in sums.iter_mut().zip(input) {
                *sum += weight * value;
            }
        }
        target[start..start + BLOCK].copy_from_slice(&sums);
        start += BLOCK;
    }
    for (index, sum) in target.iter_mut().enumerate().skip(start) {
        *sum = taps.iter().fold(0.0, |sum, &(offset, weight)| {
            sum + weight * source[index + offset]
        });
    }
}
