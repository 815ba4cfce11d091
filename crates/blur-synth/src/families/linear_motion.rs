//! Straight motion at constant speed.

use crate::error::Result;
use crate::kernel::{Kernel, checked_radius};
use crate::splat::Canvas;

/// Kernel of a segment of `length` pixels, centred, at `angle_degrees`.
pub(crate) fn kernel(length: f64, angle_degrees: f64) -> Result<Kernel> {
    let (sine, cosine) = libm::sincos(angle_degrees % 360.0 * (std::f64::consts::PI / 180.0));
    // Rows grow downwards, angles counter-clockwise.
    let half = [0.5 * length * cosine, -0.5 * length * sine];
    let mut canvas = Canvas::new(checked_radius(half[0].abs().max(half[1].abs()))?);
    // Two halves, each the mirror image of the other, keep the kernel symmetric.
    canvas.splat_segment([0.0, 0.0], half, 1.0);
    canvas.splat_segment([0.0, 0.0], [-half[0], -half[1]], 1.0);
    Kernel::from_weights(canvas.into_weights())
}
