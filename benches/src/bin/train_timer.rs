//! Runs and times training steps and, on CUDA, what must agree with the CPU: our side of `benches/compare_pytorch.py train` and of
//! `tests/gpu`. One JSON request per line on stdin, one JSON answer per line on stdout; tensors travel in safetensors files.
//!
//! ```text
//! {"do": "load", "checkpoint": "model.safetensors", "device": "cpu", "threads": 2, "batch": 16, "crop": 64, "precision": "float32"}
//! {"do": "batch", "inputs": "batch.safetensors"}
//! {"do": "draw", "step": 0, "outputs": "drawn.safetensors"}
//! {"do": "steps", "first": 0, "count": 3}
//! {"do": "weights", "outputs": "weights.safetensors"}
//! {"do": "restore", "side": 256, "steps": 10, "precision": "float32", "repeats": 3}
//! {"do": "agreement", "side": 128}
//! ```
//!
//! `checkpoint` left out is the model inside the program. `restore` and `agreement` use the device of `load`.

#[path = "train_timer/agreement.rs"]
mod agreement;
#[path = "train_timer/session.rs"]
mod session;

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use trainer::Precision;

use crate::session::Session;

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    /// Starts a run from the weights of a checkpoint.
    Load {
        checkpoint: Option<PathBuf>,
        device: String,
        threads: usize,
        batch: usize,
        crop: usize,
        precision: Precision,
        #[serde(default)]
        micro_batch: Option<usize>,
    },
    /// Takes `sharp` and `blurry` `[N, 3, crop, crop]` in [-1, 1] for all steps from here on; before, there is a pattern.
    Batch { inputs: PathBuf },
    /// Writes `noise` and `alpha` `[N]` of a step.
    Draw { step: u64, outputs: PathBuf },
    /// Makes `count` steps and times each.
    Steps { first: u64, count: u64 },
    /// Writes the weights under their names, and their averages as `average:NAME`.
    Weights { outputs: PathBuf },
    /// Times restorations of a square pattern; `steps` 0 asks for the mean.
    Restore {
        side: usize,
        steps: usize,
        precision: Precision,
        repeats: usize,
    },
    /// Compares the device with the CPU on a square of this size, and one training step.
    Agreement { side: i64 },
}

/// What was measured; fields that a request has nothing to say about are left out.
#[derive(Serialize, Default)]
struct Answer {
    /// Seconds of each repeat, the device idle at both ends.
    seconds: Vec<f64>,
    /// Loss of each step.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    losses: Vec<f64>,
    /// Norm of the gradient of each step, before clipping.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gradient_norms: Vec<f64>,
    /// Differences, relative to the largest value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<(String, f64)>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

fn main() -> Result<()> {
    let mut session = None;
    integration_benches::serve(|request| {
        request
            .and_then(|request| answer(request, &mut session))
            .unwrap_or_else(|error| Answer {
                error: Some(format!("{error:#}")),
                ..Answer::default()
            })
    })
}

fn answer(request: Request, session: &mut Option<Session>) -> Result<Answer> {
    if let Request::Load {
        checkpoint,
        device,
        threads,
        batch,
        crop,
        precision,
        micro_batch,
    } = request
    {
        deblur::set_threads(threads)?;
        let device: deblur::DeviceChoice = device.parse()?;
        *session = Some(Session::start(checkpoint, device, |config| {
            trainer::TrainConfig {
                batch,
                crop,
                precision,
                micro_batch,
                ..config
            }
        })?);
        return Ok(Answer::default());
    }
    let session = session.as_mut().context("no run was loaded")?;
    let mut answer = Answer::default();
    match request {
        Request::Load { .. } => anyhow::bail!("load was answered before"),
        Request::Batch { inputs } => session.take_batch(&inputs)?,
        Request::Draw { step, outputs } => session.draw(step, &outputs)?,
        Request::Steps { first, count } => {
            for step in first..first + count {
                let (seconds, report) = session.step(step)?;
                answer.seconds.push(seconds);
                answer.losses.push(report.loss);
                answer.gradient_norms.push(report.gradient_norm);
            }
        }
        Request::Weights { outputs } => session.write_weights(&outputs)?,
        Request::Restore {
            side,
            steps,
            precision,
            repeats,
        } => answer.seconds = session.restore(side, steps, precision, repeats)?,
        Request::Agreement { side } => answer.differences = agreement::with_cpu(session, side)?,
    }
    Ok(answer)
}
