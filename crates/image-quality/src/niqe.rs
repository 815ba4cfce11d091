//! NIQE: Mittal, Soundararajan & Bovik, "Making a Completely Blind Image Quality Analyzer", IEEE Signal Processing
//! Letters 20(3), 2013.

mod features;
mod model;
mod plane;

use ndarray::ArrayView3;
use rayon::prelude::*;

use self::features::{FEATURES, Features};
pub use self::model::Niqe;
use self::plane::{BLOCK, Plane};
use crate::error::{Error, Result, Which};
use crate::linear;
use crate::samples::check_image;

/// Blocks that must have texture: the covariance of one has no meaning.
const LEAST_BLOCKS: usize = 2;
/// Features of one block: at full and at half size.
const BOTH_SCALES: usize = 2 * FEATURES;

impl Niqe {
    /// Naturalness of one image without a reference; lower is better, natural photographs lie near 3.
    ///
    /// The distance `sqrt((m - n)^T ((A + B) / 2)^-1 (m - n))` between Gaussians fitted to 36 statistics of blocks: `m`
    /// and `A` of pristine photographs, `n` and `B` of this image. The same number as `calculate_niqe` of BasicSR 1.4.2
    /// with `crop_border=0, convert_to='y'`, including its roundings to float32: the samples are rounded to 8 bits, then
    /// the luma of BT.601 in studio range is rounded to whole levels; blocks of 96 x 96 pixels from the top left, what is
    /// left over at the right and bottom is not looked at; half size by MATLAB's bicubic `imresize`.
    ///
    /// Blocks without texture (flat, or saturated) have no statistics and do not count, as in MATLAB's `nancov`.
    ///
    /// # Shapes
    /// `[3, H, W]`, values in `[0, 1]`.
    ///
    /// # Errors
    /// Other than three channels, values that are not finite, or fewer than two blocks with texture: an image smaller
    /// than 96 x 192 or 192 x 96 pixels, or a flat one.
    pub fn score(&self, image: ArrayView3<'_, f32>) -> Result<f64> {
        check_image(&image, Which::First, 1)?;
        let (_, height, width) = image.dim();
        let (rows, columns) = (height / BLOCK, width / BLOCK);
        let blocks = rows * columns;
        let too_few = |usable| Error::TooFewBlocks {
            height,
            width,
            blocks,
            usable,
            needed: LEAST_BLOCKS,
        };
        if blocks == 0 {
            return Err(too_few(0));
        }
        let full = Plane::luma(&image, rows * BLOCK, columns * BLOCK);
        let half = full.halved();
        let normalised = [full, half].map(|plane| plane.normalised(&self.window));
        // Column by column, as the original, so that sums have its order.
        let features: Vec<[f64; BOTH_SCALES]> = (0..blocks)
            .into_par_iter()
            .map(|index| {
                let (row, column) = (index % rows, index / rows);
                let mut both = [0.0; BOTH_SCALES];
                for (scale, target) in both.chunks_exact_mut(FEATURES).enumerate() {
                    let side = BLOCK >> scale;
                    let block = normalised[scale].block(row * side, column * side, side);
                    target.copy_from_slice(&Features::of(&block, side).0);
                }
                both
            })
            .collect();
        let usable: Vec<&[f64; BOTH_SCALES]> = features
            .iter()
            .filter(|block| block.iter().all(|value| !value.is_nan()))
            .collect();
        if usable.len() < LEAST_BLOCKS {
            return Err(too_few(usable.len()));
        }
        let mean = mean_without_nan(&features);
        let mut matrix = covariance(&usable);
        for (value, pristine) in matrix.iter_mut().zip(&self.covariance) {
            *value = (*value + pristine) / 2.0;
        }
        let difference: Vec<f64> = self.mean.iter().zip(&mean).map(|(m, n)| m - n).collect();
        Ok(linear::pseudo_inverse_form(matrix, &difference).sqrt())
    }
}

/// The mean of each feature over the blocks in which it is a number.
fn mean_without_nan(features: &[[f64; BOTH_SCALES]]) -> [f64; BOTH_SCALES] {
    std::array::from_fn(|index| {
        let (sum, count) = features
            .iter()
            .map(|block| block[index])
            .filter(|value| !value.is_nan())
            .fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
        sum / f64::from(count)
    })
}

/// Covariance of the features, divided by the number of blocks less one; row by row.
fn covariance(blocks: &[&[f64; BOTH_SCALES]]) -> Vec<f64> {
    let count = blocks.len() as f64;
    let mean: [f64; BOTH_SCALES] =
        std::array::from_fn(|index| blocks.iter().map(|block| block[index]).sum::<f64>() / count);
    let mut matrix = vec![0.0; BOTH_SCALES * BOTH_SCALES];
    for block in blocks {
        for (row, values) in matrix.chunks_exact_mut(BOTH_SCALES).enumerate() {
            for (column, value) in values.iter_mut().enumerate() {
                *value += (block[row] - mean[row]) * (block[column] - mean[column]);
            }
        }
    }
    matrix.iter_mut().for_each(|value| *value /= count - 1.0);
    matrix
}
