//! Metrics that look through a trained network, on libtorch.

mod input;
mod lpips;
mod trunk;
mod weights;

pub use lpips::Lpips;
pub use trunk::Backbone;

#[cfg(test)]
mod tests;
