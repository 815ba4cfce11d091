#![doc = include_str!("../README.md")]

pub mod checkpoint;
mod cuda_driver;
mod device;
mod error;
pub mod libtorch;
mod machine;
pub mod memory;
mod options;
mod pixels;
mod precision;
mod restorer;
mod spread;
mod tiled;
pub mod tiles;

pub use checkpoint::CheckpointSource;
pub use device::{CudaProblem, DeviceChoice};
pub use error::{Error, Result};
pub use machine::{CudaDevice, Machine, set_threads};
pub use options::{MAX_SAMPLES, MAX_STEPS, Mode, Options, TileChoice};
pub use precision::Precision;
pub use restorer::{Progress, Restoration, Restorer};
