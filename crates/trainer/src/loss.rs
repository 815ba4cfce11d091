//! The training loss of one batch.

use diffusion_sched::NoiseLevel;
use ms_guidance::{GuidedUNet, guidance_loss};
use tch::{Kind, Tensor};

use crate::config::Loss;
use crate::loader::Batch;
use crate::{Result, TrainConfig};

/// Losses of one step, as scalars on the device.
pub(crate) struct StepLoss {
    /// What is minimised.
    pub(crate) total: Tensor,
    /// On the network's prediction.
    pub(crate) diffusion: Tensor,
    /// L_guide, without its weight.
    pub(crate) guidance: Tensor,
}

/// The loss of one batch: mean |target − prediction| (or squared) + weight · L_guide.
pub(crate) fn batch_loss(
    model: &GuidedUNet,
    config: &TrainConfig,
    batch: &Batch,
    levels: &[NoiseLevel],
    noise: &Tensor,
) -> Result<StepLoss> {
    let device = noise.device();
    let per_item = |values: Vec<f32>| -> Result<Tensor> {
        Ok(Tensor::f_from_slice(&values)?
            .f_to_device(device)?
            .f_reshape([-1, 1, 1, 1])?)
    };
    let alpha = per_item(levels.iter().map(|level| level.alpha() as f32).collect())?;
    let sigma = per_item(levels.iter().map(|level| level.sigma_vp() as f32).collect())?;
    let target = model.image_to_target(&batch.sharp, &batch.blurry)?;
    let noisy = target.f_mul(&alpha)?.f_add(&noise.f_mul(&sigma)?)?;
    let factors: Vec<_> = levels
        .iter()
        .map(|&level| config.model.prediction_type.target(level))
        .collect();
    let image = per_item(factors.iter().map(|factor| factor.image as f32).collect())?;
    let from_noise = per_item(factors.iter().map(|factor| factor.noise as f32).collect())?;
    let wanted = target.f_mul(&image)?.f_add(&noise.f_mul(&from_noise)?)?;
    let features = model.guidance().features(&batch.blurry)?;
    let predicted = model.predict(&noisy, &batch.blurry, &alpha.f_reshape([-1])?, &features)?;
    let error = predicted.f_sub(&wanted)?;
    let diffusion = match config.loss {
        Loss::L1 => error.f_abs()?,
        Loss::L2 => error.f_square()?,
    }
    .f_mean(Kind::Float)?;
    let guidance = guidance_loss(
        &model.guidance().predictions(&features)?,
        &batch.sharp,
        &config.guidance_scale_weights,
        config.model.size_multiple(),
    )?;
    let total = diffusion.f_add(&guidance.f_mul_scalar(config.guidance_weight)?)?;
    Ok(StepLoss {
        total,
        diffusion,
        guidance,
    })
}

#[cfg(test)]
mod tests {
    use diffusion_sched::PredictionType;
    use ms_guidance::{GuidedUNetConfig, Target};
    use tch::{Device, nn};

    use super::*;

    const SIDE: i64 = 16;

