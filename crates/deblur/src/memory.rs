//! How much memory a restoration takes, so that tiles can be chosen to fit.
//!
//! Without a limit of the user's own the process stays below 3 GB on the CPU (or half of what is free, if that is less), and below
//! 60 % of a CUDA device. Arrays of the size of the photo come first; what they leave over is for one tile's activations.

use std::path::{Path, PathBuf};

use ms_guidance::GuidedUNetConfig;
use tch::{Device, Kind, TchError};

use crate::cuda_driver;
use crate::options::Options;
use crate::{Error, Result};

/// What the process may use on the CPU unless told otherwise, in bytes.
pub const CPU_LIMIT: u64 = 3_000_000_000;
/// The program, libtorch and its thread pools, in bytes.
const CPU_BASE: u64 = 250_000_000;
/// Tiles never get less than this, in bytes: with less, halos would cost more than memory saves.
const LEAST_FOR_TILES: u64 = 256_000_000;
/// Used where a CUDA device does not say how much memory it has, in bytes.
const UNKNOWN_CUDA_MEMORY: u64 = 4_000_000_000;

/// The limit in bytes for a process that computes on `device`.
pub fn limit(device: Device, wanted: Option<u64>) -> u64 {
    wanted.unwrap_or_else(|| match device {
        Device::Cuda(index) => {
            let memory =
                cuda_driver::device(index).map_or(UNKNOWN_CUDA_MEMORY, |device| device.memory);
            memory / 10 * 6
        }
        _ => available().map_or(CPU_LIMIT, |free| CPU_LIMIT.min(free / 2)),
    })
}

/// Bytes that the system could give to this process now, where it says so: no more than its control group may take.
pub fn available() -> Option<u64> {
    free().into_iter().chain(own_group_limit()).min()
}

fn free() -> Option<u64> {
    proc_field("/proc/meminfo", "MemAvailable:")
}

fn own_group_limit() -> Option<u64> {
    let membership = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    group_limit(Path::new("/sys/fs/cgroup"), &membership)
}

/// The lowest memory limit in bytes of the control groups below `root` that `membership`, in the form of
/// `/proc/self/cgroup`, lists (version 1 and 2), and of the groups around them.
fn group_limit(root: &Path, membership: &str) -> Option<u64> {
    let limit = |file: PathBuf| -> Option<u64> {
        // Version 2 writes `max` for no limit, version 1 a number beyond all memory.
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    };
    membership
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            let (hierarchy, name) = if controllers.is_empty() {
                (root.to_owned(), "memory.max")
            } else if controllers.split(',').any(|name| name == "memory") {
                (root.join("memory"), "memory.limit_in_bytes")
            } else {
                return None;
            };
            // In a container the own group may be mounted as the root, so that its path does not exist.
            Path::new(path.trim_start_matches('/'))
                .ancestors()
                .filter_map(|group| limit(hierarchy.join(group).join(name)))
                .min()
        })
        .min()
}

/// Refuses a restoration whose arrays of the size of the photo could not be held, before the system ends the process.
///
/// # Errors
/// [`Error::OutOfMemory`] with both numbers, on the CPU; other devices report it themselves.
pub fn check(
    config: &GuidedUNetConfig,
    options: &Options,
    device: Device,
    kind: Kind,
    pixels: i64,
) -> Result<()> {
    if device != Device::Cpu {
        return Ok(());
    }
    // What this process already holds counts on both sides: the program and the caller's photo are part of what is needed.
    let held = proc_field("/proc/self/status", "VmRSS:").unwrap_or(0);
    let free = free().map(|free| free + held);
    let Some(possible) = free.into_iter().chain(own_group_limit()).min() else {
        return Ok(());
    };
    let whole = whole_photo_bytes(config, options, device, kind, pixels as u64);
    let needed = CPU_BASE.saturating_add(whole);
    if needed <= possible {
        return Ok(());
    }
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    Err(Error::OutOfMemory {
        device: "the CPU".into(),
        source: TchError::Torch(format!(
            "a photo of this size needs {:.1} GB in this mode, {:.1} GB can be had; use a smaller photo, fewer samples \
             or a machine with more memory",
            gigabytes(needed),
            gigabytes(possible)
        )),
    })
}

/// Bytes of memory of this machine, where it says so.
pub fn installed() -> Option<u64> {
    proc_field("/proc/meminfo", "MemTotal:")
}

