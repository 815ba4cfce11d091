//! Guidance features: once per image, cropped like the image, free when there are none; precision and targets.

use diffusion_sched::{Denoiser, PredictionType};
use ms_guidance::{Error, Features, GuidedUNetConfig, Target, guidance_loss};
use tch::{Kind, Tensor};

use crate::common::{assert_close, configurations, image, model, noise, parameters, small};

#[test]
fn features_of_a_part_equal_the_part_of_the_features() {
    for (name, config) in configurations() {
        let (_store, network) = model(&config, 2);
        let _no_grad = tch::no_grad_guard();
        let multiple = config.size_multiple();
        // A guidance network reaches one convolution and two per block, at its own stride.
        let reach = (2 * config.guidance_blocks as i64 + 1) * (1 << config.scales());
        let margin = (reach + multiple - 1) / multiple * multiple;
        let (height, width) = (2 * margin + 3 * multiple, 2 * margin + 4 * multiple - 1);
        let blurry = image(2, &[1, 3, height, width]);
        let whole = network.guidance().features(&blurry).unwrap();
        // The part that is wanted, and what is read for it.
        let (top, left, rows, columns) = (margin, margin, multiple, 2 * multiple);
        let read = blurry
            .narrow(2, 0, top + rows + margin)
            .narrow(3, 0, left + columns + margin);
        let part = network.guidance().features(&read).unwrap();
        let got = part.crop(top, left, rows, columns).unwrap();
        let want = whole.crop(top, left, rows, columns).unwrap();
        assert_eq!(got.maps.len(), config.scales());
        for index in 0..config.scales() {
            let stride = 2 << index;
            let size = [
                1,
                config.unet.guidance_channels[index],
                rows / stride,
                columns / stride,
            ];
            assert_eq!(want.maps[index].size(), size, "{name}");
            assert_close(name, &got.maps[index], &want.maps[index], 1e-5);
            assert_close(name, &got.blurry[index], &want.blurry[index], 1e-6);
        }
    }
}

#[test]
fn a_crop_outside_the_image_is_an_error() {
    let (_store, network) = model(&small(), 2);
    let features = network
        .guidance()
        .features(&image(1, &[1, 3, 8, 8]))
        .unwrap();
    assert!(features.crop(0, 0, 8, 12).is_err());
    assert!(features.crop(8, 0, 4, 4).is_err());
}

#[test]
fn without_scales_there_is_no_guidance_at_all() {
    let config = small().unguided_control();
    let (store, network) = model(&config, 3);
    assert!(
        parameters(&store)
            .keys()
            .all(|name| !name.contains("guidance"))
    );
    // A tensor of no valid shape: nothing may look at it.
    let features = network.guidance().features(&noise(1, &[2])).unwrap();
    assert!(features.maps.is_empty() && features.blurry.is_empty());
    assert!(
        network
            .guidance()
            .predictions(&features)
            .unwrap()
            .is_empty()
    );
    let loss = guidance_loss(&[], &noise(1, &[2]), &[1.0], config.size_multiple()).unwrap();
    assert_eq!(loss.double_value(&[]), 0.0);
}

#[test]
fn features_are_computed_once_and_used_in_every_call() {
    let (store, network) = model(&small(), 4);
    let _no_grad = tch::no_grad_guard();
    let (blurry, noisy) = (image(4, &[1, 3, 9, 13]), noise(5, &[1, 3, 9, 13]));
    let conditioned = network.condition(&blurry, Kind::Float).unwrap();
    let before = conditioned.denoise(&noisy, 0.5).unwrap();
    // If a call ran the guidance networks, their ruined weights would show.
    for (name, variable) in parameters(&store) {
        if name.starts_with("guidance.") {
            let _ = variable.shallow_clone().fill_(f64::NAN);
        }
    }
    assert!(conditioned.denoise(&noisy, 0.5).unwrap().equal(&before));
    let anew = network.condition(&blurry, Kind::Float).unwrap();
    let ruined = anew.denoise(&noisy, 0.5).unwrap();
    assert!(
        bool::try_from(ruined.isnan().any()).unwrap(),
        "features enter the result"
    );
}

#[test]
fn one_blurry_image_serves_a_batch_of_samples() {
    for (name, config) in configurations() {
        let (_store, network) = model(&config, 6);
        let _no_grad = tch::no_grad_guard();
        let (blurry, noisy) = (image(6, &[1, 3, 10, 7]), noise(7, &[3, 3, 10, 7]));
        let conditioned = network.condition(&blurry, Kind::Float).unwrap();
        let batch = conditioned.denoise(&noisy, 2.0).unwrap();
        for item in 0..3 {
            let single = conditioned.denoise(&noisy.narrow(0, item, 1), 2.0).unwrap();
            assert_close(name, &batch.narrow(0, item, 1), &single, 1e-5);
        }
    }
}

