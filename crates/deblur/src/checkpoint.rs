//! Where a model's weights come from.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use ms_guidance::Model;
use ms_guidance::checkpoint::{self, Description};
use tch::Device;

use crate::{Error, Result};

/// The default model, part of the program.
static EMBEDDED: &[u8] = include_bytes!("../model/default.safetensors");

/// A checkpoint to load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CheckpointSource {
    /// The default model inside the program.
    #[default]
    Embedded,
    /// A safetensors file.
    File(PathBuf),
}

impl CheckpointSource {
    /// The whole file.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if it cannot be read.
    pub fn bytes(&self) -> Result<Cow<'static, [u8]>> {
        match self {
            Self::Embedded => Ok(Cow::Borrowed(EMBEDDED)),
            Self::File(path) => checkpoint::read(path)
                .map(Cow::Owned)
                .map_err(|source| self.error(source)),
        }
    }

    /// Configuration and provenance, without building the network: fast, and libtorch does nothing.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if it cannot be read or is no checkpoint of ours.
    pub fn describe(&self) -> Result<Summary> {
        let bytes = self.bytes()?;
        let description = checkpoint::describe(&bytes).map_err(|source| self.error(source))?;
        Ok(Summary {
            description,
            bytes: bytes.len() as u64,
            sha256: checkpoint::sha256(&bytes),
        })
    }

    /// The model with its weights on `device`. Strict: exactly the tensors of the described architecture, all finite.
    ///
    /// # Errors
    /// [`Error::Checkpoint`].
    pub fn load(&self, device: Device) -> Result<Model> {
        checkpoint::load(&self.bytes()?, device).map_err(|source| self.error(source))
    }

    /// Checks every tensor, as [`CheckpointSource::load`] does.
    ///
    /// # Errors
    /// [`Error::Checkpoint`].
    pub fn verify(&self) -> Result<()> {
        self.load(Device::Cpu).map(drop)
    }

    fn error(&self, source: ms_guidance::Error) -> Error {
        match source {
            ms_guidance::Error::Io { path, source, .. } => Error::CheckpointRead { path, source },
            source => Error::Checkpoint {
                checkpoint: self.clone(),
                source,
            },
        }
    }
}

impl fmt::Display for CheckpointSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => formatter.write_str("the built-in model"),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}

/// What a checkpoint says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Architecture and provenance.
    pub description: Description,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_model_is_valid_and_small() {
        let summary = CheckpointSource::Embedded.describe().expect("valid");
        assert!(summary.bytes <= 12 << 20, "{} bytes", summary.bytes);
        let model = CheckpointSource::Embedded
            .load(Device::Cpu)
            .expect("complete");
        let parameters: usize = model
            .store
            .variables()
            .values()
            .map(|tensor| tensor.numel())
            .sum();
        assert_eq!(
            parameters as i64,
            summary.description.config.parameter_count()
        );
        assert_eq!(model.sha256, summary.sha256);
    }

    #[test]
    fn a_missing_file_names_itself() {
        let source = CheckpointSource::File("no/such/file.safetensors".into());
        let error = source.describe().expect_err("missing");
        assert!(
            error.to_string().starts_with("no/such/file.safetensors: "),
            "{error}"
        );
        assert!(error.hint().is_some());
    }
}
