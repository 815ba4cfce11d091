//! One decoded picture: crops of it with enough detail, mirrored, turned and resampled.

use std::path::Path;

use image_io::Limits;
use ndarray::Array3;

use crate::random::Random;

/// Standard deviation of the Laplacian of 8-bit luma above which a crop has enough detail to learn from.
const DETAIL_THRESHOLD: f64 = 8.0;
/// Crops tried before the one with most detail is taken.
const CROP_TRIES: usize = 6;

/// A decoded picture, 8 bits per sample (a quarter of the memory of floats).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// `[3, H, W]`.
    samples: Vec<u8>,
}

/// A square of a picture, and how it is turned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) top: usize,
    pub(crate) left: usize,
    /// Side in the picture, in pixels.
    pub(crate) side: usize,
    /// Mirrored vertically, horizontally, transposed.
    pub(crate) flips: [bool; 3],
}

impl Picture {
    /// Reads and decodes a file.
    ///
    /// # Errors
    /// If it cannot be read or decoded.
    pub(crate) fn read(path: &Path) -> image_io::Result<Self> {
        let photo = image_io::read(path, &Limits::default())?;
        let samples = photo
            .pixels
            .iter()
            .map(|&value| (value.clamp(0.0, 1.0) * 255.0).round() as u8)
            .collect();
        Ok(Self {
            height: photo.height(),
            width: photo.width(),
            samples,
        })
    }

    pub(crate) fn samples(&self) -> &[u8] {
        &self.samples
    }

    fn luma(&self, y: usize, x: usize) -> f64 {
        let plane = self.height * self.width;
        let i = y * self.width + x;
        let sample = |channel: usize| f64::from(self.samples[channel * plane + i]);
        0.299 * sample(0) + 0.587 * sample(1) + 0.114 * sample(2)
    }

    /// Standard deviation of the 4-neighbour Laplacian of 8-bit luma over a square, on every second pixel.
    fn detail(&self, top: usize, left: usize, side: usize) -> f64 {
        let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
        for y in (top + 1..top + side - 1).step_by(2) {
            for x in (left + 1..left + side - 1).step_by(2) {
                let laplacian = self.luma(y - 1, x)
                    + self.luma(y + 1, x)
                    + self.luma(y, x - 1)
                    + self.luma(y, x + 1)
                    - 4.0 * self.luma(y, x);
                sum += laplacian;
                squares += laplacian * laplacian;
                count += 1.0;
            }
        }
        let mean = sum / f64::max(count, 1.0);
        (squares / f64::max(count, 1.0) - mean * mean)
            .max(0.0)
            .sqrt()
    }

    /// Top left corner of a random square of `side` pixels with enough detail, or the best of a few.
    pub(crate) fn detailed_corner(&self, side: usize, random: &mut Random) -> (usize, usize) {
        let mut best = (-1.0, (0, 0));
        for _ in 0..CROP_TRIES {
            let corner = (
                random.below(self.height - side + 1),
                random.below(self.width - side + 1),
            );
            let detail = self.detail(corner.0, corner.1, side);
            if detail > best.0 {
                best = (detail, corner);
            }
            if detail > DETAIL_THRESHOLD {
                break;
            }
        }
        best.1
    }

    /// The square at `place` as `[3, side, side]` in [0, 1], resampled where it has another side than `side`.
    pub(crate) fn square(&self, place: Place, side: usize) -> Array3<f32> {
        let plane = self.height * self.width;
        let [mirror_y, mirror_x, transpose] = place.flips;
        let last = place.side - 1;
        let square = Array3::from_shape_fn((3, place.side, place.side), |(channel, y, x)| {
            let (y, x) = if transpose { (x, y) } else { (y, x) };
            let y = if mirror_y { last - y } else { y };
            let x = if mirror_x { last - x } else { x };
            let i = channel * plane + (place.top + y) * self.width + place.left + x;
            f32::from(self.samples[i]) / 255.0
        });
        if place.side == side {
            square
        } else {
            resampled(&square, side)
        }
    }
}

/// First source sample and weights of each of `to` samples made from `from`: a triangle as wide as the larger of the two spacings,
/// so that nothing finer than the new grid is left to alias.
fn taps(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let step = from as f64 / to as f64;
    let reach = step.max(1.0);
    (0..to)
        .map(|i| {
            let centre = (i as f64 + 0.5) * step;
            let first = (centre - reach).floor().max(0.0) as usize;
            let end = ((centre + reach).ceil() as usize).min(from);
            let weight = |j: usize| (1.0 - ((j as f64 + 0.5 - centre) / reach).abs()).max(0.0);
            let sum: f64 = (first..end).map(weight).sum();
            (
                first,
                (first..end).map(|j| (weight(j) / sum) as f32).collect(),
            )
        })
        .collect()
}

/// A square `[3, N, N]` on a grid of `side` × `side` samples, antialiased.
fn resampled(square: &Array3<f32>, side: usize) -> Array3<f32> {
    let from = square.dim().1;
    let taps = taps(from, side);
    let mut rows = Array3::<f32>::zeros((3, from, side));
    let mut result = Array3::<f32>::zeros((3, side, side));
    for channel in 0..3 {
        for y in 0..from {
            for (x, (first, weights)) in taps.iter().enumerate() {
                let sum = weights
                    .iter()
                    .enumerate()
                    .map(|(j, weight)| weight * square[[channel, y, first + j]])
                    .sum();
                rows[[channel, y, x]] = sum;
            }
        }
        for (y, (first, weights)) in taps.iter().enumerate() {
            for (j, &weight) in weights.iter().enumerate() {
                for x in 0..side {
                    result[[channel, y, x]] += weight * rows[[channel, first + j, x]];
                }
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resampling_keeps_ramps_and_removes_what_is_too_fine() {
        let ramp = Array3::from_shape_fn((3, 96, 96), |(_, y, x)| (y + 2 * x) as f32 / 300.0);
        for side in [40, 64, 130] {
            let small = resampled(&ramp, side);
            let step = 96.0 / side as f32;
            for (y, x) in [
                (side / 2, side / 2),
                (side / 3, side / 2),
                (side / 2, side / 4),
            ] {
                let at = |i: usize| (i as f32 + 0.5) * step - 0.5;
                let expected = (at(y) + 2.0 * at(x)) / 300.0;
                let got = small[[1, y, x]];
                // A grid that is off by half a pixel would be off by 0.005.
                assert!((got - expected).abs() < 1e-3, "{side}: {got} {expected}");
            }
        }
        // Stripes of one pixel, half as many samples: taking every second one would give black or white.
        let stripes = Array3::from_shape_fn((3, 96, 96), |(_, _, x)| (x % 2) as f32);
        let grey = resampled(&stripes, 48);
        assert!(
            grey.iter().all(|value| (value - 0.5).abs() < 0.13),
            "{grey:?}"
        );
    }

    #[test]
    fn eight_ways_to_turn_a_square_are_eight_pictures() {
        let picture = Picture {
            height: 5,
            width: 6,
            samples: (0..90).collect(),
        };
        let mut seen = Vec::new();
        for way in 0..8 {
            let flips = [way & 1 > 0, way & 2 > 0, way & 4 > 0];
            let place = Place {
                top: 1,
                left: 2,
                side: 3,
                flips,
            };
            let square = picture.square(place, 3);
            assert!(!seen.contains(&square));
            seen.push(square);
        }
        assert_eq!(seen[0][[0, 0, 0]], 8.0 / 255.0);
    }
}
