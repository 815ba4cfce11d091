#![doc = include_str!("../README.md")]

mod error;
mod protocol;
mod psnr;
mod samples;
mod ssim;

pub use error::{Error, Problem, Result, Which};
pub use protocol::{Averaging, Colour, Direction, MetricProtocol, Rounding, SsimKernel};
pub use psnr::psnr;
pub use ssim::ssim;
