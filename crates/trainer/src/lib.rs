#![doc = include_str!("../README.md")]

mod cache;
mod config;
mod data;
mod dry_run;
mod error;
mod estimate;
mod folder;
mod loader;
mod loss;
mod noise_levels;
mod optimizer;
mod pair_folder;
mod pairs;
mod photo_folder;
mod photos;
mod picture;
mod random;
mod real_pairs;
mod run;
mod stability;
mod start;
mod state;
mod states;
mod step;
mod validation;

pub use cache::ImageCache;
pub use config::{ConfigProblem, Draft, Loss, PRESETS, Place, SCHEMA_VERSION, TrainConfig};
pub use data::DataSet;
pub use dry_run::{DryRun, dry_run};
pub use error::{Error, Result, Saved};
pub use estimate::Estimate;
pub use folder::files;
pub use loader::{Batch, Loader};
pub use noise_levels::{ExtraLevel, LevelDistribution, NoiseLevelConfig, NoiseLevels};
pub use optimizer::{AdamW, Parameter};
pub use pair_folder::{PairFolder, Pairing, PairingRule, Replace, Scene};
pub use pairs::{Pair, PairSource, Sampling, Source};
pub use photo_folder::PhotoFolder;
pub use photos::{Photo, PhotoSet};
pub use run::{Event, Outcome, run};
pub use states::BEST_MODEL;
/// A value of a configuration, as TOML has them.
pub use toml::Value as Setting;
pub use validation::{Quality, Report, Validation};