    fn ramp(scale: f32, offset: f32) -> Vec<f32> {
        (0..2 * 3 * SIDE * SIDE)
            .map(|i| ((i * 37 % 101) as f32 / 101.0 - offset) * scale)
            .collect()
    }

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::from_slice(values).reshape([2, 3, SIDE, SIDE])
    }

    /// An untrained network predicts 0 and its guidance networks predict their input, so both losses have a closed form.
    #[test]
    fn an_untrained_network_has_the_loss_of_its_targets() {
        let (sharp, blurry, noise) = (ramp(0.8, 0.5), ramp(0.5, 0.4), ramp(2.0, 0.3));
        let batch = Batch {
            sharp: tensor(&sharp),
            blurry: tensor(&blurry),
        };
        let levels = [
            NoiseLevel::from_sigma(0.5).unwrap(),
            NoiseLevel::from_sigma(4.0).unwrap(),
        ];
        let scale = 0.2;
        let item = sharp.len() / 2;
        let at = |i: usize| {
            let sigma: f64 = if i < item { 0.5 } else { 4.0 };
            let alpha = 1.0 / (1.0 + sigma * sigma).sqrt();
            let residual = f64::from(sharp[i] - blurry[i]) / scale;
            (alpha, sigma * alpha, residual, f64::from(noise[i]))
        };
        let wanted = |prediction: PredictionType, i: usize| {
            let (alpha, sigma, residual, noise) = at(i);
            match prediction {
                PredictionType::Epsilon => noise,
                PredictionType::VPrediction => alpha * noise - sigma * residual,
                PredictionType::Sample => residual,
            }
        };
        for prediction_type in [
            PredictionType::Epsilon,
            PredictionType::VPrediction,
            PredictionType::Sample,
        ] {
            let mut config = TrainConfig::tiny(vec!["photos".into()], "run".into());
            config.model = GuidedUNetConfig {
                prediction_type,
                target: Target::Residual { scale },
                ..GuidedUNetConfig::tiny()
            };
            config.guidance_weight = 3.0;
            let store = nn::VarStore::new(Device::Cpu);
            let model = GuidedUNet::new(&store.root(), &config.model).unwrap();
            for loss in [Loss::L1, Loss::L2] {
                config.loss = loss;
                let losses = batch_loss(&model, &config, &batch, &levels, &tensor(&noise)).unwrap();
                let expected = (0..sharp.len())
                    .map(|i| {
                        let value = wanted(prediction_type, i);
                        if loss == Loss::L1 {
                            value.abs()
                        } else {
                            value * value
                        }
                    })
                    .sum::<f64>()
                    / sharp.len() as f64;
                let got = losses.diffusion.double_value(&[]);
                assert!(
                    (got - expected).abs() < 1e-5 * expected,
                    "{prediction_type:?} {loss:?}"
                );
                let total = got + 3.0 * losses.guidance.double_value(&[]);
                assert!((losses.total.double_value(&[]) - total).abs() < 1e-5 * total);
            }
        }
    }

    #[test]
    fn guidance_loss_of_an_untrained_network_is_the_error_of_the_blurry_pyramid() {
        let (sharp, blurry) = (ramp(0.8, 0.5), ramp(0.5, 0.4));
        let gray = |values: &[f32], n: usize, y: usize, x: usize| -> f64 {
            let side = SIDE as usize;
            let at = |c: usize| f64::from(values[((n * 3 + c) * side + y) * side + x]);
            0.299 * at(0) + 0.587 * at(1) + 0.114 * at(2)
        };
        let mut expected = 0.0;
        for (scale, weight) in [(1usize, 1.0), (2, 0.5), (3, 2.0)] {
            let (factor, cells) = (1 << scale, SIDE as usize >> scale);
            let mut sum = 0.0;
            for n in 0..2 {
                for cell in 0..cells * cells {
                    let (top, left) = (cell / cells * factor, cell % cells * factor);
                    let error = (0..factor * factor)
                        .map(|i| {
                            let (y, x) = (top + i / factor, left + i % factor);
                            gray(&blurry, n, y, x) - gray(&sharp, n, y, x)
                        })
                        .sum::<f64>()
                        / (factor * factor) as f64;
                    sum += error * error;
                }
            }
            expected += weight * sum / (2 * cells * cells) as f64;
        }
        let mut config = TrainConfig::tiny(vec!["photos".into()], "run".into());
        config.guidance_scale_weights = vec![1.0, 0.5, 2.0];
        let store = nn::VarStore::new(Device::Cpu);
        let model = GuidedUNet::new(&store.root(), &config.model).unwrap();
        let batch = Batch {
            sharp: tensor(&sharp),
            blurry: tensor(&blurry),
        };
        let level = NoiseLevel::from_sigma(1.0).unwrap();
        let noise = tensor(&ramp(1.0, 0.5));
        let losses = batch_loss(&model, &config, &batch, &[level, level], &noise).unwrap();
        let got = losses.guidance.double_value(&[]);
        assert!((got - expected).abs() < 1e-4 * expected, "{got} {expected}");
    }
}
