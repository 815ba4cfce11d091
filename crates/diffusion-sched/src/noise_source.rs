//! Where samplers get their noise from.

use tch::{Device, Kind, Tensor};

use crate::Sigmas;
use crate::error::{Error, Result};
use crate::noise::{NoiseKey, fill_normal_image};

/// Step index of the initial noise: never the index of a sampling step, so its numbers are used once.
pub const INITIAL_STEP: u32 = u32::MAX;

/// A source of standard normals. Samplers take their noise as an argument and never touch libtorch's global generator.
pub trait NoiseSource {
    /// Standard normals of `shape` `[N, C, H, W]`, float32, for sampling step `step`. The same step gives the same tensor
    /// if the source is reproducible; samplers ask at most once per step.
    ///
    /// # Errors
    /// The source cannot serve this shape, or libtorch fails.
    fn normal(&mut self, shape: [i64; 4], step: u32) -> Result<Tensor>;
}

/// Counter-based noise in absolute image coordinates (see [`noise`](crate::noise)).
///
/// Item `n` of a batch belongs to sample `samples[n]`, and its upper left pixel to `(origin_y, origin_x)`, so tiles and batches
/// of any size cut the same field.
#[derive(Clone, Debug)]
pub struct CounterNoise {
    /// The user's seed.
    pub seed: u64,
    /// Sample index of every batch item.
    pub samples: Vec<u32>,
    /// Absolute row of the upper left pixel; negative in a halo.
    pub origin_y: i64,
    /// Absolute column of the upper left pixel; negative in a halo.
    pub origin_x: i64,
    /// Where the tensors go. Numbers are made on the CPU, so every device gets the same ones.
    pub device: Device,
}

impl CounterNoise {
    /// Noise for one whole image per sample index, from the origin (0, 0).
    pub fn new(seed: u64, samples: impl Into<Vec<u32>>, device: Device) -> Self {
        Self {
            seed,
            samples: samples.into(),
            origin_y: 0,
            origin_x: 0,
            device,
        }
    }

    /// The same field, seen from a tile whose upper left pixel is `(origin_y, origin_x)`.
    #[must_use]
    pub fn with_origin(mut self, origin_y: i64, origin_x: i64) -> Self {
        (self.origin_y, self.origin_x) = (origin_y, origin_x);
        self
    }
}

impl NoiseSource for CounterNoise {
    fn normal(&mut self, shape: [i64; 4], step: u32) -> Result<Tensor> {
        let shape_error = || Error::Shape {
            what: "noise",
            expected: vec![self.samples.len() as i64, shape[1], shape[2], shape[3]],
            got: shape.to_vec(),
        };
        let size = |length: i64| usize::try_from(length).map_err(|_| shape_error());
        let (channels, height, width) = (size(shape[1])?, size(shape[2])?, size(shape[3])?);
        if size(shape[0])? != self.samples.len() {
            return Err(shape_error());
        }
        let sample_length = channels * height * width;
        let tensor = Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?;
        if sample_length > 0 {
            let length = sample_length * self.samples.len();
            // SAFETY: a fresh contiguous float32 tensor on the CPU holds exactly `length` values, aligned for f32; nothing else
            // refers to it yet, and every bit pattern is a valid f32.
            let data =
                unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), length) };
            for (image, &sample) in data.chunks_exact_mut(sample_length).zip(&self.samples) {
                let key = NoiseKey {
                    seed: self.seed,
                    sample,
                    step,
                };
                fill_normal_image(key, height, width, (self.origin_y, self.origin_x), image);
            }
        }
        Ok(tensor.f_to_device(self.device)?)
    }
}

/// Where sampling starts: `x = sigma_max * n` of `shape` `[N, C, H, W]`, float32, in VE coordinates. The noise belongs to
/// [`INITIAL_STEP`], so it never repeats in a step.
///
/// # Errors
/// As [`NoiseSource::normal`].
pub fn initial_noise(
    noise: &mut dyn NoiseSource,
    shape: [i64; 4],
    sigmas: &Sigmas,
) -> Result<Tensor> {
    let mut x = noise.normal(shape, INITIAL_STEP)?;
    Ok(x.f_mul_scalar_(sigmas.max())?)
}
