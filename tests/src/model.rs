//! Models of a few thousand weights.

use std::collections::BTreeMap;

use ms_guidance::checkpoint::{Description, Provenance, WeightFormat, to_bytes};
use ms_guidance::{GuidedUNet, GuidedUNetConfig, Target};
use tch::{Device, Kind, Tensor, nn};
use unet_core::UNetConfig;

/// Two levels with guidance at both: a receptive field well below the size of the photos that are cut into tiles.
pub fn config() -> GuidedUNetConfig {
    GuidedUNetConfig {
        unet: UNetConfig {
            block_out_channels: vec![6, 8],
            layers_per_block: vec![1, 1],
            guidance_channels: vec![3, 4],
            ..UNetConfig::tiny()
        },
        ..GuidedUNetConfig::tiny()
    }
}

/// The same without guidance (S = 0).
pub fn unguided() -> GuidedUNetConfig {
    let mut config = config();
    config.unet.guidance_channels.clear();
    config
}

/// Weights of noise, so that every weight matters to the output. The same numbers in every run.
pub fn weights(config: &GuidedUNetConfig) -> BTreeMap<String, Tensor> {
    let mut random = Random(0x5eed);
    parameters(config)
        .into_iter()
        .map(|(name, tensor)| {
            let size = tensor.size();
            let inputs: i64 = size.iter().skip(1).product();
            // Uniform with the variance of the usual initialisation; biases small.
            let width = if size.len() > 1 {
                (3.0 / inputs as f64).sqrt()
            } else {
                0.1
            };
            let values: Vec<f32> = (0..tensor.numel())
                .map(|_| (random.next() * width) as f32)
                .collect();
            (name, Tensor::from_slice(&values).view(size.as_slice()))
        })
        .collect()
}

/// A checkpoint of `config` with these weights.
pub fn checkpoint(config: &GuidedUNetConfig, weights: &BTreeMap<String, Tensor>) -> Vec<u8> {
    let description = Description {
        config: config.clone(),
        provenance: Provenance {
            name: "integration test".into(),
            producer: "integration tests".into(),
            licence: "MIT OR Apache-2.0".into(),
            data: "none".into(),
            ..Provenance::default()
        },
    };
    to_bytes(weights, &description, WeightFormat::Float32).expect("a checkpoint")
}

/// A model whose output depends on everything it is given.
pub fn noisy() -> Vec<u8> {
    checkpoint(&config(), &weights(&config()))
}

/// A model that changes nothing, to the last of 16 bits: its network gives 0, and what it passes on of the noise is 1/sigma_max.
pub fn identity() -> Vec<u8> {
    let config = GuidedUNetConfig {
        sigma_max: 1e6,
        target: Target::Residual { scale: 0.1 },
        ..config()
    };
    let zeros = parameters(&config)
        .into_iter()
        .map(|(name, tensor)| (name, tensor.zeros_like()))
        .collect();
    checkpoint(&config, &zeros)
}

fn parameters(config: &GuidedUNetConfig) -> BTreeMap<String, Tensor> {
    let store = nn::VarStore::new(Device::Cpu);
    let network = GuidedUNet::new(&store.root(), config).expect("a valid configuration");
    drop(network);
    let detached = store.variables().into_iter();
    detached
        .map(|(name, tensor)| (name, tensor.detach().to_kind(Kind::Float)))
        .collect()
}

/// SplitMix64, to [-1, 1).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}
