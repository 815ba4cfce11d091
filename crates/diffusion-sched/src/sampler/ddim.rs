//! Denoising diffusion implicit models.

use tch::Tensor;

use super::run::{Run, ancestral_step, posterior_std};
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
        mut x: Tensor,
        sigmas: &Sigmas,
        noise: &mut dyn NoiseSource,
        observe: &mut Observer,
    ) -> Result<Tensor> {
        let mut run = Run::new(denoiser, &x, sigmas, noise, observe)?;
        for (index, sigma, sigma_next) in sigmas.pairs() {
            let denoised = run.denoise(&x, sigma, index)?;
            run.observe(index, sigma, sigma_next, &x, &denoised)?;
            if sigma_next == 0.0 {
                return Ok(denoised);
            }
            let noise_std = self.eta * posterior_std(sigma, sigma_next);
            ancestral_step(
                &mut run,
                &mut x,
                &denoised,
                (index, sigma, sigma_next),
                noise_std,
            )?;
        }
        Ok(x)
    }
}
