#![doc = include_str!("../README.md")]

mod align;
mod cause;
mod error;
mod kid;
#[cfg(feature = "torch")]
mod learned;
mod linear;
mod niqe;
mod protocol;
mod psnr;
mod samples;
mod scores;
pub mod serde_metric;
mod ssim;

/// The arrays that images are, in the version that this crate takes.
pub use ndarray;
/// Tensors and devices, in the version that this crate takes.
#[cfg(feature = "torch")]
pub use tch;

pub use cause::Cause;
pub use error::{Error, Mismatch, Problem, Result, Which};
pub use kid::{Kid, KidProtocol, kid, squared_mmd};
#[cfg(feature = "torch")]
pub use learned::{Backbone, Dists, FeatureStatistics, Inception, Lpips, frechet_distance};
pub use niqe::Niqe;
pub use protocol::perceptual::{Aggregation, PerceptualProtocol, Resize};
pub use protocol::{Alignment, Averaging, Colour, Direction, MetricProtocol, Rounding, SsimKernel};
pub use psnr::psnr;
pub use scores::{Scores, scores};
pub use serde_metric::MetricValue;
pub use ssim::ssim;
