//! A whole restoration, from pixels to pixels.

use std::hint::black_box;
use std::ops::ControlFlow;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use deblur::{CheckpointSource, DeviceChoice, Options, Restorer, TileChoice};
use integration_benches::{MEASUREMENT_TIME, device_name, devices, pattern, shape_name};
use tch::Device;

fn restoration(criterion: &mut Criterion) {
    for device in devices() {
        let choice = match device {
            Device::Cuda(index) => DeviceChoice::Cuda(index),
            _ => DeviceChoice::Cpu,
        };
        let mut group = criterion.benchmark_group(format!("{}/restoration", device_name(device)));
        group.sample_size(10).measurement_time(MEASUREMENT_TIME);
        let side = 512;
        let photo = pattern(side, side);
        group.throughput(Throughput::Elements((side * side) as u64));
        for (name, options) in [
            ("mean", Options::mean()),
            (
                "mean_tiled_256",
                Options {
                    tile: TileChoice::Size(256),
                    ..Options::mean()
                },
            ),
            ("sample_10_steps", Options::sample(10)),
        ] {
            let options = Options {
                device: choice,
                ..options
            };
            let restorer = Restorer::new(&CheckpointSource::Embedded, options)
                .expect("the shipped model loads");
            group.bench_function(
                format!("{name}/{}", shape_name(side as i64, side as i64)),
                |bencher| {
                    bencher.iter(|| {
                        let mut progress = |_| ControlFlow::Continue(());
                        black_box(
                            restorer
                                .restore(photo.view(), &mut progress)
                                .expect("a restored photo"),
                        )
                    });
                },
            );
        }
        group.finish();
    }
}

criterion_group!(benches, restoration);
criterion_main!(benches);
