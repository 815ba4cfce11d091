// The README's second example needs the feature.
#![cfg_attr(feature = "torch", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "torch"),
    doc = "Noise schedules, parametrisations and counter-based noise for diffusion models, in plain f64: this crate without its \
           `torch` feature, which adds denoisers and samplers."
)]

mod error;
mod level;
pub mod noise;
mod parametrisation;
mod schedule;

#[cfg(feature = "torch")]
mod denoiser;
#[cfg(feature = "torch")]
mod noise_source;
#[cfg(feature = "torch")]
pub mod sampler;

pub use error::{Error, Result};
pub use level::NoiseLevel;
pub use parametrisation::{Precondition, PredictionType, StateCoefficients, TargetCoefficients};
pub use schedule::{
    BetaSchedule, CosineLogSnr, DiscreteSchedule, MAX_STEPS, Sigmas, TimestepSpacing, betas,
};

#[cfg(feature = "torch")]
pub use denoiser::{Denoiser, Preconditioned};
#[cfg(feature = "torch")]
pub use noise_source::{CounterNoise, INITIAL_STEP, NoiseSource, initial_noise};
#[cfg(feature = "torch")]
pub use sampler::{
    Ddim, Ddpm, DdpmVariance, DpmPp2m, DpmPp2mSde, Euler, Heun, Observer, Sampler, SamplerKind,
    Step,
};
