#![doc = include_str!("../README.md")]

mod error;
mod protocol;
mod psnr;
mod samples;
pub mod serde_metric;
mod ssim;

pub use error::{Error, Problem, Result, Which};
pub use protocol::{Averaging, Colour, Direction, MetricProtocol, Rounding, SsimKernel};
pub use psnr::psnr;
pub use serde_metric::MetricValue;
pub use ssim::ssim;
