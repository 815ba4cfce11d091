//! Structure against the authors' programs with small random weights (`tests/golden/image-quality-networks/gen.py`), and
//! what files and images can do wrong. The published weights are in `tests/published_weights.rs` of this crate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{Array3, s};
use safetensors::SafeTensors;
use tch::{Device, Tensor};

use super::lpips::Lpips;
use super::trunk::{Backbone, Widths};
use super::weights::WeightFile;
use crate::error::{Error, Which};

mod dists;
mod files;

const NETWORKS: [(Backbone, Widths, &str); 2] = [
    (Backbone::AlexNet, [6, 8, 7, 5, 4], "lpips_alexnet"),
    (Backbone::Vgg16, [3, 4, 5, 6, 4], "lpips_vgg16"),
];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/image-quality-networks")
        .join(format!("{name}.safetensors"))
}

fn lpips(backbone: Backbone) -> Lpips {
    let (_, widths, name) = NETWORKS
        .into_iter()
        .find(|(network, ..)| *network == backbone)
        .unwrap();
    let file = WeightFile::read(&golden(name)).unwrap();
    Lpips::from_file(&file, backbone, &widths, Device::Cpu).unwrap()
}

struct Pair {
    name: String,
    a: Array3<f32>,
    b: Array3<f32>,
    values: serde_json::Value,
}

fn pairs() -> Vec<Pair> {
    let bytes = std::fs::read(golden("reference")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let text = &metadata.metadata().as_ref().unwrap()["values"];
    let values: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    let image = |name: &str| {
        let view = file.tensor(name).unwrap();
        let values = view.data().iter().map(|&v| f32::from(v) / 255.0).collect();
        let shape: [usize; 3] = view.shape().try_into().unwrap();
        Array3::from_shape_vec(shape, values).unwrap()
    };
    values
        .into_iter()
        .map(|(name, values)| Pair {
            a: image(&format!("{name}.a")),
            b: image(&format!("{name}.b")),
            name,
            values,
        })
        .collect()
}

fn noise(height: usize, width: usize, seed: usize) -> Array3<f32> {
    let mut state = seed as u32 * 2 + 1;
    Array3::from_shape_simple_fn((3, height, width), || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as f32 / 255.0
    })
}

fn batch(images: &[&Array3<f32>]) -> Tensor {
    let (_, height, width) = images[0].dim();
    let values: Vec<f32> = images
        .iter()
        .flat_map(|image| image.iter().copied())
        .collect();
    Tensor::from_slice(&values).view([images.len() as i64, 3, height as i64, width as i64])
}

#[test]
fn lpips_agrees_with_the_authors_program() {
    let mut checked = 0;
    for (backbone, _, key) in NETWORKS {
        let metric = lpips(backbone);
        for pair in pairs() {
            let got = metric.distance(pair.a.view(), pair.b.view()).unwrap();
            let expected = pair.values[key].as_f64().unwrap();
            // Ours in float32, the reference in float64; the deepest stages see 13 convolutions.
            let error = (got - expected).abs() / expected;
            assert!(error < 1e-5, "{} {key}: {got} {error:e}", pair.name);
            checked += 1;
        }
    }
    assert_eq!(checked, 12);
}

#[test]
fn equal_images_are_at_distance_zero_and_order_does_not_matter() {
    let images = [
        noise(48, 40, 1),
        Array3::zeros((3, 48, 40)),
        Array3::from_elem((3, 48, 40), 0.5),
    ];
    for (backbone, ..) in NETWORKS {
        let metric = lpips(backbone);
        for a in &images {
            assert_eq!(metric.distance(a.view(), a.view()).unwrap(), 0.0);
            for b in &images {
                let there = metric.distance(a.view(), b.view()).unwrap();
                assert_eq!(there, metric.distance(b.view(), a.view()).unwrap());
                assert_eq!(there > 0.0, a != b);
            }
        }
    }
}

#[test]
fn a_shift_by_one_pixel_is_seen_and_is_less_than_noise() {
    let pair = pairs().into_iter().find(|pair| pair.name == "cat").unwrap();
    let sharp = pair.a.slice(s![.., .., 1..]);
    let shifted = pair.a.slice(s![.., .., ..-1]);
    let other = noise(sharp.dim().1, sharp.dim().2, 5);
    for (backbone, ..) in NETWORKS {
        let metric = lpips(backbone);
        let near = metric.distance(sharp, shifted).unwrap();
        let far = metric.distance(sharp, other.view()).unwrap();
        assert!(0.0 < near && near < far, "{near} {far}");
    }
}

