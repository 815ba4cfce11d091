//! Quality on fixed pairs that are not trained on, per blur family.

use std::sync::OnceLock;

use image_quality::{Lpips, MetricProtocol, psnr, ssim};
use ms_guidance::GuidedUNet;
use ndarray::{Array3, ArrayView3};
use tch::{Device, Kind, Tensor};

use crate::pairs::{Pair, PairSource};
use crate::quality::{Measured, Quality, Report, Scores};
use crate::random::Random;
use crate::restore::Restoration;
use crate::{Result, TrainConfig};

const NOISE_STREAM: u64 = 3;
/// Pixels that are restored together unless something else is said: four crops of 128 × 128.
const BATCH_PIXELS: usize = 4 * 128 * 128;

/// Fixed validation pairs, and what is measured on them.
#[derive(Debug)]
pub struct Validation {
    sets: Vec<(String, Vec<Pair>)>,
    seed: u64,
    batch_pixels: usize,
    sample_steps: usize,
    lpips: Option<Lpips>,
    /// Blurry against sharp, which does not change: measured once.
    inputs: OnceLock<Vec<Vec<Scores>>>,
}

/// A pair with the seed of its noise.
pub(crate) type Seeded<'a> = (&'a Pair, u64);

/// The network that `lpips_weights` of a configuration names.
///
/// # Errors
/// If the file cannot be used.
pub(crate) fn lpips(config: &TrainConfig, device: Device) -> Result<Option<Lpips>> {
    let path = config.lpips_weights.as_deref();
    Ok(path.map(|path| Lpips::load(path, device)).transpose()?)
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
        Ok(Self::of(sets, seed))
    }

    /// Given pairs, in named sets.
    pub(crate) fn of(sets: Vec<(String, Vec<Pair>)>, seed: u64) -> Self {
        Self {
            sets,
            seed,
            batch_pixels: BATCH_PIXELS,
            sample_steps: 0,
            lpips: None,
            inputs: OnceLock::new(),
        }
    }

    /// Measures a sample of `steps` steps of every pair as well; 0 for none.
    #[must_use]
    pub fn with_sample_steps(mut self, steps: usize) -> Self {
        self.sample_steps = steps;
        self
    }

    /// Restores crops together up to this many pixels. The result is the same within float rounding.
    #[must_use]
    pub fn with_batch_pixels(mut self, pixels: usize) -> Self {
        self.batch_pixels = pixels;
        self
    }

    /// As a run with this configuration measures, with LPIPS if its network is given, and what the user should know about it.
    pub(crate) fn configured(
        self,
        config: &TrainConfig,
        lpips: Option<Lpips>,
    ) -> (Self, Option<String>) {
        // What fits into memory with gradients, fits without.
        let together = config.micro_batch.unwrap_or(config.batch) * config.crop * config.crop;
        let configured = self
            .with_sample_steps(config.validation_sample_steps)
            .with_batch_pixels(together);
        let Some(lpips) = lpips else {
            return (configured, None);
        };
        let least = lpips.backbone().smallest_side();
        let note = (config.validation_crop < least).then(|| {
            format!("LPIPS is not measured: it needs a validation_crop of {least} pixels or more")
        });
        (configured.with_lpips(lpips), note)
    }

    /// Measures LPIPS as well, of crops that are large enough for it.
    #[must_use]
    pub fn with_lpips(mut self, lpips: Lpips) -> Self {
        self.lpips = Some(lpips);
        self.inputs = OnceLock::new();
        self
    }

    /// Number of pairs in all.
    pub fn pairs(&self) -> usize {
        self.sets.iter().map(|(_, pairs)| pairs.len()).sum()
    }

    /// Passes of a crop through the network in a validation.
    pub(crate) fn passes(&self) -> usize {
        self.pairs() * (1 + self.sample_steps)
    }

    /// The first pair of every set, by name.
    pub(crate) fn examples(&self) -> impl Iterator<Item = (&str, Seeded<'_>)> {
        let sets = self.sets.iter().enumerate();
        sets.filter_map(|(index, (name, pairs))| {
            let first = pairs.first()?;
            Some((name.as_str(), (first, self.noise_seed(index, 0))))
        })
    }

    fn noise_seed(&self, set: usize, index: usize) -> u64 {
        let pairs = self.sets[set].1.len();
        Random::new(self.seed, NOISE_STREAM, (set * pairs + index) as u64).next_u64()
    }

    /// Restores every pair and compares: one denoiser call from pure noise, and a sample if that was asked for.
    ///
    /// # Errors
    /// If the network's output is not finite, or libtorch is out of memory.
    pub fn run(&self, model: &GuidedUNet, device: Device) -> Result<Report> {
        let _no_grad = tch::no_grad_guard();
        let inputs = self.inputs()?;
        let mut report = Report::new();
        let mut all = Vec::new();
        for (set, (name, pairs)) in self.sets.iter().enumerate() {
            let measured = self.measure(set, pairs, &inputs[set], model, device)?;
            report.insert(
                name.clone(),
                Quality::of(&measured.iter().collect::<Vec<_>>()),
            );
            all.extend(measured);
        }
        report.insert("all".into(), Quality::of(&all.iter().collect::<Vec<_>>()));
        Ok(report)
    }

    fn inputs(&self) -> Result<&Vec<Vec<Scores>>> {
        if let Some(inputs) = self.inputs.get() {
            return Ok(inputs);
        }
        let sets = self.sets.iter();
        let inputs = sets
            .map(|(_, pairs)| {
                let pairs = pairs.iter();
                pairs.map(|pair| self.scores(&pair.blurry, pair)).collect()
            })
            .collect::<Result<_>>()?;
        Ok(self.inputs.get_or_init(|| inputs))
    }

    fn scores(&self, image: &Array3<f32>, pair: &Pair) -> Result<Scores> {
        let protocol = MetricProtocol::rgb();
        let (image, sharp): (ArrayView3<'_, f32>, _) = (image.view(), pair.sharp.view());
        let (_, height, width) = sharp.dim();
        let has_windows = height.min(width) >= protocol.kernel.window;
        let lpips = self.lpips.as_ref();
        let lpips = lpips.filter(|lpips| height.min(width) >= lpips.backbone().smallest_side());
        Ok(Scores {
            psnr: psnr(image, sharp, &protocol)?,
            ssim: has_windows
                .then(|| ssim(image, sharp, &protocol))
                .transpose()?,
            lpips: lpips
                .map(|lpips| lpips.distance(image, sharp))
                .transpose()?,
        })
    }

    fn measure(
        &self,
        set: usize,
        pairs: &[Pair],
        inputs: &[Scores],
        model: &GuidedUNet,
        device: Device,
    ) -> Result<Vec<Measured>> {
        let mut measured = Vec::with_capacity(pairs.len());
        let mut first = 0;
        while first < pairs.len() {
            let size = pairs[first].sharp.dim();
            let most = (self.batch_pixels / (size.1 * size.2).max(1)).max(1);
            let equal = pairs[first..]
                .iter()
                .take(most)
                .take_while(|pair| pair.sharp.dim() == size);
            let part: Vec<&Pair> = equal.collect();
            let seeds: Vec<u64> = (first..first + part.len())
                .map(|index| self.noise_seed(set, index))
                .collect();
            let restoration = Restoration::new(model, &part, &seeds, device)?;
            let means = restoration.mean()?;
            let samples = match self.sample_steps {
                0 => None,
                steps => Some(restoration.sample(steps)?),
            };
            let structure = structure_psnr(&restoration)?;
            for (index, pair) in part.iter().enumerate() {
                let sample = samples.as_ref().map(|samples| &samples[index]);
                measured.push(Measured {
                    input: inputs[first + index],
                    output: self.scores(&means[index], pair)?,
                    sample: sample.map(|sample| self.scores(sample, pair)).transpose()?,
                    guidance: structure.iter().map(|scale| scale[index]).collect(),
                });
            }
            first += part.len();
        }
        Ok(measured)
    }
}

/// PSNR in dB of y_s and x̂_s against x_s for every scale and picture, see [`GuidanceQuality`](crate::GuidanceQuality).
fn structure_psnr(restoration: &Restoration<'_>) -> Result<Vec<Vec<[f64; 2]>>> {
    let scales = restoration.structure()?.into_iter();
    scales
        .map(|[blurry, predicted, sharp]| {
            let against = |image: &Tensor| -> Result<Vec<f64>> {
                let squares = image.f_sub(&sharp)?.f_to_kind(Kind::Double)?.f_square()?;
                let means = squares.f_mean_dim(&[1i64, 2, 3][..], false, Kind::Double)?;
                let means = means.f_to_device(Device::Cpu)?;
                // In [-1, 1] the peak is 2.
                (0..means.size()[0])
                    .map(|index| Ok(10.0 * (4.0 / means.f_double_value(&[index])?).log10()))
                    .collect()
            };
            let pairs = against(&blurry)?.into_iter().zip(against(&predicted)?);
            Ok(pairs.map(|(input, output)| [input, output]).collect())
        })
        .collect()
}

#[cfg(test)]
mod tests;
