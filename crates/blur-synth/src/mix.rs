//! A distribution over degradations.

use serde::{Deserialize, Serialize};

use crate::blur::{Blur, Family};
use crate::degradation::{
    DEGRADATION_SCHEMA_VERSION, Degradation, check_quantise_bits, check_response,
};
use crate::error::{Error, Problem, Result, all_or_nothing};
use crate::random::SplitMix64;
use crate::response::Response;

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
    /// Smallest size in pixels: extent, length, radius or sigma, by family.
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
    /// Range of the anxiety of camera shakes, drawn evenly; see [`Blur::CameraShake`].
    pub camera_shake_anxiety: [f32; 2],
    /// Range of the share of the trajectory of camera shakes, drawn evenly in its logarithm; see
    /// [`Blur::CameraShake`].
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
}

impl BlurMix {
    /// All four families with equal weight: camera shakes of 4 to 24 pixels, linear motion of 3 to 24 pixels, discs
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
        }
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
            Some(entry) => Ok(self.draw(entry, seed)),
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
            Some(entry) => Ok(self.draw(entry, seed)),
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
            margin = margin.max(family_margin(entry)?);
        }
        Ok(margin)
    }

    fn draw(&self, entry: &WeightedFamily, seed: u64) -> Degradation {
        let mut random = SplitMix64::keyed(seed, "blur mix: parameters");
        let size = between([entry.min, entry.max], random.uniform());
        let blur = match entry.family {
            Family::CameraShake => Blur::CameraShake {
                extent: size,
                anxiety: between(self.camera_shake_anxiety, random.uniform()),
                exposure: between_logarithms(self.camera_shake_exposure, random.uniform()),
                seed: random.seed(),
            },
            Family::LinearMotion => Blur::LinearMotion {
                length: size,
                angle_degrees: between([0.0, 180.0], random.uniform()),
            },
            Family::Defocus => Blur::Defocus { radius: size },
            Family::Gaussian => {
                let ratio = between(self.gaussian_axis_ratio, random.uniform());
                let angle_degrees = between([0.0, 180.0], random.uniform());
                let sigma_minor = (ratio < 1.0).then_some(size * ratio);
                let angle_degrees = if sigma_minor.is_some() {
                    angle_degrees
                } else {
                    0.0
                };
                Blur::Gaussian {
                    sigma: size,
                    sigma_minor,
                    angle_degrees,
                }
            }
        };
        Degradation {
            schema_version: DEGRADATION_SCHEMA_VERSION,
            blur,
            response: self.response,
            shot_noise: between_logarithms(self.shot_noise, random.uniform()),
            read_noise: between_logarithms(self.read_noise, random.uniform()),
            quantise_bits: self.quantise_bits,
            seed: random.seed(),
        }
    }
}

/// Radius of the widest kernel of one family, over all trajectories and angles.
fn family_margin(entry: &WeightedFamily) -> Result<usize> {
    let widest = match entry.family {
        // Seen from its centroid no point of a trajectory lies further off than its extent.
        Family::CameraShake => return crate::kernel::checked_radius(entry.max.into()),
        Family::LinearMotion => Blur::LinearMotion {
            length: entry.max,
            angle_degrees: 0.0,
        },
        Family::Defocus => Blur::Defocus { radius: entry.max },
        Family::Gaussian => Blur::Gaussian {
            sigma: entry.max,
            sigma_minor: None,
            angle_degrees: 0.0,
        },
    };
    Ok(widest.kernel()?.radius())
}

fn between(range: [f32; 2], position: f64) -> f32 {
    let [low, high] = range.map(f64::from);
    ((low + (high - low) * position) as f32).clamp(range[0], range[1])
}

fn between_logarithms(range: [f32; 2], position: f64) -> f32 {
    if range == [0.0, 0.0] {
        return 0.0;
    }
    let [low, high] = range.map(|end| libm::log(end.into()));
    (libm::exp(low + (high - low) * position) as f32).clamp(range[0], range[1])
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
