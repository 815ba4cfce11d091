//! Text on pictures.

use ndarray::Array3;
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

const WEIGHT: FontWeight = FontWeight::Regular;
const SIZE: RasterHeight = RasterHeight::Size16;

/// Height of a line of text in pixels.
pub(crate) const LINE: usize = SIZE.val();

/// Draws `text` in black with the upper left corner at (`top`, `left`) of `canvas` `[3, H, W]`. What has no place is cut off; what is
/// not ASCII becomes a question mark.
pub(crate) fn draw_text(canvas: &mut Array3<f32>, top: usize, left: usize, text: &str) {
    let width = get_raster_width(WEIGHT, SIZE);
    for (index, character) in text.chars().enumerate() {
        let glyph = get_raster(character, WEIGHT, SIZE).or_else(|| get_raster('?', WEIGHT, SIZE));
        let Some(glyph) = glyph else { continue };
        for (row, line) in glyph.rows().enumerate() {
            for (column, ink) in line.iter().enumerate() {
                let place = (top + row, left + index * width + column);
                for channel in 0..3 {
                    if let Some(pixel) = canvas.get_mut((channel, place.0, place.1)) {
                        *pixel *= 1.0 - f32::from(*ink) / 255.0;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_ink_inside_of_their_line_and_what_is_outside_is_cut() {
        let mut canvas = Array3::<f32>::ones((3, LINE + 8, 40));
        draw_text(&mut canvas, 4, 2, "I\u{6b63} longer than the canvas");
        let dark = |canvas: &Array3<f32>| canvas.iter().filter(|value| **value < 0.5).count();
        assert!(dark(&canvas) > 60);
        for ((_, y, x), value) in canvas.indexed_iter() {
            let inside = (4..4 + LINE).contains(&y) && x >= 2;
            assert!(inside || *value == 1.0, "{y} {x}");
        }
        let mut blank = Array3::<f32>::ones((3, LINE, 40));
        draw_text(&mut blank, 0, 0, "   ");
        assert_eq!(dark(&blank), 0);
    }
}
