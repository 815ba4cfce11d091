//! SDE-DPM-Solver++(2M).

use tch::Tensor;

use super::run::{Run, interpolate};
use super::{Observer, Sampler};
use crate::error::{Result, check};
use crate::{Denoiser, NoiseSource, Sigmas};

/// SDE-DPM-Solver++(2M) (Lu 2022, arXiv 2211.01095, eq. 18–19, midpoint form): the second-order multistep method on the diffusion
/// SDE. One denoiser call and one draw of noise per step. `eta = 1` is the SDE of the paper, `eta = 0` is
/// [`DpmPp2m`](super::DpmPp2m).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DpmPp2mSde {
    eta: f64,
    s_noise: f64,
}

impl Default for DpmPp2mSde {
    /// `eta = 1`, `s_noise = 1`.
    fn default() -> Self {
        Self {
            eta: 1.0,
            s_noise: 1.0,
        }
    }
}

impl DpmPp2mSde {
    /// `eta` in `[0, 1]`: strength of the SDE's noise. `s_noise`: factor of the added noise, at least 0.
    ///
    /// # Errors
    /// A value outside its range.
    pub fn new(eta: f64, s_noise: f64) -> Result<Self> {
        check((0.0..=1.0).contains(&eta), "eta", eta, "[0, 1]")?;
        check(
            s_noise.is_finite() && s_noise >= 0.0,
            "s_noise",
            s_noise,
            "[0, ∞)",
        )?;
        Ok(Self { eta, s_noise })
    }
}

impl Sampler for DpmPp2mSde {
    fn name(&self) -> &'static str {
        "dpmpp-2m-sde"
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
        let mut previous: Option<(Tensor, f64)> = None;
        for (index, sigma, sigma_next) in sigmas.pairs() {
            let denoised = run.denoise(&x, sigma, index)?;
            run.observe(index, sigma, sigma_next, &x, &denoised)?;
            if sigma_next == 0.0 {
                return Ok(denoised);
            }
            let width = (sigma / sigma_next).ln();
            // x <- exp(-(1 + eta) width) x + weight (denoised + (denoised - earlier) / 2r) + noise
            let weight = -(-(1.0 + self.eta) * width).exp_m1();
            match previous.take() {
                None => interpolate(&mut x, &denoised, weight)?,
                Some((earlier, earlier_width)) => {
                    let target = denoised.f_lerp(&earlier, -0.5 * width / earlier_width)?;
                    drop(earlier);
                    interpolate(&mut x, &target, weight)?;
                }
            }
            let variance = -(-2.0 * self.eta * width).exp_m1();
            run.add_noise(&mut x, self.s_noise * sigma_next * variance.sqrt(), index)?;
            previous = Some((denoised, width));
        }
        Ok(x)
    }
}
