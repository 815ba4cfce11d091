//! Residual blocks, with and without guidance.

use tch::{Tensor, nn};

use crate::Result;
use crate::layers::{Conv2d, Linear, silu_owned};

/// Pre-activation residual block:
/// `h = conv1(silu(x)); h = h·(1 + scale) + shift [+ P·h_s]; out = shortcut(x) + conv2(silu(h))`.
///
/// Scale and shift come from the noise-level embedding. With guidance (MSGD fig. 12, arXiv 2212.01789) a 1×1
/// projection `P` of the guidance features `h_s` is added to the hidden activation. `conv2` starts at 0, so a new
/// block is its shortcut.
#[derive(Debug)]
pub struct ResnetBlock2d {
    conv1: Conv2d,
    time_emb_proj: Linear,
    guidance_proj: Option<Conv2d>,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
}

impl ResnetBlock2d {
    /// Registers `conv1`, `time_emb_proj`, `conv2` and, where needed, `guidance_proj` and `conv_shortcut`.
    ///
    /// # Errors
    /// If libtorch cannot allocate the weights.
    pub fn new(
        path: &nn::Path,
        in_channels: i64,
        out_channels: i64,
        embedding_channels: i64,
        guidance_channels: Option<i64>,
    ) -> Result<Self> {
        Ok(Self {
            conv1: Conv2d::new(&(path / "conv1"), in_channels, out_channels, 3, 1)?,
            time_emb_proj: Linear::new(
                &(path / "time_emb_proj"),
                embedding_channels,
                2 * out_channels,
            )?,
            guidance_proj: guidance_channels
                .map(|channels| {
                    Conv2d::new(&(path / "guidance_proj"), channels, out_channels, 1, 1)
                })
                .transpose()?,
            conv2: Conv2d::zeros(&(path / "conv2"), out_channels, out_channels, 3)?,
            conv_shortcut: (in_channels != out_channels)
                .then(|| Conv2d::new(&(path / "conv_shortcut"), in_channels, out_channels, 1, 1))
                .transpose()?,
        })
    }

    /// `x` `[N, in, H, W]`, `embedding` `[N, E]`, `guidance` `[N, G, H, W]` (ignored by blocks without a
    /// projection) to `[N, out, H, W]`.
    ///
    /// # Errors
    /// If libtorch rejects the shapes or is out of memory.
    pub fn forward(
        &self,
        x: &Tensor,
        embedding: &Tensor,
        guidance: Option<&Tensor>,
    ) -> Result<Tensor> {
        let hidden = self.conv1.forward(&x.f_silu()?)?;
        let modulation = self
            .time_emb_proj
            .forward(embedding)?
            .f_unsqueeze(-1)?
            .f_unsqueeze(-1)?;
        let width = hidden.size()[1];
        let scale = modulation.f_narrow(1, 0, width)?.f_add_scalar(1.0)?;
        let shift = modulation.f_narrow(1, width, width)?;
        let mut hidden = shift.f_addcmul(&hidden, &scale)?;
        if let (Some(projection), Some(features)) = (&self.guidance_proj, guidance) {
            let _ = hidden.f_add_(&projection.forward(features)?)?;
        }
        let mut out = self.conv2.forward(&silu_owned(hidden)?)?;
        match &self.conv_shortcut {
            Some(shortcut) => Ok(out.f_add_(&shortcut.forward(x)?)?),
            None => Ok(out.f_add_(x)?),
        }
    }
}
