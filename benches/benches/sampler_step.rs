//! What a step of each sampler costs besides the network: the denoiser does nothing.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use diffusion_sched::{CounterNoise, SamplerKind, Sigmas, initial_noise, sampler};
use integration_benches::{MEASUREMENT_TIME, device_name, devices, shape_name, synchronize};
use tch::{Device, Tensor};

const STEPS: usize = 4;

fn sampler_step(criterion: &mut Criterion) {
    let sigmas = Sigmas::karras(STEPS, 0.02, 80.0, 7.0).expect("a valid grid");
    for device in devices() {
        let mut group =
            criterion.benchmark_group(format!("{}/sampler_{STEPS}_steps", device_name(device)));
        group.sample_size(10).measurement_time(MEASUREMENT_TIME);
        let side = 512;
        group.throughput(Throughput::Elements((side * side) as u64));
        for kind in SamplerKind::ALL {
            let integrator = kind.build().expect("a valid sampler");
            let denoiser =
                |noisy: &Tensor, sigma: f64| Ok(noisy.f_mul_scalar(1.0 / (1.0 + sigma * sigma))?);
            group.bench_function(format!("{kind}/{}", shape_name(side, side)), |bencher| {
                bencher.iter_batched(
                    || start(side, &sigmas, device),
                    |(mut noise, x)| {
                        let image = integrator.sample(
                            &denoiser,
                            x,
                            &sigmas,
                            &mut noise,
                            &mut sampler::unobserved,
                        );
                        synchronize(device);
                        black_box(image.expect("an image"))
                    },
                    BatchSize::LargeInput,
                );
            });
        }
        group.bench_function(
            format!("initial_noise/{}", shape_name(side, side)),
            |bencher| {
                bencher.iter(|| black_box(start(side, &sigmas, device)));
            },
        );
        group.finish();
    }
}

fn start(side: i64, sigmas: &Sigmas, device: Device) -> (CounterNoise, Tensor) {
    let mut noise = CounterNoise::new(1, [0], device);
    let x = initial_noise(&mut noise, [1, 3, side, side], sigmas).expect("initial noise");
    (noise, x)
}

criterion_group!(benches, sampler_step);
criterion_main!(benches);
