//! What JPEG (ITU-T T.81, JFIF) does to a picture: the lossy steps without the file. A codec would do the same and
//! differ by a level here and there between its builds; this gives the same bytes everywhere.

use std::sync::OnceLock;

use ndarray::{Array2, Array3, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Problem, Result, samples, samples_mut};

/// Compression by JPEG.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jpeg {
    /// Quality on the scale of the Independent JPEG Group, 1 to 100.
    pub quality: u8,
    /// Resolution of the colour planes.
    #[serde(default)]
    pub chroma: Chroma,
}

/// Resolution of the two colour planes of a JPEG picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Chroma {
    /// That of the picture.
    #[default]
    #[serde(rename = "4:4:4")]
    Full,
    /// Half of it in both directions.
    #[serde(rename = "4:2:0")]
    Half,
}

const SIDE: usize = 8;
const BLOCK: usize = SIDE * SIDE;

/// Tables K.1 (luminance) and K.2 (chrominance) of ITU-T T.81.
const LUMINANCE: [u16; BLOCK] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMINANCE: [u16; BLOCK] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

impl Jpeg {
    /// Compresses and decompresses encoded samples in `[0, 1]`, `[C, H, W]`: three channels as RGB, any other number
    /// each as a grey picture. The result has 8 bits. Blocks are counted from the first row and column.
    pub(crate) fn apply(self, image: &Array3<f32>) -> Result<Array3<f32>> {
        let levels = image.mapv(to_level);
        let (channels, height, width) = levels.dim();
        let mut out = if channels == 3 {
            self.color(&levels)?
        } else {
            let mut out = Array3::zeros(levels.dim());
            for (channel, mut target) in levels.outer_iter().zip(out.outer_iter_mut()) {
                target.assign(&coded(channel, &self.table(&LUMINANCE))?);
            }
            out
        };
        debug_assert_eq!(out.dim(), (channels, height, width));
        out.mapv_inplace(|level| level / 255.0);
        Ok(out)
    }

    fn color(self, levels: &Array3<f32>) -> Result<Array3<f32>> {
        let (_, height, width) = levels.dim();
        let mut planes: [Array2<f32>; 3] = std::array::from_fn(|_| Array2::zeros((height, width)));
        for row in 0..height {
            for column in 0..width {
                let [r, g, b] = [0, 1, 2].map(|channel| levels[[channel, row, column]]);
                let converted = [
                    0.299 * r + 0.587 * g + 0.114 * b,
                    -0.168_735_9 * r - 0.331_264_1 * g + 0.5 * b + 128.0,
                    0.5 * r - 0.418_687_6 * g - 0.081_312_4 * b + 128.0,
                ];
                for (plane, value) in planes.iter_mut().zip(converted) {
                    plane[[row, column]] = rounded(value);
                }
            }
        }
        let [luma, blue, red] = planes;
        let luma = coded(luma.view(), &self.table(&LUMINANCE))?;
        let table = self.table(&CHROMINANCE);
        let [blue, red] = [blue, red].map(|plane| match self.chroma {
            Chroma::Full => coded(plane.view(), &table),
            Chroma::Half => Ok(doubled(
                &coded(halved(&plane).view(), &table)?,
                height,
                width,
            )),
        });
        let (blue, red) = (blue?, red?);
        let mut out = Array3::zeros(levels.dim());
        for row in 0..height {
            for column in 0..width {
                let at = [row, column];
                let (y, cb, cr) = (luma[at], blue[at] - 128.0, red[at] - 128.0);
                let converted = [
                    y + 1.402 * cr,
                    y - 0.344_136_3 * cb - 0.714_136_3 * cr,
                    y + 1.772 * cb,
                ];
                for (channel, value) in converted.into_iter().enumerate() {
                    out[[channel, row, column]] = rounded(value);
                }
            }
        }
        Ok(out)
    }

    /// A quantisation table scaled as the Independent JPEG Group does.
    fn table(self, base: &[u16; BLOCK]) -> [f32; BLOCK] {
        let quality = u32::from(self.quality);
        let scale = if quality < 50 {
            5000 / quality.max(1)
        } else {
            200 - 2 * quality
        };
        base.map(|step| ((u32::from(step) * scale + 50) / 100).clamp(1, 255) as f32)
    }

    pub(crate) fn problems(self) -> Vec<Problem> {
        if (1..=100).contains(&self.quality) {
            Vec::new()
        } else {
            vec![Problem::new("jpeg.quality", self.quality, "from 1 to 100")]
        }
    }
}

/// A sample in `[0, 1]` as one of the 256 levels.
fn to_level(value: f32) -> f32 {
    rounded(value * 255.0)
}

/// A level as it is stored: a whole number from 0 to 255.
fn rounded(value: f32) -> f32 {
    (value + 0.5).floor().clamp(0.0, 255.0)
}

