//! One optimisation step: forward and backward passes over parts of the batch, clipping, update.

use diffusion_sched::{CounterNoise, NoiseLevel, NoiseSource};
use ms_guidance::GuidedUNet;
use tch::{Device, Kind, Tensor};

use crate::loader::Batch;
use crate::loss::batch_loss;
use crate::noise_levels::NoiseLevels;
use crate::optimizer::AdamW;
use crate::span::part;
use crate::stability::Stability;
use crate::{Result, TrainConfig};

/// What a step measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// What is minimised.
    pub loss: f64,
    /// Loss on the prediction.
    pub diffusion: f64,
    /// L_guide, without its weight.
    pub guidance: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Learning rate, back-off included.
    pub learning_rate: f64,
    /// Whether the weights were changed; otherwise something was not finite.
    pub updated: bool,
}

/// Makes the steps of one run, for a loop of your own; [`run`](crate::run()) is the whole loop.
#[derive(Debug)]
pub struct Stepper<'a> {
    model: &'a GuidedUNet,
    config: &'a TrainConfig,
    levels: NoiseLevels,
    device: Device,
}

impl<'a> Stepper<'a> {
    /// Steps for `model` on `device`.
    ///
    /// # Errors
    /// If the model's noise range or the distribution of noise levels is invalid.
    pub fn new(model: &'a GuidedUNet, config: &'a TrainConfig, device: Device) -> Result<Self> {
        Ok(Self {
            model,
            config,
            levels: NoiseLevels::new(config)?,
            device,
        })
    }

    /// The noise levels of a step, one per crop.
    ///
    /// # Errors
    /// If the schedule refuses a time, which a valid configuration excludes.
    pub fn levels(&self, step: u64) -> Result<Vec<NoiseLevel>> {
        self.levels.draw(step)
    }

    /// The noise of a step for `count` crops of the batch from number `first` on: `[count, 3, crop, crop]`, float32.
    ///
    /// # Errors
    /// If libtorch is out of memory.
    pub fn noise(&self, step: u64, first: usize, count: usize) -> Result<Tensor> {
        // One noise field per crop: the step is folded into the seed, the place in the batch is the sample index.
        let key = self.config.seed ^ step.rotate_left(32);
        let samples: Vec<u32> = (first as u32..(first + count) as u32).collect();
        let side = self.config.crop as i64;
        Ok(
            CounterNoise::new(key, samples, self.device)
                .normal([count as i64, 3, side, side], 0)?,
        )
    }

    /// Puts the gradients of the mean loss of `batch` into `optimizer` and returns `[loss, diffusion, guidance]`. Each part of
    /// `micro_batch` crops adds its share.
    fn gradients(
        &self,
        optimizer: &mut AdamW,
        step: u64,
        batch: &Batch,
        levels: &[NoiseLevel],
    ) -> Result<Tensor> {
        let count = self.config.batch;
        let size = self.config.micro_batch.unwrap_or(count).clamp(1, count);
        let parameters: Vec<Tensor> = optimizer
            .parameters
            .iter()
            .map(|parameter| parameter.value.shallow_clone())
            .collect();
        let mut totals = Tensor::f_zeros([3], (Kind::Double, self.device))?;
        for first in (0..count).step_by(size) {
            let length = size.min(count - first);
            let share = length as f64 / count as f64;
            let loss = {
                let _part = part!("forward", self.device);
                let cut = |images: &Tensor| images.f_narrow(0, first as i64, length as i64);
                let part = Batch {
                    sharp: cut(&batch.sharp)?.f_to_device(self.device)?,
                    blurry: cut(&batch.blurry)?.f_to_device(self.device)?,
                };
                let noise = {
                    let _part = part!("noise", self.device);
                    self.noise(step, first, length)?
                };
                let levels = &levels[first..first + length];
                batch_loss(self.model, self.config, &part, levels, &noise)?
            };
            let _part = part!("backward", self.device);
            let total = loss.total.f_mul_scalar(share)?;
            let gradients = Tensor::f_run_backward(&[&total], &parameters, false, false)?;
            if first == 0 {
                optimizer.set_gradients(&gradients)?;
            } else {
                optimizer.add_gradients(&gradients)?;
            }
            let values = Tensor::f_stack(&[&loss.total, &loss.diffusion, &loss.guidance], 0)?
                .f_detach()?
                .f_to_kind(Kind::Double)?
                .f_mul_scalar(share)?;
            totals = totals.f_add(&values)?;
        }
        Ok(totals)
    }

