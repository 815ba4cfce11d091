//! With the published weights, against the authors' programs (`tests/golden/image-quality-networks/with_weights.py`).
//! Skipped with a message where the weights are not: `cargo xtask datasets fetch metric-weights`.

use std::path::{Path, PathBuf};

use image_quality::{Backbone, Dists, Error, Inception, Lpips, PerceptualProtocol, squared_mmd};
use ndarray::{Array2, Array3, ArrayView3, s};
use safetensors::SafeTensors;
use tch::Device;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A file of the metric weights, if it is there.
fn weights(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("MSDEBLUR_METRIC_WEIGHTS").map_or_else(
        || Path::new(ROOT).join("datasets/cache/metric-weights"),
        PathBuf::from,
    );
    let path = folder.join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("skipped: no {}", path.display());
    None
}

fn golden(name: &str) -> Vec<u8> {
    let folder = Path::new(ROOT).join("tests/golden/image-quality-networks");
    std::fs::read(folder.join(name)).expect("reference file")
}

fn json() -> serde_json::Value {
    serde_json::from_slice(&golden("published.json")).expect("JSON")
}

fn number(value: &serde_json::Value) -> f64 {
    value.as_f64().expect("number")
}

/// An image of the reference file.
fn image(name: &str) -> Array3<f32> {
    let bytes = golden("reference.safetensors");
    let file = SafeTensors::deserialize(&bytes).expect("sound file");
    let view = file.tensor(name).expect("image");
    let values = view.data().iter().map(|&v| f32::from(v) / 255.0).collect();
    let shape: [usize; 3] = view.shape().try_into().expect("three axes");
    Array3::from_shape_vec(shape, values).expect("shape and data agree")
}

/// Compares a metric with its reference values; ours is in float32, the reference in float64.
fn check(key: &str, distance: impl Fn(ArrayView3<'_, f32>, ArrayView3<'_, f32>) -> f64) {
    let json = json();
    let values = json["values"].as_object().expect("pairs");
    assert_eq!(values.len(), 6);
    for (pair, values) in values {
        let [a, b] = ["a", "b"].map(|which| image(&format!("{pair}.{which}")));
        let (got, expected) = (distance(a.view(), b.view()), number(&values[key]));
        let error = (got - expected).abs() / expected;
        eprintln!("{key} {pair}: {got:.7}, relative deviation {error:.1e}");
        assert!(error < 1e-5, "{key} {pair}: {got} {error:e}");
    }
}

#[test]
fn lpips_agrees_with_the_authors_program() {
    for (name, backbone) in [
        ("lpips_alexnet", Backbone::AlexNet),
        ("lpips_vgg16", Backbone::Vgg16),
    ] {
        let Some(path) = weights(&format!("{name}.safetensors")) else {
            continue;
        };
        let metric = Lpips::load(&path, Device::Cpu).expect("weights");
        assert_eq!(metric.backbone(), backbone);
        check(name, |a, b| metric.distance(a, b).expect("valid"));
    }
}

#[test]
fn dists_agrees_with_the_authors_program() {
    let files = ["lpips_vgg16.safetensors", "dists_alpha_beta.safetensors"].map(weights);
    let [Some(vgg16), Some(alpha_beta)] = files else {
        return;
    };
    let metric = Dists::load(&vgg16, &alpha_beta, Device::Cpu).expect("weights");
    check("dists", |a, b| metric.distance(a, b).expect("valid"));
}

fn inception() -> Option<Inception> {
    let path = weights("inception/default_1.pt")?;
    Some(Inception::load(&path, Device::Cpu).expect("weights"))
}

