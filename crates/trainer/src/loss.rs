//! The training loss of one batch.

mod min_snr;

use diffusion_sched::NoiseLevel;
use ms_guidance::{GuidedUNet, guidance_loss};
use tch::{Kind, Tensor};

use crate::config::Loss;
use crate::loader::Batch;
use crate::{Result, TrainConfig};

/// Losses of one step, as float32 scalars on the device.
pub(crate) struct StepLoss {
    /// What is minimised.
    pub(crate) total: Tensor,
    /// On the network's prediction, with its weights.
    pub(crate) diffusion: Tensor,
    /// L_guide, without its weight.
    pub(crate) guidance: Tensor,
}

/// What each crop is multiplied by, one row a factor: `[5, N, 1, 1, 1]` in one transfer to the device.
fn factors(config: &TrainConfig, levels: &[NoiseLevel], noise: &Tensor) -> Result<Tensor> {
    let prediction = config.model.prediction_type;
    let gamma = config.min_snr_gamma;
    let rows: [&dyn Fn(NoiseLevel) -> f64; 5] = [
        &NoiseLevel::alpha,
        &NoiseLevel::sigma_vp,
        &|level| prediction.target(level).image,
        &|level| prediction.target(level).noise,
        &|level| gamma.map_or(1.0, |gamma| min_snr::weight(prediction, level, gamma)),
    ];
    let values: Vec<f32> = rows
        .iter()
        .flat_map(|row| levels.iter().map(|&level| row(level) as f32))
        .collect();
    Ok(Tensor::f_from_slice(&values)?
        .f_to_device(noise.device())?
        .f_reshape([5, -1, 1, 1, 1])?)
}

/// The loss of one batch: mean w(σ̃) · |target − prediction| (or squared) + weight · L_guide, where w is 1 or the min-SNR-γ weight. The
/// network computes in `config.precision`, everything else in float32.
pub(crate) fn batch_loss(
    model: &GuidedUNet,
    config: &TrainConfig,
    batch: &Batch,
    levels: &[NoiseLevel],
    noise: &Tensor,
) -> Result<StepLoss> {
    let kind = config.precision.kind();
    let factors = factors(config, levels, noise)?;
    let factor = |row: i64| factors.f_select(0, row);
    let alpha = factor(0)?;
    let target = model.image_to_target(&batch.sharp, &batch.blurry)?;
    let noisy = noise
        .f_mul(&factor(1)?)?
        .f_addcmul(&target, &alpha)?
        .f_to_kind(kind)?;
    let wanted = noise.f_mul(&factor(3)?)?.f_addcmul(&target, &factor(2)?)?;
    let features = model.guidance().features_in(&batch.blurry, kind)?;
    let blurry = batch.blurry.f_to_kind(kind)?;
    let predicted = model.predict(&noisy, &blurry, &alpha.f_reshape([-1])?, &features)?;
    let error = predicted.f_to_kind(Kind::Float)?.f_sub(&wanted)?;
    let error = match config.loss {
        Loss::L1 => error.f_abs()?,
        Loss::L2 => error.f_square()?,
    };
    let diffusion = if config.min_snr_gamma.is_some() {
        error.f_mul(&factor(4)?)?.f_mean(Kind::Float)?
    } else {
        error.f_mean(Kind::Float)?
    };
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
