//! The sheet of photos before and after: whole, and a detail enlarged.

use std::convert::Infallible;

use anyhow::Result;
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

use super::Case;

/// Width of each picture on the sheet, in pixels.
const PANEL: usize = 420;
/// Between pictures.
const GAP: usize = 12;
/// Height of a line of text above a row of pictures.
const TITLE: usize = 34;
const LABEL: usize = 22;
/// Each pixel of a detail becomes a square of this side, so that nothing is smoothed.
const ZOOM: usize = 3;
/// Height of a detail on the sheet.
const DETAIL: usize = 300;
const PAPER: f32 = 1.0;
const INK: f32 = 0.13;

/// Draws blurry, restored and, where there is one, sharp beside each other for each case.
pub(super) fn draw(cases: &[Case]) -> Result<Photo> {
    let columns = 3;
    let width = columns * PANEL + (columns + 1) * GAP;
    let heights: Vec<usize> = cases
        .iter()
        .map(|case| whole_height(&case.blurry))
        .collect();
    let height = heights
        .iter()
        .map(|whole| TITLE + LABEL + whole + GAP + DETAIL + 2 * GAP)
        .sum::<usize>()
        + GAP;
    let mut sheet = Sheet {
        pixels: Array3::from_elem((3, height, width), PAPER),
    };
    let mut top = GAP;
    for (case, whole) in cases.iter().zip(heights) {
        sheet.write(GAP, top + 6, &title(case), true);
        top += TITLE;
        let photos = [
            Some(&case.blurry),
            Some(&case.restored),
            case.sharp.as_ref(),
        ];
        for (column, (photo, label)) in photos.into_iter().zip(labels(case)).enumerate() {
            let Some(photo) = photo else { continue };
            let left = GAP + column * (PANEL + GAP);
            sheet.write(left, top + 2, &label, false);
            sheet.paste(
                left,
                top + LABEL,
                &shrink(photo.pixels.view(), whole, PANEL),
            );
            let detail = enlarge(detail(photo, case.recipe.detail));
            sheet.paste(left, top + LABEL + whole + GAP, &detail);
        }
        top += LABEL + whole + GAP + DETAIL + 2 * GAP;
    }
    Ok(Photo {
        pixels: sheet.pixels,
        alpha: None,
        info: PhotoInfo::new(Format::Png),
    })
}

fn title(case: &Case) -> String {
    format!("{}: {}", case.recipe.photo, case.recipe.blur)
}

fn labels(case: &Case) -> [String; 3] {
    match &case.measured {
        Some(measured) => [
            format!("blurry, PSNR {:.2} dB", measured.psnr_before),
            format!(
                "restored, PSNR {:.2} dB ({:+.2})",
                measured.psnr_after,
                measured.psnr_after - measured.psnr_before
            ),
            "sharp, the original".to_owned(),
        ],
        None => [
            "blurry, as the camera took it".to_owned(),
            "restored".to_owned(),
            String::new(),
        ],
    }
}

/// The height of a whole photo that is as wide as a panel.
fn whole_height(photo: &Photo) -> usize {
    (photo.height() * PANEL)
        .div_ceil(photo.width().max(1))
        .max(1)
}

/// The part of a photo that is shown enlarged.
fn detail(photo: &Photo, (x, y): (f32, f32)) -> ArrayView3<'_, f32> {
    let (height, width) = (photo.height(), photo.width());
    let (rows, columns) = ((DETAIL / ZOOM).min(height), (PANEL / ZOOM).min(width));
    let top = ((y * height as f32) as usize).min(height - rows);
    let left = ((x * width as f32) as usize).min(width - columns);
    photo
        .pixels
        .slice(s![.., top..top + rows, left..left + columns])
}

fn enlarge(image: ArrayView3<'_, f32>) -> Array3<f32> {
    let (channels, height, width) = image.dim();
    Array3::from_shape_fn(
        (channels, height * ZOOM, width * ZOOM),
        |(channel, y, x)| image[[channel, y / ZOOM, x / ZOOM]],
    )
}

/// Resamples to `[C, height, width]`; each value is the mean over the area that it covers.
fn shrink(image: ArrayView3<'_, f32>, height: usize, width: usize) -> Array3<f32> {
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
struct Sheet {
    pixels: Array3<f32>,
}

impl Sheet {
    fn paste(&mut self, left: usize, top: usize, image: &Array3<f32>) {
        let (_, height, width) = image.dim();
        self.pixels
            .slice_mut(s![.., top..top + height, left..left + width])
            .assign(image);
    }

    fn write(&mut self, left: usize, top: usize, text: &str, is_title: bool) {
        let font = if is_title { &FONT_10X20 } else { &FONT_9X15 };
        let style = MonoTextStyle::new(font, BinaryColor::On);
        let place = Point::new(left as i32, top as i32);
        // Drawing on an array cannot fail.
        let Ok(_) = Text::with_baseline(text, place, style, Baseline::Top).draw(self);
    }
}

impl OriginDimensions for Sheet {
    fn size(&self) -> Size {
        let (_, height, width) = self.pixels.dim();
        Size::new(width as u32, height as u32)
    }
}

impl DrawTarget for Sheet {
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
    use super::super::{measure, recipes};
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

    #[test]
    fn the_sheet_shows_every_photo_where_it_belongs() {
        let photo = |value: f32| Photo {
            pixels: Array3::from_elem((3, 200, 300), value),
            alpha: None,
            info: PhotoInfo::new(Format::Png),
        };
        let cases: Vec<Case> = recipes::all()
            .into_iter()
            .map(|recipe| {
                let sharp = recipe.degradation.is_some().then(|| photo(0.6));
                let measured = sharp
                    .as_ref()
                    .map(|sharp| measure::measure(sharp, &photo(0.2), &photo(0.4)).unwrap());
                Case {
                    recipe,
                    blurry: photo(0.2),
                    restored: photo(0.4),
                    sharp,
                    measured,
                }
            })
            .collect();
        let sheet = draw(&cases).unwrap();
        let whole = whole_height(&cases[0].blurry);
        for (column, value) in [0.2, 0.4, 0.6].into_iter().enumerate() {
            let x = GAP + column * (PANEL + GAP) + PANEL / 2;
            assert!((sheet.pixels[[0, GAP + TITLE + LABEL + whole / 2, x]] - value).abs() < 1e-6);
            assert!(
                (sheet.pixels[[0, GAP + TITLE + LABEL + whole + GAP + DETAIL / 2, x]] - value)
                    .abs()
                    < 1e-6
            );
        }
        // The last photo is real: its third place is empty paper.
        let bottom = sheet.height() - 3 * GAP - DETAIL / 2;
        assert_eq!(
            sheet.pixels[[0, bottom, GAP + 2 * (PANEL + GAP) + PANEL / 2]],
            PAPER
        );
        assert!(
            sheet.pixels.iter().any(|value| *value == INK),
            "there is text"
        );
    }
}
