//! What every sampler does the same way: checked calls, and the in-place update.

use tch::{Kind, Tensor};

use super::{Observer, Step};
use crate::error::{Error, Result};
use crate::{Denoiser, NoiseSource, Sigmas};

/// One run of a sampler: the arguments of `sample` and the shape that every tensor must have.
pub(super) struct Run<'a, 'b> {
    denoiser: &'a dyn Denoiser,
    noise: &'a mut dyn NoiseSource,
    observe: &'a mut Observer<'b>,
    total: usize,
    shape: [i64; 4],
    // Held for its effect: no graph is recorded while the run lives.
    _no_grad: tch::NoGradGuard,
}

impl<'a, 'b> Run<'a, 'b> {
    pub(super) fn new(
        denoiser: &'a dyn Denoiser,
        x: &Tensor,
        sigmas: &Sigmas,
        noise: &'a mut dyn NoiseSource,
        observe: &'a mut Observer<'b>,
    ) -> Result<Self> {
        let size = x.size();
        let shape: [i64; 4] = size.try_into().map_err(|got: Vec<i64>| Error::Shape {
            what: "the initial noise",
            expected: vec![-1; 4],
            got,
        })?;
        check_tensor("the initial noise", x, shape)?;
        let total = sigmas.steps();
        Ok(Self {
            denoiser,
            noise,
            observe,
            total,
            shape,
            _no_grad: tch::no_grad_guard(),
        })
    }

    /// The denoised estimate, checked for shape, type and finite values.
    pub(super) fn denoise(&self, x: &Tensor, sigma: f64, step: usize) -> Result<Tensor> {
        let denoised = self.denoiser.denoise(x, sigma)?;
        check_tensor("the denoised image", &denoised, self.shape)?;
        // A NaN or an infinity survives the sum, which needs no second image to hold flags.
        let sum = denoised.f_sum(Kind::Float)?.f_double_value(&[])?;
        if sum.is_finite() {
            Ok(denoised)
        } else {
            Err(Error::NonFinite { step, sigma })
        }
    }

    /// Tells the observer, and ends the run if it says so.
    pub(super) fn observe(
        &mut self,
        index: usize,
        sigma: f64,
        sigma_next: f64,
        x: &Tensor,
        denoised: &Tensor,
    ) -> Result<()> {
        let step = Step {
            index,
            total: self.total,
            sigma,
            sigma_next,
            x,
            denoised,
        };
        if (self.observe)(&step).is_break() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }

    /// `x += scale * n` with the noise of step `index`; asks for none when `scale` is 0.
    pub(super) fn add_noise(&mut self, x: &mut Tensor, scale: f64, index: usize) -> Result<()> {
        if scale == 0.0 {
            return Ok(());
        }
        let mut normal = self.noise.normal(self.shape, index as u32)?;
        check_tensor("the noise", &normal, self.shape)?;
        let _ = x.f_add_(&normal.f_mul_scalar_(scale)?)?;
        Ok(())
    }
}

/// `x <- x + weight (target - x)`, in place. Right even where `target` is `x` itself.
pub(super) fn interpolate(x: &mut Tensor, target: &Tensor, weight: f64) -> Result<()> {
    let _ = x.f_lerp_(target, weight)?;
    Ok(())
}

fn check_tensor(what: &'static str, tensor: &Tensor, shape: [i64; 4]) -> Result<()> {
    let got = tensor.size();
    if got != shape {
        return Err(Error::Shape {
            what,
            expected: shape.to_vec(),
            got,
        });
    }
    match tensor.f_kind()? {
        Kind::Float => Ok(()),
        other => Err(Error::ElementType {
            what,
            got: format!("{other:?}"),
        }),
    }
}
