//! What can go wrong, as data.

use std::fmt;

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Which of the two images compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The first argument.
    First,
    /// The second argument.
    Second,
}

impl fmt::Display for Which {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::First => "first",
            Self::Second => "second",
        })
    }
}

/// One field of a protocol that is not usable.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Name of the field, as it is written in JSON or TOML.
    pub field: &'static str,
    /// The value that was given.
    pub value: f64,
    /// What the value must be.
    pub requirement: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} = {} (must be {})",
            self.field, self.value, self.requirement
        )
    }
}

/// Why two images could not be compared.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The protocol holds unusable values; all of them are listed.
    #[error("invalid metric protocol: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    InvalidProtocol {
        /// Every problem found.
        problems: Vec<Problem>,
    },
    /// The images have different shapes.
    #[error("images of different shapes: {first:?} and {second:?} (channels, height, width)")]
    ShapeMismatch {
        /// Shape of the first image, `[C, H, W]`.
        first: [usize; 3],
        /// Shape of the second image, `[C, H, W]`.
        second: [usize; 3],
    },
    /// The images do not have three channels.
    #[error("images with {channels} channels; red, green and blue are needed")]
    NotRgb {
        /// Number of channels.
        channels: usize,
    },
    /// Too little is left inside the border to compute the metric.
    #[error(
        "image of {height} x {width} pixels (height x width) is too small: {needed} x {needed} are needed"
    )]
    ImageTooSmall {
        /// Height of the image, in pixels.
        height: usize,
        /// Width of the image, in pixels.
        width: usize,
        /// Smallest height and width that would do.
        needed: usize,
    },
    /// A sample is NaN or infinite.
    #[error(
        "value of the {image} image at channel {channel}, row {row}, column {column} is not finite"
    )]
    NonFinite {
        /// The image it was found in.
        image: Which,
        /// Channel index.
        channel: usize,
        /// Row index.
        row: usize,
        /// Column index.
        column: usize,
    },
}
