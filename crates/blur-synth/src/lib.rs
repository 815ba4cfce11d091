#![doc = include_str!("../README.md")]

mod blur;
mod convolve;
mod degradation;
mod error;
mod families;
mod kernel;
mod mix;
mod random;
mod response;
mod splat;

pub use blur::{Blur, Family};
pub use degradation::{DEGRADATION_SCHEMA_VERSION, Degradation};
pub use error::{Error, Problem, Result};
pub use kernel::{Kernel, MAX_KERNEL_RADIUS};
pub use mix::{BLUR_MIX_SCHEMA_VERSION, BlurMix, WeightedFamily};
pub use response::Response;
