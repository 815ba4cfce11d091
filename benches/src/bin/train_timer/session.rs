//! One run in memory: network, optimiser, batch.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use deblur::{CheckpointSource, DeviceChoice, Options, Restorer, TileChoice};
use diffusion_sched::SamplerKind;
use integration_benches::{blurry, pattern, synchronize};
use ms_guidance::Model;
use tch::{Device, Kind, Tensor};
use trainer::{AdamW, Batch, Precision, Stability, StepReport, Stepper, TrainConfig};

pub(crate) struct Session {
    pub(crate) checkpoint: CheckpointSource,
    choice: DeviceChoice,
    pub(crate) device: Device,
    pub(crate) config: TrainConfig,
    model: Model,
    optimizer: AdamW,
    stability: Stability,
    batch: Batch,
    /// The last restorer with what it was built for, so that loading is not timed.
    restorer: Option<(Options, Restorer)>,
}

impl Session {
    /// The default recipe with a learning rate that neither rises nor falls, as `change` wants it.
    pub(crate) fn start(
        checkpoint: Option<PathBuf>,
        choice: DeviceChoice,
        change: impl Fn(TrainConfig) -> TrainConfig,
    ) -> Result<Self> {
        let checkpoint = checkpoint.map_or(CheckpointSource::Embedded, CheckpointSource::File);
        let device = choice.resolve()?;
        let model = checkpoint.load(device)?;
        let config = change(TrainConfig {
            lr_warmup_images: 1,
            lr_decay_images: 1,
            steps: 1_000_000,
            // The reference adds both losses as they are.
            guidance_weight: 1.0,
            model: model.network.config().clone(),
            ..TrainConfig::default_preset(vec!["photos".into()], "run".into())
        });
        config.validate()?;
        let variables = model.store.variables().into_iter();
        // A model for use asks for no gradients.
        let variables = variables
            .map(|(name, value)| Ok((name, value.f_set_requires_grad(true)?)))
            .collect::<Result<BTreeMap<_, _>>>()?;
        let optimizer = AdamW::new(variables, config.weight_decay)?;
        let batch = patterned_batch(config.batch, config.crop)?;
        Ok(Self {
            checkpoint,
            choice,
            device,
            config,
            model,
            optimizer,
            stability: Stability::default(),
            batch,
            restorer: None,
        })
    }

    pub(crate) fn take_batch(&mut self, inputs: &Path) -> Result<()> {
        let tensors =
            Tensor::read_safetensors(inputs).with_context(|| inputs.display().to_string())?;
        let mut tensors: BTreeMap<String, Tensor> = tensors.into_iter().collect();
        let mut take = |name: &str| tensors.remove(name).context(format!("no input `{name}`"));
        self.batch = Batch {
            sharp: take("sharp")?,
            blurry: take("blurry")?,
        };
        Ok(())
    }

    pub(crate) fn draw(&self, step: u64, outputs: &Path) -> Result<()> {
        let stepper = Stepper::new(&self.model.network, &self.config, self.device)?;
        let alpha: Vec<f64> = stepper
            .levels(step)?
            .iter()
            .map(|level| level.alpha())
            .collect();
        let noise = stepper
            .noise(step, 0, self.config.batch)?
            .f_to_device(Device::Cpu)?;
        let alpha = Tensor::f_from_slice(&alpha)?;
        Ok(Tensor::write_safetensors(
            &[("noise", &noise), ("alpha", &alpha)],
            outputs,
        )?)
    }

    /// Seconds of one step and what it measured.
    pub(crate) fn step(&mut self, step: u64) -> Result<(f64, StepReport)> {
        let stepper = Stepper::new(&self.model.network, &self.config, self.device)?;
        synchronize(self.device);
        let start = Instant::now();
        let report = stepper.run(&mut self.optimizer, &mut self.stability, step, &self.batch)?;
        synchronize(self.device);
        Ok((start.elapsed().as_secs_f64(), report))
    }

    /// The weights as they are now, on the CPU.
    pub(crate) fn weights(&self) -> Result<BTreeMap<String, Tensor>> {
        self.optimizer
            .parameters
            .iter()
            .flat_map(|parameter| {
                [
                    (parameter.name.clone(), &parameter.value),
                    (format!("average:{}", parameter.name), &parameter.average),
                ]
            })
            .map(|(name, tensor)| {
                let tensor = tensor
                    .f_detach()?
                    .f_to_device(Device::Cpu)?
                    .f_contiguous()?;
                Ok((name, tensor))
            })
            .collect()
    }

    pub(crate) fn write_weights(&self, outputs: &Path) -> Result<()> {
        let weights: Vec<_> = self.weights()?.into_iter().collect();
        Ok(Tensor::write_safetensors(&weights, outputs)?)
    }

    /// Seconds of each restoration of a square pattern, pixels to pixels.
    pub(crate) fn restore(
        &mut self,
        side: usize,
        steps: usize,
        precision: Precision,
        repeats: usize,
    ) -> Result<Vec<f64>> {
        let options = Options {
            sampler: SamplerKind::Euler,
            device: self.choice,
            tile: TileChoice::Off,
            precision: match precision {
                Precision::Float32 => deblur::Precision::Float32,
                Precision::Bfloat16 => deblur::Precision::Bfloat16,
            },
            ..if steps == 0 {
                Options::mean()
            } else {
                Options::sample(steps)
            }
        };
        if self
            .restorer
            .as_ref()
            .is_none_or(|(built_for, _)| *built_for != options)
        {
            let restorer = Restorer::new(&self.checkpoint, options.clone())?;
            self.restorer = Some((options, restorer));
        }
        let (_, restorer) = self.restorer.as_ref().context("a restorer")?;
        let photo = pattern(side, side);
        let restore = || -> Result<f64> {
            let start = Instant::now();
            restorer.restore(photo.view(), &mut |_| ControlFlow::Continue(()))?;
            Ok(start.elapsed().as_secs_f64())
        };
        // The first one also chooses algorithms and allocates.
        restore()?;
        (0..repeats).map(|_| restore()).collect()
    }
}

/// Crops of a pattern and, as the blurry ones, their means over 5 × 5 pixels.
fn patterned_batch(count: usize, side: usize) -> Result<Batch> {
    let (count, side) = (count as i64, side as i64);
    let wide = blurry(side, side * count, Device::Cpu)?;
    let crops: Vec<Tensor> = (0..count)
        .map(|index| wide.f_narrow(3, index * side, side))
        .collect::<Result<_, _>>()?;
    let sharp = Tensor::f_cat(&crops, 0)?;
    let blurry = sharp.f_avg_pool2d(5, 1, 2, false, false, None::<i64>)?;
    Ok(Batch {
        sharp: sharp.f_to_kind(Kind::Float)?.f_contiguous()?,
        blurry: blurry.f_contiguous()?,
    })
}
