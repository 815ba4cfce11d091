//! With the published weights, against the authors' programs (`tests/golden/image-quality-networks/with_weights.py`).
//! Skipped with a message where the weights are not: `cargo xtask datasets fetch metric-weights`.
#![cfg(feature = "torch")]

use std::path::{Path, PathBuf};

use image_quality::{Backbone, Lpips};
use ndarray::Array3;
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

/// Name, two images and the reference value of each pair.
fn pairs(metric: &str) -> Vec<(String, Array3<f32>, Array3<f32>, f64)> {
    let folder = Path::new(ROOT).join("tests/golden/image-quality-networks");
    let text = std::fs::read(folder.join("published.json")).expect("values");
    let json: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let bytes = std::fs::read(folder.join("reference.safetensors")).expect("images");
    let file = SafeTensors::deserialize(&bytes).expect("sound file");
    let image = |name: String| {
        let view = file.tensor(&name).expect("image");
        let values = view.data().iter().map(|&v| f32::from(v) / 255.0).collect();
        let shape: [usize; 3] = view.shape().try_into().expect("three axes");
        Array3::from_shape_vec(shape, values).expect("shape and data agree")
    };
    json["values"]
        .as_object()
        .expect("pairs")
        .iter()
        .map(|(name, values)| {
            let value = values[metric].as_f64().expect("number");
            let (a, b) = (image(format!("{name}.a")), image(format!("{name}.b")));
            (name.clone(), a, b, value)
        })
        .collect()
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
        let pairs = pairs(name);
        assert_eq!(pairs.len(), 6);
        for (pair, a, b, expected) in pairs {
            let got = metric.distance(a.view(), b.view()).expect("valid");
            // Ours in float32, the reference in float64.
            let error = (got - expected).abs() / expected;
            eprintln!("{name} {pair}: {got:.7}, relative deviation {error:.1e}");
            assert!(error < 1e-5, "{name} {pair}: {got} {error:e}");
        }
    }
}
