//! Blur in five severities, the same for everyone who compares methods.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Problem, Result};
use crate::family::Family;
use crate::mix::{BLUR_MIX_SCHEMA_VERSION, BlurMix, HighlightMix, WeightedFamily};
use crate::response::Response;

/// Noise of a good camera in daylight: variance per unit of linear light, and standard deviation without light.
pub(crate) const SHOT_NOISE: f32 = 1e-4;
/// See [`SHOT_NOISE`].
pub(crate) const READ_NOISE: f32 = 1e-3;

/// A kind of blur for tests, with severities 1 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// Random camera trajectories.
    CameraShake,
    /// Straight motion.
    LinearMotion,
    /// Discs.
    Defocus,
    /// Polygons of 5 to 9 blades.
    DefocusPolygon,
    /// Isotropic Gaussians.
    Gaussian,
    /// Gaussians with axes in the ratio 3 to 10.
    GaussianAnisotropic,
    /// An object and a scene with motions of their own.
    ObjectMotion,
    /// A turn of the camera.
    Rotation,
    /// A zoom.
    Zoom,
    /// Camera shake at night: lamps leave streaks, and there is more noise.
    NightShake,
}

impl Scenario {
    /// Every scenario, in a fixed order.
    pub const ALL: [Self; 10] = [
        Self::CameraShake,
        Self::LinearMotion,
        Self::Defocus,
        Self::DefocusPolygon,
        Self::Gaussian,
        Self::GaussianAnisotropic,
        Self::ObjectMotion,
        Self::Rotation,
        Self::Zoom,
        Self::NightShake,
    ];

    /// Name as written in JSON and TOML, such as `gaussian_anisotropic`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CameraShake => "camera_shake",
            Self::LinearMotion => "linear_motion",
            Self::Defocus => "defocus",
            Self::DefocusPolygon => "defocus_polygon",
            Self::Gaussian => "gaussian",
            Self::GaussianAnisotropic => "gaussian_anisotropic",
            Self::ObjectMotion => "object_motion",
            Self::Rotation => "rotation",
            Self::Zoom => "zoom",
            Self::NightShake => "night_shake",
        }
    }

    /// The family that the scenario draws from.
    #[must_use]
    pub fn family(self) -> Family {
        match self {
            Self::CameraShake | Self::NightShake => Family::CameraShake,
            Self::LinearMotion => Family::LinearMotion,
            Self::Defocus | Self::DefocusPolygon => Family::Defocus,
            Self::Gaussian | Self::GaussianAnisotropic => Family::Gaussian,
            Self::ObjectMotion => Family::ObjectMotion,
            Self::Rotation => Family::Rotation,
            Self::Zoom => Family::Zoom,
        }
    }

    /// Sizes of the five severities, in pixels, as [`WeightedFamily`] means them.
    ///
    /// Chosen so that the blurry pictures of all scenarios lose about the same from one severity to the next; the
    /// README has the table of PSNR.
    #[must_use]
    pub fn sizes(self) -> [f32; 5] {
        match self {
            Self::CameraShake | Self::NightShake => [3.0, 5.0, 8.0, 13.0, 21.0],
            Self::LinearMotion => [3.0, 6.0, 10.5, 17.0, 27.0],
            Self::Defocus | Self::DefocusPolygon => [1.3, 2.2, 3.6, 5.6, 8.5],
            Self::Gaussian => [0.75, 1.3, 2.1, 3.4, 5.0],
            Self::GaussianAnisotropic => [1.1, 2.0, 3.2, 5.0, 7.0],
            Self::ObjectMotion => [5.5, 11.5, 22.0, 32.0, 45.0],
            Self::Rotation | Self::Zoom => [7.5, 14.0, 25.0, 40.0, 60.0],
        }
    }

    /// The pictures of one severity: blur of one size, with directions, trajectories, objects and noise drawn anew for
    /// each seed.
    ///
    /// # Errors
    /// A severity that is not 1 to 5.
    pub fn mix(self, severity: u8) -> Result<BlurMix> {
        let size = severity
            .checked_sub(1)
            .and_then(|index| self.sizes().get(usize::from(index)).copied())
            .ok_or_else(|| Error::InvalidParameters {
                problems: vec![Problem::new("severity", severity, "from 1 to 5")],
            })?;
        let night = self == Self::NightShake;
        let noise = |amount: f32| [if night { 8.0 * amount } else { amount }; 2];
        let ratio = if self == Self::GaussianAnisotropic {
            0.3
        } else {
            1.0
        };
        Ok(BlurMix {
            schema_version: BLUR_MIX_SCHEMA_VERSION,
            families: vec![WeightedFamily {
                family: self.family(),
                weight: 1.0,
                min: size,
                max: size,
            }],
            camera_shake_anxiety: [0.005, 0.1],
            camera_shake_exposure: [0.0625, 1.0],
            gaussian_axis_ratio: [ratio; 2],
            shot_noise: noise(SHOT_NOISE),
            read_noise: noise(READ_NOISE),
            response: Response::Srgb,
            quantise_bits: Some(8),
            polygon_share: if self == Self::DefocusPolygon {
                1.0
            } else {
                0.0
            },
            highlights: night.then_some(HighlightMix {
                share: 1.0,
                threshold: 0.85,
                gain: [20.0; 2],
            }),
            jpeg: None,
        })
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
