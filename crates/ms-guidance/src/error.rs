//! What can go wrong while a guided model is described, run, saved or loaded.

use std::path::PathBuf;

/// Error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration contradicts itself; every problem is listed.
    #[error("invalid model configuration: {}", problems.join("; "))]
    InvalidConfig {
        /// One sentence per problem.
        problems: Vec<String>,
    },
    /// A tensor does not have the shape that the model needs.
    #[error("{what}: expected shape {expected}, got {got:?}")]
    Shape {
        /// Which argument.
        what: &'static str,
        /// Description of the expected shape.
        expected: String,
        /// The shape that was given.
        got: Vec<i64>,
    },
    /// A scale beyond [`MAXIMUM_SCALE`](crate::pyramid::MAXIMUM_SCALE).
    #[error("scale {scale} is too coarse, allowed are 0 to {maximum}")]
    Scale {
        /// The scale that was given.
        scale: usize,
        /// The largest allowed one.
        maximum: usize,
    },
    /// A metric that JSON has no word for: the checkpoint could not be loaded again.
    #[error("the metric `{name}` is {value}, a checkpoint can only store finite numbers")]
    Metric {
        /// Name of the metric.
        name: String,
        /// Its value: NaN or an infinity.
        value: f64,
    },
    /// Reading or writing a checkpoint failed.
    #[error("{}: cannot {action} the checkpoint", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `write`.
        action: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is no safetensors file, is truncated or is corrupt.
    #[error("not a usable safetensors file ({reason})")]
    Format {
        /// What the reader found.
        reason: String,
    },
    /// The file is a safetensors file, but not one of ours.
    #[error("the file has no msdeblur model description: metadata key `{key}` is {problem}")]
    Metadata {
        /// The metadata key.
        key: &'static str,
        /// `missing` or the parser's message.
        problem: String,
    },
    /// The tensors are not those of the described architecture. Boxed, so that results stay small.
    #[error("the tensors do not fit the model description: {0}")]
    Mismatch(Box<Mismatch>),
    /// The network.
    #[error(transparent)]
    UNet(#[from] unet_core::Error),
    /// Noise levels and samplers.
    #[error(transparent)]
    Diffusion(#[from] diffusion_sched::Error),
    /// libtorch reported an error.
    #[error("libtorch")]
    Torch(#[from] tch::TchError),
}

/// Everything that is wrong with the tensors of a checkpoint, found in one pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Tensors that the architecture needs and the file lacks.
    pub missing: Vec<String>,
    /// Tensors that the file has and the architecture does not know.
    pub unexpected: Vec<String>,
    /// `name: expected shape, got shape`.
    pub misshaped: Vec<String>,
    /// `name: type` of tensors that are not float32, float16 or bfloat16.
    pub mistyped: Vec<String>,
    /// Tensors with NaN or infinite values.
    pub non_finite: Vec<String>,
}

impl Mismatch {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 3;
        let mut separator = "";
        for (label, names) in [
            ("missing", &self.missing),
            ("unexpected", &self.unexpected),
            ("wrong shape", &self.misshaped),
            ("wrong type", &self.mistyped),
            ("NaN or infinite", &self.non_finite),
        ] {
            if names.is_empty() {
                continue;
            }
            write!(
                f,
                "{separator}{} {label} ({}",
                names.len(),
                names[..names.len().min(SHOWN)].join(", ")
            )?;
            if names.len() > SHOWN {
                write!(f, ", …")?;
            }
            write!(f, ")")?;
            separator = "; ";
        }
        Ok(())
    }
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
