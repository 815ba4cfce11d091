//! The training loop.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use diffusion_sched::{CounterNoise, NoiseSource};
use ms_guidance::GuidedUNet;
use ms_guidance::checkpoint::{self, Description, Provenance, WeightFormat};
use tch::{Device, Tensor, nn};

use crate::data::DataSet;
use crate::folder::{RunFolder, files};
use crate::loader::{Batch, Loader};
use crate::loss::batch_loss;
use crate::noise_levels::NoiseLevels;
use crate::optimizer::AdamW;
use crate::pair_folder::PairFolder;
use crate::validation::Report;
use crate::{Error, Result, TrainConfig, state};

/// Non-finite steps in a row after which training stops.
const MAX_NON_FINITE: u32 = 20;

/// What happens during a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Training is about to start.
    Started {
        /// Parameters of the model.
        parameters: i64,
        /// Photographs for training; pairs of folders are told by a note.
        photos: usize,
        /// Files that were not usable, with reasons.
        skipped: Vec<String>,
        /// Steps that an earlier run finished.
        resumed_at: u64,
        /// Steps in all.
        total: u64,
    },
    /// A step is done.
    Step {
        /// Finished steps.
        step: u64,
        /// Steps in all.
        total: u64,
        /// Loss of this step, guidance included.
        loss: f64,
        /// Crops per second since the start of this process's run.
        images_per_second: f64,
    },
    /// A validation is done.
    Validation {
        /// Finished steps.
        step: u64,
        /// Quality per family and over `all`.
        report: Report,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// The model file.
        path: PathBuf,
    },
    /// Something the user should know.
    Note(String),
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Finished steps.
    pub step: u64,
    /// Whether the observer stopped it; it can be resumed.
    pub interrupted: bool,
    /// The model file.
    pub model: PathBuf,
    /// The last validation.
    pub report: Report,
}

