//! Everything that two programs must agree on to report the same number.

pub(crate) mod perceptual;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Problem, Result};

/// Whether values are rounded before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Clamped to `[0, data_range]` and rounded to whole numbers: with a data range of 255, what an 8-bit file holds.
    Whole,
    /// Compared as they are.
    None,
}

/// Which samples are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// Red, green and blue: one squared error over all three; the mean of three SSIM values.
    Rgb,
    /// Luma of ITU-R BT.601 in studio range, as MATLAB's `rgb2ycbcr` gives it:
    /// `(16 * data_range + 65.481 R + 128.553 G + 24.966 B) / 255`. Not rounded itself.
    Luma,
}

/// Whether the first image is moved onto the second before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alignment {
    /// Compared where they are.
    None,
    /// The first image is scaled in brightness and moved by the homography of largest correlation with the second (ECC, 100
    /// steps, bicubic); only pixels that come from inside of it are compared. As `evaluation_RealBlur_ecc.py`.
    EccHomography,
}

/// How the values of several images become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Averaging {
    /// The metric of each image, then the arithmetic mean of these.
    PerImageMean,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is better.
    HigherIsBetter,
    /// Less is better.
    LowerIsBetter,
}

/// The Gaussian window and the constants of SSIM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsimKernel {
    /// Side of the square window, in pixels; odd, 3 to 101.
    pub window: usize,
    /// Standard deviation of the window, in pixels.
    pub sigma: f64,
    /// `C1 = (k1 * data_range)^2`.
    pub k1: f64,
    /// `C2 = (k2 * data_range)^2`.
    pub k2: f64,
}

impl SsimKernel {
    /// 11 x 11, sigma 1.5, `k1` 0.01, `k2` 0.03: Wang et al. 2004.
    #[must_use]
    pub fn wang_2004() -> Self {
        Self {
            window: 11,
            sigma: 1.5,
            k1: 0.01,
            k2: 0.03,
        }
    }
}

/// How images are compared. Images come in as `[3, H, W]` with values in `[0, 1]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricProtocol {
    /// Name to report beside the numbers.
    pub name: String,
    /// Values are multiplied by this before rounding; the peak of PSNR and the `L` of SSIM. With [`Rounding::Whole`] a whole
    /// number from 255 upwards.
    pub data_range: f64,
    /// Rounding before comparison.
    pub rounding: Rounding,
    /// Which samples are compared.
    pub colour: Colour,
    /// Pixels left out on each side of the image.
    pub border: usize,
    /// Moving one image onto the other.
    pub alignment: Alignment,
    /// How several images become one number.
    pub averaging: Averaging,
    /// Window and constants of SSIM.
    pub kernel: SsimKernel,
    /// Which way is better, for both metrics: more. Written beside the numbers for those who read them.
    pub direction: Direction,
}

impl MetricProtocol {
    /// The names that [`Self::by_name`] knows.
    pub const NAMES: [&str; 3] = ["rgb", "basicsr-y", "realblur"];

    /// The protocol of a name.
    ///
    /// # Errors
    /// [`Error::UnknownProtocol`], which lists the names that there are.
    pub fn by_name(name: &str) -> Result<Self> {
        match name {
            "rgb" => Ok(Self::rgb()),
            "basicsr-y" => Ok(Self::basicsr_y()),
            "realblur" => Ok(Self::realblur()),
            _ => Err(Error::UnknownProtocol {
                name: name.to_owned(),
            }),
        }
    }

    /// What most deblurring papers report: red, green and blue, rounded to 8 bits, no border left out.
    #[must_use]
    pub fn rgb() -> Self {
        Self {
            name: "rgb".to_owned(),
            data_range: 255.0,
            rounding: Rounding::Whole,
            colour: Colour::Rgb,
            border: 0,
            alignment: Alignment::None,
            averaging: Averaging::PerImageMean,
            kernel: SsimKernel::wang_2004(),
            direction: Direction::HigherIsBetter,
        }
    }

    /// As [`Self::rgb`], on the luma alone, which is not rounded: `calculate_psnr` and `calculate_ssim` of BasicSR 1.4.2
    /// with `crop_border=0, test_y_channel=True`.
    #[must_use]
    pub fn basicsr_y() -> Self {
        Self {
            name: "basicsr-y".to_owned(),
            colour: Colour::Luma,
            ..Self::rgb()
        }
    }

    /// As [`Self::rgb`] after alignment: the numbers that papers report for RealBlur. The first image is the restored one.
    ///
    /// Sides must be as long as the window of SSIM, 11 pixels, for PSNR too. Equal images stay where they are, so that PSNR is
    /// infinite and SSIM 1 even where there is nothing to align by.
    #[must_use]
    pub fn realblur() -> Self {
        Self {
            name: "realblur".to_owned(),
            alignment: Alignment::EccHomography,
            ..Self::rgb()
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::InvalidProtocol`] with all problems at once.
    pub fn validate(&self) -> Result<()> {
        let mut problems = Vec::new();
        for (field, value) in [
            ("data_range", self.data_range),
            ("kernel.sigma", self.kernel.sigma),
            ("kernel.k1", self.kernel.k1),
            ("kernel.k2", self.kernel.k2),
        ] {
            if !(value.is_finite() && value > 0.0) {
                problems.push(Problem {
                    field,
                    value: value.to_string(),
                    requirement: "finite and greater than 0",
                });
            }
        }
        let range = self.data_range;
        // Of fewer levels than a file has, rounding would leave a picture in two colours; of a range between whole numbers
        // white would not be white.
        if self.rounding == Rounding::Whole
            && range.is_finite()
            && range > 0.0
            && (range < 255.0 || range.fract() != 0.0)
        {
            problems.push(Problem {
                field: "data_range",
                value: range.to_string(),
                requirement: "a whole number from 255 upwards where values are rounded to whole numbers",
            });
        }
        let window = self.kernel.window;
        if !(3..=101).contains(&window) || window.is_multiple_of(2) {
            problems.push(Problem {
                field: "kernel.window",
                value: window.to_string(),
                requirement: "odd, from 3 to 101",
            });
        }
        if self.direction != Direction::HigherIsBetter {
            problems.push(Problem {
                field: "direction",
                value: self.direction.to_string(),
                requirement: "higher is better, as PSNR and SSIM are",
            });
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Error::InvalidProtocol { problems })
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::HigherIsBetter => "higher is better",
            Self::LowerIsBetter => "lower is better",
        })
    }
}

impl fmt::Display for MetricProtocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colour = match self.colour {
            Colour::Rgb => "RGB",
            Colour::Luma => "BT.601 luma",
        };
        let rounding = match self.rounding {
            Rounding::Whole => "rounded",
            Rounding::None => "not rounded",
        };
        let averaging = match self.averaging {
            Averaging::PerImageMean => "mean of images",
        };
        let alignment = match self.alignment {
            Alignment::None => "",
            Alignment::EccHomography => "aligned by ECC with a homography, ",
        };
        let SsimKernel {
            window,
            sigma,
            k1,
            k2,
        } = self.kernel;
        write!(
            formatter,
            "{}: {colour}, range 0 to {}, {rounding}, border {} px, {alignment}SSIM window {window} x {window} Gaussian sigma \
             {sigma} k1 {k1} k2 {k2}, {averaging}, {}",
            self.name, self.data_range, self.border, self.direction
        )
    }
}
