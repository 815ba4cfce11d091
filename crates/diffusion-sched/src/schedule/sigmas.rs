//! The grid of noise levels that a sampler walks down.

use super::{CosineLogSnr, DiscreteSchedule, TimestepSpacing, check_count};
use crate::NoiseLevel;
use crate::error::{Error, Result, check};

/// Noise levels `sigma_0 > sigma_1 > … > sigma_{n-1} > 0` in VE coordinates, followed by 0: n sampling steps.
/// A value of this type is always valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Sigmas(Vec<f64>);

impl Sigmas {
    /// Checks a list of one's own: finite, strictly falling, at least one positive value, 0 at the end.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn new(sigmas: Vec<f64>) -> Result<Self> {
        if sigmas.len() < 2 || sigmas.last() != Some(&0.0) {
            return Err(Error::NotEndingInZero {
                last: sigmas.last().copied(),
            });
        }
        check_count("steps", sigmas.len() - 1)?;
        check(sigmas[0].is_finite(), "sigma", sigmas[0], "[0, ∞)")?;
        for (index, pair) in sigmas.windows(2).enumerate() {
            // Not `pair[1] >= pair[0]`, which would let NaN through.
            let falls = pair[1] < pair[0];
            if !falls {
                return Err(Error::NotFalling {
                    index: index + 1,
                    value: pair[1],
                    previous: pair[0],
                });
            }
        }
        Ok(Self(sigmas))
    }

    /// The grid of Karras 2022 (arXiv 2206.00364, eq. 5), with 0 after it:
    /// `sigma_i = (max^(1/rho) + i/(n-1) (min^(1/rho) - max^(1/rho)))^rho`. One step is `[max, 0]`. Usual `rho`: 7.
    ///
    /// # Errors
    /// Not `0 < min < max < ∞`, `rho` outside `(0, 100]`, `steps` 0 or above [`MAX_STEPS`](crate::MAX_STEPS).
    pub fn karras(steps: usize, sigma_min: f64, sigma_max: f64, rho: f64) -> Result<Self> {
        check_count("steps", steps)?;
        check(
            sigma_max.is_finite() && sigma_max > 0.0,
            "sigma_max",
            sigma_max,
            "(0, ∞)",
        )?;
        check(
            sigma_min > 0.0 && sigma_min < sigma_max,
            "sigma_min",
            sigma_min,
            "(0, sigma_max)",
        )?;
        check(rho > 0.0 && rho <= 100.0, "rho", rho, "(0, 100]")?;
        let (low, high) = (sigma_min.powf(1.0 / rho), sigma_max.powf(1.0 / rho));
        let interior = |index: usize| {
            let ramp = index as f64 / (steps - 1) as f64;
            (high + ramp * (low - high)).powf(rho)
        };
        Self::new(
            (0..=steps)
                .map(|index| match index {
                    0 => sigma_max,
                    _ if index == steps => 0.0,
                    _ if index == steps - 1 => sigma_min,
                    _ => interior(index),
                })
                .collect(),
        )
    }

    /// The levels of the timesteps that `spacing` picks, and 0. One step always starts at the noisiest level, whatever
    /// the spacing: from any other there would be nothing to sample from.
    ///
    /// # Errors
    /// `steps` is 0 or above the number of timesteps.
    pub fn from_discrete(
        schedule: &DiscreteSchedule,
        steps: usize,
        spacing: TimestepSpacing,
    ) -> Result<Self> {
        let timesteps = match steps {
            1 => vec![schedule.timestep_count() - 1],
            _ => schedule.timesteps(steps, spacing)?,
        };
        let mut sigmas = schedule.sigmas_at(&timesteps)?;
        sigmas.push(0.0);
        Self::new(sigmas)
    }

    /// The levels of a continuous cosine schedule at `t = 1, 1 - 1/n, …, 1/n`, and 0.
    ///
    /// # Errors
    /// An invalid range, or `steps` 0 or above [`MAX_STEPS`](crate::MAX_STEPS).
    pub fn from_log_snr_cosine(schedule: &CosineLogSnr, steps: usize) -> Result<Self> {
        check_count("steps", steps)?;
        let mut sigmas = (0..steps)
            .map(|index| {
                Ok(schedule
                    .level((steps - index) as f64 / steps as f64)?
                    .sigma())
            })
            .collect::<Result<Vec<_>>>()?;
        sigmas.push(0.0);
        Self::new(sigmas)
    }

    /// Number of sampling steps n, at least 1.
    pub fn steps(&self) -> usize {
        self.0.len() - 1
    }

    /// The largest level, from which sampling starts.
    pub fn max(&self) -> f64 {
        self.0[0]
    }

    /// All n + 1 values, the last of them 0.
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// The largest level as a [`NoiseLevel`].
    ///
    /// # Errors
    /// None for a value of this type, whose levels are finite and positive.
    pub fn first_level(&self) -> Result<NoiseLevel> {
        NoiseLevel::from_sigma(self.max())
    }

    /// `(index, sigma, sigma_next)` of every step.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (usize, f64, f64)> + '_ {
        self.0
            .windows(2)
            .enumerate()
            .map(|(index, pair)| (index, pair[0], pair[1]))
    }
}

impl AsRef<[f64]> for Sigmas {
    fn as_ref(&self) -> &[f64] {
        &self.0
    }
}
