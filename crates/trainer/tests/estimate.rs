//! What networks cost: counted by PyTorch, and measured.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;

use ms_guidance::GuidedUNetConfig;
use safetensors::SafeTensors;
use trainer::{Estimate, TrainConfig};
use unet_core::UNetConfig;

#[test]
fn operations_are_those_that_pytorch_counts() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/trainer-costs/costs.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let reference = &metadata.metadata().as_ref().unwrap()["reference"];
    let reference: serde_json::Value = serde_json::from_str(reference).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let networks = reference["networks"].as_object().unwrap();
    assert_eq!(networks.len(), 4);
    for (name, network) in networks {
        let mut unet = network["unet"].clone();
        for (key, value) in [
            ("schema_version", 1),
            ("in_channels", 6),
            ("out_channels", 3),
        ] {
            unet[key] = value.into();
        }
        let unet: UNetConfig = serde_json::from_value(unet).unwrap();
        let model = GuidedUNetConfig {
            unet,
            guidance_blocks: network["blocks"].as_u64().unwrap() as usize,
            ..GuidedUNetConfig::tiny()
        };
        let side = network["side"].as_u64().unwrap() as usize;
        let estimate = Estimate::new(&model, side);
        let counted = tensors.tensor(name).unwrap();
        let counted: Vec<i64> = counted
            .data()
            .chunks_exact(8)
            .map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()) as i64)
            .collect();
        let ours = [
            estimate.multiply_adds_per_crop,
            estimate.multiply_adds_guidance,
            estimate.parameters,
        ];
        assert_eq!(ours, *counted, "{name}");
        let per_pixel = estimate.multiply_adds_per_crop / (side * side) as i64;
        assert_eq!(estimate.multiply_adds_per_pixel, per_pixel);
    }
}

/// The peak of a process is what it is measured by, so this test is the only one here that computes steps.
#[cfg(target_os = "linux")]
#[test]
fn memory_and_time_are_those_of_real_steps() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    for kind in 0..3 {
        support::write_photo(&photos.join(format!("{kind}.png")), 320, kind);
    }
    let mut config = TrainConfig {
        batch: 8,
        crop: 128,
        validation_photos: 1,
        steps: 100,
        ..TrainConfig::tiny(vec![photos], folder.path().join("run"))
    };
    config.model = GuidedUNetConfig {
        unet: UNetConfig {
            block_out_channels: vec![16, 24, 32],
            ..UNetConfig::tiny()
        },
        ..GuidedUNetConfig::tiny()
    };
    let found = trainer::dry_run(&config, tch::Device::Cpu).unwrap();
    assert!(!config.out.exists(), "nothing is written");
    assert_eq!((found.photos, found.held_out_photos), (2, 1));
    assert_eq!(found.timed_crops, 8);
    let expected = found.expected_activation_bytes as f64;
    let Some(measured) = found.measured_activation_bytes else {
        eprintln!("skipped: this system does not let a process forget its peak");
        return;
    };
    // A factor of two either way: allocators keep and reuse memory, convolutions want some of their own, and crops in other
    // sizes lie around.
    let ratio = measured as f64 / expected;
    eprintln!("measured {measured}, expected {expected}: {ratio:.2}");
    assert!((0.5..2.0).contains(&ratio), "{measured} {expected}");
    let total = 100.0 * found.seconds_per_step + 10.0 * found.seconds_per_validation;
    assert!(found.seconds_per_step > 0.0 && (found.seconds - total).abs() < 1e-6 * total);
}
