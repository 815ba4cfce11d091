//! The picture that NIQE looks at: luma, half size, local contrast.
//!
//! Values are float32 where those of BasicSR are, and sums float64 where those of SciPy are: in flat parts the local contrast
//! is the root of a difference of nearly equal numbers, which another rounding changes visibly.

use ndarray::ArrayView3;
use rayon::prelude::*;

/// Side of a block at full size, in pixels.
pub(super) const BLOCK: usize = 96;
/// Side of the window of local means, in pixels.
pub(super) const WINDOW: usize = 7;

/// Levels, row by row.
pub(super) struct Plane {
    height: usize,
    width: usize,
    levels: Vec<f32>,
}

impl Plane {
    /// BT.601 luma in studio range, in whole levels, of the upper left `height` x `width` pixels.
    pub(super) fn luma(image: &ArrayView3<'_, f32>, height: usize, width: usize) -> Self {
        let mut levels = vec![0.0; height * width];
        levels
            .par_chunks_exact_mut(width)
            .enumerate()
            .for_each(|(row, levels)| {
                for (column, level) in levels.iter_mut().enumerate() {
                    let [red, green, blue] = [0, 1, 2].map(|channel| {
                        let value = f64::from(image[[channel, row, column]]) * 255.0;
                        let whole = (value.clamp(0.0, 255.0) + 0.5).floor();
                        f64::from(whole as f32 / 255.0)
                    });
                    let luma = 24.966 * blue + 128.553 * green + 65.481 * red + 16.0;
                    *level = ((luma / 255.0) as f32 * 255.0).round_ties_even();
                }
            });
        Self {
            height,
            width,
            levels,
        }
    }

    /// Half as high and wide: MATLAB's `imresize(image, 0.5)`, bicubic with antialiasing, mirrored at the edges. Sides are
    /// even.
    pub(super) fn halved(&self) -> Self {
        // The cubic kernel at 0.25, 0.75, 1.25 and 1.75 pixels of the result; half of it, because two pixels become one.
        const TAPS: [f32; 8] = [
            -0.011_718_75,
            -0.035_156_25,
            0.113_281_25,
            0.433_593_75,
            0.433_593_75,
            0.113_281_25,
            -0.035_156_25,
            -0.011_718_75,
        ];
        // The window of a result begins three pixels before its first one.
        let source = |index: usize, tap: usize, length: usize| {
            let place = (2 * index + tap) as isize - 3;
            let place = if place < 0 { -1 - place } else { place } as usize;
            place.min(2 * length - 1 - place)
        };
        let (height, width) = (self.height / 2, self.width / 2);
        let mut low = vec![0.0_f32; height * self.width];
        low.par_chunks_exact_mut(self.width)
            .enumerate()
            .for_each(|(row, sums)| {
                for (tap, weight) in TAPS.into_iter().enumerate() {
                    let from = source(row, tap, self.height) * self.width;
                    let levels = &self.levels[from..from + self.width];
                    for (sum, level) in sums.iter_mut().zip(levels) {
                        *sum += weight * (level / 255.0);
                    }
                }
            });
        let mut levels = vec![0.0_f32; height * width];
        levels
            .par_chunks_exact_mut(width)
            .zip(low.par_chunks_exact(self.width))
            .for_each(|(levels, row)| {
                for (column, level) in levels.iter_mut().enumerate() {
                    for (tap, weight) in TAPS.into_iter().enumerate() {
                        *level += weight * row[source(column, tap, self.width)];
                    }
                    *level *= 255.0;
                }
            });
        Self {
            height,
            width,
            levels,
        }
    }

    /// `(level - mean) / (deviation + 1)` with local means and deviations in a weighted window; edges are repeated.
    pub(super) fn normalised(&self, window: &[[f64; WINDOW]; WINDOW]) -> Self {
        const RADIUS: usize = WINDOW / 2;
        let mut levels = vec![0.0; self.levels.len()];
        let scratch = || {
            (
                vec![0.0_f64; self.width],
                vec![0.0_f64; self.width],
                vec![0.0_f64; self.width + 2 * RADIUS],
                vec![0.0_f64; self.width + 2 * RADIUS],
            )
        };
        levels
            .par_chunks_exact_mut(self.width)
            .enumerate()
            .for_each_init(
                scratch,
                |(means, squares, padded, padded_squares), (row, target)| {
                    means.fill(0.0);
                    squares.fill(0.0);
                    for (offset, weights) in window.iter().enumerate() {
                        let from = (row + offset).saturating_sub(RADIUS).min(self.height - 1);
                        let levels = &self.levels[from * self.width..(from + 1) * self.width];
                        for (column, (value, square)) in
                            padded.iter_mut().zip(padded_squares.iter_mut()).enumerate()
                        {
                            let level = levels[column.saturating_sub(RADIUS).min(self.width - 1)];
                            *value = f64::from(level);
                            *square = f64::from(level * level);
                        }
                        for (offset, weight) in weights.iter().enumerate() {
                            add_scaled(means, &padded[offset..], *weight);
                            add_scaled(squares, &padded_squares[offset..], *weight);
                        }
                    }
                    let levels = &self.levels[row * self.width..(row + 1) * self.width];
                    for (((target, level), mean), square) in
                        target.iter_mut().zip(levels).zip(means).zip(squares)
                    {
                        let (mean, square) = (*mean as f32, *square as f32);
                        let deviation = (square - mean * mean).abs().sqrt();
                        *target = (level - mean) / (deviation + 1.0);
                    }
                },
            );
        Self {
            height: self.height,
            width: self.width,
            levels,
        }
    }

    /// The square block with this upper left corner.
    pub(super) fn block(&self, row: usize, column: usize, side: usize) -> Vec<f32> {
        (row..row + side)
            .flat_map(|row| {
                let start = row * self.width + column;
                &self.levels[start..start + side]
            })
            .copied()
            .collect()
    }
}

fn add_scaled(target: &mut [f64], source: &[f64], weight: f64) {
    for (target, source) in target.iter_mut().zip(source) {
        *target += weight * source;
    }
}
