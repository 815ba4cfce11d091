//! What a sampler sees of a network.

use tch::Tensor;

use crate::error::Result;
use crate::{NoiseLevel, PredictionType};

/// An estimate of the clean image: the only thing that a [`Sampler`](crate::Sampler) knows of a network.
pub trait Denoiser {
    /// Returns an estimate of `E[x | noisy]`, where `noisy = x + sigma * eps` (VE coordinates, `eps ~ N(0, I)`).
    ///
    /// # Shapes
    /// `noisy` is float32 `[N, C, H, W]`; the result has the same shape, element type and device. It is a tensor of its own: it
    /// must not share memory with `noisy`, which is overwritten after the call, nor change later, since multistep samplers
    /// keep it.
    ///
    /// # Errors
    /// Whatever the network fails with, as [`Error::Denoiser`](crate::Error::Denoiser) (see
    /// [`Error::denoiser`](crate::Error::denoiser)) or [`Error::Torch`](crate::Error::Torch).
    fn denoise(&self, noisy: &Tensor, sigma: f64) -> Result<Tensor>;
}

impl<F: Fn(&Tensor, f64) -> Result<Tensor>> Denoiser for F {
    fn denoise(&self, noisy: &Tensor, sigma: f64) -> Result<Tensor> {
        self(noisy, sigma)
    }
}

/// A network on VP input, wrapped into a [`Denoiser`] by its [`PredictionType`].
///
/// `network(z, level)` gets `z = alpha * noisy` (float32 `[N, C, H, W]`) and its level, and returns ε, v or x in that shape.
pub struct Preconditioned<F> {
    network: F,
    prediction_type: PredictionType,
}

impl<F: Fn(&Tensor, NoiseLevel) -> Result<Tensor>> Preconditioned<F> {
    /// Wraps `network`, which predicts what `prediction_type` says.
    pub fn new(network: F, prediction_type: PredictionType) -> Self {
        Self {
            network,
            prediction_type,
        }
    }
}

impl<F: Fn(&Tensor, NoiseLevel) -> Result<Tensor>> Denoiser for Preconditioned<F> {
    fn denoise(&self, noisy: &Tensor, sigma: f64) -> Result<Tensor> {
        let level = NoiseLevel::from_sigma(sigma)?;
        let factors = self.prediction_type.precondition(level);
        let mut scaled = noisy.f_mul_scalar(factors.c_in)?;
        let prediction = (self.network)(&scaled, level)?;
        if factors.c_skip == 0.0 {
            return Ok(prediction.f_mul_scalar(factors.c_out)?);
        }
        // `prediction` may share memory with `scaled` (a network that returns its input), so it is read first.
        let output = prediction.f_mul_scalar(factors.c_out)?;
        scaled.f_copy_(noisy)?;
        let _ = scaled.f_mul_scalar_(factors.c_skip)?;
        Ok(scaled.f_add_(&output)?)
    }
}
