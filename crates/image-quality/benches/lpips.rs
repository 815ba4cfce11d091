//! LPIPS on AlexNet for one pair of 256 x 256 pixels. Speed does not depend on the weights, so they are made up.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use image_quality::Lpips;
use ndarray::Array3;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tch::Device;

const SIDE: usize = 256;
/// Number in torchvision, output and input channels, side of the kernel.
const LAYERS: [(usize, usize, usize, usize); 5] = [
    (0, 64, 3, 11),
    (3, 192, 64, 5),
    (6, 384, 192, 3),
    (8, 256, 384, 3),
    (10, 256, 256, 3),
];

fn pattern(step: usize) -> Array3<f32> {
    Array3::from_shape_fn((3, SIDE, SIDE), |(c, y, x)| {
        ((c * 31 + y * 7 + x * step) % 256) as f32 / 255.0
    })
}

/// A file of weights of the right shapes.
fn weights() -> Vec<u8> {
    let mut tensors = Vec::new();
    for (stage, (number, output, input, kernel)) in LAYERS.into_iter().enumerate() {
        for (name, shape) in [
            (
                format!("features.{number}.weight"),
                vec![output, input, kernel, kernel],
            ),
            (format!("features.{number}.bias"), vec![output]),
            (format!("lin{stage}.model.1.weight"), vec![1, output, 1, 1]),
        ] {
            let count: usize = shape.iter().product();
            let bytes: Vec<u8> = (0..count)
                .flat_map(|index| ((index % 17) as f32 * 1e-3 - 7e-3).to_le_bytes())
                .collect();
            tensors.push((name, shape, bytes));
        }
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("shape and data agree");
        (name, view)
    });
    safetensors::serialize(views, None).expect("a file")
}

fn lpips(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, weights()).expect("a file");
    let metric = Lpips::load(&path, Device::Cpu).expect("weights");
    let (a, b) = (pattern(13), pattern(17));
    let mut group = criterion.benchmark_group("cpu/lpips_alexnet");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(5))
        .throughput(Throughput::Elements((SIDE * SIDE) as u64));
    group.bench_function(format!("1x3x{SIDE}x{SIDE}"), |bencher| {
        bencher.iter(|| black_box(metric.distance(a.view(), b.view()).expect("valid")));
    });
    group.finish();
}

criterion_group!(benches, lpips);
criterion_main!(benches);
