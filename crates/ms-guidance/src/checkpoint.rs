//! The checkpoint: one safetensors file with weights, configuration and provenance.
//!
//! The safetensors metadata has one key, `msdeblur`, whose value is the JSON of [`Description`] (one key, so that the
//! same model always gives the same bytes). Loading is strict: the tensors must be exactly those of the described
//! architecture, in shape, type and finite values. Nothing is broadcast and nothing is ignored.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::path::Path;

use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor, nn};

use crate::error::Mismatch;
use crate::{Error, GuidedUNet, GuidedUNetConfig, Result};

const METADATA_KEY: &str = "msdeblur";

/// Where a model comes from. Everything that training knows and a user may ask.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Name of the model.
    pub name: String,
    /// Program and version that wrote the file.
    pub producer: String,
    /// Licence of the weights.
    pub licence: String,
    /// Training data, in words.
    pub data: String,
    /// SHA-256 over the names and contents of the training images, hexadecimal.
    pub data_sha256: String,
    /// Optimisation steps.
    pub steps: u64,
    /// Training crops seen.
    pub total_images: u64,
    /// Seed of the run.
    pub seed: u64,
    /// The resolved training configuration.
    pub training: serde_json::Value,
    /// Validation results: name to value, finite.
    pub metrics: BTreeMap<String, f64>,
    /// The model whose weights training started from; none for random weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
}

/// A model that another one was trained from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// Its name.
    pub name: String,
    /// SHA-256 of its checkpoint file, hexadecimal.
    pub sha256: String,
}

/// The JSON in a checkpoint's metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The architecture and what its output means.
    pub config: GuidedUNetConfig,
    /// Where the weights come from.
    pub provenance: Provenance,
}

/// Number format of stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightFormat {
    /// 4 bytes a weight.
    Float32,
    /// 2 bytes a weight, 11 significant bits.
    Float16,
    /// 2 bytes a weight, 8 significant bits.
    Bfloat16,
}

impl WeightFormat {
    fn kind(self) -> Kind {
        match self {
            Self::Float32 => Kind::Float,
            Self::Float16 => Kind::Half,
            Self::Bfloat16 => Kind::BFloat16,
        }
    }

    fn dtype(self) -> Dtype {
        match self {
            Self::Float32 => Dtype::F32,
            Self::Float16 => Dtype::F16,
            Self::Bfloat16 => Dtype::BF16,
        }
    }
}

/// A loaded model with its weights.
#[derive(Debug)]
pub struct Model {
    /// The network.
    pub network: GuidedUNet,
    /// Its parameters, float32.
    pub store: nn::VarStore,
    /// Where it comes from.
    pub provenance: Provenance,
    /// SHA-256 of the checkpoint file, hexadecimal.
    pub sha256: String,
}

impl Model {
    /// Converts the weights to `kind` for inference.
    pub fn convert(&mut self, kind: Kind) {
        self.store.set_kind(kind);
    }
}

struct Stored {
    bytes: Vec<u8>,
    shape: Vec<usize>,
    dtype: Dtype,
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Serialises a model. `tensors` are the named parameters (for example an average of them).
///
/// # Errors
/// [`Error::Metric`] if a metric is NaN or infinite, which JSON cannot say; or if libtorch cannot copy a tensor.
pub fn to_bytes(
    tensors: &BTreeMap<String, Tensor>,
    description: &Description,
    format: WeightFormat,
) -> Result<Vec<u8>> {
    for (name, &value) in &description.provenance.metrics {
        if !value.is_finite() {
            return Err(Error::Metric {
                name: name.clone(),
                value,
            });
        }
    }
    let mut stored = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let tensor = tensor
            .f_detach()?
            .f_to_device(Device::Cpu)?
            .f_to_kind(format.kind())?
            .f_contiguous()?;
        let elements = tensor.numel();
        let mut bytes = vec![0; elements * format.dtype().bitsize() / 8];
        tensor.f_copy_data_u8(&mut bytes, elements)?;
        let shape = tensor.size().iter().map(|&n| n as usize).collect();
        stored.push((
            name.clone(),
            Stored {
                bytes,
                shape,
                dtype: format.dtype(),
            },
        ));
    }
    let json = serde_json::to_string(description).map_err(|error| Error::Metadata {
        key: METADATA_KEY,
        problem: error.to_string(),
    })?;
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), json)]);
    safetensors::serialize(stored, Some(metadata)).map_err(|error| Error::Format {
        reason: error.to_string(),
    })
}

/// Writes `bytes` to `path` atomically: a temporary file in the same folder, flushed to disk, then renamed.
///
/// # Errors
/// [`Error::Io`] with the path; the previous file, if any, is untouched.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let fail = |source| Error::Io {
        path: path.to_owned(),
        action: "write",
        source,
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".checkpoint-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file: what the umask leaves, not the owner-only mode of temporary files.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    Ok(())
}

/// Saves a model to `path` atomically.
///
/// # Errors
/// As [`to_bytes`] and [`write_atomically`].
pub fn save(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    description: &Description,
    format: WeightFormat,
) -> Result<()> {
    write_atomically(path, &to_bytes(tensors, description, format)?)
}

/// The largest checkpoint that [`read`] takes, in bytes: 4 GiB, a thousand million float32 weights.
pub const MAXIMUM_BYTES: u64 = 4 << 30;

/// Reads a whole checkpoint file.
///
/// # Errors
/// [`Error::Io`] with the path, also for what is no regular file (a device never ends, a pipe may never begin) and for
/// more than [`MAXIMUM_BYTES`].
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_regular_file(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        action: "read",
        source,
    })
}

