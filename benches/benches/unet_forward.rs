//! One pass of the diffusion network, guidance features given.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use integration_benches::{
    MEASUREMENT_TIME, Pass, device_name, devices, shape_name, shipped_model, synchronize,
};
use tch::Kind;

fn unet_forward(criterion: &mut Criterion) {
    let _no_grad = tch::no_grad_guard();
    for device in devices() {
        let model = shipped_model(device).expect("the shipped model loads");
        let mut group = criterion.benchmark_group(format!("{}/unet_forward", device_name(device)));
        group.sample_size(10).measurement_time(MEASUREMENT_TIME);
        for side in [256, 512, 1024] {
            let pass =
                Pass::new(&model.network, side, side, Kind::Float, device).expect("enough memory");
            group.throughput(Throughput::Elements((side * side) as u64));
            group.bench_function(shape_name(side, side), |bencher| {
                bencher.iter(|| {
                    let output = black_box(pass.run().expect("a forward pass"));
                    synchronize(device);
                    output
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, unet_forward);
criterion_main!(benches);