    /// The 0-based step `step` on `batch`. If the loss or the gradient is not finite, nothing but `stability` changes.
    ///
    /// # Errors
    /// If libtorch fails.
    pub fn run(
        &self,
        optimizer: &mut AdamW,
        stability: &mut Stability,
        step: u64,
        batch: &Batch,
    ) -> Result<StepReport> {
        let levels = self.levels.draw(step)?;
        let totals = self.gradients(optimizer, step, batch, &levels)?;
        let [loss, diffusion, guidance, gradient_norm] = {
            let _part = part!("clip", self.device);
            let norm = optimizer.gradient_norm()?.f_to_kind(Kind::Double)?;
            // One transfer for all: on CUDA each waits for the device.
            let values =
                Tensor::f_cat(&[totals, norm.f_reshape([1])?], 0)?.f_to_device(Device::Cpu)?;
            let [loss, diffusion, guidance, norm] =
                [0, 1, 2, 3].map(|i| values.f_double_value(&[i]));
            [loss?, diffusion?, guidance?, norm?]
        };
        let mut report = StepReport {
            loss,
            diffusion,
            guidance,
            gradient_norm,
            learning_rate: self.config.learning_rate_at(step) * stability.factor(),
            updated: false,
        };
        report.updated = report.loss.is_finite() && gradient_norm.is_finite();
        if report.updated {
            let scale = (self.config.max_gradient_norm / gradient_norm.max(1e-12)).min(1.0);
            {
                let _part = part!("optimizer", self.device);
                optimizer.update(scale, report.learning_rate)?;
            }
            let _part = part!("ema", self.device);
            optimizer.average(self.config.ema_decay_at(step))?;
            stability.done();
        } else {
            stability.skipped();
        }
        Ok(report)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use std::collections::BTreeMap;

    use tch::nn;

    use super::*;
    use crate::Precision;

    const BATCH: i64 = 4;
    const SIDE: i64 = 32;

    fn images(scale: f32) -> Tensor {
        let values: Vec<f32> = (0..BATCH * 3 * SIDE * SIDE)
            .map(|i| ((i * 37 % 101) as f32 / 101.0 - 0.5) * scale)
            .collect();
        Tensor::from_slice(&values).reshape([BATCH, 3, SIDE, SIDE])
    }

    fn batch() -> Batch {
        Batch {
            sharp: images(1.6),
            blurry: images(1.1),
        }
    }

    fn weights(optimizer: &AdamW) -> BTreeMap<String, Tensor> {
        let copy = |tensor: &Tensor| tensor.detach().copy();
        optimizer
            .parameters
            .iter()
            .map(|parameter| (parameter.name.clone(), copy(&parameter.value)))
            .collect()
    }

    fn with_optimizer<T>(
        config: &TrainConfig,
        work: impl FnOnce(&Stepper<'_>, &mut AdamW) -> T,
    ) -> T {
        let store = nn::VarStore::new(Device::Cpu);
        let model = GuidedUNet::seeded(&store.root(), &config.model, 3).unwrap();
        let mut optimizer = AdamW::new(store.variables().into_iter().collect(), 1e-4).unwrap();
        // Last convolutions start at zero, where most gradients vanish.
        let _no_grad = tch::no_grad_guard();
        for (index, parameter) in optimizer.parameters.iter_mut().enumerate() {
            let ramp = Tensor::arange(parameter.value.numel() as i64, (Kind::Float, Device::Cpu));
            let ramp = (ramp + index as f64).sin() * 0.02;
            let _ = parameter
                .value
                .g_add_(&ramp.reshape(parameter.value.size()));
        }
        drop(_no_grad);
        let stepper = Stepper::new(&model, config, Device::Cpu).unwrap();
        work(&stepper, &mut optimizer)
    }

    #[test]
    fn parts_of_a_batch_add_up_to_the_whole() {
        let gradients = |micro_batch, seed| {
            let config = TrainConfig {
                micro_batch,
                seed,
                ..TrainConfig::tiny(vec!["photos".into()], "run".into())
            };
            with_optimizer(&config, |stepper, optimizer| {
                let levels = stepper.levels.draw(5).unwrap();
                let losses = stepper.gradients(optimizer, 5, &batch(), &levels).unwrap();
                (optimizer.gradients().copy(), losses)
            })
        };
        let (whole, whole_losses) = gradients(None, 1);
        let distance = |other: &Tensor| {
            f64::try_from((other - &whole).norm()).unwrap() / f64::try_from(whole.norm()).unwrap()
        };
        for size in [1, 2, 4] {
            let (parts, losses) = gradients(Some(size), 1);
            assert!(distance(&parts) < 1e-5, "{size}: {}", distance(&parts));
            let error = f64::try_from((losses - &whole_losses).abs().max()).unwrap();
            assert!(error < 1e-6, "{size}: {error}");
        }
        // The comparison is of something: other noise gives another gradient.
        assert!(distance(&gradients(Some(2), 2).0) > 1e-2);
    }

    /// bfloat16 has 8 significant bits: single products are off by 2⁻⁹ relative, and a chain of 20 layers by some times that.
    #[test]
    fn gradients_in_bfloat16_are_near_those_in_float32() {
        let gradients = |precision| {
            let config = TrainConfig {
                precision,
                ..TrainConfig::tiny(vec!["photos".into()], "run".into())
            };
            with_optimizer(&config, |stepper, optimizer| {
                let levels = stepper.levels.draw(5).unwrap();
                let losses = stepper.gradients(optimizer, 5, &batch(), &levels).unwrap();
                for parameter in &optimizer.parameters {
                    assert_eq!(parameter.value.kind(), Kind::Float, "{}", parameter.name);
                }
                (optimizer.gradients().copy(), losses)
            })
        };
        let (exact, losses) = gradients(Precision::Float32);
        let (rounded, rounded_losses) = gradients(Precision::Bfloat16);
        let distance = f64::try_from((&rounded - &exact).norm()).unwrap()
            / f64::try_from(exact.norm()).unwrap();
        // Not 0: it was computed otherwise.
        assert!((1e-4..3e-2).contains(&distance), "{distance}");
        let cosine = f64::try_from(rounded.dot(&exact)).unwrap()
            / f64::try_from(rounded.norm() * exact.norm()).unwrap();
        assert!(cosine > 0.999, "{cosine}");
        let error = f64::try_from(((rounded_losses - &losses) / losses).abs().max()).unwrap();
        assert!(error < 1e-2, "{error}");
    }

    #[test]
    fn a_poisoned_batch_changes_no_weight_and_lowers_the_learning_rate() {
        let config = TrainConfig::tiny(vec!["photos".into()], "run".into());
        with_optimizer(&config, |stepper, optimizer| {
            let mut stability = Stability::default();
            let before = weights(optimizer);
            let poisoned = Batch {
                sharp: batch().sharp.fill_(f64::NAN),
                ..batch()
            };
            let report = stepper
                .run(optimizer, &mut stability, 10, &poisoned)
                .unwrap();
            assert!(!report.updated && report.loss.is_nan());
            assert_eq!((stability.in_a_row, stability.total), (1, 1));
            assert_eq!((optimizer.updates, stability.factor()), (0, 0.5));
            for (name, weight) in weights(optimizer) {
                assert_eq!(before[&name], weight, "{name}");
            }
            let report = stepper
                .run(optimizer, &mut stability, 11, &batch())
                .unwrap();
            assert!(report.updated);
            assert_eq!(report.learning_rate, config.learning_rate_at(11) / 2.0);
            assert_eq!((stability.in_a_row, stability.total), (0, 1));
            assert!(
                weights(optimizer)
                    .iter()
                    .any(|(name, weight)| before[name] != *weight)
            );
        });
    }
}
