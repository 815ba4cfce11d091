#![doc = include_str!("../README.md")]

mod cause;
mod error;
#[cfg(feature = "torch")]
mod learned;
mod protocol;
mod psnr;
mod samples;
pub mod serde_metric;
mod ssim;

pub use cause::Cause;
pub use error::{Error, Mismatch, Problem, Result, Which};
#[cfg(feature = "torch")]
pub use learned::{Backbone, Lpips};
pub use protocol::perceptual::{Aggregation, PerceptualProtocol, Resize};
pub use protocol::{Averaging, Colour, Direction, MetricProtocol, Rounding, SsimKernel};
pub use psnr::psnr;
pub use serde_metric::MetricValue;
pub use ssim::ssim;