/// `basis[frequency][position]` of the orthonormal cosine transform.
fn basis() -> &'static [[f32; SIDE]; SIDE] {
    static BASIS: OnceLock<[[f32; SIDE]; SIDE]> = OnceLock::new();
    BASIS.get_or_init(|| {
        std::array::from_fn(|frequency| {
            let scale = if frequency == 0 { 0.125_f64 } else { 0.25 }.sqrt();
            std::array::from_fn(|position| {
                let angle =
                    (2 * position + 1) as f64 * frequency as f64 * std::f64::consts::PI / 16.0;
                (scale * libm::cos(angle)) as f32
            })
        })
    })
}

/// A plane after its blocks went through transform and quantisation.
fn coded(plane: ArrayView2<'_, f32>, table: &[f32; BLOCK]) -> Result<Array2<f32>> {
    let (height, width) = plane.dim();
    if height == 0 || width == 0 {
        return Ok(plane.to_owned());
    }
    let plane = plane.as_standard_layout();
    let source = samples(plane.as_slice())?;
    let mut out = Array2::zeros((height, width));
    let target = samples_mut(out.as_slice_mut())?;
    target
        .par_chunks_mut(SIDE * width)
        .enumerate()
        .for_each(|(strip, target)| {
            for left in (0..width).step_by(SIDE) {
                // Blocks that reach over the border repeat the last row and column, as encoders do.
                let mut block = [[0.0_f32; SIDE]; SIDE];
                for (row, values) in block.iter_mut().enumerate() {
                    let row = (strip * SIDE + row).min(height - 1);
                    for (column, value) in values.iter_mut().enumerate() {
                        *value = source[row * width + (left + column).min(width - 1)] - 128.0;
                    }
                }
                let block = quantised(block, table);
                for (row, target) in target.chunks_mut(width).enumerate() {
                    for (column, target) in target[left..].iter_mut().take(SIDE).enumerate() {
                        *target = rounded(block[row][column] + 128.0);
                    }
                }
            }
        });
    Ok(out)
}

fn quantised(block: [[f32; SIDE]; SIDE], table: &[f32; BLOCK]) -> [[f32; SIDE]; SIDE] {
    let basis = basis();
    let mut half = [[0.0_f32; SIDE]; SIDE];
    let mut spectrum = [[0.0_f32; SIDE]; SIDE];
    for (row, values) in block.iter().enumerate() {
        for (frequency, wave) in basis.iter().enumerate() {
            half[row][frequency] = dot(values, wave);
        }
    }
    for column in 0..SIDE {
        let values: [f32; SIDE] = std::array::from_fn(|row| half[row][column]);
        for (frequency, wave) in basis.iter().enumerate() {
            let step = table[frequency * SIDE + column];
            spectrum[frequency][column] = (dot(&values, wave) / step).round() * step;
        }
    }
    let mut out = [[0.0_f32; SIDE]; SIDE];
    for column in 0..SIDE {
        for row in 0..SIDE {
            half[row][column] = (0..SIDE).fold(0.0, |sum, frequency| {
                sum + spectrum[frequency][column] * basis[frequency][row]
            });
        }
    }
    for row in 0..SIDE {
        for column in 0..SIDE {
            out[row][column] = (0..SIDE).fold(0.0, |sum, frequency| {
                sum + half[row][frequency] * basis[frequency][column]
            });
        }
    }
    out
}

fn dot(left: &[f32; SIDE], right: &[f32; SIDE]) -> f32 {
    left.iter()
        .zip(right)
        .fold(0.0, |sum, (left, right)| sum + left * right)
}

/// Means of 2 x 2 pixels, as the Independent JPEG Group takes them: one half is rounded down and up in turn, and the last
/// column is repeated to full blocks before the means are taken.
fn halved(plane: &Array2<f32>) -> Array2<f32> {
    let (height, width) = plane.dim();
    let columns = width.div_ceil(2 * SIDE) * SIDE;
    Array2::from_shape_fn((height.div_ceil(2), columns), |(row, column)| {
        let rows = [2 * row, (2 * row + 1).min(height - 1)];
        let columns = [2 * column, 2 * column + 1].map(|column| column.min(width - 1));
        let sum: f32 = rows
            .iter()
            .flat_map(|&row| columns.map(|column| plane[[row, column]]))
            .sum();
        let bias = if column % 2 == 0 { 1.0 } else { 2.0 };
        (0.25 * (sum + bias)).floor()
    })
}

/// Twice the size, each pixel three quarters from its own sample and one quarter from the next, in both directions
/// ("fancy upsampling").
fn doubled(plane: &Array2<f32>, height: usize, width: usize) -> Array2<f32> {
    let (rows, columns) = (plane.nrows(), width.div_ceil(2));
    let neighbour = |index: usize, size: usize| {
        let own = index / 2;
        let next = if index.is_multiple_of(2) {
            own.saturating_sub(1)
        } else {
            (own + 1).min(size - 1)
        };
        (own, next)
    };
    Array2::from_shape_fn((height, width), |(row, column)| {
        let (row, next_row) = neighbour(row, rows);
        let (column, next_column) = neighbour(column, columns);
        let own = 0.75 * plane[[row, column]] + 0.25 * plane[[next_row, column]];
        let next = 0.75 * plane[[row, next_column]] + 0.25 * plane[[next_row, next_column]];
        rounded(0.75 * own + 0.25 * next)
    })
}
