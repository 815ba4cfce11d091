//! One saved state of a run: weights, moments, averages and what the loop remembers, in one safetensors file with a checksum.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use ms_guidance::checkpoint::{Parent, sha256};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tch::{Device, Kind, Tensor};

use crate::data::DataCount;
use crate::error::DataChange;
use crate::optimizer::{AdamW, Parameter};
use crate::pace::Smoothed;
use crate::pair_folder::PairFolder;
use crate::stability::Stability;
use crate::{Error, Result, TrainConfig};

const METADATA_KEY: &str = "msdeblur_training";
/// Metadata with the SHA-256 of the file in which these 64 digits are zeros.
const CHECKSUM_KEY: &str = "sha256";
const CHECKSUM_DIGITS: usize = 64;

type Slot = (&'static str, fn(&mut Parameter) -> &mut Tensor);
const SLOTS: [Slot; 4] = [
    ("value", |parameter| &mut parameter.value),
    ("exp_avg", |parameter| &mut parameter.exp_avg),
    ("exp_avg_sq", |parameter| &mut parameter.exp_avg_sq),
    ("average", |parameter| &mut parameter.average),
];

/// Slot of parameters that do not change, which have nothing but a value.
const FROZEN: &str = "frozen";

/// What a run knows besides its tensors.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// Finished steps.
    pub(crate) step: u64,
    /// Steps that changed the weights.
    pub(crate) updates: u64,
    /// SHA-256 of the photographs.
    pub(crate) data_sha256: String,
    /// How much is trained on; states of earlier versions do not say.
    #[serde(default)]
    pub(crate) data_count: Option<DataCount>,
    /// The configuration at the time.
    pub(crate) config: TrainConfig,
    /// Steps that were not finite and the back-off they caused.
    #[serde(default)]
    pub(crate) stability: Stability,
    /// Best validation PSNR over all pairs so far, in dB.
    #[serde(default)]
    pub(crate) best_psnr: Option<f64>,
    /// The smoothed loss.
    #[serde(default)]
    pub(crate) smoothed_loss: Smoothed,
    /// The model that the run started from.
    #[serde(default)]
    pub(crate) parent: Option<Parent>,
}

/// Where the checksum stands in a file, if there is one. Quotes inside of other metadata are escaped, so nothing else looks like it.
fn checksum_place(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let length = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let end = usize::try_from(length).ok()?.checked_add(8)?;
    let header = bytes.get(8..end)?;
    let before = format!("\"{CHECKSUM_KEY}\":\"");
    let found = header
        .windows(before.len())
        .position(|window| window == before.as_bytes())?;
    let start = 8 + found + before.len();
    (start + CHECKSUM_DIGITS <= end).then_some(start..start + CHECKSUM_DIGITS)
}

/// The bytes of a state file.
///
/// # Errors
/// If a tensor cannot be copied, or the state cannot be written as safetensors.
pub(crate) fn encode(path: &Path, optimizer: &mut AdamW, progress: &Progress) -> Result<Vec<u8>> {
    let unusable = |reason: String| Error::State {
        path: path.to_owned(),
        reason,
    };
    let mut stored: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut store = |name: String, tensor: &Tensor| -> Result<()> {
        let tensor = tensor
            .f_detach()?
            .f_to_device(Device::Cpu)?
            .f_contiguous()?;
        let mut bytes = vec![0; tensor.numel() * 4];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        let shape = tensor.size().iter().map(|&n| n as usize).collect();
        stored.push((name, shape, bytes));
        Ok(())
    };
    for parameter in &mut optimizer.parameters {
        for (slot, pick) in SLOTS {
            store(format!("{slot}:{}", parameter.name), pick(parameter))?;
        }
    }
    for (name, tensor) in &optimizer.frozen {
        store(format!("{FROZEN}:{name}"), tensor)?;
    }
    let views = stored
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| unusable(error.to_string()))?;
    let json = serde_json::to_string(progress).map_err(|error| unusable(error.to_string()))?;
    let metadata = HashMap::from([
        (METADATA_KEY.to_owned(), json),
        (CHECKSUM_KEY.to_owned(), "0".repeat(CHECKSUM_DIGITS)),
    ]);
    let mut bytes = safetensors::serialize(views, Some(metadata))
        .map_err(|error| unusable(error.to_string()))?;
    let place =
        checksum_place(&bytes).ok_or_else(|| unusable("it has no place for a checksum".into()))?;
    let sum = sha256(&bytes);
    bytes[place].copy_from_slice(sum.as_bytes());
    Ok(bytes)
}

/// The bytes of the file at `path` and what they say, once the checksum agrees.
///
/// # Errors
/// [`Error::State`] if the file is damaged or no state; if it cannot be read.
pub(crate) fn read(path: &Path) -> Result<(Vec<u8>, Progress)> {
    let unusable = |reason: String| Error::State {
        path: path.to_owned(),
        reason,
    };
    let mut bytes = ms_guidance::checkpoint::read(path)?;
    let place = checksum_place(&bytes)
        .ok_or_else(|| unusable("it is truncated or no state of a training run".into()))?;
    let said = bytes[place.clone()].to_vec();
    bytes[place].fill(b'0');
    if sha256(&bytes).as_bytes() != said {
        return Err(unusable("its checksum does not match its contents".into()));
    }
    let (_, metadata) =
        SafeTensors::read_metadata(&bytes).map_err(|error| unusable(error.to_string()))?;
    let json = metadata
        .metadata()
        .as_ref()
        .and_then(|map| map.get(METADATA_KEY));
    let json = json.ok_or_else(|| unusable("it has no training metadata".into()))?;
    let progress = serde_json::from_str(json).map_err(|error| unusable(error.to_string()))?;
    Ok((bytes, progress))
}

