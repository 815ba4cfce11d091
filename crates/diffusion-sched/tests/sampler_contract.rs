//! What every sampler promises besides accuracy: one step, batches, tiles, observers, errors, no NaN anywhere.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![cfg(feature = "torch")]

use std::cell::Cell;
use std::ops::ControlFlow;

use diffusion_sched::sampler::{FirstOrder, unobserved};
use diffusion_sched::{
    BetaSchedule, CosineLogSnr, CounterNoise, Ddim, Ddpm, Denoiser, DiscreteSchedule, Error, Euler,
    Heun, INITIAL_STEP, MAX_STEPS, NoiseLevel, NoiseSource, Preconditioned, PredictionType, Result,
    Sampler, SamplerKind, Sigmas, Step, TimestepSpacing, initial_noise,
};
use tch::{Device, Kind, Tensor};

/// A nonlinear denoiser without neighbourhood, so tiles and batches may be cut anywhere.
fn pointwise(noisy: &Tensor, sigma: f64) -> Result<Tensor> {
    let c_in = 1.0 / sigma.hypot(1.0);
    Ok((noisy * c_in).f_tanh()? * 0.7 + 0.1 * c_in)
}

fn samplers() -> Vec<Box<dyn Sampler>> {
    let mut samplers: Vec<Box<dyn Sampler>> = SamplerKind::ALL
        .into_iter()
        .map(|kind| kind.build().unwrap())
        .collect();
    samplers.push(SamplerKind::Ddim { eta: 0.7 }.build().unwrap());
    samplers.push(Box::new(Heun::with_churn(10.0, 0.0, 50.0, 1.0).unwrap()));
    samplers
}

fn run(
    sampler: &dyn Sampler,
    denoiser: &dyn Denoiser,
    shape: [i64; 4],
    sigmas: &Sigmas,
    noise: &mut dyn NoiseSource,
) -> Result<Tensor> {
    // Threads of libtorch only wait for each other on tensors this small.
    tch::set_num_threads(1);
    let start = initial_noise(noise, shape, sigmas)?;
    sampler.sample(denoiser, start, sigmas, noise, &mut unobserved)
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn one_step_is_the_posterior_mean() {
    let sigmas = Sigmas::karras(1, 0.01, 80.0, 7.0).unwrap();
    let mut noise = CounterNoise::new(4, [0], Device::Cpu);
    let start = initial_noise(&mut noise, [1, 3, 4, 4], &sigmas).unwrap();
    let expected = pointwise(&start, 80.0).unwrap();
    for sampler in samplers() {
        let got = run(
            sampler.as_ref(),
            &pointwise,
            [1, 3, 4, 4],
            &sigmas,
            &mut noise,
        )
        .unwrap();
        assert_eq!(got, expected, "{}", sampler.name());
        assert_eq!(sampler.denoiser_calls(1), 1);
    }
}

#[test]
fn denoiser_calls_are_as_announced_and_steps_are_observed() {
    let sigmas = Sigmas::karras(6, 0.01, 80.0, 7.0).unwrap();
    for sampler in samplers() {
        let calls = Cell::new(0);
        let denoiser = |noisy: &Tensor, sigma: f64| {
            assert!(sigma > 0.0);
            calls.set(calls.get() + 1);
            pointwise(noisy, sigma)
        };
        let mut noise = CounterNoise::new(4, [0], Device::Cpu);
        let start = initial_noise(&mut noise, [1, 1, 4, 4], &sigmas).unwrap();
        let mut seen = Vec::new();
        let mut observe = |step: &Step<'_>| {
            assert_eq!(step.total, 6);
            assert_eq!(
                (step.x.size(), step.denoised.size()),
                (vec![1, 1, 4, 4], vec![1, 1, 4, 4])
            );
            assert!(step.sigma >= sigmas.as_slice()[step.index]);
            assert_eq!(step.sigma_next, sigmas.as_slice()[step.index + 1]);
            assert_eq!(
                distance(step.denoised, &pointwise(step.x, step.sigma).unwrap()),
                0.0
            );
            seen.push(step.index);
            ControlFlow::Continue(())
        };
        let _ = sampler
            .sample(&denoiser, start, &sigmas, &mut noise, &mut observe)
            .unwrap();
        assert_eq!(seen, [0, 1, 2, 3, 4, 5], "{}", sampler.name());
        assert_eq!(calls.get(), sampler.denoiser_calls(6), "{}", sampler.name());
    }
}

