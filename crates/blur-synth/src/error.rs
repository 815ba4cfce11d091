//! What can go wrong, as data.

use std::fmt;

use crate::family::Family;

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// One parameter that is not usable.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Name of the field, as it is written in JSON or TOML.
    pub field: &'static str,
    /// The value that was given.
    pub value: f64,
    /// What the value must be.
    pub requirement: &'static str,
}

impl Problem {
    pub(crate) fn new(
        field: &'static str,
        value: impl Into<f64>,
        requirement: &'static str,
    ) -> Self {
        Self {
            field,
            value: value.into(),
            requirement,
        }
    }
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

/// Why a degradation could not be described or applied.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// One or more parameters are out of range; all of them are listed.
    #[error("invalid parameters: {}", join(problems))]
    InvalidParameters {
        /// Every problem found.
        problems: Vec<Problem>,
    },
    /// The blur would need a kernel beyond the supported size.
    #[error("kernel radius of {radius} pixels exceeds the limit of {limit}")]
    KernelTooLarge {
        /// Radius that the parameters ask for, in pixels.
        radius: f64,
        /// Largest supported radius, in pixels.
        limit: usize,
    },
    /// The mix does not hold the family asked for.
    #[error("the blur mix has no family {family}")]
    FamilyNotInMix {
        /// The family asked for.
        family: Family,
    },
    /// The blur differs from pixel to pixel, or is made from several pictures.
    #[error("blur of the family {family} has no kernel")]
    NoKernel {
        /// The family.
        family: Family,
    },
    /// The family has no range of sizes to draw from.
    #[error("a blur mix cannot draw from the family {family}")]
    FamilyNotDrawable {
        /// The family.
        family: Family,
    },
    /// A frame average was applied to one picture, or another blur to several.
    #[error("blur of the family {family} takes {needed} pictures, got {got}")]
    WrongNumberOfFrames {
        /// The family.
        family: Family,
        /// Pictures needed.
        needed: usize,
        /// Pictures given.
        got: usize,
    },
    /// Frames of one film differ in size.
    #[error("frame {index} has shape {got:?}, the first {expected:?} (channels, height, width)")]
    FrameShape {
        /// Number of the frame, from 0.
        index: usize,
        /// Shape of the first frame.
        expected: (usize, usize, usize),
        /// Shape of this one.
        got: (usize, usize, usize),
    },
    /// One or more faults of a recipe; all of them are listed.
    #[error("invalid recipe: {}", problems.join("; "))]
    InvalidRecipe {
        /// Every problem found, with its place.
        problems: Vec<String>,
    },
    /// A file holds no kernel that can be read.
    #[cfg(feature = "kernel-files")]
    #[error("kernel file `{name}`: {fault}")]
    KernelFile {
        /// The name that was given for the file.
        name: String,
        /// What is wrong with it.
        fault: crate::kernel_file::KernelFileFault,
    },
    /// The image is too small for the blur.
    #[error(
        "image of {height} x {width} pixels (height x width) is too small: a margin of {margin} pixels needs at least {needed} x {needed}"
    )]
    ImageTooSmall {
        /// Height of the image, in pixels.
        height: usize,
        /// Width of the image, in pixels.
        width: usize,
        /// Margin on each side, in pixels.
        margin: usize,
        /// Smallest height and width that would do.
        needed: usize,
    },
    /// The margin handed to [`Degradation::apply_valid`](crate::Degradation::apply_valid) does not cover the kernel.
    #[error("margin of {got} pixels is smaller than the {needed} pixels this blur needs")]
    MarginTooSmall {
        /// Margin given, in pixels.
        got: usize,
        /// Margin needed, in pixels.
        needed: usize,
    },
    /// A pixel is NaN or infinite.
    #[error("pixel value at channel {channel}, row {row}, column {column} is not finite")]
    NonFinitePixel {
        /// Channel index.
        channel: usize,
        /// Row index.
        row: usize,
        /// Column index.
        column: usize,
    },
    /// An array has an unusual memory layout.
    #[error("array layout")]
    Layout(#[from] ndarray::ShapeError),
}

fn join(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// `Ok` when there is no problem, else all of them in one error.
pub(crate) fn all_or_nothing(problems: Vec<Problem>) -> Result<()> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::InvalidParameters { problems })
    }
}

/// The samples of an array in standard layout.
pub(crate) fn samples(slice: Option<&[f32]>) -> Result<&[f32]> {
    slice.ok_or_else(incompatible_layout)
}

/// The samples of an array in standard layout, to be written.
pub(crate) fn samples_mut(slice: Option<&mut [f32]>) -> Result<&mut [f32]> {
    slice.ok_or_else(incompatible_layout)
}

fn incompatible_layout() -> Error {
    Error::Layout(ndarray::ShapeError::from_kind(
        ndarray::ErrorKind::IncompatibleLayout,
    ))
}
