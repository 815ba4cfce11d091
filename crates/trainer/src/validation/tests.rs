//! What validation reports, computed again with loops over pixels.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use diffusion_sched::{CounterNoise, Denoiser, INITIAL_STEP, NoiseSource};
use ms_guidance::GuidedUNetConfig;
use tch::nn;

use super::*;
use crate::loader::Batch;

/// Not a multiple of the size multiple, so that there is padding.
const SIDE: usize = 37;

/// A pair of patterns that blur mixes; `kind` tells them apart.
fn pair(kind: usize) -> Pair {
    let sharp = Array3::from_shape_fn((3, SIDE, SIDE), |(channel, y, x)| {
        let checker = |size: usize| ((y + kind * 3) / size + x / size + channel) % 2;
        0.08 + 0.21 * (checker(2) + checker(5) + checker(11)) as f32 + 0.001 * y as f32
    });
    let blurry = Array3::from_shape_fn((3, SIDE, SIDE), |(channel, y, x)| {
        let around = |y: usize, x: usize| sharp[(channel, y.min(SIDE - 1), x.min(SIDE - 1))];
        (around(y, x) + around(y, x + 1) + around(y + 1, x) + around(y + 2, x)) / 4.0
    });
    Pair { sharp, blurry }
}

fn validation() -> Validation {
    let sets = vec![
        ("few".to_owned(), vec![pair(0), pair(1)]),
        ("more".to_owned(), (2..5).map(pair).collect()),
    ];
    Validation::of(sets, 9)
}

/// The smallest network, with weights that do something.
fn model(store: &nn::VarStore) -> GuidedUNet {
    let model = GuidedUNet::seeded(&store.root(), &GuidedUNetConfig::tiny(), 4).unwrap();
    let _no_grad = tch::no_grad_guard();
    // By name: the order of the store changes from run to run.
    let variables: BTreeMap<String, Tensor> = store.variables().into_iter().collect();
    for (index, mut weight) in variables.into_values().enumerate() {
        let ramp = Tensor::arange(weight.numel() as i64, (Kind::Float, Device::Cpu));
        let ramp = (ramp + index as f64).sin() * 0.1;
        let _ = weight.g_add_(&ramp.reshape(weight.size()));
    }
    model
}

/// Values as bytes have them.
fn bytes(image: &Array3<f32>) -> Vec<f64> {
    let byte = |value: &f32| (f64::from(value.clamp(0.0, 1.0)) * 255.0).round();
    image.iter().map(byte).collect()
}

fn psnr_of(image: &Array3<f32>, sharp: &Array3<f32>) -> f64 {
    let (image, sharp) = (bytes(image), bytes(sharp));
    let squares = image.iter().zip(&sharp).map(|(a, b)| (a - b) * (a - b));
    let mean = squares.sum::<f64>() / image.len() as f64;
    20.0 * 255f64.log10() - 10.0 * mean.log10()
}

/// By the definition of Wang et al. 2004: a window of 11 × 11 at every place, moments around their means.
fn ssim_of(image: &Array3<f32>, sharp: &Array3<f32>) -> f64 {
    let (image, sharp) = (bytes(image), bytes(sharp));
    let gauss = |i: usize| (-((i as f64 - 5.0) / 1.5).powi(2) / 2.0).exp();
    let total: f64 = (0..11).map(gauss).sum();
    let weight = |y: usize, x: usize| gauss(y) * gauss(x) / (total * total);
    let (c1, c2) = (2.55f64.powi(2), 7.65f64.powi(2));
    let (mut sum, mut count) = (0.0, 0);
    for channel in 0..3 {
        for (top, left) in (0..SIDE - 10).flat_map(|y| (0..SIDE - 10).map(move |x| (y, x))) {
            let window = |image: &[f64], pick: &dyn Fn(f64, usize, usize) -> f64| -> f64 {
                (0..121)
                    .map(|i| {
                        let (y, x) = (i / 11, i % 11);
                        let at = (channel * SIDE + top + y) * SIDE + left + x;
                        weight(y, x) * pick(image[at], at, 0)
                    })
                    .sum()
            };
            let a = window(&image, &|value, _, _| value);
            let b = window(&sharp, &|value, _, _| value);
            let variance_a = window(&image, &|value, _, _| (value - a).powi(2));
            let variance_b = window(&sharp, &|value, _, _| (value - b).powi(2));
            let covariance = window(&image, &|value, at, _| (value - a) * (sharp[at] - b));
            sum += (2.0 * a * b + c1) * (2.0 * covariance + c2)
                / ((a * a + b * b + c1) * (variance_a + variance_b + c2));
            count += 1;
        }
    }
    sum / f64::from(count)
}

/// BT.601 luma in [0, 1], averaged over squares that lie wholly inside.
fn structure(image: &Array3<f32>, factor: usize) -> Vec<f64> {
    let luma = |y: usize, x: usize| -> f64 {
        let weights = [0.299, 0.587, 0.114];
        (0..3)
            .map(|c| weights[c] * f64::from(image[(c, y, x)]))
            .sum()
    };
    let side = SIDE / factor;
    (0..side * side)
        .map(|place| {
            let (top, left) = (place / side * factor, place % side * factor);
            let square = (0..factor * factor).map(|i| luma(top + i / factor, left + i % factor));
            square.sum::<f64>() / (factor * factor) as f64
        })
        .collect()
}