#[test]
fn observers_cancel() {
    let sigmas = Sigmas::karras(6, 0.01, 80.0, 7.0).unwrap();
    for sampler in samplers() {
        let mut noise = CounterNoise::new(4, [0], Device::Cpu);
        let start = initial_noise(&mut noise, [1, 1, 4, 4], &sigmas).unwrap();
        let mut count = 0;
        let mut observe = |_: &Step<'_>| {
            count += 1;
            if count == 3 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let result = sampler.sample(&pointwise, start, &sigmas, &mut noise, &mut observe);
        assert!(matches!(result, Err(Error::Cancelled)));
        assert_eq!(count, 3);
    }
}

/// Vector and scalar code of the CPU kernels may round the last bit differently, depending on where a pixel lies in memory.
const ROUNDING: f64 = 2e-6;

#[test]
fn a_batch_equals_its_items_and_a_tile_the_whole() {
    let sigmas = Sigmas::karras(7, 0.01, 80.0, 7.0).unwrap();
    for sampler in samplers() {
        let draw = |samples: &[u32], origin: (i64, i64), size: [i64; 2]| {
            let mut noise =
                CounterNoise::new(8, samples, Device::Cpu).with_origin(origin.0, origin.1);
            let shape = [samples.len() as i64, 3, size[0], size[1]];
            run(sampler.as_ref(), &pointwise, shape, &sigmas, &mut noise).unwrap()
        };
        let batch = draw(&[0, 1, 5], (0, 0), [9, 13]);
        for (index, sample) in [0, 1, 5].into_iter().enumerate() {
            let single = draw(&[sample], (0, 0), [9, 13]);
            let item = batch.narrow(0, index as i64, 1);
            assert!(distance(&single, &item) < ROUNDING, "{}", sampler.name());
        }
        let tile = draw(&[1], (2, 3), [5, 6]);
        let cut = batch.narrow(0, 1, 1).narrow(2, 2, 5).narrow(3, 3, 6);
        assert!(distance(&tile, &cut) < ROUNDING, "{}", sampler.name());
        let other = draw(&[2], (0, 0), [9, 13]);
        assert!(
            distance(&other, &batch.narrow(0, 0, 1)) > 0.01,
            "{}",
            sampler.name()
        );
    }
}

#[test]
fn no_configuration_gives_nan() {
    let discrete = [
        (BetaSchedule::ho_linear(1000).unwrap(), 1000),
        (BetaSchedule::ho_linear(100).unwrap(), 100),
        (
            BetaSchedule::ScaledLinear {
                beta_start: 0.00085,
                beta_end: 0.012,
            },
            1000,
        ),
        (BetaSchedule::Sr3, 2000),
        (BetaSchedule::Cosine, 1000),
        (BetaSchedule::Cosine, 50),
    ];
    let mut grids = Vec::new();
    for steps in [1, 2, 3, 10, 50] {
        for (kind, timesteps) in &discrete {
            let schedule = DiscreteSchedule::new(kind, *timesteps).unwrap();
            for spacing in TimestepSpacing::ALL {
                grids.push(Sigmas::from_discrete(&schedule, steps, spacing).unwrap());
            }
        }
        let cosine = CosineLogSnr::new(-15.0, 15.0).unwrap();
        grids.push(Sigmas::from_log_snr_cosine(&cosine, steps).unwrap());
        grids.push(Sigmas::karras(steps, 0.002, 80.0, 7.0).unwrap());
    }
    for prediction_type in PredictionType::ALL {
        let network = |z: &Tensor, _: NoiseLevel| Ok(z.f_tanh()?);
        let denoiser = Preconditioned::new(network, prediction_type);
        for sampler in samplers() {
            for sigmas in &grids {
                let mut noise = CounterNoise::new(6, [0], Device::Cpu);
                let got = run(
                    sampler.as_ref(),
                    &denoiser,
                    [1, 1, 2, 3],
                    sigmas,
                    &mut noise,
                );
                let name = sampler.name();
                let got = got.unwrap_or_else(|error| {
                    panic!(
                        "{name} {prediction_type:?} {:?}: {error}",
                        sigmas.as_slice()
                    )
                });
                assert_eq!(got.size(), [1, 1, 2, 3]);
            }
        }
    }
}

