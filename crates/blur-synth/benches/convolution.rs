//! Convolution of one megapixel with kernels of about 31 x 31 taps.

use std::hint::black_box;
use std::time::Duration;

use blur_synth::Blur;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array3;

fn convolution(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cpu/convolution");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(3));
    for (name, blur) in [
        ("dense", Blur::disc(15.4)),
        (
            "sparse",
            Blur::CameraShake {
                extent: 24.0,
                anxiety: 0.05,
                exposure: 0.5,
                seed: 3,
            },
        ),
        (
            "separable",
            Blur::Gaussian {
                sigma: 3.75,
                sigma_minor: None,
                angle_degrees: 0.0,
            },
        ),
    ] {
        let kernel = blur.kernel().expect("a valid blur");
        let border = 2 * kernel.radius();
        let side = 1000 + border;
        let image = Array3::from_shape_fn((3, side, side), |(channel, row, column)| {
            ((channel + row * 7 + column * 13) % 256) as f32 / 255.0
        });
        group.throughput(Throughput::Elements(1_000_000));
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a pool of threads");
            let taps = border + 1;
            let id = format!("{name}_{taps}x{taps}/3x1000x1000/threads_{threads}");
            group.bench_function(id, |bencher| {
                pool.install(|| {
                    bencher.iter(|| {
                        black_box(kernel.convolve_valid(image.view()).expect("a large image"))
                    });
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, convolution);
criterion_main!(benches);
