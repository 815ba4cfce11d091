#![doc = include_str!("../README.md")]

mod config;
mod error;
mod hardware;
pub mod layers;
pub mod padding;
pub mod receptive_field;
mod resnet;
mod unet;

pub use config::{GuidanceEntry, SCHEMA_VERSION, Stem, UNetConfig};
pub use error::{Error, Result};
pub use hardware::cpu_computes_bfloat16;
pub use resnet::ResnetBlock2d;
pub use unet::UNet;
