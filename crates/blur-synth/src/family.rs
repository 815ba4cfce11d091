//! Names of the blur families.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What made the blur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Hand-held camera shake: a random trajectory.
    CameraShake,
    /// Straight motion at constant speed.
    LinearMotion,
    /// Out-of-focus disc or polygon.
    Defocus,
    /// Gaussian, isotropic or anisotropic.
    Gaussian,
    /// An object and the scene behind it, each with a motion of its own.
    ObjectMotion,
    /// The camera rolls about its optical axis.
    Rotation,
    /// The camera zooms, or moves forward, during the exposure.
    Zoom,
    /// The mean of successive sharp frames of a film.
    FrameAverage,
    /// A kernel given by its taps, such as a measured one.
    CustomKernel,
}

impl Family {
    /// Every family, in a fixed order.
    pub const ALL: [Self; 9] = [
        Self::CameraShake,
        Self::LinearMotion,
        Self::Defocus,
        Self::Gaussian,
        Self::ObjectMotion,
        Self::Rotation,
        Self::Zoom,
        Self::FrameAverage,
        Self::CustomKernel,
    ];

    /// Name as written in JSON and TOML, such as `camera_shake`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CameraShake => "camera_shake",
            Self::LinearMotion => "linear_motion",
            Self::Defocus => "defocus",
            Self::Gaussian => "gaussian",
            Self::ObjectMotion => "object_motion",
            Self::Rotation => "rotation",
            Self::Zoom => "zoom",
            Self::FrameAverage => "frame_average",
            Self::CustomKernel => "custom_kernel",
        }
    }

    /// Whether one kernel describes the blur of every pixel.
    #[must_use]
    pub fn is_uniform(self) -> bool {
        match self {
            Self::CameraShake
            | Self::LinearMotion
            | Self::Defocus
            | Self::Gaussian
            | Self::CustomKernel => true,
            Self::ObjectMotion | Self::Rotation | Self::Zoom | Self::FrameAverage => false,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
