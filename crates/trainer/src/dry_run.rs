//! What a run would be, without running it.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use ms_guidance::GuidedUNet;
use serde::Serialize;
use tch::{Device, nn};

use crate::data::DataSet;
use crate::estimate::Estimate;
use crate::folder::{OutFolder, apart};
use crate::loader::Loader;
use crate::optimizer::AdamW;
use crate::preview;
use crate::stability::Stability;
use crate::start::{self, Trained};
use crate::step::Stepper;
use crate::validation::lpips;
use crate::{Result, TrainConfig};

/// Steps before those that are timed: the first ones allocate memory and wait for the first crops.
const WARM_UP: u64 = 2;
/// Steps that are timed, at most; fewer when they take long.
const TIMED: u64 = 8;
const SECONDS: f64 = 20.0;
/// Multiply-adds of a timed forward pass, at most: batches that take more are timed in part. About five seconds a step on two cores.
const MOST: i64 = 100_000_000_000;

/// What a run would be.
#[derive(Debug, Clone, Serialize)]
pub struct DryRun {
    /// Costs of the network.
    pub network: Estimate,
    /// Bytes that training takes, decoded pictures and the libraries not counted, by [`Estimate::training_bytes`].
    pub training_bytes: i64,
    /// Bytes that the timed steps took at most beside the weights: activations and gradients. Where the system counts them (Linux), on
    /// the CPU.
    pub measured_activation_bytes: Option<u64>,
    /// What [`DryRun::measured_activation_bytes`] was expected to be.
    pub expected_activation_bytes: i64,
    /// What the run would find where its folder is to be.
    pub out: OutFolder,
    /// Parameters that do not change.
    pub frozen_parameters: i64,
    /// The checkpoint whose weights the run starts from.
    pub init: Option<PathBuf>,
    /// Photographs that are trained on.
    pub photos: usize,
    /// Photographs that are set aside.
    pub held_out_photos: usize,
    /// Pairs that are trained on.
    pub pairs: usize,
    /// Pairs that are set aside.
    pub held_out_pairs: usize,
    /// Bytes of decoded pictures that are in memory.
    pub cached_bytes: u64,
    /// Files that are not usable, each with the reason.
    pub skipped: Vec<String>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Crops in each of the timed steps.
    pub timed_crops: usize,
    /// Seconds of a step of the whole batch, waiting for crops included.
    pub seconds_per_step: f64,
    /// Seconds of a validation, the preview sheet included.
    pub seconds_per_validation: f64,
    /// Seconds of the whole run.
    pub seconds: f64,
}

/// Opens the data, builds the network, computes some steps and one validation, and forgets them. Nothing is left behind.
///
/// # Errors
/// As [`run`](crate::run()), apart from a run folder that cannot be used, which is a finding.
pub fn dry_run(config: &TrainConfig, device: Device) -> Result<DryRun> {
    config.validate()?;
    let lpips = lpips(config, device)?;
    apart(config)?;
    let out = OutFolder::of(&config.out);
    let data = DataSet::open(config)?;
    let mut notes = data.notes.clone();
    notes.extend(config.short_run());
    let store = nn::VarStore::new(device);
    let model = GuidedUNet::seeded(&store.root(), &config.model, config.seed as i64)?;
    let trained = start::trained(&store, &config.freeze)?;
    let frozen_parameters = trained.frozen_parameters();
    let Trained { changing, frozen } = trained;
    let mut optimizer = AdamW::new(changing, config.weight_decay)?;
    optimizer.frozen = frozen;
    start::initialise(config, &mut optimizer, &mut |event| {
        if let crate::Event::Note(note) = event {
            notes.push(note);
        }
        ControlFlow::Continue(())
    })?;

    let network = Estimate::new(&config.model, config.crop);
    let pass = config.micro_batch.unwrap_or(config.batch);
    let affordable = usize::try_from(MOST / network.multiply_adds_per_crop.max(1)).unwrap_or(1);
    let timed = TrainConfig {
        batch: config.batch.min(affordable.max(1)),
        micro_batch: None,
        ..config.clone()
    };
    // No more at a time than the run would take, or memory is not what is measured.
    let timed = TrainConfig {
        micro_batch: (pass < timed.batch && timed.batch.is_multiple_of(pass)).then_some(pass),
        ..timed
    };
    let stepper = Stepper::new(&model, &timed, device)?;
    let mut loader = Loader::start(
        std::sync::Arc::clone(&data.training),
        timed.batch,
        0,
        config.loader_threads,
    );
    let mut stability = Stability::default();
    let before = memory::rest(device);
    let (mut started, mut steps, mut seconds) = (Instant::now(), 0, 0.0);
    for step in 0..WARM_UP + TIMED {
        let batch = loader.next_batch()?;
        stepper.run(&mut optimizer, &mut stability, step, &batch)?;
        if step + 1 == WARM_UP {
            started = Instant::now();
            continue;
        }
        if step >= WARM_UP {
            (steps, seconds) = (steps + 1, started.elapsed().as_secs_f64());
            if seconds > SECONDS {
                break;
            }
        }
    }
    let measured = before.and_then(|before| Some(memory::peak()?.saturating_sub(before)));
    notes.extend(data.training.take_notes());
    drop(loader);
    let of_batch = config.batch as f64 / timed.batch as f64;
    let seconds_per_step = seconds / f64::from(steps.max(1)) * of_batch;
    let (validation, note) = data.validation.configured(config, lpips);
    notes.extend(note);
    let validating = Instant::now();
    validation.run(&model, device)?;
    if config.keep_previews > 0 {
        let steps = config.validation_sample_steps;
        preview::sheet(&config.name, &validation, &model, device, steps)?;
    }
    let seconds_per_validation = validating.elapsed().as_secs_f64();
    let validations = config.steps.div_ceil(config.validate_every);
    let in_a_pass = timed.micro_batch.unwrap_or(timed.batch);
    Ok(DryRun {
        training_bytes: network.training_bytes(pass),
        measured_activation_bytes: measured,
        // Weights, moments and sums of gradients are there before the first step, the gradients of a pass are not.
        expected_activation_bytes: network.activation_bytes_per_crop * in_a_pass as i64
            + 4 * network.parameters,
        network,
        out,
        frozen_parameters,
        init: config.init.clone(),
        photos: data.photos,
        held_out_photos: data.held_out_photos,
        pairs: data.pairs,
        held_out_pairs: data.held_out_pairs,
        cached_bytes: data.cache.bytes(),
        skipped: data.skipped,
        notes,
        timed_crops: timed.batch,
        seconds_per_step,
        seconds_per_validation,
        seconds: config.steps as f64 * seconds_per_step
            + validations as f64 * seconds_per_validation,
    })
}

/// Resident memory of this process.
mod memory {
    use tch::Device;

    /// What is resident now, after which [`peak`] counts anew; `None` where that cannot be known.
    pub(super) fn rest(device: Device) -> Option<u64> {
        if device != Device::Cpu {
            return None;
        }
        // Linux forgets the highest size when 5 is written here.
        std::fs::write("/proc/self/clear_refs", "5").ok()?;
        value("VmRSS:")
    }

    /// Bytes that were resident at most.
    pub(super) fn peak() -> Option<u64> {
        value("VmHWM:")
    }

    fn value(name: &str) -> Option<u64> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1024)
    }
}
