//! The sheet of photos before and after: whole, and a detail enlarged.

use anyhow::Result;
use image_io::Photo;
use ndarray::{Array3, ArrayView3, s};

use super::Case;
use crate::canvas::{Canvas, magnify, shrink};

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
    let mut sheet = Canvas::new(height, width);
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
    Ok(sheet.into_photo())
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
fn detail(photo: &Photo, place: (f32, f32)) -> ArrayView3<'_, f32> {
    part(photo.pixels.view(), place, DETAIL / ZOOM, PANEL / ZOOM)
}

/// `rows` × `columns` pixels that begin at shares of width and height, or as near to that as they fit; fewer of a smaller picture.
pub(super) fn part(
    image: ArrayView3<'_, f32>,
    (x, y): (f32, f32),
    rows: usize,
    columns: usize,
) -> ArrayView3<'_, f32> {
    let (_, height, width) = image.dim();
    let (rows, columns) = (rows.min(height), columns.min(width));
    let top = ((y * height as f32) as usize).min(height - rows);
    let left = ((x * width as f32) as usize).min(width - columns);
    image.slice_move(s![.., top..top + rows, left..left + columns])
}

fn enlarge(image: ArrayView3<'_, f32>) -> Array3<f32> {
    let (_, height, width) = image.dim();
    magnify(image, height * ZOOM, width * ZOOM)
}

#[cfg(test)]
mod tests {
    use super::super::{measure, recipes};
    use super::*;
    use crate::canvas::{INK, PAPER};
    use image_io::{Format, PhotoInfo};

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
