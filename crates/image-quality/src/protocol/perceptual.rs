//! What the metrics that look through a network or a model must say to be compared: LPIPS, DISTS, NIQE, FID and KID.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Colour, Direction, Rounding};

/// What is done to the size of an image before the network sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// Nothing.
    None,
    /// To 299 x 299 pixels whatever the shape: bicubic with antialiasing, not rounded, clamped; "clean" of Parmar,
    /// Zhang & Zhu 2022 (arXiv 2104.11222).
    CleanBicubic299,
}

/// How images become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// One number for each pair of images, then the arithmetic mean of these.
    PerImageMean,
    /// One number for two whole sets; images are not paired.
    WholeSets,
    /// Mean and standard deviation (of the subsets at hand, not estimated by one less) over pairs of random subsets; images are
    /// not paired.
    Subsets {
        /// Number of pairs of subsets.
        count: usize,
        /// Images in each subset.
        size: usize,
    },
}

/// How a metric that looks through a network compares images. It describes what the metric does and is returned by it;
/// images come in as `[3, H, W]` with values in `[0, 1]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerceptualProtocol {
    /// Name to report beside the numbers.
    pub name: String,
    /// Network and weights.
    pub network: String,
    /// Values of black and white as the network's first layer sees them, before the shift and scale of each channel.
    pub input_range: [f64; 2],
    /// Rounding before anything else.
    pub rounding: Rounding,
    /// Which samples are compared.
    pub colour: Colour,
    /// Pixels left out on each side of the image.
    pub border: usize,
    /// Change of size.
    pub resize: Resize,
    /// How several images become one number.
    pub aggregation: Aggregation,
    /// Which way is better.
    pub direction: Direction,
}

impl PerceptualProtocol {
    fn new(name: &str, network: &str) -> Self {
        Self {
            name: name.to_owned(),
            network: network.to_owned(),
            input_range: [-1.0, 1.0],
            rounding: Rounding::Whole,
            colour: Colour::Rgb,
            border: 0,
            resize: Resize::None,
            aggregation: Aggregation::PerImageMean,
            direction: Direction::LowerIsBetter,
        }
    }

    /// LPIPS version 0.1 on AlexNet: the number that most papers mean by LPIPS.
    #[must_use]
    pub fn lpips_alex() -> Self {
        Self::new("lpips-alex", "AlexNet (ImageNet), LPIPS v0.1 heads")
    }

    /// LPIPS version 0.1 on VGG16.
    #[must_use]
    pub fn lpips_vgg() -> Self {
        Self::new("lpips-vgg", "VGG16 (ImageNet), LPIPS v0.1 heads")
    }

    /// DISTS: VGG16 with L2 pooling.
    #[must_use]
    pub fn dists() -> Self {
        Self {
            input_range: [0.0, 1.0],
            ..Self::new("dists", "VGG16 (ImageNet), L2 pooling, DISTS weights")
        }
    }

    /// NIQE as BasicSR computes it with `crop_border=0, convert_to='y'`; it needs no second image. Samples are rounded to 8
    /// bits, and the luma that is made of them is rounded again; what is left over beside whole blocks is cut off.
    #[must_use]
    pub fn niqe() -> Self {
        Self {
            // Studio range.
            input_range: [16.0, 235.0],
            colour: Colour::Luma,
            ..Self::new(
                "niqe",
                "pristine model of NIQE, 36 statistics of blocks of 96 x 96 px at two scales, cropped at the right and bottom \
                 to whole blocks, luma rounded again to whole levels, no network",
            )
        }
    }

    /// FID as "clean-fid" computes it.
    #[must_use]
    pub fn fid() -> Self {
        Self {
            // 255 becomes (255 - 128) / 128.
            input_range: [-1.0, 0.992_187_5],
            resize: Resize::CleanBicubic299,
            aggregation: Aggregation::WholeSets,
            ..Self::new("fid-clean", "Inception 2015-12-05, 2048 features")
        }
    }

    /// KID on the features of [`Self::fid`], over `count` pairs of random subsets of `size` images.
    #[must_use]
    pub fn kid(count: usize, size: usize) -> Self {
        Self {
            name: "kid-clean".to_owned(),
            aggregation: Aggregation::Subsets { count, size },
            ..Self::fid()
        }
    }
}

impl fmt::Display for PerceptualProtocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colour = match self.colour {
            Colour::Rgb => "RGB",
            Colour::Luma => "BT.601 luma",
        };
        let rounding = match self.rounding {
            Rounding::Whole => "rounded to 8 bits",
            Rounding::None => "not rounded",
        };
        let resize = match self.resize {
            Resize::None => "not resized",
            Resize::CleanBicubic299 => "resized to 299 x 299 (antialiased bicubic)",
        };
        let [black, white] = self.input_range;
        write!(
            formatter,
            "{}: {}, {colour}, {rounding}, border {} px, {resize}, input {black} to {white}, ",
            self.name, self.network, self.border
        )?;
        match self.aggregation {
            Aggregation::PerImageMean => formatter.write_str("mean of images")?,
            Aggregation::WholeSets => formatter.write_str("whole sets")?,
            Aggregation::Subsets { count, size } => {
                write!(formatter, "mean of {count} subsets of {size} images")?;
            }
        }
        write!(formatter, ", {}", self.direction)
    }
}
