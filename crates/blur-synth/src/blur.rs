//! The blur families and their parameters.

use serde::{Deserialize, Serialize};

use crate::custom::CustomKernel;
use crate::error::{Error, Problem, Result, all_or_nothing};
use crate::families::{camera_shake, defocus, gaussian, linear_motion};
use crate::family::Family;
use crate::kernel::Kernel;
use crate::layers::MovingObject;
use crate::motion::{Motion, check_angle, check_linear, check_positive, check_shake};

/// Most frames that [`Blur::FrameAverage`] takes.
const MAX_FRAMES: u32 = 999;

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
    /// Uniform disc or regular polygon, each tap the exact area of the pixel inside.
    Defocus {
        /// Radius of the disc, in pixels; > 0. A polygon has the area of this disc.
        radius: f32,
        /// Straight blades of the aperture, 3 to 16; a round aperture when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blades: Option<u8>,
        /// Direction of one corner of the polygon, in degrees; no effect on a disc.
        #[serde(default)]
        rotation_degrees: f32,
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
    /// Two layers, each with a motion of its own: an object with a soft edge and the scene behind it. In every instant
    /// of the exposure the moved object covers the moved scene; the instants are averaged.
    ObjectMotion {
        /// What part of the picture is the object.
        object: MovingObject,
        /// Motion of the object.
        foreground: Motion,
        /// Motion of the scene behind it: of the camera, seen in the picture.
        background: Motion,
    },
    /// The picture turns about a point: each pixel is averaged along an arc.
    Rotation {
        /// Length of the arc at the corner of the picture that is farthest from the centre, in pixels; > 0.
        extent: f32,
        /// Centre as a share of width and height, `[x, y]`; `[0.5, 0.5]` is the middle. Finite, may lie outside.
        center: [f32; 2],
    },
    /// The picture grows from a point: each pixel is averaged along the ray from it.
    Zoom {
        /// Length of the way at the corner of the picture that is farthest from the centre, in pixels; > 0.
        extent: f32,
        /// Centre as a share of width and height, `[x, y]`; `[0.5, 0.5]` is the middle. Finite, may lie outside.
        center: [f32; 2],
    },
    /// The mean, in linear light, of successive sharp frames of a film, as in the GoPro and REDS data sets; see
    /// [`Degradation::apply_frames`](crate::Degradation::apply_frames).
    FrameAverage {
        /// Number of frames: odd, so that the one in the middle is the sharp picture; 3 to 999.
        frames: u32,
    },
    /// A kernel given by its taps.
    CustomKernel(CustomKernel),
}

impl Blur {
    /// Defocus by a round aperture: a disc of `radius` pixels.
    #[must_use]
    pub const fn disc(radius: f32) -> Self {
        Self::Defocus {
            radius,
            blades: None,
            rotation_degrees: 0.0,
        }
    }

    /// No blur: a kernel of one tap.
    #[must_use]
    pub fn none() -> Self {
        Self::CustomKernel(CustomKernel {
            name: "none".to_owned(),
            taps: vec![vec![1.0]],
        })
    }

    /// The family of this blur.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::CameraShake { .. } => Family::CameraShake,
            Self::LinearMotion { .. } => Family::LinearMotion,
            Self::Defocus { .. } => Family::Defocus,
            Self::Gaussian { .. } => Family::Gaussian,
            Self::ObjectMotion { .. } => Family::ObjectMotion,
            Self::Rotation { .. } => Family::Rotation,
            Self::Zoom { .. } => Family::Zoom,
            Self::FrameAverage { .. } => Family::FrameAverage,
            Self::CustomKernel(_) => Family::CustomKernel,
        }
    }

    /// Checks every parameter.
    ///
    /// # Errors
    /// [`Error::InvalidParameters`] with all problems at once.
    pub fn validate(&self) -> Result<()> {
        all_or_nothing(self.problems())
    }

    /// The kernel (point spread function) of this blur: sums to 1, centroid in the middle.
    ///
    /// # Errors
    /// Invalid parameters, a radius beyond [`MAX_KERNEL_RADIUS`](crate::MAX_KERNEL_RADIUS), or [`Error::NoKernel`] for a
    /// family that is not [uniform](Family::is_uniform).
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
            Self::Defocus {
                radius,
                blades: None,
                ..
            } => defocus::kernel(radius.into()),
            Self::Defocus {
                radius,
                blades: Some(blades),
                rotation_degrees,
            } => defocus::polygon_kernel(radius.into(), blades, rotation_degrees.into()),
            Self::Gaussian {
                sigma,
                sigma_minor,
                angle_degrees,
            } => gaussian::kernel(
                sigma.into(),
                sigma_minor.unwrap_or(sigma).into(),
                angle_degrees.into(),
            ),
            Self::CustomKernel(ref custom) => custom.kernel(),
            Self::ObjectMotion { .. }
            | Self::Rotation { .. }
            | Self::Zoom { .. }
            | Self::FrameAverage { .. } => Err(Error::NoKernel {
                family: self.family(),
            }),
        }
    }

    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match *self {
            Self::CameraShake {
                extent,
                anxiety,
                exposure,
                ..
            } => check_shake(extent, anxiety, exposure, &mut problems),
            Self::LinearMotion {
                length,
                angle_degrees,
            } => check_linear(length, angle_degrees, &mut problems),
            Self::Defocus {
                radius,
                blades,
                rotation_degrees,
            } => {
                check_positive("radius", radius, &mut problems);
                if let Some(blades) = blades
                    && !(3..=16).contains(&blades)
                {
                    problems.push(Problem::new("blades", blades, "between 3 and 16"));
                }
                check_angle("rotation_degrees", rotation_degrees, &mut problems);
            }
            Self::Gaussian {
                sigma,
                sigma_minor,
                angle_degrees,
            } => {
                check_positive("sigma", sigma, &mut problems);
                if let Some(minor) = sigma_minor
                    && !(minor > 0.0 && (minor <= sigma || sigma.is_nan()))
                {
                    problems.push(Problem::new(
                        "sigma_minor",
                        minor,
                        "greater than 0 and at most sigma",
                    ));
                }
                check_angle("angle_degrees", angle_degrees, &mut problems);
            }
            Self::ObjectMotion {
                ref object,
                foreground,
                background,
            } => {
                problems.extend(object.problems());
                problems.extend(foreground.problems());
                problems.extend(background.problems());
            }
            Self::Rotation { extent, center } | Self::Zoom { extent, center } => {
                check_positive("extent", extent, &mut problems);
                check_center(center, &mut problems);
            }
            Self::FrameAverage { frames } => {
                if frames % 2 == 0 || !(3..=MAX_FRAMES).contains(&frames) {
                    problems.push(Problem::new("frames", frames, "odd, from 3 to 999"));
                }
            }
            Self::CustomKernel(ref custom) => problems.extend(custom.problems()),
        }
        problems
    }
}

/// Problems of a point given as a share of width and height.
pub(crate) fn check_center(center: [f32; 2], problems: &mut Vec<Problem>) {
    for value in center {
        if !(value.is_finite() && value.abs() <= 1000.0) {
            problems.push(Problem::new("center", value, "between -1000 and 1000"));
        }
    }
}
