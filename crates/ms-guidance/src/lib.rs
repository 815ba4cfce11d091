#![doc = include_str!("../README.md")]

pub mod checkpoint;
mod config;
mod error;
mod guidance;
mod model;
pub mod pyramid;

pub use checkpoint::Model;
pub use config::{GuidanceInput, GuidedUNetConfig, SCHEMA_VERSION, Target};
pub use error::{Error, Mismatch, Result};
pub use guidance::{Features, StructureGuidance, guidance_loss};
pub use model::{Conditioned, GuidedUNet};
