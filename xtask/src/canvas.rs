//! A sheet of paper for pictures and their labels.

use std::convert::Infallible;

use embedded_graphics::Drawable;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::iso_8859_1::{FONT_9X15, FONT_10X20};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::text::{Baseline, Text};
use image_io::{Format, Photo, PhotoInfo};
use ndarray::{Array3, ArrayView3, s};

/// White.
pub(crate) const PAPER: f32 = 1.0;
/// Nearly black.
pub(crate) const INK: f32 = 0.13;

/// Resamples to `[C, height, width]`; each value is the mean over the area that it covers.
pub(crate) fn shrink(image: ArrayView3<'_, f32>, height: usize, width: usize) -> Array3<f32> {
    let (channels, rows, columns) = image.dim();
    let across = spans(columns, width);
    let down = spans(rows, height);
    let narrow = Array3::from_shape_fn((channels, rows, width), |(channel, y, x)| {
        across[x]
            .iter()
            .map(|&(from, weight)| weight * image[[channel, y, from]])
            .sum::<f32>()
    });
    Array3::from_shape_fn((channels, height, width), |(channel, y, x)| {
        down[y]
            .iter()
            .map(|&(from, weight)| weight * narrow[[channel, from, x]])
            .sum::<f32>()
    })
}

/// Repeats pixels until the image is `[C, height, width]`; nothing is smoothed.
pub(crate) fn magnify(image: ArrayView3<'_, f32>, height: usize, width: usize) -> Array3<f32> {
    let (channels, rows, columns) = image.dim();
    Array3::from_shape_fn((channels, height, width), |(channel, y, x)| {
        image[[channel, y * rows / height, x * columns / width]]
    })
}

/// For each of `to` places the source places under it with their shares, which sum to 1.
fn spans(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let scale = from as f64 / to as f64;
    (0..to)
        .map(|index| {
            let (start, end) = (index as f64 * scale, (index as f64 + 1.0) * scale);
            (start.floor() as usize..(end.ceil() as usize).min(from))
                .map(|place| {
                    let covered = end.min(place as f64 + 1.0) - start.max(place as f64);
                    (place, (covered / scale) as f32)
                })
                .filter(|(_, weight)| *weight > 0.0)
                .collect()
        })
        .collect()
}

/// Pixels that can be written on.
pub(crate) struct Canvas {
    pixels: Array3<f32>,
}

impl Canvas {
    /// White paper.
    pub(crate) fn new(height: usize, width: usize) -> Self {
        Self {
            pixels: Array3::from_elem((3, height, width), PAPER),
        }
    }

    /// The finished picture.
    pub(crate) fn into_photo(self) -> Photo {
        Photo {
            pixels: self.pixels,
            alpha: None,
            info: PhotoInfo::new(Format::Png),
        }
    }

    /// Copies a picture of three channels that fits.
    pub(crate) fn paste(&mut self, left: usize, top: usize, image: &Array3<f32>) {
        let (_, height, width) = image.dim();
        self.pixels
            .slice_mut(s![.., top..top + height, left..left + width])
            .assign(image);
    }

    /// Writes one line of text, larger for a title.
    pub(crate) fn write(&mut self, left: usize, top: usize, text: &str, is_title: bool) {
        let font = if is_title { &FONT_10X20 } else { &FONT_9X15 };
        let style = MonoTextStyle::new(font, BinaryColor::On);
        let place = Point::new(left as i32, top as i32);
        // Drawing on an array cannot fail.
        let Ok(_) = Text::with_baseline(text, place, style, Baseline::Top).draw(self);
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        let (_, height, width) = self.pixels.dim();
        Size::new(width as u32, height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Infallible> {
        for Pixel(place, colour) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(place.x), usize::try_from(place.y)) else {
                continue;
            };
            for channel in 0..3 {
                if let Some(value) = self.pixels.get_mut((channel, y, x)) {
                    *value = if colour.is_on() { INK } else { PAPER };
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_keeps_the_mean() {
        let image = Array3::from_shape_fn((3, 10, 14), |(channel, y, x)| {
            (channel + 2 * y + 3 * x) as f32
        });
        let small = shrink(image.view(), 4, 5);
        assert_eq!(small.dim(), (3, 4, 5));
        let difference = image.mean().unwrap() - small.mean().unwrap();
        assert!(difference.abs() < 1e-4, "{difference}");
    }

    #[test]
    fn a_wider_target_repeats_pixels() {
        let image = Array3::from_shape_fn((1, 1, 2), |(_, _, x)| x as f32);
        assert_eq!(
            shrink(image.view(), 1, 4).into_raw_vec_and_offset().0,
            [0.0, 0.0, 1.0, 1.0]
        );
    }
}