/// Trains a model as `config` says, on `device`, in float32, in `config.out`. `observe` hears of every event and ends the run with
/// `ControlFlow::Break` after the current step; the state is saved then as well. With `resume` a saved state is continued;
/// there need not be one.
///
/// The initial weights come from libtorch's global generator, which is seeded here.
///
/// # Errors
/// If the configuration is invalid, data or run folder cannot be used, the saved state does not fit, training diverges or
/// libtorch fails.
pub fn run(
    config: &TrainConfig,
    device: Device,
    resume: bool,
    observe: &mut dyn FnMut(Event) -> ControlFlow<()>,
) -> Result<Outcome> {
    config.validate()?;
    let folder = RunFolder::prepare(config, resume)?;
    let DataSet {
        training,
        validation,
        photos,
        skipped,
        notes,
        sha256: data_sha256,
        ..
    } = DataSet::open(config)?;
    for note in notes {
        let _ = observe(Event::Note(note));
    }

    tch::manual_seed(config.seed as i64);
    let store = nn::VarStore::new(device);
    let model = GuidedUNet::new(&store.root(), &config.model)?;
    let averaged_store = nn::VarStore::new(device);
    let averaged = GuidedUNet::new(&averaged_store.root(), &config.model)?;
    let averaged_variables: BTreeMap<String, Tensor> =
        averaged_store.variables().into_iter().collect();
    let mut optimizer = AdamW::new(store.variables().into_iter().collect(), config.weight_decay)?;

    let state_path = folder.path(files::STATE);
    let first = if resume && state_path.exists() {
        state::load(&state_path, &mut optimizer, config, &data_sha256)?
    } else {
        0
    };
    if first > config.steps {
        return Err(Error::PastTheEnd {
            path: state_path,
            done: first,
            steps: config.steps,
        });
    }
    // Only now: a state that does not fit must leave the folder as it was.
    let mut log = folder.start(config, first)?;
    let parameters = config.model.parameter_count();
    let _ = observe(Event::Started {
        parameters,
        photos,
        skipped,
        resumed_at: first,
        total: config.steps,
    });

    let levels = NoiseLevels::new(config)?;
    let source = Arc::clone(&training);
    let mut loader = Loader::start(source, config.batch, first, config.loader_threads);
    let started = Instant::now();
    let (mut step, mut non_finite, mut interrupted) = (first, 0, false);
    let mut report = Report::new();
    while step < config.steps && !interrupted {
        let batch = loader.next_batch()?;
        for note in training.take_notes() {
            let _ = observe(Event::Note(note));
        }
        let batch = Batch {
            sharp: batch.sharp.f_to_device(device)?,
            blurry: batch.blurry.f_to_device(device)?,
        };
        let drawn = levels.draw(step)?;
        // One noise field per crop: the step is folded into the seed, the place in the batch is the sample index.
        let samples: Vec<u32> = (0..config.batch as u32).collect();
        let key = config.seed ^ step.rotate_left(32);
        let noise = CounterNoise::new(key, samples, device).normal(
            [
                config.batch as i64,
                3,
                config.crop as i64,
                config.crop as i64,
            ],
            0,
        )?;
        let loss = batch_loss(&model, config, &batch, &drawn, &noise)?;
        let values: Vec<Tensor> = optimizer
            .parameters
            .iter()
            .map(|p| p.value.shallow_clone())
            .collect();
        let gradients = Tensor::f_run_backward(&[&loss.total], &values, false, false)?;
        let norm = AdamW::gradient_norm(&gradients)?.f_double_value(&[])?;
        let value = loss.total.f_double_value(&[])?;
        let learning_rate = config.learning_rate_at(step);
        if value.is_finite() && norm.is_finite() {
            non_finite = 0;
            let scale = (config.max_gradient_norm / norm.max(1e-12)).min(1.0);
            optimizer.step(&gradients, scale, learning_rate, config.ema_decay_at(step))?;
        } else {
            non_finite += 1;
            let _ = observe(Event::Note(format!(
                "step {}: loss {value}, gradient norm {norm}; skipped",
                step + 1
            )));
            if non_finite >= MAX_NON_FINITE {
                return Err(Error::Diverged {
                    step: step + 1,
                    count: non_finite,
                });
            }
        }
        step += 1;
        let images_per_second =
            ((step - first) * config.batch as u64) as f64 / started.elapsed().as_secs_f64();
        if step.is_multiple_of(config.log_every) || step == config.steps {
            log.write(&serde_json::json!({
                "type": "step", "step": step, "total_images": step * config.batch as u64, "loss": value,
                "diffusion_loss": loss.diffusion.f_double_value(&[])?,
                "guidance_loss": loss.guidance.f_double_value(&[])?,
                "gradient_norm": norm, "learning_rate": learning_rate, "images_per_second": images_per_second,
            }))?;
        }
        interrupted = observe(Event::Step {
            step,
            total: config.steps,
            loss: value,
            images_per_second,
        })
        .is_break();
        if step.is_multiple_of(config.validate_every) || step == config.steps || interrupted {
            copy_averages(&optimizer, &averaged_variables)?;
            report = validation.run(&averaged, device)?;
            log.write(&serde_json::json!({"type": "validation", "step": step, "report": report}))?;
            interrupted |= observe(Event::Validation {
                step,
                report: report.clone(),
            })
            .is_break();
        }
        if step.is_multiple_of(config.checkpoint_every) || step == config.steps || interrupted {
            state::save(&state_path, &mut optimizer, config, &data_sha256, step)?;
            let description = describe(config, &data_sha256, step, &report);
            let path = folder.path(files::MODEL);
            checkpoint::save(
                &path,
                &optimizer.averages(),
                &description,
                WeightFormat::Float16,
            )?;
            interrupted |= observe(Event::Checkpoint { path }).is_break();
        }
    }
    Ok(Outcome {
        step,
        interrupted,
        model: folder.path(files::MODEL),
        report,
    })
}

fn copy_averages(optimizer: &AdamW, averaged: &BTreeMap<String, Tensor>) -> Result<()> {
    let _no_grad = tch::no_grad_guard();
    for parameter in &optimizer.parameters {
        if let Some(variable) = averaged.get(&parameter.name) {
            variable.shallow_clone().f_copy_(&parameter.average)?;
        }
    }
    Ok(())
}

fn describe(config: &TrainConfig, data_sha256: &str, step: u64, report: &Report) -> Description {
    let mut metrics = BTreeMap::new();
    for (family, quality) in report {
        metrics.insert(
            format!("validation_input_psnr_{family}"),
            quality.input_psnr,
        );
        metrics.insert(
            format!("validation_output_psnr_{family}"),
            quality.output_psnr,
        );
    }
    // The PSNR of equal images is infinite, which JSON cannot say.
    metrics.retain(|_, value| value.is_finite());
    // Folders are facts about a machine, not about the model.
    let portable = TrainConfig {
        photos: Vec::new(),
        pairs: config.pairs.iter().map(PairFolder::portable).collect(),
        out: PathBuf::new(),
        ..config.clone()
    };
    Description {
        config: config.model.clone(),
        provenance: Provenance {
            name: config.name.clone(),
            producer: format!("msdeblur trainer {}", env!("CARGO_PKG_VERSION")),
            licence: config.licence.clone(),
            data: config.data_description.clone(),
            data_sha256: data_sha256.to_owned(),
            steps: step,
            total_images: step * config.batch as u64,
            seed: config.seed,
            training: serde_json::to_value(portable).unwrap_or_default(),
            metrics,
        },
    }
}