#[test]
fn numbers_are_those_of_the_definitions() {
    let validation = validation();
    let store = nn::VarStore::new(Device::Cpu);
    let model = model(&store);
    let report = validation.run(&model, Device::Cpu).unwrap();
    assert_eq!(report.keys().collect::<Vec<_>>(), ["all", "few", "more"]);
    let _no_grad = tch::no_grad_guard();
    let mut expected = [0.0; 4];
    let pairs: Vec<Pair> = (0..5).map(pair).collect();
    for (index, pair) in pairs.iter().enumerate() {
        let seed = match index {
            0 | 1 => validation.noise_seed(0, index),
            _ => validation.noise_seed(1, index - 2),
        };
        let batch = Batch::new(&[pair]).unwrap();
        let conditioned = model.condition(&batch.blurry, Kind::Float).unwrap();
        let sigma = model.config().sigma_max;
        let mut noise = CounterNoise::new(seed, [0], Device::Cpu);
        let side = SIDE as i64;
        let noise = noise.normal([1, 3, side, side], INITIAL_STEP).unwrap() * sigma;
        let target = conditioned.denoise(&noise, sigma).unwrap();
        let image = conditioned.target_to_image(&target).unwrap();
        let values: Vec<f32> = Vec::try_from((image.reshape([-1]) + 1.0) / 2.0).unwrap();
        let image = Array3::from_shape_vec((3, SIDE, SIDE), values).unwrap();
        expected[0] += psnr_of(&pair.blurry, &pair.sharp) / 5.0;
        expected[1] += psnr_of(&image, &pair.sharp) / 5.0;
        expected[2] += ssim_of(&pair.blurry, &pair.sharp) / 5.0;
        expected[3] += ssim_of(&image, &pair.sharp) / 5.0;
    }
    let all = &report["all"];
    let found = [
        all.input_psnr,
        all.output_psnr,
        all.input_ssim.unwrap(),
        all.output_ssim.unwrap(),
    ];
    for (found, expected) in found.into_iter().zip(expected) {
        // Sums in another order, and convolutions that may round another way.
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    assert!(
        (found[1] - found[0]).abs() > 0.01,
        "the network does something"
    );
    assert_eq!((all.pairs, report["few"].pairs), (5, 2));
    assert_eq!((all.input_lpips, all.sample_psnr), (None, None));

    for (index, guidance) in all.guidance.iter().enumerate() {
        let factor = 2 << index;
        let mean = |pair: &Pair| {
            let (a, b) = (
                structure(&pair.blurry, factor),
                structure(&pair.sharp, factor),
            );
            let squares = a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b));
            -10.0 * (squares.sum::<f64>() / a.len() as f64).log10()
        };
        let expected = pairs.iter().map(mean).sum::<f64>() / 5.0;
        // The pyramid is of float32.
        let error = (guidance.input_psnr - expected).abs();
        assert!(error < 1e-4, "{expected} {guidance:?}");
        assert_eq!(guidance.scale, index + 1);
        assert!((guidance.output_psnr - guidance.input_psnr).abs() > 1e-3);
    }
    assert!(!all.guidance.is_empty());
}

#[test]
fn crops_restored_together_are_those_restored_alone() {
    let store = nn::VarStore::new(Device::Cpu);
    let model = model(&store);
    let run = |pixels: usize| {
        let validation = validation().with_batch_pixels(pixels).with_sample_steps(3);
        assert_eq!((validation.pairs(), validation.passes()), (5, 20));
        validation.run(&model, Device::Cpu).unwrap()
    };
    let alone = run(1);
    for pixels in [2 * SIDE * SIDE, usize::MAX] {
        for (set, quality) in run(pixels) {
            let (together, alone) = (quality.values(), alone[&set].values());
            assert_eq!(together.len(), alone.len());
            for (name, value) in together {
                // Values may be rounded to another of 255 where convolutions round another way.
                let error = (value - alone[&name]).abs();
                assert!(error < 1e-3, "{set} {name}: {value} {}", alone[&name]);
            }
        }
    }
    let all = &alone["all"];
    assert_ne!(all.sample_psnr, Some(all.output_psnr));
    assert!(all.sample_ssim.is_some());
}

/// With the published weights; skipped with a message where they are not, see `image-quality`.
#[test]
fn lpips_is_measured_where_crops_are_large_enough() {
    let folder = std::env::var_os("MSDEBLUR_METRIC_WEIGHTS").map_or_else(
        || {
            let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
            std::path::Path::new(root).join("datasets/cache/metric-weights")
        },
        std::path::PathBuf::from,
    );
    let path = folder.join("lpips_alexnet.safetensors");
    if !path.is_file() {
        eprintln!("skipped: no {}", path.display());
        return;
    }
    let load = || Lpips::load(&path, Device::Cpu).unwrap();
    let store = nn::VarStore::new(Device::Cpu);
    let model = model(&store);
    let report = validation().with_lpips(load()).run(&model, Device::Cpu);
    let all = &report.unwrap()["all"];
    let pairs: Vec<Pair> = (0..5).map(pair).collect();
    let least = load().backbone().smallest_side();
    assert_eq!(all.input_lpips.is_some(), SIDE >= least);
    let Some(found) = all.input_lpips else { return };
    let distance = |pair: &Pair| load().distance(pair.blurry.view(), pair.sharp.view());
    let sum: f64 = pairs.iter().map(|pair| distance(pair).unwrap()).sum();
    assert!((found - sum / 5.0).abs() < 1e-9, "{found}");
    assert!(all.output_lpips.unwrap() > 0.0);
}
