//! Out-of-focus blur of an ideal round aperture: a uniform disc.

use ndarray::Array2;

use crate::error::Result;
use crate::kernel::{Kernel, checked_radius};

/// Kernel of a disc of `radius` pixels; each tap is the area of the pixel square that lies inside the disc.
pub(crate) fn kernel(radius: f64) -> Result<Kernel> {
    let reach = checked_radius(radius - 0.5)?;
    let side = 2 * reach + 1;
    let weights = Array2::from_shape_fn((side, side), |(row, column)| {
        let (y, x) = (row.abs_diff(reach) as f64, column.abs_diff(reach) as f64);
        let area = |x: f64, y: f64| corner_area(x, y, radius);
        area(x + 0.5, y + 0.5) - area(x - 0.5, y + 0.5) - area(x + 0.5, y - 0.5)
            + area(x - 0.5, y - 0.5)
    });
    Kernel::from_weights(weights.mapv(|weight| weight.max(0.0)))
}

/// Signed area of the disc inside the rectangle from the origin to `(x, y)`; odd in `x` and in `y`.
fn corner_area(x: f64, y: f64, radius: f64) -> f64 {
    let sign = x.signum() * y.signum();
    let (x, y) = (x.abs().min(radius), y.abs().min(radius));
    if x * x + y * y <= radius * radius {
        return sign * x * y;
    }
    // The arc leaves the top side of the rectangle at `leave`: full height before, under the arc after.
    let leave = (radius * radius - y * y).max(0.0).sqrt();
    sign * (leave * y + under_arc(x, radius) - under_arc(leave, radius))
}

/// Integral of `sqrt(radius^2 - t^2)` from 0 to `x`.
fn under_arc(x: f64, radius: f64) -> f64 {
    let height = (radius * radius - x * x).max(0.0).sqrt();
    0.5 * (x * height + radius * radius * libm::asin((x / radius).min(1.0)))
}
