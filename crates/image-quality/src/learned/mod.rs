//! Metrics that look through a trained network, on libtorch.

mod dists;
mod frechet;
mod inception;
mod input;
mod lpips;
mod trunk;
mod weights;

pub use dists::Dists;
pub use frechet::{FeatureStatistics, frechet_distance};
pub use inception::Inception;
pub use lpips::Lpips;
pub use trunk::Backbone;

#[cfg(test)]
mod tests;
