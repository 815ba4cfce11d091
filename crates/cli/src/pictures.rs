//! The pictures besides the restored photo.

use image_io::{ColorModel, Format, Photo, PhotoInfo};
use ndarray::{Array2, Array3, ArrayView3, s};

/// Pixels between before and after.
const GAP: usize = 8;

/// Matplotlib's "inferno" (CC0) at nine equal distances: dark to bright, even in steps of lightness, safe for colour-blind readers.
const INFERNO: [[u8; 3]; 9] = [
    [0x00, 0x00, 0x04],
    [0x21, 0x0c, 0x4a],
    [0x56, 0x10, 0x6e],
    [0x89, 0x22, 0x6a],
    [0xbb, 0x37, 0x54],
    [0xe3, 0x59, 0x33],
    [0xf9, 0x8c, 0x0a],
    [0xf9, 0xc9, 0x32],
    [0xfc, 0xff, 0xa4],
];

/// A heat map, and the value that its brightest colour stands for.
pub(crate) struct HeatMap {
    pub(crate) photo: Photo,
    pub(crate) brightest: f32,
}

/// Colours for `spread` `[H, W]`: 0 is black, the 99.9th percentile and above the brightest.
pub(crate) fn heat_map(spread: &Array2<f32>) -> HeatMap {
    let mut values: Vec<f32> = spread.iter().copied().collect();
    let rank = (values.len().saturating_sub(1) as f64 * 0.999) as usize;
    let brightest = if values.is_empty() {
        0.0
    } else {
        *values.select_nth_unstable_by(rank, f32::total_cmp).1
    };
    let scale = if brightest > 0.0 {
        1.0 / brightest
    } else {
        0.0
    };
    let (height, width) = spread.dim();
    let mut pixels = Array3::zeros((3, height, width));
    for (channel, mut plane) in pixels.outer_iter_mut().enumerate() {
        plane.zip_mut_with(spread, |pixel, value| {
            *pixel = color(value * scale)[channel]
        });
    }
    HeatMap {
        photo: picture(pixels, ColorModel::Rgb),
        brightest,
    }
}

/// The colour for a value, clamped to [0, 1].
fn color(value: f32) -> [f32; 3] {
    let position = value.clamp(0.0, 1.0) * (INFERNO.len() - 1) as f32;
    let below = (position as usize).min(INFERNO.len() - 2);
    let share = position - below as f32;
    std::array::from_fn(|channel| {
        let (from, to) = (
            f32::from(INFERNO[below][channel]),
            f32::from(INFERNO[below + 1][channel]),
        );
        (from + share * (to - from)) / 255.0
    })
}

/// A grey picture of `[H, W]` in [0, 1].
pub(crate) fn gray(values: &Array2<f32>) -> Photo {
    let (height, width) = values.dim();
    let mut pixels = Array3::zeros((3, height, width));
    for mut plane in pixels.outer_iter_mut() {
        plane.assign(values);
    }
    picture(pixels, ColorModel::Gray)
}

/// Before and after, side by side with a white gap. Bit depth, colours and ICC profile are those of `original`.
pub(crate) fn compare(original: &Photo, after: ArrayView3<'_, f32>) -> Photo {
    let (height, width) = (original.height(), original.width());
    let mut pixels = Array3::ones((3, height, 2 * width + GAP));
    pixels
        .slice_mut(s![.., .., ..width])
        .assign(&original.pixels);
    pixels.slice_mut(s![.., .., width + GAP..]).assign(&after);
    let mut info = PhotoInfo::new(Format::Png);
    info.bit_depth = original.info.bit_depth;
    info.color = original.info.color;
    info.icc_profile = original.info.icc_profile.clone();
    Photo {
        pixels,
        alpha: None,
        info,
    }
}

fn picture(pixels: Array3<f32>, color: ColorModel) -> Photo {
    let mut info = PhotoInfo::new(Format::Png);
    info.color = color;
    Photo {
        pixels,
        alpha: None,
        info,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heat_map_rises_in_lightness() {
        let spread = Array2::from_shape_fn((1, 256), |(_, x)| x as f32 / 1000.0);
        let map = heat_map(&spread);
        assert!((map.brightest - 0.254).abs() < 1e-6, "{}", map.brightest);
        let lightness = |x: usize| {
            0.299 * map.photo.pixels[[0, 0, x]]
                + 0.587 * map.photo.pixels[[1, 0, x]]
                + 0.114 * map.photo.pixels[[2, 0, x]]
        };
        assert!((1..=254).all(|x| lightness(x) > lightness(x - 1)));
        assert!(
            heat_map(&Array2::zeros((2, 2)))
                .photo
                .pixels
                .iter()
                .all(|value| *value < 0.02)
        );
    }

    #[test]
    fn before_is_left_and_after_is_right() {
        let before = picture(Array3::from_elem((3, 2, 5), 0.25), ColorModel::Gray);
        let sheet = compare(&before, Array3::from_elem((3, 2, 5), 0.75).view());
        assert_eq!(sheet.pixels.dim(), (3, 2, 18));
        assert_eq!(sheet.pixels[[1, 1, 4]], 0.25);
        assert_eq!(sheet.pixels[[1, 1, 5]], 1.0);
        assert_eq!(sheet.pixels[[1, 1, 13]], 0.75);
        assert_eq!(sheet.info.color, ColorModel::Gray);
    }
}