fn proc_field(file: &str, field: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Most pixels that one tile may read for a photo of `pixels` pixels when the process may use `limit` bytes.
pub fn tile_pixels(
    limit: u64,
    config: &GuidedUNetConfig,
    options: &Options,
    device: Device,
    kind: Kind,
    pixels: i64,
) -> i64 {
    let base = if device.is_cuda() { 0 } else { CPU_BASE };
    let whole = whole_photo_bytes(config, options, device, kind, pixels as u64);
    let left = limit
        .saturating_sub(whole.saturating_add(base))
        .max(LEAST_FOR_TILES);
    (left / tile_bytes_per_pixel(config, kind).max(1)) as i64
}

/// Bytes of the arrays that have the size of the photo and live while it is restored.
pub fn whole_photo_bytes(
    config: &GuidedUNetConfig,
    options: &Options,
    device: Device,
    kind: Kind,
    pixels: u64,
) -> u64 {
    // In images of three float32 channels: on the CPU the caller's photo and its alpha; everywhere the blurry photo, the noisy
    // state, its estimate and a copy while padding.
    let mut images = if device.is_cuda() { 4 } else { 6 };
    if options.drawn_samples() > 0 {
        // The previous estimate, an extrapolation, the noise of a step.
        images += 3;
    }
    if options.drawn_samples() > 1 {
        // Running mean, running variance, the first sample.
        images += 3;
    }
    let feature_values: f64 = config
        .unet
        .guidance_channels
        .iter()
        .enumerate()
        .map(|(index, &channels)| {
            (channels + config.guidance_input.channels()) as f64
                / f64::from(4_u32.pow(index as u32 + 1))
        })
        .sum();
    pixels.saturating_mul(12 * images + (feature_values * bytes_of(kind)) as u64)
}

/// Bytes that the network takes for each pixel that a tile reads: what is alive at the worst moment, in the finest level of the
/// decoder, plus what the convolutions need for themselves.
pub fn tile_bytes_per_pixel(config: &GuidedUNetConfig, kind: Kind) -> u64 {
    let unet = &config.unet;
    // Values per pixel of one activation of every level.
    let level = |index: usize| {
        let stride = unet.stride(index) as f64;
        unet.block_out_channels
            .get(index)
            .map_or(0.0, |&channels| channels as f64 / (stride * stride))
    };
    let skips: f64 = (0..unet.levels()).map(level).sum();
    // The encoder's skips; a concatenation (2 levels wide), its SiLU (2), hidden activation, its SiLU, shortcut, output.
    let activations = skips + 8.0 * level(0);
    // Noisy and blurry crop, their concatenation, channels-last copy and unshuffled copy, the output and its float32 form.
    let pixels = 30.0;
    ((activations + pixels) * bytes_of(kind)) as u64
}

fn bytes_of(kind: Kind) -> f64 {
    if kind == Kind::BFloat16 { 2.0 } else { 4.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_megapixels_fit_into_the_limit_in_every_mode() {
        let config = GuidedUNetConfig::small();
        let pixels = 4000 * 3000;
        let uncertain = Options {
            uncertainty: true,
            ..Options::mean()
        };
        for options in [
            Options::mean(),
            Options::sample(20),
            Options::average(8, 20),
            uncertain,
        ] {
            for kind in [Kind::Float, Kind::BFloat16] {
                let tile =
                    tile_pixels(CPU_LIMIT, &config, &options, Device::Cpu, kind, pixels) as u64;
                let whole = whole_photo_bytes(&config, &options, Device::Cpu, kind, pixels as u64);
                let all = CPU_BASE + whole + tile * tile_bytes_per_pixel(&config, kind);
                assert!(all <= CPU_LIMIT, "{options:?}, {kind:?}: {all} bytes");
                assert!(
                    tile > 500_000,
                    "{options:?}, {kind:?}: tiles of {tile} pixels are small"
                );
            }
        }
    }

    #[test]
    fn the_lowest_limit_of_a_control_group_counts() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            std::fs::write(path, text).expect("written");
        };
        let limit = |membership| group_limit(root.path(), membership);
        assert_eq!(limit("0::/a/b\n"), None);
        write("a/b/memory.max", "max\n");
        assert_eq!(limit("0::/a/b\n"), None);
        write("a/memory.max", "5000\n");
        assert_eq!(limit("0::/a/b\n"), Some(5000));
        write("memory.max", "4000\n");
        assert_eq!(limit("0::/elsewhere\n"), Some(4000));
        write("memory/c/memory.limit_in_bytes", "300\n");
        assert_eq!(limit("9:cpu:/c\n4:memory:/c\n0::/a\n"), Some(300));
    }

    #[test]
    fn a_users_limit_wins() {
        assert_eq!(limit(Device::Cpu, Some(7)), 7);
        assert!(limit(Device::Cpu, None) <= CPU_LIMIT);
        let tile = |limit| {
            tile_pixels(
                limit,
                &GuidedUNetConfig::small(),
                &Options::mean(),
                Device::Cpu,
                Kind::Float,
                1_000_000,
            )
        };
        assert!(tile(2_000_000_000) > tile(1_000_000_000));
        assert_eq!(tile(0), tile(1), "tiles have a smallest size");
    }
}
