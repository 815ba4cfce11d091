//! Crops restored in the modes of the program: `mean` and `sample`, and what the guidance networks make of them.

use diffusion_sched::{
    CounterNoise, DpmPp2m, INITIAL_STEP, NoiseSource, Sampler, Sigmas, initial_noise, sampler,
};
use ms_guidance::pyramid::{gray, gray_pyramid};
use ms_guidance::{Conditioned, GuidedUNet};
use ndarray::Array3;
use tch::{Device, Kind, Tensor};

use crate::Result;
use crate::loader::Batch;
use crate::pairs::Pair;

/// ρ of the Karras grid, as the program has it.
const RHO: f64 = 7.0;

/// Noise of a batch whose pictures have a seed each: the same for a picture alone and among others.
struct NoiseOfEach(Vec<CounterNoise>);

impl NoiseSource for NoiseOfEach {
    fn normal(&mut self, shape: [i64; 4], step: u32) -> diffusion_sched::Result<Tensor> {
        let [_, channels, height, width] = shape;
        let each = self.0.iter_mut();
        let parts = each
            .map(|noise| noise.normal([1, channels, height, width], step))
            .collect::<diffusion_sched::Result<Vec<_>>>()?;
        Ok(Tensor::f_cat(&parts, 0)?)
    }
}

/// Pairs of one size, on a device, with the features of the blurry ones. Use it without gradients.
pub(crate) struct Restoration<'a> {
    model: &'a GuidedUNet,
    conditioned: Conditioned<'a>,
    sharp: Tensor,
    seeds: &'a [u64],
    device: Device,
}

impl<'a> Restoration<'a> {
    /// For `pairs`, which have a seed each.
    pub(crate) fn new(
        model: &'a GuidedUNet,
        pairs: &[&Pair],
        seeds: &'a [u64],
        device: Device,
    ) -> Result<Self> {
        let batch = Batch::new(pairs)?;
        let blurry = batch.blurry.f_to_device(device)?;
        Ok(Self {
            model,
            conditioned: model.condition(&blurry, Kind::Float)?,
            sharp: batch.sharp.f_to_device(device)?,
            seeds,
            device,
        })
    }

    fn noise(&self) -> NoiseOfEach {
        let seeds = self.seeds.iter();
        NoiseOfEach(
            seeds
                .map(|&seed| CounterNoise::new(seed, [0], self.device))
                .collect(),
        )
    }

    fn shape(&self) -> [i64; 4] {
        let size = self.sharp.size();
        [size[0], size[1], size[2], size[3]]
    }

    /// The posterior mean, one denoiser call from pure noise: `[3, H, W]` in [0, 1], not clamped.
    pub(crate) fn mean(&self) -> Result<Vec<Array3<f32>>> {
        let sigma = self.model.config().sigma_max;
        let mut start = self.noise().normal(self.shape(), INITIAL_STEP)?;
        let start = start.f_mul_scalar_(sigma)?;
        let target = diffusion_sched::Denoiser::denoise(&self.conditioned, &start, sigma)?;
        to_arrays(&self.conditioned.target_to_image(&target)?)
    }

    /// A sample in `steps` steps of DPM-Solver++(2M), as `msdeblur deblur --mode sample` draws it.
    pub(crate) fn sample(&self, steps: usize) -> Result<Vec<Array3<f32>>> {
        let config = self.model.config();
        let sigmas = Sigmas::karras(steps, config.sigma_min, config.sigma_max, RHO)?;
        let mut noise = self.noise();
        let start = initial_noise(&mut noise, self.shape(), &sigmas)?;
        let target = DpmPp2m.sample(
            &self.conditioned,
            start,
            &sigmas,
            &mut noise,
            &mut sampler::unobserved,
        )?;
        to_arrays(&self.conditioned.target_to_image(&target)?)
    }

    /// For every scale, finest first: y_s, x̂_s and x_s, `[N, 1, H / 2^s, W / 2^s]` in [-1, 1], in grey also where guidance is in
    /// colour, so that models can be compared. What was padded is cut off.
    pub(crate) fn structure(&self) -> Result<Vec<[Tensor; 3]>> {
        let features = self.conditioned.features();
        let predictions = self.model.guidance().predictions(features)?;
        let sharp = gray_pyramid(&self.sharp, predictions.len())?;
        let parts = features.blurry.iter().zip(predictions).zip(sharp);
        parts
            .map(|((blurry, predicted), sharp)| {
                let size = sharp.size();
                let inside = |image: &Tensor| -> Result<Tensor> {
                    let image = image.f_narrow(2, 0, size[2])?.f_narrow(3, 0, size[3])?;
                    Ok(if image.size()[1] == 3 {
                        gray(&image)?
                    } else {
                        image
                    })
                };
                Ok([inside(blurry)?, inside(&predicted)?, sharp])
            })
            .collect()
    }
}

/// Images of `[N, C, H, W]` in [-1, 1] as arrays `[C, H, W]` in [0, 1].
pub(crate) fn to_arrays(images: &Tensor) -> Result<Vec<Array3<f32>>> {
    let images = images
        .f_to_device(Device::Cpu)?
        .f_to_kind(Kind::Float)?
        .f_contiguous()?;
    let size = images.size();
    let [count, channels, height, width] = [0, 1, 2, 3].map(|axis| size[axis] as usize);
    (0..count)
        .map(|index| {
            let mut array = Array3::<f32>::zeros((channels, height, width));
            if let Some(values) = array.as_slice_mut() {
                images
                    .f_select(0, index as i64)?
                    .f_copy_data(values, channels * height * width)?;
            }
            array.mapv_inplace(|value| (value + 1.0) / 2.0);
            Ok(array)
        })
        .collect()
}
