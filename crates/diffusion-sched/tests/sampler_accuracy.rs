//! Samplers on Gaussian images `x ~ N(mean, deviation²)`, whose exact denoiser is known in closed form:
//! `D(x, sigma) = mean + deviation² / (deviation² + sigma²) (x - mean)`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]
#![cfg(feature = "torch")]

use diffusion_sched::sampler::unobserved;
use diffusion_sched::{
    CounterNoise, Ddim, Ddpm, DdpmVariance, Denoiser, DpmPp2mSde, Heun, NoiseSource, Result,
    Sampler, SamplerKind, Sigmas, initial_noise,
};
use tch::{Device, Kind, Tensor};

struct Gaussian {
    mean: f64,
    deviation: f64,
}

impl Gaussian {
    fn shrink(&self, sigma: f64) -> f64 {
        1.0 / (1.0 + (sigma / self.deviation).powi(2))
    }
}

impl Denoiser for Gaussian {
    fn denoise(&self, noisy: &Tensor, sigma: f64) -> Result<Tensor> {
        let shrink = self.shrink(sigma);
        Ok(noisy * shrink + self.mean * (1.0 - shrink))
    }
}

/// Levels from `max` to `min`, even in ln(sigma), and 0.
fn logarithmic(steps: usize, min: f64, max: f64) -> Sigmas {
    let ratio = (min / max).ln();
    let level = |index: usize| max * (ratio * index as f64 / (steps - 1) as f64).exp();
    Sigmas::new((0..steps).map(level).chain([0.0]).collect()).unwrap()
}

/// Error of the result against the exact solution of the probability flow ODE,
/// `x(sigma) - mean ∝ sqrt(deviation² + sigma²)`, with the exact last step.
fn ode_error(sampler: &dyn Sampler, steps: usize) -> f64 {
    const MIN: f64 = 0.05;
    const MAX: f64 = 20.0;
    let image = Gaussian {
        mean: 0.3,
        deviation: 0.5,
    };
    let sigmas = logarithmic(steps + 1, MIN, MAX);
    let mut noise = CounterNoise::new(3, [0], Device::Cpu);
    let start = initial_noise(&mut noise, [1, 1, 16, 16], &sigmas).unwrap();
    let flow = (image.deviation.hypot(MIN) / image.deviation.hypot(MAX)) * image.shrink(MIN);
    let exact = (start.to_kind(Kind::Double) - image.mean) * flow + image.mean;
    let got = sampler
        .sample(&image, start, &sigmas, &mut noise, &mut unobserved)
        .unwrap();
    (got.to_kind(Kind::Double) - exact)
        .square()
        .mean(Kind::Double)
        .double_value(&[])
        .sqrt()
}

/// Slope of ln(error) over ln(1 / steps) by least squares.
fn measured_order(sampler: &dyn Sampler, steps: &[usize]) -> f64 {
    let points: Vec<(f64, f64)> = steps
        .iter()
        .map(|&steps| (-(steps as f64).ln(), ode_error(sampler, steps).ln()))
        .collect();
    let count = points.len() as f64;
    let (x, y) = points
        .iter()
        .fold((0.0, 0.0), |(a, b), (x, y)| (a + x / count, b + y / count));
    let covariance: f64 = points.iter().map(|(a, b)| (a - x) * (b - y)).sum();
    covariance / points.iter().map(|(a, _)| (a - x).powi(2)).sum::<f64>()
}

#[test]
fn convergence_orders() {
    let steps = [32, 64, 128];
    for (kind, expected) in [
        (SamplerKind::Euler, 1.0),
        (SamplerKind::Ddim { eta: 0.0 }, 1.0),
        (SamplerKind::Heun, 2.0),
        (SamplerKind::DpmPp2m, 2.0),
    ] {
        let sampler = kind.build().unwrap();
        let order = measured_order(sampler.as_ref(), &steps);
        let errors: Vec<f64> = steps
            .iter()
            .map(|&n| ode_error(sampler.as_ref(), n))
            .collect();
        println!("{kind}: order {order:.3}, errors {errors:?}");
        assert!((order - expected).abs() < 0.15, "{kind}: {order}");
    }
}

/// Mean and variance of what a sampler makes of Gaussian images, over all pixels.
fn sample_moments(sampler: &dyn Sampler, steps: usize, image: &Gaussian, side: i64) -> (f64, f64) {
    // Threads of libtorch only wait for each other on tensors this small.
    tch::set_num_threads(1);
    let sigmas = Sigmas::karras(steps, 0.01, 80.0, 7.0).unwrap();
    let mut noise = CounterNoise::new(11, [0], Device::Cpu);
    let start = initial_noise(&mut noise, [1, 1, side, side], &sigmas).unwrap();
    let got = sampler
        .sample(image, start, &sigmas, &mut noise, &mut unobserved)
        .unwrap();
    let got = got.to_kind(Kind::Double);
    let mean = got.mean(Kind::Double).double_value(&[]);
    (
        (&got - mean).square().mean(Kind::Double).double_value(&[]),
        mean,
    )
}

