//! Blur by a turn or a zoom of the whole picture.

use ndarray::{Array3, ArrayView3};

use crate::error::{Error, Result, samples};
use crate::kernel::checked_radius;
use crate::planes::{Bilinear, by_rows, padded};

/// Instants of the exposure for each pixel of way: bilinear reading needs at least one, two make the sum smooth.
const INSTANTS_PER_PIXEL: f64 = 2.0;

/// How the picture moves about its centre.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Warp {
    /// It turns.
    Rotation,
    /// It grows.
    Zoom,
}

/// Real pixels around each output pixel that a warp reads: half the way, a little more for the curve of an arc (at most
/// a radian), and one for reading between pixels.
pub(crate) fn margin(extent: f64) -> Result<usize> {
    checked_radius(0.55 * extent + 1.0)
}

impl Warp {
    /// Where the light of a pixel comes from in the course of the exposure: `count` complex factors `[re, im]` for the
    /// offset from the centre. Their mean is 1, so that nothing is shifted on average.
    fn factors(self, amount: f64, count: usize) -> Vec<[f64; 2]> {
        let instants = (0..count).map(|index| amount * ((index as f64 + 0.5) / count as f64 - 0.5));
        match self {
            Self::Zoom => instants.map(|change| [1.0 + change, 0.0]).collect(),
            Self::Rotation => {
                let turns: Vec<[f64; 2]> = instants
                    .map(|angle| {
                        let (sine, cosine) = libm::sincos(angle);
                        [cosine, sine]
                    })
                    .collect();
                // The mean of an arc lies inside the circle; a slightly larger circle puts it on the pixel.
                let mean = turns.iter().map(|turn| turn[0]).sum::<f64>() / count as f64;
                turns
                    .iter()
                    .map(|turn| [turn[0] / mean, turn[1] / mean])
                    .collect()
            }
        }
    }

    /// Averages `light` `[C, H, W]` over the exposure; the result is `[C, H - 2 * inset, W - 2 * inset]`, the inside.
    pub(crate) fn apply(
        self,
        light: ArrayView3<'_, f32>,
        extent: f64,
        center: [f64; 2],
        inset: usize,
    ) -> Result<Array3<f32>> {
        let (channels, height, width) = light.dim();
        let margin = margin(extent)?;
        let center = [
            center[0] * (width as f64 - 1.0),
            center[1] * (height as f64 - 1.0),
        ];
        let farthest = |y: f64| {
            let x = center[0].abs().max((width as f64 - 1.0 - center[0]).abs());
            (x * x + (y - center[1]) * (y - center[1])).sqrt()
        };
        let radius = farthest(0.0).max(farthest(height as f64 - 1.0));
        // A turn by more than a radian, or a zoom to less than half, is no blur of this extent any more.
        if extent > radius {
            let needed = extent.ceil() as usize + 1;
            return Err(Error::ImageTooSmall {
                height,
                width,
                margin,
                needed,
            });
        }
        let source = padded(light, margin)?;
        let (_, source_height, source_width) = source.dim();
        let planes = samples(source.as_slice())?;
        let plane = source_height * source_width;
        let (rows, columns) = (height - 2 * inset, width - 2 * inset);
        by_rows((channels, rows, columns), |row, sums| {
            let y = (row + inset) as f64;
            let way = extent * farthest(y) / radius;
            let count = (INSTANTS_PER_PIXEL * way).ceil() as usize + 1;
            let factors = self.factors(extent / radius, count);
            for column in 0..columns {
                let offset = [(column + inset) as f64 - center[0], y - center[1]];
                for [re, im] in &factors {
                    let place = [
                        center[0] + offset[0] * re - offset[1] * im + margin as f64,
                        center[1] + offset[0] * im + offset[1] * re + margin as f64,
                    ];
                    let bilinear = Bilinear::new(place, source_height, source_width);
                    for channel in 0..channels {
                        sums[channel * columns + column] +=
                            f64::from(bilinear.sample(&planes[channel * plane..], source_width));
                    }
                }
            }
            count
        })
    }
}
