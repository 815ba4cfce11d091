//! A small model whose output depends on everything that it reads, and photos to feed it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use deblur::{CheckpointSource, DeviceChoice, Options, Precision, Progress, Restoration, Restorer};
use ms_guidance::checkpoint::{Description, Provenance, WeightFormat, save};
use ms_guidance::{GuidedUNet, GuidedUNetConfig};
use ndarray::Array3;
use tch::{Device, Kind, Tensor, nn};

/// Numbers in [-1, 1] that look random and are the same everywhere (splitmix64).
pub(crate) fn noise(length: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0..length)
        .map(|_| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut bits = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((bits >> 40) as f32 / (1 << 23) as f32) - 1.0
        })
        .collect()
}

/// Writes a checkpoint of the tiny model with random weights everywhere, also where a fresh model has zeros, after `change` had a look at
/// them.
pub(crate) fn checkpoint(
    folder: &Path,
    change: impl Fn(&mut BTreeMap<String, Tensor>),
) -> CheckpointSource {
    checkpoint_of(GuidedUNetConfig::tiny(), folder, change)
}

/// As [`checkpoint`], of another model.
pub(crate) fn checkpoint_of(
    config: GuidedUNetConfig,
    folder: &Path,
    change: impl Fn(&mut BTreeMap<String, Tensor>),
) -> CheckpointSource {
    let store = nn::VarStore::new(Device::Cpu);
    GuidedUNet::new(&store.root(), &config).expect("a model");
    let mut tensors: BTreeMap<String, Tensor> = store.variables().into_iter().collect();
    for (index, tensor) in tensors.values_mut().enumerate() {
        let size = tensor.size();
        let fan_in: i64 = size.iter().skip(1).product();
        let scale = if size.len() > 1 {
            1.5 / (fan_in as f64).sqrt()
        } else {
            0.1
        };
        *tensor = Tensor::from_slice(&noise(tensor.numel(), index as u64))
            .view(&size[..])
            .to_kind(Kind::Float)
            * scale;
    }
    change(&mut tensors);
    let path = folder.join("model.safetensors");
    let description = Description {
        config,
        provenance: Provenance::default(),
    };
    save(&path, &tensors, &description, WeightFormat::Float32).expect("written");
    CheckpointSource::File(path)
}

/// A photo with structure at all scales.
pub(crate) fn photo(height: usize, width: usize) -> Array3<f32> {
    let noise = noise(3 * height * width, 99);
    Array3::from_shape_fn((3, height, width), |(c, y, x)| {
        let (fine, wave) = (
            noise[(c * height + y) * width + x],
            ((x * (c + 2) + 3 * y) as f32 / 17.0).sin(),
        );
        0.5 + 0.25 * wave + 0.1 * fine
    })
}

/// On the CPU in float32, whatever the machine.
pub(crate) fn exact(options: Options) -> Options {
    Options {
        device: DeviceChoice::Cpu,
        precision: Precision::Float32,
        ..options
    }
}

pub(crate) fn restore(
    checkpoint: &CheckpointSource,
    options: Options,
    photo: &Array3<f32>,
) -> Restoration {
    let restorer = Restorer::new(checkpoint, options).expect("a restorer");
    restorer
        .restore(photo.view(), &mut unattended)
        .expect("a restoration")
}

pub(crate) fn unattended(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

pub(crate) fn largest_difference<'a>(
    a: impl IntoIterator<Item = &'a f32>,
    b: impl IntoIterator<Item = &'a f32>,
) -> f32 {
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    let mut largest = 0.0_f32;
    loop {
        match (a.next(), b.next()) {
            (Some(a), Some(b)) => largest = largest.max((a - b).abs()),
            (None, None) => return largest,
            _ => panic!("different lengths"),
        }
    }
}
