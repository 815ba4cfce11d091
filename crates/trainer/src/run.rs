//! The training loop.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ms_guidance::GuidedUNet;
use ms_guidance::checkpoint::{self, Description, Provenance, WeightFormat};
use tch::{Device, Tensor, nn};

use crate::data::DataSet;
use crate::error::{chain, last_good};
use crate::folder::{RunFolder, files};
use crate::loader::Loader;
use crate::optimizer::AdamW;
use crate::pace::{Pace, Smoothed};
use crate::pair_folder::PairFolder;
use crate::photo_folder::PhotoFolder;
use crate::preview;
use crate::quality::Report;
use crate::recorder::Recorder;
use crate::span::part;
use crate::stability::Stability;
use crate::start::{self, Trained};
use crate::state::{self, Progress};
use crate::states::{BEST_MODEL, SavedStates};
use crate::step::Stepper;
use crate::validation::lpips;
use crate::{Error, Result, TrainConfig};

/// What happens during a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Training is about to start.
    Started {
        /// Parameters of the model.
        parameters: i64,
        /// Those of them that do not change.
        frozen: i64,
        /// The checkpoint whose weights a new run starts from.
        init: Option<PathBuf>,
        /// Photographs for training.
        photos: usize,
        /// Pairs of folders for training.
        pairs: usize,
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
        /// Its mean over the last steps, in which a step counts half as much as the one 20 steps later.
        smoothed_loss: f64,
        /// Crops per second while steps are made, smoothed alike.
        images_per_second: f64,
        /// Seconds until the end, validations and checkpoints included.
        seconds_left: f64,
    },
    /// A validation is done.
    Validation {
        /// Finished steps.
        step: u64,
        /// Quality per family and over `all`.
        report: Report,
        /// What it took, with the preview sheet.
        seconds: f64,
    },
    /// A checkpoint was written, and the state with it.
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