#[test]
fn inception_gives_its_known_features() {
    let Some(network) = inception() else { return };
    assert_eq!(network.protocol(), &PerceptualProtocol::fid());
    let path = Path::new(ROOT).join("tests/golden/image-quality-networks/china_299.png");
    let photo = image_io::read(&path, &image_io::Limits::default()).expect("photo");
    let features = network.features(&[photo.pixels.view()]).expect("valid");
    let expected = &json()["inception"]["china"];
    let near = |got: f32, expected: f64| {
        // Float32 through 94 layers.
        let error = (f64::from(got) - expected).abs();
        assert!(error < 1e-5, "{got} {expected}");
    };
    near(
        features.mean().expect("not empty"),
        number(&expected["mean"]),
    );
    let first = expected["first"].as_array().expect("list");
    assert_eq!(first.len(), 4);
    for (index, value) in first.iter().enumerate() {
        near(features[[0, index]], number(value));
    }
}

#[test]
fn inception_features_and_kid_agree_with_clean_fid_and_torch_fidelity() {
    let Some(network) = inception() else { return };
    let json = json();
    let expected = json["inception"]["features"].as_object().expect("images");
    let features = |which: &str| -> Array2<f32> {
        let names: Vec<_> = json["values"]
            .as_object()
            .expect("pairs")
            .keys()
            .map(|pair| format!("{pair}.{which}"))
            .collect();
        let images: Vec<_> = names.iter().map(|name| image(name)).collect();
        let views: Vec<_> = images.iter().map(|image| image.view()).collect();
        let all = network.features(&views).expect("valid");
        assert_eq!(all.dim(), (6, 2048));
        for (row, name) in all.rows().into_iter().zip(&names) {
            let values = expected[name].as_array().expect("list");
            assert_eq!(values.len(), 32);
            for (got, expected) in row.slice(s![..;64]).iter().zip(values) {
                let error = (f64::from(*got) - number(expected)).abs();
                // libtorch's bicubic and Pillow's differ by 0.005 of 255 levels.
                assert!(error < 1e-3, "{name}: {got} {expected}");
            }
        }
        all
    };
    assert_eq!(expected.len(), 12);
    let (a, b) = (features("a"), features("b"));
    let got = squared_mmd(a.view(), b.view()).expect("valid");
    let expected = number(&json["inception"]["squared_mmd"]);
    eprintln!("squared MMD {got:.7}, reference {expected:.7}");
    // The features differ as above.
    assert!(
        (got - expected).abs() < 1e-3 * expected.abs(),
        "{got} {expected}"
    );
}

#[test]
fn inception_takes_images_together_or_alone_and_small_ones() {
    let Some(network) = inception() else { return };
    let (large, pixel) = (image("cat.a"), Array3::from_elem((3, 1, 1), 0.25));
    let together = network
        .features(&[large.view(), pixel.view()])
        .expect("valid");
    for (row, image) in together.rows().into_iter().zip([&large, &pixel]) {
        let alone = network.features(&[image.view()]).expect("valid");
        for (a, b) in row.iter().zip(alone.row(0)) {
            // The convolutions may be cut into other blocks.
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
        let again = network.features(&[image.view()]).expect("valid");
        assert_eq!(alone, again);
    }
    assert_eq!(network.features(&[]).expect("valid").dim(), (0, 2048));
    // More than go through the network together.
    let many: Vec<_> = (0..17)
        .map(|level| Array3::from_elem((3, 2, 2), level as f32 / 16.0))
        .collect();
    let views: Vec<_> = many.iter().map(|image| image.view()).collect();
    let all = network.features(&views).expect("valid");
    assert_eq!(all.dim(), (17, 2048));
    for index in [0, 15, 16] {
        let alone = network.features(&views[index..=index]).expect("valid");
        for (a, b) in all.row(index).iter().zip(alone.row(0)) {
            assert!((a - b).abs() < 1e-4, "{index}: {a} {b}");
        }
    }
    let broken = Array3::from_elem((3, 4, 4), f32::NAN);
    let empty = Array3::zeros((3, 0, 4));
    for bad in [&broken, &empty] {
        let error = network
            .features(&[pixel.view(), bad.view()])
            .expect_err("no image");
        assert!(
            matches!(error, Error::ImageOfSet { index: 1, .. }),
            "{error}"
        );
    }
}
