//! A distribution over degradations.

use serde::{Deserialize, Serialize};

use crate::degradation::{Degradation, check_quantise_bits, check_response};
use crate::error::{Error, Problem, Result, all_or_nothing};
use crate::family::Family;
use crate::jpeg::Chroma;
use crate::random::SplitMix64;
use crate::response::Response;

mod draw;

/// Version of [`BlurMix`] that this crate reads and writes.
pub const BLUR_MIX_SCHEMA_VERSION: u32 = 1;

/// One family of the mix and the range of its size, drawn evenly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightedFamily {
    /// The family.
    pub family: Family,
    /// Share in the mix relative to the other weights; at least 0.
    pub weight: f32,
    /// Smallest size in pixels: extent, length, radius or sigma, by family; for moving objects the length or extent of
    /// each motion.
    pub min: f32,
    /// Largest size in pixels.
    pub max: f32,
}

/// Distribution over degradations, for training and for tests in the same domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlurMix {
    /// Must be [`BLUR_MIX_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The families, each at most once.
    pub families: Vec<WeightedFamily>,
    /// Range of the anxiety of camera shakes, drawn evenly; see [`Blur::CameraShake`](crate::Blur::CameraShake).
    pub camera_shake_anxiety: [f32; 2],
    /// Range of the share of the trajectory of camera shakes, drawn evenly in its logarithm; see
    /// [`Blur::CameraShake`](crate::Blur::CameraShake).
    pub camera_shake_exposure: [f32; 2],
    /// Range of minor over major standard deviation of Gaussians, drawn evenly; `[1, 1]` is isotropic.
    pub gaussian_axis_ratio: [f32; 2],
    /// Range of the variance per unit of linear light, drawn evenly in its logarithm; `[0, 0]` is none.
    pub shot_noise: [f32; 2],
    /// Range of the standard deviation without light, drawn evenly in its logarithm; `[0, 0]` is none.
    pub read_noise: [f32; 2],
    /// Camera response.
    pub response: Response,
    /// Bits per sample of the result, 1 to 16; not quantised when absent.
    #[serde(default)]
    pub quantise_bits: Option<u8>,
    /// Share of the discs that are polygons of 5 to 9 blades instead, in `[0, 1]`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub polygon_share: f32,
    /// Pictures with light beyond white; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highlights: Option<HighlightMix>,
    /// Pictures compressed by JPEG; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jpeg: Option<JpegMix>,
}

/// How often and how strongly highlights are expanded; see [`Highlights`](crate::Highlights).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HighlightMix {
    /// Share of the pictures, in `[0, 1]`.
    pub share: f32,
    /// Luminance from which a pixel counts as clipped, in `[0, 1)`.
    pub threshold: f32,
    /// Range of the gain, drawn evenly in its logarithm; above 0, at most 1000.
    pub gain: [f32; 2],
}

/// How often and how strongly pictures are compressed; see [`Jpeg`](crate::Jpeg).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JpegMix {
    /// Share of the pictures, in `[0, 1]`.
    pub share: f32,
    /// Range of the quality, drawn evenly; 1 to 100.
    pub quality: [u8; 2],
    /// Resolution of the colour planes.
    #[serde(default)]
    pub chroma: Chroma,
}

fn is_zero(value: &f32) -> bool {
    *value == 0.0
}

impl BlurMix {
    /// All four uniform families with equal weight: camera shakes of 4 to 24 pixels, linear motion of 3 to 24 pixels, discs
    /// of radius 1 to 6 pixels, isotropic Gaussians of sigma 0.6 to 3 pixels; read noise 2e-4 to 3e-3, shot noise
    /// 1e-5 to 5e-4; sRGB, 8 bits.
    #[must_use]
    pub fn standard() -> Self {
        let range = |family, min, max| WeightedFamily {
            family,
            weight: 1.0,
            min,
            max,
        };
        Self {
            schema_version: BLUR_MIX_SCHEMA_VERSION,
            families: vec![
                range(Family::CameraShake, 4.0, 24.0),
                range(Family::LinearMotion, 3.0, 24.0),
                range(Family::Defocus, 1.0, 6.0),
                range(Family::Gaussian, 0.6, 3.0),
            ],
            camera_shake_anxiety: [0.005, 0.1],
            camera_shake_exposure: [0.0625, 1.0],
            gaussian_axis_ratio: [1.0, 1.0],
            shot_noise: [1e-5, 5e-4],
            read_noise: [2e-4, 3e-3],
            response: Response::Srgb,
            quantise_bits: Some(8),
            polygon_share: 0.0,
            highlights: None,
            jpeg: None,
        }
    }