/// Trains a model as `config` says, on `device`, in `config.out`. `observe` hears of every event and ends the run with
/// `ControlFlow::Break` after the current step; the state is saved then as well. With `resume` a saved state is continued;
/// there need not be one.
///
/// The initial weights depend on the seed alone, also where several runs start at once; libtorch's global generator is seeded for them.
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
    // Whoever names a file wants to hear before the first step that it cannot be used.
    let lpips = lpips(config, device)?;
    let mut folder = RunFolder::prepare(config, resume)?;
    let data = DataSet::open(config)?;
    let count = data.count();
    let DataSet {
        training,
        validation,
        photos,
        pairs,
        skipped,
        notes,
        sha256: data_sha256,
        ..
    } = data;
    for note in notes {
        let _ = observe(Event::Note(note));
    }
    if config.precision.is_emulated(device) {
        let _ = observe(Event::Note(
            "precision is bfloat16, which this processor does not compute in hardware: ten times slower than float32".into(),
        ));
    }

    let store = nn::VarStore::new(device);
    let model = GuidedUNet::seeded(&store.root(), &config.model, config.seed as i64)?;
    let averaged_store = nn::VarStore::new(device);
    let averaged = GuidedUNet::new(&averaged_store.root(), &config.model)?;
    let averaged_variables: BTreeMap<String, Tensor> =
        averaged_store.variables().into_iter().collect();
    let trained = start::trained(&store, &config.freeze)?;
    let frozen_parameters = trained.frozen_parameters();
    let Trained { changing, frozen } = trained;
    let mut optimizer = AdamW::new(changing, config.weight_decay)?;
    optimizer.frozen = frozen;

    let mut states = SavedStates::new(config.out.clone(), config.keep_checkpoints);
    if !resume && states.any()? {
        return Err(Error::RunExists {
            path: config.out.clone(),
        });
    }
    let loaded = match resume {
        true => states.load(&mut optimizer, config, &data_sha256, count)?,
        false => None,
    };
    let mut progress = match &loaded {
        Some(loaded) => loaded.progress.clone(),
        None => Progress {
            step: 0,
            updates: 0,
            data_sha256,
            data_count: Some(count),
            config: config.clone(),
            stability: Stability::default(),
            best_psnr: None,
            smoothed_loss: Smoothed::default(),
            // Only here: what is resumed has its weights in the state, and the file may be gone.
            parent: start::initialise(config, &mut optimizer, observe)?,
        },
    };
    let saved_config = std::mem::replace(&mut progress.config, config.clone());
    progress.data_count = Some(count);
    let first = progress.step;
    if let Some(loaded) = &loaded {
        if first > config.steps {
            return Err(Error::PastTheEnd {
                path: loaded.path.clone(),
                done: first,
                steps: config.steps,
            });
        }
        for (path, reason) in &loaded.damaged {
            let _ = observe(Event::Note(format!(
                "{}: the saved state is not usable ({reason}); it is kept as .damaged, and the run goes on from {} of step {first}",
                path.display(),
                loaded.path.display()
            )));
        }
        states.set_aside(&loaded.damaged)?;
        for change in state::changes(&saved_config, config) {
            let _ = observe(Event::Note(change));
        }
    }
    // Only now: a state that does not fit must leave the folder as it was.
    let mut recorder = Recorder::start(&mut folder, config, first)?;
    let parameters = config.model.parameter_count();
    let _ = observe(Event::Started {
        parameters,
        frozen: frozen_parameters,
        init: config.init.clone().filter(|_| loaded.is_none()),
        photos,
        pairs,
        skipped,
        resumed_at: first,
        total: config.steps,
    });

    let (validation, note) = validation.configured(config, lpips);
    if let Some(note) = note {
        let _ = observe(Event::Note(note));
    }
    let passes = validation.passes();
    let stepper = Stepper::new(&model, config, device)?;
    let source = Arc::clone(&training);
    let mut loader = Loader::start(source, config.batch, first, config.loader_threads);
    let started = Instant::now();
    let between = Duration::try_from_secs_f64(config.checkpoint_minutes * 60.0);
    let between = between.unwrap_or(Duration::MAX);
    let (mut saved_at, mut tried) = (started, false);
    let mut interrupted = false;
    let mut report = Report::new();
    let mut pace = Pace::default();
    // Since the last line of the log.
    let (mut lap_steps, mut lap_seconds, mut lap_waiting) = (0u32, 0.0, 0.0);
    while progress.step < config.steps && !interrupted {
        let _step = tracing::trace_span!("step").entered();
        let begun = Instant::now();
        let batch = {
            let _part = part!("load", device);
            loader.next_batch()?
        };
        lap_waiting += begun.elapsed().as_secs_f64();
        for note in training.take_notes() {
            let _ = observe(Event::Note(note));
        }
        let done = stepper.run(
            &mut optimizer,
            &mut progress.stability,
            progress.step,
            &batch,
        )?;
        progress.step += 1;
        progress.updates = optimizer.updates;
        let step = progress.step;
        if !done.updated {
            let _ = observe(Event::Note(format!(
                "step {step}: loss {}, gradient norm {}; skipped, the learning rate goes on at {:.3} of its value",
                done.loss,
                done.gradient_norm,
                progress.stability.factor()
            )));
            if progress.stability.in_a_row >= config.max_nonfinite_steps {
                return Err(Error::Diverged {
                    step,
                    problem: format!(
                        "loss or gradient was not finite in {} steps in a row",
                        progress.stability.in_a_row
                    ),
                    last: states.last().clone(),
                });
            }
        }
        progress.smoothed_loss.add(done.loss);
        let smoothed_loss = progress.smoothed_loss.mean();
        let step_seconds = begun.elapsed().as_secs_f64();
        pace.step_took(step_seconds);
        (lap_steps, lap_seconds) = (lap_steps + 1, lap_seconds + step_seconds);
        if step.is_multiple_of(config.log_every) || step == config.steps {
            let since_start = (step - first) * config.batch as u64;
            recorder.step(
                step,
                serde_json::json!({
                    "loss": done.loss, "smoothed_loss": smoothed_loss,
                    "diffusion_loss": done.diffusion, "guidance_loss": done.guidance,
                    "gradient_norm": done.gradient_norm, "learning_rate": done.learning_rate,
                    "images_per_second": since_start as f64 / started.elapsed().as_secs_f64(),
                    "nonfinite_steps": progress.stability.total,
                    "step_seconds": lap_seconds / f64::from(lap_steps),
                    "data_seconds": lap_waiting / f64::from(lap_steps),
                }),
            );
            (lap_steps, lap_seconds, lap_waiting) = (0, 0.0, 0.0);
        }
        for note in recorder.take_notes() {
            let _ = observe(Event::Note(note));
        }
        interrupted = observe(Event::Step {
            step,
            total: config.steps,
            loss: done.loss,
            smoothed_loss: smoothed_loss.unwrap_or(done.loss),
            images_per_second: pace.images_per_second(config.batch),
            seconds_left: pace.left(step, config, passes),
        })
        .is_break();
        let mut to_show = None;
        if step.is_multiple_of(config.validate_every) || step == config.steps || interrupted {
            let _part = part!("validate", device);
            let begun = Instant::now();
            copy_averages(&optimizer, &averaged_variables)?;
            report = validation.run(&averaged, device)?;
            let validation_seconds = begun.elapsed().as_secs_f64();
            let sheet = match config.keep_previews {
                0 => None,
                _ => {
                    let title = format!("{}, step {step}", config.name);
                    let steps = config.validation_sample_steps;
                    match preview::sheet(&title, &validation, &averaged, device, steps) {
                        Ok(sheet) => Some(sheet),
                        Err(error) => {
                            let _ = observe(Event::Note(format!(
                                "the preview sheet of step {step} could not be drawn: {}; training goes on",
                                chain(&error)
                            )));
                            None
                        }
                    }
                }
            };
            let preview_seconds = begun.elapsed().as_secs_f64() - validation_seconds;
            let measures = serde_json::json!({
                "report": report,
                "seconds": validation_seconds, "preview_seconds": preview_seconds,
            });
            let line = recorder.validation(step, measures);
            to_show = Some((line, sheet));
            let seconds = begun.elapsed().as_secs_f64();
            pace.validation_took(seconds);
            interrupted |= observe(Event::Validation {
                step,
                report: report.clone(),
                seconds,
            })
            .is_break();
            let psnr = report.get("all").map(|quality| quality.output_psnr);
            let better =
                |&psnr: &f64| psnr.is_finite() && progress.best_psnr.is_none_or(|best| psnr > best);
            if let Some(psnr) = psnr.filter(better) {
                let path = folder.path(BEST_MODEL);
                match write_model(&path, &optimizer, &progress, &report) {
                    Ok(()) => progress.best_psnr = Some(psnr),
                    Err(error) => {
                        let _ = observe(Event::Note(format!(
                            "the best model so far could not be written: {}",
                            chain(&error)
                        )));
                    }
                }
            }
        }
        let last_one = step == config.steps || interrupted;
        let due = step.is_multiple_of(config.checkpoint_every) || saved_at.elapsed() >= between;
        // While steps are skipped, the state is no better than the one before; and a disk that was full is tried again.
        let saving = last_one
            || (due || tried && step.is_multiple_of(RETRY)) && progress.stability.in_a_row == 0;
        let mut written = None;
        if saving {
            let _part = part!("checkpoint", device);
            let begun = Instant::now();
            let path = folder.path(files::MODEL);
            let outcome = states
                .save(&mut optimizer, &progress)
                .and_then(|()| write_model(&path, &optimizer, &progress, &report));
            saved_at = Instant::now();
            pace.checkpoint_took(begun.elapsed().as_secs_f64());
            tried = outcome.is_err();
            written = Some(outcome);
        }
        // Only now: what is nice to look at takes no room from what is needed to go on.
        if let Some((line, sheet)) = to_show {
            recorder.show(step, &line, sheet);
            for note in recorder.take_notes() {
                let _ = observe(Event::Note(note));
            }
        }
        match written {
            None => {}
            Some(Ok(())) => {
                let path = folder.path(files::MODEL);
                interrupted |= observe(Event::Checkpoint { path }).is_break();
            }
            Some(Err(error @ Error::Diverged { .. })) => return Err(error),
            // A run that never saved anything has nothing to lose, and its user is probably still there.
            Some(Err(error)) if last_one || states.last().is_none() => {
                return Err(Error::NotSaved {
                    step,
                    last: states.last().clone(),
                    source: Box::new(error),
                });
            }
            Some(Err(error)) => {
                let text = format!(
                    "step {step} could not be saved: {}; {}; training goes on and tries again",
                    chain(&error),
                    last_good(states.last())
                );
                let _ = observe(Event::Note(text));
            }
        }
    }
    let step = progress.step;
    let path = folder.path(files::MODEL);
    // A run that was killed between its last state and its model has nothing left to do but this.
    if first == config.steps && !is_model_of(&path, step) {
        write_model(&path, &optimizer, &progress, &report)?;
    }
    Ok(Outcome {
        step,
        interrupted,
        model: folder.path(files::MODEL),
        report,
    })
}

