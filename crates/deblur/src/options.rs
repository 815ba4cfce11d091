//! What a restoration shall be.

use std::fmt;
use std::str::FromStr;

use diffusion_sched::SamplerKind;

use crate::{DeviceChoice, Error, Precision, Result};

/// Most sampling steps.
pub const MAX_STEPS: usize = 1000;
/// Most samples of one photo.
pub const MAX_SAMPLES: u32 = 1000;

/// What the restored photo is, of all sharp photos that the blurry one may come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Their mean, estimated in one denoiser call from pure noise: highest PSNR, smooth, fastest.
    #[default]
    Mean,
    /// One of them, drawn in many steps: sharp and realistic, details may be invented.
    Sample,
    /// The mean of several drawn ones ("sample averaging", DvSR, arXiv 2112.02475 §3.4): between the two.
    Average,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Mean, Self::Sample, Self::Average];

    /// Name as on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Sample => "sample",
            Self::Average => "average",
        }
    }
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or_else(|| Error::UnknownValue {
                option: "mode",
                value: text.to_owned(),
                allowed: "mean, sample, average",
            })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// How a photo is cut into parts that the network sees one after another. The result does not depend on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TileChoice {
    /// As few tiles as the memory allows.
    #[default]
    Auto,
    /// Squares of this many pixels are written per tile; a halo around them is read besides.
    Size(u32),
    /// The whole photo at once.
    Off,
}

impl FromStr for TileChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            other => other
                .parse()
                .map(Self::Size)
                .map_err(|_| Error::UnknownValue {
                    option: "tile",
                    value: text.to_owned(),
                    allowed: "auto, off, or a number of pixels",
                }),
        }
    }
}

impl fmt::Display for TileChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Size(size) => size.fmt(formatter),
            Self::Off => formatter.write_str("off"),
        }
    }
}

/// Everything that a [`Restorer`](crate::Restorer) needs to know besides the checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What is asked for.
    pub mode: Mode,
    /// Sampling steps, 1 to [`MAX_STEPS`]; not used by [`Mode::Mean`] itself.
    pub steps: usize,
    /// How samples are drawn; not used by [`Mode::Mean`] itself.
    pub sampler: SamplerKind,
    /// Samples to draw for [`Mode::Average`] and for the spread, 1 to [`MAX_SAMPLES`].
    pub samples: u32,
    /// Same seed, same result.
    pub seed: u64,
    /// Whether the spread over samples is returned; needs two samples.
    pub uncertainty: bool,
    /// Whether the guidance networks' predictions are returned.
    pub guidance: bool,
    /// Where to compute.
    pub device: DeviceChoice,
    /// In which number format.
    pub precision: Precision,
    /// In which parts.
    pub tile: TileChoice,
    /// Bytes that the process may use in all when [`TileChoice::Auto`] chooses; `None`: see [`memory`](crate::memory).
    pub memory: Option<u64>,
}

impl Options {
    /// The posterior mean with seed 0, everything else automatic; samples, where asked for, in 20 steps of DPM-Solver++(2M).
    pub fn mean() -> Self {
        Self {
            mode: Mode::Mean,
            steps: 20,
            sampler: SamplerKind::DpmPp2m,
            samples: 8,
            seed: 0,
            uncertainty: false,
            guidance: false,
            device: DeviceChoice::Auto,
            precision: Precision::Auto,
            tile: TileChoice::Auto,
            memory: None,
        }
    }

    /// As [`Options::mean`], but one sample in `steps` steps.
    pub fn sample(steps: usize) -> Self {
        Self {
            mode: Mode::Sample,
            steps,
            ..Self::mean()
        }
    }

    /// As [`Options::mean`], but the average of `samples` samples in `steps` steps each.
    pub fn average(samples: u32, steps: usize) -> Self {
        Self {
            mode: Mode::Average,
            samples,
            steps,
            ..Self::mean()
        }
    }

    /// Samples that are drawn step by step.
    pub fn drawn_samples(&self) -> u32 {
        match self.mode {
            _ if self.uncertainty => self.samples,
            Mode::Mean => 0,
            Mode::Sample => 1,
            Mode::Average => self.samples,
        }
    }

    /// Checks what can be checked without a model.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::TooFewSamples`], or [`Error::Sampling`] for a sampler's own parameter.
    pub fn validate(&self) -> Result<()> {
        let range = |option, value: u64, maximum: u64| {
            if (1..=maximum).contains(&value) {
                Ok(())
            } else {
                Err(Error::OutOfRange {
                    option,
                    value,
                    minimum: 1,
                    maximum,
                })
            }
        };
        range("steps", self.steps as u64, MAX_STEPS as u64)?;
        range("samples", self.samples.into(), MAX_SAMPLES.into())?;
        if self.uncertainty && self.samples < 2 {
            return Err(Error::TooFewSamples {
                samples: self.samples,
            });
        }
        self.sampler.build()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        assert!(Options::mean().validate().is_ok());
        for wrong in [
            Options::sample(0),
            Options::sample(MAX_STEPS + 1),
            Options::average(0, 1),
            Options::average(MAX_SAMPLES + 1, 1),
            Options {
                uncertainty: true,
                samples: 1,
                ..Options::mean()
            },
            Options {
                sampler: SamplerKind::Ddim { eta: 2.0 },
                ..Options::mean()
            },
        ] {
            assert!(wrong.validate().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn samples_are_drawn_only_where_needed() {
        assert_eq!(Options::mean().drawn_samples(), 0);
        assert_eq!(
            Options {
                uncertainty: true,
                ..Options::mean()
            }
            .drawn_samples(),
            8
        );
        assert_eq!(Options::sample(3).drawn_samples(), 1);
        assert_eq!(
            Options {
                uncertainty: true,
                samples: 5,
                ..Options::sample(3)
            }
            .drawn_samples(),
            5
        );
        assert_eq!(Options::average(4, 3).drawn_samples(), 4);
    }

    #[test]
    fn names_go_both_ways() {
        for mode in Mode::ALL {
            assert_eq!(mode.to_string().parse::<Mode>().expect("a mode"), mode);
        }
        for tile in [TileChoice::Auto, TileChoice::Off, TileChoice::Size(256)] {
            assert_eq!(
                tile.to_string().parse::<TileChoice>().expect("a tile"),
                tile
            );
        }
        for wrong in ["", "-1", "1.5", "on"] {
            assert!(wrong.parse::<TileChoice>().is_err(), "{wrong:?}");
        }
    }
}
