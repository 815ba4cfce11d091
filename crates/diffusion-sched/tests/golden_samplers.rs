//! Whole sampling loops of ten steps against the published update rules in float64 and against diffusers.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]
#![cfg(feature = "torch")]

mod support;

use diffusion_sched::sampler::unobserved;
use diffusion_sched::{
    Ddim, Ddpm, DdpmVariance, DpmPp2m, DpmPp2mSde, Error, Euler, Heun, INITIAL_STEP, NoiseSource,
    Result, Sampler, Sigmas, initial_noise,
};
use safetensors::SafeTensors;
use support::{f32s, f64s, golden};
use tch::{Kind, Tensor};

const SHAPE: [i64; 4] = [2, 3, 6, 8];
const STEPS: i64 = 10;
/// float32 tensors on our side; both references are at most 1e-6 apart from each other.
const TOLERANCE: f64 = 1e-5;

/// The noise of the reference: one field per step, the initial one at the end.
struct GivenNoise(Tensor);

impl NoiseSource for GivenNoise {
    fn normal(&mut self, shape: [i64; 4], step: u32) -> Result<Tensor> {
        assert_eq!(shape, SHAPE);
        let index = if step == INITIAL_STEP {
            STEPS
        } else {
            i64::from(step)
        };
        Ok(self.0.f_select(0, index)?.copy())
    }
}

struct Reference<'a> {
    file: SafeTensors<'a>,
    weight: Tensor,
    bias: Tensor,
}

impl Reference<'_> {
    fn denoise(&self, noisy: &Tensor, sigma: f64) -> Result<Tensor> {
        let c_in = 1.0 / sigma.hypot(1.0);
        let scaled = noisy * c_in;
        let hidden = scaled.f_conv2d(&self.weight, Some(&self.bias), 1, 1, 1, 1)?;
        Ok(hidden.f_tanh()? * 0.8 + scaled * (0.2 * c_in))
    }

    fn check(&self, name: &str, sampler: &dyn Sampler) {
        let sigmas = Sigmas::new(f64s(&self.file, &format!("{name}.sigmas"))).unwrap();
        let fields = Tensor::from_slice(&f32s(&self.file, "noise"));
        let mut noise =
            GivenNoise(fields.view([STEPS + 1, SHAPE[0], SHAPE[1], SHAPE[2], SHAPE[3]]));
        let x = initial_noise(&mut noise, SHAPE, &sigmas).unwrap();
        let denoiser = |noisy: &Tensor, sigma: f64| self.denoise(noisy, sigma);
        let got = sampler
            .sample(&denoiser, x, &sigmas, &mut noise, &mut unobserved)
            .unwrap();
        let got = got.to_kind(Kind::Double);
        for source in ["result", "diffusers"] {
            let key = format!("{name}.{source}");
            if source == "diffusers" && self.file.tensor(&key).is_err() {
                continue;
            }
            let expected = Tensor::from_slice(&f64s(&self.file, &key)).view(SHAPE);
            let distance = (&got - &expected).abs().max().double_value(&[]);
            let relative = distance / expected.abs().max().double_value(&[]);
            println!("{key}: {relative:.1e}");
            assert!(relative <= TOLERANCE, "{key} differs by {relative:e}");
        }
    }
}

#[test]
fn loops_agree_with_published_formulas_and_diffusers() {
    // Threads of libtorch only wait for each other on tensors this small.
    tch::set_num_threads(1);
    let data = golden("loops.safetensors");
    let file = SafeTensors::deserialize(&data).unwrap();
    let weight = Tensor::from_slice(&f32s(&file, "denoiser.weight")).view([3, 3, 3, 3]);
    let bias = Tensor::from_slice(&f32s(&file, "denoiser.bias"));
    let reference = Reference { file, weight, bias };

    for (name, eta) in [("ddim_0", 0.0), ("ddim_0.5", 0.5), ("ddim_1", 1.0)] {
        reference.check(name, &Ddim::new(eta).unwrap());
    }
    reference.check("ddim_0", &Euler);
    reference.check("ddim_1", &Ddpm::default());
    reference.check(
        "ddpm_fixed_small",
        &Ddpm {
            variance: DdpmVariance::Posterior,
        },
    );
    reference.check(
        "ddpm_fixed_large",
        &Ddpm {
            variance: DdpmVariance::Beta,
        },
    );
    for grid in ["linspace", "karras"] {
        reference.check(&format!("euler_{grid}"), &Euler);
        reference.check(&format!("heun_{grid}"), &Heun::default());
    }
    reference.check(
        "heun_churn",
        &Heun::with_churn(3.0, 0.05, 50.0, 1.003).unwrap(),
    );
    for grid in ["leading", "karras"] {
        reference.check(&format!("dpmpp_2m_{grid}"), &DpmPp2m);
        reference.check(
            &format!("dpmpp_2m_{grid}"),
            &DpmPp2mSde::new(0.0, 1.0).unwrap(),
        );
        reference.check(&format!("dpmpp_2m_sde_{grid}"), &DpmPp2mSde::default());
    }
    reference.check("dpmpp_2m_sde_half", &DpmPp2mSde::new(0.5, 1.0).unwrap());
}

/// A source that fails, to see that the error arrives unchanged.
struct NoNoise;

impl NoiseSource for NoNoise {
    fn normal(&mut self, _: [i64; 4], _: u32) -> Result<Tensor> {
        Err(Error::MissingNoise { noise_std: 1.0 })
    }
}

#[test]
fn deterministic_samplers_ask_for_no_noise() {
    let sigmas = Sigmas::karras(5, 0.01, 80.0, 7.0).unwrap();
    let denoiser = |noisy: &Tensor, sigma: f64| Ok(noisy / (1.0 + sigma * sigma));
    let run = |sampler: &dyn Sampler| {
        let x = Tensor::full(SHAPE, 80.0, (Kind::Float, tch::Device::Cpu));
        sampler.sample(&denoiser, x, &sigmas, &mut NoNoise, &mut unobserved)
    };
    for sampler in [
        &Euler as &dyn Sampler,
        &Heun::default(),
        &DpmPp2m,
        &Ddim::new(0.0).unwrap(),
    ] {
        assert!(run(sampler).is_ok());
    }
    for sampler in [&Ddpm::default() as &dyn Sampler, &DpmPp2mSde::default()] {
        assert!(matches!(run(sampler), Err(Error::MissingNoise { .. })));
    }
}