    /// [`standard`](Self::standard), but starting from almost no blur: camera shakes and motion from 1 pixel, discs from radius 0.25, Gaussians
    /// from sigma 0.1, so that a model also sees photographs that are to be left alone.
    #[must_use]
    pub fn from_sharp() -> Self {
        let mut mix = Self::standard();
        for entry in &mut mix.families {
            entry.min = match entry.family {
                Family::CameraShake | Family::LinearMotion => 1.0,
                Family::Defocus => 0.25,
                Family::Gaussian => 0.1,
                _ => entry.min,
            };
        }
        mix
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::InvalidParameters`] with all problems at once.
    pub fn validate(&self) -> Result<()> {
        let mut problems = Vec::new();
        if self.schema_version != BLUR_MIX_SCHEMA_VERSION {
            problems.push(Problem::new("schema_version", self.schema_version, "1"));
        }
        let mut total = 0.0;
        for (index, entry) in self.families.iter().enumerate() {
            if !(entry.weight.is_finite() && entry.weight >= 0.0) {
                problems.push(Problem::new(
                    "families.weight",
                    entry.weight,
                    "finite and at least 0",
                ));
            }
            total += f64::from(entry.weight);
            if !(entry.min.is_finite() && entry.min > 0.0) {
                problems.push(Problem::new(
                    "families.min",
                    entry.min,
                    "finite and greater than 0",
                ));
            }
            if !(entry.max.is_finite() && entry.max >= entry.min) {
                problems.push(Problem::new(
                    "families.max",
                    entry.max,
                    "finite and at least min",
                ));
            }
            if !draw::is_drawable(entry.family) {
                problems.push(Problem::new(
                    "families.family",
                    index as f64,
                    "a family with a range of sizes, not frame_average or custom_kernel (this is its place in the list)",
                ));
            }
            if self.families[..index]
                .iter()
                .any(|earlier| earlier.family == entry.family)
            {
                problems.push(Problem::new(
                    "families.family",
                    index as f64,
                    "listed once (this is its place in the list)",
                ));
            }
        }
        // NaN is reported above.
        if total <= 0.0 {
            problems.push(Problem::new(
                "sum of families.weight",
                total,
                "greater than 0",
            ));
        }
        check_range(
            "camera_shake_anxiety",
            self.camera_shake_anxiety,
            0.0,
            1.0,
            &mut problems,
        );
        check_range(
            "camera_shake_exposure",
            self.camera_shake_exposure,
            f32::MIN_POSITIVE,
            1.0,
            &mut problems,
        );
        check_range(
            "gaussian_axis_ratio",
            self.gaussian_axis_ratio,
            f32::MIN_POSITIVE,
            1.0,
            &mut problems,
        );
        for (field, range) in [
            ("shot_noise", self.shot_noise),
            ("read_noise", self.read_noise),
        ] {
            if range != [0.0, 0.0] {
                check_range(field, range, f32::MIN_POSITIVE, f32::MAX, &mut problems);
            }
        }
        check_response(self.response, &mut problems);
        check_quantise_bits(self.quantise_bits, &mut problems);
        let mut check_share = |field, share: f32| {
            if !(0.0..=1.0).contains(&share) {
                problems.push(Problem::new(field, share, "between 0 and 1"));
            }
        };
        check_share("polygon_share", self.polygon_share);
        if let Some(jpeg) = self.jpeg {
            check_share("jpeg.share", jpeg.share);
            let [low, high] = jpeg.quality;
            if !(1..=100).contains(&low) || !(low..=100).contains(&high) {
                let requirement = "a range [low, high] within 1 to 100 (this is low)";
                problems.push(Problem::new("jpeg.quality", low, requirement));
            }
        }
        if let Some(highlights) = self.highlights {
            let share = highlights.share;
            if !(0.0..=1.0).contains(&share) {
                problems.push(Problem::new("highlights.share", share, "between 0 and 1"));
            }
            if !(0.0..1.0).contains(&highlights.threshold) {
                problems.push(Problem::new(
                    "highlights.threshold",
                    highlights.threshold,
                    "at least 0 and less than 1",
                ));
            }
            check_range(
                "highlights.gain",
                highlights.gain,
                f32::MIN_POSITIVE,
                1000.0,
                &mut problems,
            );
        }
        all_or_nothing(problems)
    }

    /// The degradation of `seed`: the family by weight, then its parameters.
    ///
    /// # Errors
    /// An invalid mix.
    pub fn sample(&self, seed: u64) -> Result<Degradation> {
        self.validate()?;
        let mut random = SplitMix64::keyed(seed, "blur mix: family");
        let total: f64 = self
            .families
            .iter()
            .map(|entry| f64::from(entry.weight))
            .sum();
        let mut place = random.uniform() * total;
        let mut chosen = None;
        for entry in self.families.iter().filter(|entry| entry.weight > 0.0) {
            chosen = Some(entry);
            place -= f64::from(entry.weight);
            if place < 0.0 {
                break;
            }
        }
        match chosen {
            Some(entry) => self.draw(entry, seed),
            // Not reached: a valid mix has a positive weight.
            None => Err(Error::InvalidParameters {
                problems: vec![Problem::new(
                    "sum of families.weight",
                    total,
                    "greater than 0",
                )],
            }),
        }
    }

    /// The degradation of `seed` with the family given.
    ///
    /// # Errors
    /// An invalid mix, or [`Error::FamilyNotInMix`].
    pub fn sample_family(&self, family: Family, seed: u64) -> Result<Degradation> {
        self.validate()?;
        match self.families.iter().find(|entry| entry.family == family) {
            Some(entry) => self.draw(entry, seed),
            None => Err(Error::FamilyNotInMix { family }),
        }
    }

    /// A margin, in pixels, that suffices for every degradation this mix can draw.
    ///
    /// # Errors
    /// An invalid mix, or one that can draw kernels beyond the size limit.
    pub fn max_margin(&self) -> Result<usize> {
        self.validate()?;
        let mut margin = 0;
        for entry in self.families.iter().filter(|entry| entry.weight > 0.0) {
            margin = margin.max(draw::margin(self, entry)?);
        }
        Ok(margin)
    }
}

fn check_range(
    field: &'static str,
    range: [f32; 2],
    least: f32,
    most: f32,
    problems: &mut Vec<Problem>,
) {
    let [low, high] = range;
    if !(low >= least && low <= most) {
        problems.push(Problem::new(
            field,
            low,
            "a range [low, high] with both ends inside the allowed values",
        ));
    }
    if !(high >= low && high <= most) {
        problems.push(Problem::new(
            field,
            high,
            "a range [low, high] with low at most high and both ends allowed",
        ));
    }
}
