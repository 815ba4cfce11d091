#![doc = include_str!("../README.md")]

/// Version of this crate; a new minor version may change the bytes of degraded pictures.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

mod blur;
mod convolve;
mod custom;
mod degradation;
mod error;
mod families;
mod family;
mod highlights;
mod jpeg;
mod kernel;
#[cfg(feature = "kernel-files")]
mod kernel_file;
mod layers;
mod mix;
mod motion;
mod plan;
mod planes;
mod random;
mod recipe;
mod response;
mod scenario;
mod splat;
mod unit;
mod warp;

pub use blur::Blur;
pub use custom::CustomKernel;
pub use degradation::{DEGRADATION_SCHEMA_VERSION, Degradation};
pub use error::{Error, Problem, Result};
pub use family::Family;
pub use highlights::Highlights;
pub use jpeg::{Chroma, Jpeg};
pub use kernel::{Kernel, MAX_KERNEL_RADIUS};
#[cfg(feature = "kernel-files")]
pub use kernel_file::KernelFileFault;
pub use layers::MovingObject;
pub use mix::{BLUR_MIX_SCHEMA_VERSION, BlurMix, HighlightMix, JpegMix, WeightedFamily};
pub use motion::Motion;
pub use recipe::{Camera, Condition, Preset, RECIPE_SCHEMA_VERSION, Recipe};
pub use response::Response;
pub use scenario::Scenario;
