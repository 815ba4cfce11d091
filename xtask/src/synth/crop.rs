//! Which part of a photo is used.

use ndarray::{Array2, Array3, ArrayView3, Ix3, SliceInfo, SliceInfoElem};
use serde::{Deserialize, Serialize};

/// A part of a photo, in pixels.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Crop {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Crop {
    /// The whole of a photo.
    pub(crate) fn whole(pixels: ArrayView3<'_, f32>) -> Self {
        let (_, height, width) = pixels.dim();
        Self {
            left: 0,
            top: 0,
            width,
            height,
        }
    }

    /// Whether it lies on a photo of this size.
    pub(crate) fn fits(self, height: usize, width: usize) -> bool {
        self.width > 0
            && self.height > 0
            && self
                .left
                .checked_add(self.width)
                .is_some_and(|end| end <= width)
            && self
                .top
                .checked_add(self.height)
                .is_some_and(|end| end <= height)
    }

    /// The same as a slice of `[C, H, W]`; it must fit.
    pub(crate) fn slice(self) -> SliceInfo<[SliceInfoElem; 3], Ix3, Ix3> {
        let (rows, columns) = (
            self.top..self.top + self.height,
            self.left..self.left + self.width,
        );
        ndarray::s![.., rows, columns]
    }

    /// The part of a photo with the most detail: of all places on a grid of an eighth of the crop, the one with the
    /// largest sum of the absolute Laplacian of the mean over channels. A photo that is smaller is taken whole in that
    /// direction.
    pub(crate) fn most_detailed(pixels: ArrayView3<'_, f32>, width: usize, height: usize) -> Self {
        let (_, rows, columns) = pixels.dim();
        let (width, height) = (width.min(columns), height.min(rows));
        let sums = summed_detail(pixels);
        let detail = |left: usize, top: usize| {
            sums[[top + height, left + width]] + sums[[top, left]]
                - sums[[top, left + width]]
                - sums[[top + height, left]]
        };
        let mut best = (f64::NEG_INFINITY, 0, 0);
        for top in places(rows, height) {
            for left in places(columns, width) {
                let here = detail(left, top);
                if here > best.0 {
                    best = (here, left, top);
                }
            }
        }
        Self {
            left: best.1,
            top: best.2,
            width,
            height,
        }
    }

    /// The crop with `margin` more pixels on each side; beyond the border of the photo it is mirrored. `None` when the
    /// photo is too small to be mirrored so far.
    pub(crate) fn with_margin(
        self,
        pixels: ArrayView3<'_, f32>,
        margin: usize,
    ) -> Option<Array3<f32>> {
        let (channels, rows, columns) = pixels.dim();
        let vertical: Option<Vec<usize>> = (0..self.height + 2 * margin)
            .map(|row| mirrored(self.top + row, margin, rows))
            .collect();
        let horizontal: Option<Vec<usize>> = (0..self.width + 2 * margin)
            .map(|column| mirrored(self.left + column, margin, columns))
            .collect();
        let (vertical, horizontal) = (vertical?, horizontal?);
        Some(Array3::from_shape_fn(
            (channels, vertical.len(), horizontal.len()),
            |(channel, row, column)| pixels[[channel, vertical[row], horizontal[column]]],
        ))
    }
}

/// The index `shifted - margin`, mirrored at the ends of `0..size` (the end itself not repeated).
fn mirrored(shifted: usize, margin: usize, size: usize) -> Option<usize> {
    let index = if shifted < margin {
        margin - shifted
    } else if shifted - margin < size {
        shifted - margin
    } else {
        (2 * (size - 1)).checked_sub(shifted - margin)?
    };
    (index < size).then_some(index)
}

/// Places at which a window may start, the last one flush with the end.
fn places(size: usize, window: usize) -> impl Iterator<Item = usize> {
    let last = size - window;
    let step = (window / 8).max(1);
    (0..last).step_by(step).chain([last])
}

/// Sums of the detail above and to the left of each place, `[H + 1, W + 1]`.
fn summed_detail(pixels: ArrayView3<'_, f32>) -> Array2<f64> {
    let (channels, rows, columns) = pixels.dim();
    let grey = Array2::from_shape_fn((rows, columns), |(row, column)| {
        (0..channels)
            .map(|channel| f64::from(pixels[[channel, row, column]]))
            .sum::<f64>()
    });
    let mut sums = Array2::zeros((rows + 1, columns + 1));
    for row in 0..rows {
        for column in 0..columns {
            let is_inside = row > 0 && column > 0 && row + 1 < rows && column + 1 < columns;
            let detail = if is_inside {
                (4.0 * grey[[row, column]]
                    - grey[[row - 1, column]]
                    - grey[[row + 1, column]]
                    - grey[[row, column - 1]]
                    - grey[[row, column + 1]])
                .abs()
            } else {
                0.0
            };
            sums[[row + 1, column + 1]] =
                detail + sums[[row, column + 1]] + sums[[row + 1, column]] - sums[[row, column]];
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::s;

    fn ramp(height: usize, width: usize) -> Array3<f32> {
        Array3::from_shape_fn((3, height, width), |(channel, row, column)| {
            (channel * 10_000 + row * 100 + column) as f32
        })
    }

    #[test]
    fn the_window_with_detail_is_found() {
        let mut image = Array3::<f32>::zeros((3, 90, 120));
        for row in 50..70 {
            for column in 80..100 {
                image[[1, row, column]] = ((row + column) % 2) as f32;
            }
        }
        let crop = Crop::most_detailed(image.view(), 32, 32);
        assert!(crop.left <= 80 && crop.left + 32 >= 100, "{crop:?}");
        assert!(crop.top <= 50 && crop.top + 32 >= 70, "{crop:?}");
        let whole = Crop::most_detailed(image.view(), 500, 20);
        assert_eq!((whole.left, whole.width, whole.height), (0, 120, 20));
    }

    #[test]
    fn margins_are_real_where_there_are_pixels() {
        let image = ramp(30, 40);
        let crop = Crop {
            left: 10,
            top: 12,
            width: 8,
            height: 6,
        };
        let inside = crop.with_margin(image.view(), 5).unwrap();
        assert_eq!(inside, image.slice(s![.., 7..23, 5..23]));
        let corner = Crop {
            left: 0,
            top: 24,
            ..crop
        };
        let mirrored = corner.with_margin(image.view(), 5).unwrap();
        assert_eq!(mirrored[[0, 5, 4]], image[[0, 24, 1]]);
        assert_eq!(mirrored[[0, 11, 5]], image[[0, 28, 0]]);
        assert!(corner.with_margin(image.view(), 40).is_none());
    }

    #[test]
    fn hostile_crops_do_not_fit() {
        let crop = Crop {
            left: usize::MAX,
            top: 0,
            width: 2,
            height: 2,
        };
        assert!(!crop.fits(10, 10));
        assert!(Crop { left: 8, ..crop }.fits(10, 10));
        assert!(!Crop { left: 9, ..crop }.fits(10, 10));
        assert!(
            !Crop {
                left: 0,
                width: 0,
                ..crop
            }
            .fits(10, 10)
        );
    }
}