#[test]
fn every_size_and_noise_level_gives_finite_numbers() {
    let _no_grad = tch::no_grad_guard();
    for (name, config) in configurations() {
        for prediction_type in PredictionType::ALL {
            let config = GuidedUNetConfig {
                prediction_type,
                ..config.clone()
            };
            let (_store, network) = model(&config, 8);
            for height in (1..=9).step_by(2) {
                for width in [1, 2, 3, 6, 8, 13, 17] {
                    let blurry = image(8, &[1, 3, height, width]);
                    let conditioned = network.condition(&blurry, Kind::Float).unwrap();
                    for sigma in [0.0, config.sigma_min, 1.0, config.sigma_max] {
                        let noisy = noise(9, &[1, 3, height, width]) * sigma;
                        let denoised = conditioned.denoise(&noisy, sigma).unwrap();
                        let image = conditioned.target_to_image(&denoised).unwrap();
                        assert_eq!(image.size(), [1, 3, height, width]);
                        let finite = bool::try_from(image.isfinite().all()).unwrap();
                        assert!(
                            finite,
                            "{name}, {prediction_type:?}, {height}×{width}, {sigma}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn bfloat16_is_close_to_float32() {
    for (name, config) in configurations() {
        let (mut store, network) = model(&config, 10);
        let _no_grad = tch::no_grad_guard();
        let (blurry, noisy) = (image(10, &[1, 3, 13, 10]), noise(11, &[1, 3, 13, 10]) * 3.0);
        let run = |kind| {
            let conditioned = network.condition(&blurry, kind).unwrap();
            let denoised = conditioned.denoise(&noisy, 3.0).unwrap();
            assert_eq!(denoised.kind(), Kind::Float, "samplers work in float32");
            denoised
        };
        let exact = run(Kind::Float);
        // Eight significant bits (4e-3) through some ten layers.
        assert_close(name, &run(Kind::BFloat16), &exact, 5e-2);
        store.set_kind(Kind::BFloat16);
        assert_close(name, &run(Kind::BFloat16), &exact, 5e-2);
    }
}

#[test]
fn target_and_image_are_inverse() {
    let (x, y) = (image(1, &[2, 3, 5, 4]), image(2, &[2, 3, 5, 4]));
    for (target, expected) in [
        (Target::Image, x.copy()),
        (Target::Residual { scale: 0.25 }, (&x - &y) * 4.0),
    ] {
        let (_store, network) = model(&GuidedUNetConfig { target, ..small() }, 1);
        let got = network.image_to_target(&x, &y).unwrap();
        assert_close("target", &got, &expected, 1e-6);
        assert_close(
            "image",
            &network.target_to_image(&got, &y).unwrap(),
            &x,
            1e-6,
        );
    }
}

#[test]
fn an_untrained_model_predicts_its_input() {
    let store = tch::nn::VarStore::new(tch::Device::Cpu);
    let network = ms_guidance::GuidedUNet::new(&store.root(), &small()).unwrap();
    let features = network
        .guidance()
        .features(&image(3, &[1, 3, 9, 9]))
        .unwrap();
    for (prediction, y) in network
        .guidance()
        .predictions(&features)
        .unwrap()
        .iter()
        .zip(&features.blurry)
    {
        assert!(prediction.equal(y));
    }
}

#[test]
fn guidance_weights_scale_their_own_term() {
    let predictions: Vec<Tensor> = [(4, 6), (2, 3)]
        .map(|(h, w)| image(h as u64, &[1, 1, h, w]))
        .into();
    let sharp = image(9, &[1, 3, 8, 12]);
    let loss = |weights: &[f64]| {
        guidance_loss(&predictions, &sharp, weights, 4)
            .unwrap()
            .double_value(&[])
    };
    let (first, second) = (loss(&[1.0, 0.0]), loss(&[0.0, 1.0]));
    assert!(first > 0.0 && second > 0.0);
    let both = first + second;
    assert!((loss(&[1.0, 1.0]) - both).abs() < 1e-6 * both);
    assert!(
        (loss(&[]) - both).abs() < 1e-6 * both,
        "a scale without weight counts 1"
    );
    assert!((loss(&[2.0, 0.5]) - (2.0 * first + 0.5 * second)).abs() < 1e-6 * both);
}

#[test]
fn what_does_not_fit_is_named() {
    let (_store, network) = model(&small(), 1);
    for shape in [&[3, 8, 8][..], &[1, 1, 8, 8], &[1, 4, 8, 8]] {
        let error = network
            .condition(&noise(1, shape), Kind::Float)
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::Shape {
                    what: "blurry image",
                    ..
                }
            ),
            "{error}"
        );
    }
    let blurry = image(1, &[1, 3, 8, 8]);
    let conditioned = network.condition(&blurry, Kind::Float).unwrap();
    for sigma in [f64::NAN, -1.0, f64::INFINITY] {
        assert!(
            conditioned
                .denoise(&noise(1, &[1, 3, 8, 8]), sigma)
                .is_err()
        );
    }
    assert!(conditioned.denoise(&noise(1, &[1, 3, 8, 9]), 1.0).is_err());
    let none = Features {
        maps: Vec::new(),
        blurry: Vec::new(),
    };
    assert!(
        network
            .denoise(&noise(1, &[1, 3, 8, 8]), 1.0, &blurry, &none)
            .is_err()
    );
}
