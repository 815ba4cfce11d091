//! Samplers: integrators over a [`Denoiser`], from `sigma_max` down to 0.
//!
//! All work in VE coordinates, `x_sigma = x + sigma eps`, where every first-order step is an interpolation between the noisy
//! image and its denoised estimate: `x <- x + (1 - sigma_next / sigma) (denoised - x)` for the deterministic ones.

mod ddim;
mod ddpm;
mod dpmpp_2m;
mod dpmpp_2m_sde;
mod euler;
mod first_order;
mod heun;
mod kind;
mod run;

use std::ops::ControlFlow;

use tch::Tensor;

use crate::error::Result;
use crate::{Denoiser, NoiseSource, Sigmas};

pub use ddim::Ddim;
pub use ddpm::{Ddpm, DdpmVariance};
pub use dpmpp_2m::DpmPp2m;
pub use dpmpp_2m_sde::DpmPp2mSde;
pub use euler::Euler;
pub use first_order::{FirstOrder, StepCoefficients, StepOutput};
pub use heun::Heun;
pub use kind::SamplerKind;

/// What an observer sees, once per step, after the step's first denoiser call.
pub struct Step<'a> {
    /// Index of the step, from 0.
    pub index: usize,
    /// Number of steps.
    pub total: usize,
    /// Noise level of `x` (after churn, where a sampler adds noise first).
    pub sigma: f64,
    /// Level that this step goes to; 0 in the last one.
    pub sigma_next: f64,
    /// The noisy image, float32 `[N, C, H, W]`. It is overwritten afterwards: copy it to keep it.
    pub x: &'a Tensor,
    /// The denoiser's estimate at `x`, same shape: a preview of the result.
    pub denoised: &'a Tensor,
}

/// Called once per step; `Break` ends sampling with [`Error::Cancelled`](crate::Error::Cancelled).
pub type Observer<'a> = dyn FnMut(&Step<'_>) -> ControlFlow<()> + 'a;

/// An observer that never stops and does nothing.
pub fn unobserved(_: &Step<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A way from noise to an image. Samplers hold settings only, so one can serve many threads.
pub trait Sampler: Send + Sync {
    /// Name as on a command line, for instance `dpmpp-2m`.
    fn name(&self) -> &'static str;

    /// How often [`sample`](Self::sample) calls the denoiser in `steps` steps.
    fn denoiser_calls(&self, steps: usize) -> usize;

    /// Walks `x` from `sigmas[0]` to 0 and returns the image.
    ///
    /// `x` is `sigmas[0] * n` (see [`initial_noise`](crate::initial_noise)), float32 `[N, C, H, W]`, and is consumed: its memory
    /// is reused. Gradients are not recorded. With one step the result is `denoise(x, sigmas[0])`, for every sampler.
    ///
    /// # Errors
    /// `x` is not float32 with four dimensions; the denoiser or the noise source fails or returns another shape; a denoised
    /// image is not finite; the observer breaks off.
    fn sample(
        &self,
        denoiser: &dyn Denoiser,
        x: Tensor,
        sigmas: &Sigmas,
        noise: &mut dyn NoiseSource,
        observe: &mut Observer,
    ) -> Result<Tensor>;
}
