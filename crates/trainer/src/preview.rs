//! The preview sheet: one fixed pair of every set, as the network restores it now.

use image_quality::{MetricProtocol, psnr};
use ms_guidance::GuidedUNet;
use ndarray::{Array3, s};
use tch::{Device, Tensor};

use crate::Result;
use crate::labels::{LINE, draw_text};
use crate::restore::{Restoration, to_arrays};
use crate::validation::Validation;

/// Steps of the sample where validation draws none.
const SAMPLE_STEPS: usize = 8;
/// Smaller crops are shown enlarged, of larger ones the middle.
const LEAST_SIDE: usize = 128;
const MOST_SIDE: usize = 256;
const GAP: usize = 6;
/// Least width of a column in pixels: its heading has to fit.
const LEAST_COLUMN: usize = 128;
const PAPER: f32 = 1.0;

/// A picture with what is written above its column and below it.
struct Cell {
    heading: String,
    image: Array3<f32>,
    caption: String,
}

/// The rows of a sheet and what is written above them.
struct Row {
    name: String,
    cells: Vec<Cell>,
}

/// Draws the sheet `[3, H, W]` in [0, 1], with a line of `title` above.
///
/// # Errors
/// If the network's output is not finite, or libtorch is out of memory.
pub(crate) fn sheet(
    title: &str,
    validation: &Validation,
    model: &GuidedUNet,
    device: Device,
    sample_steps: usize,
) -> Result<Array3<f32>> {
    let _no_grad = tch::no_grad_guard();
    let protocol = MetricProtocol::rgb();
    let steps = match sample_steps {
        0 => SAMPLE_STEPS,
        steps => steps,
    };
    let mut rows = Vec::new();
    for (name, (pair, seed)) in validation.examples() {
        let seeds = [seed];
        let restoration = Restoration::new(model, &[pair], &seeds, device)?;
        let mut cells = Vec::new();
        let mut compare = |heading: String, image: &Array3<f32>| -> Result<()> {
            let psnr = psnr(image.view(), pair.sharp.view(), &protocol)?;
            cells.push(Cell {
                heading,
                caption: format!("{psnr:.2} dB"),
                image: shown(image),
            });
            Ok(())
        };
        compare("blurry".into(), &pair.blurry)?;
        for mean in restoration.mean()? {
            compare("mean".into(), &mean)?;
        }
        for sample in restoration.sample(steps)? {
            compare(format!("{steps} steps"), &sample)?;
        }
        cells.push(Cell {
            heading: "sharp".into(),
            image: shown(&pair.sharp),
            caption: String::new(),
        });
        let (_, height, width) = pair.sharp.dim();
        for (index, [blurry, predicted, sharp]) in restoration.structure()?.iter().enumerate() {
            let gain = structure_psnr(predicted, sharp)? - structure_psnr(blurry, sharp)?;
            for image in to_arrays(predicted)? {
                cells.push(Cell {
                    heading: format!("guidance 1/{}", 2u32 << index),
                    image: shown(&enlarged(&image, 2 << index, height, width)),
                    caption: format!("gain {gain:+.2} dB"),
                });
            }
        }
        rows.push(Row {
            name: name.to_owned(),
            cells,
        });
    }
    Ok(arrange(title, &rows))
}

fn structure_psnr(image: &Tensor, sharp: &Tensor) -> Result<f64> {
    let square = image.f_sub(sharp)?.f_square()?.f_mean(tch::Kind::Double)?;
    Ok(10.0 * (4.0 / square.f_double_value(&[])?).log10())
}

/// Every pixel `factor` times, as `[3, height, width]`; the last ones again where there are too few.
fn enlarged(image: &Array3<f32>, factor: usize, height: usize, width: usize) -> Array3<f32> {
    let (channels, rows, columns) = image.dim();
    Array3::from_shape_fn((3, height, width), |(channel, y, x)| {
        let (y, x) = ((y / factor).min(rows - 1), (x / factor).min(columns - 1));
        image[(channel.min(channels - 1), y, x)]
    })
}

