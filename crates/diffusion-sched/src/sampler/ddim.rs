//! Denoising diffusion implicit models.

use tch::Tensor;

use super::first_order::{self, FirstOrder, StepCoefficients, posterior_std};
use super::{Observer, Sampler};
use crate::error::{Result, check};
use crate::{Denoiser, NoiseSource, Sigmas};

/// DDIM (Song 2021, arXiv 2010.02502, eq. 12 and 16). `eta = 0` is deterministic (order 1), `eta = 1` is the ancestral
/// sampler of DDPM; between them the noise of each step is `eta` times that of the posterior.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ddim {
    eta: f64,
}

impl Ddim {
    /// DDIM with `eta` in `[0, 1]`.
    ///
    /// # Errors
    /// `eta` outside `[0, 1]`.
    pub fn new(eta: f64) -> Result<Self> {
        check((0.0..=1.0).contains(&eta), "eta", eta, "[0, 1]")?;
        Ok(Self { eta })
    }

    /// Share of the posterior's noise, in `[0, 1]`.
    pub fn eta(&self) -> f64 {
        self.eta
    }
}

impl Sampler for Ddim {
    fn name(&self) -> &'static str {
        "ddim"
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

impl FirstOrder for Ddim {
    /// Eq. 12 divided by alpha: `denoised + sqrt(sigma_next² - std²) (x - denoised) / sigma + std n`.
    fn coefficients(&self, sigma: f64, sigma_next: f64) -> StepCoefficients {
        let noise_std = self.eta * posterior_std(sigma, sigma_next);
        let direction = ((sigma_next - noise_std) * (sigma_next + noise_std))
            .max(0.0)
            .sqrt();
        StepCoefficients {
            toward_denoised: 1.0 - direction / sigma,
            noise_std,
        }
    }
}
