//! Per-step noise variances β of discrete schedules.

use std::f64::consts::FRAC_PI_2;

use serde::{Deserialize, Serialize};

use super::check_count;
use crate::error::{Result, check};

/// Offset `s` of the cosine schedule (Nichol & Dhariwal 2021, below eq. 17).
const COSINE_OFFSET: f64 = 0.008;
/// Largest β of the cosine schedule (ibid.).
const COSINE_MAX_BETA: f64 = 0.999;
/// Number of steps that the SR3 values are stated for.
const SR3_TIMESTEPS: f64 = 2000.0;
/// Number of steps that the values of Ho 2020 are stated for.
const HO_TIMESTEPS: f64 = 1000.0;

/// A rule that gives the variances `beta_t` of the forward process `q(z_t | z_{t-1}) = N(sqrt(1 - beta_t) z_{t-1}, beta_t I)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BetaSchedule {
    /// β rises linearly from `beta_start` to `beta_end`, both included (Ho 2020, arXiv 2006.11239: 1e-4..0.02 for T = 1000).
    Linear {
        /// First β, in (0, 1).
        beta_start: f64,
        /// Last β, in (0, 1).
        beta_end: f64,
    },
    /// √β rises linearly (latent diffusion, arXiv 2112.10752; diffusers `scaled_linear`).
    ScaledLinear {
        /// First β, in (0, 1).
        beta_start: f64,
        /// Last β, in (0, 1).
        beta_end: f64,
    },
    /// Linear from 1e-6 to 1e-2 at T = 2000, as SR3 (arXiv 2104.07636) and DvSR (arXiv 2112.02475) train with.
    /// For another T both ends are multiplied by 2000 / T, which keeps the same total noise.
    Sr3,
    /// Cosine (Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 17):
    /// `alpha_bar(t) = cos²(((t/T + s) / (1 + s)) π/2)`, s = 0.008, β clipped to at most 0.999.
    Cosine,
}

impl BetaSchedule {
    /// The linear schedule of Ho 2020 for any number of steps: `1000/T` times 1e-4 .. 0.02, as guided-diffusion scales it,
    /// so that the total noise stays the same.
    ///
    /// # Errors
    /// `timesteps` below 21, where β would reach 1, or above [`MAX_STEPS`](crate::MAX_STEPS).
    pub fn ho_linear(timesteps: usize) -> Result<Self> {
        check_count("timesteps", timesteps)?;
        let scale = HO_TIMESTEPS / timesteps as f64;
        let schedule = Self::Linear {
            beta_start: 1e-4 * scale,
            beta_end: 0.02 * scale,
        };
        check(
            0.02 * scale < 1.0,
            "timesteps",
            timesteps as f64,
            "[21, 1000000]",
        )?;
        Ok(schedule)
    }
}

/// The variances `beta_1 .. beta_T` of `schedule`, `timesteps` numbers in (0, 1).
///
/// # Errors
/// `timesteps` is 0 or above [`MAX_STEPS`](crate::MAX_STEPS), or a β falls outside (0, 1).
pub fn betas(schedule: &BetaSchedule, timesteps: usize) -> Result<Vec<f64>> {
    check_count("timesteps", timesteps)?;
    let betas: Vec<f64> = match *schedule {
        BetaSchedule::Linear {
            beta_start,
            beta_end,
        } => linspace(beta_start, beta_end, timesteps),
        BetaSchedule::ScaledLinear {
            beta_start,
            beta_end,
        } => {
            check(beta_start > 0.0, "beta_start", beta_start, "(0, 1)")?;
            check(beta_end > 0.0, "beta_end", beta_end, "(0, 1)")?;
            linspace(beta_start.sqrt(), beta_end.sqrt(), timesteps)
                .into_iter()
                .map(|root| root * root)
                .collect()
        }
        BetaSchedule::Sr3 => {
            let scale = SR3_TIMESTEPS / timesteps as f64;
            linspace(1e-6 * scale, 1e-2 * scale, timesteps)
        }
        BetaSchedule::Cosine => (0..timesteps)
            .map(|step| cosine_beta(step, timesteps))
            .collect(),
    };
    for &beta in &betas {
        check(beta > 0.0 && beta < 1.0, "beta", beta, "(0, 1)")?;
    }
    Ok(betas)
}

/// `1 - cos²(b) / cos²(a)` for the angles of two neighbouring steps, written as
/// `sin(b - a) sin(b + a) / cos²(a)`: the plain form loses up to seven digits where β is small.
fn cosine_beta(step: usize, timesteps: usize) -> f64 {
    let angle = |t: f64| (t / timesteps as f64 + COSINE_OFFSET) / (1.0 + COSINE_OFFSET) * FRAC_PI_2;
    let before = angle(step as f64);
    let width = FRAC_PI_2 / (1.0 + COSINE_OFFSET) / timesteps as f64;
    let beta = width.sin() * (2.0 * before + width).sin() / before.cos().powi(2);
    beta.min(COSINE_MAX_BETA)
}

fn linspace(first: f64, last: f64, count: usize) -> Vec<f64> {
    if count == 1 {
        return vec![first];
    }
    let step = (last - first) / (count - 1) as f64;
    (0..count)
        .map(|index| {
            if index + 1 == count {
                last
            } else {
                first + index as f64 * step
            }
        })
        .collect()
}
