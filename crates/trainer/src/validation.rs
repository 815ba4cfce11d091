//! In-domain quality on fixed pairs: PSNR of the posterior mean against PSNR of the blurry input, per blur family.

use std::collections::BTreeMap;

use diffusion_sched::{CounterNoise, Denoiser, Sigmas, initial_noise};
use image_quality::{MetricProtocol, psnr};
use ms_guidance::GuidedUNet;
use ndarray::Array3;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::Result;
use crate::loader::Batch;
use crate::pairs::{Pair, PairSource};
use crate::random::Random;

const NOISE_STREAM: u64 = 3;

/// Mean PSNR in dB over the pairs of one family, protocol `rgb` of `image-quality`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Number of pairs.
    pub pairs: usize,
    /// Blurry against sharp.
    pub input_psnr: f64,
    /// Restored (`mean` mode) against sharp.
    pub output_psnr: f64,
}

impl Quality {
    /// PSNR gain in dB.
    pub fn gain(&self) -> f64 {
        self.output_psnr - self.input_psnr
    }
}

/// Result of a validation, by blur family or entry of `pairs`, with `all` over every pair.
pub type Report = BTreeMap<String, Quality>;

/// Fixed validation pairs.
#[derive(Debug)]
pub struct Validation {
    sets: Vec<(String, Vec<Pair>)>,
    seed: u64,
}

/// The first image of `[N, 3, H, W]` in [-1, 1] as an array in [0, 1].
fn to_array(image: &Tensor) -> Result<Array3<f32>> {
    let image = image.f_to_device(Device::Cpu)?.f_select(0, 0)?;
    let size = image.size();
    let (height, width) = (size[1] as usize, size[2] as usize);
    let mut array = Array3::<f32>::zeros((3, height, width));
    if let Some(values) = array.as_slice_mut() {
        image
            .f_contiguous()?
            .f_copy_data(values, 3 * height * width)?;
    }
    array.mapv_inplace(|value| (value + 1.0) / 2.0);
    Ok(array)
}

impl Validation {
    /// `count` pairs for each blur family from `source`.
    ///
    /// # Errors
    /// If the blur cannot be made.
    pub fn new(source: &PairSource, count: usize, seed: u64) -> Result<Self> {
        let sets = source
            .families()
            .into_iter()
            .map(|family| Ok((family.name().to_owned(), source.fixed(family, count)?)))
            .collect::<Result<_>>()?;
        Ok(Self { sets, seed })
    }

    /// Given pairs, in named sets.
    pub(crate) fn of(sets: Vec<(String, Vec<Pair>)>, seed: u64) -> Self {
        Self { sets, seed }
    }

    /// Restores every pair with one denoiser call from pure noise and compares.
    ///
    /// # Errors
    /// If libtorch is out of memory.
    pub fn run(&self, model: &GuidedUNet, device: Device) -> Result<Report> {
        let _no_grad = tch::no_grad_guard();
        let protocol = MetricProtocol::rgb();
        let mut report = Report::new();
        let (mut all_in, mut all_out, mut all) = (0.0, 0.0, 0);
        for (family_index, (name, pairs)) in self.sets.iter().enumerate() {
            let (mut input, mut output) = (0.0, 0.0);
            for (index, pair) in pairs.iter().enumerate() {
                let batch = Batch::new(std::slice::from_ref(pair))?;
                let blurry = batch.blurry.f_to_device(device)?;
                let conditioned = model.condition(&blurry, Kind::Float)?;
                let sigma = model.config().sigma_max;
                let key = (family_index * pairs.len() + index) as u64;
                let seed = Random::new(self.seed, NOISE_STREAM, key).next_u64();
                let mut noise = CounterNoise::new(seed, [0], device);
                let side = blurry.size()[2];
                let noise = initial_noise(
                    &mut noise,
                    [1, 3, side, side],
                    &Sigmas::new(vec![sigma, 0.0])?,
                )?;
                let restored = conditioned.target_to_image(&conditioned.denoise(&noise, sigma)?)?;
                let restored = to_array(&restored)?;
                input += psnr(pair.blurry.view(), pair.sharp.view(), &protocol)?;
                output += psnr(restored.view(), pair.sharp.view(), &protocol)?;
            }
            let count = pairs.len() as f64;
            let quality = Quality {
                pairs: pairs.len(),
                input_psnr: input / count,
                output_psnr: output / count,
            };
            report.insert(name.clone(), quality);
            all_in += input;
            all_out += output;
            all += pairs.len();
        }
        let quality = Quality {
            pairs: all,
            input_psnr: all_in / all as f64,
            output_psnr: all_out / all as f64,
        };
        report.insert("all".to_owned(), quality);
        Ok(report)
    }
}
