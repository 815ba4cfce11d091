//! Any size, any configuration, any precision; clear errors for what does not fit.

use proptest::prelude::*;
use tch::{Kind, Tensor};
use unet_core::padding::{crop_to, mirror, pad_to_multiple, round_up};
use unet_core::{Error, Stem, UNet, UNetConfig};

use crate::common::{assert_close, configurations, guidance, levels, network, noise};

fn run(unet: &UNet, height: i64, width: i64, level: f32) -> Tensor {
    let config = unet.config();
    let input = noise(
        (height * 100 + width) as u64,
        &[1, config.in_channels, height, width],
    );
    let maps = guidance(config, 4, 1, height, width);
    let output = unet.forward(&input, &levels(&[level]), &maps).unwrap();
    assert_eq!(output.size(), [1, config.out_channels, height, width]);
    output
}

#[test]
fn every_size_from_one_pixel_gives_finite_numbers() {
    let _no_grad = tch::no_grad_guard();
    for (name, config) in configurations() {
        let (_store, unet) = network(&config, 11);
        for height in 1..=9 {
            for width in 1..=17 {
                for level in [0.0, 1.0] {
                    let output = run(&unet, height, width, level);
                    let finite = bool::try_from(output.isfinite().all()).unwrap();
                    assert!(finite, "{name}, {height}×{width}, level {level}");
                }
            }
        }
    }
}

fn valid_config() -> impl Strategy<Value = UNetConfig> {
    let stem = prop::sample::select(vec![Stem::FullResolution, Stem::SpaceToDepth]);
    (1usize..=3, stem).prop_flat_map(|(levels, stem)| {
        let scales = levels - usize::from(stem == Stem::FullResolution);
        (
            prop::collection::vec(1i64..5, levels),
            prop::collection::vec(1usize..3, levels),
            1usize..3,
            prop::collection::vec(1i64..4, 0..=scales),
            2i64..5,
        )
            .prop_map(
                move |(widths, layers, mid_layers, guidance_channels, half)| UNetConfig {
                    block_out_channels: widths,
                    layers_per_block: layers,
                    mid_layers,
                    embedding_channels: 2 * half,
                    stem,
                    guidance_channels,
                    ..UNetConfig::tiny()
                },
            )
    })
}

