//! Guidance features of one image: done once per restoration.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use integration_benches::{
    MEASUREMENT_TIME, blurry, device_name, devices, shape_name, shipped_model, synchronize,
};

fn guidance_features(criterion: &mut Criterion) {
    let _no_grad = tch::no_grad_guard();
    for device in devices() {
        let model = shipped_model(device).expect("the shipped model loads");
        let mut group =
            criterion.benchmark_group(format!("{}/guidance_features", device_name(device)));
        group.sample_size(10).measurement_time(MEASUREMENT_TIME);
        for side in [256, 1024] {
            let image = blurry(side, side, device).expect("enough memory");
            group.throughput(Throughput::Elements((side * side) as u64));
            group.bench_function(shape_name(side, side), |bencher| {
                bencher.iter(|| {
                    let features =
                        black_box(model.network.guidance().features(&image).expect("features"));
                    synchronize(device);
                    features
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, guidance_features);
criterion_main!(benches);
