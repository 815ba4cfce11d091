//! Options of everything that restores photos.

use std::path::PathBuf;

use ::deblur::{DeviceChoice, MAX_SAMPLES, MAX_STEPS, Mode, Precision, TileChoice};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::value_parser;
use diffusion_sched::SamplerKind;

/// How photos are restored.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RestorationArgs {
    /// What to make: mean (fast, highest PSNR, smooth), sample (sharp, may invent detail), average (of several samples)
    ///
    /// With the built-in model, sample shows coloured specks at edges and grain in flat areas.
    #[arg(long, value_name = "MODE", default_value_t, help_heading = "Quality",
        value_parser = PossibleValuesParser::new(Mode::ALL.map(Mode::name)).try_map(|name| name.parse::<Mode>()))]
    pub(crate) mode: Mode,

    /// Steps per sample, 1 to 1000 [default: 20]
    ///
    /// More steps take longer, in proportion. Has no effect with --mode mean, which always takes one.
    #[arg(long, value_name = "N", help_heading = "Quality", allow_negative_numbers = true,
        value_parser = value_parser!(u32).range(1..=MAX_STEPS as i64))]
    pub(crate) steps: Option<u32>,

    /// How samples are drawn [default: dpmpp-2m]
    ///
    /// euler, ddim and dpmpp-2m take one denoiser call per step and add no noise on the way; heun takes two; ddpm and dpmpp-2m-sde add
    /// noise in every step. Has no effect with --mode mean.
    #[arg(long, value_name = "NAME", help_heading = "Quality",
        value_parser = PossibleValuesParser::new(SamplerKind::ALL.map(SamplerKind::name))
            .try_map(|name| name.parse::<SamplerKind>()))]
    pub(crate) sampler: Option<SamplerKind>,

    /// Samples for --mode average and --uncertainty, 1 to 1000 [default: 8]
    #[arg(long, value_name = "N", help_heading = "Quality", allow_negative_numbers = true,
        value_parser = value_parser!(u32).range(1..=i64::from(MAX_SAMPLES)))]
    pub(crate) samples: Option<u32>,

    /// Same seed, same result, whatever the machine's threads or the tiles: 0 to 18446744073709551615
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Quality", allow_negative_numbers = true,
        value_parser = seed)]
    pub(crate) seed: u64,

    /// Model to use instead of the built-in one: a .safetensors file written by `msdeblur train`
    #[arg(
        long,
        value_name = "FILE",
        env = "MSDEBLUR_CHECKPOINT",
        help_heading = "Quality"
    )]
    pub(crate) checkpoint: Option<PathBuf>,

    /// Where to compute: auto, cpu, cuda, or cuda:N for the N-th device from 0
    ///
    /// auto takes the first CUDA device if there is one.
    #[arg(
        long,
        value_name = "DEVICE",
        default_value_t,
        env = "MSDEBLUR_DEVICE",
        help_heading = "Speed and memory"
    )]
    pub(crate) device: DeviceChoice,

    /// Number format of the network: auto, float32 or bfloat16
    ///
    /// auto takes bfloat16 where the device computes it in hardware. Should the result not be finite, the photo is restored
    /// again in float32.
    #[arg(long, value_name = "FORMAT", default_value_t, env = "MSDEBLUR_PRECISION", help_heading = "Speed and memory",
        value_parser = PossibleValuesParser::new(Precision::ALL.map(Precision::name)).try_map(|name| name.parse::<Precision>()))]
    pub(crate) precision: Precision,

    /// Pixels on a side that are computed at a time: auto, off, or a number from 32 on
    ///
    /// The network also sees what lies around a tile, so the result is the same for every choice. Smaller tiles need less
    /// memory and more time. auto takes as few tiles as fit into 3 GB on the CPU, which is enough for 12 megapixels in every
    /// mode and 24 in mode mean.
    #[arg(
        long,
        value_name = "SIZE",
        default_value_t,
        env = "MSDEBLUR_TILE",
        help_heading = "Speed and memory",
        allow_negative_numbers = true
    )]
    pub(crate) tile: TileChoice,

    /// Processor threads to use, 1 to 1024 [default: all cores]
    #[arg(long, value_name = "N", env = "MSDEBLUR_THREADS", help_heading = "Speed and memory",
        allow_negative_numbers = true, value_parser = value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
}

pub(super) fn seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("a seed is a whole number from 0 to {}", u64::MAX))
}
