//! Convolution, linear layer and noise-level embedding over a [`tch::nn::VarStore`].
//!
//! Weights may be kept in float32 while activations are bfloat16: every layer casts its weights to the
//! type of its input. Gradients flow through the cast, which makes this mixed-precision training as well.

use tch::nn::Init;
use tch::nn::init::{FanInOut, NonLinearity, NormalOrUniform};
use tch::{Kind, Tensor, nn};

use crate::Result;

/// Kaiming-uniform initialisation with the gain of a linear layer, as `torch.nn.Conv2d` before PyTorch's √5.
const INIT: Init = Init::Kaiming {
    dist: NormalOrUniform::Uniform,
    fan: FanInOut::FanIn,
    non_linearity: NonLinearity::Linear,
};

fn cast(weight: &Tensor, kind: Kind) -> Result<Tensor> {
    if weight.kind() == kind {
        Ok(weight.shallow_clone())
    } else {
        Ok(weight.f_to_kind(kind)?)
    }
}

/// Two-dimensional convolution with bias, zero padding `kernel / 2`. The weights are stored channels-last.
#[derive(Debug)]
pub struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
}

impl Conv2d {
    /// Registers `weight` and `bias` below `path`. `kernel` is odd.
    ///
    /// # Errors
    /// If libtorch cannot allocate the weights.
    pub fn new(
        path: &nn::Path,
        in_channels: i64,
        out_channels: i64,
        kernel: i64,
        stride: i64,
    ) -> Result<Self> {
        Self::with_init(path, in_channels, out_channels, kernel, stride, INIT)
    }

    /// Like [`Conv2d::new`], stride 1, with all weights 0: a residual branch that starts as identity.
    ///
    /// # Errors
    /// If libtorch cannot allocate the weights.
    pub fn zeros(
        path: &nn::Path,
        in_channels: i64,
        out_channels: i64,
        kernel: i64,
    ) -> Result<Self> {
        Self::with_init(path, in_channels, out_channels, kernel, 1, Init::Const(0.0))
    }

    fn with_init(
        path: &nn::Path,
        in_channels: i64,
        out_channels: i64,
        kernel: i64,
        stride: i64,
        init: Init,
    ) -> Result<Self> {
        let mut weight =
            path.f_var("weight", &[out_channels, in_channels, kernel, kernel], init)?;
        // libtorch rearranges weights in every call, which takes less time from the order of the activations.
        weight.f_set_data(&tch::no_grad(|| to_channels_last(&weight))?)?;
        Ok(Self {
            weight,
            bias: path.f_var("bias", &[out_channels], Init::Const(0.0))?,
            stride,
            padding: kernel / 2,
        })
    }

    /// `[N, in, H, W]` to `[N, out, ⌈H/stride⌉, ⌈W/stride⌉]`, in the type of `x`.
    ///
    /// # Errors
    /// If libtorch rejects the shapes or is out of memory.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let weight = cast(&self.weight, x.kind())?;
        let bias = cast(&self.bias, x.kind())?;
        Ok(x.f_conv2d(&weight, Some(&bias), self.stride, self.padding, 1, 1)?)
    }
}

/// Fully connected layer with bias.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Registers `weight` and `bias` below `path`.
    ///
    /// # Errors
    /// If libtorch cannot allocate the weights.
    pub fn new(path: &nn::Path, in_features: i64, out_features: i64) -> Result<Self> {
        Ok(Self {
            weight: path.f_var("weight", &[out_features, in_features], INIT)?,
            bias: path.f_var("bias", &[out_features], Init::Const(0.0))?,
        })
    }

    /// `[N, in]` to `[N, out]`, in the type of `x`.
    ///
    /// # Errors
    /// If libtorch rejects the shapes.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let weight = cast(&self.weight, x.kind())?;
        let bias = cast(&self.bias, x.kind())?;
        Ok(x.f_linear(&weight, Some(&bias))?)
    }
}

/// Noise levels are multiplied by this before the sinusoids, so that √ᾱ in [0, 1] covers the range that
/// discrete timesteps 0..1000 cover in other implementations.
pub const NOISE_LEVEL_SCALE: f64 = 1000.0;

/// Sinusoidal embedding of a continuous noise level (WaveGrad, arXiv 2009.00713; frequencies as
/// `diffusers.get_timestep_embedding` with `downscale_freq_shift = 1`): `[N]` to `[N, channels]`,
/// first sines, then cosines. The angles reach 1000, where float32 is off by 3e-5, so they are computed in float64;
/// the result is float32.
///
/// # Errors
/// If libtorch rejects the shapes.
pub fn noise_level_embedding(noise_level: &Tensor, channels: i64) -> Result<Tensor> {
    let half = channels / 2;
    let decay = -(10_000f64.ln()) / (half - 1).max(1) as f64;
    let frequencies: Vec<f64> = (0..half)
        .map(|i| NOISE_LEVEL_SCALE * (decay * i as f64).exp())
        .collect();
    let frequencies = Tensor::f_from_slice(&frequencies)?.f_to_device(noise_level.device())?;
    let angles = noise_level
        .f_to_kind(Kind::Double)?
        .f_unsqueeze(1)?
        .f_mul(&frequencies.f_unsqueeze(0)?)?;
    Ok(Tensor::f_cat(&[angles.f_sin()?, angles.f_cos()?], 1)?.f_to_kind(Kind::Float)?)
}

/// Two linear layers over the sinusoidal embedding (diffusers `TimestepEmbedding`).
#[derive(Debug)]
pub struct TimestepEmbedding {
    linear_1: Linear,
    linear_2: Linear,
    channels: i64,
}

impl TimestepEmbedding {
    /// Registers `linear_1` and `linear_2` below `path`.
    ///
    /// # Errors
    /// If libtorch cannot allocate the weights.
    pub fn new(path: &nn::Path, channels: i64) -> Result<Self> {
        Ok(Self {
            linear_1: Linear::new(&(path / "linear_1"), channels, channels)?,
            linear_2: Linear::new(&(path / "linear_2"), channels, channels)?,
            channels,
        })
    }

    /// Noise levels √ᾱ `[N]` in [0, 1] to the activated embedding `[N, channels]` in `kind`.
    ///
    /// # Errors
    /// If libtorch rejects the shapes.
    pub fn forward(&self, noise_level: &Tensor, kind: Kind) -> Result<Tensor> {
        // Only the sinusoids may be rounded to `kind`, never their angles.
        let sinusoids = noise_level_embedding(noise_level, self.channels)?.f_to_kind(kind)?;
        let hidden = self.linear_1.forward(&sinusoids)?.f_silu()?;
        Ok(self.linear_2.forward(&hidden)?.f_silu()?)
    }
}

/// SiLU that reuses the buffer when no gradient needs the input.
pub(crate) fn silu_owned(mut x: Tensor) -> Result<Tensor> {
    if x.requires_grad() {
        Ok(x.f_silu()?)
    } else {
        Ok(x.f_silu_()?)
    }
}

/// The same values `[N, C, H, W]` stored channels-last, which libtorch's CPU convolutions prefer.
///
/// # Errors
/// If libtorch is out of memory.
pub fn to_channels_last(x: &Tensor) -> Result<Tensor> {
    Ok(x.f_permute([0, 2, 3, 1])?
        .f_contiguous()?
        .f_permute([0, 3, 1, 2])?)
}
