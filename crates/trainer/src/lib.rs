#![doc = include_str!("../README.md")]

mod config;
mod error;
mod folder;
mod loss;
mod noise_levels;
mod optimizer;
mod pairs;
mod photos;
mod random;
mod run;
mod stability;
mod state;
mod states;
mod step;
mod validation;

pub use config::{Loss, SCHEMA_VERSION, TrainConfig};
pub use error::{Error, Result, Saved};
pub use folder::files;
pub use noise_levels::NoiseLevels;
pub use optimizer::{AdamW, Parameter};
pub use pairs::{Batch, Loader, Pair, PairSource};
pub use photos::{Photo, PhotoSet};
pub use run::{Event, Outcome, run};
pub use states::BEST_MODEL;
pub use validation::{Quality, Report, Validation};
