//! Samplers by name.

use std::fmt;
use std::str::FromStr;

use super::{Ddim, Ddpm, DpmPp2m, DpmPp2mSde, Euler, Heun, Sampler};
use crate::error::{Error, Result};

/// A sampler as a plain value, for configuration and command lines. Samplers with more options are built directly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SamplerKind {
    /// [`Ddpm`] with the posterior's variance.
    Ddpm,
    /// [`Ddim`].
    Ddim {
        /// Share of the posterior's noise, in `[0, 1]`.
        eta: f64,
    },
    /// [`Euler`].
    Euler,
    /// [`Heun`] without churn.
    Heun,
    /// [`DpmPp2m`].
    DpmPp2m,
    /// [`DpmPp2mSde`] with `eta = 1`.
    DpmPp2mSde,
}

impl SamplerKind {
    /// All of them, DDIM with `eta = 0`.
    pub const ALL: [Self; 6] = [
        Self::Ddpm,
        Self::Ddim { eta: 0.0 },
        Self::Euler,
        Self::Heun,
        Self::DpmPp2m,
        Self::DpmPp2mSde,
    ];

    /// Name as on a command line; `eta` is not part of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ddpm => "ddpm",
            Self::Ddim { .. } => "ddim",
            Self::Euler => "euler",
            Self::Heun => "heun",
            Self::DpmPp2m => "dpmpp-2m",
            Self::DpmPp2mSde => "dpmpp-2m-sde",
        }
    }

    /// Whether it adds noise on the way, so that its result depends on more than the initial noise.
    pub fn is_stochastic(self) -> bool {
        match self {
            Self::Ddpm | Self::DpmPp2mSde => true,
            Self::Ddim { eta } => eta != 0.0,
            Self::Euler | Self::Heun | Self::DpmPp2m => false,
        }
    }

    /// The sampler itself.
    ///
    /// # Errors
    /// `eta` outside `[0, 1]`.
    pub fn build(self) -> Result<Box<dyn Sampler>> {
        Ok(match self {
            Self::Ddpm => Box::new(Ddpm::default()),
            Self::Ddim { eta } => Box::new(Ddim::new(eta)?),
            Self::Euler => Box::new(Euler),
            Self::Heun => Box::new(Heun::default()),
            Self::DpmPp2m => Box::new(DpmPp2m),
            Self::DpmPp2mSde => Box::new(DpmPp2mSde::default()),
        })
    }
}

impl fmt::Display for SamplerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for SamplerKind {
    type Err = Error;

    /// Reads a name of [`SamplerKind::name`]; `ddim` is deterministic (`eta = 0`).
    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Error::UnknownSampler {
                name: name.to_owned(),
            })
    }
}
