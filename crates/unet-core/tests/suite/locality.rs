//! Invariant 2 of the architecture: the network is local, and says how local.

use tch::{Kind, Tensor};
use unet_core::UNetConfig;
use unet_core::receptive_field::{Interval, level_intervals};

use crate::common::{assert_close, configurations, guidance, levels, network, noise};

/// First and last column of the input with a gradient, for every output column of one period.
fn reached_columns(config: &UNetConfig, seed: u64) -> Vec<(i64, Interval)> {
    let (_store, unet) = network(config, seed);
    let (multiple, radius) = (config.size_multiple(), config.receptive_field());
    let first = (radius / multiple + 2) * multiple;
    let width = 2 * first + multiple;
    let maps = guidance(config, seed, 1, multiple, width);
    (first..first + multiple)
        .map(|column| {
            let input =
                noise(seed, &[1, config.in_channels, multiple, width]).set_requires_grad(true);
            let output = unet.forward(&input, &levels(&[0.5]), &maps).unwrap();
            output.narrow(3, column, 1).sum(Kind::Float).backward();
            let reached: Vec<bool> =
                Vec::try_from(input.grad().ne(0.0).any_dims(&[0i64, 1, 2][..], false)).unwrap();
            let at = |index: Option<usize>| index.unwrap() as i64;
            let first = at(reached.iter().position(|&reached| reached));
            let last = at(reached.iter().rposition(|&reached| reached));
            (column, Interval { first, last })
        })
        .collect()
}

#[test]
fn receptive_field_is_exact() {
    for (name, config) in configurations() {
        let mut farthest = 0;
        for (column, reached) in reached_columns(&config, 3) {
            let predicted = level_intervals(&config, column)[0];
            let predicted = predicted
                .before_convolutions(1)
                .pixels(config.stem.factor());
            assert_eq!(reached, predicted, "{name}, column {column}");
            farthest = farthest
                .max(column - reached.first)
                .max(reached.last - column);
        }
        assert_eq!(farthest, config.receptive_field(), "{name}");
    }
}

#[test]
fn pixels_beyond_the_receptive_field_change_nothing() {
    for (name, config) in configurations() {
        let (_store, unet) = network(&config, 5);
        let _no_grad = tch::no_grad_guard();
        let (multiple, radius) = (config.size_multiple(), config.receptive_field());
        let width = 2 * (radius + 2 * multiple) + 3;
        let (height, column) = (multiple + 1, width / 2);
        let input = noise(5, &[1, config.in_channels, height, width]);
        let other = noise(6, &[1, config.in_channels, height, width]) * 10.0;
        let maps = guidance(&config, 5, 1, height, width);
        let run = |input: &Tensor| {
            let output = unet.forward(input, &levels(&[0.3]), &maps).unwrap();
            output.narrow(3, column, 1)
        };
        let changed = |kept: i64| {
            let mixed = other.copy();
            let part = |tensor: &Tensor| tensor.narrow(3, column - kept, 2 * kept + 1);
            part(&mixed).copy_(&part(&input));
            run(&mixed)
        };
        assert!(
            run(&input).equal(&changed(radius)),
            "{name}: beyond {radius} pixels"
        );
        assert!(
            !run(&input).equal(&changed(radius / 2)),
            "{name}: within {radius} pixels"
        );
    }
}

#[test]
fn tiles_with_a_halo_equal_the_whole() {
    for (name, config) in configurations() {
        let (_store, unet) = network(&config, 8);
        let _no_grad = tch::no_grad_guard();
        let (multiple, radius) = (config.size_multiple(), config.receptive_field());
        let halo = (radius + multiple - 1) / multiple * multiple;
        let (height, width, tile) = (2 * multiple + 1, 2 * halo + 5 * multiple - 1, 2 * multiple);
        let level = levels(&[0.6]);
        let input = noise(8, &[1, config.in_channels, height, width]);
        let maps = guidance(&config, 8, 1, height, width);
        let whole = unet.forward(&input, &level, &maps).unwrap();
        for left in (0..width).step_by(tile as usize) {
            let right = (left + tile).min(width);
            let (first, last) = ((left - halo).max(0), (right + halo).min(width));
            let part = input.narrow(3, first, last - first);
            let padded = (last - first + multiple - 1) / multiple * multiple;
            let part_maps: Vec<Tensor> = maps
                .iter()
                .enumerate()
                .map(|(index, map)| map.narrow(3, first / (2 << index), padded / (2 << index)))
                .collect();
            let output = unet.forward(&part, &level, &part_maps).unwrap();
            assert_close(
                name,
                &output.narrow(3, left - first, right - left),
                &whole.narrow(3, left, right - left),
                1e-5,
            );
        }
    }
}

#[test]
fn a_batch_equals_its_items() {
    for (name, config) in configurations() {
        let (_store, unet) = network(&config, 9);
        let _no_grad = tch::no_grad_guard();
        let (height, width) = (13, 21);
        let input = noise(9, &[3, config.in_channels, height, width]);
        let maps = guidance(&config, 9, 3, height, width);
        let level = levels(&[0.1, 0.9, 0.4]);
        let batch = unet.forward(&input, &level, &maps).unwrap();
        for item in 0..3 {
            let one: Vec<Tensor> = maps.iter().map(|map| map.narrow(0, item, 1)).collect();
            let single = unet
                .forward(&input.narrow(0, item, 1), &level.narrow(0, item, 1), &one)
                .unwrap();
            assert_close(name, &batch.narrow(0, item, 1), &single, 1e-5);
        }
    }
}
