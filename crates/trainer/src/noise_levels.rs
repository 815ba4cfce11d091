//! Which noise levels a training batch sees.

mod quantile;

use diffusion_sched::{BetaSchedule, CosineLogSnr, DiscreteSchedule, NoiseLevel};
use serde::{Deserialize, Serialize};

use crate::random::Random;
use crate::{Result, TrainConfig};

const LEVEL_STREAM: u64 = 4;
const EXTRA_STREAM: u64 = 5;

/// From which distribution noise levels are drawn, besides those that are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LevelDistribution {
    /// Uniform in the time of the continuous cosine schedule between `model.sigma_min` and `model.sigma_max` (ours). With braces,
    /// because serde takes any further key beside a unit variant.
    Cosine {},
    /// √ᾱ uniform inside a random step of a discrete schedule, from σ̃ = 0 to that of its last step: WaveGrad
    /// (arXiv 2009.00713, §2.1), SR3 (arXiv 2104.07636), DvSR (arXiv 2112.02475).
    Wavegrad {
        /// Steps T of the schedule.
        timesteps: usize,
        /// Its variances, such as `{ kind = "linear", beta_start = 1e-6, beta_end = 1e-2 }` or `{ kind = "sr3" }`.
        betas: BetaSchedule,
    },
    /// ln σ̃ normal: EDM (arXiv 2206.00364, table 1, with −1.2 and 1.2 for images of standard deviation 0.5). Not cut at
    /// `model.sigma_min` and `model.sigma_max`.
    LogNormal {
        /// P_mean, the mean of ln σ̃.
        mean: f64,
        /// P_std, the standard deviation of ln σ̃, above 0.
        std: f64,
    },
}

/// A noise level that is drawn more often than its distribution says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraLevel {
    /// The level σ̃ = σ/α, above 0.
    pub sigma: f64,
    /// Fraction of all crops, in [0, 1]. Where it is no whole number of crops, batches take turns.
    pub fraction: f64,
}

/// The noise levels of training. `pure_noise_fraction` of each batch is at `model.sigma_max`, the `extra` levels have theirs, and the
/// rest follows `distribution`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseLevelConfig {
    /// Where the rest is drawn from.
    pub distribution: LevelDistribution,
    /// Levels with a fraction of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<ExtraLevel>,
}

impl NoiseLevelConfig {
    /// The continuous cosine schedule and no chosen levels.
    pub fn cosine() -> Self {
        Self {
            distribution: LevelDistribution::Cosine {},
            extra: Vec::new(),
        }
    }

    /// As SR3 and DvSR train: T = 2000, β from 1e-6 to 1e-2.
    pub fn sr3() -> Self {
        Self {
            distribution: LevelDistribution::Wavegrad {
                timesteps: 2000,
                betas: BetaSchedule::Linear {
                    beta_start: 1e-6,
                    beta_end: 1e-2,
                },
            },
            extra: Vec::new(),
        }
    }

    /// One sentence per problem, for a model with this `sigma_max` of whose batches `pure_noise_fraction` is at that level.
    pub(crate) fn problems(&self, sigma_max: f64, pure_noise_fraction: f64) -> Vec<String> {
        let mut problems = Vec::new();
        match self.distribution {
            LevelDistribution::Cosine {} => {}
            LevelDistribution::Wavegrad { timesteps, betas } => {
                match DiscreteSchedule::new(&betas, timesteps) {
                    Err(error) => problems.push(format!("noise_levels.distribution: {error}")),
                    Ok(schedule) => {
                        let last = schedule.sigmas().last().copied().unwrap_or(0.0);
                        // 1 % is no difference to a network, and lets a file say a round number.
                        if pure_noise_fraction == 0.0 && last < 0.99 * sigma_max {
                            problems.push(format!(
                                "noise_levels.distribution reaches σ = {last:.4} and model.sigma_max, where sampling starts, is {sigma_max}: \
                                 lower that or raise pure_noise_fraction above 0"
                            ));
                        }
                    }
                }
            }
            LevelDistribution::LogNormal { mean, std } => {
                // Beyond these bounds σ over- or underflows within the eight standard deviations that 53 bits reach.
                if !(mean.is_finite() && mean.abs() <= 20.0 && std > 0.0 && std <= 10.0) {
                    problems.push(format!(
                        "noise_levels.distribution: mean is {mean} and std is {std}, allowed are -20 to 20, and above 0 up to 10"
                    ));
                }
            }
        }
        let mut sum = pure_noise_fraction;
        for &ExtraLevel { sigma, fraction } in &self.extra {
            sum += fraction;
            if !(sigma > 0.0 && sigma <= 1e6 && (0.0..=1.0).contains(&fraction)) {
                problems.push(format!(
                    "noise_levels.extra: sigma is {sigma} and fraction is {fraction}, allowed are above 0 up to 1e6, and 0 to 1"
                ));
            }
        }
        if !self.extra.is_empty() && sum > 1.0 + 1e-9 {
            problems.push(format!(
                "pure_noise_fraction and the fractions of noise_levels.extra add up to {sum}, at most 1 is allowed"
            ));
        }
        problems
    }
}

