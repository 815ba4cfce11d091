//! Which noise levels a training batch sees.

use diffusion_sched::{CosineLogSnr, NoiseLevel};

use crate::random::Random;
use crate::{Result, TrainConfig};

const LEVEL_STREAM: u64 = 4;

/// Draws continuous noise levels: a fixed fraction of every batch at the largest level, where one-step restoration works,
/// the rest uniform in the time of the continuous cosine schedule, one stratum of [0, 1] each.
#[derive(Debug)]
pub struct NoiseLevels {
    schedule: CosineLogSnr,
    largest: NoiseLevel,
    pure: usize,
    batch: usize,
    seed: u64,
}

impl NoiseLevels {
    /// Levels for this configuration.
    ///
    /// # Errors
    /// If the model's noise range is invalid.
    pub fn new(config: &TrainConfig) -> Result<Self> {
        let log_snr = |sigma: f64| -2.0 * sigma.ln();
        Ok(Self {
            schedule: CosineLogSnr::new(
                log_snr(config.model.sigma_max),
                log_snr(config.model.sigma_min),
            )?,
            largest: NoiseLevel::from_sigma(config.model.sigma_max)?,
            pure: (config.batch as f64 * config.pure_noise_fraction).round() as usize,
            batch: config.batch,
            seed: config.seed,
        })
    }

    /// One level per crop of the batch of `step`.
    ///
    /// # Errors
    /// If the schedule refuses a time, which a valid configuration excludes.
    pub fn draw(&self, step: u64) -> Result<Vec<NoiseLevel>> {
        let spread = self.batch - self.pure.min(self.batch);
        (0..self.batch)
            .map(|item| {
                if item >= spread {
                    return Ok(self.largest);
                }
                let u = Random::new(
                    self.seed,
                    LEVEL_STREAM,
                    step * self.batch as u64 + item as u64,
                )
                .uniform();
                Ok(self.schedule.level((item as f64 + u) / spread as f64)?)
            })
            .collect()
    }
}
