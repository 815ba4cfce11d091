//! A discrete schedule: T noise levels, and how a sampler picks some of them.

use serde::{Deserialize, Serialize};

use super::{BetaSchedule, betas, check_count};
use crate::error::{Error, Result, check};
use crate::{NoiseLevel, Sigmas};

/// T noise levels of a discrete diffusion. Timestep `t` runs from 0 (least noise) to `T - 1`, as in diffusers.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscreteSchedule {
    betas: Vec<f64>,
    alpha_bars: Vec<f64>,
    sigmas: Vec<f64>,
}

/// How `n` of the T timesteps are picked for sampling; names and rounding as in diffusers
/// (table 2 of Lin 2023, arXiv 2305.08891).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestepSpacing {
    /// `i * floor(T / n)` for i = 0..n: holds the first timestep, misses the last.
    Leading,
    /// n points from 0 to T - 1, both included, rounded.
    Linspace,
    /// `T - i * T/n`, rounded, minus 1: holds the last timestep, misses the first.
    Trailing,
}

impl TimestepSpacing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Leading, Self::Linspace, Self::Trailing];
}

impl DiscreteSchedule {
    /// The levels of `schedule` with `timesteps` steps.
    ///
    /// # Errors
    /// As [`betas`].
    pub fn new(schedule: &BetaSchedule, timesteps: usize) -> Result<Self> {
        Self::from_betas(betas(schedule, timesteps)?)
    }

    /// The levels of given variances `beta_t`, each in (0, 1).
    ///
    /// # Errors
    /// The list is empty or longer than [`MAX_STEPS`](crate::MAX_STEPS), a β is outside (0, 1), or so much noise adds up
    /// that `sigma` overflows.
    pub fn from_betas(betas: Vec<f64>) -> Result<Self> {
        check_count("timesteps", betas.len())?;
        let mut alpha_bars = Vec::with_capacity(betas.len());
        let mut sigmas = Vec::with_capacity(betas.len());
        let (mut alpha_bar, mut variance) = (1.0_f64, 0.0_f64);
        for &beta in &betas {
            check(beta > 0.0 && beta < 1.0, "beta", beta, "(0, 1)")?;
            alpha_bar *= 1.0 - beta;
            // 1 + sigma_t² = (1 + sigma_{t-1}²) / (1 - beta_t): unlike (1 - alpha_bar) / alpha_bar
            // this has no cancellation while alpha_bar is close to 1.
            variance = (variance + beta) / (1.0 - beta);
            check(
                variance.is_finite() && alpha_bar > 0.0,
                "sigma",
                variance.sqrt(),
                "[0, ∞)",
            )?;
            alpha_bars.push(alpha_bar);
            sigmas.push(variance.sqrt());
        }
        Ok(Self {
            betas,
            alpha_bars,
            sigmas,
        })
    }

    /// Number of timesteps T, at least 1.
    pub fn timestep_count(&self) -> usize {
        self.betas.len()
    }

    /// Variances `beta_t`, T numbers in (0, 1).
    pub fn betas(&self) -> &[f64] {
        &self.betas
    }

    /// `alpha_bar_t = Π (1 - beta_s)`, s ≤ t; falls strictly (alias `alphas_cumprod`).
    pub fn alpha_bars(&self) -> &[f64] {
        &self.alpha_bars
    }

    /// `sigma_t = sqrt((1 - alpha_bar_t) / alpha_bar_t)` of every timestep; rises strictly.
    pub fn sigmas(&self) -> &[f64] {
        &self.sigmas
    }

    /// The noise level of timestep `t`.
    ///
    /// # Errors
    /// `t >= T`.
    pub fn level(&self, t: usize) -> Result<NoiseLevel> {
        NoiseLevel::from_sigma(self.sigma_at(t)?)
    }

    /// `sigma` of each of `timesteps`, in their order.
    ///
    /// # Errors
    /// A timestep is `>= T`.
    pub fn sigmas_at(&self, timesteps: &[usize]) -> Result<Vec<f64>> {
        timesteps.iter().map(|&t| self.sigma_at(t)).collect()
    }

    /// `steps` of the T timesteps, falling strictly, as diffusers' DDIM and DDPM pick them (`steps_offset` 0).
    ///
    /// One step with `Leading` or `Linspace` is timestep 0, as there; [`Sigmas::from_discrete`] starts at the last one instead.
    ///
    /// # Errors
    /// `steps` is 0 or above T.
    pub fn timesteps(&self, steps: usize, spacing: TimestepSpacing) -> Result<Vec<usize>> {
        let total = self.timestep_count();
        if steps == 0 || steps > total {
            return Err(Error::Count {
                name: "steps",
                value: steps,
                max: total,
            });
        }
        let timestep = |index: usize| match spacing {
            TimestepSpacing::Leading => (steps - 1 - index) * (total / steps),
            TimestepSpacing::Linspace if steps == 1 => 0,
            TimestepSpacing::Linspace if index == 0 => total - 1,
            TimestepSpacing::Linspace => {
                let width = (total - 1) as f64 / (steps - 1) as f64;
                ((steps - 1 - index) as f64 * width).round_ties_even() as usize
            }
            TimestepSpacing::Trailing => {
                let width = total as f64 / steps as f64;
                ((total as f64 - index as f64 * width).round_ties_even() as usize).max(1) - 1
            }
        };
        Ok((0..steps).map(timestep).collect())
    }

    /// A noise level between timesteps: `sqrt(alpha_bar)` drawn uniformly inside step `t`, from its value at `t` (`u = 0`)
    /// to that at `t - 1` (`u = 1`; 1 before the first step). With `t` uniform in `0..T` and `u` uniform in `[0, 1)`
    /// this is the continuous noise level of WaveGrad (arXiv 2009.00713, section 2.1), SR3 and DvSR.
    ///
    /// # Errors
    /// `t >= T`, or `u` outside `[0, 1]`.
    pub fn continuous_level(&self, t: usize, u: f64) -> Result<NoiseLevel> {
        check((0.0..=1.0).contains(&u), "u", u, "[0, 1]")?;
        let noisier = self.level(t)?;
        let cleaner = match t {
            0 => NoiseLevel::from_sigma(0.0)?,
            _ => self.level(t - 1)?,
        };
        if u == 0.0 {
            return Ok(noisier);
        }
        NoiseLevel::from_alpha((noisier.alpha() * (1.0 - u) + cleaner.alpha() * u).min(1.0))
    }

    /// The sampling grid of `steps` steps; see [`Sigmas::from_discrete`].
    ///
    /// # Errors
    /// As [`timesteps`](Self::timesteps).
    pub fn sampling_sigmas(&self, steps: usize, spacing: TimestepSpacing) -> Result<Sigmas> {
        Sigmas::from_discrete(self, steps, spacing)
    }

    fn sigma_at(&self, t: usize) -> Result<f64> {
        self.sigmas.get(t).copied().ok_or(Error::OutOfRange {
            name: "timestep",
            value: t as f64,
            range: "0..T",
        })
    }
}