/// Mean and variance that a sampler must give: on Gaussian images all of them are linear maps of Gaussian noise, so both
/// follow from a scalar recursion in f64. This one is written from Ho 2020, eq. 6–7, in VP coordinates.
fn ancestral_moments(steps: usize, image: &Gaussian, large: bool) -> (f64, f64) {
    let sigmas = Sigmas::karras(steps, 0.01, 80.0, 7.0).unwrap();
    let (mut mean, mut variance) = (0.0, sigmas.max().powi(2) / (1.0 + sigmas.max().powi(2)));
    for (_, sigma, sigma_next) in sigmas.pairs() {
        let bar = 1.0 / (1.0 + sigma * sigma);
        let before = 1.0 / (1.0 + sigma_next * sigma_next);
        let beta = 1.0 - bar / before;
        let shrink = image.shrink(sigma) / bar.sqrt();
        let of_image = before.sqrt() * beta / (1.0 - bar);
        let of_state = (1.0 - beta).sqrt() * (1.0 - before) / (1.0 - bar);
        let factor = of_state + of_image * shrink;
        mean = factor * mean + of_image * image.mean * (1.0 - image.shrink(sigma));
        let posterior = beta * (1.0 - before) / (1.0 - bar);
        let added = if large && sigma_next > 0.0 {
            beta
        } else {
            posterior
        };
        variance = factor * factor * variance + added;
    }
    (variance, mean)
}

/// The same for Heun with churn (Karras 2022, Alg. 2).
fn churned_moments(steps: usize, image: &Gaussian, s_churn: f64) -> (f64, f64) {
    let sigmas = Sigmas::karras(steps, 0.01, 80.0, 7.0).unwrap();
    let (mut offset, mut variance) = (-image.mean, sigmas.max().powi(2));
    let slope = |sigma: f64| (1.0 - image.shrink(sigma)) / sigma;
    for (_, sigma, sigma_next) in sigmas.pairs() {
        let raised = sigma * (1.0 + (s_churn / steps as f64).min(f64::sqrt(2.0) - 1.0));
        let step = sigma_next - raised;
        let euler = 1.0 + step * slope(raised);
        let factor = match sigma_next {
            0.0 => euler,
            _ => 1.0 + step / 2.0 * (slope(raised) + slope(sigma_next) * euler),
        };
        offset *= factor;
        variance = (variance + raised * raised - sigma * sigma) * factor * factor;
    }
    (variance, image.mean + offset)
}

/// Fails if the moments of `side²` pixels are five standard errors from what they must be.
fn assert_moments(what: &str, got: (f64, f64), expected: (f64, f64), side: i64) {
    let count = (side * side) as f64;
    let variance_error = (got.0 / expected.0 - 1.0) / f64::sqrt(2.0 / count);
    let mean_error = (got.1 - expected.1) / f64::sqrt(expected.0 / count);
    println!(
        "{what}: variance off by {variance_error:.2}, mean by {mean_error:.2} standard errors"
    );
    assert!(
        variance_error.abs() < 5.0 && mean_error.abs() < 5.0,
        "{what}: {got:?} {expected:?}"
    );
}

#[test]
fn ancestral_samplers_reach_the_predicted_distribution() {
    let image = Gaussian {
        mean: -0.4,
        deviation: 0.5,
    };
    for steps in [1, 2, 5, 20] {
        for (large, variance) in [(false, DdpmVariance::Posterior), (true, DdpmVariance::Beta)] {
            let got = sample_moments(&Ddpm { variance }, steps, &image, 256);
            let expected = ancestral_moments(steps, &image, large);
            assert_moments(&format!("ddpm {variance:?} {steps}"), got, expected, 256);
        }
        if steps > 1 {
            let churned = Heun::with_churn(20.0, 0.0, f64::INFINITY, 1.0).unwrap();
            let got = sample_moments(&churned, steps, &image, 256);
            let expected = churned_moments(steps, &image, 20.0);
            assert_moments(&format!("heun with churn {steps}"), got, expected, 256);
        }
    }
}

/// With many steps the result is distributed as the images are.
#[test]
fn stochastic_samplers_reach_the_image_distribution() {
    let image = Gaussian {
        mean: -0.4,
        deviation: 0.5,
    };
    // Relative bias of the variance that this number of steps leaves: first order, but for the last.
    let cases: [(&dyn Sampler, usize, i64, f64); 4] = [
        (&Ddpm::default(), 400, 128, 0.03),
        (
            &Ddpm {
                variance: DdpmVariance::Beta,
            },
            400,
            128,
            0.03,
        ),
        (&Ddim::new(0.5).unwrap(), 400, 128, 0.03),
        (&DpmPp2mSde::default(), 100, 256, 0.003),
    ];
    for (sampler, steps, side, bias) in cases {
        let standard_error = f64::sqrt(2.0 / (side * side) as f64);
        let (variance, mean) = sample_moments(sampler, steps, &image, side);
        let relative = variance / image.deviation.powi(2) - 1.0;
        println!(
            "{}: relative error of the variance {relative:.4}",
            sampler.name()
        );
        assert!(
            relative.abs() < bias + 4.0 * standard_error,
            "{}: {relative}",
            sampler.name()
        );
        let mean_error = (mean - image.mean).abs();
        let tolerance = 5.0 * image.deviation / side as f64 + 0.003;
        assert!(mean_error < tolerance, "{}: {mean}", sampler.name());
    }
}

/// A denoiser that knows the one image there is: every sampler must return it.
#[test]
fn exact_denoiser_returns_the_image() {
    let mut noise = CounterNoise::new(1, [0, 1], Device::Cpu);
    let image = noise.normal([2, 3, 5, 7], 77).unwrap();
    let denoiser = |_: &Tensor, _: f64| Ok(image.copy());
    for kind in SamplerKind::ALL
        .into_iter()
        .chain([SamplerKind::Ddim { eta: 1.0 }])
    {
        for steps in [1, 2, 3, 10] {
            let sigmas = Sigmas::karras(steps, 0.002, 80.0, 7.0).unwrap();
            let start = initial_noise(&mut noise, [2, 3, 5, 7], &sigmas).unwrap();
            let sampler = kind.build().unwrap();
            let got = sampler
                .sample(&denoiser, start, &sigmas, &mut noise, &mut unobserved)
                .unwrap();
            assert_eq!(got, image, "{kind} {steps}");
        }
    }
}
