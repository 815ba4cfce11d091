//! Degraded training crops, made as a trainer makes them: drawn from the standard mix, one crop on each thread.

use std::hint::black_box;
use std::time::Duration;

use blur_synth::BlurMix;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array3;
use rayon::prelude::*;

/// Crops of one batch; enough seeds to bring every family in its share.
const BATCH: u64 = 256;

fn training_crops(criterion: &mut Criterion) {
    let mix = BlurMix::standard();
    let margin = mix.max_margin().expect("a valid mix");
    let side = 64 + 2 * margin;
    let sharp = Array3::from_shape_fn((3, side, side), |(channel, row, column)| {
        ((channel + row * 7 + column * 13) % 256) as f32 / 255.0
    });
    let mut group = criterion.benchmark_group("cpu/training_crops");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(5))
        .throughput(Throughput::Elements(BATCH));
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool of threads");
        group.bench_function(
            format!("standard/{BATCH}x3x64x64/threads_{threads}"),
            |bencher| {
                pool.install(|| {
                    bencher.iter(|| {
                        (0..BATCH).into_par_iter().for_each(|seed| {
                            let degradation = mix.sample(seed).expect("a valid mix");
                            let crop = degradation.apply_valid(sharp.view(), margin);
                            black_box(crop.expect("a large patch"));
                        });
                    });
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, training_crops);
criterion_main!(benches);