impl Default for NoiseLevelConfig {
    fn default() -> Self {
        Self::cosine()
    }
}

/// A distribution with what it needs to be drawn from.
#[derive(Debug)]
enum Quantiles {
    Cosine(CosineLogSnr),
    Wavegrad(DiscreteSchedule),
    LogNormal { mean: f64, std: f64 },
}

impl Quantiles {
    /// The level below which a fraction `u` of the distribution lies; for `Wavegrad` the fraction inside a step is turned round.
    fn level(&self, u: f64) -> Result<NoiseLevel> {
        Ok(match self {
            Self::Cosine(schedule) => schedule.level(u)?,
            Self::Wavegrad(schedule) => {
                let steps = schedule.timestep_count();
                let position = u * steps as f64;
                // A product may round up to the number of steps.
                let step = (position as usize).min(steps - 1);
                schedule.continuous_level(step, (position - step as f64).clamp(0.0, 1.0))?
            }
            Self::LogNormal { mean, std } => {
                // Strata begin at 0, which no normal reaches.
                let inside = u.clamp(f64::EPSILON / 4.0, 1.0 - f64::EPSILON / 2.0);
                NoiseLevel::from_sigma((mean + std * quantile::normal(inside)).exp())?
            }
        })
    }
}

/// Draws continuous noise levels: fixed fractions of every batch at chosen levels, among them the largest, where one-step restoration
/// works; the rest from a distribution, one stratum of [0, 1] each.
#[derive(Debug)]
pub struct NoiseLevels {
    quantiles: Quantiles,
    largest: NoiseLevel,
    extra: Vec<(NoiseLevel, f64)>,
    pure: usize,
    batch: usize,
    seed: u64,
}

impl NoiseLevels {
    /// Levels for this configuration.
    ///
    /// # Errors
    /// If the model's noise range or the schedule is invalid.
    pub fn new(config: &TrainConfig) -> Result<Self> {
        let log_snr = |sigma: f64| -2.0 * sigma.ln();
        let quantiles = match config.noise_levels.distribution {
            LevelDistribution::Cosine {} => Quantiles::Cosine(CosineLogSnr::new(
                log_snr(config.model.sigma_max),
                log_snr(config.model.sigma_min),
            )?),
            LevelDistribution::Wavegrad { timesteps, betas } => {
                Quantiles::Wavegrad(DiscreteSchedule::new(&betas, timesteps)?)
            }
            LevelDistribution::LogNormal { mean, std } => Quantiles::LogNormal { mean, std },
        };
        let extra = &config.noise_levels.extra;
        Ok(Self {
            quantiles,
            largest: NoiseLevel::from_sigma(config.model.sigma_max)?,
            extra: extra
                .iter()
                .map(|extra| Ok((NoiseLevel::from_sigma(extra.sigma)?, extra.fraction)))
                .collect::<Result<_>>()?,
            pure: (config.batch as f64 * config.pure_noise_fraction).round() as usize,
            batch: config.batch,
            seed: config.seed,
        })
    }

    /// One level per crop of the batch of `step`: those of the distribution, then the chosen ones, then the largest.
    ///
    /// # Errors
    /// If the schedule refuses a time, which a valid configuration excludes.
    pub fn draw(&self, step: u64) -> Result<Vec<NoiseLevel>> {
        let mut spread = self.batch - self.pure.min(self.batch);
        let mut chosen = Vec::new();
        for (index, &(level, fraction)) in self.extra.iter().enumerate() {
            // Rounded up with the probability of its fraction, so that the mean over batches is exact.
            let key = step * self.extra.len() as u64 + index as u64;
            let u = Random::new(self.seed, EXTRA_STREAM, key).uniform();
            let count = ((self.batch as f64 * fraction + u) as usize).min(spread);
            spread -= count;
            chosen.extend(std::iter::repeat_n(level, count));
        }
        let mut levels = Vec::with_capacity(self.batch);
        for item in 0..spread {
            let key = step * self.batch as u64 + item as u64;
            let u = Random::new(self.seed, LEVEL_STREAM, key).uniform();
            levels.push(self.quantiles.level((item as f64 + u) / spread as f64)?);
        }
        levels.extend(chosen);
        levels.resize(self.batch, self.largest);
        Ok(levels)
    }
}