/// Settings that may change when a run is resumed: its length, the learning rate and its schedule, cadence, how it is
/// validated, names, folders and files whose content is in the state, and in how many parts a batch is computed, which changes its last bits only. Everything else
/// decides what a step is.
const MAY_CHANGE: [&str; 26] = [
    "name",
    "photos",
    "photo_sets",
    "init",
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
    "validation_sample_steps",
    "lpips_weights",
    "keep_previews",
    "tensorboard",
    "cache_megabytes",
    "loader_threads",
    "checkpoint_minutes",
    "keep_checkpoints",
    "max_nonfinite_steps",
    "micro_batch",
];

/// A sentence for each setting that may change and did.
pub(crate) fn changes(saved: &TrainConfig, now: &TrainConfig) -> Vec<String> {
    let (Ok(saved), Ok(now)) = (serde_json::to_value(saved), serde_json::to_value(now)) else {
        return Vec::new();
    };
    let told = |config: &serde_json::Value, name: &str| match config.get(name) {
        None => "not set".to_owned(),
        Some(value) => value.to_string(),
    };
    let sentence = |name: &&str| {
        let (before, after) = (told(&saved, name), told(&now, name));
        (before != after)
            .then(|| format!("{name} is another than in the saved run: {before} -> {after}"))
    };
    // Whoever asks for another length or folder says so, and is told the length.
    let names = MAY_CHANGE
        .iter()
        .filter(|name| !["steps", "out"].contains(name));
    names.filter_map(sentence).collect()
}

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
    // Settings that are off are left out, so that a name may stand on one side alone.
    let both = [&saved, &now].map(serde_json::Value::as_object);
    let fields = both.into_iter().flatten().flat_map(|fields| fields.keys());
    let names: BTreeSet<&String> = fields.collect();
    let differs = |name: &&&String| {
        !MAY_CHANGE.contains(&name.as_str()) && saved.get(name.as_str()) != now.get(name.as_str())
    };
    Ok(names
        .iter()
        .filter(differs)
        .map(|&name| name.clone())
        .collect())
}

/// Whether the run that was saved is the one that is configured now.
///
/// # Errors
/// [`Error::ResumeMismatch`] with every difference.
pub(crate) fn compare(
    path: &Path,
    saved: &Progress,
    config: &TrainConfig,
    data_sha256: &str,
    count: DataCount,
) -> Result<()> {
    let mut different = differences(&saved.config, config).map_err(|error| Error::State {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let data = (saved.data_sha256 != data_sha256).then_some(DataChange {
        before: saved.data_count,
        now: count,
    });
    if data.is_some() {
        different.push("photographs".to_owned());
    }
    if different.is_empty() {
        return Ok(());
    }
    Err(Error::ResumeMismatch {
        path: path.to_owned(),
        difference: different.join(", "),
        data,
    })
}

/// Puts the tensors of `bytes` into `optimizer`.
///
/// # Errors
/// [`Error::State`] if they are not those of this network.
pub(crate) fn restore(
    path: &Path,
    bytes: &[u8],
    progress: &Progress,
    optimizer: &mut AdamW,
) -> Result<()> {
    let unusable = |reason: String| Error::State {
        path: path.to_owned(),
        reason,
    };
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| unusable(error.to_string()))?;
    if tensors.len() != SLOTS.len() * optimizer.parameters.len() + optimizer.frozen.len() {
        return Err(unusable(format!("it holds {} tensors", tensors.len())));
    }
    let _no_grad = tch::no_grad_guard();
    let fill = |name: &str, target: &mut Tensor| -> Result<()> {
        let view = tensors
            .tensor(name)
            .map_err(|error| unusable(error.to_string()))?;
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        if shape != target.size() || view.dtype() != Dtype::F32 {
            return Err(unusable(format!("tensor {name} has another shape or type")));
        }
        let value = Tensor::f_from_data_size(view.data(), &shape, Kind::Float)?;
        Ok(target.f_copy_(&value)?)
    };
    for parameter in &mut optimizer.parameters {
        for (slot, pick) in SLOTS {
            let name = format!("{slot}:{}", parameter.name);
            fill(&name, pick(parameter))?;
        }
    }
    for (name, tensor) in &mut optimizer.frozen {
        fill(&format!("{FROZEN}:{name}"), tensor)?;
    }
    optimizer.updates = progress.updates;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_changed_are_told_also_those_that_are_gone() {
        let saved = TrainConfig {
            lpips_weights: Some("lpips.safetensors".into()),
            ..TrainConfig::tiny(vec!["photos".into()], "run".into())
        };
        let now = TrainConfig {
            lpips_weights: None,
            learning_rate: 0.5,
            // These two are told by whoever asks for them.
            steps: saved.steps + 1,
            out: "moved".into(),
            ..saved.clone()
        };
        let rate = saved.learning_rate;
        assert_eq!(
            changes(&saved, &now),
            [
                format!("learning_rate is another than in the saved run: {rate} -> 0.5"),
                "lpips_weights is another than in the saved run: \"lpips.safetensors\" -> not set"
                    .to_owned(),
            ]
        );
        assert_eq!(changes(&saved, &saved), Vec::<String>::new());
    }
}
