//! Alignment as the authors of RealBlur score it: Rim et al., "Real-World Blur Dataset for Learning and Benchmarking Deblurring
//! Algorithms", ECCV 2020, program `evaluation_RealBlur_ecc.py`.
//!
//! A restored photo may lie a little beside the sharp one, because the pair was taken through two lenses. Its brightness is
//! scaled by `sum(x z) / sum(z z)`, it is moved by the homography that makes the correlation with the sharp photo largest, and
//! only pixels that have come from inside of it are compared.

mod ecc;
mod warp;

use ndarray::ArrayView3;

use crate::error::{Error, Result};
use crate::protocol::MetricProtocol;
use crate::samples::{Rows, Samples, pair};
use crate::ssim;

/// Two images as they are compared. Values are in `[0, 1]`, those of the restored one a little beyond.
pub(crate) struct Aligned {
    restored: Planes,
    sharp: Planes,
    /// Where the restored image was inside.
    mask: Vec<bool>,
}

/// Samples of all channels, 0 where the mask is not set.
struct Planes {
    height: usize,
    width: usize,
    planes: Vec<Vec<f32>>,
}

/// A plane of numbers, row by row.
struct Grid {
    height: usize,
    width: usize,
    values: Vec<f32>,
}

/// Aligns the first image to the second. Equal images, after rounding, stay where they are, whatever is on them.
///
/// # Errors
/// Those of [`pair`], with sides of the window of SSIM at least; and [`Error::Alignment`] where there is no alignment: different
/// images of which one has no structure, that do not overlap, or that are too different.
pub(crate) fn align(
    restored: ArrayView3<'_, f32>,
    sharp: ArrayView3<'_, f32>,
    protocol: &MetricProtocol,
) -> Result<Aligned> {
    let pair = pair(restored, sharp, protocol, protocol.kernel.window)?;
    let [mut restored, mut sharp] = pair.map(|samples| Planes::of(&samples, protocol.data_range));
    if restored.planes == sharp.planes {
        // Nothing is better than no move; also where there is no structure by which a move could be found.
        let mask = vec![true; sharp.height * sharp.width];
        return Ok(Aligned {
            restored,
            sharp,
            mask,
        });
    }
    let sum = |a: &Planes, b: &Planes| -> f64 {
        let planes = a.planes.iter().flatten().zip(b.planes.iter().flatten());
        planes.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let power = sum(&restored, &restored);
    if power == 0.0 {
        return Err(Error::Alignment {
            reason: "the restored image is black",
        });
    }
    let brightness = (sum(&sharp, &restored) / power) as f32;
    restored
        .planes
        .iter_mut()
        .flatten()
        .for_each(|value| *value *= brightness);
    let homography = ecc::homography(&sharp.grey(), &restored.grey())?;
    let (height, width) = (sharp.height, sharp.width);
    let mask = warp::inside(&homography, height, width);
    for plane in &mut restored.planes {
        let moved = warp::cubic(plane, height, width, &homography);
        *plane = moved;
    }
    for plane in restored.planes.iter_mut().chain(&mut sharp.planes) {
        for (value, is_inside) in plane.iter_mut().zip(&mask) {
            if !is_inside {
                *value = 0.0;
            }
        }
    }
    Ok(Aligned {
        restored,
        sharp,
        mask,
    })
}

impl Aligned {
    /// PSNR over the pixels inside, in dB.
    ///
    /// # Errors
    /// [`Error::Alignment`] when there is none.
    pub(crate) fn psnr(&self) -> Result<f64> {
        let count = self.mask.iter().filter(|is_inside| **is_inside).count();
        if count == 0 {
            return Err(NO_OVERLAP);
        }
        let mut sum = 0.0;
        for (restored, sharp) in self.restored.planes.iter().zip(&self.sharp.planes) {
            for (restored, sharp) in restored.iter().zip(sharp) {
                let difference = f64::from(*sharp - *restored);
                sum += difference * difference;
            }
        }
        let mean = sum / (count * self.sharp.planes.len()) as f64;
        Ok(10.0 * (1.0 / mean).log10())
    }

    /// SSIM over the windows whose middle is inside.
    ///
    /// # Errors
    /// [`Error::Alignment`] when there is none.
    pub(crate) fn ssim(&self, protocol: &MetricProtocol) -> Result<f64> {
        ssim::mean(
            [&self.sharp, &self.restored],
            &protocol.kernel,
            1.0,
            Some(&self.mask),
        )
        .ok_or(NO_OVERLAP)
    }
}

const NO_OVERLAP: Error = Error::Alignment {
    reason: "they do not overlap",
};

impl Planes {
    fn of(samples: &Samples<'_>, data_range: f64) -> Self {
        let (height, width) = (samples.height(), samples.width());
        let mut row = vec![0.0; width];
        let planes = (0..samples.planes())
            .map(|plane| {
                let mut values = Vec::with_capacity(height * width);
                for y in 0..height {
                    samples.row(plane, y, &mut row);
                    values.extend(row.iter().map(|value| (value / data_range) as f32));
                }
                values
            })
            .collect();
        Self {
            height,
            width,
            planes,
        }
    }

    /// Grey as OpenCV makes it of red, green and blue; one channel is grey already.
    fn grey(&self) -> Grid {
        let values = match self.planes.as_slice() {
            [red, green, blue] => red
                .iter()
                .zip(green)
                .zip(blue)
                .map(|((red, green), blue)| 0.299 * red + 0.587 * green + 0.114 * blue)
                .collect(),
            planes => planes.first().cloned().unwrap_or_default(),
        };
        Grid {
            height: self.height,
            width: self.width,
            values,
        }
    }
}

impl Rows for Planes {
    fn planes(&self) -> usize {
        self.planes.len()
    }

    fn height(&self) -> usize {
        self.height
    }

    fn width(&self) -> usize {
        self.width
    }

    fn row(&self, plane: usize, row: usize, target: &mut [f64]) {
        let start = row * self.width;
        let values = &self.planes[plane][start..start + self.width];
        for (target, value) in target.iter_mut().zip(values) {
            *target = f64::from(*value);
        }
    }
}
