//! In which number format the network computes while it is trained.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

/// Number format of the network's activations. Weights, their gradients, moments and averages, noise and losses are float32 always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    Float32,
    /// bfloat16: the range of float32 with 8 significant bits. For devices that compute it in hardware.
    Bfloat16,
}

impl Precision {
    /// The element type.
    pub fn kind(self) -> Kind {
        match self {
            Self::Float32 => Kind::Float,
            Self::Bfloat16 => Kind::BFloat16,
        }
    }

    /// Whether `device` computes in this format only by converting from and to another one. Every CUDA device that libtorch 2.11
    /// supports is taken to compute bfloat16.
    pub(crate) fn is_emulated(self, device: Device) -> bool {
        self == Self::Bfloat16 && device == Device::Cpu && !unet_core::cpu_computes_bfloat16()
    }
}