/// The part that is shown, in the size in which it is shown.
fn shown(image: &Array3<f32>) -> Array3<f32> {
    let (_, height, width) = image.dim();
    let middle = |side: usize| {
        let shown = side.min(MOST_SIDE);
        let first = (side - shown) / 2;
        first..first + shown
    };
    let part = image
        .slice(s![.., middle(height), middle(width)])
        .to_owned();
    let (_, height, width) = part.dim();
    match LEAST_SIDE.div_ceil(height.min(width).max(1)) {
        0 | 1 => part,
        factor => enlarged(&part, factor, height * factor, width * factor),
    }
}

/// Puts the rows on paper.
fn arrange(title: &str, rows: &[Row]) -> Array3<f32> {
    let cells = || rows.iter().flat_map(|row| &row.cells);
    let columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    let cell_width = cells().map(|cell| cell.image.dim().2).max().unwrap_or(0);
    let column_width = cell_width.max(LEAST_COLUMN) + GAP;
    let row_height = |row: &Row| {
        let pictures = row.cells.iter().map(|cell| cell.image.dim().1).max();
        LINE + pictures.unwrap_or(0) + LINE + GAP
    };
    let top = GAP + LINE + GAP + LINE;
    let height = top + rows.iter().map(row_height).sum::<usize>() + GAP;
    let width = GAP + column_width * columns.max(2);
    let mut sheet = Array3::from_elem((3, height, width), PAPER);
    draw_text(&mut sheet, GAP, GAP, title);
    // All rows are of one model, so they have the same columns.
    let headings = rows.first().into_iter().flat_map(|row| &row.cells);
    for (column, cell) in headings.enumerate() {
        let left = GAP + column * column_width;
        draw_text(&mut sheet, top - LINE, left, &cell.heading);
    }
    let mut row_top = top;
    for row in rows {
        draw_text(&mut sheet, row_top, GAP, &row.name);
        for (column, cell) in row.cells.iter().enumerate() {
            let left = GAP + column * column_width;
            let (_, height, width) = cell.image.dim();
            let picture_top = row_top + LINE;
            let place = s![.., picture_top..picture_top + height, left..left + width];
            let clamped = cell.image.mapv(|value| value.clamp(0.0, 1.0));
            sheet.slice_mut(place).assign(&clamped);
            draw_text(&mut sheet, picture_top + height, left, &cell.caption);
        }
        row_top += row_height(row);
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(value: f32, side: usize) -> Cell {
        Cell {
            heading: "a".into(),
            image: shown(&Array3::from_elem((3, side, side), value)),
            caption: "b".into(),
        }
    }

    #[test]
    fn pictures_lie_in_their_columns() {
        let row = |first, second| Row {
            name: "row".into(),
            cells: vec![cell(first, 32), cell(second, 32)],
        };
        let sheet = arrange("title", &[row(0.25, 0.5), row(0.75, 2.0)]);
        let (_, height, width) = sheet.dim();
        let step = LINE + 128 + LINE + GAP;
        assert_eq!(
            (height, width),
            (3 * GAP + 2 * LINE + 2 * step, GAP + 2 * 134)
        );
        let centre = |row: usize, column: usize| {
            sheet[(
                1,
                2 * GAP + 3 * LINE + row * step + 64,
                GAP + column * 134 + 64,
            )]
        };
        assert_eq!(
            [centre(0, 0), centre(0, 1), centre(1, 0)],
            [0.25, 0.5, 0.75]
        );
        assert_eq!(centre(1, 1), 1.0, "clamped");
    }

    #[test]
    fn small_crops_are_enlarged_and_large_ones_show_their_middle() {
        assert_eq!(cell(0.5, 32).image.dim(), (3, 128, 128));
        assert_eq!(cell(0.5, 100).image.dim(), (3, 200, 200));
        assert_eq!(cell(0.5, 128).image.dim(), (3, 128, 128));
        let ramp = Array3::from_shape_fn((3, 300, 300), |(_, y, _)| y as f32);
        let part = shown(&ramp);
        assert_eq!(part.dim(), (3, 256, 256));
        assert_eq!((part[(0, 0, 0)], part[(0, 255, 0)]), (22.0, 277.0));
        let grey = Array3::from_shape_fn((1, 2, 2), |(_, y, x)| (2 * y + x) as f32);
        let large = enlarged(&grey, 2, 5, 4);
        assert_eq!((large[(2, 0, 3)], large[(0, 3, 0)]), (1.0, 2.0));
        // A row that the coarse picture does not reach.
        assert_eq!(large[(0, 4, 3)], 3.0);
    }
}
