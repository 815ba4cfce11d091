//! What can go wrong, as data.

use std::fmt;
use std::path::PathBuf;

use crate::cause::Cause;

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
    pub value: String,
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

/// Everything that is wrong with the tensors of a file, found in one pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Tensors that the network needs and the file lacks.
    pub missing: Vec<String>,
    /// Tensors that the file has and the network does not know.
    pub unexpected: Vec<String>,
    /// `name: expected shape, got shape`.
    pub misshaped: Vec<String>,
    /// `name: type` of tensors that are not float32.
    pub mistyped: Vec<String>,
    /// Tensors with values that are NaN or infinite.
    pub non_finite: Vec<String>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (label, names) in [
            ("missing", &self.missing),
            ("unexpected", &self.unexpected),
            ("wrong shape", &self.misshaped),
            ("wrong type", &self.mistyped),
            ("NaN or infinite", &self.non_finite),
        ] {
            if !names.is_empty() {
                write!(formatter, "{separator}{label}: {}", names.join(", "))?;
                separator = "; ";
            }
        }
        Ok(())
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
    /// There is no protocol of this name.
    #[error("no metric protocol is called `{name}`; there are {}", crate::MetricProtocol::NAMES.join(", "))]
    UnknownProtocol {
        /// What was asked for.
        name: String,
    },
    /// The images could not be moved onto each other.
    #[error("the images cannot be aligned: {reason}")]
    Alignment {
        /// Why.
        reason: &'static str,
    },
    /// Too few blocks of an image have statistics that NIQE can use.
    #[error(
        "NIQE needs {needed} blocks of 96 x 96 pixels with texture; the image of {height} x {width} pixels (height x width) \
         has {blocks}, {usable} of them with texture"
    )]
    TooFewBlocks {
        /// Height of the image, in pixels.
        height: usize,
        /// Width of the image, in pixels.
        width: usize,
        /// Blocks in the image.
        blocks: usize,
        /// Blocks with texture.
        usable: usize,
        /// Fewest blocks with texture.
        needed: usize,
    },
    /// A file of weights could not be read.
    #[error("{}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Cause,
    },
    /// A file is not what it should be.
    #[error("{}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The tensors in a file are not those of the network.
    #[error("{}: the tensors do not fit the network: {mismatch}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong. Boxed, so that results stay small.
        mismatch: Box<Mismatch>,
    },
    /// A network was put together from tensors of which one is missing.
    #[error("no tensor {name}")]
    MissingTensor {
        /// Its name.
        name: String,
    },
    /// Batches of images must be `[N, 3, H, W]`, both alike.
    #[error("batches of shapes {first:?} and {second:?}; two alike [N, 3, H, W] are needed")]
    BatchShape {
        /// Shape of the first batch.
        first: Vec<i64>,
        /// Shape of the second batch.
        second: Vec<i64>,
    },
    /// Features or the statistics of two sets do not go together, or a set is too small.
    #[error("{what}: {got} given, {needed} needed")]
    SetSize {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many are needed.
        needed: usize,
    },
    /// An image of a set cannot be used.
    #[error("image {index} of the set (counted from 0) cannot be used")]
    ImageOfSet {
        /// Index of the image in its set.
        index: usize,
        /// What is wrong with it, as of the first of two images.
        #[source]
        source: Box<Error>,
    },
    /// A feature of a set is NaN or infinite.
    #[error("feature {feature} of image {image} is not finite")]
    NonFiniteFeature {
        /// Index of the image in its set.
        image: usize,
        /// Index of the feature.
        feature: usize,
    },
    /// A matrix is not the covariance of anything.
    #[error("not a covariance: {problem}")]
    NotACovariance {
        /// What is wrong with it.
        problem: String,
    },
    /// libtorch reported an error.
    #[error("libtorch")]
    Torch(#[source] Cause),
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

#[cfg(feature = "torch")]
impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        Self::Torch(Cause::new(error))
    }
}
