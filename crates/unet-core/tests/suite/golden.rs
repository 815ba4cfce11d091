//! The network agrees with an independent PyTorch model (tests/golden/unet-core).

use std::collections::BTreeMap;
use std::path::PathBuf;

use safetensors::SafeTensors;
use tch::{Device, Kind, Tensor, nn};
use unet_core::layers::noise_level_embedding;
use unet_core::{UNet, UNetConfig};

use crate::common::assert_close;

/// Both sides start from the same float32 numbers; the reference then computes in float64.
const TOLERANCE: f64 = 1e-5;

struct Reference {
    tensors: BTreeMap<String, Tensor>,
    description: serde_json::Value,
}

impl Reference {
    fn read(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/golden/unet-core")
            .join(format!("{name}.safetensors"));
        let bytes = std::fs::read(path).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let description = &metadata.metadata().as_ref().unwrap()["reference"];
        let tensors = SafeTensors::deserialize(&bytes)
            .unwrap()
            .iter()
            .map(|(name, view)| {
                assert_eq!(view.dtype(), safetensors::Dtype::F32);
                let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
                (
                    name.to_owned(),
                    Tensor::from_data_size(view.data(), &shape, Kind::Float),
                )
            })
            .collect();
        Self {
            tensors,
            description: serde_json::from_str(description).unwrap(),
        }
    }

    fn get(&self, name: &str) -> &Tensor {
        self.tensors
            .get(name)
            .unwrap_or_else(|| panic!("the reference has no `{name}`"))
    }

    fn leaf(&self, name: &str) -> Tensor {
        self.get(name).copy().set_requires_grad(true)
    }
}

fn forward_and_gradients(name: &str) {
    tch::set_num_threads(1);
    let reference = Reference::read(name);
    let config: UNetConfig =
        serde_json::from_value(reference.description["config"].clone()).unwrap();
    let store = nn::VarStore::new(Device::Cpu);
    let unet = UNet::new(&store.root(), &config).unwrap();
    let variables: BTreeMap<String, Tensor> = store.variables().into_iter().collect();
    let expected: Vec<&str> = reference
        .tensors
        .keys()
        .filter_map(|key| key.strip_prefix("weight."))
        .collect();
    assert_eq!(
        variables.keys().map(String::as_str).collect::<Vec<_>>(),
        expected
    );
    for (key, variable) in &variables {
        let weight = reference.get(&format!("weight.{key}"));
        assert_eq!(variable.size(), weight.size(), "{key}");
        tch::no_grad(|| variable.shallow_clone().copy_(weight));
    }
    let input = reference.leaf("input");
    let guidance: Vec<Tensor> = (0..config.guidance_channels.len())
        .map(|index| reference.leaf(&format!("guidance.{index}")))
        .collect();
    let output = unet
        .forward(&input, reference.get("noise_level"), &guidance)
        .unwrap();
    assert_close("output", &output, reference.get("output"), TOLERANCE);
    let loss = (&output - reference.get("target"))
        .square()
        .mean(Kind::Float);
    assert_close("loss", &loss, reference.get("loss"), TOLERANCE);
    loss.backward();
    assert_close(
        "input gradient",
        &input.grad(),
        reference.get("input_gradient"),
        TOLERANCE,
    );
    for (index, features) in guidance.iter().enumerate() {
        let key = format!("guidance_gradient.{index}");
        assert_close(&key, &features.grad(), reference.get(&key), TOLERANCE);
    }
    for (key, variable) in &variables {
        let want = reference.get(&format!("gradient.{key}"));
        assert_close(key, &variable.grad(), want, TOLERANCE);
    }
    // Without gradients the network reuses buffers; the values must not change.
    let without = tch::no_grad(|| unet.forward(&input, reference.get("noise_level"), &guidance));
    assert_close(
        "output without gradients",
        &without.unwrap(),
        reference.get("output"),
        TOLERANCE,
    );
}

#[test]
fn space_to_depth_guided() {
    forward_and_gradients("space_to_depth_guided");
}

#[test]
fn guided_at_the_input() {
    forward_and_gradients("guided_at_the_input");
}

#[test]
fn space_to_depth_unguided() {
    forward_and_gradients("space_to_depth_unguided");
}

#[test]
fn full_resolution_guided() {
    forward_and_gradients("full_resolution_guided");
}

#[test]
fn full_resolution_unguided() {
    forward_and_gradients("full_resolution_unguided");
}

#[test]
fn image_smaller_than_the_size_multiple() {
    forward_and_gradients("smaller_than_the_multiple");
}

#[test]
fn noise_level_embedding_is_that_of_diffusers() {
    let reference = Reference::read("noise_level_embedding");
    for channels in [4, 6, 16, 64] {
        let got = noise_level_embedding(reference.get("noise_level"), channels).unwrap();
        assert_eq!(got.kind(), Kind::Float);
        // Values are at most 1: this is one rounding to float32.
        assert_close(
            "closed form",
            &got,
            reference.get(&format!("exact.{channels}")),
            1e-7,
        );
        // diffusers multiplies angles up to 1000 in float32, whose rounding is up to 6e-5.
        assert_close(
            "diffusers",
            &got,
            reference.get(&format!("diffusers.{channels}")),
            1e-4,
        );
    }
}
