//! Heun steps of the probability flow ODE, with optional churn.

use tch::Tensor;

use super::run::{Run, interpolate};
use super::{Observer, Sampler};
use crate::error::{Result, check};
use crate::{Denoiser, NoiseSource, Sigmas};

/// Heun's method of Karras 2022 (arXiv 2206.00364, Alg. 1; with churn Alg. 2): order 2, two denoiser calls per step but
/// one in the last. Churn adds a little noise before each step, which corrects errors of earlier ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heun {
    /// Amount of noise added over the whole run; 0 is deterministic.
    s_churn: f64,
    /// Churn only at levels of at least this `sigma`.
    s_tmin: f64,
    /// Churn only at levels of at most this `sigma`.
    s_tmax: f64,
    /// Factor of the added noise; slightly above 1 makes up for denoisers that remove too much.
    s_noise: f64,
}

impl Default for Heun {
    /// The deterministic Alg. 1.
    fn default() -> Self {
        Self {
            s_churn: 0.0,
            s_tmin: 0.0,
            s_tmax: f64::INFINITY,
            s_noise: 1.0,
        }
    }
}

impl Heun {
    /// The stochastic Alg. 2.
    ///
    /// # Errors
    /// `s_churn` or `s_noise` is negative or not finite; not `0 <= s_tmin <= s_tmax`.
    pub fn with_churn(s_churn: f64, s_tmin: f64, s_tmax: f64, s_noise: f64) -> Result<Self> {
        check(
            s_churn.is_finite() && s_churn >= 0.0,
            "s_churn",
            s_churn,
            "[0, ∞)",
        )?;
        check(
            s_tmin.is_finite() && s_tmin >= 0.0,
            "s_tmin",
            s_tmin,
            "[0, ∞)",
        )?;
        check(s_tmax >= s_tmin, "s_tmax", s_tmax, "[s_tmin, ∞]")?;
        check(
            s_noise.is_finite() && s_noise >= 0.0,
            "s_noise",
            s_noise,
            "[0, ∞)",
        )?;
        Ok(Self {
            s_churn,
            s_tmin,
            s_tmax,
            s_noise,
        })
    }

    /// The level that churn raises `sigma` to.
    fn churned(&self, sigma: f64, steps: usize) -> f64 {
        if sigma < self.s_tmin || sigma > self.s_tmax {
            return sigma;
        }
        sigma * (1.0 + (self.s_churn / steps as f64).min(std::f64::consts::SQRT_2 - 1.0))
    }
}

impl Sampler for Heun {
    fn name(&self) -> &'static str {
        "heun"
    }

    fn denoiser_calls(&self, steps: usize) -> usize {
        (2 * steps).saturating_sub(1)
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
        for (index, level, sigma_next) in sigmas.pairs() {
            // With one step there is nothing to correct, and the result is the posterior mean, as with every sampler.
            let sigma = if sigmas.steps() == 1 {
                level
            } else {
                self.churned(level, sigmas.steps())
            };
            let added = ((sigma - level) * (sigma + level)).sqrt();
            run.add_noise(&mut x, added * self.s_noise, index)?;
            let denoised = run.denoise(&x, sigma, index)?;
            run.observe(index, sigma, sigma_next, &x, &denoised)?;
            if sigma_next == 0.0 {
                return Ok(denoised);
            }
            let step = sigma_next - sigma;
            let mut correction = x.f_lerp(&denoised, 1.0 - sigma_next / sigma)?;
            let denoised_next = run.denoise(&correction, sigma_next, index)?;
            // x + step/2 ((x - denoised) / sigma + (x_next - denoised_next) / sigma_next)
            let _ = correction.f_sub_(&denoised_next)?;
            drop(denoised_next);
            let _ = correction.f_mul_scalar_(0.5 * step / sigma_next)?;
            interpolate(&mut x, &denoised, -0.5 * step / sigma)?;
            let _ = x.f_add_(&correction)?;
        }
        Ok(x)
    }
}
