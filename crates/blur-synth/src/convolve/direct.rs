//! Direct convolution over the taps that are not zero.
//!
//! Each output sample adds its products in one fixed order, so the bytes do not depend on threads.

use multiversion::multiversion;
use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use crate::error::{Result, samples, samples_mut};

/// Output samples accumulated in registers at a time: as many chains of additions as hide their latency.
const BLOCK: usize = 64;
const HALF: usize = 16;

/// One tap: how many samples before the first output sample its input lies, and its weight.
pub(super) type Tap = (usize, f32);

/// `out[c, y, x] = sum over taps of weight * image[c, y, x + offset]`, offsets running on over the rows of the image.
pub(super) fn pass(
    image: ArrayView3<'_, f32>,
    taps: &[Tap],
    shape: (usize, usize, usize),
    spread: bool,
) -> Result<Array3<f32>> {
    let (_, height, width) = image.dim();
    let (_, rows, columns) = shape;
    let mut out = Array3::zeros(shape);
    let source = samples(image.as_slice())?;
    let target = samples_mut(out.as_slice_mut())?;
    let row = |(index, target): (usize, &mut [f32])| {
        let (channel, row) = (index / rows, index % rows);
        convolve_row(&source[(channel * height + row) * width..], taps, target);
    };
    if spread {
        target.par_chunks_mut(columns).enumerate().for_each(row);
    } else {
        target.chunks_mut(columns).enumerate().for_each(row);
    }
    Ok(out)
}

/// `target[x] = sum over taps of weight * source[x + offset]`.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn convolve_row(source: &[f32], taps: &[Tap], target: &mut [f32]) {
    convolve_row_anywhere(source, taps, target);
}

/// [`convolve_row`] for whatever instructions the caller is compiled for.
#[inline(always)]
fn convolve_row_anywhere(source: &[f32], taps: &[Tap], target: &mut [f32]) {
    let done = blocks::<BLOCK>(source, taps, target, 0);
    let done = blocks::<HALF>(source, taps, target, done);
    blocks::<1>(source, taps, target, done);
}

/// Fills whole blocks of `SIZE` samples of `target` from `start` on; the end of the last.
#[inline(always)]
fn blocks<const SIZE: usize>(
    source: &[f32],
    taps: &[Tap],
    target: &mut [f32],
    start: usize,
) -> usize {
    let mut place = start;
    for block in target[start..].as_chunks_mut::<SIZE>().0 {
        let mut sums = [0.0_f32; SIZE];
        for &(offset, weight) in taps {
            let input = &source[place + offset..place + offset + SIZE];
            for (sum, &value) in sums.iter_mut().zip(input) {
                *sum += weight * value;
            }
        }
        *block = sums;
        place += SIZE;
    }
    place
}
