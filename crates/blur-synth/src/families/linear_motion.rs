//! Straight motion at constant speed.

use crate::error::Result;
use crate::kernel::{Kernel, checked_radius};
use crate::splat::Canvas;

/// Kernel of a segment of `length` pixels, centred, at `angle_degrees`.
pub(crate) fn kernel(length: f64, angle_degrees: f64) -> Result<Kernel> {
    let half = half_segment(length, angle_degrees);
    let mut canvas = Canvas::new(checked_radius(half[0].abs().max(half[1].abs()))?);
    // Two halves, each the mirror image of the other, keep the kernel symmetric.
    canvas.splat_segment([0.0, 0.0], half, 1.0);
    canvas.splat_segment([0.0, 0.0], [-half[0], -half[1]], 1.0);
    Kernel::from_weights(canvas.into_weights())
}

/// From the middle of the segment to its end, `[x, y]`; rows grow downwards, angles counter-clockwise.
pub(crate) fn half_segment(length: f64, angle_degrees: f64) -> [f64; 2] {
    let (sine, cosine) = libm::sincos(angle_degrees % 360.0 * (std::f64::consts::PI / 180.0));
    [0.5 * length * cosine, -0.5 * length * sine]
}
