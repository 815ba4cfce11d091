//! Models with weights that matter, images without a random generator, and comparisons.

use std::collections::BTreeMap;

use ms_guidance::checkpoint::{Description, Parent, Provenance};
use ms_guidance::{GuidanceInput, GuidedUNet, GuidedUNetConfig, Target};
use tch::{Device, Kind, Tensor, nn};
use unet_core::{GuidanceEntry, Stem, UNetConfig};

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

/// An image in [-1, 1].
pub(crate) fn image(seed: u64, shape: &[i64]) -> Tensor {
    (noise(seed, shape) * 0.7).tanh()
}

/// A model whose weights are all random, also those that training starts at 0.
pub(crate) fn model(config: &GuidedUNetConfig, seed: u64) -> (nn::VarStore, GuidedUNet) {
    tch::set_num_threads(1);
    let store = nn::VarStore::new(Device::Cpu);
    let network = GuidedUNet::new(&store.root(), config).unwrap();
    for (index, (_, variable)) in parameters(&store).iter_mut().enumerate() {
        let size = variable.size();
        let gain = if size.len() == 1 {
            0.1
        } else {
            (size[1..].iter().product::<i64>() as f64).powf(-0.5)
        };
        let value = noise(seed * 1000 + index as u64, &size) * gain;
        tch::no_grad(|| variable.copy_(&value));
    }
    (store, network)
}

/// The parameters by name.
pub(crate) fn parameters(store: &nn::VarStore) -> BTreeMap<String, Tensor> {
    store.variables().into_iter().collect()
}

/// A description with something in every field.
pub(crate) fn description(config: &GuidedUNetConfig) -> Description {
    Description {
        config: config.clone(),
        provenance: Provenance {
            name: "test".into(),
            producer: "tests 1.0".into(),
            licence: "MIT OR Apache-2.0".into(),
            data: "none, “random” weights".into(),
            data_sha256: "00ff".into(),
            steps: 3,
            total_images: 48,
            seed: u64::MAX,
            training: serde_json::json!({ "learning_rate": 2e-4, "crops": [64, 96] }),
            metrics: [("psnr".into(), 31.25), ("ssim".into(), 0.1 + 0.2)].into(),
            parent: Some(Parent {
                name: "earlier".into(),
                sha256: "ab".repeat(32),
            }),
        },
    }
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

/// A model of a few thousand parameters with two guidance scales.
pub(crate) fn small() -> GuidedUNetConfig {
    GuidedUNetConfig {
        unet: UNetConfig {
            block_out_channels: vec![4, 5],
            layers_per_block: vec![1, 1],
            embedding_channels: 8,
            guidance_channels: vec![2, 3],
            ..UNetConfig::tiny()
        },
        ..GuidedUNetConfig::tiny()
    }
}

/// Configurations that differ in everything that changes a model's structure, with sizes that keep tests short.
pub(crate) fn configurations() -> Vec<(&'static str, GuidedUNetConfig)> {
    let base = small();
    let with = |unet: UNetConfig| GuidedUNetConfig { unet, ..small() };
    vec![
        ("two scales, space to depth", base.clone()),
        (
            "unguided",
            with(UNetConfig {
                guidance_channels: vec![],
                ..base.unet.clone()
            }),
        ),
        (
            "deep guidance at the finest scale only",
            GuidedUNetConfig {
                guidance_blocks: 5,
                target: Target::Image,
                ..with(UNetConfig {
                    guidance_channels: vec![3],
                    ..base.unet.clone()
                })
            },
        ),
        (
            "guidance in colour",
            GuidedUNetConfig {
                guidance_input: GuidanceInput::Color,
                ..small()
            },
        ),
        (
            "guidance at the input",
            with(UNetConfig {
                guidance_entry: GuidanceEntry::Input,
                ..base.unet.clone()
            }),
        ),
        (
            "guidance of three scales in colour at the input, full resolution",
            GuidedUNetConfig {
                guidance_input: GuidanceInput::Color,
                ..with(UNetConfig {
                    stem: Stem::FullResolution,
                    block_out_channels: vec![3, 4, 5, 4],
                    layers_per_block: vec![1, 1, 1, 1],
                    guidance_channels: vec![2, 2, 3],
                    guidance_entry: GuidanceEntry::Input,
                    ..base.unet.clone()
                })
            },
        ),
        (
            "full resolution, three levels, two scales",
            with(UNetConfig {
                stem: Stem::FullResolution,
                block_out_channels: vec![3, 4, 5],
                layers_per_block: vec![1, 2, 1],
                ..base.unet.clone()
            }),
        ),
        (
            "three scales, shallow middle",
            GuidedUNetConfig {
                guidance_blocks: 3,
                ..with(UNetConfig {
                    block_out_channels: vec![3, 4, 5],
                    layers_per_block: vec![1, 1, 1],
                    guidance_channels: vec![2, 2, 3],
                    ..base.unet.clone()
                })
            },
        ),
    ]
}
