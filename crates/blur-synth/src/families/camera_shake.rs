//! Camera shake: a random trajectory, after Boracchi & Foi, "Modeling the Performance of Image Restoration From
//! Motion Blur", IEEE Transactions on Image Processing 21(8), 2012.

use crate::error::Result;
use crate::kernel::{Kernel, checked_radius};
use crate::random::SplitMix64;
use crate::splat::Canvas;

/// Points of the full trajectory, as in the authors' published program.
const STEPS: usize = 2000;
/// Length of path over which the centripetal pull is defined, in the units of the authors' program (pixels).
const PATH_LENGTH: f64 = 64.0;

/// Kernel of one shake whose box has `extent` pixels on its longer side.
pub(crate) fn kernel(extent: f64, anxiety: f64, exposure: f64, seed: u64) -> Result<Kernel> {
    let points = corners(extent, anxiety, exposure, seed)?;
    let reach = points.iter().fold(0.0_f64, |reach, point| {
        reach.max(point[0].abs()).max(point[1].abs())
    });
    let mut canvas = Canvas::new(checked_radius(reach)?);
    for pair in points.windows(2) {
        canvas.splat_segment(pair[0], pair[1], 1.0);
    }
    Kernel::from_weights(canvas.into_weights())
}

/// Positions `[x, y]` in pixels at equal time steps, their mean over time in the origin.
pub(crate) fn corners(
    extent: f64,
    anxiety: f64,
    exposure: f64,
    seed: u64,
) -> Result<Vec<[f64; 2]>> {
    // Seen from its centroid no point of the trajectory is further than `extent` along either axis.
    checked_radius(extent)?;
    Ok(recentred(&rescaled(
        &trajectory(anxiety, exposure, seed),
        extent,
    )))
}

/// Positions `[x, y]` at equal time steps, from the start until the shutter closes. Velocity `v` keeps its magnitude `s`; each step it turns by
/// `v += 2 |v| jerk + anxiety * (g * (n_1, n_2) - c * x) * s`, with inertia carried by `v` itself, `g` the shake of
/// the hand (normal), `c` the centripetal pull to the start, and rarely a jerk that nearly reverses the motion.
fn trajectory(anxiety: f64, exposure: f64, seed: u64) -> Vec<[f64; 2]> {
    let mut random = SplitMix64::keyed(seed, "camera shake");
    let speed = PATH_LENGTH / (STEPS - 1) as f64;
    let centripetal = 0.7 * random.uniform();
    let jerk_probability = 0.2 * random.uniform() * anxiety;
    let gaussian_shake = 10.0 * random.uniform();
    let (sine, cosine) = libm::sincos(std::f64::consts::TAU * random.uniform());
    let mut velocity = [cosine * speed, sine * speed];
    let mut position = [0.0, 0.0];
    let mut points = Vec::with_capacity(STEPS);
    points.push(position);
    let used = (exposure * (STEPS - 1) as f64).round().max(1.0) as usize;
    for _ in 0..used {
        let mut next = velocity;
        if random.uniform() < jerk_probability {
            let (sine, cosine) = libm::sincos(std::f64::consts::PI + random.uniform() - 0.5);
            next[0] += 2.0 * (velocity[0] * cosine - velocity[1] * sine);
            next[1] += 2.0 * (velocity[0] * sine + velocity[1] * cosine);
        }
        for (axis, component) in next.iter_mut().enumerate() {
            *component +=
                anxiety * (gaussian_shake * random.normal() - centripetal * position[axis]) * speed;
        }
        let magnitude = (next[0] * next[0] + next[1] * next[1]).sqrt();
        if magnitude > 0.0 {
            velocity = [next[0] / magnitude * speed, next[1] / magnitude * speed];
        }
        position = [position[0] + velocity[0], position[1] + velocity[1]];
        points.push(position);
    }
    points
}

/// Scales so that the longer side of the bounding box is `extent`.
fn rescaled(points: &[[f64; 2]], extent: f64) -> Vec<[f64; 2]> {
    let mut low = [f64::INFINITY; 2];
    let mut high = [f64::NEG_INFINITY; 2];
    for point in points {
        for axis in 0..2 {
            low[axis] = low[axis].min(point[axis]);
            high[axis] = high[axis].max(point[axis]);
        }
    }
    // The first step alone has length `speed`, so the box is never empty.
    let scale = extent / (high[0] - low[0]).max(high[1] - low[1]);
    points
        .iter()
        .map(|point| [point[0] * scale, point[1] * scale])
        .collect()
}

/// Moves the centroid of the polyline, every segment with the same weight (the same time), to the origin.
fn recentred(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let count = (points.len() - 1) as f64;
    let mut mean = [0.0; 2];
    for pair in points.windows(2) {
        for axis in 0..2 {
            mean[axis] += 0.5 * (pair[0][axis] + pair[1][axis]) / count;
        }
    }
    points
        .iter()
        .map(|point| [point[0] - mean[0], point[1] - mean[1]])
        .collect()
}
