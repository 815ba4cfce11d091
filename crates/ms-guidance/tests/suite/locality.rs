//! Invariant 2 of the architecture: the guided model is local, and says how local.

use diffusion_sched::Denoiser;
use ms_guidance::GuidedUNetConfig;
use tch::{Kind, Tensor};

use crate::common::{assert_close, configurations, image, model, noise};

/// Farthest columns of the blurry and the noisy image that an output depends on, over all output columns of one period.
fn measured_radius(config: &GuidedUNetConfig, seed: u64) -> i64 {
    let (_store, network) = model(config, seed);
    let (multiple, radius) = (config.size_multiple(), config.receptive_field());
    let first = (radius / multiple + 2) * multiple;
    let shape = [1, 3, multiple, 2 * first + multiple];
    let mut farthest = 0;
    for column in first..first + multiple {
        let blurry = image(seed, &shape).set_requires_grad(true);
        let noisy = noise(seed + 1, &shape).set_requires_grad(true);
        let conditioned = network.condition(&blurry, Kind::Float).unwrap();
        let output = conditioned.denoise(&noisy, 1.0).unwrap();
        output.narrow(3, column, 1).sum(Kind::Float).backward();
        for input in [blurry, noisy] {
            let reached: Vec<bool> =
                Vec::try_from(input.grad().ne(0.0).any_dims(&[0i64, 1, 2][..], false)).unwrap();
            let distances = (0..shape[3])
                .filter(|&x| reached[x as usize])
                .map(|x| (x - column).abs());
            farthest = farthest.max(distances.max().unwrap());
        }
    }
    farthest
}

#[test]
fn receptive_field_is_exact() {
    let mut guidance_reaches_further = 0;
    for (name, config) in configurations() {
        assert_eq!(
            measured_radius(&config, 3),
            config.receptive_field(),
            "{name}"
        );
        guidance_reaches_further +=
            i32::from(config.receptive_field() > config.unet.receptive_field());
    }
    assert!(
        guidance_reaches_further >= 2,
        "the guidance path is what is tested"
    );
}

#[test]
fn pixels_beyond_the_receptive_field_change_nothing() {
    for (name, config) in configurations() {
        let (_store, network) = model(&config, 5);
        let _no_grad = tch::no_grad_guard();
        let (multiple, radius) = (config.size_multiple(), config.receptive_field());
        let width = 2 * (radius + 2 * multiple) + 3;
        let (shape, column) = ([1, 3, multiple + 1, width], width / 2);
        let (blurry, noisy) = (image(5, &shape), noise(6, &shape));
        let (other_blurry, other_noisy) = (image(7, &shape) * 5.0, noise(8, &shape) * 10.0);
        let run = |blurry: &Tensor, noisy: &Tensor| {
            let denoised = network
                .condition(blurry, Kind::Float)
                .unwrap()
                .denoise(noisy, 1.0);
            denoised.unwrap().narrow(3, column, 1)
        };
        let mixed = |kept: i64, inner: &Tensor, outer: &Tensor| {
            let mixed = outer.copy();
            let part = |tensor: &Tensor| tensor.narrow(3, column - kept, 2 * kept + 1);
            part(&mixed).copy_(&part(inner));
            mixed
        };
        let changed = |kept: i64| {
            run(
                &mixed(kept, &blurry, &other_blurry),
                &mixed(kept, &noisy, &other_noisy),
            )
        };
        let whole = run(&blurry, &noisy);
        assert!(
            whole.equal(&changed(radius)),
            "{name}: beyond {radius} pixels"
        );
        assert!(
            !whole.equal(&changed(radius / 2)),
            "{name}: within {radius} pixels"
        );
    }
}

#[test]
fn tiles_with_a_halo_equal_the_whole() {
    for (name, config) in configurations() {
        let (_store, network) = model(&config, 8);
        let _no_grad = tch::no_grad_guard();
        let (multiple, radius) = (config.size_multiple(), config.receptive_field());
        let halo = (radius + multiple - 1) / multiple * multiple;
        let (height, width, tile) = (2 * multiple + 1, 2 * halo + 5 * multiple - 1, 2 * multiple);
        let (blurry, noisy) = (
            image(8, &[1, 3, height, width]),
            noise(9, &[1, 3, height, width]),
        );
        let conditioned = network.condition(&blurry, Kind::Float).unwrap();
        let whole = conditioned.denoise(&noisy, 0.8).unwrap();
        for left in (0..width).step_by(tile as usize) {
            let right = (left + tile).min(width);
            let (first, last) = ((left - halo).max(0), (right + halo).min(width));
            let part = |tensor: &Tensor| tensor.narrow(3, first, last - first);
            let want = whole.narrow(3, left, right - left);
            // Features of the tile alone, and the tile's share of the features of the whole image.
            let alone = network.condition(&part(&blurry), Kind::Float).unwrap();
            let output = alone.denoise(&part(&noisy), 0.8).unwrap();
            assert_close(
                name,
                &output.narrow(3, left - first, right - left),
                &want,
                1e-5,
            );
            let up = |n: i64| (n + multiple - 1) / multiple * multiple;
            let features = conditioned
                .features()
                .crop(0, first, up(height), up(last - first))
                .unwrap();
            let output = network
                .denoise(&part(&noisy), 0.8, &part(&blurry), &features)
                .unwrap();
            assert_close(
                name,
                &output.narrow(3, left - first, right - left),
                &want,
                1e-5,
            );
        }
    }
}
