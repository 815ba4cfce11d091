//! Where a thing is while the shutter is open.

use serde::{Deserialize, Serialize};

use crate::error::{Problem, Result};
use crate::families::{camera_shake, linear_motion};
use crate::kernel::checked_radius;

/// Movement of one layer during the exposure. Seen as a kernel, it is the blur of the same parameters; its mean
/// position over time is the origin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "path", rename_all = "snake_case", deny_unknown_fields)]
pub enum Motion {
    /// No movement.
    #[serde(deserialize_with = "crate::unit::no_fields")]
    Still,
    /// Straight and uniform; see [`Blur::LinearMotion`](crate::Blur::LinearMotion).
    LinearMotion {
        /// Length of the way, in pixels; > 0.
        length: f32,
        /// Direction, in degrees.
        angle_degrees: f32,
    },
    /// Random trajectory; see [`Blur::CameraShake`](crate::Blur::CameraShake).
    CameraShake {
        /// Longer side of the box around the trajectory, in pixels; > 0.
        extent: f32,
        /// How nervous the hand is, in `[0, 1]`.
        anxiety: f32,
        /// Share of the full trajectory that falls into the exposure, in `(0, 1]`.
        exposure: f32,
        /// Seed of the trajectory.
        seed: u64,
    },
}

impl Motion {
    /// Corners `[x, y]` of the path, in pixels, at equal time steps from the opening of the shutter to its closing; y
    /// grows downwards. At least two.
    pub(crate) fn corners(self) -> Result<Vec<[f64; 2]>> {
        match self {
            Self::Still => Ok(vec![[0.0; 2]; 2]),
            Self::LinearMotion {
                length,
                angle_degrees,
            } => {
                let half = linear_motion::half_segment(length.into(), angle_degrees.into());
                checked_radius(half[0].abs().max(half[1].abs()))?;
                Ok(vec![[-half[0], -half[1]], half])
            }
            Self::CameraShake {
                extent,
                anxiety,
                exposure,
                seed,
            } => camera_shake::corners(extent.into(), anxiety.into(), exposure.into(), seed),
        }
    }

    pub(crate) fn problems(self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match self {
            Self::Still => {}
            Self::LinearMotion {
                length,
                angle_degrees,
            } => check_linear(length, angle_degrees, &mut problems),
            Self::CameraShake {
                extent,
                anxiety,
                exposure,
                ..
            } => check_shake(extent, anxiety, exposure, &mut problems),
        }
        problems
    }
}

/// Problems of a value that must be a size in pixels.
pub(crate) fn check_positive(field: &'static str, value: f32, problems: &mut Vec<Problem>) {
    if !(value.is_finite() && value > 0.0) {
        problems.push(Problem::new(field, value, "finite and greater than 0"));
    }
}

/// Problems of an angle.
pub(crate) fn check_angle(field: &'static str, angle_degrees: f32, problems: &mut Vec<Problem>) {
    if !angle_degrees.is_finite() {
        problems.push(Problem::new(field, angle_degrees, "finite"));
    }
}

/// Problems of a straight motion.
pub(crate) fn check_linear(length: f32, angle_degrees: f32, problems: &mut Vec<Problem>) {
    check_positive("length", length, problems);
    check_angle("angle_degrees", angle_degrees, problems);
}

/// Problems of a random trajectory.
pub(crate) fn check_shake(extent: f32, anxiety: f32, exposure: f32, problems: &mut Vec<Problem>) {
    check_positive("extent", extent, problems);
    if !(exposure > 0.0 && exposure <= 1.0) {
        problems.push(Problem::new(
            "exposure",
            exposure,
            "greater than 0 and at most 1",
        ));
    }
    if !(0.0..=1.0).contains(&anxiety) {
        problems.push(Problem::new("anxiety", anxiety, "between 0 and 1"));
    }
}