#[test]
fn padding_refuses_what_it_cannot_pad() {
    let image = noise(1, &[1, 2, 5, 5]);
    for multiple in [0, -8, i64::MIN, i64::MAX] {
        let error = pad_to_multiple(&image, multiple).unwrap_err();
        assert!(
            matches!(error, unet_core::Error::Shape { .. }),
            "{multiple}: {error}"
        );
    }
    for shape in [&[][..], &[5], &[5, 5], &[2, 5, 5], &[1, 1, 2, 5, 5]] {
        let error = pad_to_multiple(&noise(1, shape), 4).unwrap_err();
        assert!(
            matches!(error, unet_core::Error::Shape { .. }),
            "{shape:?}: {error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_valid_configuration_runs(config in valid_config(), height in 1i64..12, width in 1i64..12, seed in 0u64..1000) {
        config.validate().unwrap();
        let _no_grad = tch::no_grad_guard();
        let (_store, unet) = network(&config, seed);
        let output = run(&unet, height, width, 0.5);
        prop_assert!(bool::try_from(output.isfinite().all()).unwrap());
    }

    #[test]
    fn padding_mirrors_and_cropping_undoes_it(height in 1i64..12, width in 1i64..12, multiple in 1i64..9) {
        let image = noise(1, &[1, 2, height, width]);
        let padded = pad_to_multiple(&image, multiple).unwrap();
        let (rows, columns) = (round_up(height, multiple), round_up(width, multiple));
        prop_assert_eq!(padded.size(), [1, 2, rows, columns]);
        prop_assert!(rows % multiple == 0 && (0..multiple).contains(&(rows - height)));
        prop_assert!(crop_to(&padded, height, width).unwrap().equal(&image));
        for (row, column) in [(rows - 1, 0), (0, columns - 1), (rows - 1, columns - 1)] {
            // A walk that turns around at both ends.
            let walk = |steps: i64, n: i64| {
                let (mut at, mut direction) = (0, 1);
                for _ in 0..steps {
                    if n == 1 { return 0; }
                    if at + direction < 0 || at + direction >= n { direction = -direction; }
                    at += direction;
                }
                at
            };
            let (y, x) = (walk(row, height), walk(column, width));
            prop_assert_eq!((mirror(row, height), mirror(column, width)), (y, x));
            prop_assert_eq!(padded.double_value(&[0, 1, row, column]), image.double_value(&[0, 1, y, x]));
        }
    }
}

#[test]
fn bfloat16_input_runs_on_float32_weights_and_is_close() {
    for (name, config) in configurations() {
        let (mut store, unet) = network(&config, 12);
        let input = noise(12, &[2, config.in_channels, 13, 10]);
        let maps = guidance(&config, 12, 2, 13, 10);
        let level = levels(&[0.2, 0.9]);
        let half = |tensor: &Tensor| tensor.to_kind(Kind::BFloat16);
        let half_maps: Vec<Tensor> = maps.iter().map(half).collect();
        let exact = unet.forward(&input, &level, &maps).unwrap();
        let mixed = unet.forward(&half(&input), &level, &half_maps).unwrap();
        assert_eq!(mixed.kind(), Kind::BFloat16);
        // Eight significant bits (4e-3) through some ten layers; measured 5e-3 to 1e-2.
        assert_close(name, &mixed, &exact, 5e-2);
        mixed
            .to_kind(Kind::Float)
            .square()
            .mean(Kind::Float)
            .backward();
        for (key, variable) in store.variables() {
            assert_eq!(variable.grad().kind(), Kind::Float, "{name}: {key}");
            assert!(
                bool::try_from(variable.grad().isfinite().all()).unwrap(),
                "{name}: {key}"
            );
        }
        store.set_kind(Kind::BFloat16);
        let converted = tch::no_grad(|| unet.forward(&half(&input), &level, &half_maps)).unwrap();
        assert_close(name, &converted, &exact, 5e-2);
    }
}

#[test]
fn convolution_weights_stay_channels_last() {
    let (mut store, _unet) = network(&UNetConfig::tiny(), 14);
    let check = |store: &tch::nn::VarStore| {
        for (name, variable) in store.variables() {
            assert!(variable.requires_grad() && variable.is_leaf(), "{name}");
            // The order of a 1×1 convolution is the same either way.
            if let [_, input, rows @ 3, columns] = variable.size()[..] {
                let stride = [input * rows * columns, 1, columns * input, input];
                assert_eq!(variable.stride(), stride, "{name}");
            }
        }
    };
    check(&store);
    store.set_kind(Kind::BFloat16);
    check(&store);
}

#[test]
fn a_new_network_predicts_nothing() {
    // The last convolution and those that end residual blocks start at 0.
    let store = tch::nn::VarStore::new(tch::Device::Cpu);
    let unet = UNet::new(&store.root(), &UNetConfig::tiny()).unwrap();
    assert_eq!(run(&unet, 9, 7, 0.5).abs().max().double_value(&[]), 0.0);
}

#[test]
fn what_does_not_fit_is_named() {
    let config = UNetConfig::tiny();
    let (_store, unet) = network(&config, 13);
    let input = noise(1, &[2, 6, 9, 9]);
    let maps = guidance(&config, 1, 2, 9, 9);
    let level = levels(&[0.5, 0.5]);
    let shape = |result: unet_core::Result<Tensor>, expected: &str| match result {
        Err(Error::Shape { what, got, .. }) => {
            assert_eq!(what, expected);
            assert!(!got.is_empty());
        }
        other => panic!("{expected}: {other:?}"),
    };
    shape(
        unet.forward(&noise(1, &[2, 5, 9, 9]), &level, &maps),
        "input",
    );
    shape(unet.forward(&noise(1, &[6, 9, 9]), &level, &maps), "input");
    shape(
        unet.forward(
            &Tensor::zeros([2, 6, 0, 9], (Kind::Float, tch::Device::Cpu)),
            &level,
            &maps,
        ),
        "input",
    );
    shape(unet.forward(&input, &levels(&[0.5]), &maps), "noise_level");
    shape(
        unet.forward(&input, &level, &guidance(&config, 1, 2, 17, 9)),
        "guidance features",
    );
    shape(
        unet.forward(&input, &level, &guidance(&config, 1, 1, 9, 9)),
        "guidance features",
    );
    let missing = unet.forward(&input, &level, &maps[..2]);
    assert!(matches!(
        missing,
        Err(Error::GuidanceScales {
            expected: 3,
            got: 2
        })
    ));
}
