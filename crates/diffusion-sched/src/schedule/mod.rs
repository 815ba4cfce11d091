//! Noise schedules, in f64.

mod beta;
mod cosine_log_snr;
mod discrete;
mod sigmas;

pub use beta::{BetaSchedule, betas};
pub use cosine_log_snr::CosineLogSnr;
pub use discrete::{DiscreteSchedule, TimestepSpacing};
pub use sigmas::Sigmas;

use crate::error::{Error, Result};

/// Largest number of timesteps or sampling steps; far above any use, it keeps a typing slip from eating the memory.
pub const MAX_STEPS: usize = 1_000_000;

fn check_count(name: &'static str, value: usize) -> Result<()> {
    if (1..=MAX_STEPS).contains(&value) {
        Ok(())
    } else {
        Err(Error::Count {
            name,
            value,
            max: MAX_STEPS,
        })
    }
}
