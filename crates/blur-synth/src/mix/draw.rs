//! From a place in the mix to one degradation.

use super::{BlurMix, WeightedFamily};
use crate::blur::Blur;
use crate::degradation::{DEGRADATION_SCHEMA_VERSION, Degradation};
use crate::error::{Error, Result};
use crate::family::Family;
use crate::highlights::Highlights;
use crate::jpeg::Jpeg;
use crate::kernel::checked_radius;
use crate::layers::MovingObject;
use crate::motion::Motion;
use crate::random::SplitMix64;
use crate::warp;

/// Whether a mix can draw from a family.
pub(super) fn is_drawable(family: Family) -> bool {
    !matches!(family, Family::FrameAverage | Family::CustomKernel)
}

impl BlurMix {
    /// The degradation of one family. What was added later draws from streams of its own, so that the pictures of a mix
    /// without it stay the same.
    pub(super) fn draw(&self, entry: &WeightedFamily, seed: u64) -> Result<Degradation> {
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
            Family::Defocus => self.defocus(size, seed),
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
            Family::ObjectMotion => self.moving_object(entry, size, seed),
            Family::Rotation => Blur::Rotation {
                extent: size,
                center: center(&mut random),
            },
            Family::Zoom => Blur::Zoom {
                extent: size,
                center: center(&mut random),
            },
            Family::FrameAverage | Family::CustomKernel => {
                return Err(Error::FamilyNotDrawable {
                    family: entry.family,
                });
            }
        };
        Ok(Degradation {
            schema_version: DEGRADATION_SCHEMA_VERSION,
            blur,
            response: self.response,
            shot_noise: between_logarithms(self.shot_noise, random.uniform()),
            read_noise: between_logarithms(self.read_noise, random.uniform()),
            quantise_bits: self.quantise_bits,
            highlights: self.highlights(seed),
            jpeg: self.jpeg(seed),
            seed: random.seed(),
        })
    }

    fn defocus(&self, radius: f32, seed: u64) -> Blur {
        let mut random = SplitMix64::keyed(seed, "blur mix: aperture");
        if random.uniform() >= f64::from(self.polygon_share) {
            return Blur::disc(radius);
        }
        Blur::Defocus {
            radius,
            blades: Some(5 + (random.uniform() * 5.0) as u8),
            rotation_degrees: between([0.0, 120.0], random.uniform()),
        }
    }

    /// An object anywhere in the picture. In a third of the pictures only the object moves, in a third only the scene
    /// (the camera follows the object), in a third both, each in its own way.
    fn moving_object(&self, entry: &WeightedFamily, size: f32, seed: u64) -> Blur {
        let mut random = SplitMix64::keyed(seed, "blur mix: object");
        let object = MovingObject {
            center: center(&mut random),
            radius: between([0.15, 0.45], random.uniform()),
            irregularity: between([0.1, 0.6], random.uniform()),
            softness: between_logarithms([1.0, 6.0], random.uniform()),
            seed: random.seed(),
        };
        let who = random.uniform();
        let first = self.motion(size, &mut random);
        let other = between([entry.min, entry.max], random.uniform());
        let second = self.motion(other, &mut random);
        let (foreground, background) = if who < 1.0 / 3.0 {
            (first, Motion::Still)
        } else if who < 2.0 / 3.0 {
            (Motion::Still, first)
        } else {
            (first, second)
        };
        Blur::ObjectMotion {
            object,
            foreground,
            background,
        }
    }

    /// A straight way or a random trajectory, with even chances.
    fn motion(&self, size: f32, random: &mut SplitMix64) -> Motion {
        if random.uniform() < 0.5 {
            return Motion::LinearMotion {
                length: size,
                angle_degrees: between([0.0, 180.0], random.uniform()),
            };
        }
        Motion::CameraShake {
            extent: size,
            anxiety: between(self.camera_shake_anxiety, random.uniform()),
            exposure: between_logarithms(self.camera_shake_exposure, random.uniform()),
            seed: random.seed(),
        }
    }

    fn highlights(&self, seed: u64) -> Option<Highlights> {
        let mix = self.highlights?;
        let mut random = SplitMix64::keyed(seed, "blur mix: highlights");
        (random.uniform() < f64::from(mix.share)).then(|| Highlights {
            threshold: mix.threshold,
            gain: between_logarithms(mix.gain, random.uniform()),
        })
    }

    fn jpeg(&self, seed: u64) -> Option<Jpeg> {
        let mix = self.jpeg?;
        let mut random = SplitMix64::keyed(seed, "blur mix: jpeg");
        let [low, high] = mix.quality.map(f32::from);
        (random.uniform() < f64::from(mix.share)).then(|| Jpeg {
            quality: between([low, high], random.uniform()).round() as u8,
            chroma: mix.chroma,
        })
    }
}

/// Real pixels that the widest blur of one family reads, over all trajectories and angles.
pub(super) fn margin(mix: &BlurMix, entry: &WeightedFamily) -> Result<usize> {
    let size = entry.max;
    let widest = match entry.family {
        // Seen from its centroid no point of a trajectory lies further off than its extent.
        Family::CameraShake => return checked_radius(size.into()),
        // One more for reading between pixels, and one because the instants have a mean of their own.
        Family::ObjectMotion => return checked_radius(f64::from(size) + 2.0),
        Family::Rotation | Family::Zoom => return warp::margin(size.into()),
        Family::LinearMotion => Blur::LinearMotion {
            length: size,
            angle_degrees: 0.0,
        },
        // Of all polygons that are drawn, a pentagon reaches furthest when one corner points along an axis.
        Family::Defocus if mix.polygon_share > 0.0 => Blur::Defocus {
            radius: size,
            blades: Some(5),
            rotation_degrees: 0.0,
        },
        Family::Defocus => Blur::disc(size),
        Family::Gaussian => Blur::Gaussian {
            sigma: size,
            sigma_minor: None,
            angle_degrees: 0.0,
        },
        Family::FrameAverage | Family::CustomKernel => {
            return Err(Error::FamilyNotDrawable {
                family: entry.family,
            });
        }
    };
    Ok(widest.kernel()?.radius())
}

/// A place in the middle half of the picture.
fn center(random: &mut SplitMix64) -> [f32; 2] {
    [
        between([0.25, 0.75], random.uniform()),
        between([0.25, 0.75], random.uniform()),
    ]
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