/// A network that returns its input, or the target of its type, in the same memory: nothing may be overwritten too early.
#[test]
fn preconditioned_networks_give_the_image_they_predict() {
    let mut noise = CounterNoise::new(2, [0], Device::Cpu);
    let shape = [1, 3, 4, 5];
    let (image, eps) = (
        noise.normal(shape, 0).unwrap(),
        noise.normal(shape, 1).unwrap(),
    );
    for sigma in [0.01, 0.3, 1.0, 20.0] {
        let level = NoiseLevel::from_sigma(sigma).unwrap();
        let noisy = &image + &eps * sigma;
        let kept = noisy.copy();
        for prediction_type in PredictionType::ALL {
            let target = prediction_type.target(level);
            let network = |z: &Tensor, at: NoiseLevel| {
                assert_eq!(at, level);
                assert!(distance(z, &(&kept * level.alpha())) < 1e-6);
                Ok(&image * target.image + &eps * target.noise)
            };
            let denoised = Preconditioned::new(network, prediction_type)
                .denoise(&noisy, sigma)
                .unwrap();
            assert!(
                distance(&denoised, &image) < 1e-6 * (1.0 + 4.0 * sigma),
                "{prediction_type:?}"
            );
            assert_eq!(noisy, kept);

            let identity = |z: &Tensor, _: NoiseLevel| Ok(z.shallow_clone());
            let denoised = Preconditioned::new(identity, prediction_type)
                .denoise(&noisy, sigma)
                .unwrap();
            let factors = prediction_type.precondition(level);
            let expected = &noisy * (factors.c_skip + factors.c_out * factors.c_in);
            assert!(
                distance(&denoised, &expected) < 1e-5 * (1.0 + sigma),
                "{prediction_type:?}"
            );
            assert_eq!(noisy, kept);
        }
    }
}

/// A denoiser that returns the tensor it was given must not spoil the update in place.
#[test]
fn a_denoiser_may_return_its_input() {
    let sigmas = Sigmas::karras(5, 0.01, 80.0, 7.0).unwrap();
    let shared = |noisy: &Tensor, _: f64| Ok(noisy.shallow_clone());
    let copied = |noisy: &Tensor, _: f64| Ok(noisy.copy());
    for sampler in samplers() {
        let mut noise = CounterNoise::new(4, [0], Device::Cpu);
        let shape = [1, 2, 3, 4];
        // Multistep samplers keep the estimate of the step before, which the contract forbids to share with the input.
        if sampler.name().starts_with("dpmpp") {
            continue;
        }
        let a = run(sampler.as_ref(), &shared, shape, &sigmas, &mut noise).unwrap();
        let b = run(sampler.as_ref(), &copied, shape, &sigmas, &mut noise).unwrap();
        assert!(distance(&a, &b) < 1e-4, "{}", sampler.name());
    }
}

#[test]
fn errors_name_what_is_wrong() {
    let sigmas = Sigmas::karras(3, 0.01, 80.0, 7.0).unwrap();
    let shape = [1, 1, 4, 4];
    let mut noise = CounterNoise::new(4, [0], Device::Cpu);
    for sampler in samplers() {
        let mut with =
            |denoiser: &dyn Denoiser| run(sampler.as_ref(), denoiser, shape, &sigmas, &mut noise);
        let failing = |_: &Tensor, _: f64| Err(Error::denoiser("out of cheese"));
        assert!(
            matches!(with(&failing), Err(Error::Denoiser(source)) if source.to_string() == "out of cheese")
        );
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let one_bad_pixel = |noisy: &Tensor, sigma: f64| {
                let image = pointwise(noisy, sigma)?;
                if sigma < 80.0 {
                    let _ = image.f_view([-1])?.f_narrow(0, 7, 1)?.f_fill_(bad)?;
                }
                Ok(image)
            };
            let error = with(&one_bad_pixel).unwrap_err();
            assert!(
                matches!(error, Error::NonFinite { step: 0..=1, sigma } if sigma < 80.0),
                "{error}"
            );
        }
        let narrow = |noisy: &Tensor, _: f64| Ok(noisy.f_narrow(3, 0, 2)?);
        assert!(matches!(
            with(&narrow),
            Err(Error::Shape {
                what: "the denoised image",
                ..
            })
        ));
        let double = |noisy: &Tensor, _: f64| Ok(noisy.f_to_kind(Kind::Double)?);
        assert!(matches!(with(&double), Err(Error::ElementType { .. })));
        let flat = Tensor::zeros([4, 4], (Kind::Float, Device::Cpu));
        let result = sampler.sample(&pointwise, flat, &sigmas, &mut noise, &mut unobserved);
        assert!(matches!(result, Err(Error::Shape { .. })));
    }
    assert!(matches!(
        noise.normal([2, 1, 4, 4], 0),
        Err(Error::Shape { what: "noise", .. })
    ));
    assert!(noise.normal([1, -1, 4, 4], 0).is_err());
    assert_eq!(noise.normal([1, 0, 4, 4], 0).unwrap().size(), [1, 0, 4, 4]);
    assert!(Ddim::new(1.1).is_err());
    assert!(Ddim::new(f64::NAN).is_err());
    assert!(Heun::with_churn(-1.0, 0.0, 1.0, 1.0).is_err());
    assert!(Heun::with_churn(1.0, 2.0, 1.0, 1.0).is_err());
    assert!(SamplerKind::Ddim { eta: -0.1 }.build().is_err());
}

