//! In which number format the network computes.

use std::fmt;
use std::str::FromStr;

use tch::{Device, Kind};
use unet_core::cpu_computes_bfloat16;

use crate::{Error, Result, cuda_driver};

/// The user's wish. Only the network's activations are concerned: the image, the noise and the sampler are float32 always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// bfloat16 where the device computes it in hardware, else float32.
    #[default]
    Auto,
    /// 32-bit floats.
    Float32,
    /// bfloat16: the range of float32 with 8 significant bits.
    Bfloat16,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Float32, Self::Bfloat16];

    /// Name as on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Float32 => "float32",
            Self::Bfloat16 => "bfloat16",
        }
    }

    /// The element type to compute in on `device`.
    pub fn resolve(self, device: Device) -> Kind {
        let bfloat16 = match self {
            Self::Float32 => false,
            Self::Bfloat16 => true,
            Self::Auto => match device {
                Device::Cpu => cpu_computes_bfloat16(),
                // Ampere (8.0) is the first generation with bfloat16.
                Device::Cuda(index) => {
                    cuda_driver::device(index).is_some_and(|device| device.capability.0 >= 8)
                }
                _ => false,
            },
        };
        if bfloat16 {
            Kind::BFloat16
        } else {
            Kind::Float
        }
    }
}

/// `float32` or `bfloat16`.
pub(crate) fn kind_name(kind: Kind) -> &'static str {
    if kind == Kind::BFloat16 {
        "bfloat16"
    } else {
        "float32"
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|precision| precision.name() == text)
            .ok_or_else(|| Error::UnknownValue {
                option: "precision",
                value: text.to_owned(),
                allowed: "auto, float32, bfloat16",
            })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_follows_the_processor() {
        assert_eq!(
            Precision::Auto.resolve(Device::Cpu) == Kind::BFloat16,
            cpu_computes_bfloat16()
        );
        assert_eq!(Precision::Float32.resolve(Device::Cpu), Kind::Float);
        assert_eq!(Precision::Bfloat16.resolve(Device::Cpu), Kind::BFloat16);
    }

    #[test]
    fn names_go_both_ways() {
        for precision in Precision::ALL {
            assert_eq!(
                precision
                    .to_string()
                    .parse::<Precision>()
                    .expect("a precision"),
                precision
            );
        }
        assert!("fp16".parse::<Precision>().is_err());
    }
}