#[test]
fn the_smallest_image_is_measured_and_a_smaller_one_is_refused_with_the_size_needed() {
    for (backbone, ..) in NETWORKS {
        let metric = lpips(backbone);
        let needed = backbone.smallest_side();
        let image = noise(needed, needed, 3);
        let distance = metric.distance(image.view(), image.slice(s![.., ..;-1, ..]));
        assert!(distance.unwrap() > 0.0);
        for (height, width) in [(needed - 1, needed), (needed, needed - 1), (0, 0)] {
            let small = image.slice(s![.., ..height, ..width]);
            let error = metric.distance(small, small).unwrap_err();
            assert_eq!(
                error,
                Error::ImageTooSmall {
                    height,
                    width,
                    needed
                }
            );
        }
        // One pixel less and libtorch itself would fail.
        let side = needed as i64 - 1;
        let small = Tensor::zeros([1, 3, side, side], (tch::Kind::Float, Device::Cpu));
        assert!(metric.distances(&small, &small).is_err());
    }
}

#[test]
fn images_that_cannot_be_compared_are_errors() {
    let metric = lpips(Backbone::AlexNet);
    let image = noise(40, 40, 3);
    let other = noise(41, 40, 3);
    assert!(matches!(
        metric.distance(image.view(), other.view()),
        Err(Error::ShapeMismatch { .. })
    ));
    assert_eq!(
        metric
            .distance(image.slice(s![..1, .., ..]), image.slice(s![..1, .., ..]))
            .unwrap_err(),
        Error::NotRgb { channels: 1 }
    );
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut broken = image.clone();
        broken[[1, 2, 3]] = value;
        let expected = |image| Error::NonFinite {
            image,
            channel: 1,
            row: 2,
            column: 3,
        };
        let error = metric.distance(broken.view(), image.view()).unwrap_err();
        assert_eq!(error, expected(Which::First));
        let error = metric.distance(image.view(), broken.view()).unwrap_err();
        assert_eq!(error, expected(Which::Second));
    }
    let tensor = batch(&[&image]);
    for wrong in [tensor.squeeze(), batch(&[&image, &image]), batch(&[&other])] {
        assert!(matches!(
            metric.distances(&tensor, &wrong),
            Err(Error::BatchShape { .. })
        ));
    }
}

/// One pixel that is NaN makes the distance of its own pair NaN, and of no other.
fn check_nan(distances: impl Fn(&Tensor, &Tensor) -> Tensor) {
    let (a, b) = (noise(50, 44, 1), noise(50, 44, 2));
    let mut broken = a.clone();
    broken[[1, 20, 30]] = f32::NAN;
    let with_nan = batch(&[&a, &broken, &a]);
    let others = batch(&[&b, &b, &a]);
    for (first, second) in [(&with_nan, &others), (&others, &with_nan)] {
        let values: Vec<f64> = Vec::try_from(&distances(first, second)).unwrap();
        assert!(
            values[0] > 0.0 && values[1].is_nan() && values[2] == 0.0,
            "{values:?}"
        );
    }
}

#[test]
fn what_is_not_a_number_has_no_distance() {
    for (backbone, ..) in NETWORKS {
        let metric = lpips(backbone);
        check_nan(|a, b| metric.distances(a, b).unwrap());
    }
}

#[test]
fn a_batch_gives_what_single_images_give_and_gives_it_again() {
    let (a, b, c) = (noise(50, 44, 1), noise(50, 44, 2), noise(50, 44, 3));
    for (backbone, ..) in NETWORKS {
        let metric = lpips(backbone);
        let (first, second) = (batch(&[&a, &b, &c]), batch(&[&b, &c, &a]));
        let run =
            || -> Vec<f64> { Vec::try_from(&metric.distances(&first, &second).unwrap()).unwrap() };
        let distances = run();
        assert_eq!(distances, run());
        for (got, (a, b)) in distances.iter().zip([(&a, &b), (&b, &c), (&c, &a)]) {
            let single = metric.distance(a.view(), b.view()).unwrap();
            // The convolutions may be cut into other blocks.
            assert!((got - single).abs() < 1e-6 * single, "{got} {single}");
        }
    }
}

#[test]
fn values_are_rounded_to_8_bits_and_clamped() {
    let metric = lpips(Backbone::AlexNet);
    let (a, b) = (noise(40, 40, 1), noise(40, 40, 2));
    let clean = metric.distance(a.view(), b.view()).unwrap();
    let beyond = b.mapv(|v| match v {
        0.0 => -0.3,
        1.0 => 1.7,
        v => v + 0.3 / 255.0,
    });
    assert_eq!(metric.distance(a.view(), beyond.view()).unwrap(), clean);
}