/// Steps between attempts to save after one failed.
const RETRY: u64 = 50;

/// Whether the checkpoint is that of a step.
fn is_model_of(path: &std::path::Path, step: u64) -> bool {
    let description = checkpoint::read(path).and_then(|bytes| checkpoint::describe(&bytes));
    description.is_ok_and(|description| description.provenance.steps == step)
}

fn write_model(
    path: &std::path::Path,
    optimizer: &AdamW,
    progress: &Progress,
    report: &Report,
) -> Result<()> {
    let description = describe(progress, report);
    Ok(checkpoint::save(
        path,
        &optimizer.averages(),
        &description,
        WeightFormat::Float16,
    )?)
}

fn copy_averages(optimizer: &AdamW, averaged: &BTreeMap<String, Tensor>) -> Result<()> {
    let _no_grad = tch::no_grad_guard();
    for (name, average) in optimizer.averages() {
        if let Some(variable) = averaged.get(&name) {
            variable.shallow_clone().f_copy_(&average)?;
        }
    }
    Ok(())
}

fn describe(progress: &Progress, report: &Report) -> Description {
    let (config, step) = (&progress.config, progress.step);
    let mut metrics = BTreeMap::new();
    for (family, quality) in report {
        // The PSNR of equal images is infinite, which JSON cannot say: `values` leaves it out. The log has the rest by family.
        for (name, value) in quality.values() {
            if family == "all" || ["input_psnr", "output_psnr"].contains(&name.as_str()) {
                metrics.insert(format!("validation_{name}_{family}"), value);
            }
        }
    }
    // Folders are facts about a machine, not about the model.
    let portable = TrainConfig {
        photos: Vec::new(),
        photo_sets: config
            .photo_sets
            .iter()
            .map(PhotoFolder::portable)
            .collect(),
        init: None,
        lpips_weights: None,
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
            data_sha256: progress.data_sha256.clone(),
            steps: step,
            total_images: step * config.batch as u64,
            seed: config.seed,
            training: serde_json::to_value(portable).unwrap_or_default(),
            metrics,
            parent: progress.parent.clone(),
        },
    }
}
