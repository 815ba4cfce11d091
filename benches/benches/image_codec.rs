//! Decoding and encoding of photos in memory.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use image_io::{BitDepth, Format, Limits, Photo, PhotoInfo, WriteOptions, decode, encode};
use integration_benches::{MEASUREMENT_TIME, pattern, shape_name};

fn image_codec(criterion: &mut Criterion) {
    let side = 1024;
    let pixels = pattern(side, side);
    for direction in ["decode", "encode"] {
        let mut group = criterion.benchmark_group(format!("cpu/image_{direction}"));
        group.sample_size(10).measurement_time(MEASUREMENT_TIME);
        group.throughput(Throughput::Elements((side * side) as u64));
        for (name, format, bit_depth) in [
            ("png8", Format::Png, BitDepth::Eight),
            ("png16", Format::Png, BitDepth::Sixteen),
            ("jpeg", Format::Jpeg, BitDepth::Eight),
            ("tiff16", Format::Tiff, BitDepth::Sixteen),
            ("webp", Format::Webp, BitDepth::Eight),
        ] {
            let info = PhotoInfo {
                bit_depth,
                ..PhotoInfo::new(format)
            };
            let photo = Photo {
                pixels: pixels.clone(),
                alpha: None,
                info,
            };
            let options = WriteOptions::default();
            let file = encode(&photo, format, &options)
                .expect("an encoded photo")
                .bytes;
            group.bench_function(
                format!("{name}/{}", shape_name(side as i64, side as i64)),
                |bencher| {
                    if direction == "encode" {
                        bencher.iter(|| {
                            black_box(encode(&photo, format, &options).expect("an encoded photo"))
                        });
                    } else {
                        bencher.iter(|| {
                            black_box(decode(&file, &Limits::default()).expect("a photo"))
                        });
                    }
                },
            );
        }
        group.finish();
    }
}

criterion_group!(benches, image_codec);
criterion_main!(benches);