#[test]
fn counter_noise_is_the_documented_field() {
    let mut noise = CounterNoise::new(12, [3, 9], Device::Cpu).with_origin(-2, 5);
    let tensor = noise.normal([2, 3, 4, 6], 17).unwrap();
    assert_eq!(
        (tensor.size(), tensor.kind()),
        (vec![2, 3, 4, 6], Kind::Float)
    );
    for (item, sample) in [(0, 3), (1, 9)] {
        let key = diffusion_sched::noise::NoiseKey {
            seed: 12,
            sample,
            step: 17,
        };
        for (channel, y, x) in [(0, 0, 0), (1, 3, 5), (2, 2, 1)] {
            let expected =
                diffusion_sched::noise::standard_normal(key, channel as u32, y - 2, x + 5);
            assert_eq!(
                tensor.double_value(&[item, channel, y, x]),
                f64::from(expected)
            );
        }
    }
    let sigmas = Sigmas::karras(3, 0.01, 80.0, 7.0).unwrap();
    let start = initial_noise(&mut noise, [2, 3, 4, 6], &sigmas).unwrap();
    assert_eq!(
        start,
        noise.normal([2, 3, 4, 6], INITIAL_STEP).unwrap() * 80.0
    );
    // Its numbers are used once: no step can have its index.
    assert!(INITIAL_STEP as usize > MAX_STEPS);
}

/// A loop written by hand with [`FirstOrder::step`] is the sampler.
#[test]
fn single_steps_make_the_whole_loop() {
    fn by_hand(sampler: &impl FirstOrder, sigmas: &Sigmas, noise: &mut CounterNoise) -> Tensor {
        let shape = [1, 3, 4, 4];
        let mut x = initial_noise(noise, shape, sigmas).unwrap();
        for (index, sigma, sigma_next) in sigmas.pairs() {
            let denoised = pointwise(&x, sigma).unwrap();
            let normal = noise.normal(shape, index as u32).unwrap();
            let output = sampler
                .step(&x, &denoised, sigma, sigma_next, Some(&normal))
                .unwrap();
            assert_eq!(output.pred_original_sample, denoised);
            x = output.prev_sample;
        }
        x
    }
    let sigmas = Sigmas::karras(6, 0.01, 80.0, 7.0).unwrap();
    let mut noise = CounterNoise::new(4, [0], Device::Cpu);
    let mut whole = |sampler: &dyn Sampler| {
        run(sampler, &pointwise, [1, 3, 4, 4], &sigmas, &mut noise).unwrap()
    };
    let (euler, ddpm) = (whole(&Euler), whole(&Ddpm::default()));
    let ddim = whole(&Ddim::new(0.4).unwrap());
    assert!(distance(&by_hand(&Euler, &sigmas, &mut noise), &euler) < ROUNDING);
    assert!(distance(&by_hand(&Ddpm::default(), &sigmas, &mut noise), &ddpm) < ROUNDING);
    assert!(
        distance(
            &by_hand(&Ddim::new(0.4).unwrap(), &sigmas, &mut noise),
            &ddim
        ) < ROUNDING
    );

    let x = Tensor::ones([1, 1, 2, 2], (Kind::Float, Device::Cpu));
    assert!(matches!(
        Ddpm::default().step(&x, &x, 2.0, 1.0, None),
        Err(Error::MissingNoise { .. })
    ));
    assert!(Euler.step(&x, &x, 2.0, 1.0, None).is_ok());
    assert!(Euler.step(&x, &x, 1.0, 2.0, None).is_err());
    assert!(Euler.step(&x, &x, f64::NAN, 0.0, None).is_err());
}

#[test]
fn names_are_read_back() {
    for kind in SamplerKind::ALL {
        assert_eq!(kind.to_string().parse::<SamplerKind>().unwrap(), kind);
        assert_eq!(kind.build().unwrap().name(), kind.name());
    }
    assert!(
        matches!("ddimm".parse::<SamplerKind>(), Err(Error::UnknownSampler { name }) if name == "ddimm")
    );
}

#[test]
fn no_gradients_are_recorded() {
    let sigmas = Sigmas::karras(3, 0.01, 80.0, 7.0).unwrap();
    let weight = Tensor::ones([1], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let denoiser = |noisy: &Tensor, sigma: f64| Ok(&weight * pointwise(noisy, sigma)?);
    for sampler in samplers() {
        let mut noise = CounterNoise::new(4, [0], Device::Cpu);
        let got = run(
            sampler.as_ref(),
            &denoiser,
            [1, 1, 2, 2],
            &sigmas,
            &mut noise,
        )
        .unwrap();
        assert!(!got.requires_grad(), "{}", sampler.name());
    }
    assert!(
        (&weight * 2.0).requires_grad(),
        "the mode of the caller comes back"
    );
}
