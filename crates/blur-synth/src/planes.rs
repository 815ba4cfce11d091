//! Linear light with a mirrored border, read at places between the pixels.

use ndarray::{Array3, ArrayView3, Axis, s};
use rayon::prelude::*;

use crate::error::{Result, samples_mut};
use crate::kernel::check_size;

/// `[C, H + 2 * margin, W + 2 * margin]`: `image` continued by reflection about its border pixels, which are not
/// repeated.
pub(crate) fn padded(image: ArrayView3<'_, f32>, margin: usize) -> Result<Array3<f32>> {
    let (channels, height, width) = image.dim();
    check_size(height, width, margin, margin + 1)?;
    let mut padded = Array3::zeros((channels, height + 2 * margin, width + 2 * margin));
    for (source, mut target) in image.outer_iter().zip(padded.outer_iter_mut()) {
        for (row, mut target) in target.outer_iter_mut().enumerate() {
            let source = source.index_axis(Axis(0), mirrored(row, margin, height));
            target.slice_mut(s![margin..margin + width]).assign(&source);
            for column in (0..margin).chain(margin + width..width + 2 * margin) {
                target[column] = source[mirrored(column, margin, width)];
            }
        }
    }
    Ok(padded)
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

/// `[C, rows, columns]`, means over instants, made row by row on all threads: `add` gets the number of a row and its zeros, the columns of
/// one channel after the other, adds the instants and returns how many they were. In f64: hundreds of equal float32 values round alike.
pub(crate) fn by_rows(
    shape: (usize, usize, usize),
    add: impl Fn(usize, &mut [f64]) -> usize + Sync,
) -> Result<Array3<f32>> {
    let (channels, rows, columns) = shape;
    let mut out = Array3::<f32>::zeros((rows, channels, columns));
    samples_mut(out.as_slice_mut())?
        .par_chunks_mut((channels * columns).max(1))
        .enumerate()
        .for_each_init(
            || vec![0.0; channels * columns],
            |sums, (row, target)| {
                sums.fill(0.0);
                let count = add(row, sums) as f64;
                for (target, sum) in target.iter_mut().zip(sums) {
                    *target = (*sum / count) as f32;
                }
            },
        );
    Ok(out
        .permuted_axes([1, 0, 2])
        .as_standard_layout()
        .into_owned())
}

/// The four pixels around a place and their bilinear shares.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bilinear {
    /// Row and column of the upper left pixel.
    pub(crate) corner: [usize; 2],
    /// Upper left, upper right, lower left, lower right.
    pub(crate) shares: [f32; 4],
}

impl Bilinear {
    /// Shares of the place `[x, y]`, moved into the picture if it lies outside, for a picture of at least 2 x 2 pixels.
    pub(crate) fn new(place: [f64; 2], height: usize, width: usize) -> Self {
        let split = |value: f64, size: usize| {
            let value = value.clamp(0.0, (size - 1) as f64);
            let low = (value as usize).min(size - 2);
            (low, (value - low as f64) as f32)
        };
        let (column, x) = split(place[0], width);
        let (row, y) = split(place[1], height);
        Self {
            corner: [row, column],
            shares: [(1.0 - x) * (1.0 - y), x * (1.0 - y), (1.0 - x) * y, x * y],
        }
    }

    /// The value in a plane of rows of `width` samples.
    pub(crate) fn sample(&self, plane: &[f32], width: usize) -> f32 {
        let at = self.corner[0] * width + self.corner[1];
        let [a, b, c, d] = self.shares;
        a * plane[at] + b * plane[at + 1] + c * plane[at + width] + d * plane[at + width + 1]
    }
}
