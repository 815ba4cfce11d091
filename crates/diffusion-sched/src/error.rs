//! The one error type of this crate.

use thiserror::Error;

/// What can go wrong in this crate. Data, not strings: a caller can match on it and word its own message.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A number is outside the range that its formula is defined on.
    #[error("{name} = {value} is outside its range {range}")]
    OutOfRange {
        /// Name of the parameter.
        name: &'static str,
        /// What was given.
        value: f64,
        /// The allowed range, as a mathematical interval or condition.
        range: &'static str,
    },
    /// A count (steps, timesteps) is zero or absurdly large.
    #[error("{name} = {value} is outside its range 1..={max}")]
    Count {
        /// Name of the parameter.
        name: &'static str,
        /// What was given.
        value: usize,
        /// The largest allowed value.
        max: usize,
    },
    /// A list of noise levels is not strictly falling at `index`.
    #[error("noise levels must fall strictly, but sigmas[{index}] = {value} follows {previous}")]
    NotFalling {
        /// Position of the first offending value.
        index: usize,
        /// Value at `index`.
        value: f64,
        /// Value before it.
        previous: f64,
    },
    /// A list of noise levels does not end in 0, so the last step would leave noise in the result.
    #[error(
        "noise levels must hold at least one positive value and end in 0, but they end in {last:?}"
    )]
    NotEndingInZero {
        /// The last value, `None` for an empty list.
        last: Option<f64>,
    },
    /// A name that stands for no sampler.
    #[error("unknown sampler {name:?}; known: ddpm, ddim, euler, heun, dpmpp-2m, dpmpp-2m-sde")]
    UnknownSampler {
        /// What was given.
        name: String,
    },
    /// A tensor has another shape than the contract asks for.
    #[error("{what} has shape {got:?}, expected {expected:?}")]
    Shape {
        /// Which tensor.
        what: &'static str,
        /// Expected sizes.
        expected: Vec<i64>,
        /// Actual sizes.
        got: Vec<i64>,
    },
    /// A tensor has another element type than float32.
    #[error("{what} has element type {got}, expected float32")]
    ElementType {
        /// Which tensor.
        what: &'static str,
        /// Name of the actual type.
        got: String,
    },
    /// A denoiser returned NaN or an infinity.
    #[error("the denoiser returned a value that is not finite in step {step} (sigma {sigma})")]
    NonFinite {
        /// Index of the sampling step, from 0.
        step: usize,
        /// Noise level of the call.
        sigma: f64,
    },
    /// A step that adds noise was given none.
    #[error("this step adds noise of standard deviation {noise_std}, but none was given")]
    MissingNoise {
        /// Standard deviation of the noise, in VE coordinates.
        noise_std: f64,
    },
    /// The observer asked to stop.
    #[error("sampling was cancelled")]
    Cancelled,
    /// The denoiser failed.
    #[error("the denoiser failed")]
    Denoiser(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// libtorch failed.
    #[cfg(feature = "torch")]
    #[error("libtorch failed")]
    Torch(#[from] tch::TchError),
}

impl Error {
    /// Wraps the error of a network so that a `Denoiser` can return it.
    pub fn denoiser(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Denoiser(source.into())
    }
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// `Ok` when `holds`, else [`Error::OutOfRange`].
pub(crate) fn check(
    holds: bool,
    name: &'static str,
    value: f64,
    range: &'static str,
) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::OutOfRange { name, value, range })
    }
}
