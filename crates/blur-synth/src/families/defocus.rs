//! Out-of-focus blur: a uniform disc for a round aperture, a regular polygon for one of straight blades.

use ndarray::Array2;

use crate::error::Result;
use crate::kernel::{Kernel, checked_radius};

/// Largest distance of a kernel's centroid from its middle, in pixels, as promised by [`Kernel`].
const MAX_OFFSET: f64 = 0.05;
/// Most moves of a polygon until its centroid is that close.
const MOVES: usize = 8;

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

/// Kernel of a regular polygon with `blades` sides and the area of a disc of `radius` pixels, its first corner at
/// `rotation_degrees`; each tap is the area of the pixel square that lies inside the polygon.
pub(crate) fn polygon_kernel(radius: f64, blades: u8, rotation_degrees: f64) -> Result<Kernel> {
    let step = std::f64::consts::TAU / f64::from(blades);
    // A regular polygon has the area n / 2 * R^2 * sin(2 pi / n).
    let corner_radius =
        radius * (std::f64::consts::PI / (0.5 * f64::from(blades) * libm::sin(step))).sqrt();
    let start = rotation_degrees % 360.0 * (std::f64::consts::PI / 180.0);
    let mut corners: Vec<[f64; 2]> = (0..blades)
        .map(|corner| {
            let (sine, cosine) = libm::sincos(start + step * f64::from(corner));
            // Rows grow downwards, angles counter-clockwise.
            [corner_radius * cosine, -corner_radius * sine]
        })
        .collect();
    // One more for a polygon that is moved; empty borders are trimmed.
    let reach = checked_radius(corner_radius - 0.5)? + 1;
    let side = 2 * reach + 1;
    let weights = |corners: &[[f64; 2]]| {
        Array2::from_shape_fn((side, side), |(row, column)| {
            let (x, y) = (column as f64 - reach as f64, row as f64 - reach as f64);
            area_in_pixel(corners, x, y)
        })
    };
    let mut taps = weights(&corners);
    for _ in 0..MOVES {
        // A triangle of less than a pixel reaches into few pixels, each counted at its middle, and would be shifted by
        // up to 0.11 pixel.
        let [x, y] = centroid(&taps, reach);
        if x * x + y * y <= MAX_OFFSET * MAX_OFFSET {
            break;
        }
        for corner in &mut corners {
            *corner = [corner[0] - x, corner[1] - y];
        }
        taps = weights(&corners);
    }
    Kernel::from_weights(taps)
}

/// Centroid `[x, y]` of weights, relative to the middle one.
fn centroid(weights: &Array2<f64>, reach: usize) -> [f64; 2] {
    let sum = weights.sum();
    let moment = weights
        .indexed_iter()
        .fold([0.0; 2], |[x, y], ((row, column), weight)| {
            [
                x + weight * (column as f64 - reach as f64),
                y + weight * (row as f64 - reach as f64),
            ]
        });
    moment.map(|moment| moment / sum)
}

/// Area of a convex polygon inside the pixel square around `(x, y)`: the polygon is cut along each side of the square
/// (Sutherland & Hodgman 1974), then measured (shoelace formula).
fn area_in_pixel(corners: &[[f64; 2]], x: f64, y: f64) -> f64 {
    let mut polygon = corners.to_vec();
    for (axis, centre) in [(0, x), (1, y)] {
        for side in [-1.0, 1.0] {
            polygon = cut(&polygon, |point| 0.5 - side * (point[axis] - centre));
        }
    }
    let doubled: f64 = (0..polygon.len())
        .map(|index| {
            let (from, to) = (polygon[index], polygon[(index + 1) % polygon.len()]);
            (from[0] - x) * (to[1] - y) - (to[0] - x) * (from[1] - y)
        })
        .sum();
    0.5 * doubled.abs()
}

/// The part of a polygon for which `inside`, linear in the point, is not negative.
fn cut(polygon: &[[f64; 2]], inside: impl Fn([f64; 2]) -> f64) -> Vec<[f64; 2]> {
    let mut kept = Vec::with_capacity(polygon.len() + 2);
    for index in 0..polygon.len() {
        let (from, to) = (polygon[index], polygon[(index + 1) % polygon.len()]);
        let (at_from, at_to) = (inside(from), inside(to));
        if at_from >= 0.0 {
            kept.push(from);
        }
        if (at_from >= 0.0) != (at_to >= 0.0) {
            let share = at_from / (at_from - at_to);
            kept.push([
                from[0] + share * (to[0] - from[0]),
                from[1] + share * (to[1] - from[1]),
            ]);
        }
    }
    kept
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
