//! DPM-Solver++(2M).

use tch::Tensor;

use super::run::{Run, interpolate};
use super::{Observer, Sampler};
use crate::error::Result;
use crate::{Denoiser, NoiseSource, Sigmas};

/// DPM-Solver++(2M) (Lu 2022, arXiv 2211.01095, Alg. 2) in the data prediction form: order 2 with one denoiser call per
/// step, from the estimates of this step and the one before. The first and the last step are of order 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DpmPp2m;

impl Sampler for DpmPp2m {
    fn name(&self) -> &'static str {
        "dpmpp-2m"
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
        // The estimate of the step before, and the width of that step in ln(sigma).
        let mut previous: Option<(Tensor, f64)> = None;
        for (index, sigma, sigma_next) in sigmas.pairs() {
            let denoised = run.denoise(&x, sigma, index)?;
            run.observe(index, sigma, sigma_next, &x, &denoised)?;
            if sigma_next == 0.0 {
                return Ok(denoised);
            }
            let width = (sigma / sigma_next).ln();
            let weight = 1.0 - sigma_next / sigma;
            match previous.take() {
                None => interpolate(&mut x, &denoised, weight)?,
                Some((earlier, earlier_width)) => {
                    // (1 + 1/2r) denoised - 1/2r earlier, r = earlier_width / width
                    let extrapolation = 0.5 * width / earlier_width;
                    let target = denoised.f_lerp(&earlier, -extrapolation)?;
                    drop(earlier);
                    interpolate(&mut x, &target, weight)?;
                }
            }
            previous = Some((denoised, width));
        }
        Ok(x)
    }
}
