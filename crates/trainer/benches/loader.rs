//! The loader alone, without a network: crops of 64 × 64 per second from photographs that are blurred on the fly, and from real pairs,
//! in memory and decoded for each visit.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use image_io::{Format, Photo, PhotoInfo, WriteOptions};
use ndarray::Array3;
use trainer::{DataSet, Loader, PairFolder, Pairing, Replace, Scene, TrainConfig};

const BATCH: usize = 16;
/// Pictures of the size of GoPro.
const SIZE: [usize; 2] = [720, 1280];
const COUNT: usize = 24;

/// Smooth shapes and fine grain, so that files are as large and as slow to decode as those of photographs.
fn write_picture(path: &Path, kind: usize) {
    let [height, width] = SIZE;
    let mut state = kind as u32 + 1;
    let pixels = Array3::from_shape_fn((3, height, width), |(channel, y, x)| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = (state >> 24) as f32 / 256.0 * 0.03;
        let edges = ((y + kind * 13) / 37 + x / 53 + channel) % 3;
        let slope = (x + y) as f32 / (width + height) as f32;
        0.15 + 0.2 * edges as f32 + 0.3 * slope + grain
    });
    let photo = Photo {
        pixels,
        alpha: None,
        info: PhotoInfo::new(Format::Png),
    };
    let folder = path.parent().expect("a folder");
    std::fs::create_dir_all(folder).expect("a folder");
    image_io::write(path, &photo, &WriteOptions::default()).expect("a picture");
}

fn loader(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    for kind in 0..COUNT {
        write_picture(&root.join(format!("photos/{kind}.png")), kind);
        for sort in ["blur", "sharp"] {
            write_picture(
                &root.join(format!("set/{}/{sort}/{kind}.png", kind / 4)),
                kind,
            );
        }
    }
    let photos = TrainConfig::default_preset(vec![root.join("photos")], root.join("run"));
    let pairs = TrainConfig {
        photos: Vec::new(),
        pairs: vec![PairFolder {
            name: "pairs".into(),
            folder: root.join("set"),
            blurry: "*/blur/*.png".into(),
            sharp: "*/sharp/*.png".into(),
            pairing: Pairing::Replace(Replace {
                sharp: "/sharp/".into(),
                blurry: "/blur/".into(),
            }),
            weight: 1.0,
            validation_share: 0.1,
            scene: Scene::Folder,
        }],
        ..photos.clone()
    };
    let jitter = |config: &TrainConfig| TrainConfig {
        scale_jitter: [0.5, 1.0],
        ..config.clone()
    };
    // A sixth of the pairs fits into the memory, as GoPro does into the default.
    let large = |config: &TrainConfig| TrainConfig {
        cache_megabytes: 22,
        ..config.clone()
    };
    let mut group = criterion.benchmark_group("cpu/loader");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3))
        .throughput(Throughput::Elements(BATCH as u64));
    for (name, config) in [
        ("photos", photos.clone()),
        ("photos_jitter", jitter(&photos)),
        ("pairs", pairs.clone()),
        ("pairs_jitter", jitter(&pairs)),
        ("pairs_decoded_each_time", large(&pairs)),
    ] {
        let data = DataSet::open(&config).expect("pictures");
        for threads in [1, 2] {
            let source = Arc::clone(&data.training);
            let mut loader = Loader::start(source, BATCH, 0, threads);
            // What was made ahead while nobody asked is not part of the rate.
            for _ in 0..8 {
                loader.next_batch().expect("a batch");
            }
            group.bench_function(
                format!("{name}/{BATCH}x3x64x64/threads_{threads}"),
                |bencher| bencher.iter(|| loader.next_batch().expect("a batch")),
            );
        }
    }
    group.finish();
}

criterion_group!(benches, loader);
criterion_main!(benches);
