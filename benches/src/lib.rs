//! What the benches share: the model that is shipped, and inputs that are the same on every machine.

use std::io::{BufRead, Write};
use std::time::Duration;

use deblur::CheckpointSource;
use ms_guidance::{GuidedUNet, Model};
use ndarray::Array3;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tch::{Cuda, Device, Kind, Tensor};

/// The CPU, and the first CUDA device where there is one.
pub fn devices() -> Vec<Device> {
    // Without this nothing loads libtorch's CUDA part, which is found at run time. Its absence is no error here.
    let _absent_is_fine = deblur::libtorch::load_cuda();
    let mut devices = vec![Device::Cpu];
    if Cuda::is_available() {
        devices.push(Device::Cuda(0));
    }
    devices
}

/// `cpu` or `cuda`, the first part of a bench's name.
pub fn device_name(device: Device) -> &'static str {
    if device.is_cuda() { "cuda" } else { "cpu" }
}

/// Waits until everything that was asked of `device` is done.
pub fn synchronize(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}

/// `1x3x256x256`, the last part of a bench's name.
pub fn shape_name(height: i64, width: i64) -> String {
    format!("1x3x{height}x{width}")
}

/// Answers each line of standard input, a request in JSON, with a line of JSON. A line that is no request is one to answer too.
///
/// # Errors
/// If the streams cannot be used or an answer cannot be written as JSON.
pub fn serve<Request: DeserializeOwned, Answer: Serialize>(
    mut answer: impl FnMut(anyhow::Result<Request>) -> Answer,
) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let request = serde_json::from_str(&line?).map_err(anyhow::Error::from);
        serde_json::to_writer(&mut stdout, &answer(request))?;
        writeln!(stdout)?;
        stdout.flush()?;
    }
    Ok(())
}

/// The model inside the program.
///
/// # Errors
/// If it cannot be loaded.
pub fn shipped_model(device: Device) -> anyhow::Result<Model> {
    Ok(CheckpointSource::Embedded.load(device)?)
}

/// An image-like pattern `[3, H, W]` in [0, 1]: shading, edges and fine texture, from a formula.
pub fn pattern(height: usize, width: usize) -> Array3<f32> {
    Array3::from_shape_fn((3, height, width), |(channel, y, x)| {
        let (u, v) = (x as f32 / 97.0, y as f32 / 61.0);
        let shading = 0.5 + 0.25 * (u + channel as f32).sin() * v.cos();
        let edge = if ((u * 2.0).sin() + (v * 3.0).cos()) > 0.3 {
            0.15
        } else {
            -0.1
        };
        // A multiplicative hash of the position: texture without a period.
        let hash = (x as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca77);
        let texture = (hash.wrapping_mul(0xc2b2_ae35) >> 24) as f32 / 255.0 - 0.5;
        (shading + edge + 0.06 * texture).clamp(0.0, 1.0)
    })
}

/// [`pattern`] as the model sees it: `[1, 3, H, W]` in [-1, 1].
///
/// # Errors
/// If libtorch is out of memory.
pub fn blurry(height: i64, width: i64, device: Device) -> anyhow::Result<Tensor> {
    let pixels = pattern(height as usize, width as usize);
    let values = pixels.as_slice().unwrap_or_default();
    let image = Tensor::f_from_slice(values)?.f_view([1, 3, height, width])?;
    Ok(image
        .f_mul_scalar(2.0)?
        .f_sub_scalar(1.0)?
        .f_to_device(device)?)
}

/// One pass of the network as a sampler asks for it, with everything that it needs.
#[derive(Debug)]
pub struct Pass<'a> {
    network: &'a GuidedUNet,
    noisy: Tensor,
    blurry: Tensor,
    noise_level: Tensor,
    features: ms_guidance::Features,
}

impl<'a> Pass<'a> {
    /// Prepares a pass over one image in `kind`; guidance features are computed here.
    ///
    /// # Errors
    /// If libtorch fails.
    pub fn new(
        network: &'a GuidedUNet,
        height: i64,
        width: i64,
        kind: Kind,
        device: Device,
    ) -> anyhow::Result<Self> {
        let blurry = blurry(height, width, device)?.f_to_kind(kind)?;
        Ok(Self {
            features: network.guidance().features(&blurry)?,
            noisy: blurry.f_neg()?,
            noise_level: Tensor::f_full([1], 0.5, (Kind::Float, device))?,
            blurry,
            network,
        })
    }

    /// Runs the diffusion network.
    ///
    /// # Errors
    /// If libtorch fails.
    pub fn run(&self) -> anyhow::Result<Tensor> {
        Ok(self
            .network
            .predict(&self.noisy, &self.blurry, &self.noise_level, &self.features)?)
    }
}

/// Time that Criterion takes for one bench: networks are slow, and their times vary little.
pub const MEASUREMENT_TIME: Duration = Duration::from_secs(8);
