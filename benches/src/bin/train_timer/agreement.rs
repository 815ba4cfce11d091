//! The device against the CPU: forward pass, sampler, one training step.

use std::ops::ControlFlow;

use anyhow::{Context, Result};
use deblur::{DeviceChoice, Options, Restorer, TileChoice};
use diffusion_sched::SamplerKind;
use integration_benches::{Pass, pattern};
use tch::{Device, Kind, Tensor};
use trainer::TrainConfig;

use crate::session::Session;

/// `[forward, sampler, loss, gradient norm, weights]`, each difference relative to the largest value on the CPU. float32 throughout; on
/// CUDA the convolutions may use TF32 if libtorch is set so, which it is for convolutions by default.
pub(crate) fn with_cpu(session: &Session, side: i64) -> Result<Vec<(String, f64)>> {
    let source = &session.checkpoint;
    let mut differences = Vec::new();
    let mut add = |name: &str, difference: f64| differences.push((name.to_owned(), difference));

    let forward = |device: Device| -> Result<Tensor> {
        let _no_grad = tch::no_grad_guard();
        let model = source.load(device)?;
        let pass = Pass::new(&model.network, side, side, Kind::Float, device)?;
        Ok(pass.run()?.f_to_device(Device::Cpu)?)
    };
    add(
        "forward",
        relative(&forward(session.device)?, &forward(Device::Cpu)?)?,
    );

    let photo = pattern(side as usize, side as usize);
    let restore = |device: DeviceChoice| -> Result<Tensor> {
        let options = Options {
            sampler: SamplerKind::Euler,
            device,
            tile: TileChoice::Off,
            precision: deblur::Precision::Float32,
            ..Options::sample(10)
        };
        let restorer = Restorer::new(source, options)?;
        let restored = restorer.restore(photo.view(), &mut |_| ControlFlow::Continue(()))?;
        let values: Vec<f32> = restored.image.iter().copied().collect();
        Ok(Tensor::f_from_slice(&values)?)
    };
    let choice = match session.device {
        Device::Cuda(index) => DeviceChoice::Cuda(index),
        _ => DeviceChoice::Cpu,
    };
    add(
        "sampler",
        relative(&restore(choice)?, &restore(DeviceChoice::Cpu)?)?,
    );

    let step = |device: DeviceChoice| -> Result<(f64, f64, Vec<Tensor>)> {
        let path = match source {
            deblur::CheckpointSource::File(path) => Some(path.clone()),
            _ => None,
        };
        let mut run = Session::start(path, device, |config| TrainConfig {
            batch: session.config.batch.min(4),
            crop: session.config.crop.min(64),
            ..config
        })?;
        let before = run.weights()?;
        let (_, report) = run.step(0)?;
        let moved = run
            .weights()?
            .iter()
            .filter(|(name, _)| name.starts_with("average:"))
            .map(|(name, after)| Ok(after.f_sub(before.get(name).context("a weight")?)?))
            .collect::<Result<_>>()?;
        Ok((report.loss, report.gradient_norm, moved))
    };
    let (loss, norm, moved) = step(choice)?;
    let (cpu_loss, cpu_norm, cpu_moved) = step(DeviceChoice::Cpu)?;
    add("loss", (loss - cpu_loss).abs() / cpu_loss.abs());
    add("gradient norm", (norm - cpu_norm).abs() / cpu_norm);
    let flat = |tensors: &[Tensor]| -> Result<Tensor> {
        let parts = tensors
            .iter()
            .map(|tensor| tensor.f_reshape([-1]))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Tensor::f_cat(&parts, 0)?)
    };
    let (moved, cpu_moved) = (flat(&moved)?, flat(&cpu_moved)?);
    // The first step of Adam is the sign of the gradient: where that is near 0 it may differ. So the whole is compared by its norm.
    let difference = moved.f_sub(&cpu_moved)?.f_norm()?.f_double_value(&[])?;
    add(
        "weights moved",
        difference / cpu_moved.f_norm()?.f_double_value(&[])?,
    );
    Ok(differences)
}

fn relative(got: &Tensor, expected: &Tensor) -> Result<f64> {
    let difference = got.f_sub(expected)?.f_abs()?.f_max()?.f_double_value(&[])?;
    let largest = expected.f_abs()?.f_max()?.f_double_value(&[])?;
    Ok(difference / largest.max(f64::MIN_POSITIVE))
}
