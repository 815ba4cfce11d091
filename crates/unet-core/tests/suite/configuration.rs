//! What a configuration promises: parameter names, all problems at once, the same description after JSON.

use proptest::prelude::*;
use tch::{Device, nn};
use unet_core::{Error, Stem, UNet, UNetConfig};

use crate::common::network;

#[test]
fn parameter_names_are_these() {
    let config = UNetConfig {
        block_out_channels: vec![2, 4],
        layers_per_block: vec![2, 1],
        embedding_channels: 4,
        guidance_channels: vec![3],
        ..UNetConfig::tiny()
    };
    let (store, _unet) = network(&config, 1);
    let mut names: Vec<String> = store.variables().into_keys().collect();
    names.sort_unstable();
    let layers = [
        "conv_in",
        "conv_out",
        "down_blocks.0.downsamplers.0.conv",
        "down_blocks.0.resnets.0.conv1",
        "down_blocks.0.resnets.0.conv2",
        "down_blocks.0.resnets.0.guidance_proj",
        "down_blocks.0.resnets.0.time_emb_proj",
        "down_blocks.0.resnets.1.conv1",
        "down_blocks.0.resnets.1.conv2",
        "down_blocks.0.resnets.1.guidance_proj",
        "down_blocks.0.resnets.1.time_emb_proj",
        "down_blocks.1.resnets.0.conv1",
        "down_blocks.1.resnets.0.conv2",
        "down_blocks.1.resnets.0.conv_shortcut",
        "down_blocks.1.resnets.0.time_emb_proj",
        "mid_block.resnets.0.conv1",
        "mid_block.resnets.0.conv2",
        "mid_block.resnets.0.time_emb_proj",
        "time_embedding.linear_1",
        "time_embedding.linear_2",
        "up_blocks.0.resnets.0.conv1",
        "up_blocks.0.resnets.0.conv2",
        "up_blocks.0.resnets.0.conv_shortcut",
        "up_blocks.0.resnets.0.time_emb_proj",
        "up_blocks.0.upsamplers.0.conv",
        "up_blocks.1.resnets.0.conv1",
        "up_blocks.1.resnets.0.conv2",
        "up_blocks.1.resnets.0.conv_shortcut",
        "up_blocks.1.resnets.0.time_emb_proj",
        "up_blocks.1.resnets.1.conv1",
        "up_blocks.1.resnets.1.conv2",
        "up_blocks.1.resnets.1.time_emb_proj",
    ];
    let expected: Vec<String> = layers
        .iter()
        .flat_map(|layer| [format!("{layer}.bias"), format!("{layer}.weight")])
        .collect();
    assert_eq!(names, expected);
}

#[test]
fn every_problem_is_reported_at_once() {
    let config = UNetConfig {
        schema_version: 9,
        in_channels: 0,
        block_out_channels: vec![8, -1],
        layers_per_block: vec![1, 0, 2],
        mid_layers: 99,
        embedding_channels: 7,
        guidance_channels: vec![4, 4, 5000],
        ..UNetConfig::tiny()
    };
    let Err(Error::InvalidConfig { problems }) = config.validate() else {
        panic!("the configuration must be refused");
    };
    for part in [
        "schema_version is 9",
        "in_channels is 0",
        "a level has -1 channels",
        "layers_per_block has 3 entries",
        "a level has 0 blocks",
        "a level has 99 blocks",
        "embedding_channels is 7",
        "guidance scale 3",
        "5000 channels",
    ] {
        assert_eq!(
            problems
                .iter()
                .filter(|problem| problem.contains(part))
                .count(),
            1,
            "{part}"
        );
    }
    assert_eq!(problems.len(), 9, "{problems:?}");
    let store = nn::VarStore::new(Device::Cpu);
    assert!(matches!(
        UNet::new(&store.root(), &config),
        Err(Error::InvalidConfig { .. })
    ));
    assert!(
        store.is_empty(),
        "nothing is allocated for a configuration that is refused"
    );
}

#[test]
fn unknown_fields_are_refused() {
    let mut json = serde_json::to_value(UNetConfig::tiny()).unwrap();
    assert_eq!(
        serde_json::from_value::<UNetConfig>(json.clone()).unwrap(),
        UNetConfig::tiny()
    );
    json["attention_heads"] = 8.into();
    assert!(serde_json::from_value::<UNetConfig>(json).is_err());
}

fn any_config() -> impl Strategy<Value = UNetConfig> {
    (
        prop::collection::vec(-2i64..6, 0..12),
        prop::collection::vec(0usize..4, 0..12),
        0usize..3,
        prop::sample::select(vec![-4i64, 0, 2, 4, 5, 8, 1 << 40]),
        prop::sample::select(vec![Stem::FullResolution, Stem::SpaceToDepth]),
        prop::collection::vec(0i64..4, 0..80),
    )
        .prop_map(
            |(widths, layers, mid_layers, embedding_channels, stem, guidance_channels)| {
                UNetConfig {
                    block_out_channels: widths,
                    layers_per_block: layers,
                    mid_layers,
                    embedding_channels,
                    stem,
                    guidance_channels,
                    ..UNetConfig::tiny()
                }
            },
        )
}

proptest! {
    #[test]
    fn no_configuration_panics(config in any_config()) {
        let json = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(&serde_json::from_str::<UNetConfig>(&json).unwrap(), &config);
        if let Err(Error::InvalidConfig { problems }) = config.validate() {
            prop_assert!(!problems.is_empty());
        }
        prop_assert!(config.size_multiple() >= 1);
        for level in 0..config.levels() {
            prop_assert_eq!(
                config.guidance_at(level),
                config.scale_at(level).map(|scale| config.guidance_channels[scale - 1])
            );
        }
    }
}

#[test]
fn a_hundred_levels_are_refused_without_overflow() {
    let config = UNetConfig {
        block_out_channels: vec![1; 100],
        layers_per_block: vec![1; 100],
        guidance_channels: vec![1; 100],
        ..UNetConfig::tiny()
    };
    assert!(matches!(
        config.validate(),
        Err(Error::InvalidConfig { .. })
    ));
}
