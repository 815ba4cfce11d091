//! Two images, checked, as rows of the samples that a protocol compares.

use ndarray::{ArrayView3, s};

use crate::error::{Error, Result, Which};
use crate::protocol::{Colour, MetricProtocol, Rounding};

/// One image without its border; samples are made row by row when they are needed.
pub(crate) struct Samples<'a> {
    image: ArrayView3<'a, f32>,
    protocol: &'a MetricProtocol,
}

/// Checks protocol, shapes and values, and drops the border. At least `least` rows and columns must be left.
pub(crate) fn pair<'a>(
    first: ArrayView3<'a, f32>,
    second: ArrayView3<'a, f32>,
    protocol: &'a MetricProtocol,
    least: usize,
) -> Result<[Samples<'a>; 2]> {
    protocol.validate()?;
    let needed = protocol.border.saturating_mul(2).saturating_add(least);
    check_pair(&first, &second, needed)?;
    let border = protocol.border;
    let (_, height, width) = first.dim();
    let inside = |image: ArrayView3<'a, f32>| Samples {
        image: image.slice_move(s![.., border..height - border, border..width - border]),
        protocol,
    };
    Ok([inside(first), inside(second)])
}

/// Checks that two images can be compared: alike in shape, and each as [`check_image`] wants it.
pub(crate) fn check_pair(
    first: &ArrayView3<'_, f32>,
    second: &ArrayView3<'_, f32>,
    needed: usize,
) -> Result<()> {
    let shape = |image: &ArrayView3<'_, f32>| <[usize; 3]>::from(image.dim());
    if shape(first) != shape(second) {
        return Err(Error::ShapeMismatch {
            first: shape(first),
            second: shape(second),
        });
    }
    check_image(first, Which::First, needed)?;
    check_image(second, Which::Second, needed)
}

/// Checks that an image has three channels, at least `needed` rows and columns, and finite values.
pub(crate) fn check_image(image: &ArrayView3<'_, f32>, which: Which, needed: usize) -> Result<()> {
    let (channels, height, width) = image.dim();
    if channels != 3 {
        return Err(Error::NotRgb { channels });
    }
    if height < needed || width < needed {
        return Err(Error::ImageTooSmall {
            height,
            width,
            needed,
        });
    }
    if image.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    match image.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((channel, row, column), _)) => Err(Error::NonFinite {
            image: which,
            channel,
            row,
            column,
        }),
        None => Ok(()),
    }
}

/// Rows of samples of one image.
pub(crate) trait Rows: Sync {
    /// Number of planes compared.
    fn planes(&self) -> usize;
    /// Pixels.
    fn height(&self) -> usize;
    /// Pixels.
    fn width(&self) -> usize;
    /// Writes one row of one plane.
    fn row(&self, plane: usize, row: usize, target: &mut [f64]);
}

impl Rows for Samples<'_> {
    /// Three for RGB, one for luma.
    fn planes(&self) -> usize {
        match self.protocol.colour {
            Colour::Rgb => 3,
            Colour::Luma => 1,
        }
    }

    fn height(&self) -> usize {
        self.image.dim().1
    }

    fn width(&self) -> usize {
        self.image.dim().2
    }

    /// In units of the data range.
    fn row(&self, plane: usize, row: usize, target: &mut [f64]) {
        let range = self.protocol.data_range;
        match self.protocol.colour {
            Colour::Rgb => {
                for (target, &value) in target.iter_mut().zip(self.image.slice(s![plane, row, ..]))
                {
                    *target = self.scaled(value);
                }
            }
            Colour::Luma => {
                target.fill(16.0 * range / 255.0);
                for (channel, weight) in [65.481, 128.553, 24.966].into_iter().enumerate() {
                    for (target, &value) in
                        target
                            .iter_mut()
                            .zip(self.image.slice(s![channel, row, ..]))
                    {
                        *target += weight / 255.0 * self.scaled(value);
                    }
                }
            }
        }
    }
}

impl Samples<'_> {
    fn scaled(&self, value: f32) -> f64 {
        let range = self.protocol.data_range;
        let value = f64::from(value) * range;
        match self.protocol.rounding {
            Rounding::None => value,
            // Never negative here, so that truncation after adding one half rounds.
            Rounding::Whole => (value.clamp(0.0, range) + 0.5) as u64 as f64,
        }
    }
}
