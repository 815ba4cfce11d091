//! What a model description promises: sizes, parameter names and counts, the matched control.

use ms_guidance::{Error, GuidedUNet, GuidedUNetConfig, Target};
use proptest::prelude::*;
use unet_core::{Stem, UNetConfig};

use crate::common::{configurations, model, parameters, small};

fn stored_parameters(config: &GuidedUNetConfig) -> i64 {
    let (store, _network) = model(config, 1);
    parameters(&store)
        .values()
        .map(|variable| variable.numel() as i64)
        .sum()
}

#[test]
fn guidance_parameter_names_are_these() {
    let config = GuidedUNetConfig {
        guidance_blocks: 2,
        ..small()
    };
    let (store, _network) = model(&config, 1);
    let names = parameters(&store);
    assert!(
        names.keys().all(|name| !name.contains("__")),
        "a name was registered twice"
    );
    let guidance: Vec<&str> = names
        .keys()
        .filter_map(|name| name.strip_prefix("guidance."))
        .collect();
    let layers = [
        "blocks.0.conv1",
        "blocks.0.conv2",
        "blocks.1.conv1",
        "blocks.1.conv2",
        "conv_in",
        "conv_out",
    ];
    let expected: Vec<String> = (0..2)
        .flat_map(|scale| {
            layers.iter().flat_map(move |layer| {
                [
                    format!("{scale}.{layer}.bias"),
                    format!("{scale}.{layer}.weight"),
                ]
            })
        })
        .collect();
    assert_eq!(guidance, expected);
    assert!(
        names
            .keys()
            .all(|name| name.starts_with("guidance.") || name.starts_with("unet."))
    );
}

#[test]
fn parameter_count_is_what_is_stored() {
    for (name, config) in configurations() {
        assert_eq!(
            config.parameter_count(),
            stored_parameters(&config),
            "{name}"
        );
    }
    for config in [GuidedUNetConfig::tiny(), GuidedUNetConfig::small()] {
        assert_eq!(config.parameter_count(), stored_parameters(&config));
    }
}

#[test]
fn the_unguided_control_has_the_same_size() {
    let guided = configurations().into_iter().map(|(_, config)| config);
    for config in guided.chain([GuidedUNetConfig::tiny(), GuidedUNetConfig::small()]) {
        let control = config.unguided_control();
        control.validate().unwrap();
        assert_eq!(control.scales(), 0);
        let same = GuidedUNetConfig {
            unet: UNetConfig {
                block_out_channels: config.unet.block_out_channels.clone(),
                guidance_channels: config.unet.guidance_channels.clone(),
                ..control.unet.clone()
            },
            ..control.clone()
        };
        assert_eq!(same, config, "only widths and guidance differ");
        let difference = |control: &GuidedUNetConfig| {
            (control.parameter_count() as f64 / config.parameter_count() as f64 - 1.0).abs()
        };
        // In a network of five channels one channel more is 10 %; then the control is the nearest there is.
        if config.parameter_count() > 10_000 {
            assert!(difference(&control) <= 0.05, "{:.3}", difference(&control));
        }
        for level in 0..control.unet.levels() {
            for change in [-1, 1] {
                let mut other = control.clone();
                other.unet.block_out_channels[level] += change;
                let narrower =
                    other.unet.block_out_channels[level] < config.unet.block_out_channels[level];
                let near = difference(&control) <= 0.01;
                assert!(near || narrower || difference(&other) >= difference(&control));
            }
        }
        if config.scales() == 0 {
            assert_eq!(control, config);
        }
    }
}

#[test]
fn every_problem_is_reported_at_once() {
    let config = GuidedUNetConfig {
        schema_version: 7,
        unet: UNetConfig {
            in_channels: 3,
            mid_layers: 0,
            ..UNetConfig::tiny()
        },
        guidance_blocks: 0,
        target: Target::Residual { scale: -0.5 },
        sigma_max: 1.0,
        sigma_min: f64::NAN,
        ..GuidedUNetConfig::tiny()
    };
    let Err(Error::InvalidConfig { problems }) = config.validate() else {
        panic!("the configuration must be refused");
    };
    for part in [
        "a level has 0 blocks",
        "schema_version is 7",
        "not 3 and 3",
        "guidance_blocks is 0",
        "residual scale is -0.5",
        "0 < sigma_min < sigma_max",
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
    assert_eq!(problems.len(), 6, "{problems:?}");
    for (sigma_min, sigma_max) in [(0.0, 1.0), (1.0, 1.0), (0.1, f64::INFINITY), (-1.0, 1.0)] {
        let config = GuidedUNetConfig {
            sigma_min,
            sigma_max,
            ..GuidedUNetConfig::tiny()
        };
        assert!(config.validate().is_err(), "{sigma_min}..{sigma_max}");
    }
}

#[test]
fn unknown_fields_are_refused_at_every_depth() {
    let config = GuidedUNetConfig::small();
    let json = serde_json::to_value(&config).unwrap();
    assert_eq!(
        serde_json::from_value::<GuidedUNetConfig>(json.clone()).unwrap(),
        config
    );
    for path in ["/extra", "/unet/extra", "/target/residual/extra"] {
        let mut json = json.clone();
        let (parent, field) = path.rsplit_once('/').unwrap();
        json.pointer_mut(parent).unwrap()[field] = 1.into();
        assert!(
            serde_json::from_value::<GuidedUNetConfig>(json).is_err(),
            "{path}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn counts_hold_for_any_sizes(
        widths in prop::collection::vec(1i64..7, 3),
        layers in prop::collection::vec(1usize..3, 3),
        guidance in prop::collection::vec(1i64..5, 0..=2),
        guidance_blocks in 1usize..4,
        mid_layers in 1usize..3,
        full in any::<bool>(),
    ) {
        let stem = if full { Stem::FullResolution } else { Stem::SpaceToDepth };
        let unet = UNetConfig {
            block_out_channels: widths,
            layers_per_block: layers,
            guidance_channels: guidance,
            mid_layers,
            embedding_channels: 6,
            stem,
            ..UNetConfig::tiny()
        };
        let config = GuidedUNetConfig { unet, guidance_blocks, ..GuidedUNetConfig::tiny() };
        config.validate().unwrap();
        prop_assert_eq!(config.parameter_count(), stored_parameters(&config));
        prop_assert!(config.receptive_field() >= config.unet.receptive_field());
    }
}

#[test]
fn networks_that_are_built_at_the_same_time_have_the_weights_of_their_seeds() {
    let weights = |seed: i64| {
        let store = tch::nn::VarStore::new(tch::Device::Cpu);
        GuidedUNet::seeded(&store.root(), &small(), seed).unwrap();
        parameters(&store)
            .into_iter()
            .map(|(name, tensor)| (name, Vec::<f32>::try_from(tensor.reshape(-1)).unwrap()))
            .collect::<Vec<_>>()
    };
    let alone = [1, 2].map(weights);
    assert_ne!(alone[0], alone[1]);
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let alone = &alone;
            let weights = &weights;
            scope.spawn(move || {
                for turn in 0..10 {
                    let which = (thread + turn) % 2;
                    assert_eq!(weights(which as i64 + 1), alone[which]);
                }
            });
        }
    });
}
