//! The guided model agrees with an independent PyTorch model (tests/golden/ms-guidance).

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use diffusion_sched::{Denoiser, Euler, Heun, NoiseSource, Sampler, Sigmas};
use ms_guidance::{checkpoint, guidance_loss, pyramid};
use safetensors::SafeTensors;
use tch::{Device, Kind, Tensor};

use crate::common::{assert_close, parameters};

/// Both sides start from the same float32 numbers; the reference then computes in float64.
const TOLERANCE: f64 = 1e-5;

fn bytes(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/ms-guidance")
        .join(format!("{name}.safetensors"));
    std::fs::read(path).unwrap()
}

struct Reference {
    tensors: BTreeMap<String, Tensor>,
    description: serde_json::Value,
}

impl Reference {
    fn read(name: &str) -> Self {
        let bytes = bytes(name);
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

    fn numbers(&self, field: &str) -> Vec<f64> {
        serde_json::from_value(self.description[field].clone()).unwrap()
    }

    #[track_caller]
    fn check(&self, name: &str, got: &Tensor) {
        assert_close(name, got, self.get(name), TOLERANCE);
    }
}

/// Noise for samplers that must not ask for any.
struct NoNoise;

impl NoiseSource for NoNoise {
    fn normal(&mut self, _: [i64; 4], _: u32) -> diffusion_sched::Result<Tensor> {
        panic!("a deterministic sampler asked for noise");
    }
}

fn model_case(name: &str) {
    tch::set_num_threads(1);
    let reference = Reference::read(name);
    let model = checkpoint::load(&bytes(&format!("{name}.checkpoint")), Device::Cpu).unwrap();
    let network = &model.network;
    let (sharp, blurry) = (reference.get("sharp"), reference.get("blurry"));
    let noise_level = reference.get("noise_level");

    // Training: one pass of everything, and the gradient of every parameter.
    reference.check("target", &network.image_to_target(sharp, blurry).unwrap());
    let features = network.guidance().features(blurry).unwrap();
    let predictions = network.guidance().predictions(&features).unwrap();
    assert_eq!(features.maps.len(), network.config().scales());
    for (index, (map, prediction)) in features.maps.iter().zip(&predictions).enumerate() {
        reference.check(&format!("pyramid.{index}"), &features.blurry[index]);
        reference.check(&format!("features.{index}"), map);
        reference.check(&format!("predictions.{index}"), prediction);
    }
    let prediction = network
        .predict(reference.get("state"), blurry, noise_level, &features)
        .unwrap();
    reference.check("prediction", &prediction);
    let weights = reference.numbers("guidance_weights");
    let guidance = guidance_loss(
        &predictions,
        sharp,
        &weights,
        network.config().size_multiple(),
    )
    .unwrap();
    reference.check("guidance_loss", &guidance);
    let loss = (&prediction - reference.get("wanted"))
        .abs()
        .mean(Kind::Float)
        + guidance;
    reference.check("loss", &loss);
    loss.backward();
    for (key, variable) in parameters(&model.store) {
        reference.check(&format!("gradient.{key}"), &variable.grad());
    }

    // Inference: the denoiser at three levels, then whole sampling loops.
    let _no_grad = tch::no_grad_guard();
    let conditioned = network.condition(blurry, Kind::Float).unwrap();
    let target = reference.get("target");
    for (index, sigma) in reference
        .numbers("denoised_at_sigma")
        .into_iter()
        .enumerate()
    {
        let noisy = target + reference.get("noise") * sigma;
        let denoised = conditioned.denoise(&noisy, sigma).unwrap();
        reference.check(&format!("denoised.{index}"), &denoised);
    }
    let (config, steps) = (
        network.config(),
        reference.description["sampling_steps"].as_u64().unwrap(),
    );
    let sigmas = Sigmas::karras(steps as usize, config.sigma_min, config.sigma_max, 7.0).unwrap();
    reference.check("sigmas", &Tensor::from_slice(sigmas.as_slice()));
    for sampler in [&Euler as &dyn Sampler, &Heun::default()] {
        let start = reference.get("noise") * config.sigma_max;
        let mut calls = 0;
        let sampled = sampler
            .sample(&conditioned, start, &sigmas, &mut NoNoise, &mut |_| {
                calls += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(calls, steps);
        reference.check(sampler.name(), &sampled);
        let image = conditioned.target_to_image(&sampled).unwrap();
        reference.check(&format!("{}_image", sampler.name()), &image);
    }
}

#[test]
fn guided_v_residual() {
    model_case("guided_v_residual");
}

#[test]
fn guided_epsilon_image() {
    model_case("guided_epsilon_image");
}

#[test]
fn color_at_the_input() {
    model_case("color_at_the_input");
}

#[test]
fn unguided_sample_residual() {
    model_case("unguided_sample_residual");
}

#[test]
fn gray_pyramid_is_that_of_scikit_image() {
    let reference = Reference::read("gray_pyramid");
    let image = reference.get("image");
    assert_close(
        "gray",
        &pyramid::gray(image).unwrap(),
        reference.get("gray"),
        1e-6,
    );
    let levels = pyramid::gray_pyramid(image, 3).unwrap();
    assert_eq!(levels.len(), 3);
    for (index, level) in levels.iter().enumerate() {
        assert_close(
            "level",
            level,
            reference.get(&format!("pyramid.{index}")),
            1e-6,
        );
    }
}
