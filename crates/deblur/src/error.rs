//! What can go wrong in a restoration.

use std::path::PathBuf;

use tch::TchError;

use crate::checkpoint::CheckpointSource;
use crate::device::CudaProblem;

/// Error of this crate. [`Error::hint`] says what a person could do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The checkpoint cannot be read, or is not a model that this version can run.
    #[error("{checkpoint}: cannot use this checkpoint")]
    Checkpoint {
        /// Which one.
        checkpoint: CheckpointSource,
        /// Why.
        #[source]
        source: ms_guidance::Error,
    },
    /// The checkpoint file cannot be read.
    #[error("{}: cannot read the checkpoint", path.display())]
    CheckpointRead {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// CUDA was asked for and is not there.
    #[error("CUDA is not available")]
    Cuda {
        /// Why.
        #[source]
        problem: CudaProblem,
    },
    /// The CUDA device does not exist.
    #[error("there is no device cuda:{index}: this machine has {count} CUDA device(s)")]
    NoSuchDevice {
        /// What was asked for, from 0.
        index: usize,
        /// Devices that exist.
        count: usize,
    },
    /// A word that stands for no value of an option.
    #[error("{value:?} is no {option}; allowed: {allowed}")]
    UnknownValue {
        /// Name of the option.
        option: &'static str,
        /// What was given.
        value: String,
        /// What may be given.
        allowed: &'static str,
    },
    /// A number outside its range.
    #[error("{option} is {value}, allowed are {minimum} to {maximum}")]
    OutOfRange {
        /// Name of the option.
        option: &'static str,
        /// What was given.
        value: u64,
        /// Smallest allowed value.
        minimum: u64,
        /// Largest allowed value.
        maximum: u64,
    },
    /// An uncertainty map was asked for with fewer than two samples.
    #[error("a spread needs at least 2 samples, but samples is {samples}")]
    TooFewSamples {
        /// What was given.
        samples: u32,
    },
    /// A tile size below the smallest that makes sense.
    #[error("a tile of {tile} pixels is below the minimum of {minimum} for this model")]
    TileTooSmall {
        /// What was given, in pixels.
        tile: u32,
        /// The smallest allowed size, in pixels.
        minimum: u32,
    },
    /// The array is not `[3, H, W]` with H, W ≥ 1.
    #[error("a photo has the shape [3, H, W] with H, W >= 1, not {shape:?}")]
    Shape {
        /// The shape that was given.
        shape: Vec<usize>,
    },
    /// The photo holds NaN or an infinity.
    #[error("the photo has a value that is not finite at channel {channel}, y={y}, x={x}")]
    PhotoNotFinite {
        /// Channel, from 0.
        channel: usize,
        /// Row, from 0.
        y: usize,
        /// Column, from 0.
        x: usize,
    },
    /// The network gave NaN or an infinity, also in float32.
    #[error(
        "the network's output is not finite in sampling step {step} (noise level {sigma}), also in float32"
    )]
    NotFinite {
        /// Sampling step, from 0.
        step: usize,
        /// Noise level of the call.
        sigma: f64,
    },
    /// The memory of the device does not suffice.
    #[error("out of memory on {device}")]
    OutOfMemory {
        /// `cpu` or `cuda:0`.
        device: String,
        /// What libtorch reported.
        #[source]
        source: TchError,
    },
    /// The progress callback asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The model failed.
    #[error("the model failed")]
    Model(#[source] ms_guidance::Error),
    /// The sampler failed.
    #[error("sampling failed")]
    Sampling(#[source] diffusion_sched::Error),
    /// libtorch failed.
    #[error("libtorch failed")]
    Torch(#[source] TchError),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What a person could do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Checkpoint { source, .. } => match source {
                ms_guidance::Error::Format { .. } => {
                    "copy or download the checkpoint again; it was probably cut off or is another kind of file".into()
                }
                ms_guidance::Error::Metadata { .. } => {
                    "only checkpoints written by msdeblur can be used".into()
                }
                _ => "the file belongs to another version or was changed; use a checkpoint of this version".into(),
            },
            Self::CheckpointRead { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                "check the spelling, or leave the checkpoint out to use the built-in model".into()
            }
            Self::CheckpointRead { .. } => "check that it is a file and that you may read it".into(),
            Self::Cuda { problem } => problem.hint().into(),
            Self::NoSuchDevice { count: 0, .. } => "use the device `cpu`".into(),
            Self::NoSuchDevice { count, .. } => format!("use cuda:0 to cuda:{}", count - 1),
            Self::TooFewSamples { .. } => "ask for 2 samples or more".into(),
            Self::TileTooSmall { minimum, .. } => {
                format!("use a tile of {minimum} pixels or more, or `auto`")
            }
            Self::NotFinite { .. } => "the checkpoint is damaged or was not trained to its end; use another".into(),
            Self::OutOfMemory { .. } => "use smaller tiles, for example 256, or a device with more memory".into(),
            _ => return None,
        })
    }
}

/// Memory errors are told from others by libtorch's wording, which is all that it reports.
fn is_out_of_memory(error: &TchError) -> bool {
    let text = error.to_string();
    text.contains("out of memory")
        || text.contains("can't allocate memory")
        || text.contains("not enough memory")
}

fn from_torch(error: TchError) -> Error {
    if is_out_of_memory(&error) {
        let device = if error.to_string().contains("CUDA") {
            "CUDA"
        } else {
            "the CPU"
        };
        Error::OutOfMemory {
            device: device.into(),
            source: error,
        }
    } else {
        Error::Torch(error)
    }
}

impl From<TchError> for Error {
    fn from(error: TchError) -> Self {
        from_torch(error)
    }
}

impl From<unet_core::Error> for Error {
    fn from(error: unet_core::Error) -> Self {
        match error {
            unet_core::Error::Torch(error) => from_torch(error),
            other => Self::Model(ms_guidance::Error::UNet(other)),
        }
    }
}

impl From<ms_guidance::Error> for Error {
    fn from(error: ms_guidance::Error) -> Self {
        match error {
            ms_guidance::Error::Torch(error) => from_torch(error),
            ms_guidance::Error::UNet(error) => error.into(),
            ms_guidance::Error::Diffusion(error) => error.into(),
            other => Self::Model(other),
        }
    }
}

impl From<diffusion_sched::Error> for Error {
    fn from(error: diffusion_sched::Error) -> Self {
        match error {
            diffusion_sched::Error::Torch(error) => from_torch(error),
            diffusion_sched::Error::Cancelled => Self::Cancelled,
            diffusion_sched::Error::NonFinite { step, sigma } => Self::NotFinite { step, sigma },
            // The tiled denoiser wraps errors of this crate; unwrap them again.
            diffusion_sched::Error::Denoiser(source) => match source.downcast::<Self>() {
                Ok(error) => *error,
                Err(source) => Self::Sampling(diffusion_sched::Error::Denoiser(source)),
            },
            other => Self::Sampling(other),
        }
    }
}
