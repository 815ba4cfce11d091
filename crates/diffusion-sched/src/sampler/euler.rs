//! Euler steps of the probability flow ODE.

use tch::Tensor;

use super::run::{Run, interpolate};
use super::{Observer, Sampler};
use crate::error::Result;
use crate::{Denoiser, NoiseSource, Sigmas};

/// Euler's method on `dx/dsigma = (x - denoised) / sigma` (Karras 2022, arXiv 2206.00364, eq. 3 with s = 1): order 1, one
/// denoiser call per step, no noise. In these coordinates it is the same as DDIM with `eta = 0`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Euler;

impl Sampler for Euler {
    fn name(&self) -> &'static str {
        "euler"
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
            interpolate(&mut x, &denoised, 1.0 - sigma_next / sigma)?;
        }
        Ok(x)
    }
}
