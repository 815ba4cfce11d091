//! The saved state of a run: weights, moments, averages and the step, in one safetensors file.

use std::collections::HashMap;
use std::path::Path;

use ms_guidance::checkpoint::write_atomically;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tch::{Device, Kind, Tensor};

use crate::optimizer::{AdamW, Parameter};
use crate::pair_folder::PairFolder;
use crate::{Error, Result, TrainConfig};

const METADATA_KEY: &str = "msdeblur_training";

type Slot = (&'static str, fn(&mut Parameter) -> &mut Tensor);
const SLOTS: [Slot; 4] = [
    ("value", |parameter| &mut parameter.value),
    ("exp_avg", |parameter| &mut parameter.exp_avg),
    ("exp_avg_sq", |parameter| &mut parameter.exp_avg_sq),
    ("average", |parameter| &mut parameter.average),
];

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    step: u64,
    updates: u64,
    data_sha256: String,
    config: TrainConfig,
}

/// Writes the state after `step` steps to `path`, atomically.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn save(
    path: &Path,
    optimizer: &mut AdamW,
    config: &TrainConfig,
    data_sha256: &str,
    step: u64,
) -> Result<()> {
    let unusable = |reason: String| Error::State {
        path: path.to_owned(),
        reason,
    };
    let mut stored: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for parameter in &mut optimizer.parameters {
        for (slot, pick) in SLOTS {
            let name = format!("{slot}:{}", parameter.name);
            let tensor = pick(parameter)
                .f_detach()?
                .f_to_device(Device::Cpu)?
                .f_contiguous()?;
            let mut bytes = vec![0; tensor.numel() * 4];
            tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
            stored.push((
                name,
                tensor.size().iter().map(|&n| n as usize).collect(),
                bytes,
            ));
        }
    }
    let views = stored
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| unusable(error.to_string()))?;
    let progress = Progress {
        step,
        updates: optimizer.updates,
        data_sha256: data_sha256.to_owned(),
        config: config.clone(),
    };
    let json = serde_json::to_string(&progress).map_err(|error| unusable(error.to_string()))?;
    let bytes = safetensors::serialize(
        views,
        Some(HashMap::from([(METADATA_KEY.to_owned(), json)])),
    )
    .map_err(|error| unusable(error.to_string()))?;
    Ok(write_atomically(path, &bytes)?)
}

/// Settings that may change when a run is resumed: its length, the learning rate and its schedule, cadence, how it is
/// validated, names and folders. Everything else decides what a step is.
const MAY_CHANGE: [&str; 16] = [
    "name",
    "photos",
    "data_description",
    "licence",
    "out",
    "steps",
    "learning_rate",
    "lr_warmup_images",
    "lr_decay_images",
    "validation_crops",
    "validation_crop",
    "validate_every",
    "checkpoint_every",
    "log_every",
    "cache_megabytes",
    "loader_threads",
];

/// Names of the settings that differ and must not.
fn differences(saved: &TrainConfig, now: &TrainConfig) -> Result<Vec<String>, serde_json::Error> {
    let comparable = |config: &TrainConfig| {
        // Where pairs lie may change as well; what they are is compared by their hash.
        let pairs = config.pairs.iter().map(PairFolder::portable).collect();
        serde_json::to_value(TrainConfig {
            pairs,
            ..config.clone()
        })
    };
    let (saved, now) = (comparable(saved)?, comparable(now)?);
    let names = now.as_object().into_iter().flat_map(|fields| fields.keys());
    Ok(names
        .filter(|name| !MAY_CHANGE.contains(&name.as_str()) && saved.get(name) != now.get(name))
        .cloned()
        .collect())
}

/// Reads a state into `optimizer` and returns the number of finished steps.
///
/// # Errors
/// If the file is damaged, or its run differs in a setting that decides what a step is.
pub(crate) fn load(
    path: &Path,
    optimizer: &mut AdamW,
    config: &TrainConfig,
    data_sha256: &str,
) -> Result<u64> {
    let unusable = |reason: String| Error::State {
        path: path.to_owned(),
        reason,
    };
    let bytes = ms_guidance::checkpoint::read(path)?;
    let (_, metadata) =
        SafeTensors::read_metadata(&bytes).map_err(|error| unusable(error.to_string()))?;
    let json = metadata
        .metadata()
        .as_ref()
        .and_then(|map| map.get(METADATA_KEY));
    let json = json.ok_or_else(|| unusable("it has no training metadata".into()))?;
    let progress: Progress =
        serde_json::from_str(json).map_err(|error| unusable(error.to_string()))?;
    let mut different =
        differences(&progress.config, config).map_err(|error| unusable(error.to_string()))?;
    if progress.data_sha256 != data_sha256 {
        different.push("photographs".to_owned());
    }
    if !different.is_empty() {
        return Err(Error::ResumeMismatch {
            path: path.to_owned(),
            difference: different.join(", "),
        });
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| unusable(error.to_string()))?;
    if tensors.len() != SLOTS.len() * optimizer.parameters.len() {
        return Err(unusable(format!("it holds {} tensors", tensors.len())));
    }
    let _no_grad = tch::no_grad_guard();
    for parameter in &mut optimizer.parameters {
        for (slot, pick) in SLOTS {
            let name = format!("{slot}:{}", parameter.name);
            let view = tensors
                .tensor(&name)
                .map_err(|error| unusable(error.to_string()))?;
            let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
            let target = pick(parameter);
            if shape != target.size() || view.dtype() != Dtype::F32 {
                return Err(unusable(format!("tensor {name} has another shape or type")));
            }
            let value = Tensor::f_from_data_size(view.data(), &shape, Kind::Float)?;
            target.f_copy_(&value)?;
        }
    }
    optimizer.updates = progress.updates;
    Ok(progress.step)
}
