//! Runs and times our side of `benches/compare_pytorch.py`: one JSON request per line on stdin, one JSON answer per line on stdout.
//! Tensors travel in safetensors files.
//!
//! ```text
//! {"do": "load", "checkpoint": "model.safetensors", "threads": 2}
//! {"do": "forward", "inputs": "in.safetensors", "outputs": "out.safetensors", "kind": "float32", "repeats": 3}
//! {"do": "noise", "height": 256, "width": 256, "seed": 1, "outputs": "noise.safetensors"}
//! {"do": "restore", "inputs": "photo.safetensors", "outputs": "out.safetensors", "kind": "float32", "steps": 10, "seed": 1, "repeats": 1}
//! ```

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use deblur::{CheckpointSource, DeviceChoice, Options, Precision, Restorer, TileChoice};
use diffusion_sched::{CounterNoise, INITIAL_STEP, NoiseSource, SamplerKind};
use ms_guidance::Model;
use ndarray::Array3;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    /// Loads a checkpoint and fixes the number of threads.
    Load { checkpoint: PathBuf, threads: usize },
    /// Times `repeats` passes of the diffusion network; guidance features are computed before.
    Forward {
        inputs: PathBuf,
        outputs: Option<PathBuf>,
        kind: Number,
        repeats: usize,
    },
    /// Writes the standard normals that a restoration with this seed starts from.
    Noise {
        height: i64,
        width: i64,
        seed: u64,
        outputs: PathBuf,
    },
    /// Times `repeats` restorations of a photo by Euler steps; `steps` 0 asks for the mean.
    Restore {
        inputs: PathBuf,
        outputs: Option<PathBuf>,
        kind: Number,
        steps: usize,
        seed: u64,
        repeats: usize,
    },
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Number {
    Float32,
    Bfloat16,
}

#[derive(Serialize, Default)]
struct Answer {
    /// Seconds of each repeat.
    seconds: Vec<f64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

struct Loaded {
    model: Model,
    checkpoint: CheckpointSource,
    /// The last restorer, with the precision and steps it was built for, so that loading is not timed.
    restorer: Option<(Options, Restorer)>,
}

fn main() -> Result<()> {
    let mut loaded = None;
    integration_benches::serve(|request| {
        request
            .and_then(|request| answer(request, &mut loaded))
            .unwrap_or_else(|error| Answer {
                error: Some(format!("{error:#}")),
                ..Answer::default()
            })
    })
}

fn answer(request: Request, loaded: &mut Option<Loaded>) -> Result<Answer> {
    if let Request::Load {
        checkpoint,
        threads,
    } = request
    {
        deblur::set_threads(threads)?;
        let checkpoint = CheckpointSource::File(checkpoint);
        *loaded = Some(Loaded {
            model: checkpoint.load(Device::Cpu)?,
            checkpoint,
            restorer: None,
        });
        return Ok(Answer::default());
    }
    let loaded = loaded.as_mut().context("no checkpoint is loaded")?;
    match request {
        Request::Load { .. } => bail!("load was answered before"),
        Request::Forward {
            inputs,
            outputs,
            kind,
            repeats,
        } => {
            let _no_grad = tch::no_grad_guard();
            let inputs = read(&inputs)?;
            let kind = match kind {
                Number::Float32 => Kind::Float,
                Number::Bfloat16 => Kind::BFloat16,
            };
            let input = |name: &str| -> Result<&Tensor> {
                inputs.get(name).context(format!("no input `{name}`"))
            };
            let (noisy, blurry) = (
                input("noisy")?.f_to_kind(kind)?,
                input("blurry")?.f_to_kind(kind)?,
            );
            let network = &loaded.model.network;
            // Weights follow the activations, as in a restoration.
            if loaded
                .model
                .store
                .variables()
                .values()
                .any(|variable| variable.kind() != kind)
            {
                loaded.model.store.set_kind(kind);
            }
            let features = network.guidance().features(&blurry)?;
            time(repeats, outputs, || {
                Ok(network.predict(&noisy, &blurry, input("noise_level")?, &features)?)
            })
        }
        Request::Noise {
            height,
            width,
            seed,
            outputs,
        } => {
            let noise = CounterNoise::new(seed, [0], Device::Cpu)
                .normal([1, 3, height, width], INITIAL_STEP)?;
            Tensor::write_safetensors(&[("noise", &noise)], outputs)?;
            Ok(Answer::default())
        }
        Request::Restore {
            inputs,
            outputs,
            kind,
            steps,
            seed,
            repeats,
        } => {
            let photo = read(&inputs)?.remove("photo").context("no input `photo`")?;
            let size: Vec<usize> = photo
                .size()
                .into_iter()
                .map(|length| length as usize)
                .collect();
            let [channels, height, width] = size[..] else {
                bail!("the photo is not [3, H, W]")
            };
            let values = Vec::<f32>::try_from(photo.f_reshape([-1])?)?;
            let photo = Array3::from_shape_vec((channels, height, width), values)?;
            let options = Options {
                seed,
                sampler: SamplerKind::Euler,
                device: DeviceChoice::Cpu,
                tile: TileChoice::Off,
                precision: match kind {
                    Number::Float32 => Precision::Float32,
                    Number::Bfloat16 => Precision::Bfloat16,
                },
                ..if steps == 0 {
                    Options::mean()
                } else {
                    Options::sample(steps)
                }
            };
            if loaded
                .restorer
                .as_ref()
                .is_none_or(|(built_for, _)| *built_for != options)
            {
                let restorer = Restorer::new(&loaded.checkpoint, options.clone())?;
                loaded.restorer = Some((options, restorer));
            }
            let (_, restorer) = loaded.restorer.as_ref().context("a restorer")?;
            let mut image = None;
            let mut seconds = Vec::new();
            for _ in 0..repeats {
                let start = Instant::now();
                let restored =
                    restorer.restore(photo.view(), &mut |_| ControlFlow::Continue(()))?;
                seconds.push(start.elapsed().as_secs_f64());
                image = Some(restored.image);
            }
            if let (Some(path), Some(image)) = (outputs, image) {
                let values: Vec<f32> = image.iter().copied().collect();
                let image =
                    Tensor::f_from_slice(&values)?.f_view([3, height as i64, width as i64])?;
                Tensor::write_safetensors(&[("output", &image)], path)?;
            }
            Ok(Answer {
                seconds,
                error: None,
            })
        }
    }
}

fn time(
    repeats: usize,
    outputs: Option<PathBuf>,
    run: impl Fn() -> Result<Tensor>,
) -> Result<Answer> {
    let mut seconds = Vec::new();
    let mut last = None;
    for _ in 0..repeats {
        // The previous output is freed outside of the measured time, as Python does when its name is bound again.
        drop(last.take());
        let start = Instant::now();
        last = Some(run()?);
        seconds.push(start.elapsed().as_secs_f64());
    }
    if let (Some(path), Some(output)) = (outputs, last) {
        Tensor::write_safetensors(
            &[("output", &output.f_to_kind(Kind::Float)?.f_contiguous()?)],
            path,
        )?;
    }
    Ok(Answer {
        seconds,
        error: None,
    })
}

fn read(path: &PathBuf) -> Result<BTreeMap<String, Tensor>> {
    let tensors = Tensor::read_safetensors(path).with_context(|| path.display().to_string())?;
    Ok(tensors.into_iter().collect())
}
