//! Ancestral sampling of denoising diffusion probabilistic models.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::first_order::{self, FirstOrder, StepCoefficients, posterior_std};
use super::{Observer, Sampler};
use crate::error::Result;
use crate::{Denoiser, NoiseSource, Sigmas};

/// Variance of the noise that a DDPM step adds (Ho 2020, arXiv 2006.11239, section 3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DdpmVariance {
    /// That of the posterior `q(z_{t-1} | z_t, x_0)`, the right one when the denoiser is exact on a single image
    /// (diffusers `fixed_small`).
    #[default]
    Posterior,
    /// `beta_t`, the right one for white noise data (diffusers `fixed_large`; used by SR3 and DvSR).
    Beta,
}

/// The ancestral sampler of Ho 2020 (arXiv 2006.11239, Alg. 2, mean of eq. 7), on any grid of noise levels: `beta_t` is
/// `1 - alpha_bar_t / alpha_bar_{t-1}` of two neighbouring levels. No noise is added in the last step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ddpm {
    /// Variance of the added noise.
    pub variance: DdpmVariance,
}

impl Ddpm {
    /// Standard deviation of the added noise in VE coordinates, that is divided by `alpha_{t-1}`.
    fn noise_std(&self, sigma: f64, sigma_next: f64) -> f64 {
        match self.variance {
            DdpmVariance::Posterior => posterior_std(sigma, sigma_next),
            // beta_t / alpha_bar_{t-1} with alpha_bar = 1 / (1 + sigma²)
            DdpmVariance::Beta => {
                let difference = (sigma - sigma_next) * (sigma + sigma_next);
                difference.sqrt() * sigma_next.hypot(1.0) / sigma.hypot(1.0)
            }
        }
    }
}

impl Sampler for Ddpm {
    fn name(&self) -> &'static str {
        "ddpm"
    }

    fn denoiser_calls(&self, steps: usize) -> usize {
        steps
    }

    fn sample(
        &self,
        denoiser: &dyn Denoiser,
        x: Tensor,
        sigmas: &Sigmas,
        noise: &mut dyn NoiseSource,
        observe: &mut Observer,
    ) -> Result<Tensor> {
        first_order::sample(self, denoiser, x, sigmas, noise, observe)
    }
}

impl FirstOrder for Ddpm {
    /// Eq. 7 divided by alpha: mean `(sigma_next / sigma)² x + (1 - (sigma_next / sigma)²) denoised`.
    fn coefficients(&self, sigma: f64, sigma_next: f64) -> StepCoefficients {
        let ratio = sigma_next / sigma;
        StepCoefficients {
            toward_denoised: (1.0 - ratio) * (1.0 + ratio),
            noise_std: self.noise_std(sigma, sigma_next),
        }
    }
}
