//! Direct convolution over the taps that are not zero.
//!
//! Each output sample adds its products in one fixed order, so the bytes do not depend on threads.

use multiversion::multiversion;
use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use crate::error::{Result, samples, samples_mut};

/// Output samples accumulated in registers at a time: as many chains of additions as hide their latency.
const BLOCK: usize = 64;
/// The same for narrow images.
const SMALL_BLOCK: usize = 16;

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

/// [`convolve_row`] with whatever instructions the caller is compiled for.
#[inline(always)]
fn convolve_row_anywhere(source: &[f32], taps: &[Tap], target: &mut [f32]) {
    if target.len() >= BLOCK {
        blocks::<BLOCK>(source, taps, target);
    } else if target.len() >= SMALL_BLOCK {
        blocks::<SMALL_BLOCK>(source, taps, target);
    } else {
        blocks::<1>(source, taps, target);
    }
}

/// Fills `target` in blocks; the last one ends where `target` does and may repeat some of the one before. No sample
/// depends on its place in a block.
#[inline(always)]
fn blocks<const SIZE: usize>(source: &[f32], taps: &[Tap], target: &mut [f32]) {
    let Some(last) = target.len().checked_sub(SIZE) else {
        return;
    };
    for start in (0..last).step_by(SIZE).chain([last]) {
        let mut sums = [0.0_f32; SIZE];
        for &(offset, weight) in taps {
            let input = &source[start + offset..start + offset + SIZE];
            for (sum, &value) in sums.iter_mut().zip(input) {
                *sum += weight * value;
            }
        }
        target[start..start + SIZE].copy_from_slice(&sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_instructions_do_not_change_a_bit() {
        let value = |index: usize| (index * 7919 % 10_007) as f32 / 10_007.0;
        let source: Vec<f32> = (0..400).map(value).collect();
        let taps: Vec<Tap> = (0..37)
            .map(|index| (index * 5, value(index) / 20.0))
            .collect();
        // Below, at and beyond the sizes of blocks.
        for columns in [1, 3, 15, 16, 17, 40, 63, 64, 65, 130, 200] {
            let (mut plain, mut vector) = (vec![0.0; columns], vec![0.0; columns]);
            convolve_row_anywhere(&source, &taps, &mut plain);
            convolve_row(&source, &taps, &mut vector);
            assert_eq!(plain, vector);
            for (place, &got) in plain.iter().enumerate() {
                let terms = taps
                    .iter()
                    .map(|&(offset, weight)| weight * source[place + offset]);
                assert_eq!(
                    got,
                    terms.fold(0.0, |sum, term| sum + term),
                    "{columns}, {place}"
                );
            }
        }
    }
}
