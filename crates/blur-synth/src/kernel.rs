//! The blur kernel (point spread function).

use ndarray::{Array2, Array3, ArrayView3};

use crate::convolve;
use crate::error::{Error, Problem, Result};

/// Largest supported kernel radius, in pixels.
pub const MAX_KERNEL_RADIUS: usize = 128;

/// An odd square kernel: non-negative taps that sum to 1, centroid in the middle within 0.05 pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    taps: Array2<f32>,
    /// The one factor of a kernel that is the outer product of a vector with itself.
    factor: Option<Vec<f32>>,
}

/// The sum of the weights, refused when nothing can be normalised by it.
fn checked_sum<'a>(weights: impl IntoIterator<Item = &'a f64>) -> Result<f64> {
    let sum = weights.into_iter().sum();
    if sum > 0.0 && f64::is_finite(sum) {
        return Ok(sum);
    }
    Err(Error::InvalidParameters {
        problems: vec![Problem::new("kernel sum", sum, "finite and greater than 0")],
    })
}

impl Kernel {
    /// Normalises non-negative weights and trims empty borders.
    pub(crate) fn from_weights(weights: Array2<f64>) -> Result<Self> {
        let sum = checked_sum(&weights)?;
        let taps = weights.mapv(|weight| (weight / sum) as f32);
        Ok(Self {
            taps: trimmed(taps),
            factor: None,
        })
    }

    /// The outer product of `factor` with itself, normalised.
    pub(crate) fn from_separable(factor: Vec<f64>) -> Result<Self> {
        let sum = checked_sum(&factor)?;
        let factor: Vec<f64> = factor.into_iter().map(|weight| weight / sum).collect();
        let side = factor.len();
        let taps = Array2::from_shape_fn((side, side), |(row, column)| {
            (factor[row] * factor[column]) as f32
        });
        let taps = trimmed(taps);
        let cut = (side - taps.nrows()) / 2;
        let factor = factor[cut..side - cut]
            .iter()
            .map(|&weight| weight as f32)
            .collect();
        Ok(Self {
            taps,
            factor: Some(factor),
        })
    }

    /// The taps, `[2 * radius + 1, 2 * radius + 1]` (rows, columns).
    #[must_use]
    pub fn taps(&self) -> &Array2<f32> {
        &self.taps
    }

    /// Pixels from the middle tap to the border.
    #[must_use]
    pub fn radius(&self) -> usize {
        self.taps.nrows() / 2
    }

    /// Convolves each channel, keeping only the pixels for which the whole kernel lies on the image:
    /// `out(p) = sum_d taps(d) * image(p - d)`.
    ///
    /// # Shapes
    /// `image` is `[C, H, W]` in any unit that adds up as light does; the result `[C, H - 2 * radius, W - 2 * radius]`.
    ///
    /// # Errors
    /// [`Error::ImageTooSmall`] when no pixel would be left.
    pub fn convolve_valid(&self, image: ArrayView3<'_, f32>) -> Result<Array3<f32>> {
        let (_, height, width) = image.dim();
        check_size(height, width, self.radius(), 2 * self.radius() + 1)?;
        let image = image.as_standard_layout();
        convolve::valid(image.view(), &self.taps, self.factor.as_deref())
    }
}

/// An error when the image has fewer than `needed` rows or columns.
pub(crate) fn check_size(height: usize, width: usize, margin: usize, needed: usize) -> Result<()> {
    if height < needed || width < needed {
        return Err(Error::ImageTooSmall {
            height,
            width,
            margin,
            needed,
        });
    }
    Ok(())
}

/// Smallest whole radius that reaches `reach` pixels from the centre.
pub(crate) fn checked_radius(reach: f64) -> Result<usize> {
    let radius = reach.max(0.0).ceil();
    // Written so that NaN is refused too.
    if radius <= MAX_KERNEL_RADIUS as f64 {
        Ok(radius as usize)
    } else {
        Err(Error::KernelTooLarge {
            radius,
            limit: MAX_KERNEL_RADIUS,
        })
    }
}

/// Drops border rings that hold nothing.
fn trimmed(taps: Array2<f32>) -> Array2<f32> {
    let radius = taps.nrows() / 2;
    let used = taps
        .indexed_iter()
        .filter(|(_, tap)| **tap != 0.0)
        .map(|((row, column), _)| row.abs_diff(radius).max(column.abs_diff(radius)))
        .max()
        .unwrap_or(0);
    let range = radius - used..radius + used + 1;
    taps.slice(ndarray::s![range.clone(), range]).to_owned()
}
