//! The blur families and their parameters.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Problem, Result, all_or_nothing};
use crate::families::{camera_shake, defocus, gaussian, linear_motion};
use crate::kernel::Kernel;

/// What made the blur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Hand-held camera shake: a random trajectory.
    CameraShake,
    /// Straight motion at constant speed.
    LinearMotion,
    /// Out-of-focus disc.
    Defocus,
    /// Gaussian, isotropic or anisotropic.
    Gaussian,
}

impl Family {
    /// Every family, in a fixed order.
    pub const ALL: [Self; 4] = [
        Self::CameraShake,
        Self::LinearMotion,
        Self::Defocus,
        Self::Gaussian,
    ];

    /// Name as written in JSON and TOML: `camera_shake`, `linear_motion`, `defocus`, `gaussian`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CameraShake => "camera_shake",
            Self::LinearMotion => "linear_motion",
            Self::Defocus => "defocus",
            Self::Gaussian => "gaussian",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// One exact blur. Angles are in degrees, counter-clockwise from the direction of growing columns, as seen on the
/// screen (rows grow downwards).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "snake_case", deny_unknown_fields)]
pub enum Blur {
    /// Random camera trajectory (Boracchi & Foi 2012), integrated over the exposure at constant speed.
    CameraShake {
        /// Longer side of the box around the trajectory, in pixels; > 0.
        extent: f32,
        /// How nervous the hand is, in `[0, 1]`: 0 is a straight line; Boracchi & Foi draw it from `[0, 0.1]`.
        anxiety: f32,
        /// Share of the full trajectory that falls into the exposure, in `(0, 1]`: small shares are plain arcs, the
        /// whole is a tangle. Boracchi & Foi use 1/16, 1/4, 1/2 and 1.
        exposure: f32,
        /// Seed of the trajectory.
        seed: u64,
    },
    /// Straight segment, uniform exposure.
    LinearMotion {
        /// Length of the segment, in pixels; > 0.
        length: f32,
        /// Direction of the segment, in degrees.
        angle_degrees: f32,
    },
    /// Uniform disc, each tap the exact area of the pixel inside the disc.
    Defocus {
        /// Radius of the disc, in pixels; > 0.
        radius: f32,
    },
    /// Gaussian integrated over each pixel, cut at 4 standard deviations.
    Gaussian {
        /// Standard deviation, in pixels; the larger one when anisotropic; > 0.
        sigma: f32,
        /// Standard deviation across the main axis, in pixels; isotropic when absent. At most `sigma`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sigma_minor: Option<f32>,
        /// Direction of the main axis, in degrees; no effect when isotropic.
        #[serde(default)]
        angle_degrees: f32,
    },
}

impl Blur {
    /// The family of this blur.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::CameraShake { .. } => Family::CameraShake,
            Self::LinearMotion { .. } => Family::LinearMotion,
            Self::Defocus { .. } => Family::Defocus,
            Self::Gaussian { .. } => Family::Gaussian,
        }
    }

    /// Checks every parameter.
    ///
    /// # Errors
    /// [`Error::InvalidParameters`](crate::Error::InvalidParameters) with all problems at once.
    pub fn validate(&self) -> Result<()> {
        all_or_nothing(self.problems())
    }

    /// The kernel (point spread function) of this blur: sums to 1, centroid in the middle.
    ///
    /// # Errors
    /// Invalid parameters, or a radius beyond [`MAX_KERNEL_RADIUS`](crate::MAX_KERNEL_RADIUS).
    pub fn kernel(&self) -> Result<Kernel> {
        self.validate()?;
        match *self {
            Self::CameraShake {
                extent,
                anxiety,
                exposure,
                seed,
            } => camera_shake::kernel(extent.into(), anxiety.into(), exposure.into(), seed),
            Self::LinearMotion {
                length,
                angle_degrees,
            } => linear_motion::kernel(length.into(), angle_degrees.into()),
            Self::Defocus { radius } => defocus::kernel(radius.into()),
            Self::Gaussian {
                sigma,
                sigma_minor,
                angle_degrees,
            } => gaussian::kernel(
                sigma.into(),
                sigma_minor.unwrap_or(sigma).into(),
                angle_degrees.into(),
            ),
        }
    }

    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut positive = |field: &'static str, value: f32| {
            if !(value.is_finite() && value > 0.0) {
                problems.push(Problem::new(field, value, "finite and greater than 0"));
            }
        };
        match *self {
            Self::CameraShake {
                extent,
                anxiety,
                exposure,
                ..
            } => {
                positive("extent", extent);
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
            Self::LinearMotion {
                length,
                angle_degrees,
            } => {
                positive("length", length);
                check_angle(angle_degrees, &mut problems);
            }
            Self::Defocus { radius } => positive("radius", radius),
            Self::Gaussian {
                sigma,
                sigma_minor,
                angle_degrees,
            } => {
                positive("sigma", sigma);
                if let Some(minor) = sigma_minor
                    && !(minor > 0.0 && (minor <= sigma || sigma.is_nan()))
                {
                    problems.push(Problem::new(
                        "sigma_minor",
                        minor,
                        "greater than 0 and at most sigma",
                    ));
                }
                check_angle(angle_degrees, &mut problems);
            }
        }
        problems
    }
}

fn check_angle(angle_degrees: f32, problems: &mut Vec<Problem>) {
    if !angle_degrees.is_finite() {
        problems.push(Problem::new("angle_degrees", angle_degrees, "finite"));
    }
}
