//! Samplers of order one: each step is two numbers.

use tch::Tensor;

use super::Observer;
use super::run::{Run, interpolate};
use crate::error::{Error, Result, check};
use crate::{Denoiser, NoiseSource, Sigmas};

/// One step `x_next = x + toward_denoised (denoised - x) + noise_std n` in VE coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepCoefficients {
    /// How far the noisy image moves towards the denoised one, in `[0, 1]`.
    pub toward_denoised: f64,
    /// Standard deviation of the fresh noise, in `[0, sigma_next]` or, for [`DdpmVariance::Beta`](super::DdpmVariance::Beta),
    /// up to `sigma`.
    pub noise_std: f64,
}

/// Result of a single step, with the names of diffusers' `DDIMSchedulerOutput`, but in VE coordinates.
pub struct StepOutput {
    /// The noisy image at `sigma_next`, float32 `[N, C, H, W]`; the clean one if that is 0.
    pub prev_sample: Tensor,
    /// The denoised estimate that the step was made with, same shape.
    pub pred_original_sample: Tensor,
}

/// A sampler whose steps need nothing but the current noisy image and its denoised estimate. For loops of one's own:
///
/// ```
/// use diffusion_sched::sampler::FirstOrder;
/// use diffusion_sched::{Ddim, Sigmas};
/// use tch::{Device, Kind, Tensor};
///
/// # fn main() -> diffusion_sched::Result<()> {
/// let sigmas = Sigmas::karras(10, 0.01, 80.0, 7.0)?;
/// let mut x = Tensor::full([1, 3, 8, 8], 80.0, (Kind::Float, Device::Cpu));
/// for (_, sigma, sigma_next) in sigmas.pairs() {
///     let denoised = &x / (1.0 + sigma * sigma); // exact for unit Gaussian images
///     x = Ddim::new(0.0)?.step(&x, &denoised, sigma, sigma_next, None)?.prev_sample;
/// }
/// # Ok(())
/// # }
/// ```
pub trait FirstOrder {
    /// The two numbers of the step from `sigma > 0` down to `sigma_next` in `[0, sigma)`.
    fn coefficients(&self, sigma: f64, sigma_next: f64) -> StepCoefficients;

    /// One step, into new tensors. `noise` is a field of standard normals of the shape of `x`; a deterministic step takes `None`.
    ///
    /// # Errors
    /// Not `0 <= sigma_next < sigma < ∞`; `noise` is missing where the step needs it; shapes do not fit together.
    fn step(
        &self,
        x: &Tensor,
        denoised: &Tensor,
        sigma: f64,
        sigma_next: f64,
        noise: Option<&Tensor>,
    ) -> Result<StepOutput> {
        check(sigma.is_finite() && sigma > 0.0, "sigma", sigma, "(0, ∞)")?;
        check(
            sigma_next >= 0.0 && sigma_next < sigma,
            "sigma_next",
            sigma_next,
            "[0, sigma)",
        )?;
        let pred_original_sample = denoised.f_detach()?;
        if sigma_next == 0.0 {
            return Ok(StepOutput {
                prev_sample: denoised.f_detach()?,
                pred_original_sample,
            });
        }
        let step = self.coefficients(sigma, sigma_next);
        let mut prev_sample = x
            .f_detach()?
            .f_lerp(&pred_original_sample, step.toward_denoised)?;
        if step.noise_std > 0.0 {
            let noise = noise.ok_or(Error::MissingNoise {
                noise_std: step.noise_std,
            })?;
            let _ = prev_sample.f_add_(&noise.f_mul_scalar(step.noise_std)?)?;
        }
        Ok(StepOutput {
            prev_sample,
            pred_original_sample,
        })
    }
}

/// The whole loop of a first-order sampler, in place.
pub(super) fn sample(
    sampler: &impl FirstOrder,
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
        let step = sampler.coefficients(sigma, sigma_next);
        interpolate(&mut x, &denoised, step.toward_denoised)?;
        drop(denoised);
        run.add_noise(&mut x, step.noise_std, index)?;
    }
    Ok(x)
}

/// Standard deviation of the posterior `q(x_next | x, x_0)`: `sigma_next sqrt(1 - sigma_next² / sigma²)`.
pub(super) fn posterior_std(sigma: f64, sigma_next: f64) -> f64 {
    sigma_next * ((sigma - sigma_next) * (sigma + sigma_next)).sqrt() / sigma
}
