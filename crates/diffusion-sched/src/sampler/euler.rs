//! Euler steps of the probability flow ODE.

use tch::Tensor;

use super::first_order::{self, FirstOrder, StepCoefficients};
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
        x: Tensor,
        sigmas: &Sigmas,
        noise: &mut dyn NoiseSource,
        observe: &mut Observer,
    ) -> Result<Tensor> {
        first_order::sample(self, denoiser, x, sigmas, noise, observe)
    }
}

impl FirstOrder for Euler {
    fn coefficients(&self, sigma: f64, sigma_next: f64) -> StepCoefficients {
        StepCoefficients {
            toward_denoised: 1.0 - sigma_next / sigma,
            noise_std: 0.0,
        }
    }
}
