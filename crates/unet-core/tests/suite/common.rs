//! Networks with weights that matter, images without a random generator, and comparisons.

use tch::{Device, Kind, Tensor, nn};
use unet_core::padding::round_up;
use unet_core::{GuidanceEntry, Stem, UNet, UNetConfig};

/// Numbers of mean 0 and variance 1 that depend on `seed` alone (splitmix64).
pub(crate) fn noise(seed: u64, shape: &[i64]) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let count: i64 = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            (((z >> 40) as f32 / (1u64 << 24) as f32) - 0.5) * 12f32.sqrt()
        })
        .collect();
    Tensor::from_slice(&values).reshape(shape)
}

/// A network whose weights are all random, also those that training starts at 0.
pub(crate) fn network(config: &UNetConfig, seed: u64) -> (nn::VarStore, UNet) {
    tch::set_num_threads(1);
    let store = nn::VarStore::new(Device::Cpu);
    let unet = UNet::new(&store.root(), config).unwrap();
    let mut variables: Vec<_> = store.variables().into_iter().collect();
    variables.sort_by(|a, b| a.0.cmp(&b.0));
    for (index, (_, variable)) in variables.iter_mut().enumerate() {
        let size = variable.size();
        let gain = if size.len() == 1 {
            0.1
        } else {
            (size[1..].iter().product::<i64>() as f64).powf(-0.5)
        };
        let value = noise(seed * 1000 + index as u64, &size) * gain;
        tch::no_grad(|| variable.copy_(&value));
    }
    (store, unet)
}

/// Guidance features that fit an image of `height` × `width`.
pub(crate) fn guidance(
    config: &UNetConfig,
    seed: u64,
    batch: i64,
    height: i64,
    width: i64,
) -> Vec<Tensor> {
    let multiple = config.size_multiple();
    config
        .guidance_channels
        .iter()
        .enumerate()
        .map(|(index, &channels)| {
            let stride = 2 << index;
            let (rows, columns) = (round_up(height, multiple), round_up(width, multiple));
            noise(
                seed + 77 + index as u64,
                &[batch, channels, rows / stride, columns / stride],
            )
        })
        .collect()
}

pub(crate) fn levels(values: &[f32]) -> Tensor {
    Tensor::from_slice(values)
}

/// max |got − want| / max |want|, in float64.
pub(crate) fn relative_error(got: &Tensor, want: &Tensor) -> f64 {
    assert_eq!(got.size(), want.size());
    let (got, want) = (got.to_kind(Kind::Double), want.to_kind(Kind::Double));
    let scale = want.abs().max().double_value(&[]);
    let error = (&got - &want).abs().max().double_value(&[]);
    if error == 0.0 { 0.0 } else { error / scale }
}

#[track_caller]
pub(crate) fn assert_close(what: &str, got: &Tensor, want: &Tensor, tolerance: f64) {
    let error = relative_error(got, want);
    assert!(
        error <= tolerance,
        "{what}: relative error {error:.2e} > {tolerance:.0e}"
    );
}

/// Configurations that differ in everything that changes a network's structure, with sizes that keep tests short.
pub(crate) fn configurations() -> Vec<(&'static str, UNetConfig)> {
    let base = UNetConfig {
        block_out_channels: vec![4, 6, 5],
        embedding_channels: 8,
        guidance_channels: vec![2, 3, 4],
        ..UNetConfig::tiny()
    };
    vec![
        ("three levels, space to depth, three scales", base.clone()),
        (
            "unguided",
            UNetConfig {
                guidance_channels: vec![],
                layers_per_block: vec![1, 2, 1],
                ..base.clone()
            },
        ),
        (
            "full resolution, two scales",
            UNetConfig {
                stem: Stem::FullResolution,
                guidance_channels: vec![2, 3],
                layers_per_block: vec![2, 1, 1],
                ..base.clone()
            },
        ),
        (
            "guidance at the input",
            UNetConfig {
                guidance_entry: GuidanceEntry::Input,
                ..base.clone()
            },
        ),
        (
            "full resolution, guidance of two scales at the input",
            UNetConfig {
                stem: Stem::FullResolution,
                guidance_channels: vec![2, 3],
                guidance_entry: GuidanceEntry::Input,
                ..base.clone()
            },
        ),
        (
            "one level, full resolution",
            UNetConfig {
                stem: Stem::FullResolution,
                block_out_channels: vec![3],
                layers_per_block: vec![1],
                guidance_channels: vec![],
                mid_layers: 2,
                ..base.clone()
            },
        ),
        (
            "one level, space to depth, one scale",
            UNetConfig {
                block_out_channels: vec![3],
                layers_per_block: vec![2],
                guidance_channels: vec![2],
                ..base
            },
        ),
    ]
}
