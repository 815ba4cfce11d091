//! Which device computes.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use tch::Device;

use crate::{Error, Result, libtorch};

/// The user's wish.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first CUDA device if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device with this number, from 0.
    Cuda(usize),
}

impl DeviceChoice {
    /// The device itself. CUDA is loaded here if it is asked for or, with [`DeviceChoice::Auto`], if it is there.
    ///
    /// # Errors
    /// [`Error::Cuda`] or [`Error::NoSuchDevice`], only for [`DeviceChoice::Cuda`].
    pub fn resolve(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Auto => Ok(match libtorch::load_cuda() {
                Ok(()) => Device::Cuda(0),
                Err(problem) => {
                    tracing::debug!("using the CPU: {problem}");
                    Device::Cpu
                }
            }),
            Self::Cuda(index) => {
                libtorch::load_cuda().map_err(|problem| Error::Cuda { problem })?;
                let count = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
                if index < count {
                    Ok(Device::Cuda(index))
                } else {
                    Err(Error::NoSuchDevice { index, count })
                }
            }
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let index = |digits: &str| {
            digits
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| digits.parse().ok())?
        };
        match text {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(0)),
            other => other.strip_prefix("cuda:").and_then(index).map(Self::Cuda),
        }
        .ok_or_else(|| Error::UnknownValue {
            option: "device",
            value: text.to_owned(),
            allowed: "auto, cpu, cuda, cuda:N",
        })
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Cpu => formatter.write_str("cpu"),
            Self::Cuda(index) => write!(formatter, "cuda:{index}"),
        }
    }
}

/// `cpu` or `cuda:N`.
pub(crate) fn name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::Cpu => "cpu".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Why CUDA cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CudaProblem {
    /// The loaded libtorch cannot be found on disk.
    #[error("the folder of the loaded libtorch is unknown on this system")]
    UnknownLibtorch,
    /// libtorch is a build without CUDA.
    #[error("libtorch_cuda is not in {}", folder.display())]
    NoLibrary {
        /// Where `libtorch_cpu` lies.
        folder: PathBuf,
    },
    /// `libtorch_cuda` is there but cannot be loaded.
    #[error("cannot load {}: {reason}", path.display())]
    CannotLoad {
        /// The library.
        path: PathBuf,
        /// What the dynamic linker said.
        reason: String,
    },
    /// libtorch has CUDA, but no usable driver or device.
    #[error("no usable NVIDIA device or driver was found")]
    NoDevice,
}

impl CudaProblem {
    /// What a person could do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::UnknownLibtorch => "use the device `cpu`",
            Self::NoLibrary { .. } => {
                "use the device `cpu`, or build with LIBTORCH set to a libtorch 2.11 with CUDA (README, section GPU)"
            }
            Self::CannotLoad { .. } => {
                "install the CUDA libraries that this libtorch was built for, or use the device `cpu`"
            }
            Self::NoDevice => {
                "check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or use the device `cpu`"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for (text, device) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda:0", DeviceChoice::Cuda(0)),
            ("cuda:13", DeviceChoice::Cuda(13)),
        ] {
            assert_eq!(text.parse::<DeviceChoice>().expect("a device"), device);
            assert_eq!(device.to_string(), text);
        }
        assert_eq!(
            "cuda".parse::<DeviceChoice>().expect("a device"),
            DeviceChoice::Cuda(0)
        );
        for wrong in [
            "",
            "gpu",
            "cuda:",
            "cuda:-1",
            "cuda:+1",
            "cuda:x",
            "CPU",
            "cuda:99999999999999999999",
        ] {
            assert!(wrong.parse::<DeviceChoice>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_missing_cuda_device_is_an_error_with_a_hint() {
        let count = match libtorch::load_cuda() {
            Ok(()) => usize::try_from(tch::Cuda::device_count()).expect("a count"),
            Err(_) => 0,
        };
        let error = DeviceChoice::Cuda(count)
            .resolve()
            .expect_err("one more than there are");
        assert!(error.hint().is_some(), "{error}");
        if count == 0 {
            assert_eq!(
                DeviceChoice::Auto.resolve().expect("falls back"),
                Device::Cpu
            );
        }
    }
}