fn read_regular_file(path: &Path) -> io::Result<Vec<u8>> {
    // Before opening, which blocks on a pipe that nobody writes to.
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    let too_large = || {
        io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is larger than 4 GiB, the most that a checkpoint may have",
        )
    };
    if metadata.len() > MAXIMUM_BYTES {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).map_err(|_| too_large())?);
    // It may have grown since.
    std::fs::File::open(path)?
        .take(MAXIMUM_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAXIMUM_BYTES {
        return Err(too_large());
    }
    Ok(bytes)
}

/// The description in a checkpoint, without looking at its tensors.
///
/// # Errors
/// If the bytes are no safetensors file or have no valid msdeblur description.
pub fn describe(bytes: &[u8]) -> Result<Description> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| Error::Format {
        reason: error.to_string(),
    })?;
    let json = metadata
        .metadata()
        .as_ref()
        .and_then(|map| map.get(METADATA_KEY))
        .ok_or(Error::Metadata {
            key: METADATA_KEY,
            problem: "missing".into(),
        })?;
    let description: Description = serde_json::from_str(json).map_err(|error| Error::Metadata {
        key: METADATA_KEY,
        problem: error.to_string(),
    })?;
    description.config.validate()?;
    Ok(description)
}

/// SHA-256 of `bytes`, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Builds the described model on `device` and fills it with the stored weights (converted to float32).
///
/// # Errors
/// If the file is no safetensors file, is truncated, has no valid description, or if any tensor is missing, unexpected,
/// of another shape or type, or not finite. All such tensors are listed together in [`Error::Mismatch`].
pub fn load(bytes: &[u8], device: Device) -> Result<Model> {
    let description = describe(bytes)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| Error::Format {
        reason: error.to_string(),
    })?;
    // A description may ask for far more than the file holds; compare before allocating.
    let stored: usize = tensors
        .iter()
        .map(|(_, view)| view.shape().iter().product::<usize>())
        .sum();
    let described = description.config.parameter_count();
    if described > 2 * stored as i64 + 1_000_000 {
        let misshaped = vec![format!(
            "all: expected {described} parameters, got {stored}"
        )];
        return Err(Error::Mismatch(Box::new(Mismatch {
            misshaped,
            ..Mismatch::default()
        })));
    }
    let store = nn::VarStore::new(device);
    let network = GuidedUNet::new(&store.root(), &description.config)?;
    copy_tensors(&tensors, &store.variables().into_iter().collect())?;
    Ok(Model {
        network,
        store,
        provenance: description.provenance,
        sha256: sha256(bytes),
    })
}

/// Fills the parameters of a network that exists, by name, with the weights of a checkpoint (converted to float32).
///
/// # Errors
/// As [`load`]: the tensors must be exactly `variables`. Some of these may have changed then.
pub fn load_into(bytes: &[u8], variables: &BTreeMap<String, Tensor>) -> Result<()> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| Error::Format {
        reason: error.to_string(),
    })?;
    copy_tensors(&tensors, variables)
}

fn copy_tensors(tensors: &SafeTensors<'_>, variables: &BTreeMap<String, Tensor>) -> Result<()> {
    let mut mismatch = Mismatch::default();
    for name in tensors.names() {
        if !variables.contains_key(name) {
            mismatch.unexpected.push(name.to_owned());
        }
    }
    mismatch.unexpected.sort_unstable();
    let _no_grad = tch::no_grad_guard();
    for (name, variable) in variables {
        let mut variable = variable.shallow_clone();
        let Ok(view) = tensors.tensor(name) else {
            mismatch.missing.push(name.clone());
            continue;
        };
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            other => {
                mismatch.mistyped.push(format!("{name}: {other:?}"));
                continue;
            }
        };
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        if shape != variable.size() {
            mismatch.misshaped.push(format!(
                "{name}: expected {:?}, got {shape:?}",
                variable.size()
            ));
            continue;
        }
        let value = Tensor::f_from_data_size(view.data(), &shape, kind)?.f_to_kind(Kind::Float)?;
        if value.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
            mismatch.non_finite.push(name.clone());
            continue;
        }
        variable.f_copy_(&value)?;
    }
    if !mismatch.is_empty() {
        return Err(Error::Mismatch(Box::new(mismatch)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> String {
        match read(path) {
            Err(Error::Io { source, .. }) => source.to_string(),
            other => panic!("{}: {:?}", path.display(), other.map(|bytes| bytes.len())),
        }
    }

    #[test]
    fn only_regular_files_of_some_size_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model");
        std::fs::write(&path, b"abc").expect("written");
        assert_eq!(read(&path).expect("an ordinary file"), b"abc");
        // Sparse: takes no space.
        let file = std::fs::File::create(&path).expect("a file");
        file.set_len(MAXIMUM_BYTES + 1).expect("a sparse file");
        assert!(refusal(&path).contains("4 GiB"));
        assert!(refusal(folder.path()).contains("directory"));
        #[cfg(unix)]
        assert!(refusal(Path::new("/dev/zero")).contains("regular file"));
    }

    #[test]
    fn a_metric_without_a_value_is_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut description = Description {
                config: GuidedUNetConfig::tiny(),
                provenance: Provenance::default(),
            };
            description.provenance.metrics.insert("psnr".into(), value);
            let result = to_bytes(&BTreeMap::new(), &description, WeightFormat::Float32);
            let error = result.expect_err("not finite").to_string();
            assert!(error.contains("psnr"), "{error}");
        }
    }
}
